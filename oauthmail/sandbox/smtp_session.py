"""Handing over messages to a submission server (RFC 6409), in lines or chunks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from aiosmtpd.smtp import Envelope, Session

from .smtp_login import Login
from .smtp_wire import Site

__all__ = ["Submission"]

#: Recipients here are refused, for tests.
REFUSED_DOMAIN = "refused.test"

_BLOCK = 1 << 16

_PATH = re.compile(r'<(?:@[^:<>\s]*:)?(?P<path>(?:"(?:[^"\\]|\\.)*"|[^<>"\s\x00-\x1f\x7f])*)>\s*(?P<rest>.*)')
_BARE = re.compile(r"(?P<path>[^<>\s\x00-\x1f\x7f]+)\s*(?P<rest>.*)")

# RFC 3461 section 4; xtext, with its "+" and two hexadecimal digits, is there too.
_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+"
_NOTIFY = "SUCCESS|FAILURE|DELAY"
_MAIL_PARAMETERS = {"RET": "FULL|HDRS", "ENVID": _XTEXT, "AUTH": f"<>|{_XTEXT}"}
_RCPT_PARAMETERS = {"NOTIFY": f"NEVER|(?:{_NOTIFY})(?:,(?:{_NOTIFY}))*", "ORCPT": rf"[\w-]+;{_XTEXT}"}


class Transaction(Envelope):
    """A message on its way.

    Attributes:
        chunks: what BDAT brought; None before the first.
        failed: a chunk was refused, and so are all others until RSET (RFC 3030 section 2).
        binary: it was announced as BODY=BINARYMIME.
    """

    def __init__(self) -> None:
        super().__init__()
        self.chunks: list[bytes] | None = None
        self.failed = False
        self.binary = False


class _Hooks:
    """What aiosmtpd asks when a command is well-formed."""

    def __init__(self, site: Site) -> None:
        self.site = site

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, server: Submission, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not address.isascii() and not envelope.smtp_utf8:
            return "553 5.6.7 Address is not ASCII, and SMTPUTF8 was not asked for"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: Submission, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not address.isascii() and not envelope.smtp_utf8:
            return "553 5.6.7 Address is not ASCII, and SMTPUTF8 was not asked for"
        local, _, domain = address.rpartition("@")
        if not local or not domain:
            return "553 5.1.3 An address is local-part@domain"
        if domain.lower() == REFUSED_DOMAIN:
            return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, server: Submission, session: Session, envelope: Envelope
    ) -> str:
        return self.deliver(envelope, cast("bytes", envelope.content))

    def deliver(self, envelope: Envelope, message: bytes) -> str:
        """Put *message* into every recipient's INBOX, as it is: a header more would not be what was sent."""
        for address in dict.fromkeys(envelope.rcpt_tos):
            self.site.mailboxes.deliver(address, message)
        return "250 2.0.0 OK"


class Submission(Login):
    """The commands for messages; aiosmtpd has DATA, RSET, NOOP and the grammar of MAIL and RCPT."""

    def __init__(self, site: Site) -> None:
        self._hooks = _Hooks(site)
        super().__init__(site, self._hooks)

    def _create_envelope(self) -> Transaction:
        return Transaction()

    @property
    def _transaction(self) -> Transaction:
        return cast("Transaction", self.envelope)

    # --- MAIL and RCPT --------------------------------------------------------------------------------------------

    async def smtp_MAIL(self, argument: str | None) -> None:  # noqa: N802  # aiosmtpd's name
        """Begin a message; RET and ENVID (RFC 3461), and AUTH (RFC 4954 section 5), are taken and change nothing."""
        if await self._busy("MAIL"):
            return
        offered = "BINARYMIME" in self.site.personality.extensions
        binary = offered and "BODY=BINARYMIME" in (argument or "").upper().split()
        patterns = {**_MAIL_PARAMETERS, "BODY": "BINARYMIME"} if binary else _MAIL_PARAMETERS
        argument = await self._without(patterns, "FROM:", argument)
        if argument is not None:
            transaction, begun = self._transaction, self._transaction.mail_from
            await super().smtp_MAIL(argument)
            if not begun and transaction.mail_from:
                transaction.binary = binary

    async def smtp_RCPT(self, argument: str | None) -> None:  # noqa: N802  # aiosmtpd's name
        """Name a recipient; NOTIFY and ORCPT (RFC 3461) are taken and change nothing."""
        if not await self._busy("RCPT"):
            argument = await self._without(_RCPT_PARAMETERS, "TO:", argument)
            if argument is not None:
                await super().smtp_RCPT(argument)

    async def smtp_DATA(self, argument: str | None) -> None:  # noqa: N802  # aiosmtpd's name
        """Take a message in lines."""
        if await self._busy("DATA"):
            return
        if self._transaction.binary:
            # RFC 3030 section 3.
            await self.push("503 5.5.1 BODY=BINARYMIME goes with BDAT")
        else:
            await super().smtp_DATA(cast("str", argument))

    async def _busy(self, command: str) -> bool:
        """Refuse a command that has no place now; RFC 3030 section 2: between chunks come only chunks."""
        if await self.check_helo_needed() or await self.check_auth_needed(command):
            return True
        if self._transaction.chunks is not None or self._transaction.failed:
            await self.push("503 5.5.1 Bad sequence: BDAT has begun; RSET ends it")
            return True
        return False

    async def _without(self, patterns: Mapping[str, str], keyword: str, argument: str | None) -> str | None:
        """Return *argument* without the parameters that aiosmtpd does not know; None if one of them is refused."""
        path = self._strip_command_keyword(keyword, argument or "")
        _, rest = self._getaddr(path or "")
        if not path or not rest:
            return argument or ""
        kept, seen = [], set()
        for word in rest.split():
            name, _, value = word.partition("=")
            pattern = patterns.get(name.upper())
            if pattern is None:
                kept.append(word)
            elif name.upper() in seen or not re.fullmatch(pattern, value, re.IGNORECASE | re.ASCII):
                await self.push(f"501 5.5.4 Bad parameter {name.upper()}")
                return None
            seen.add(name.upper())
        return f"{keyword}{path[: len(path) - len(rest)]}{' '.join(kept)}"

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Return the address and what follows; the parser that aiosmtpd uses fails on some malformed ones."""
        found = _PATH.fullmatch(arg) or _BARE.fullmatch(arg)
        if found is None:
            return None, None
        # An empty reverse path is an address for aiosmtpd if it stands in brackets.
        return found["path"] or "<>", found["rest"]

    # --- BDAT (RFC 3030) ------------------------------------------------------------------------------------------

    async def smtp_BDAT(self, argument: str | None) -> None:  # noqa: N802  # aiosmtpd's name
        """Take a chunk of exactly as many octets as it says, whether it is welcome or not."""
        found = re.fullmatch(r"(\d{1,20})(?: +(LAST))?", argument or "", re.IGNORECASE | re.ASCII)
        if found is None:
            # Nobody can tell where the chunk ends: a message must not be taken for commands.
            await self.push("501 5.5.4 Syntax: BDAT octets [LAST]")
            self.hang_up()
            return
        error = self._chunk_error(int(found[1]))
        chunk = await self._take(int(found[1]), keep=not error)
        transaction = self._transaction
        if error:
            transaction.failed = bool(transaction.mail_from)
            await self.push(error)
            return
        transaction.chunks = [*(transaction.chunks or []), chunk]
        if found[2]:
            reply = self._hooks.deliver(transaction, b"".join(transaction.chunks))
            self.envelope = self._create_envelope()
            await self.push(reply)
        else:
            await self.push(f"250 2.0.0 {found[1]} octets received")

    def _chunk_error(self, octets: int) -> str:
        transaction = self._transaction
        if not self.secure or not self._session.authenticated:
            return "530 5.7.0 Authentication required"
        if not transaction.mail_from:
            return "503 5.5.1 Error: need MAIL command"
        if not transaction.rcpt_tos:
            return "503 5.5.1 Error: need RCPT command"
        if transaction.failed:
            return "503 5.5.1 An earlier chunk was refused; RSET ends it"
        if octets + sum(map(len, transaction.chunks or [])) > self.site.data_size_limit:
            return "552 5.3.4 Error: Too much mail data"
        return ""

    async def _take(self, octets: int, *, keep: bool) -> bytes:
        blocks = []
        while octets:
            block = await self._reader.readexactly(min(octets, _BLOCK))
            self._reset_timeout()
            octets -= len(block)
            if keep:
                blocks.append(block)
        return b"".join(blocks)
