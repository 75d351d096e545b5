"""The server's side of SMTP without a socket: octets in, replies out, and what was delivered meanwhile.

It reads commands one by one, however they travelled, and keeps to RFC 5321 in what it lets follow what; the test
decides the replies. `tests.submission` puts it behind a listening socket, `tests.wire` into a client's own one.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

#: Returns a reply in the place of the usual one, or None; gets the command's line, ``b"."`` for the end of a message.
#: One that speaks for a command (250, 251) is said for what is done as usual, where that is in order.
Policy = Callable[[bytes], bytes | None]

_YES = (b"250", b"251")

BOTH = ("PIPELINING", "CHUNKING", "SIZE 1000000", "8BITMIME", "SMTPUTF8")


class HangUp(Exception):  # noqa: N818  # not an error: the test wants it
    """Raised by a policy: the server says *reply*, or nothing, and closes the connection."""

    def __init__(self, reply: bytes = b"") -> None:
        super().__init__(reply)
        self.reply = reply


@dataclass
class Delivered:
    """A message that the server has said yes to."""

    sender: bytes
    recipients: list[bytes]
    octets: bytes


@dataclass
class Rules:
    """What a server is like, over all of its connections.

    Attributes:
        features: what EHLO lists.
        policy: replies in the place of the usual ones.
        hoards: keep sender and recipients of a message that was refused until RSET, and add others to them.
        tokens: access tokens that may log in; None for a server that asks nobody to.
        lifetime: how many messages may be begun with one login; after them MAIL is answered with 530.
        delivered: the messages that it has accepted, whether the client has heard so or not.
        lines: every command line, without its end.
        logins: the token of each login, and whether it was let in.
    """

    features: Sequence[str] = BOTH
    policy: Policy = lambda line: None
    hoards: bool = False
    tokens: Collection[str] | None = None
    lifetime: int = 1 << 30
    delivered: list[Delivered] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    logins: list[tuple[str, bool]] = field(default_factory=list)


@dataclass
class _Envelope:
    sender: bytes | None = None
    recipients: list[bytes] = field(default_factory=list)
    chunks: bytes = b""
    broken: bool = False


class Conversation:
    """One connection of such a server.

    Attributes:
        ended: whether the server has closed it.
        said: what `take` is about to return.
        upgrading: whether it has agreed to STARTTLS; `upgraded` is called when TLS is there.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.ended = False
        self.upgrading = False
        self._buffer = b""
        self.said = [b"220 test\r\n"]
        self._step: Callable[[], bool] = self._command
        self._envelope = _Envelope()
        self._left = rules.lifetime if rules.tokens is None else 0
        # How far the end of a message was looked for.
        self._searched = 0

    def take(self, octets: bytes) -> bytes:
        """Take what the client has sent, and return what there is to say to it."""
        self._buffer += octets
        try:
            while not self.ended and not self.upgrading and self._step():
                pass
        except HangUp as end:
            self.said.append(end.reply)
            self.ended = True
        octets = b"".join(self.said)
        self.said.clear()
        return octets

    def upgraded(self) -> None:
        """Begin again, over TLS; what was slipped in before it is forgotten."""
        self.upgrading = False
        self._buffer = b""
        self._envelope = _Envelope()

    # --- commands -------------------------------------------------------------------------------------------------

    def _line(self) -> bytes | None:
        line, end, rest = self._buffer.partition(b"\n")
        if not end:
            return None
        self._buffer = rest
        return line.rstrip(b"\r")

    def _command(self) -> bool:
        end = self._buffer.find(b"\n") + 1
        line = self._buffer[:end].rstrip(b"\r\n")
        verb = line[:4].upper()
        # An octet count is part of the command: whatever the reply, so many octets are no commands.
        size = int(line.split()[1]) if verb == b"BDAT" else 0
        if not end or len(self._buffer) < end + size:
            return False
        chunk, self._buffer = self._buffer[end : end + size], self._buffer[end + size :]
        self.rules.lines.append(line)
        reply = self.rules.policy(line)
        if reply is None:
            reply = self._usual(verb, line, chunk)
        elif reply.startswith(_YES):
            usual = self._usual(verb, line, chunk)
            reply = reply if usual.startswith(_YES) else usual
        elif verb == b"BDAT":
            self._broken()
        self.said.append(reply)
        if verb == b"DATA" and reply.startswith(b"354"):
            self._step = self._data
        elif verb == b"QUIT":
            self.ended = True
        return True

    def _broken(self) -> None:
        """Forget a message that was refused, as far as this server does."""
        if self.rules.hoards:
            self._envelope.chunks = b""
        else:
            self._envelope.broken = True

    def _usual(self, verb: bytes, line: bytes, chunk: bytes) -> bytes:
        envelope = self._envelope
        if verb == b"EHLO":
            self._envelope = _Envelope()
            return self._offer()
        if verb == b"AUTH":
            return self._auth(line)
        if verb == b"STAR":
            self.upgrading = True
            return b"220 2.0.0 go ahead\r\n"
        if verb == b"QUIT":
            return b"221 bye\r\n"
        if verb == b"RSET":
            self._envelope = _Envelope()
        elif verb == b"MAIL":
            if envelope.sender is not None and not self.rules.hoards:
                return b"503 5.5.1 nested MAIL\r\n"
            if self._left <= 0:
                return b"530 5.7.0 Authentication required\r\n"
            self._left -= 1
            envelope.sender = line[10:].partition(b" ")[0]
        elif verb == b"RCPT":
            if envelope.sender is None:
                return b"503 5.5.1 MAIL first\r\n"
            envelope.recipients.append(line[8:].partition(b" ")[0])
        elif verb == b"DATA":
            return b"354 go on\r\n" if envelope.recipients else b"503 5.5.1 RCPT first\r\n"
        elif verb == b"BDAT":
            if not envelope.recipients or envelope.broken:
                return b"503 5.5.1 RCPT first\r\n"
            envelope.chunks += chunk
            if line.upper().endswith(b" LAST"):
                self._deliver(envelope.chunks)
        return b"250 2.0.0 ok\r\n"

    def _offer(self) -> bytes:
        listed = ["test", *self.rules.features, *(["AUTH XOAUTH2"] if self.rules.tokens is not None else [])]
        return b"".join(
            b"250%b%b\r\n" % (b" " if place == len(listed) else b"-", each.encode())
            for place, each in enumerate(listed, 1)
        )

    # --- messages -------------------------------------------------------------------------------------------------

    def _data(self) -> bool:
        end = 0 if self._buffer.startswith(b".\r\n") else self._buffer.find(b"\n.\r\n", self._searched) + 1
        if not end and not self._buffer.startswith(b".\r\n"):
            self._searched = max(len(self._buffer) - 3, 0)
            return False
        text, self._buffer = self._buffer[:end], self._buffer[end + 3 :]
        self._searched = 0
        self._step = self._command
        reply = self.rules.policy(b".")
        if reply is None or reply.startswith(_YES):
            self._deliver(re.sub(rb"(?m)^\.", b"", text))
        elif not self.rules.hoards:
            self._envelope = _Envelope()
        self.said.append(reply if reply is not None else b"250 2.0.0 ok\r\n")
        return True

    def _deliver(self, octets: bytes) -> None:
        envelope, self._envelope = self._envelope, _Envelope()
        if envelope.recipients:
            self.rules.delivered.append(Delivered(envelope.sender or b"", envelope.recipients, octets))

    # --- logins ---------------------------------------------------------------------------------------------------

    def _auth(self, line: bytes) -> bytes:
        if len(line.split()) == 3:
            return self._judged(line.split()[2])
        self._step = self._credential
        return b"334 \r\n"

    def _credential(self) -> bool:
        line = self._line()
        if line is not None:
            self._step = self._command
            self.said.append(self._judged(line))
        return line is not None

    def _judged(self, credential: bytes) -> bytes:
        with contextlib.suppress(ValueError):
            found = re.search(rb"Bearer ([^\x01]+)", base64.b64decode(credential))
            token = found[1].decode() if found else ""
            accepted = self.rules.tokens is not None and token in self.rules.tokens
            self.rules.logins.append((token, accepted))
            if accepted:
                self._left = self.rules.lifetime
                return b"235 2.7.0 accepted\r\n"
        return b"535 5.7.8 bad token\r\n"
