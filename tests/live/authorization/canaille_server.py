"""Runs canaille, an identity provider, on a port of the loopback interface.

It does code with PKCE, refresh with rotation, client credentials, revocation, discovery and dynamic registration; it
has no device flow.
"""

from __future__ import annotations

import secrets
import sys
from wsgiref.simple_server import make_server


def main(folder: str, port: int, username: str, password: str) -> None:
    """Serve one user until the process is ended; its database is in *folder*."""
    import canaille
    from canaille.app import models
    from canaille.backends import Backend

    application = canaille.create_app(
        {
            "SECRET_KEY": secrets.token_hex(),
            # The issuer is made of these two.
            "SERVER_NAME": f"127.0.0.1:{port}",
            "PREFERRED_URL_SCHEME": "http",
            "DEBUG": False,
            # In the database in memory that it has as well, a query finds what fits any of its conditions, not all: a
            # wrong code stands for another one of the same client, and consent to one client is consent to all.
            "CANAILLE": {"DATABASE": "sql", "SMTP": None},
            "CANAILLE_SQL": {"DATABASE_URI": f"sqlite:///{folder}/canaille.sqlite"},
            # Anybody may register an application (RFC 7591). No application is trusted: it would see no consent page.
            "CANAILLE_OIDC": {"DYNAMIC_CLIENT_REGISTRATION_OPEN": True, "TRUSTED_DOMAINS": []},
        }
    )
    with application.app_context(), Backend.instance.session():
        user = models.User(user_name=username, formatted_name=username, family_name=username, password=password)
        Backend.instance.save(user)
    make_server("127.0.0.1", port, application).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
