"""New messages, of texts and files, as octets that any server takes: seven bits, CRLF, lines of bounded length."""

from __future__ import annotations

import functools
import hashlib
import mimetypes
import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .addresses import Address, check_line, written
from .errors import MessageError

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Attachment", "Draft", "attachment", "date_field", "message_id_field"]

# Base64 and quoted-printable pass every server, 8BITMIME or not.
_POLICY = SMTP.clone(cte_type="7bit")
_ANYTHING = ("application", "octet-stream")


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a message.

    Attributes:
        name: the file's name, without folders.
        maintype: of the media type, as ``"image"``.
        subtype: of the media type, as ``"png"``.
        octets: what is in it.
    """

    name: str
    maintype: str
    subtype: str
    octets: bytes = field(repr=False)

    @functools.cached_property
    def digest(self) -> bytes:
        """What tells its content from others; taken once, as one file may go with thousands of messages."""
        return hashlib.sha256(self.octets).digest()


def attachment(path: str | Path) -> Attachment:
    """Read a file to attach; its media type is told from its name.

    Raises:
        MessageError: its name cannot stand in a header.
        OSError: it cannot be read.
    """
    path = Path(path)
    name = check_line(f"the name of the file {str(path)!r}", path.name)
    guessed, encoding = mimetypes.guess_type(path.name)
    # A compressed file is no text; messages and multiparts may not be in base64 (RFC 2046 section 5).
    if guessed is None or encoding is not None or guessed.startswith(("message/", "multipart/")):
        maintype, subtype = _ANYTHING
    else:
        maintype, subtype = guessed.split("/", 1)
    return Attachment(name, maintype, subtype, path.read_bytes())


@dataclass(frozen=True)
class Draft:
    """What a message is to say, and to whom; `MessageError` where a part of it cannot stand in a message.

    Attributes:
        sender: who it is from.
        to: recipients.
        cc: further recipients, whom all can see.
        bcc: further recipients, whom nobody sees: they are in no header.
        reply_to: where answers go, if not to the sender.
        subject: on one line.
        text: the body as plain text, or None.
        html: the body as HTML, or None; with both, mail programs choose.
        attachments: files.
    """

    sender: Address
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()

    def __post_init__(self) -> None:
        check_line("the subject", self.subject)
        for what, text in (("the text", self.text), ("the HTML", self.html)):
            _check_text(what, text or "")

    @property
    def recipients(self) -> tuple[Address, ...]:
        """Everybody it goes to."""
        return self.to + self.cc + self.bcc

    def digest(self) -> str:
        """Return what tells this message from others, the same in every run; 64 hexadecimal digits."""
        sha = hashlib.sha256()
        people = (self.sender, *self.to, None, *self.cc, None, *self.bcc, None, *self.reply_to)
        parts = [each and (each.name, each.address) for each in people]
        files = [(each.name, each.digest) for each in self.attachments]
        sha.update(repr((parts, self.subject, self.text, self.html, files)).encode())
        return sha.hexdigest()

    def octets(self, message_id: str, date: datetime) -> bytes:
        """Return the message.

        Args:
            message_id: with its angle brackets.
            date: when it is sent, with a time zone.
        """
        header = [written("From", [self.sender])]
        people = (("To", self.to), ("Cc", self.cc), ("Reply-To", self.reply_to))
        header += [written(name, addresses) for name, addresses in people if addresses]
        if self.subject:
            header.append(written("Subject", self.subject))
        header += [date_field(date), message_id_field(message_id)]
        return b"".join(header) + self._body()

    def _body(self) -> bytes:
        """Return the MIME part of the header, a blank line, and the body."""
        message = EmailMessage(_POLICY)
        if self.text is not None or self.html is None:
            message.set_content(_lines(self.text or ""))
            if self.html is not None:
                message.add_alternative(_lines(self.html), subtype="html")
        else:
            message.set_content(_lines(self.html), subtype="html")
        for each in self.attachments:
            message.add_attachment(each.octets, each.maintype, each.subtype, filename=each.name)
        return message.as_bytes()


def _check_text(what: str, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise MessageError(f"{what} is not valid text: it has half a character in it") from None


def _lines(text: str) -> str:
    return re.sub(r"\r\n?", "\n", text)


def date_field(date: datetime) -> bytes:
    """Return the field Date (RFC 5322 section 3.6.1)."""
    return f"Date: {format_datetime(date)}\r\n".encode("ascii")


def message_id_field(message_id: str) -> bytes:
    """Return the field Message-ID (RFC 5322 section 3.6.4), never folded: mail programs compare it as it stands."""
    return f"Message-ID: {message_id}\r\n".encode("ascii")
