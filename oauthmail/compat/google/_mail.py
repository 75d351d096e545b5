"""The one message that the Gmail blog's script sends."""

from __future__ import annotations

import email.message
import email.utils
import html.parser
from collections.abc import Sequence

from ... import SMTP, Account, CredentialsError
from ...flows._quiet import private
from ._logins import TIMEOUT, address, submitting

__all__ = ["letter", "send", "send_as_set_up"]

_UNSEEN = frozenset({"head", "script", "style", "title"})
_LINES = frozenset(
    {"br", "p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "tr", "table", "ul", "ol", "blockquote"}
)


class _Text(html.parser.HTMLParser):
    """Collects what a reader of HTML sees."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in _UNSEEN
        if tag in _LINES:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in _UNSEEN))
        if tag in _LINES:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)


def _text(message: str) -> str:
    reader = _Text()
    reader.feed(message)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).splitlines())
    return "\n".join(filter(None, lines)) + "\n"


def letter(fromaddr: str, toaddr: str | Sequence[str], subject: str, message: str) -> email.message.EmailMessage:
    """Return the message, as text and as HTML.

    Raises:
        ValueError: a header would have a line end in it.
    """
    made = email.message.EmailMessage()
    made["From"] = fromaddr
    made["To"] = toaddr if isinstance(toaddr, str) else ", ".join(toaddr)
    made["Subject"] = subject
    made["Date"] = email.utils.localtime()
    # Not this machine's name, which is nobody's business, and which it takes time to find out.
    made["Message-ID"] = email.utils.make_msgid(domain=_sender(made).partition("@")[2] or "localhost")
    made.set_content(_text(message))
    made.add_alternative(message, subtype="html")
    return made


def _sender(made: email.message.EmailMessage) -> str:
    return email.utils.parseaddr(str(made["From"]))[1]


@private
def send(hostname: str, made: email.message.EmailMessage, token: str) -> None:
    """Send a message with an access token."""
    with submitting(SMTP(*address(hostname, 587), timeout=TIMEOUT)) as smtp:
        smtp.authenticate_oauth(_sender(made), token)
        smtp.send_message(made)


def send_as_set_up(made: email.message.EmailMessage) -> None:
    """Send a message with what is stored for the sender's mailbox."""
    account = Account(_sender(made))
    if account.record is None:
        raise CredentialsError(
            "nothing says how to open the sender's mailbox: set GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET and "
            f"GOOGLE_REFRESH_TOKEN, or set it up with  oauthmail authorize {account.address}"
        )
    with account.smtp() as smtp:
        smtp.send_message(made)
