"""Messages that the servers are tried with, and what the email package makes of them."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import SMTP

__all__ = ["SAMPLES", "numbered"]


def _plain() -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = "Bob Example <bob@example.org>"
    message["To"] = "alice@example.org, Carol <carol@example.org>"
    message["Cc"] = '"Comma, Name" <comma@example.org>'
    message["Subject"] = "plain"
    message["Date"] = "Mon, 02 Feb 2026 10:00:00 +0100"
    message["Message-ID"] = "<plain@example.org>"
    message.set_content("first line\n.\n..dots\nlast line\n")
    return message


def _attachments() -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = "Zoë <zoe@example.org>"
    message["To"] = "alice@example.org"
    message["Sender"] = "list@example.org"
    message["Reply-To"] = "answers@example.org"
    message["In-Reply-To"] = "<plain@example.org>"
    message["Subject"] = "Füße und ein langer Betreff, der über mehr als eine Zeile im Kopf der Nachricht geht"
    message["Date"] = "Tue, 03 Mar 2026 23:30:00 -0500"
    message.set_content("Grüße aus dem Text\n")
    message.add_alternative("<p>Grüße aus HTML</p>\n", subtype="html")
    message.add_attachment(bytes(range(256)) * 20, maintype="image", subtype="png", filename="bild.png")
    message.add_attachment(b"a,b\r\n1,2\r\n", maintype="text", subtype="csv", filename="täbelle.csv")
    return message


def _forwarded() -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = "bob@example.org"
    message["To"] = "alice@example.org"
    message["Subject"] = "forwarded"
    message["Date"] = "Wed, 01 Apr 2026 12:00:00 +0000"
    message.set_content("see below\n")
    message.add_attachment(_attachments())
    message.add_attachment(_plain())
    return message


#: By name, as octets with CRLF.
SAMPLES = {
    "plain": _plain().as_bytes(),
    "attachments": _attachments().as_bytes(),
    "forwarded": _forwarded().as_bytes(),
    "html": b"From: bob@example.org\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>h\xc3\xa9</p>\r\n",
    "folded": b"From: bob@example.org\r\nSubject: one\r\n two\r\n\tthree\r\nX-Empty:\r\n\r\nbody\r\n",
    "no body": b"From: bob@example.org\r\nSubject: nothing\r\n\r\n",
    "no end": b"From: bob@example.org\r\nSubject: no line end\r\n\r\nlast",
    "8-bit": b"From: B\xc3\xb6b <bob@example.org>\r\nSubject: \xc3\xa4\r\n\r\n\xff\xfe\r\n",
    "digest": b"Content-Type: multipart/digest; boundary=xx\r\n\r\npreamble\r\n--xx\r\n\r\nSubject: in a digest\r\n\r\n"
    b"text\r\n--xx--\r\nepilogue\r\n",
}


def numbered(octets: bytes) -> dict[str, Message]:
    """Return the parts of a message by IMAP's numbers, as the email package has them."""
    found: dict[str, Message] = {}

    def walk(message: Message, prefix: str) -> None:
        parts = message.get_payload() if message.get_content_maintype() == "multipart" else [message]
        assert isinstance(parts, list)
        for number, part in enumerate(parts, 1):
            assert isinstance(part, Message)
            name = f"{prefix}{number}"
            found[name] = part
            if part.get_content_maintype() == "multipart":
                walk(part, f"{name}.")
            elif part.get_content_type() == "message/rfc822":
                walk(part.get_payload()[0], f"{name}.")  # type: ignore[arg-type, index]

    walk(message_from_bytes(octets), "")
    return found
