"""A POP3 server (RFC 1939, 2449, 2595, 5034) with the OAuth mechanisms and nothing else to log in with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import ClassVar

from .lines import Connection, LineTooLongError, masked, shown
from .listener import LineServer
from .mailbox import Mailbox, Message
from .mechanisms import Decision

__all__ = ["PopServer"]


class _ReplyError(Exception):
    """A command that fails; its text is the reply."""


class _PopConnection(Connection):
    """One POP3 session: first authorization, then transaction; QUIT brings the update (RFC 1939 section 3)."""

    user: str | None = None
    _folder: Mailbox
    _messages: list[Message]
    _deleted: set[int]

    def serve(self) -> None:
        self.write(f"+OK {self.personality.greetings['pop']}\r\n".encode())
        self.send()
        while True:
            line = self.read_command_line().rstrip(b"\r\n").decode("utf-8", "replace")
            name, _, argument = line.partition(" ")
            name = name.upper()
            self.record(_recorded(line, name, argument))
            commands = self._AUTHORIZATION if self.user is None else self._TRANSACTION
            try:
                if name not in commands:
                    raise _ReplyError("-ERR Unknown command, or not the time for it")
                reply = commands[name](self, argument)
            except _ReplyError as error:
                reply = str(error).encode()
            self.answer(reply if reply.endswith(b"\r\n") else reply + b"\r\n")
            if name == "QUIT":
                return
            if name == "STLS" and reply.startswith(b"+OK"):
                self.start_tls()

    # --- any state ------------------------------------------------------------------------------------------------

    def _capa(self, argument: str) -> bytes:
        lines = ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "IMPLEMENTATION oauthmail-sandbox"]
        if not self.tls:
            lines.append("STLS")
        elif self.user is None:
            lines.append(" ".join(("SASL", *self.personality.mechanisms["pop"])))
        return _multiline("Capability list follows", (line.encode() for line in lines))

    def _quit(self, argument: str) -> bytes:
        if self.user is not None:
            # RFC 1939 section 6: messages go only now, and not when the line breaks.
            gone = [self._messages[number - 1] for number in self._deleted]
            self.server.mailboxes.expunge(self._folder, gone)
        return b"+OK Bye"

    # --- authorization --------------------------------------------------------------------------------------------

    def _stls(self, argument: str) -> bytes:
        if self.tls:
            raise _ReplyError("-ERR TLS is on already")
        return b"+OK Begin TLS negotiation"

    def _password(self, argument: str) -> bytes:
        self._insist_on_tls()
        raise _ReplyError(self.personality.refusal("pop", Decision(None, "password")))

    def _insist_on_tls(self) -> None:
        if not self.tls:
            raise _ReplyError("-ERR [AUTH] Logins need TLS: say STLS first")

    def _auth(self, argument: str) -> bytes:
        mechanism, _, initial = argument.partition(" ")
        mechanism = mechanism.upper()
        if not mechanism:
            # RFC 1734's successor does without this list, but clients still ask for it.
            offered = self.personality.mechanisms["pop"] if self.tls else ()
            return _multiline("Mechanisms follow", (name.encode() for name in offered))
        self._insist_on_tls()
        if mechanism not in self.personality.mechanisms["pop"]:
            raise _ReplyError("-ERR [AUTH] That mechanism is not supported")
        if initial and not self.personality.initial_response["pop"]:
            # Exchange Online takes this for a line that is too long.
            raise LineTooLongError
        decision = self.converse(mechanism, initial.encode() if initial else None)
        if decision.reason == "cancelled":
            raise _ReplyError("-ERR Authentication cancelled")
        if decision.reason == "base64":
            raise _ReplyError("-ERR That is not base64")
        if decision.user is None:
            raise _ReplyError(self.personality.refusal("pop", decision))
        self.user = decision.user
        with self.server.mailboxes.lock:
            self._folder = self.server.mailboxes.folder(decision.user, "INBOX")
            self._messages = list(self._folder.messages)
        self._deleted = set()
        return self.personality.success["pop"].encode()

    # --- transaction ----------------------------------------------------------------------------------------------

    def _left(self) -> list[tuple[int, Message]]:
        return [(number, found) for number, found in enumerate(self._messages, 1) if number not in self._deleted]

    def _message(self, argument: str) -> tuple[int, Message]:
        number = int(argument) if re.fullmatch("[0-9]{1,9}", argument) else 0
        if not 0 < number <= len(self._messages) or number in self._deleted:
            raise _ReplyError("-ERR There is no such message")
        return number, self._messages[number - 1]

    def _stat(self, argument: str) -> bytes:
        left = self._left()
        return b"+OK %d %d" % (len(left), sum(len(message.octets) for _, message in left))

    def _each(self, argument: str, value: Callable[[Message], str]) -> bytes:
        """Answer LIST or UIDL: for one message in one line, or for all that are left."""
        if argument:
            number, message = self._message(argument)
            return f"+OK {number} {value(message)}".encode()
        lines = (f"{number} {value(message)}".encode() for number, message in self._left())
        return _multiline(f"{len(self._left())} messages", lines)

    def _list(self, argument: str) -> bytes:
        return self._each(argument, lambda message: str(len(message.octets)))

    def _uidl(self, argument: str) -> bytes:
        return self._each(argument, lambda message: f"{self._folder.uid_validity}.{message.uid}")

    def _retr(self, argument: str) -> bytes:
        _, message = self._message(argument)
        return _multiline(f"{len(message.octets)} octets", _lines(message.octets))

    def _top(self, argument: str) -> bytes:
        found = re.fullmatch("([0-9]{1,9}) ([0-9]{1,9})", argument)
        if found is None:
            raise _ReplyError("-ERR TOP wants a message and a number of lines")
        _, message = self._message(found[1])
        lines = _lines(message.octets)
        blank = lines.index(b"") if b"" in lines else len(lines)
        return _multiline("Top of message follows", lines[: blank + 1 + int(found[2])])

    def _dele(self, argument: str) -> bytes:
        number, _ = self._message(argument)
        self._deleted.add(number)
        return b"+OK Marked for deletion"

    def _rset(self, argument: str) -> bytes:
        self._deleted.clear()
        return b"+OK Nothing is marked for deletion"

    def _noop(self, argument: str) -> bytes:
        return b"+OK"

    _AUTHORIZATION: ClassVar[dict[str, Callable[[_PopConnection, str], bytes]]] = {
        "APOP": _password,
        "AUTH": _auth,
        "CAPA": _capa,
        "PASS": _password,
        "QUIT": _quit,
        "STLS": _stls,
        "USER": _password,
    }
    _TRANSACTION: ClassVar[dict[str, Callable[[_PopConnection, str], bytes]]] = {
        "CAPA": _capa,
        "DELE": _dele,
        "LIST": _list,
        "NOOP": _noop,
        "QUIT": _quit,
        "RETR": _retr,
        "RSET": _rset,
        "STAT": _stat,
        "TOP": _top,
        "UIDL": _uidl,
    }


class PopServer(LineServer):
    """POP3 on 127.0.0.1."""

    service = "pop"
    connection = _PopConnection


def _recorded(line: str, name: str, argument: str) -> str:
    if name in ("PASS", "APOP"):
        return f"{line[:4]} [redacted]"
    if name == "AUTH" and " " in argument:
        mechanism, _, initial = argument.partition(" ")
        return f"{line[:4]} {mechanism} {shown(initial.encode())}"
    return masked(line)


def _lines(octets: bytes) -> list[bytes]:
    lines = octets.split(b"\r\n")
    # What follows the last line end is no line.
    return lines if lines[-1] else lines[:-1]


def _multiline(status: str, lines: Iterable[bytes]) -> bytes:
    """Return an answer of many lines; one that starts with a dot gets another in front (RFC 1939 section 3)."""
    stuffed = [b"." + line if line.startswith(b".") else line for line in lines]
    return b"\r\n".join([f"+OK {status}".encode(), *stuffed, b".", b""])
