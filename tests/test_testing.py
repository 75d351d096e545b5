"""The pytest plugin, used as another project would."""

from __future__ import annotations

import imaplib
import ssl
from pathlib import Path

import pytest

from oauthmail import IMAP4_SSL, POP3_SSL, SMTP, AuthenticationError
from oauthmail.testing import Mailbox

pytest_plugins = ["pytester"]

EXAMPLE = Path(__file__).parent.parent / "docs" / "example"


def log_in(mailbox: Mailbox, token: str | None = None) -> IMAP4_SSL:
    address = mailbox.sandbox.imaps
    context = mailbox.sandbox.ssl_context()
    imap = IMAP4_SSL(address.host, address.port, ssl_context=context, timeout=10)
    try:
        imap.authenticate_oauth(mailbox.user, token or mailbox.token)
    except BaseException:
        imap.shutdown()
        raise
    return imap


def test_a_mailbox_comes_with_a_token_that_opens_it(oauth_mailbox: Mailbox) -> None:
    with log_in(oauth_mailbox) as imap:
        assert imap.select()[0] == "OK"


def test_what_is_sent_is_what_is_read(oauth_mailbox: Mailbox) -> None:
    sandbox, user = oauth_mailbox.sandbox, oauth_mailbox.user
    message = b"Subject: Report\r\n\r\n.dot\r\ncaf\xc3\xa9\r\n"
    with SMTP(sandbox.smtp.host, sandbox.smtp.port, timeout=10) as smtp:
        smtp.starttls(context=sandbox.ssl_context())
        smtp.authenticate_oauth(user, oauth_mailbox.token)
        smtp.sendmail(user, [user], message)
    pop3 = POP3_SSL(sandbox.pop3s.host, sandbox.pop3s.port, context=sandbox.ssl_context(), timeout=10)
    pop3.authenticate_oauth(user, oauth_mailbox.token)
    over_pop3 = b"\r\n".join([*pop3.retr(1)[1], b""])
    pop3.quit()
    with log_in(oauth_mailbox) as imap:
        imap.select()
        over_imap = imap.fetch("1", "(RFC822)")[1][0][1]  # type: ignore[index]  # typeshed allows for None
    assert oauth_mailbox.messages()[0].endswith(message)
    assert over_imap == over_pop3 == oauth_mailbox.messages()[0]


def test_every_test_has_a_user_of_its_own(oauth_mailbox: Mailbox) -> None:
    assert (oauth_mailbox.messages(), oauth_mailbox.received()) == ([], [])


def test_lines_that_were_received_show_no_token(oauth_mailbox: Mailbox) -> None:
    log_in(oauth_mailbox).logout()
    assert [line.partition(" ")[2] for line in oauth_mailbox.received("imap")] == [
        f"AUTHENTICATE XOAUTH2 <fingerprint {oauth_mailbox_fingerprint(oauth_mailbox)}>",
        "LOGOUT",
    ]


def oauth_mailbox_fingerprint(mailbox: Mailbox) -> str:
    from oauthmail.sandbox.state import fingerprint

    return fingerprint(mailbox.token)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        pytest.param({"expires_in": 0}, "Sign in again", id="expired"),
        pytest.param({"scope": ("profile",)}, "lacks a permission", id="without the scope"),
        pytest.param({"scope": ("smtp",)}, "lacks a permission", id="for another protocol"),
    ],
)
def test_a_bad_token_can_be_had(oauth_mailbox: Mailbox, arguments: dict[str, object], hint: str) -> None:
    token = oauth_mailbox.issue_token(**arguments)  # type: ignore[arg-type]  # the table's values are of every kind
    with pytest.raises(AuthenticationError) as caught:
        log_in(oauth_mailbox, token)
    assert hint in caught.value.hint


def test_a_fault_happens_once(oauth_mailbox: Mailbox) -> None:
    oauth_mailbox.fault("temporary", service="imap")
    with pytest.raises(AuthenticationError, match="UNAVAILABLE"):
        log_in(oauth_mailbox)
    log_in(oauth_mailbox).logout()


def test_a_mailbox_that_does_not_open_is_told_at_the_first_command(oauth_mailbox: Mailbox) -> None:
    oauth_mailbox.fault("not_connected", service="imap")
    imap = log_in(oauth_mailbox)
    with pytest.raises(AuthenticationError, match="may not open"):
        imap.select()


def test_a_dropped_line_is_the_standard_librarys_exception(oauth_mailbox: Mailbox) -> None:
    oauth_mailbox.fault("drop", service="imap")
    with pytest.raises((imaplib.IMAP4.abort, ssl.SSLError, OSError)):
        log_in(oauth_mailbox)


def test_the_example_project_of_the_documentation_passes(pytester: pytest.Pytester) -> None:
    for name in ("report.py", "test_report.py"):
        pytester.path.joinpath(name).write_text((EXAMPLE / name).read_text("utf-8"), "utf-8")
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=3)
