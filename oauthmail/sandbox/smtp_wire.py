"""One SMTP connection below its commands: lines, answers, TLS, faults and the record, on aiosmtpd's protocol class."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from typing import Any, cast

from aiosmtpd.smtp import SMTP

from .lines import masked, shown
from .mailbox import Mailboxes
from .personality import Personality
from .state import State

__all__ = ["Site", "Wire"]

_HANDSHAKE_TIMEOUT = 10.0

# RFC 2034 section 4 wants an enhanced status code in every answer but the greeting and the answers to EHLO and HELO;
# aiosmtpd knows them for some only.
_ENHANCED = {
    "221": "2.0.0",
    "250": "2.0.0",
    "252": "2.0.0",
    "500": "5.5.2",
    "501": "5.5.4",
    "502": "5.5.1",
    "503": "5.5.1",
    "552": "5.3.4",
    "555": "5.5.4",
}


@dataclass
class Site:
    """What the connections of one server share.

    Attributes:
        state: the sandbox's memory.
        mailboxes: where messages go.
        personality: whom to resemble.
        context: the server's certificate.
        implicit_tls: TLS from the first octet.
        discovery: the address that OAUTHBEARER's refusal names.
        data_size_limit: octets of the longest message.
        open: connections that have not ended.
        idle: set while there are none.
    """

    state: State
    mailboxes: Mailboxes
    personality: Personality
    context: ssl.SSLContext
    implicit_tls: bool
    discovery: str
    data_size_limit: int
    open: set[Wire] = field(default_factory=set)
    idle: asyncio.Event = field(default_factory=asyncio.Event)


class Wire(SMTP):
    """Reads lines and hands commands to the ``smtp_`` methods.

    aiosmtpd's own loop is not used, as it logs what clients say, ends when a client has no more to say though
    commands are still waiting, and knows one answer to long lines.

    Attributes:
        site: what it shares with the others.
        number: which connection it is, as the record counts them.
        secure: whether TLS is on.
    """

    # For lines of messages. Where these are longer than an IMAP server's, only memory minds.
    line_length_limit = 1 << 20

    def __init__(self, site: Site, handler: object) -> None:
        self.site = site
        self.number = 0
        self.secure = False
        super().__init__(
            handler,
            data_size_limit=site.data_size_limit,
            enable_SMTPUTF8=True,
            hostname=site.personality.greetings["smtp"].split()[0],
            auth_required=True,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            loop=asyncio.get_running_loop(),
        )
        site.open.add(self)
        site.idle.clear()

    # --- from first to last ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; aiosmtpd starts `_handle_client`."""
        self._wire = cast("asyncio.Transport", transport)
        self.number = self.site.state.new_connection()
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """End, once: a handshake that fails says so here itself, where asyncio may say it too."""
        if self in self.site.open:
            self.site.open.remove(self)
            transport = self.transport
            super().connection_lost(error)
            # Python 3.10 leaves TLS open when the connection below it is gone.
            cast("asyncio.Transport", transport).close()
        if not self.site.open:
            self.site.idle.set()

    def eof_received(self) -> bool:
        """Let commands that have come be answered; aiosmtpd throws them away."""
        self._reader.feed_eof()
        # asyncio takes no True over TLS.
        return not self.secure

    def abort(self) -> None:
        """End now, whatever is going on; `connection_lost` follows."""
        # Below TLS, which would say good-bye and wait for the answer.
        self._wire.abort()

    def hang_up(self) -> None:
        """Close the connection after what was said last."""
        if self.transport is not None:
            cast("asyncio.Transport", self.transport).close()

    async def _handle_client(self) -> None:
        try:
            if self.site.implicit_tls:
                # Nothing can have been read yet: asyncio takes this first step before it looks at the socket.
                await self.start_tls()
            await self.answer(f"220 {self.site.personality.greetings['smtp']}")
            while self.transport is not None and not cast("asyncio.Transport", self.transport).is_closing():
                await self._command()
                # A client that sends much at once leaves the others their turn.
                await asyncio.sleep(0)
        except (OSError, EOFError):
            # The client is gone, TLS failed, or a fault wants it so: nobody is left to be told.
            pass
        finally:
            self.hang_up()

    async def start_tls(self, reply: str = "") -> None:
        """Hold the TLS handshake after *reply* and forget everything said before it (RFC 3207 section 4.2).

        Raises:
            OSError: it failed.
        """
        # What comes from here on goes to the handshake; what came before it, behind STARTTLS, is thrown away.
        self._wire.pause_reading()
        cast("bytearray", cast("Any", self._reader)._buffer).clear()
        if reply:
            await self.push(reply)
        try:
            transport = await self.loop.start_tls(
                self._wire, self, self.site.context, server_side=True, ssl_handshake_timeout=_HANDSHAKE_TIMEOUT
            )
            # A connection that is aborted meanwhile ends the handshake without an exception.
            if transport is None or self._wire.is_closing():
                raise ConnectionAbortedError
        except OSError as error:
            # asyncio tells only protocols of connections that were established.
            self.connection_lost(error)
            raise
        self.transport = transport
        for stream in (self._reader, self._writer):
            cast("Any", stream)._transport = transport
        self.session = self._create_session()
        self.envelope = self._create_envelope()
        self.secure = True

    # --- lines in -------------------------------------------------------------------------------------------------

    async def read_line(self, limit: int) -> bytes | None:
        """Return the next line without its end.

        Args:
            limit: octets it may have, including the end.

        Returns:
            None for a longer line, which has been read to its end.
        """
        self._reset_timeout()
        octets = 0
        while True:
            try:
                line: bytes = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                octets += len(await self._reader.read(error.consumed))
                continue
            if octets + len(line) <= limit:
                return line.rstrip(b"\r\n")
            self.record(f"[a line of more than {limit} octets]")
            return None

    async def refuse_line(self) -> None:
        """Answer a line that is too long."""
        reply = self.site.personality.too_long["smtp"]
        if reply is None:
            raise ConnectionAbortedError
        await self.answer(reply)

    async def _command(self) -> None:
        limit = self.site.personality.command_limits["smtp"]
        fault = self._line_length()
        octets = await self.read_line(limit if fault is None else min(limit, fault))
        if octets is None:
            if fault is not None:
                self.site.state.take_fault("line_length", "smtp")
            await self.refuse_line()
            return
        try:
            line = octets.decode().strip()
        except UnicodeDecodeError:
            self.record(masked(octets.decode(errors="backslashreplace")))
            await self.push("500 5.5.2 Not UTF-8 (RFC 6531 section 3.1)")
            return
        name, _, argument = line.partition(" ")
        method = self._smtp_methods.get(name.upper())
        self._record_command(name.upper(), line, known=method is not None)
        if method is None:
            await self.push("500 5.5.2 Command not recognized")
        else:
            await method(argument.strip() or None)

    def _line_length(self) -> int | None:
        # The fault is only looked at here: it happens when a line is too long, not when one is read.
        with self.site.state.lock:
            for fault in self.site.state.faults:
                if fault.kind == "line_length" and fault.service in (None, "smtp"):
                    return int(fault.number)
        return None

    def _record_command(self, name: str, line: str, *, known: bool) -> None:
        if name == "AUTH":
            words = line.split()
            payloads = [shown(word.encode()) for word in words[2:]]
            line = " ".join([words[0], *map(masked, words[1:2]), *payloads])
        self.record(line if known else masked(line))

    def record(self, text: str) -> None:
        """Keep a line that was received, without secrets."""
        self.site.state.record("smtp", self.number, text)

    # --- answers out ----------------------------------------------------------------------------------------------

    async def push(self, status: str | bytes) -> None:
        """Answer with *status*, and an enhanced status code where it has none."""
        text = status.decode() if isinstance(status, bytes) else status
        found = re.fullmatch(r"(\d{3}) (?!\d\.\d+\.\d+)(.*)", text)
        if found and found[1] in _ENHANCED:
            text = f"{found[1]} {_ENHANCED[found[1]]} {found[2]}"
        await self.answer(text)

    async def answer(self, text: str) -> None:
        r"""Send one answer, unless a fault comes in between.

        Args:
            text: without the last line end; lines in it end in ``\r\n``.

        Raises:
            ConnectionAbortedError: a fault drops the connection, or the client did.
        """
        if self._wire.is_closing():
            # asyncio complains of what is written to a connection that is gone.
            raise ConnectionAbortedError
        if self.site.state.take_fault("drop", "smtp"):
            raise ConnectionAbortedError
        slow = self.site.state.take_fault("slow", "smtp")
        if slow:
            await asyncio.sleep(slow.number)
        self._writer.write(f"{text}\r\n".encode())
        await self._writer.drain()
