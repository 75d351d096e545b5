"""One real login from nothing: ``python -m tests.live``.

Starts Dovecot, Postfix and an authorization server on this machine (installing the mail servers first where that is
possible), obtains a token by the authorization code flow, sends a message and reads it back.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from oauthmail import IMAP4_SSL, POP3_SSL, SMTP, AuthenticationError

from . import install
from .process import eventually
from .servers import LiveServers, StartError

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 10


def step(text: str, action: Callable[[], str]) -> None:
    """Do *action* and print a line with its result and its time."""
    start = time.perf_counter()
    result = action()
    print(f"  {text:<46} {result:<34} {1000 * (time.perf_counter() - start):6.1f} ms")


def run(servers: LiveServers) -> None:
    """Send a message as a fresh user and read it back, each over a login with the token."""
    user = servers.new_user()
    tokens: list[str] = []

    def obtain() -> str:
        tokens.append(servers.authorization.issue(user))
        return "access token [redacted]"

    def send() -> str:
        with SMTP(servers.submission.host, servers.submission.port, timeout=TIMEOUT) as smtp:
            smtp.starttls(context=servers.ssl_context())
            code, _ = smtp.authenticate_oauth(user, tokens[0])
            smtp.sendmail(user, [user], f"From: {user}\r\nTo: {user}\r\nSubject: Hello\r\n\r\nIt works.\r\n")
        return f"{code}, message accepted"

    def read_imap() -> str:
        address = servers.imaps
        with IMAP4_SSL(address.host, address.port, ssl_context=servers.ssl_context(), timeout=TIMEOUT) as imap:
            typ, _ = imap.authenticate_oauth(user, tokens[0])
            if not eventually(lambda: imap.select()[1] != [b"0"], TIMEOUT):
                raise StartError("the message did not arrive")
            _, messages = imap.search(None, "SUBJECT", "Hello")
        return f"{typ}, {len(messages)} message"

    def read_pop3() -> str:
        address = servers.pop3s
        pop3 = POP3_SSL(address.host, address.port, context=servers.ssl_context(), timeout=TIMEOUT)
        pop3.authenticate_oauth(user, tokens[0])
        count, _ = pop3.stat()
        pop3.quit()
        return f"+OK, {count} message"

    def refuse() -> str:
        servers.authorization.revoke(tokens[0])
        with SMTP(servers.submission.host, servers.submission.port, timeout=TIMEOUT) as smtp:
            smtp.starttls(context=servers.ssl_context())
            try:
                smtp.authenticate_oauth(user, tokens[0])
            except AuthenticationError as refusal:
                return f"refused with status {refusal.status}"
        raise StartError("the revoked token was accepted")

    print(f"Dovecot, Postfix and an authorization server run on this machine; the user is {user}.")
    step("OAuth 2 authorization code flow with PKCE", obtain)
    step("SMTP, STARTTLS, XOAUTH2 to Postfix", send)
    step("IMAP4_SSL, XOAUTH2 to Dovecot", read_imap)
    step("POP3_SSL, XOAUTH2 to Dovecot", read_pop3)
    step("SMTP again, with the token revoked", refuse)


def main() -> int:
    """Run the demonstration and return the exit status."""
    # The authorization server speaks plain http, on loopback; oauthlib wants that said by name.
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    if status := install.main():
        return status
    try:
        with LiveServers() as servers:
            run(servers)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
