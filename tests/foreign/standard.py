"""The standard library's clients over any of the sandbox's six ports, logged in by hand."""

from __future__ import annotations

import base64
import contextlib
import imaplib
import poplib
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from oauthmail.sandbox import Sandbox

TIMEOUT = 10.0

#: The sandbox's ports; curl has the same names for the protocols.
SCHEMES = ("smtp", "smtps", "imap", "imaps", "pop3", "pop3s")
MECHANISMS = ("XOAUTH2", "OAUTHBEARER")

Client = smtplib.SMTP | imaplib.IMAP4 | poplib.POP3


def port_of(sandbox: Sandbox, scheme: str) -> int:
    port: int = getattr(sandbox, scheme).port
    return port


def login_message(mechanism: str, user: str, token: str) -> str:
    """Return what a client says first, before base64."""
    name = f"n,a={user}," if mechanism == "OAUTHBEARER" else f"user={user}"
    return f"{name}\x01auth=Bearer {token}\x01\x01"


@contextlib.contextmanager
def smtp(sandbox: Sandbox, login: str, mechanism: str, *, tls: bool, context: ssl.SSLContext) -> Iterator[smtplib.SMTP]:
    """Return a client that has logged in with *login*, as the next two do."""
    client = (
        smtplib.SMTP_SSL("localhost", sandbox.smtps.port, timeout=TIMEOUT, context=context)
        if tls
        else smtplib.SMTP("localhost", sandbox.smtp.port, timeout=TIMEOUT)
    )
    with client:
        if not tls:
            client.starttls(context=context)
        client.ehlo()
        client.auth(mechanism, lambda challenge=None: login)
        yield client


@contextlib.contextmanager
def imap(
    sandbox: Sandbox, login: str, mechanism: str, *, tls: bool, context: ssl.SSLContext
) -> Iterator[imaplib.IMAP4]:
    client = (
        imaplib.IMAP4_SSL("localhost", sandbox.imaps.port, timeout=TIMEOUT, ssl_context=context)
        if tls
        else imaplib.IMAP4("localhost", sandbox.imap.port, timeout=TIMEOUT)
    )
    with client:
        if not tls:
            client.starttls(context)
        client.authenticate(mechanism, lambda challenge: login.encode())
        yield client


@contextlib.contextmanager
def pop3(sandbox: Sandbox, login: str, mechanism: str, *, tls: bool, context: ssl.SSLContext) -> Iterator[poplib.POP3]:
    client = (
        poplib.POP3_SSL("localhost", sandbox.pop3s.port, timeout=TIMEOUT, context=context)
        if tls
        else poplib.POP3("localhost", sandbox.pop3.port, timeout=TIMEOUT)
    )
    try:
        if not tls:
            client.stls(context)
        # poplib has no AUTH, so its own way to send a command is borrowed.
        client._shortcmd(f"AUTH {mechanism}")  # type: ignore[attr-defined]  # not in typeshed
        client._shortcmd(base64.b64encode(login.encode()).decode())  # type: ignore[attr-defined]  # not in typeshed
        yield client
        client.quit()
    finally:
        client.close()


@contextlib.contextmanager
def logged_in(
    sandbox: Sandbox,
    scheme: str,
    user: str,
    token: str,
    mechanism: str = "XOAUTH2",
    *,
    context: ssl.SSLContext | None = None,
) -> Iterator[Client]:
    """Be logged in, and log out.

    Args:
        sandbox: where.
        scheme: one of `SCHEMES`; those with an "s" at the end are TLS from the start.
        user: the mailbox.
        token: for it.
        mechanism: one of `MECHANISMS`.
        context: saves the reading of the certificate, for those who log in often.
    """
    tls = scheme.endswith("s")
    clients: dict[str, Callable[..., AbstractContextManager[Client]]] = {"smtp": smtp, "imap": imap, "pop3": pop3}
    context = context or sandbox.ssl_context()
    login = login_message(mechanism, user, token)
    with clients[scheme.removesuffix("s")](sandbox, login, mechanism, tls=tls, context=context) as client:
        yield client


def opens(sandbox: Sandbox, user: str, token: str) -> bool:
    """Tell whether a token opens a mailbox over IMAP."""
    try:
        with logged_in(sandbox, "imaps", user, token):
            return True
    except imaplib.IMAP4.error:
        return False
