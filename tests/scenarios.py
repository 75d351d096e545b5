"""What a server may say to the commands of a message, as data: a reply to each, or the end of the connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from .conversation import HangUp, Policy

CRLF = b"\r\n"


@dataclass(frozen=True)
class Said:
    """What a server says to one command.

    Attributes:
        octets: a reply; nothing, or the beginning of one, in front of the end of the connection.
        ends: whether the server then closes the connection.
    """

    octets: bytes
    ends: bool = False

    def say(self) -> bytes:
        if self.ends:
            raise HangUp(self.octets)
        return self.octets

    @property
    def code(self) -> int:
        """The reply's code; 0 where there is no whole reply."""
        if not self.octets.endswith(CRLF):
            return 0
        last = self.octets.splitlines()[-1][:3]
        return int(last) if last.isdigit() else -1

    @property
    def whole(self) -> bool:
        return self.octets.endswith(CRLF)


OK = Said(b"250 2.0.0 ok\r\n")
GO = Said(b"354 go on\r\n")
GONE = Said(b"", ends=True)
HALF = Said(b"250 2.0.0 o", ends=True)
GOODBYE = Said(b"421 4.3.2 shutting down\r\n", ends=True)
STAYING = Said(b"421 4.3.2 shutting down\r\n")
#: Speaks neither for nor against a message: smtplib takes it for a refusal.
JUNK = Said(b"what was that?\r\n")
REFUSALS = [
    Said(b"550 5.7.1 no\r\n"),
    Said(b"450-4.7.1 not\r\n450 4.7.1 now\r\n"),
    Said(b"552 5.3.4 too much\r\n"),
    Said(b"220 out of place\r\n"),
]
ENDINGS = [GONE, HALF, GOODBYE, STAYING, Said(b"550 5.7.1 no, and good bye\r\n", ends=True)]


@dataclass(frozen=True)
class Scenario:
    """The replies to one message.

    Attributes:
        mail: to MAIL.
        recipients: to each RCPT.
        data: to DATA.
        final: to the message itself, by DATA or BDAT.
        reset: to a RSET behind a refusal.
    """

    mail: Said = OK
    recipients: tuple[Said, ...] = (OK,)
    data: Said = GO
    final: Said = OK
    reset: Said = OK

    def policy(self) -> Policy:
        """Return it as a server's policy, for one message on a connection of its own."""
        left = iter(self.recipients)
        replies: dict[bytes, Callable[[], Said]] = {
            b"MAIL": lambda: self.mail,
            b"RCPT": lambda: next(left),
            b"DATA": lambda: self.data,
            b"BDAT": lambda: self.final,
            b".": lambda: self.final,
            b"RSET": lambda: self.reset,
        }
        return lambda line: replies[line[:4].upper()]().say() if line[:4].upper() in replies else None

    def map(self, change: Callable[[Said], Said]) -> Scenario:
        return Scenario(
            change(self.mail), tuple(map(change, self.recipients)), change(self.data), change(self.final), self.reset
        )


@dataclass
class Plan:
    """Scenarios of several messages on one connection; the sender's name tells which message a command belongs to.

    Attributes:
        scenarios: of the messages ``m0@…``, ``m1@…`` and so on.
        reset: to the RSET in front of each of them.
    """

    scenarios: list[Scenario]
    reset: Callable[[int], Said] = lambda number: OK
    _current: int = -1
    _recipient: int = 0
    _resets: int = field(default=-1)

    def policy(self, line: bytes) -> bytes | None:
        verb = line[:4].upper()
        if verb == b"RSET":
            self._resets += 1
            return self.reset(self._resets).say()
        if verb == b"MAIL":
            self._current = int(line[line.index(b"<m") + 2 : line.index(b"@")])
            self._recipient = 0
            return self.scenarios[self._current].mail.say()
        if verb == b"RCPT":
            self._recipient += 1
            return self.scenarios[self._current].recipients[self._recipient - 1].say()
        scenario = self.scenarios[self._current] if self._current >= 0 else Scenario()
        if verb == b"DATA":
            return scenario.data.say()
        return scenario.final.say() if verb in (b"BDAT", b".") else None


def replies(*usual: Said) -> st.SearchStrategy[Said]:
    """Return what may be said: often one of the usual, sometimes a refusal, an ending or junk."""
    return st.sampled_from([*usual * 8, *REFUSALS, *REFUSALS, *ENDINGS, JUNK])


def refusing(*usual: Said) -> st.SearchStrategy[Said]:
    """Return what may be said by a server that keeps the connection, and keeps to the protocol."""
    return st.sampled_from([*usual * 6, *REFUSALS])


def scenarios(said: Callable[..., st.SearchStrategy[Said]] = replies, *, most: int = 4) -> st.SearchStrategy[Scenario]:
    """Return all kinds of scenarios, of as many recipients at most."""
    received = said(OK, OK, Said(b"251 2.1.5 will forward\r\n"))
    return st.builds(
        Scenario,
        said(OK),
        st.lists(received, min_size=1, max_size=most).map(tuple),
        said(GO, GO),
        said(OK, OK),
        said(OK),
    )


def without_halves(scenario: Scenario) -> Scenario:
    """Return the same where half a reply in front of the end is none, but for the one to RSET."""
    return scenario.map(lambda said: said if said.whole else GONE)
