"""Mail through the sandbox by Python libraries that are not ours, one mailbox behind all of them.

What each library makes of a single server is in ``tests/sandbox``; here they meet each other and every provider.
"""

from __future__ import annotations

import asyncio
import base64
import email.message
import email.policy
import imaplib
import poplib
import smtplib
import threading
import warnings

import aiosmtplib
import pytest
import smtpproto.auth
import smtpproto.protocol
from imap_tools import AND, MailBox, MailBoxStartTls, MailMessageFlags
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from oauthmail.sandbox import Sandbox
from oauthmail.sandbox.personality import PERSONALITIES
from oauthmail.testing import Mailbox

from ..loops import closed_in_full
from .conftest import Like
from .standard import MECHANISMS, TIMEOUT, imap, logged_in, login_message, pop3, smtp

with warnings.catch_warnings():
    # smtpproto 2.0.0 imports names by which anyio does not like to be called any more.
    warnings.simplefilter("ignore", DeprecationWarning)
    import smtpproto.client

HOST = "localhost"
BEARERS = sorted(name for name, each in PERSONALITIES.items() if "OAUTHBEARER" in each.mechanisms["imap"])


def letter(user: str) -> email.message.EmailMessage:
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"], message["To"], message["Subject"] = "a@sandbox.test", user, "Bericht"
    message.set_content("Grüße\n.dots\n..and more\n", cte="quoted-printable")
    message.add_attachment(b"1;2\r\n", maintype="text", subtype="csv", filename="zahlen.csv")
    message.set_boundary("=_boundary")
    return message


# --- one mailbox ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [pytest.param(True, id="implicit"), pytest.param(False, id="upgrade")])
def test_what_smtplib_sends_all_the_others_read(provider: Sandbox, tls: bool) -> None:
    user = provider.new_user()
    token, context = provider.issue_token(user), provider.ssl_context()
    login = login_message("XOAUTH2", user, token)
    message = letter(user)
    with smtp(provider, login, "XOAUTH2", tls=tls, context=context) as sender:
        sender.send_message(message)

    with IMAPClient(HOST, (provider.imaps if tls else provider.imap).port, ssl=tls, **trust(provider, tls)) as client:
        if not tls:
            client.starttls(context)
        client.oauth2_login(user, token)
        client.select_folder("INBOX")
        fetched = client.fetch(client.search(["SUBJECT", "Bericht"]), ["RFC822"])
        assert [found[b"RFC822"] for found in fetched.values()] == [message.as_bytes()]
    box = (
        MailBox(HOST, provider.imaps.port, TIMEOUT, ssl_context=context)
        if tls
        else MailBoxStartTls(HOST, provider.imap.port, TIMEOUT, ssl_context=context)
    )
    with box.xoauth2(user, token) as mailbox:
        (found,) = mailbox.fetch(AND(from_="a@sandbox.test"))
        assert (found.subject, found.text) == ("Bericht", "Grüße\r\n.dots\r\n..and more\r\n")
        assert [(each.filename, each.payload) for each in found.attachments] == [("zahlen.csv", b"1;2\r\n")]
    with pop3(provider, login, "XOAUTH2", tls=tls, context=context) as reader:
        assert b"\r\n".join(reader.retr(1)[1]) + b"\r\n" == message.as_bytes()
        reader.dele(1)
    with imap(provider, login, "XOAUTH2", tls=tls, context=context) as reader_again:
        assert reader_again.select() == ("OK", [b"0"])


def trust(sandbox: Sandbox, tls: bool) -> dict[str, object]:
    return {"timeout": TIMEOUT, "ssl_context": sandbox.ssl_context() if tls else None}


# --- standard library -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(
    ("scheme", "error"),
    [
        ("smtp", smtplib.SMTPAuthenticationError),
        ("smtps", smtplib.SMTPAuthenticationError),
        ("imap", imaplib.IMAP4.error),
        ("imaps", imaplib.IMAP4.error),
        ("pop3", poplib.error_proto),
        ("pop3s", poplib.error_proto),
    ],
)
def test_a_revoked_token_ends_the_standard_librarys_logins(
    mailbox: Mailbox, scheme: str, error: type[Exception], mechanism: str
) -> None:
    with logged_in(mailbox.sandbox, scheme, mailbox.user, mailbox.token, mechanism):
        pass
    mailbox.sandbox.revoke_token(mailbox.token)
    with (
        pytest.raises(error),
        logged_in(mailbox.sandbox, scheme, mailbox.user, mailbox.token, mechanism),
    ):
        pass


# --- imapclient -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BEARERS)
def test_imapclient_logs_in_with_oauthbearer(like: Like, name: str) -> None:
    sandbox = like(name)
    user = sandbox.new_user()
    with IMAPClient(HOST, sandbox.imaps.port, **trust(sandbox, True)) as client:
        client.oauthbearer_login(user, sandbox.issue_token(user))
        assert client.folder_exists("INBOX")


def test_imapclient_names_yahoos_vendor(like: Like) -> None:
    yahoo = like("yahoo")
    user = yahoo.new_user()
    with IMAPClient(HOST, yahoo.imaps.port, **trust(yahoo, True)) as client:
        client.oauth2_login(user, yahoo.issue_token(user), vendor="oauthmail")
        assert client.folder_exists("INBOX")


@pytest.mark.parametrize("method", ["oauth2_login", "oauthbearer_login"])
def test_imapclient_hears_every_providers_refusal(provider: Sandbox, method: str) -> None:
    with IMAPClient(HOST, provider.imaps.port, **trust(provider, True)) as client:
        with pytest.raises(LoginError):
            getattr(client, method)(provider.new_user(), "wrong")
        user = provider.new_user()
        # The connection is good for another try.
        client.oauth2_login(user, provider.issue_token(user))


def test_imapclient_waits_for_what_aiosmtplib_sends(mailbox: Mailbox) -> None:
    sandbox, user = mailbox.sandbox, mailbox.user
    with IMAPClient(HOST, sandbox.imaps.port, **trust(sandbox, True)) as client:
        client.oauthbearer_login(user, mailbox.token)
        client.select_folder("INBOX")
        client.idle()
        asyncio.run(send_by_aiosmtplib(mailbox, "connect"))
        assert (1, b"EXISTS") in client.idle_check(timeout=TIMEOUT)
        client.idle_done()


# --- imap_tools -----------------------------------------------------------------------------------------------------


def test_imap_tools_hears_a_refusal(provider: Sandbox) -> None:
    box = MailBox(HOST, provider.imaps.port, TIMEOUT, ssl_context=provider.ssl_context())
    with pytest.raises(imaplib.IMAP4.error):
        box.xoauth2(provider.new_user(), "wrong")
    box.client.shutdown()


def test_imap_tools_files_flags_and_deletes(mailbox: Mailbox) -> None:
    sandbox = mailbox.sandbox
    box = MailBox(HOST, sandbox.imaps.port, TIMEOUT, ssl_context=sandbox.ssl_context())
    with box.xoauth2(mailbox.user, mailbox.token):
        box.append(letter(mailbox.user).as_bytes(), "INBOX", flag_set=[MailMessageFlags.SEEN])
        box.folder.create("Ablage/Jörg & Söhne")
        (uid,) = box.uids(AND(seen=True))
        box.flag(uid, ["Projekt"], True)
        box.move(uid, "Ablage/Jörg & Söhne")
        assert box.folder.status("INBOX")["MESSAGES"] == 0
        box.folder.set("Ablage/Jörg & Söhne")
        (found,) = box.fetch(AND(keyword="Projekt"))
        assert set(found.flags) >= {"\\Seen", "Projekt"}
        box.delete(found.uid or "")
        assert box.numbers() == []


def test_imap_tools_waits_for_what_comes(mailbox: Mailbox) -> None:
    sandbox = mailbox.sandbox
    box = MailBox(HOST, sandbox.imaps.port, TIMEOUT, ssl_context=sandbox.ssl_context())
    with box.xoauth2(mailbox.user, mailbox.token), box.idle as idle:
        sender = threading.Thread(target=asyncio.run, args=(send_by_aiosmtplib(mailbox, "connect"),))
        sender.start()
        assert b"* 1 EXISTS" in idle.poll(TIMEOUT)
        sender.join()


# --- aiosmtplib -----------------------------------------------------------------------------------------------------


async def send_by_aiosmtplib(mailbox: Mailbox, way: str) -> None:
    """Log in as *way* says: at ``connect``, or by an ``OAUTHBEARER`` that the library does not know; and send."""
    sandbox, user = mailbox.sandbox, mailbox.user

    async def token() -> str:
        return mailbox.token

    client = aiosmtplib.SMTP(
        hostname=HOST,
        port=sandbox.smtp.port,
        start_tls=True,
        timeout=TIMEOUT,
        tls_context=sandbox.ssl_context(),
        username=user if way == "connect" else None,
        oauth_token_generator=token if way == "connect" else None,
    )
    async with client:
        if way == "OAUTHBEARER":
            await client.ehlo()
            login = base64.b64encode(login_message("OAUTHBEARER", user, mailbox.token).encode())
            assert (await client.execute_command(b"AUTH", b"OAUTHBEARER", login)).code == 235
        await client.send_message(letter(user))


@pytest.mark.parametrize("way", ["connect", "OAUTHBEARER"])
def test_aiosmtplib_logs_in_and_sends(mailbox: Mailbox, way: str) -> None:
    asyncio.run(closed_in_full(send_by_aiosmtplib(mailbox, way)))
    assert mailbox.messages() == [letter(mailbox.user).as_bytes()]


def test_twenty_of_aiosmtplibs_clients_send_at_once(mailbox: Mailbox) -> None:
    asyncio.run(closed_in_full(*(send_by_aiosmtplib(mailbox, "connect") for _ in range(20))))
    assert mailbox.messages() == [letter(mailbox.user).as_bytes()] * 20


# --- smtpproto ------------------------------------------------------------------------------------------------------


class Authenticator(smtpproto.auth.OAuth2Authenticator):
    token = ""

    async def get_token(self) -> smtpproto.auth.JSONWebToken:
        return {"access_token": self.token, "expires_in": 3600}


def send_by_smtpproto(sandbox: Sandbox, user: str, token: str) -> None:
    authenticator = Authenticator(user)
    authenticator.token = token
    client = smtpproto.client.SyncSMTPClient(
        HOST,
        sandbox.smtp.port,
        ssl_context=sandbox.ssl_context(),
        authenticator=authenticator,
        domain="client.test",
        timeout=TIMEOUT,
    )
    client.send_message(letter(user))


def test_smtpproto_sends_to_every_provider(provider: Sandbox) -> None:
    user = provider.new_user()
    send_by_smtpproto(provider, user, provider.issue_token(user))
    assert [found.octets for found in provider.mailboxes.messages(user)] == [letter(user).as_bytes()]


def test_smtpproto_hears_a_refusal(provider: Sandbox) -> None:
    user = provider.new_user()
    with pytest.raises(smtpproto.protocol.SMTPException):
        send_by_smtpproto(provider, user, "wrong")
    assert provider.mailboxes.messages(user) == []
