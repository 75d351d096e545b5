"""What a message object becomes before it is sent: envelope and octets, as `smtplib.SMTP.send_message` has them."""

from __future__ import annotations

import email.utils
import re
import smtplib

from ._flatten import flatten
from ._transaction import ADDRESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from email.message import Message

__all__ = ["envelope", "octets"]

# The options of MAIL for a message with addresses outside ASCII (RFC 6531).
_INTERNATIONAL = ("SMTPUTF8", "BODY=8BITMIME")

# One as headers have it, perhaps behind a name of plain words.
_MAILBOX = rf"(?:(?:[A-Za-z0-9-]+ )*<({ADDRESS})>|({ADDRESS}))"
_one = re.compile(_MAILBOX).finditer
_all = re.compile(rf"{_MAILBOX}(?:, {_MAILBOX})*").fullmatch


def envelope(
    message: Message, from_addr: str | None, to_addrs: Sequence[str] | None, smtputf8: bool
) -> tuple[str, Sequence[str], tuple[str, ...]]:
    """Return sender, recipients, and the options that MAIL needs for them.

    Args:
        message: an `email.message.Message` or `email.message.EmailMessage`.
        from_addr: the sender; None for the one that the header names (Sender before From, Resent- before the others).
        to_addrs: the recipients; None for those in To, Cc and Bcc.
        smtputf8: whether the server offers SMTPUTF8.

    Raises:
        ValueError: the message has been resent more than once, so that its header does not tell the envelope.
        smtplib.SMTPNotSupportedError: an address is not ASCII, and the server does not offer SMTPUTF8.
    """
    resent = message.get_all("Resent-Date")
    if resent is not None and len(resent) > 1:
        # Nothing tells in which order they were.
        raise ValueError("message has more than one 'Resent-' header block")
    prefix = "" if resent is None else "Resent-"
    if from_addr is None:
        name = f"{prefix}Sender"
        from_addr = _addresses([message[name if name in message else f"{prefix}From"]])[0]
    if to_addrs is None:
        fields = [message[f"{prefix}{name}"] for name in ("To", "Bcc", "Cc")]
        to_addrs = _addresses([field for field in fields if field is not None])
    if "".join([from_addr, *to_addrs]).isascii():
        return from_addr, to_addrs, ()
    if not smtputf8:
        raise smtplib.SMTPNotSupportedError(
            "One or more source or delivery addresses require internationalized email support, but the server does not "
            "advertise the required SMTPUTF8 capability"
        )
    return from_addr, to_addrs, _INTERNATIONAL


def octets(message: Message, options: Sequence[str]) -> bytes:
    """Return the message without Bcc, for an envelope with these options."""
    return flatten(message, utf8=bool(options))


def _addresses(fields: list[str]) -> list[str]:
    text = ", ".join(fields) if all(isinstance(field, str) for field in fields) else ""
    if _all(text):
        return [found[1] or found[2] for found in _one(text)]
    return [address for _, address in email.utils.getaddresses(fields)]
