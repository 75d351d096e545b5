"""A mailbox from its set-up to its end over real servers: authorize, send, renew, revoked, told, authorize again."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oauthmail import Account, FileStore, FlowError, OAuth2Credentials
from oauthmail.sandbox.live.process import eventually

if TYPE_CHECKING:
    from .conftest import LiveServers


def message(user: str, subject: str) -> EmailMessage:
    made = EmailMessage()
    made["From"] = made["To"] = user
    made["Subject"] = subject
    made.set_content("It works.\n")
    return made


def send(account: Account, subject: str) -> None:
    with account.smtp() as smtp:
        smtp.send_message(message(account.address, subject))


def subjects(account: Account) -> list[str]:
    with account.imap() as imap:
        imap.select()
        found = imap.fetch("1:*", "(BODY[HEADER.FIELDS (SUBJECT)])")[1]
    return [part[1].decode().removeprefix("Subject: ").strip() for part in found if isinstance(part, tuple)]


def held(account: Account) -> OAuth2Credentials:
    assert account.record is not None
    assert isinstance(account.record.credentials, OAuth2Credentials)
    return account.record.credentials


def test_a_whole_life(servers: LiveServers, tmp_path: Path) -> None:
    tokens = servers.web.store.refresh_tokens
    account = Account(
        servers.new_user(),
        provider=servers.provider,
        application=servers.application,
        store=FileStore(tmp_path / "home"),
        timeout=10,
    )
    account.authorize(open_browser=servers.browser())
    send(account, "first")

    first, issued = held(account), len(tokens)
    servers.expire_token(first.access_token)
    send(account, "second")
    # One request: one refresh token more than before, and the old one used.
    assert (held(account).access_token != first.access_token, len(tokens) - issued) == (True, 1)
    assert eventually(lambda: subjects(account) == ["first", "second"], 10)

    ended = held(account)
    assert ended.refresh_token is not None
    servers.web.store.end_grant(tokens[ended.refresh_token].grant)
    with pytest.raises(FlowError) as caught:
        send(account, "never")
    assert caught.value.authorize_again
    # Nothing is thrown away over it.
    assert held(account) == ended

    # Another program on the same machine needs nothing but the address.
    again = Account(account.address, store=FileStore(tmp_path / "home"), timeout=10)
    again.authorize(open_browser=servers.browser())
    send(again, "third")
    assert eventually(lambda: subjects(account) == ["first", "second", "third"], 10)


def test_a_mailbox_that_is_set_up_is_read_over_pop3(servers: LiveServers, tmp_path: Path) -> None:
    account = Account(
        servers.new_user(),
        provider=servers.provider,
        application=servers.application,
        store=FileStore(tmp_path),
        timeout=10,
    )
    tmp_path.chmod(0o700)
    account.authorize(open_browser=servers.browser())
    with account.pop() as pop:
        assert pop.stat() == (0, 0)
