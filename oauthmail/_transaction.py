"""One message on its way over SMTP, without a socket: its commands, and what the replies to them mean.

Commands may travel before the replies to earlier ones are there (RFC 2920), and BDAT carries a message without a
question in between (RFC 3030). Whatever the order on the wire, a `Transaction` is told the replies one by one and says
what `smtplib.SMTP.sendmail` would have raised or returned for them.
"""

from __future__ import annotations

import re
import smtplib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    Reply = tuple[int, bytes]

__all__ = ["ADDRESS", "CHUNK", "CLOSING", "Transaction", "canonical"]

#: Octets of one BDAT command. Between two of them a refusal can still stop a large message.
CHUNK = 4 << 20

#: The reply code with which a server closes the connection (RFC 5321 section 3.8).
CLOSING = 421

# RFC 5322 section 2.1.1, without the line end.
_LONGEST_LINE = 998
# Lines of one length that are looked at together.
_ROWS = 1000

_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#: An address that needs no parser, as most: dot-atoms (RFC 5322 section 3.2.3) on both sides. Parsing one costs more
#: than all the rest of a command.
ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
_plain = re.compile(ADDRESS).fullmatch
_LINE_END = re.compile(r"[\r\n]")


class Transaction:
    """A message, its envelope, and the replies so far.

    Attributes:
        sender: the reverse path as the caller gave it.
        recipients: the forward paths as the caller gave them.
        mail_options: as the caller gave them.
        commands: MAIL and each RCPT, as octets with their line ends.
        encoding: of the commands; ``"utf-8"`` with SMTPUTF8.
        octets: the message, as it was given.
        chunked: whether BDAT carries it, not DATA.
        answered: how many replies have come; the one to a RSET in front is not counted.
        asked: how many have been asked for by what was sent.
        committed: whether the message's last octets have been asked for, so that they may have arrived.
        closing: whether one of the replies said that the server closes the connection.
        refused: recipients that were refused, with the reply.
        parted: those among them up to the first that was answered with a 421.
        started: the reply to DATA.
        final: the reply to the message; to the first chunk that was refused, if one was.
    """

    __slots__ = (
        "_decisive",
        "_doubted",
        "_mail",
        "_verbatim",
        "answered",
        "asked",
        "chunked",
        "closing",
        "commands",
        "committed",
        "encoding",
        "final",
        "mail_options",
        "octets",
        "parted",
        "recipients",
        "refused",
        "sender",
        "started",
    )

    def __init__(
        self,
        features: Mapping[str, str],
        sender: str,
        recipients: Sequence[str],
        octets: bytes,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
        encoding: str = "ascii",
    ) -> None:
        """Prepare the commands.

        Args:
            features: the server's extensions, as ``esmtp_features`` has them.
            sender: see `smtplib.SMTP.sendmail`, as for the rest.
            recipients: at least one.
            octets: the message.
            mail_options: of the MAIL command.
            rcpt_options: of each RCPT command.
            encoding: of the commands, where SMTPUTF8 is not among the options.

        Raises:
            ValueError: a line end in an address or option.
            UnicodeEncodeError: an address or option outside *encoding*.
            smtplib.SMTPNotSupportedError: SMTPUTF8 is asked for and not offered.
        """
        self.sender = sender
        self.recipients = recipients
        self.mail_options = mail_options
        self.octets = octets
        self.answered = self.asked = 0
        self.committed = self.closing = self._doubted = False
        # The number of the reply that can say yes; none can before the last octets are under way.
        self._decisive = -1
        self.refused: dict[str, Reply] = {}
        self.parted: dict[str, Reply] = {}
        self._mail: Reply | None = None
        self.started: Reply | None = None
        self.final: Reply | None = None
        options = [*mail_options]
        body = ""
        if options:
            lowered = [option.lower() for option in options]
            if "smtputf8" in lowered:
                if "smtputf8" not in features:
                    raise smtplib.SMTPNotSupportedError("SMTPUTF8 not supported by server")
                encoding = "utf-8"
            body = next((option for option in lowered if option.startswith("body=")), "")
        self._verbatim = body == "body=binarymime"
        self.chunked = "chunking" in features and (self._verbatim or _crlf(octets))
        if self.chunked and not body and "binarymime" in features and _binary(octets):
            options.append("BODY=BINARYMIME")
            self._verbatim = True
        if "size" in features:
            options.insert(0, f"size={len(octets)}")
        self.encoding = encoding
        # Lower case throughout, as in smtplib from Python 3.13 on: there are servers that take no mixture.
        self.commands = [_command("mail from:", sender, options, encoding)]
        for each in recipients:
            self.commands.append(_command("rcpt to:", each, rcpt_options, encoding))

    # --- what is sent ---------------------------------------------------------------------------------------------

    def chunks(self) -> Iterator[tuple[bytes, ...]]:
        """Return the message as BDAT commands, each in pieces: the command's line and its octets."""
        octets, end = self.octets, b"" if self._verbatim or self.octets.endswith(b"\r\n") else b"\r\n"
        size = len(octets) + len(end)
        if size <= CHUNK:
            self._commit(1)
            yield b"BDAT %d LAST\r\n" % size, octets, end
            return
        octets += end
        for start in range(0, size, CHUNK):
            piece = octets[start : start + CHUNK]
            if start + CHUNK >= size:
                self._commit(-(-size // CHUNK))
            yield b"BDAT %d%b\r\n" % (len(piece), b" LAST" if self.committed else b""), piece

    def quoted(self) -> tuple[bytes, ...]:
        """Return the message as DATA takes it, in pieces: dots doubled at the beginning of lines, and what ends it."""
        self._commit(2)
        octets = self.octets
        # Most large messages have no dot behind the first part, and looking for one is faster than for a line's first.
        if octets.find(b"\n.", 0, octets.rfind(b".") + 1) >= 0:
            octets = octets.replace(b"\n.", b"\n..")
        if octets.startswith(b"."):
            octets = b"." + octets
        return octets, b".\r\n" if octets.endswith(b"\r\n") else b"\r\n.\r\n"

    def _commit(self, replies: int) -> None:
        """Note that the last octets are about to be sent; *replies* is how many there will be behind those to RCPT."""
        self._decisive = 1 + len(self.recipients) + replies
        self.committed = True

    # --- what is answered -----------------------------------------------------------------------------------------

    def take(self, code: int, text: bytes) -> None:
        """Note the next reply."""
        at = self.answered
        if code == CLOSING:
            self.closing = True
        if at == 0:
            self._mail, wanted = (code, text), code == 250
        elif at <= len(self.recipients):
            wanted = code in (250, 251)
            if not wanted:
                self.refused[self.recipients[at - 1]] = code, text
            if code == CLOSING and not self.parted:
                self.parted = dict(self.refused)
        elif not self.chunked and self.started is None:
            self.started, wanted = (code, text), code == 354
        else:
            wanted = code == 250
            if self.final is None or self.final[0] == 250:
                # Of several chunks the first that is refused decides, otherwise the last.
                self.final = code, text
        self._doubted = self._doubted or not wanted
        # Last, as Ctrl-C may come before it: a reply that was not taken to the end speaks for nothing.
        self.answered = at + 1

    @property
    def accepted(self) -> bool:
        """Whether the server has taken the message for at least one recipient."""
        return self.answered == self._decisive and self.failure() is None

    def failure(self) -> smtplib.SMTPException | None:
        """Return what `smtplib.SMTP.sendmail` raises for the replies so far; None while they speak for the message."""
        if not self._doubted:
            # As nearly always, and this is asked often.
            return None
        if self._mail is not None and self._mail[0] != 250:
            return smtplib.SMTPSenderRefused(*self._mail, self.sender)
        if self.refused and self.answered > len(self.recipients) and len(self.refused) == len(self.recipients):
            return smtplib.SMTPRecipientsRefused(self.parted or self.refused)
        for reply, wanted in ((self.started, 354), (self.final, 250)):
            if reply is not None and reply[0] != wanted:
                # smtplib hears nothing behind the 421 to a recipient.
                return smtplib.SMTPRecipientsRefused(self.parted) if self.parted else smtplib.SMTPDataError(*reply)
        return None


def _command(verb: str, address: str, options: Collection[str], encoding: str) -> bytes:
    plain = _plain(address)
    text = f"{verb}<{address}>" if plain else verb + smtplib.quoteaddr(address)
    if options:
        text = f"{text} {' '.join(options)}"
    if (options or not plain) and _LINE_END.search(text):
        shown = text.replace("\n", "\\n").replace("\r", "\\r")
        raise ValueError(f"command and arguments contain prohibited newline characters: {shown}")
    return text.encode(encoding) + b"\r\n"


def _crlf(octets: bytes) -> bool:
    r"""Tell whether lines end in CRLF, as BDAT wants them; a server mends bare LF in what comes by DATA.

    The first and the last line are looked at: the usual slip is a whole message written with ``\n``.
    """
    first, last = octets.find(b"\n"), octets.rfind(b"\n")
    return octets[first - 1 : first] == b"\r" == octets[last - 1 : last] if first > 0 else first < 0


def _binary(octets: bytes) -> bool:
    """Tell whether a message is one for BODY=BINARYMIME: it has NUL, or lines of more than 998 octets."""
    if b"\0" in octets:
        return True
    start = 0
    while len(octets) - start > _LONGEST_LINE:
        end = octets.rfind(b"\n", start, start + _LONGEST_LINE + 2) + 1
        if not end:
            return True
        # An attachment has thousands of lines as long as the first: with their ends in place, none can be longer.
        width = octets.find(b"\n", start) + 1 - start
        if octets.startswith(b"\n", start + 9 * width - 1):
            ends = octets[start + width - 1 : start + width * _ROWS : width]
            if ends.count(b"\n") == len(ends):
                end = start + width * len(ends)
        start = end
    return False


def canonical(octets: bytes) -> bytes:
    """Return a message with CRLF line ends, if it was written with others."""
    return octets if _crlf(octets) else octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
