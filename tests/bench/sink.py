"""An SMTP server that throws everything away: ``python -m tests.bench.sink [--no-chunking]``.

Postfix's smtp-sink has no BDAT (RFC 3030); this has. It reads in big blocks, answers a block at once, as PIPELINING
wants it (RFC 2920), and counts what it accepted. It refuses an address that begins with "refused".
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import threading
from dataclasses import dataclass

from .children import serve

BLOCK = 1 << 20
LONGEST_LINE = 4096
ENDING = b"\r\n.\r\n"

OFFERED = ("sink", "PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
OFFERED_WITH_CHUNKING = (*OFFERED, "BINARYMIME", "CHUNKING")


@dataclass
class Counts:
    """What a sink accepted.

    Attributes:
        messages: how many it said 250 to after the last of their text.
        recipients: how many those had, refused ones left out.
        refused: recipients it refused, of any message.
        octets: of the text of accepted messages, as on the wire, without the final dot.
    """

    messages: int = 0
    recipients: int = 0
    refused: int = 0
    octets: int = 0


def ehlo_reply(offered: tuple[str, ...]) -> bytes:
    """Return the lines of the answer to EHLO."""
    lines = [f"250{' ' if name is offered[-1] else '-'}{name}\r\n" for name in offered]
    return "".join(lines).encode("ascii")


def find_ending(octets: bytes, position: int) -> int:
    """Return where the first `ENDING` at or after *position* begins, or -1."""
    # A dot alone is found at a hundredth of the costs of the whole, and attachments have none.
    dot = position + 1
    for _ in range(20):
        dot = octets.find(b".", dot + 1)
        if dot < 0:
            return -1
        if octets.startswith(ENDING, dot - 2):
            return dot - 2
    return octets.find(ENDING, dot - 1)


class Session:
    """The server's side of one connection, without the connection: octets in, replies out.

    Attributes:
        counts: what was accepted so far.
        chunk: octets of a BDAT chunk that are still to come.
        closed: whether the server hangs up after the replies.
    """

    def __init__(self, *, chunking: bool = True) -> None:
        self.counts = Counts()
        self.chunk = 0
        self.closed = False
        self._hello = ehlo_reply(OFFERED_WITH_CHUNKING if chunking else OFFERED)
        self._partial = b""
        self._in_data = False
        self._chunk_last = False
        self._commands = {
            b"EHLO": self._ehlo,
            b"HELO": self._helo,
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"RSET": self._rset,
            b"NOOP": self._noop,
            b"QUIT": self._quit,
        }
        if chunking:
            self._commands[b"BDAT"] = self._bdat
        self._begin()

    def _begin(self) -> None:
        self._sender = False
        self._recipients = 0
        self._octets = 0
        # Between the first and the last chunk, and after one that was refused, until RSET (RFC 3030 section 2).
        self._chunked = self._failed = False

    def feed(self, octets: bytes) -> bytes:
        """Take what arrived and return what is to be sent."""
        replies: list[bytes] = []
        if self._partial:
            octets = self._partial + octets
            self._partial = b""
        position = 0
        while position < len(octets) and not self.closed:
            if self.chunk:
                count = min(self.chunk, len(octets) - position)
                position += count
                self._take(count, replies)
            elif self._in_data:
                position = self._text(octets, position, replies)
            else:
                end = octets.find(b"\n", position)
                if end < 0:
                    self._keep(octets[position:], replies)
                    break
                replies.append(self._command(octets[position:end].rstrip(b"\r")))
                position = end + 1
        return b"".join(replies)

    def skip(self, count: int) -> bytes:
        """Take *count* octets of the chunk under way, which nobody has to look at, and return what is to be sent."""
        replies: list[bytes] = []
        self._take(count, replies)
        return b"".join(replies)

    def _keep(self, rest: bytes, replies: list[bytes]) -> None:
        self._partial = rest
        if len(rest) > LONGEST_LINE:
            self.closed = True
            replies.append(b"500 5.5.2 line too long\r\n")

    def _command(self, line: bytes) -> bytes:
        command = self._commands.get(line[:4].upper())
        return command(line) if command else b"500 5.5.2 command not known\r\n"

    # --- commands -----------------------------------------------------------------------------------------------------

    def _ehlo(self, line: bytes) -> bytes:
        self._begin()
        return self._hello

    def _helo(self, line: bytes) -> bytes:
        self._begin()
        return b"250 sink\r\n"

    def _mail(self, line: bytes) -> bytes:
        if self._sender:
            return b"503 5.5.1 nested MAIL\r\n"
        if line[:11].upper() != b"MAIL FROM:<":
            return b"501 5.5.4 syntax: MAIL FROM:<address>\r\n"
        if line.startswith(b"refused", 11):
            return b"550 5.7.1 sender refused\r\n"
        self._sender = True
        return b"250 2.1.0 ok\r\n"

    def _rcpt(self, line: bytes) -> bytes:
        if not self._sender or self._chunked:
            return b"503 5.5.1 RCPT needs MAIL\r\n"
        if line[:9].upper() != b"RCPT TO:<":
            return b"501 5.5.4 syntax: RCPT TO:<address>\r\n"
        if line.startswith(b"refused", 9):
            self.counts.refused += 1
            return b"550 5.1.1 recipient refused\r\n"
        self._recipients += 1
        return b"250 2.1.5 ok\r\n"

    def _data(self, line: bytes) -> bytes:
        if not self._sender or self._chunked:
            return b"503 5.5.1 DATA needs RCPT and no BDAT\r\n"
        if not self._recipients:
            return b"554 5.5.1 no valid recipients\r\n"
        self._in_data = True
        # A dot that follows DATA at once stands at the beginning of a line, too.
        self._tail = b"\r\n"
        return b"354 go on\r\n"

    def _bdat(self, line: bytes) -> bytes:
        words = line.split()
        last = len(words) == 3 and words[2].upper() == b"LAST"
        if not (len(words) == 2 or last) or not words[1].isdigit():
            # Nobody knows where the next command begins.
            self.closed = True
            return b"501 5.5.4 syntax: BDAT octets [LAST]\r\n"
        self.chunk, self._chunk_last = int(words[1]), last
        if self.chunk:
            return b""
        return self._chunk_done()

    def _rset(self, line: bytes) -> bytes:
        self._begin()
        return b"250 2.0.0 ok\r\n"

    def _noop(self, line: bytes) -> bytes:
        return b"250 2.0.0 ok\r\n"

    def _quit(self, line: bytes) -> bytes:
        self.closed = True
        return b"221 2.0.0 bye\r\n"

    # --- text ---------------------------------------------------------------------------------------------------------

    def _take(self, count: int, replies: list[bytes]) -> None:
        self.chunk -= count
        self._octets += count
        if not self.chunk:
            replies.append(self._chunk_done())

    def _chunk_done(self) -> bytes:
        if self._failed or not self._sender:
            self._failed = True
            return b"503 5.5.1 BDAT needs RCPT, or RSET after an error\r\n"
        if not self._recipients:
            self._failed = True
            return b"554 5.5.1 no valid recipients\r\n"
        if self._chunk_last:
            return self._accept()
        self._chunked = True
        return b"250 2.0.0 chunk taken\r\n"

    def _text(self, octets: bytes, position: int, replies: list[bytes]) -> int:
        """Take text until the final dot or the end of *octets*, and return the position after it."""
        # The ending may have begun in what came before.
        early = (self._tail + octets[position : position + len(ENDING)]).find(ENDING)
        found = find_ending(octets, position) if early < 0 else position - len(self._tail) + early
        if early < 0 and found < 0:
            self._octets += len(octets) - position
            self._tail = (self._tail + octets[max(position, len(octets) - 4) :])[-4:]
            return len(octets)
        after = found + len(ENDING)
        self._octets += after - position - len(b".\r\n")
        self._in_data = False
        replies.append(self._accept())
        return after

    def _accept(self) -> bytes:
        self.counts.messages += 1
        self.counts.recipients += self._recipients
        self.counts.octets += self._octets
        self._begin()
        return b"250 2.0.0 accepted\r\n"


class Sink:
    """Plays a `Session` to every client.

    Attributes:
        port: where it listens on 127.0.0.1.
    """

    def __init__(self, *, chunking: bool = True) -> None:
        self._chunking = chunking
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._sessions: list[Session] = []
        self._told = Counts()

    def run(self) -> None:
        """Serve for ever."""
        while True:
            connection, _ = self._listener.accept()
            session = Session(chunking=self._chunking)
            self._sessions.append(session)
            threading.Thread(target=self._converse, args=(connection, session), daemon=True).start()

    def _converse(self, connection: socket.socket, session: Session) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        scratch = memoryview(bytearray(BLOCK))
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"220 sink ESMTP\r\n")
            while not session.closed:
                if session.chunk:
                    count = connection.recv_into(scratch[: session.chunk])
                    replies = session.skip(count)
                else:
                    octets = connection.recv(1 << 16)
                    count = len(octets)
                    replies = session.feed(octets)
                if not count:
                    return
                if replies:
                    connection.sendall(replies)

    def counted(self) -> dict[str, int]:
        """Return what was accepted on all connections since the last time."""
        total = {
            name: sum(getattr(session.counts, name) for session in self._sessions) for name in Counts.__annotations__
        }
        before, self._told = self._told, Counts(**total)
        return {name: number - getattr(before, name) for name, number in total.items()}


def main() -> None:
    """Run a sink until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-chunking", action="store_true")
    arguments = parser.parse_args()
    sink = Sink(chunking=not arguments.no_chunking)
    threading.Thread(target=sink.run, daemon=True).start()
    serve(sink.port, lambda _: sink.counted())


if __name__ == "__main__":
    main()
