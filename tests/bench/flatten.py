"""How many messages a second are written out, beside the standard library's way: ``python -m tests.bench.flatten``.

Each round writes with both, one after the other, and measures the time of the processor; the best round of each counts.
The rows that say "new" write each message once, so that no header object has been seen before; the others write one
message again and again. Ratios hold on one machine in one run; nothing here passes or fails.
"""

from __future__ import annotations

import email.policy
import sys
import time
from collections.abc import Callable
from email.message import EmailMessage, Message
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

from oauthmail._flatten import flatten

from ..flattening import parents_way

ROUNDS = 7
#: Seconds that a round of one way should take.
ROUND = 0.05

_LINES = "A line of a message that tells of this and that.\n" * 10


def small(number: int = 0) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Me Myself <me@example.com>"
    message["To"] = f"Somebody Else <user{number}@example.org>"
    message["Subject"] = "News of the week"
    message["Date"] = "Mon, 01 Jan 2024 10:00:00 +0000"
    message["Message-ID"] = f"<{number}.1234567890@example.com>"
    message.set_content(_LINES)
    return message


def not_in_ascii() -> EmailMessage:
    message = small()
    message.replace_header("Subject", "Größere Neuigkeiten der Woche")
    return message


def with_html(number: int = 0) -> EmailMessage:
    message = small(number)
    message.add_alternative(f"<p>{_LINES}</p>\n", subtype="html")
    return message


def to_ten() -> EmailMessage:
    message = small()
    message.replace_header("To", ", ".join(f"Person {number} <user{number}@example.org>" for number in range(10)))
    return message


def with_attachment(size: int, policy: Any = email.policy.default) -> EmailMessage:
    message = EmailMessage(policy)
    for name, value in small().items():
        if not name.startswith(("Content", "MIME")):
            message[name] = value
    message.set_content(_LINES)
    octets = bytes(range(256)) * (size // 256)
    message.add_attachment(octets, maintype="application", subtype="octet-stream", filename="a.bin")
    return message


def of_parts(count: int) -> EmailMessage:
    message = small()
    for number in range(count):
        message.add_attachment(_LINES, filename=f"{number}.txt")
    return message


def compat32() -> Message:
    message = MIMEMultipart()
    message["From"], message["To"], message["Subject"] = "me@example.com", "you@example.org", "News of the week"
    message.attach(MIMEText(_LINES))
    message.attach(MIMEApplication(bytes(range(256)) * 40, Name="a.bin"))
    return message


def with_fields(count: int) -> EmailMessage:
    message = small()
    for number in range(count):
        message[f"X-{number}"] = "Grüße " * 3 + str(number)
    return message


def nested(depth: int) -> Message:
    message: Message = MIMEText(_LINES)
    for number in range(depth):
        outer = MIMEMultipart(boundary=f"b{number}")
        outer.attach(message)
        message = outer
    return message


class Subclass(EmailMessage):
    """What a subclass does is not known, so all is left to the generator."""


def of_a_subclass() -> EmailMessage:
    message = small()
    message.__class__ = Subclass
    return message


def signed() -> EmailMessage:
    message = with_html()
    message.replace_header("Content-Type", 'multipart/signed; boundary="b"')
    return message


MESSAGES: dict[str, Callable[[], Message]] = {
    "small text": small,
    "small text, Subject not in ASCII": not_in_ascii,
    "small text + html": with_html,
    "small text, 10 recipients": to_ten,
    "1 MB attachment": lambda: with_attachment(1 << 20),
    "1 MB attachment, policy SMTP": lambda: with_attachment(1 << 20, email.policy.SMTP),
    "10 MB attachment": lambda: with_attachment(10 << 20),
    "200 parts": lambda: of_parts(200),
    "compat32 tree, 10 kB attachment": compat32,
    "30 multiparts in each other": lambda: nested(30),
    "1000 fields that are all folded": lambda: with_fields(1000),
    "left to the generator: a subclass": of_a_subclass,
    "left to the generator: signed": signed,
}
#: Rows whose messages are built anew, so that no header object has been seen before.
NEW: dict[str, Callable[[int], Message]] = {"small text, new": small, "small text + html, new": with_html}


def seconds(write: Callable[[Message], bytes], messages: list[Message]) -> float:
    """Return the processor's seconds for one message."""
    begun = time.process_time()
    for message in messages:
        write(message)
    return (time.process_time() - begun) / len(messages)


def compared(make: Callable[[int], list[Message]]) -> tuple[float, float]:
    """Return the seconds for one message, the standard library's way and ours, each at best of all rounds."""
    first = seconds(parents_way, make(1))
    seconds(flatten, make(1))
    count = max(1, int(ROUND / max(first, 1e-6)))
    theirs, ours = zip(
        *((seconds(parents_way, make(count)), seconds(flatten, make(count))) for _ in range(ROUNDS)), strict=True
    )
    return min(theirs), min(ours)


def again(message: Message) -> Callable[[int], list[Message]]:
    return lambda count: [message] * count


def anew(make: Callable[[int], Message]) -> Callable[[int], list[Message]]:
    return lambda count: list(map(make, range(count)))


def main() -> int:
    sys.stdout.write(f"Messages a second, Python {sys.version.split()[0]}\n\n")
    sys.stdout.write(f"  {'':<36}{'email.generator':>16}{'oauthmail':>12}{'ratio':>8}\n")
    rows = {name: again(make()) for name, make in MESSAGES.items()}
    for name, messages in {**rows, **{name: anew(make) for name, make in NEW.items()}}.items():
        theirs, ours = compared(messages)
        sys.stdout.write(f"  {name:<36}{1 / theirs:>16,.1f}{1 / ours:>12,.1f}{theirs / ours:>8.2f}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
