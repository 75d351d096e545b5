"""Logins with an access token: oauthmail's, and the recipes for its peers.

Each function connects with TLS from the start, logs in and returns; a server counts.
"""

from __future__ import annotations

import asyncio
import base64
import imaplib
import poplib
import smtplib
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import oauthmail

USER = "user@example.com"
HOST = "localhost"

Login = Callable[[int, str, ssl.SSLContext], None]


def response(token: str, user: str = USER) -> str:
    """Return what the recipes of all providers send, before base64."""
    return f"user={user}\1auth=Bearer {token}\1\1"


def encoded(token: str, user: str = USER) -> str:
    """Return the same in base64."""
    return base64.b64encode(response(token, user).encode("ascii")).decode("ascii")


# --- by hand ----------------------------------------------------------------------------------------------------------


def by_hand(lines: Sequence[str], last: bytes) -> Login:
    """Return a login by a socket: each line when the answer to the one before is there, until *last* comes."""

    def login(port: int, token: str, context: ssl.SSLContext) -> None:
        with (
            socket.create_connection((HOST, port), timeout=10) as sock,
            context.wrap_socket(sock, server_hostname=HOST) as tls,
        ):
            answer = tls.recv(1 << 16)
            for line in lines:
                tls.sendall(f"{line.format(encoded(token))}\r\n".encode("ascii"))
                answer = tls.recv(1 << 16)
            if last not in answer:
                raise SystemExit(f"not logged in: {answer!r}")

    return login


SMTP_BY_HAND = by_hand(["EHLO localhost", "AUTH XOAUTH2 {}"], b"235 ")
SMTP_BY_HAND_LONG = by_hand(["EHLO localhost", "AUTH XOAUTH2", "{}"], b"235 ")
IMAP_BY_HAND = by_hand(["a AUTHENTICATE XOAUTH2 {}"], b"OK ")
IMAP_BY_HAND_SILENT = by_hand(["a CAPABILITY", "a AUTHENTICATE XOAUTH2 {}"], b"OK ")
POP_BY_HAND = by_hand(["CAPA", "AUTH XOAUTH2 {}"], b"+OK")
POP_BY_HAND_LONG = by_hand(["CAPA", "AUTH XOAUTH2", "{}"], b"+OK")
POP_BY_HAND_FORCED = by_hand(["AUTH XOAUTH2 {}"], b"+OK")
POP_BY_HAND_FORCED_LONG = by_hand(["AUTH XOAUTH2", "{}"], b"+OK")


# --- SMTP -------------------------------------------------------------------------------------------------------------


def smtp(port: int, token: str, context: ssl.SSLContext) -> None:
    with oauthmail.SMTP_SSL(HOST, port, context=context) as client:
        client.authenticate_oauth(USER, token)


def smtplib_docmd(port: int, token: str, context: ssl.SSLContext) -> None:
    """Do as the providers' pages show it; a line that is too long is split, as their servers want it."""
    with smtplib.SMTP_SSL(HOST, port, context=context) as client:
        client.ehlo()
        if len(encoded(token)) < 490:
            code, _ = client.docmd("AUTH", f"XOAUTH2 {encoded(token)}")
        else:
            client.docmd("AUTH", "XOAUTH2")
            code, _ = client.docmd(encoded(token))
        assert code == 235


def aiosmtplib(port: int, token: str, context: ssl.SSLContext) -> None:
    import aiosmtplib

    async def login() -> None:
        client = aiosmtplib.SMTP(hostname=HOST, port=port, use_tls=True, tls_context=context)
        await client.connect()
        await client.auth_xoauth2(USER, token)
        await client.quit()

    asyncio.run(login())


# --- IMAP -------------------------------------------------------------------------------------------------------------


def imap(port: int, token: str, context: ssl.SSLContext) -> None:
    with oauthmail.IMAP4_SSL(HOST, port, ssl_context=context) as client:
        client.authenticate_oauth(USER, token)


def imaplib_authenticate(port: int, token: str, context: ssl.SSLContext) -> None:
    with imaplib.IMAP4_SSL(HOST, port, ssl_context=context) as client:
        client.authenticate("XOAUTH2", lambda _: response(token).encode("ascii"))


def imapclient(port: int, token: str, context: ssl.SSLContext) -> None:
    from imapclient import IMAPClient

    with IMAPClient(HOST, port, ssl_context=context) as client:
        client.oauth2_login(USER, token)


def imap_tools(port: int, token: str, context: ssl.SSLContext) -> None:
    from imap_tools import MailBox

    with MailBox(HOST, port, ssl_context=context) as mailbox:
        mailbox.xoauth2(USER, token, initial_folder=None)


# --- POP3 -------------------------------------------------------------------------------------------------------------


def pop(port: int, token: str, context: ssl.SSLContext) -> None:
    client = oauthmail.POP3_SSL(HOST, port, context=context)
    client.authenticate_oauth(USER, token)
    client.quit()


def pop_with_mechanism(port: int, token: str, context: ssl.SSLContext) -> None:
    client = oauthmail.POP3_SSL(HOST, port, context=context)
    client.authenticate_oauth(USER, token, mechanism="XOAUTH2")
    client.quit()


def poplib_shortcmd(port: int, token: str, context: ssl.SSLContext) -> None:
    """Do as the recipes do, which have nothing but a private method."""
    client: Any = poplib.POP3_SSL(HOST, port, context=context)
    client._shortcmd("AUTH XOAUTH2")
    client._shortcmd(encoded(token))
    client.quit()
