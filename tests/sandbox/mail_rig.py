"""The mail servers of the sandbox, started for a test, and logins written out by hand or by oauthlib."""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from oauthlib.oauth1 import Client

from oauthmail.sandbox.imap import ImapServer
from oauthmail.sandbox.mailbox import Mailboxes
from oauthmail.sandbox.personality import GENERIC, Personality
from oauthmail.sandbox.pop import PopServer
from oauthmail.sandbox.state import OAuth1Token, State

from ..scripted import TIMEOUT, Certificates

USER = "alice@example.org"
HOST = "127.0.0.1"
DISCOVERY = "http://127.0.0.1/.well-known/openid-configuration"

MECHANISM_CASES = [pytest.param(name, id=name.lower()) for name in ("XOAUTH2", "OAUTHBEARER", "XOAUTH", "OAUTH10A")]
TLS_CASES = [pytest.param(True, id="implicit"), pytest.param(False, id="upgrade")]


@dataclass
class Rig:
    """Four servers over one memory.

    Attributes:
        ports: by service and whether TLS is on from the start.
        context: a client's, that trusts them.
    """

    state: State
    mailboxes: Mailboxes
    context: ssl.SSLContext
    ports: dict[tuple[str, bool], int] = field(default_factory=dict)

    def imap(self, *, implicit: bool = True) -> imaplib.IMAP4:
        if implicit:
            port = self.ports["imap", True]
            return imaplib.IMAP4_SSL(HOST, port, ssl_context=self.context, timeout=TIMEOUT)
        client = imaplib.IMAP4(HOST, self.ports["imap", False], timeout=TIMEOUT)
        client.starttls(self.context)
        return client

    def pop(self, *, implicit: bool = True) -> poplib.POP3:
        if implicit:
            return poplib.POP3_SSL(HOST, self.ports["pop", True], context=self.context, timeout=TIMEOUT)
        client = poplib.POP3(HOST, self.ports["pop", False], timeout=TIMEOUT)
        client.stls(self.context)
        return client

    def logged_in(self, *, select: bool = True) -> imaplib.IMAP4:
        client = self.imap()
        message = xoauth2(self.state.issue(USER))
        client.authenticate("XOAUTH2", lambda challenge: message)
        if select:
            client.select()
        return client

    def payload(self, mechanism: str, service: str) -> bytes:
        """Return the message of a client whose credentials are good."""
        if mechanism == "XOAUTH2":
            return xoauth2(self.state.issue(USER))
        if mechanism == "OAUTHBEARER":
            return rfc7628(f"Bearer {self.state.issue(USER)}")
        self.state.oauth1_clients["key"] = "secret"
        self.state.oauth1_tokens["token"] = OAuth1Token("token-secret", USER, "key")
        signer = Client("key", "secret", "token", "token-secret")
        if mechanism == "XOAUTH":
            url = f"https://mail.google.com/mail/b/{USER}/{service}/"
            header = signer.sign(url, "GET")[1]["Authorization"]
            return f"GET {url} {header.removeprefix('OAuth ')}".encode()
        return rfc7628(signer.sign("http://localhost:993/", "POST")[1]["Authorization"])


def xoauth2(token: str, user: str = USER) -> bytes:
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


def rfc7628(credentials: str) -> bytes:
    return f"n,a={USER},\x01host=localhost\x01port=993\x01auth={credentials}\x01\x01".encode()


@contextlib.contextmanager
def mail_rig(certificates: Certificates, personality: Personality = GENERIC) -> Iterator[Rig]:
    """Run the servers; afterwards none of their threads is left."""
    rig = Rig(State(), Mailboxes(), certificates.client())
    context = certificates.server("localhost", HOST)
    with contextlib.ExitStack() as stack:
        for server in (ImapServer, PopServer):
            for implicit in (False, True):
                running = stack.enter_context(
                    server(rig.state, rig.mailboxes, personality, context, implicit_tls=implicit, discovery=DISCOVERY)
                )
                rig.ports[server.service, implicit] = running.port
        yield rig
