"""Servers to try everything on, without an account at any provider.

>>> with Sandbox() as sandbox:  # doctest: +SKIP
...     user = sandbox.new_user()
...     token = sandbox.issue_token(user)

One process on loopback: an OAuth authorization server, SMTP, IMAP and POP3, with throw-away certificates. It lets
anybody in; nothing of it is left behind.
"""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme

from .. import OAuth1Credentials
from .imap import ImapServer
from .mailbox import Mailboxes
from .personality import PERSONALITIES
from .pop import PopServer
from .setup import Installation
from .smtp import SmtpServer
from .state import OAuth1Token, State
from .web import Web

if TYPE_CHECKING:
    from .state import Fault

__all__ = ["Address", "Sandbox"]


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


class Sandbox(Installation):
    """An authorization server and six mail servers, for a ``with`` block.

    Args:
        like: the provider whose advertisements, refusals and limits the mail servers have: ``"generic"``, ``"gmail"``,
            ``"microsoft"`` or ``"yahoo"``.

    Attributes:
        smtp: SMTP submission with STARTTLS; an `Address`, as are the next five.
        smtps: SMTP submission with TLS from the start.
        imap: IMAP with STARTTLS.
        imaps: IMAP with TLS from the start.
        pop3: POP3 with STLS.
        pop3s: POP3 with TLS from the start.
        web: the authorization server: ``web.url``, ``web.https_url``, its client ids and secrets.
        ca_file: PEM file of the authority that signed the servers' certificate; ``SSL_CERT_FILE`` takes it.
        state: everything the servers know; see `oauthmail.sandbox.state`.
        mailboxes: every message.
    """

    domain = "sandbox.test"

    def __init__(self, like: str = "generic") -> None:
        if like not in PERSONALITIES:
            raise ValueError(f"unknown provider {like!r}; known are {', '.join(sorted(PERSONALITIES))}")
        self.like = like
        super().__init__()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Sandbox:
        with contextlib.ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oauthmail-sandbox-")))
            self._start(stack, directory)
            # An exception above stops what had been started.
            self._stack = stack.pop_all()
        return self

    def _start(self, stack: contextlib.ExitStack, directory: Path) -> None:
        authority = trustme.CA()
        self.ca_file = directory / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        # Exchange Online's tokens are so long that no client can send one on POP3's command line, which it refuses.
        self.state = State(token_length=1600 if self.like == "microsoft" else 40)
        self.mailboxes = Mailboxes()
        self.web = stack.enter_context(Web(self.state, personality_name=self.like, tls=context))
        discovery = f"{self.web.url}/.well-known/openid-configuration"

        def start(kind: type[ImapServer] | type[PopServer] | type[SmtpServer], *, implicit_tls: bool) -> Address:
            server: Any = kind(
                self.state,
                self.mailboxes,
                PERSONALITIES[self.like],
                context,
                implicit_tls=implicit_tls,
                discovery=discovery,
            )
            return Address("localhost", stack.enter_context(server).port)

        self.smtp, self.smtps = start(SmtpServer, implicit_tls=False), start(SmtpServer, implicit_tls=True)
        self.imap, self.imaps = start(ImapServer, implicit_tls=False), start(ImapServer, implicit_tls=True)
        self.pop3, self.pop3s = start(PopServer, implicit_tls=False), start(PopServer, implicit_tls=True)

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def mail_servers(self) -> tuple[Address, Address, Address]:
        """Return submission with STARTTLS, and IMAP and POP3 with TLS from the start."""
        return self.smtp, self.imaps, self.pop3s

    def issue_token(
        self, user: str, *, scope: tuple[str, ...] = ("mail",), expires_in: float = 3600, length: int | None = None
    ) -> str:
        """Return an access token without going through a flow.

        Args:
            user: the mailbox that it opens.
            scope: ``"mail"`` for all protocols, ``"smtp"``, ``"imap"`` or ``"pop"`` for one; ``"profile"`` for none.
            expires_in: seconds; 0 for a token that has expired already.
            length: characters; None for what the provider's tokens have.
        """
        return self.state.issue(user, scope, expires_in=expires_in, length=length)

    def issue_oauth1(self, user: str, *, two_legged: bool = False) -> OAuth1Credentials:
        """Return OAuth 1.0a credentials without going through a flow; two-legged ones name the mailbox themselves."""
        number = next(self._numbers)
        credentials = OAuth1Credentials(
            f"client-{number}",
            f"client-secret-{number}",
            None if two_legged else f"token-{number}",
            "" if two_legged else f"token-secret-{number}",
            requestor_id=user if two_legged else None,
        )
        with self.state.lock:
            self.state.oauth1_clients[credentials.client_key] = credentials.client_secret
            if credentials.resource_owner_key is not None:
                self.state.oauth1_tokens[credentials.resource_owner_key] = OAuth1Token(
                    credentials.resource_owner_secret, user, credentials.client_key
                )
        return credentials

    def fault(self, kind: str, *, service: str | None = None, number: float = 0, times: int | None = 1) -> Fault:
        """Have something go wrong; `oauthmail.sandbox.state.FAULTS` says what there is.

        Args:
            kind: ``"temporary"``, ``"drop"``, ``"slow"``, ``"line_length"``, ``"smtp_disabled"`` or
                ``"not_connected"``.
            service: ``"smtp"``, ``"imap"``, ``"pop"``, or for ``"temporary"`` also ``"introspection"``; None for all.
            number: seconds for ``"slow"``, octets for ``"line_length"``.
            times: how often; None until `clear_faults`.
        """
        return self.state.fault(kind, service=service, number=number, times=times)

    def clear_faults(self) -> None:
        """Let everything work again."""
        self.state.clear_faults()

    def received(self, service: str | None = None) -> list[str]:
        """Return every line that the mail servers received, oldest first; secrets stand as fingerprints."""
        return list(self.state.received(service))

    def deliver(self, user: str, message: bytes) -> int:
        """Put a message into a mailbox and return its UID."""
        return self.mailboxes.deliver(user, message)
