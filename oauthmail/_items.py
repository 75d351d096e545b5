"""Messages under way, as the run that sends them knows them: from what the caller gave to what became of it."""

from __future__ import annotations

import smtplib
from email.message import Message
from typing import TYPE_CHECKING, Any

from ._outgoing import envelope, octets
from ._transaction import CLOSING, Transaction, canonical
from .bulk import SendResult

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Item", "goodbye", "written"]

# Replies to MAIL that say that nobody is logged in any more (RFC 4954 section 6).
_LOGIN_ENDED = (530, 535)


class Item:
    """A message under way.

    Attributes:
        index: its place among the messages, from 0.
        message: as it was given.
        transaction: its commands and their replies; None until it is written.
        end: the offset of its last octet among all that is sent on this connection; None until that is queued.
        leading: whether the reply to the RSET in front of it is still to come.
        done: whether its fate is known.
        taken: whether somebody's own methods have sent it.
        error: why it could not be written or sent.
    """

    __slots__ = ("done", "end", "error", "index", "leading", "message", "taken", "transaction")

    def __init__(self, index: int, message: Any) -> None:
        self.index = index
        self.message = message
        self.transaction: Transaction | None = None
        self.end: int | None = None
        self.leading = True
        self.done = self.taken = False
        self.error: Exception | None = None

    @property
    def touched(self) -> bool:
        """Whether the server has answered any of its commands."""
        return self.transaction is not None and self.transaction.answered > 0

    def failure(self) -> Exception | None:
        """Return what speaks against it so far."""
        if self.error is None and self.transaction is not None:
            return self.transaction.failure()
        return self.error

    @property
    def login_ended(self) -> bool:
        """Whether it was refused because nobody is logged in."""
        failure = self.failure()
        return isinstance(failure, smtplib.SMTPSenderRefused) and failure.smtp_code in _LOGIN_ENDED

    @property
    def gone(self) -> bool:
        """Whether the server, when it refused it, has ended the login or the connection."""
        return self.login_ended or (self.transaction is not None and self.transaction.closing)

    def decided(self) -> bool:
        """Tell whether the replies so far make its fate certain."""
        transaction = self.transaction
        if self.error is not None or transaction is None:
            return self.error is not None
        return self.taken or transaction.accepted or (transaction.failure() is not None and not transaction.closing)

    def result(self) -> SendResult:
        transaction, error = self.transaction, self.failure()
        reply = None if transaction is None else transaction.final
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            reply = next(iter(error.recipients.values()), None)
        elif isinstance(error, smtplib.SMTPResponseException):
            reply = error.smtp_code, bytes(error.smtp_error)  # type: ignore[arg-type]  # typeshed has str, too
        return SendResult(self.index, {} if transaction is None else transaction.refused, reply, error)


def written(message: Any, features: Mapping[str, str]) -> Transaction:
    """Return a message of a caller's as what is sent; any exception concerns this message alone.

    Args:
        message: an `email.message.Message`, or a tuple ``(from_addr, to_addrs, octets)``.
        features: the server's extensions, as ``esmtp_features`` has them.
    """
    if isinstance(message, Message):
        sender, recipients, options = envelope(message, None, None, "smtputf8" in features)
        _check_recipients(recipients)
        return Transaction(features, sender, recipients, octets(message, options), options)
    if not isinstance(message, tuple) or len(message) != 3:
        raise TypeError(
            f"expected a message object or a tuple (from_addr, to_addrs, octets), not {type(message).__name__}"
        )
    sender, recipients, text = message
    if not isinstance(text, bytes):
        raise TypeError(f"the message in a tuple must be bytes, not {type(text).__name__}")
    recipients = [recipients] if isinstance(recipients, str) else list(recipients)
    _check_recipients(recipients)
    return Transaction(features, sender, recipients, canonical(text))


def _check_recipients(recipients: Collection[str]) -> None:
    if not recipients:
        # What smtplib comes to, which asks the server for a sender's consent first.
        raise smtplib.SMTPRecipientsRefused({})


def goodbye(refusal: smtplib.SMTPException) -> tuple[int, bytes] | None:
    """Return the 421 that a message was refused with, if it was."""
    if isinstance(refusal, smtplib.SMTPRecipientsRefused):
        return next((reply for reply in refusal.recipients.values() if reply[0] == CLOSING), None)
    if isinstance(refusal, smtplib.SMTPResponseException) and refusal.smtp_code == CLOSING:
        return CLOSING, bytes(refusal.smtp_error)  # type: ignore[arg-type]  # typeshed has str, too
    return None
