"""Its tests, against the sandbox: no account, no network, no fake in place of smtplib."""

import pytest
from report import send_report

from oauthmail import AuthenticationError
from oauthmail.testing import Mailbox


def send(mailbox: Mailbox, *tokens: str) -> None:
    sandbox = mailbox.sandbox
    give = iter(tokens or [mailbox.token, mailbox.token]).__next__
    send_report(sandbox.smtp.host, sandbox.smtp.port, mailbox.user, give, "All is well.", sandbox.ssl_context())


def test_the_report_arrives(oauth_mailbox: Mailbox) -> None:
    send(oauth_mailbox)
    assert b"Subject: Report" in oauth_mailbox.messages()[0]


def test_a_busy_server_is_tried_again(oauth_mailbox: Mailbox) -> None:
    oauth_mailbox.fault("temporary", service="smtp")
    send(oauth_mailbox)
    assert len(oauth_mailbox.messages()) == 1


def test_a_revoked_token_is_reported(oauth_mailbox: Mailbox) -> None:
    oauth_mailbox.sandbox.revoke_token(oauth_mailbox.token)
    with pytest.raises(AuthenticationError, match="Sign in again"):
        send(oauth_mailbox)
