"""The messages that the benchmarks send, each as an `EmailMessage` and as octets, and those that they read."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP

SENDER = "sender@example.com"
READER = "reader@mail.test"
#: Characters of a text of one kilobyte, and octets of an attachment that makes a megabyte in base64.
SMALL = 1000
MEGABYTE = 730_000


@dataclass(frozen=True)
class Letter:
    """One message and who is to get it.

    Attributes:
        recipients: the addresses, refused ones included.
        message: as a program has it.
        octets: as it travels, before dots are stuffed.
        attachment: what is attached, or empty.
    """

    recipients: tuple[str, ...]
    message: EmailMessage
    octets: bytes
    attachment: bytes = b""

    @property
    def text(self) -> str:
        """Return the text to read."""
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content())


def letter(number: int, *, attachment: int = 0, recipients: int = 1, refused: int = 0) -> Letter:
    """Make message *number*.

    Args:
        number: makes it another message than the others.
        attachment: octets to attach.
        recipients: how many get it.
        refused: how many more recipients the sink refuses.
    """
    chance = random.Random(number)  # noqa: S311  # the same messages in every run
    to = tuple(f"recipient-{number}-{n}@example.com" for n in range(recipients))
    to = (*(f"refused-{n}@example.com" for n in range(refused)), *to)
    message = EmailMessage()
    message["From"] = f"Sender <{SENDER}>"
    message["To"] = ", ".join(to)
    message["Subject"] = f"Number {number} of the letters that are sent"
    message["Date"] = "Thu, 01 Jan 2026 12:00:00 +0000"
    message["Message-ID"] = f"<{number}.bench@example.com>"
    words = ["a", "letter", "of", "plain", "words", "that", "fill", "some", "lines"]
    lines = [" ".join(chance.choices(words, k=12)) for _ in range(SMALL // 60)]
    message.set_content("\n".join(lines) + "\n")
    attached = chance.randbytes(attachment)
    if attached:
        message.add_attachment(attached, "application", "octet-stream", filename="attached.bin")
    return Letter(to, message, message.as_bytes(policy=SMTP), attached)


def received(number: int, size: int) -> bytes:
    """Return message *number* of a mailbox, of about *size* octets."""
    chance = random.Random(number)  # noqa: S311  # the same messages in every run
    headers = (
        f"From: Sender {number} <sender-{number}@example.com>\r\nTo: <{READER}>\r\nSubject: Number {number}\r\n"
        f"Date: Thu, 01 Jan 2026 12:00:00 +0000\r\nMessage-ID: <{number}.bench@example.com>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    )
    words = ["some", "words", "that", "fill", "a", "line", "and", "another", "one."]
    line = " ".join(chance.choices(words, k=13)) + "\r\n"
    return (headers + line * ((size - len(headers)) // len(line))).encode("ascii")


def flattened_by_hand(message: EmailMessage) -> bytes:
    """Return what `message.as_bytes` with the SMTP policy does, for the messages of this module and no others.

    With one recipient their header lines are short, and their bodies are ASCII with short lines: nothing has to be
    folded or encoded.
    """
    if not message.is_multipart():
        return _entity(message)
    boundary = message.get_boundary() or base64.b16encode(random.randbytes(15)).decode("ascii")  # noqa: S311  # no secret
    line = f"--{boundary}\r\n".encode("ascii")
    pieces = [_headers(message, f'Content-Type: multipart/mixed; boundary="{boundary}"\n')]
    for part in message.iter_parts():
        pieces += [line, _entity(part), b"\r\n"]
    return b"".join([*pieces, line[:-2], b"--\r\n"])


def _entity(message: MIMEPart) -> bytes:
    return _headers(message) + str(message.get_payload()).encode("ascii").replace(b"\n", b"\r\n")


def _headers(message: MIMEPart, instead: str = "") -> bytes:
    """Return the header and the blank line; *instead* takes the place of Content-Type."""
    lines = [f"{name}: {text}\n" for name, text in message.raw_items() if not instead or name != "Content-Type"]
    return f"{''.join(lines)}{instead}\n".replace("\n", "\r\n").encode("ascii")
