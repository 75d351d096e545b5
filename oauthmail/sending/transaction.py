"""One message over one connection (RFC 5321 section 3.3): everything up to its last octets, and then these.

::

    C: MAIL FROM:<me@example.com> SIZE=1234
    S: 250
    C: RCPT TO:<ada@example.org>
    S: 250                                      for each recipient: taken, refused for now (4…) or for good (5…)
    C: DATA
    S: 354
    C: the message
                                                up to here, a lost connection does no harm
    C: .
    S: 250 2.0.0 OK
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .._redact import printable
from .errors import StoppedError

if TYPE_CHECKING:
    from .. import SMTP

__all__ = ["LostError", "Outcome", "Transaction", "words_of"]

# RFC 5321 section 4.5.3.2.6: giving up on this answer earlier makes a doubt where there is none.
_FINAL_TIMEOUT = 600.0
# A socket's timeout is for one call, however much that has to send.
_BLOCK = 1 << 16
_FIRST_DOT = re.compile(rb"^\.", re.MULTILINE)

_OK = (250, 251)
_CLOSING = 421
_GO_AHEAD = 354
_TOO_LARGE = 552
# A server says these when the login is not valid any more (RFC 4954 section 6).
_LOGIN_AGAIN = (530, 534, 535, 538)
# RFC 3463's "mail system congestion", which is Gmail's for the day's limit; and what Exchange Online says.
_LIMIT = re.compile(r"^[45]\d\d[ -][45]\.4\.5\b|SubmissionQuotaExceeded")


class LostError(Exception):
    """The connection has to be made anew; the message was not taken."""


@dataclass
class Outcome:
    """What became of one message; every recipient is in one of the four.

    Attributes:
        accepted: for these the server took it.
        refused: these are refused for good; with the server's words.
        deferred: these are refused for now; with the server's words.
        doubtful: for these it was handed over, and the answer is not known.
        reply: the server's words on the message.
    """

    accepted: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    deferred: dict[str, str] = field(default_factory=dict)
    doubtful: list[str] = field(default_factory=list)
    reply: str = ""

    def refuse(self, recipients: Iterable[str], words: str) -> None:
        """Note a refusal: for now, or for good, as its code says."""
        (self.deferred if words.startswith("4") else self.refused).update(dict.fromkeys(recipients, words))

    def add(self, other: Outcome) -> None:
        """Note what became of other recipients of the same message, or of the same in another attempt."""
        for each in (*other.accepted, *other.refused, *other.doubtful):
            self.deferred.pop(each, None)
        self.accepted += other.accepted
        self.refused |= other.refused
        self.deferred |= other.deferred
        self.doubtful += other.doubtful
        self.reply = other.reply or self.reply


class Transaction:
    """A message on its way to some recipients.

    Args:
        client: connected and logged in.
        sender: the envelope's sender.
        recipients: the envelope's recipients.
        octets: the message, its line ends CRLF.

    Attributes:
        outcome: what became of it so far.
        pending: recipients that the server has taken; the message is theirs as soon as it is complete.
    """

    def __init__(self, client: SMTP, sender: str, recipients: Sequence[str], octets: bytes) -> None:
        self._client = client
        self._sender = sender
        self._recipients = recipients
        self._octets = octets
        self.outcome = Outcome()
        self.pending: list[str] = []

    def announce(self) -> bool:
        """Say everything up to the message's last octets; return whether there is anybody to say these for.

        Raises:
            LostError: the server closes the connection, or wants another login.
            StoppedError: it takes nothing from this sender.
            smtplib.SMTPServerDisconnected: the connection was lost.
        """
        if self._mail() and self._rcpt() and self._data():
            return True
        self._client.rset()
        return False

    def end(self) -> None:
        """Say the message's last octets and hear what becomes of it.

        Raises:
            StoppedError: the server takes nothing more from this sender; not this message either.
            smtplib.SMTPServerDisconnected: the connection was lost, and nobody knows whether the message was taken.
        """
        sock = self._client.sock
        timeout = None if sock is None else sock.gettimeout()
        if sock is not None and timeout is not None:
            sock.settimeout(max(timeout, _FINAL_TIMEOUT))
        self._client.send(b".\r\n")
        code, words = words_of(self._client.getreply())
        if sock is not None and self._client.sock is sock:
            sock.settimeout(timeout)
        self.outcome.reply = words
        if code in _OK:
            self.outcome.accepted = self.pending
            return
        if _LIMIT.search(words):
            self.outcome.deferred.update(dict.fromkeys(self.pending, words))
            raise _stopped(words)
        self.outcome.refuse(self.pending, words)

    # --- step by step ---------------------------------------------------------------------------------------------

    def _mail(self) -> bool:
        options = []
        if self._client.has_extn("size"):
            options.append(f"SIZE={len(self._octets)}")
        if not self._octets.isascii() and self._client.has_extn("8bitmime"):
            options.append("BODY=8BITMIME")
        header = self._octets.partition(b"\r\n\r\n")[0]
        names = (self._sender, *self._recipients)
        if self._client.has_extn("smtputf8") and not (header.isascii() and all(name.isascii() for name in names)):
            options.append("SMTPUTF8")
        code, words = self._heard(self._client.mail(self._sender, options))
        if code in _OK:
            return True
        if code != _TOO_LARGE:
            # It is about the sender, and would be the same for the next message.
            raise _stopped(words)
        self.outcome.refuse(self._recipients, words)
        return False

    def _rcpt(self) -> bool:
        for each in self._recipients:
            code, words = self._heard(self._client.rcpt(each))
            if code in _OK:
                self.pending.append(each)
            elif _LIMIT.search(words):
                raise _stopped(words)
            else:
                self.outcome.refuse([each], words)
        return bool(self.pending)

    def _data(self) -> bool:
        code, words = self._heard(self._client.docmd("DATA"))
        if code != _GO_AHEAD:
            if _LIMIT.search(words):
                raise _stopped(words)
            self.outcome.reply = words
            self.outcome.refuse(self.pending, words)
            return False
        octets = _FIRST_DOT.sub(b"..", self._octets)
        if not octets.endswith(b"\r\n"):
            octets += b"\r\n"
        for start in range(0, len(octets), _BLOCK):
            self._client.send(octets[start : start + _BLOCK])
        return True

    def _heard(self, reply: tuple[int, bytes]) -> tuple[int, str]:
        code, words = words_of(reply)
        if code == _CLOSING or code in _LOGIN_AGAIN:
            raise LostError(words)
        return code, words


def words_of(reply: tuple[int, bytes | str]) -> tuple[int, str]:
    """Return a reply's code, and code and text in one line, fit for a terminal."""
    code, text = reply
    said = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return code, f"{code} {printable(said)}"


def _stopped(words: str) -> StoppedError:
    # A limit of the day is over tomorrow, even where its code says for good.
    return StoppedError(words, temporary=words.startswith("4") or _LIMIT.search(words) is not None)
