"""``python -m oauthmail sandbox``: the sandbox until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading

from ..sandbox import Sandbox

__all__ = ["run"]

_READY = """\
These servers let anybody in and listen on this machine only. Ctrl-C stops them; nothing is kept.

  behaves like   {like}
  SMTP           localhost:{smtp} (STARTTLS), localhost:{smtps} (TLS)
  IMAP           localhost:{imap} (STARTTLS), localhost:{imaps} (TLS)
  POP3           localhost:{pop3} (STLS), localhost:{pop3s} (TLS)
  authorization  {url}/.well-known/openid-configuration
  certificates   {ca_file}
  user           {user}
  access token   {access_token}

Paste this into Python, started with SSL_CERT_FILE={ca_file}:

  from oauthmail import SMTP, IMAP4_SSL, POP3_SSL
  user = "{user}"
  token = "{access_token}"

  with SMTP("localhost", {smtp}) as smtp:
      smtp.starttls()
      smtp.authenticate_oauth(user, token)
      smtp.sendmail(user, [user], "Subject: Hello\\r\\n\\r\\nIt works.\\r\\n")

  with IMAP4_SSL("localhost", {imaps}) as imap:
      imap.authenticate_oauth(user, token)
      imap.select()
      print(imap.fetch("1", "(RFC822)"))

  pop = POP3_SSL("localhost", {pop3s})
  pop.authenticate_oauth(user, token)
  print(pop.stat())
  pop.quit()
"""


def run(arguments: argparse.Namespace) -> int:
    """Run until interrupted or terminated."""
    stopped = threading.Event()
    # Ctrl-C may come at any moment, also before there is something to wait in.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with Sandbox(like=arguments.like) as sandbox:
        user = sandbox.new_user()
        # The one command that prints a token: it opens nothing but a mailbox that ends with this process.
        facts = {
            "like": sandbox.like,
            **{name: getattr(sandbox, name).port for name in ("smtp", "smtps", "imap", "imaps", "pop3", "pop3s")},
            "url": sandbox.web.url,
            "https_url": sandbox.web.https_url,
            "control_secret": sandbox.web.control_secret,
            "ca_file": str(sandbox.ca_file),
            "user": user,
            "access_token": sandbox.issue_token(user, expires_in=86400),
        }
        print(json.dumps(facts) if arguments.json else _READY.format(**facts), flush=True)
        stopped.wait()
    print("stopped", file=sys.stderr)
    return 0
