"""An IMAP4rev1 server (RFC 3501) with the OAuth mechanisms and nothing else to log in with."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable
from typing import ClassVar

from .imap_folders import FOLDER_COMMANDS
from .imap_messages import MESSAGE_COMMANDS, UID_COMMANDS
from .imap_session import Session
from .imap_syntax import BadError, Parser
from .lines import Connection, HangupError, masked, shown
from .listener import LineServer
from .mailbox import MAX_MESSAGE, MailboxError
from .mechanisms import Decision

__all__ = ["ImapServer"]

# Octets of a whole command with its literals: before the login, after it, and with a message in it.
_MAX_STRANGER = 4096
_MAX_COMMAND = 1 << 18
_MAX_APPEND = MAX_MESSAGE + _MAX_COMMAND

_COMMAND = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]+) ([A-Za-z]+)')
_LITERAL_END = re.compile(rb"\{(\d{1,10})(\+?)\}\r?\n\Z")
_AUTHENTICATE = re.compile(rb" ([A-Za-z0-9_-]{1,20})(?: ([^ ]+))?")
_WORD = re.compile(rb"[A-Za-z]+")

# RFC 3501 section 7.4.1: after these the sequence numbers must stand as they were.
_KEEP_NUMBERS = ("FETCH", "STORE", "SEARCH")

_EVERYWHERE = {**FOLDER_COMMANDS, **MESSAGE_COMMANDS}


class _ImapConnection(Connection):
    """One IMAP session.

    Attributes:
        session: None before the login.
        over: the connection closes after the answer.
    """

    session: Session | None = None
    over = False
    _not_connected = False
    _starts_tls = False

    def serve(self) -> None:
        code = f"[CAPABILITY {self._capabilities()}] " if self.personality.greets_with_capabilities else ""
        self.write(f"* OK {code}{self.personality.greetings['imap']}\r\n".encode())
        self.send()
        while not self.over:
            tag, octets = b"*", b""
            try:
                octets, display = self._read_command()
                found = _COMMAND.match(octets)
                name = found[2].decode("ascii").upper() if found else ""
                self.record(_recorded(display, name))
                if found is None:
                    raise BadError("Expected a tag and a command")
                tag = found[1]
                reply = self._run(name, octets[found.end() :])
            except BadError as error:
                reply = f"BAD {error}"
            except _LiteralError as error:
                tag, reply = error.tag, f"NO [TOOBIG] {error}"
            except MailboxError as error:
                reply = f"NO [{error.code}] {error}"
            self._finish(tag, reply, octets)
            if self._starts_tls:
                self._starts_tls = False
                self.start_tls()

    def _finish(self, tag: bytes, reply: str, octets: bytes) -> None:
        """Send the answer to a command: what happened to the mailbox, then the tagged response."""
        if self.session is not None:
            words = octets[:100].upper().split()
            self.session.report(expunges=b"".join(words[1:2]).decode("latin-1") not in _KEEP_NUMBERS)
            self.write(b"".join(self.session.output))
            self.session.output.clear()
        # RFC 3501 section 7.1.3: what has no tag to go with is untagged.
        self.answer(tag + f" {reply}\r\n".encode())
        if self._not_connected and reply.startswith("BAD"):
            self.write(b"* BYE Connection closed. 14\r\n")
            self.send()

    # --- reading --------------------------------------------------------------------------------------------------

    def _read_command(self) -> tuple[bytes, str]:
        """Return a command without its last line end, and how the record shows it: without the literals."""
        octets = self.read_command_line()
        display = octets.rstrip(b"\r\n").decode("utf-8", "replace")
        while found := _LITERAL_END.search(octets[-16:]):
            size = int(found[1])
            self._allow_literal(octets, size, waits=not found[2])
            literal = self.read_octets(size)
            line = self.read_command_line()
            octets += literal + line
            display += f" <{size} octets>" + line.rstrip(b"\r\n").decode("utf-8", "replace")
        return octets[: -2 if octets.endswith(b"\r\n") else -1], display

    def _allow_literal(self, octets: bytes, size: int, *, waits: bool) -> None:
        """Have a literal sent, or not; RFC 7888's are on their way already."""
        found = _COMMAND.match(octets)
        limit = _MAX_STRANGER
        if self.session is not None:
            limit = _MAX_APPEND if found and found[2].upper() == b"APPEND" else _MAX_COMMAND
        if len(octets) + size <= limit:
            if waits:
                self.answer(b"+ Ready for the literal\r\n")
        elif waits:
            raise _LiteralError(found[1] if found else b"*")
        else:
            # RFC 7888 section 4: the only other way is to read it all.
            self.answer(b"* BYE That literal is too large\r\n")
            raise HangupError

    # --- commands -------------------------------------------------------------------------------------------------

    def _run(self, name: str, arguments: bytes) -> str:
        if self._not_connected and name != "LOGOUT":
            self.over = True
            raise BadError("User is authenticated but not connected.")
        if name in self._ANY:
            return self._ANY[name](self, arguments)
        if self.session is None:
            if name in self._STRANGER:
                return self._STRANGER[name](self, arguments)
            known = name in _EVERYWHERE or name in ("UID", "IDLE")
            raise BadError("Log in first" if known else "Unknown command")
        parser = Parser(arguments)
        if name == "IDLE":
            parser.end()
            return self._idle(self.session)
        commands = _EVERYWHERE
        if name == "UID":
            parser.space()
            name, commands = parser.word(_WORD, "a command"), UID_COMMANDS
        if name not in commands:
            raise BadError("Unknown command, or not the time for it")
        return commands[name](self.session, parser)

    def _capabilities(self) -> str:
        words = ["IMAP4rev1", "LITERAL+", "ID", "ENABLE", "IDLE"]
        if self.session is not None:
            words += ["NAMESPACE", "UIDPLUS", "MOVE", "UNSELECT", "CHILDREN"]
        elif self.tls:
            words += [f"AUTH={mechanism}" for mechanism in self.personality.mechanisms["imap"]]
        else:
            words += ["STARTTLS", "LOGINDISABLED"]
        if self.session is None and self.personality.initial_response["imap"]:
            words.insert(1, "SASL-IR")
        return " ".join(words)

    def _capability(self, arguments: bytes) -> str:
        Parser(arguments).end()
        self.write(f"* CAPABILITY {self._capabilities()}\r\n".encode())
        return "OK Capability completed"

    def _noop(self, arguments: bytes) -> str:
        Parser(arguments).end()
        return "OK Noop completed"

    def _logout(self, arguments: bytes) -> str:
        Parser(arguments).end()
        self.over = True
        self.write(b"* BYE Logging out\r\n")
        return "OK Logout completed"

    def _id(self, arguments: bytes) -> str:
        parser = Parser(arguments)
        parser.space()
        if not parser.next(b"NIL"):
            parser.expect(b"(")
            while not parser.next(b")"):
                parser.next(b" ")
                parser.string()
                parser.space()
                parser.nstring()
        parser.end()
        self.write(b'* ID ("name" "oauthmail sandbox")\r\n')
        return "OK Id completed"

    def _starttls(self, arguments: bytes) -> str:
        Parser(arguments).end()
        if self.tls:
            raise BadError("TLS is on already")
        self._starts_tls = True
        return "OK Begin TLS negotiation now"

    def _login(self, arguments: bytes) -> str:
        parser = Parser(arguments)
        parser.space()
        parser.astring()
        parser.space()
        parser.astring()
        parser.end()
        if not self.tls:
            return "NO [PRIVACYREQUIRED] Logins need TLS: say STARTTLS first"
        return self.personality.refusal("imap", Decision(None, "password"))

    def _authenticate(self, arguments: bytes) -> str:
        found = _AUTHENTICATE.fullmatch(arguments)
        if found is None:
            raise BadError("Expected a mechanism")
        mechanism = found[1].decode("ascii").upper()
        if not self.tls:
            return "NO [PRIVACYREQUIRED] Logins need TLS: say STARTTLS first"
        if mechanism not in self.personality.mechanisms["imap"]:
            return "NO [CANNOT] That mechanism is not supported"
        if found[2] and not self.personality.initial_response["imap"]:
            raise BadError("An initial response takes SASL-IR, which is not offered")
        decision = self.converse(mechanism, found[2])
        if decision.reason == "cancelled":
            raise BadError("Authentication cancelled")
        if decision.reason == "base64":
            raise BadError("That is not base64")
        if decision.user is None:
            return self.personality.refusal("imap", decision)
        self._not_connected = self.state.take_fault("not_connected", "imap") is not None
        self.session = Session(self.server.mailboxes, decision.user)
        success = self.personality.success["imap"]
        if not self.personality.greets_with_capabilities:
            return success
        status, _, text = success.partition(" ")
        return f"{status} [CAPABILITY {self._capabilities()}] {text}"

    def _idle(self, session: Session) -> str:
        """Tell of changes as they come, until the client says DONE (RFC 2177)."""
        self.answer(b"+ Waiting\r\n")
        near, far = socket.socketpair()
        with contextlib.ExitStack() as stack:
            stack.enter_context(near)
            stack.enter_context(far).setblocking(False)
            if session.view is not None:
                stack.enter_context(session.mailboxes.watching(session.view.folder, lambda: _wake(far)))
            while True:
                session.report(expunges=True)
                self.write(b"".join(session.output))
                session.output.clear()
                self.send()
                if self.wait(near):
                    break
                near.recv(4096)
        line = self.read_command_line().rstrip(b"\r\n")
        done = line.upper() == b"DONE"
        self.record("DONE" if done else masked(line.decode("utf-8", "replace")))
        if not done:
            raise BadError("Expected DONE")
        return "OK Idle completed"

    _ANY: ClassVar[dict[str, Callable[[_ImapConnection, bytes], str]]] = {
        "CAPABILITY": _capability,
        "ID": _id,
        "LOGOUT": _logout,
        "NOOP": _noop,
    }
    _STRANGER: ClassVar[dict[str, Callable[[_ImapConnection, bytes], str]]] = {
        "AUTHENTICATE": _authenticate,
        "LOGIN": _login,
        "STARTTLS": _starttls,
    }


class ImapServer(LineServer):
    """IMAP on 127.0.0.1."""

    service = "imap"
    connection = _ImapConnection


class _LiteralError(Exception):
    """A literal that is refused before it is sent.

    Attributes:
        tag: of its command.
    """

    def __init__(self, tag: bytes) -> None:
        super().__init__("That literal is too large")
        self.tag = tag


def _wake(far: socket.socket) -> None:
    # A full buffer wakes as well as one octet more would.
    with contextlib.suppress(BlockingIOError):
        far.send(b".")


def _recorded(display: str, name: str) -> str:
    """Return a command as the record has it, without what lets anybody in."""
    if name == "LOGIN":
        found = re.match(r'[^ ]+ [^ ]+ (?:"[^"\\]*"|[^"\\{ ]+)(?= )', display)
        return f"{found[0] if found else display.split(' ')[0] + ' LOGIN'} [redacted]"
    if name == "AUTHENTICATE":
        tag, command, *rest = display.split(" ", 3)
        return " ".join([tag, command, *rest[:1], *(shown(word.encode()) for word in rest[1:])])
    known = name in _EVERYWHERE or name in (*_ImapConnection._ANY, *_ImapConnection._STRANGER, "UID", "IDLE")
    return display if known else masked(display)
