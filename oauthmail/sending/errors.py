"""What goes wrong before or between messages; what a server says of one message is no exception but an outcome."""

from __future__ import annotations

from .. import OAuthMailError

__all__ = ["JournalError", "MessageError", "StoppedError"]


class MessageError(OAuthMailError, ValueError):
    """A message that cannot be sent as it is; nothing of it was sent.

    The text names the message and the part of it that is at fault.
    """


class JournalError(OAuthMailError, OSError):
    """The record of what was accepted cannot be read, written or had to oneself.

    Nothing is sent without it, as a message that nobody remembers would be sent twice.
    """

    def __str__(self) -> str:
        # OSError's own would expect a number and a file name.
        return str(self.args[0])


class StoppedError(OAuthMailError):
    """The server takes no message from this sender; the message at hand was not sent, and none after it.

    Attributes:
        temporary: whether it may do so later.
    """

    def __init__(self, words: str, *, temporary: bool) -> None:
        super().__init__(words)
        self.temporary = temporary

    def __reduce__(self) -> tuple[object, ...]:
        return type(self)._again, (self.args[0], self.temporary)

    @classmethod
    def _again(cls, words: str, temporary: bool) -> StoppedError:
        return cls(words, temporary=temporary)

    def __str__(self) -> str:
        return f"the server takes no more messages from this mailbox{' for now' * self.temporary}: {self.args[0]}"
