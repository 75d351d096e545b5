"""Who sends in the benchmarks: oauthmail, its peers as their documentation shows them, and a socket used by hand.

Each keeps one connection to one server, and sends a list of letters one at a time or, where it can, many at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import smtplib
import socket
import warnings
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol

import oauthmail

from .letters import SENDER, Letter, flattened_by_hand

TIMEOUT = 60
#: Messages under way in `SMTP.send_messages`, and in the hands of `Floor.many_chunked`.
WINDOW = 128


class Sender(Protocol):
    """One who sends."""

    def send(self, letters: Sequence[Letter]) -> None:
        """Send *letters* and return when the server has accepted the last one."""

    def close(self) -> None:
        """Close the connection."""


class NotThereError(Exception):
    """It cannot send in this way."""


class Parent:
    """`smtplib.SMTP`, or a class with its methods."""

    def __init__(self, port: int, *, octets: bool, client: type[smtplib.SMTP] = smtplib.SMTP) -> None:
        self.client = client("127.0.0.1", port, timeout=TIMEOUT)
        self.client.ehlo()
        self._octets = octets

    def send(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            if self._octets:
                self.client.sendmail(SENDER, letter.recipients, letter.octets)
            else:
                self.client.send_message(letter.message)

    def close(self) -> None:
        self.client.close()


class Ours(Parent):
    """`oauthmail.SMTP`, one message at a time."""

    def __init__(self, port: int, *, octets: bool) -> None:
        super().__init__(port, octets=octets, client=oauthmail.SMTP)


class OursMany(Ours):
    """`oauthmail.SMTP.send_messages`."""

    def __init__(self, port: int, *, octets: bool) -> None:
        if not hasattr(oauthmail.SMTP, "send_messages"):
            raise NotThereError("SMTP.send_messages")
        super().__init__(port, octets=octets)

    def send(self, letters: Sequence[Letter]) -> None:
        accepted = self.send_lazily(letters)
        if accepted != len(letters):
            raise SystemExit(f"send_messages: {accepted} of {len(letters)} accepted")

    def send_lazily(self, letters: Iterable[Letter]) -> int:
        """Send what an iterable yields, and return how many were accepted."""
        items: Iterable[Any] = (
            ((SENDER, letter.recipients, letter.octets) for letter in letters)
            if self._octets
            else (letter.message for letter in letters)
        )
        client: Any = self.client
        return sum(bool(result.accepted) for result in client.send_messages(items, window=WINDOW))


# --- peers ------------------------------------------------------------------------------------------------------------


class Looped:
    """A peer of asyncio, with a loop that runs while it sends."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def close(self) -> None:
        self.loop.close()


class Aiosmtplib(Looped):
    def __init__(self, port: int, *, octets: bool) -> None:
        import aiosmtplib

        super().__init__()
        self._octets = octets
        self.client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=TIMEOUT)
        self.run(self.client.connect())
        self.run(self.client.ehlo())

    def send(self, letters: Sequence[Letter]) -> None:
        self.run(self._send(letters))

    async def _send(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            if self._octets:
                await self.client.sendmail(SENDER, list(letter.recipients), letter.octets)
            else:
                await self.client.send_message(letter.message)

    def close(self) -> None:
        self.client.close()
        super().close()


class Smtpproto(Looped):
    """It takes an `EmailMessage` and nothing else, and gives up at a refused recipient."""

    def __init__(self, port: int, *, octets: bool) -> None:
        if octets:
            raise NotThereError("octets")
        from smtpproto.client import AsyncSMTPSession

        super().__init__()
        self.session = AsyncSMTPSession("127.0.0.1", port, TIMEOUT, TIMEOUT, "localhost", None, None)
        self.run(self.session.__aenter__())

    def send(self, letters: Sequence[Letter]) -> None:
        self.run(self._send(letters))

    async def _send(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            await self.session.send_message(letter.message)

    def close(self) -> None:
        self.run(self.session.__aexit__(None, None, None))
        super().close()


class Yagmail:
    """It makes each message itself, and connects for each message."""

    def __init__(self, port: int, *, octets: bool) -> None:
        if octets:
            raise NotThereError("octets")
        import yagmail  # type: ignore[import-untyped]

        self.client = yagmail.SMTP(
            SENDER,
            host="127.0.0.1",
            port=port,
            smtp_starttls=False,
            smtp_ssl=False,
            smtp_skip_login=True,
            soft_email_validation=False,
            timeout=TIMEOUT,
        )

    def send(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            attached = io.BytesIO(letter.attachment)
            attached.name = "attached.bin"
            with warnings.catch_warnings():
                # It forgets the connection of the message before.
                warnings.simplefilter("ignore", ResourceWarning)
                self.client.send(
                    list(letter.recipients),
                    str(letter.message["Subject"]),
                    letter.text,
                    attachments=[attached] if letter.attachment else None,
                )

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.client.close()


# --- the floor --------------------------------------------------------------------------------------------------------


class Floor:
    """A socket used by hand with the fewest writes that the protocol allows, and no look at what the replies say."""

    def __init__(self, port: int, *, octets: bool, chunking: bool, many: bool = False) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._octets = octets
        self._owed = 0
        self._lines(1)
        self.sock.sendall(b"EHLO localhost\r\n")
        while not self.sock.recv(1 << 16).rpartition(b"\r\n250 ")[1]:
            pass
        if many:
            self.send: Callable[[Sequence[Letter]], None] = self.many_chunked if chunking else self.many_with_data
        else:
            self.send = self.one_chunked if chunking else self.one_with_data

    def _lines(self, count: int) -> None:
        """Receive until *count* more replies have ended; what comes beyond is kept in mind."""
        self._owed += count
        while self._owed > 0:
            received = self.sock.recv(1 << 16)
            if not received:
                raise SystemExit("the server hung up")
            self._owed -= received.count(b"\n")

    def _text(self, letter: Letter) -> bytes:
        return letter.octets if self._octets else flattened_by_hand(letter.message)

    def _envelope(self, letter: Letter) -> bytes:
        to = "".join([f"RCPT TO:<{address}>\r\n" for address in letter.recipients])
        return f"MAIL FROM:<{SENDER}>\r\n{to}".encode("ascii")

    def _chunked(self, letter: Letter) -> bytes:
        text = self._text(letter)
        return b"%bBDAT %d LAST\r\n%b" % (self._envelope(letter), len(text), text)

    def _stuffed(self, letter: Letter) -> bytes:
        text = self._text(letter)
        return (text.replace(b"\n.", b"\n..") if _needs_stuffing(text) else text) + b".\r\n"

    def one_with_data(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            self.sock.sendall(self._envelope(letter) + b"DATA\r\n")
            self._lines(2 + len(letter.recipients))
            self.sock.sendall(self._stuffed(letter))
            self._lines(1)

    def one_chunked(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            self.sock.sendall(self._chunked(letter))
            self._lines(2 + len(letter.recipients))

    def many_with_data(self, letters: Sequence[Letter]) -> None:
        """Put the next message's commands behind the text of the one before."""
        text, replies = b"", 0
        for letter in letters:
            self.sock.sendall(text + self._envelope(letter) + b"DATA\r\n")
            self._lines(replies + 2 + len(letter.recipients))
            text, replies = self._stuffed(letter), 1
        self.sock.sendall(text)
        self._lines(1)

    def many_chunked(self, letters: Sequence[Letter]) -> None:
        """Keep `WINDOW` messages under way, in blocks of a quarter of it."""
        under_way: list[int] = []
        for start in range(0, len(letters), WINDOW // 4):
            block = letters[start : start + WINDOW // 4]
            if len(under_way) == 4:
                self._lines(under_way.pop(0))
            self.sock.sendall(b"".join(map(self._chunked, block)))
            under_way.append(sum(2 + len(letter.recipients) for letter in block))
        self._lines(sum(under_way))

    def close(self) -> None:
        self.sock.close()


def _needs_stuffing(text: bytes) -> bool:
    # A dot alone is found at a hundredth of the costs of a line end and a dot, and attachments have none.
    dot = -1
    for _ in range(20):
        dot = text.find(b".", dot + 1)
        if dot < 0:
            return False
        if text[dot - 1 : dot] == b"\n":
            return True
    return b"\n." in text


def repeated(letters: Sequence[Letter], count: int) -> list[Letter]:
    """Return *count* letters: these, over and over."""
    return list(itertools.islice(itertools.cycle(letters), count))
