"""Dovecot and Postfix, run on loopback beside the sandbox's own authorization server.

>>> from oauthmail.sandbox.live.servers import LiveServers
>>> with LiveServers() as servers:  # doctest: +SKIP
...     user = servers.new_user()

They must be installed, for which there is ``python -m oauthmail.sandbox.live.install``, and only root may run them.
"""
