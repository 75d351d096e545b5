"""A pytest plugin: test your own mail code against the sandbox.

It is active wherever oauthmail is installed with the extra ``sandbox``::

    def test_my_script_sends(oauth_mailbox):
        send_report(oauth_mailbox.user, oauth_mailbox.token, host="localhost", port=oauth_mailbox.sandbox.smtp.port)
        assert b"Subject: Report" in oauth_mailbox.messages()[0]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .sandbox.state import Fault

__all__ = ["Mailbox", "oauth_mailbox", "oauth_sandbox"]


class Mailbox:
    """A fresh user of the sandbox, with a token.

    Attributes:
        sandbox: the running sandbox; its servers' addresses are there.
        user: the mailbox address.
        token: an access token for it, good for an hour.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.user = sandbox.new_user()
        self.token = sandbox.issue_token(self.user)
        self._seen = len(sandbox.received())

    def issue_token(
        self, *, scope: tuple[str, ...] = ("mail",), expires_in: float = 3600, length: int | None = None
    ) -> str:
        """Return another access token for this mailbox; see `Sandbox.issue_token`."""
        return self.sandbox.issue_token(self.user, scope=scope, expires_in=expires_in, length=length)

    def fault(self, kind: str, *, service: str | None = None, number: float = 0, times: int | None = 1) -> Fault:
        """Have something go wrong until the test ends; see `Sandbox.fault`."""
        return self.sandbox.fault(kind, service=service, number=number, times=times)

    def received(self, service: str | None = None) -> list[str]:
        """Return what the mail servers received since the test began; secrets stand as fingerprints."""
        lines = self.sandbox.state.lines[self._seen :]
        return [line.text for line in lines if service in (None, line.service)]

    def messages(self) -> list[bytes]:
        """Return the messages in the mailbox's INBOX, oldest first."""
        return [message.octets for message in self.sandbox.mailboxes.messages(self.user)]


@pytest.fixture(scope="session")
def oauth_sandbox() -> Iterator[Sandbox]:
    """A sandbox that runs for the whole test session."""
    from .sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def oauth_mailbox(oauth_sandbox: Sandbox) -> Iterator[Mailbox]:
    """A fresh user with a token; faults end with the test."""
    yield Mailbox(oauth_sandbox)
    oauth_sandbox.clear_faults()
