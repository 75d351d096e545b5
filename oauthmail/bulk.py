"""What became of many messages that were sent over one connection: the results and endings of `SMTP.send_messages`."""

from __future__ import annotations

import smtplib
from dataclasses import dataclass
from typing import Any

from .errors import OAuthMailError

__all__ = ["SendCancelled", "SendInterrupted", "SendResult", "Unfinished"]


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of one message.

    Attributes:
        index: its place among the messages, from 0.
        refused: recipients that the server refused, ``{address: (code, reply)}``.
        reply: the server's reply that decided, ``(code, reply)``; None where it was never asked.
        error: None for a message that was accepted for at least one recipient; otherwise what
            `smtplib.SMTP.send_message` would have raised for it.
    """

    index: int
    refused: dict[str, tuple[int, bytes]]
    reply: tuple[int, bytes] | None
    error: Exception | None

    @property
    def accepted(self) -> bool:
        """Whether the server has taken the message, for at least one recipient."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A message without a result.

    Attributes:
        index: its place among the messages, from 0.
        message: as it was given.
    """

    index: int
    message: Any


class _Ledger(BaseException):
    """What became of the messages of a run that was cut off.

    Attributes:
        accepted: indexes of messages that the server has accepted, as ranges.
        in_doubt: messages whose last octets were sent and whose reply did not come: the server may have them or not.
        unsent: messages that were read from the iterable and are not with the server: sending them again is safe.
    """

    accepted: tuple[range, ...]
    in_doubt: tuple[Unfinished, ...]
    unsent: tuple[Unfinished, ...]

    def __init__(
        self,
        reason: str,
        accepted: tuple[range, ...] = (),
        in_doubt: tuple[Unfinished, ...] = (),
        unsent: tuple[Unfinished, ...] = (),
    ) -> None:
        super().__init__(reason)
        self.accepted = accepted
        self.in_doubt = in_doubt
        self.unsent = unsent

    def __reduce__(self) -> tuple[Any, ...]:
        reason: str = self.args[0]
        return type(self), (reason, self.accepted, self.in_doubt, self.unsent)

    def __str__(self) -> str:
        reason: str = self.args[0]
        told = [f"{sum(map(len, self.accepted))} accepted"]
        for what, messages in (("in doubt", self.in_doubt), ("not sent", self.unsent)):
            where = f" (index {_spans([each.index for each in messages])})" if messages else ""
            told.append(f"{len(messages)} {what}{where}")
        return f"{reason}; of the messages read so far {', '.join(told)}"


class SendInterrupted(_Ledger, OAuthMailError, smtplib.SMTPServerDisconnected):  # noqa: N818  # as KeyboardInterrupt
    """A run of `SMTP.send_messages` ended early: the line dropped, timed out, or the server closed it with a 421.

    Every message that was answered has had its result. The connection is closed.

    Attributes:
        accepted: indexes of messages that the server has accepted, as ranges.
        in_doubt: messages whose last octets were sent and whose reply did not come: the server may have them or not.
        unsent: messages that were read from the iterable and are not with the server: sending them again is safe.
    """


class SendCancelled(_Ledger, KeyboardInterrupt):
    """Ctrl-C ended a run of `SMTP.send_messages`; attributes as of `SendInterrupted`."""


def _spans(indexes: list[int]) -> str:
    """Return indexes in ascending order as text, such as ``3, 7 to 12``."""
    spans: list[list[int]] = []
    for index in indexes:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in spans)
