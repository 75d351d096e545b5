"""What IMAP's commands after the login work on."""

from __future__ import annotations

from collections.abc import Callable

from .imap_syntax import BadError, Parser
from .imap_view import View
from .mailbox import Mailboxes

__all__ = ["Command", "Session"]


class Session:
    """One user's session.

    Attributes:
        mailboxes: everybody's messages.
        user: whose are open.
        view: the selected mailbox, or None.
        output: untagged responses to send before the tagged one.
    """

    def __init__(self, mailboxes: Mailboxes, user: str) -> None:
        self.mailboxes = mailboxes
        self.user = user
        self.view: View | None = None
        self.output: list[bytes] = []

    def untagged(self, octets: bytes) -> None:
        """Add an untagged response."""
        self.output.append(b"* " + octets + b"\r\n")

    def selected(self) -> View:
        """Return the selected mailbox.

        Raises:
            BadError: none is.
        """
        if self.view is None:
            raise BadError("No mailbox is selected")
        return self.view

    def report(self, *, expunges: bool) -> None:
        """Add what happened to the selected mailbox."""
        if self.view is not None:
            for change in self.view.changes(expunges=expunges):
                self.untagged(change)


#: Takes the arguments, from the space before them on, and returns the tagged reply without its tag.
Command = Callable[[Session, Parser], str]
