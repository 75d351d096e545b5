"""`imaplib.IMAP4` and `imaplib.IMAP4_SSL` that log in with OAuth (RFC 3501 section 6.2.2, RFC 4959)."""

from __future__ import annotations

import contextlib
import functools
import imaplib
import socket
import sys

from ._client import OAuthClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import Any

    from ._imap_reading import Fetch, FetchedMessage
    from .errors import AuthenticationError, MechanismError

__all__ = ["IMAP4", "IMAP4_SSL"]

# Responses that a server may send during one login before it is taken for hostile.
_RESPONSES = 1000

# From Python 3.14 on imaplib keeps its own read buffer; before, it reads through a file.
_OWN_BUFFER = sys.version_info >= (3, 14) or isinstance(getattr(imaplib.IMAP4, "file", None), property)

# Octets that are read at a time; the parent reads 8 KiB.
_BUFFER = 1 << 16

_NOT_CONNECTED = "user is authenticated but not connected"


class IMAP4(OAuthClient["tuple[str, list[Any]]"], imaplib.IMAP4):
    """`imaplib.IMAP4` with `authenticate_oauth`, and with TLS that verifies the server by default.

    ::

        C: A1 AUTHENTICATE XOAUTH2 dXNlcj1…     on one line where the server offers SASL-IR
        S: A1 OK [CAPABILITY …] Logged in

        C: A1 AUTHENTICATE XOAUTH2
        S: +
        C: dXNlcj1…
        S: A1 OK Logged in
    """

    _oauth_protocol = "imap"
    _oauth_tls_hint = "call starttls() before logging in, or use IMAP4_SSL"
    _oauth_broken = imaplib.IMAP4.abort
    _oauth_reads_from = "sock" if _OWN_BUFFER else "file"
    _oauth_tag = b""
    # Mechanism and user of a login on this connection, for what only the first command after it shows.
    _oauth_user: tuple[str, str] | None = None
    _oauth_capabilities: tuple[str, ...] = ()
    _oauth_stale = True
    # Set between the TLS handshake and the parent's own question, which nothing would bound in time.
    _oauth_deferred = False
    # The `fetch_messages` that has commands under way; how often a folder was selected; how many messages it has.
    _oauth_fetch: Fetch | None = None
    _oauth_selected = 0
    _oauth_exists = 0
    # A line that was read, but not for the one who read it.
    _oauth_line: bytes | None = None
    # Not in typeshed, or less exact there; the last from Python 3.14 on.
    file: Any
    tagged_commands: dict[bytes, Any]
    continuation_response: Any
    mo: Any
    _readbuf: list[bytes]

    # --- what the parent class does a little differently ----------------------------------------------------------

    def open(self, host: str = "", *args: Any, **kwargs: Any) -> None:
        """Connect as the parent class does; no host stands for ``localhost``, so that TLS has a name to verify."""
        super().open(host or "localhost", *args, **kwargs)
        # The parent sends what belongs together in two packets, the second of which would wait for the first one's
        # acknowledgement, and commands that follow each other would wait as well. Only TCP has the option.
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not _OWN_BUFFER:
            # Nothing has been read yet.
            file, self.file = self.file, self.sock.makefile("rb", _BUFFER)
            file.close()

    @property
    def capabilities(self) -> tuple[str, ...]:  # an attribute in the parent
        """What the server can do, in upper case.

        Taken from the greeting and from the answer to the login where the server gives it there. A server that does
        not is asked when somebody looks: a login may change the answer, but not every script wants to know.
        """
        if self._oauth_stale and self.state != "LOGOUT":
            # A literal that waits for the caller's next command is not for this one; and an attribute cannot fail: if
            # the line is dead, the next command says so.
            literal, self.literal = self.literal, None
            with contextlib.suppress(OSError, self.error):
                self._get_capabilities()
            self.literal = literal
        return self._oauth_capabilities

    @capabilities.setter
    def capabilities(self, value: tuple[str, ...]) -> None:
        self._oauth_capabilities = value
        self._oauth_stale = False

    @capabilities.deleter
    def capabilities(self) -> None:
        self._oauth_stale = True

    def _get_capabilities(self) -> None:
        if self._oauth_deferred:
            return
        told = self.untagged_responses.pop("CAPABILITY", None) or self.capability()[1]
        if not isinstance(told[-1], bytes):
            raise self.error("no CAPABILITY response from server")
        self.capabilities = tuple(told[-1].decode("ascii", "replace").upper().split())

    def starttls(self, *args: Any, **kwargs: Any) -> Any:
        """Start TLS, verifying the server unless an ``ssl_context`` says otherwise.

        Takes and returns what `imaplib.IMAP4.starttls` does.

        Raises:
            imaplib.IMAP4.abort: the server does not offer STARTTLS, greeted as logged in already (PREAUTH), or
                somebody put plaintext in behind its answer.
            ssl.SSLError: the handshake or the verification failed; the connection is closed.
        """
        if self.state == "AUTH" and "PREAUTH" in self.untagged_responses:
            # STARTTLS is not allowed any more in this state (RFC 3501 section 6.2.1), which is what an attacker who
            # puts this greeting in wants.
            self._oauth_drop()
            raise self.abort("the server greets with PREAUTH, which makes TLS impossible")
        args, kwargs = self._oauth_upgrading(super().starttls, args, kwargs, "ssl_context")
        try:
            with self._oauth_bounded():
                reply = super().starttls(*args, **kwargs)
            self._oauth_deferred = False
            with self._oauth_bounded():
                self._get_capabilities()
        except (OSError, self.error):
            # An answer that comes late would be read as the next command's, which goes in the clear.
            if None in self.tagged_commands.values():
                self._oauth_drop()
            raise
        finally:
            self._oauth_deferred = False
        return reply

    def _command_complete(self, name: str, tag: bytes) -> tuple[str, list[Any]]:
        try:
            typ, data = super()._command_complete(name, tag)  # type: ignore[misc]  # not in typeshed
        except self.error as error:
            self._oauth_check_connected(str(error), error)
            raise
        if typ == "NO":
            self._oauth_check_connected(str(data), None)
        return typ, data

    def _oauth_check_connected(self, said: str, cause: BaseException | None) -> None:
        """Raise the refusal that Exchange Online hides behind an accepted login.

        It says OK to a token that may not open the mailbox, then answers every command with this text.
        """
        if self._oauth_user is None or _NOT_CONNECTED not in said.lower():
            return
        from ._redact import printable
        from .hints import advise
        from .imap_errors import IMAPOAuthError

        mechanism, user = self._oauth_user
        self._oauth_drop()
        said = printable(said)
        advice = advise("imap", said, status=None, scope=None, user=user)
        raise IMAPOAuthError(said, mechanism=mechanism, server_reply=said, hint=advice.hint) from cause

    def fetch_messages(
        self, message_set: str | bytes | Iterable[Any], parts: str = "BODY.PEEK[]", *, uid: bool = False
    ) -> Iterator[FetchedMessage]:
        """Return messages of the selected folder one after the other, while those that follow are on their way.

        ::

            C: A1 FETCH 1:256 BODY.PEEK[]
            C: A2 FETCH 257:512 BODY.PEEK[]
            S: * 1 FETCH (BODY[] {1234}
            S: …
            S: A1 OK done
            C: A5 FETCH 1025:2048 BODY.PEEK[]

        Memory holds one message at a time, whatever the size of the folder. Other commands may be used meanwhile: what
        is under way is read first, and kept for the iterator. An iterator that is left costs the next command the time
        to read what is under way: some 4 MiB, but at the beginning, when sizes are not known, 1,024 messages.

        With sequence numbers an expunge between two windows moves the messages behind it up, so that some are left
        out: use ``uid=True`` where messages are expunged meanwhile.

        Args:
            message_set: as `imaplib.IMAP4.fetch` takes it, such as ``"1:100"``, ``"1,3,5:7"`` or ``"1:*"``; or message
                numbers one by one, as integers or as ``search`` returns them. Each message comes once; an empty folder
                has none.
            parts: the items, one or several in parentheses.
            uid: the numbers are unique identifiers. A wide range in a large folder is searched first.

        Returns:
            An iterator of `FetchedMessage`, in the order in which the server sends them: ascending, but for servers
            such as Dovecot that answer several commands side by side. The first command is sent when the first message
            is asked for. Changes of flags that the server reports on its own are left out.

        Raises:
            ValueError: unusable arguments; nothing was sent.
            imaplib.IMAP4.error: no folder is selected, or, after the messages that came, the server refused (NO or
                BAD) or another folder was selected.
            imaplib.IMAP4.abort: the connection was lost.
            OSError: nothing came within the socket's timeout; the connection is closed.
        """
        from ._imap_reading import Fetch

        return Fetch(self, message_set, parts, uid).messages()

    def _command(self, name: str, *args: Any) -> bytes:
        if self._oauth_fetch is not None:
            self._oauth_fetch.settle()
        self._oauth_selected += name in ("SELECT", "EXAMINE")
        return super()._command(name, *args)  # type: ignore[misc,no-any-return]  # not in typeshed

    def readline(self) -> bytes:
        """Read a line, as the parent class does; for its use and for subclasses, not for callers."""
        line, self._oauth_line = self._oauth_line, None
        return super().readline() if line is None else line

    def _get_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._get_response(*args, **kwargs)  # type: ignore[misc]  # not in typeshed
        except (ValueError, OverflowError, MemoryError) as error:
            # The parent takes any size that a server gives a literal for possible.
            raise self.abort("a literal of impossible size") from error

    def _append_untagged(self, typ: str, dat: bytes | tuple[bytes, bytes] | None) -> None:
        # What a server repeats of a login would stay here for as long as the client lives.
        kept = tuple(map(self._oauth_redact, dat)) if isinstance(dat, tuple) else self._oauth_redact(dat)
        super()._append_untagged(typ, kept)  # type: ignore[misc]  # not in typeshed
        if typ == "EXISTS" and isinstance(kept, bytes) and kept.isdigit():
            self._oauth_exists = int(kept[:10])
        elif typ == "EXPUNGE":
            self._oauth_exists -= 1

    if __debug__:

        def _mesg(self, s: str, secs: float | None = None) -> None:
            super()._mesg(self._oauth_redact(s), secs)  # type: ignore[misc]  # not in typeshed

        def _log(self, line: str) -> None:
            super()._log(self._oauth_redact(line))  # type: ignore[misc]  # not in typeshed

    # --- what a login needs ---------------------------------------------------------------------------------------

    def _oauth_check_upgrade(self) -> None:
        from ._deadline import unbounded
        from ._tls import plaintext_waiting

        # Capabilities that came in the clear are worth nothing now (RFC 3501 section 6.2.1).
        self.untagged_responses.pop("CAPABILITY", None)
        self._oauth_deferred = True
        buffered = _OWN_BUFFER and any(self._readbuf)
        if buffered or plaintext_waiting(unbounded(self.sock), None if _OWN_BUFFER else self.file):
            raise self.abort("plaintext follows the answer to STARTTLS: the connection is attacked")

    def _oauth_ready(self) -> socket.socket:
        if self.state != "NONAUTH":
            raise self.error(f"command AUTHENTICATE illegal in state {self.state}, only allowed in states NONAUTH")
        return self.sock

    def _oauth_errors(self) -> tuple[type[AuthenticationError], type[MechanismError]]:
        from .imap_errors import IMAPMechanismError, IMAPOAuthError

        return IMAPOAuthError, IMAPMechanismError

    def _oauth_address(self) -> tuple[str, int]:
        return self.host, self.port

    def _oauth_offered(self, forced: bool) -> Collection[str]:
        return [name[len("AUTH=") :] for name in self.capabilities if name.startswith("AUTH=")]

    def _oauth_command(self, mechanism: str) -> bytes:
        for typ in ("OK", "NO", "BAD", "CAPABILITY"):
            self.untagged_responses.pop(typ, None)
        self._oauth_tag = self._new_tag()
        return self._oauth_tag + b" AUTHENTICATE " + mechanism.encode("ascii")

    def _oauth_at_once(self, command: bytes, initial: bytes) -> bool:
        # IMAP4rev2 includes SASL-IR (RFC 9051 appendix E).
        return "SASL-IR" in self.capabilities or "IMAP4REV2" in self.capabilities

    def _oauth_put(self, line: bytes, shown: bytes) -> None:
        if __debug__:
            (self._mesg if self.debug >= 4 else self._log)(f"> {shown!r}")
        # Not send(), which shows the line to audit hooks; and one packet, where the parent sends an answer and its
        # line end as two, the second of which waits for the first one's acknowledgement.
        sys.audit("imaplib.send", self, shown + b"\r\n")
        try:
            self.sock.sendall(line + b"\r\n")
        except OSError as error:
            raise self.abort(f"socket error: {error}") from error

    def _oauth_next(self) -> tuple[bytes | None, bool, tuple[str, list[Any]]]:
        for _ in range(_RESPONSES):
            if self._get_response() is None:
                challenge = (self.continuation_response or b"").strip()
                # The parent would keep what the server says here for as long as the client lives.
                self.continuation_response, self.mo = b"", None
                return challenge, False, ("", [])
            if done := self.tagged_commands[self._oauth_tag]:
                del self.tagged_commands[self._oauth_tag]
                return self._oauth_finish(*done)
            self._check_bye()
        raise self.abort("more responses than any login needs")

    def _oauth_finish(self, typ: str, data: list[Any]) -> tuple[None, bool, tuple[str, list[Any]]]:
        self.mo = None
        if typ == "OK":
            self.state = "AUTH"
            del self.capabilities
            if "CAPABILITY" in self.untagged_responses:
                self._get_capabilities()
        return None, typ == "OK", (typ, data)

    def _oauth_accepted(self, mechanism: str, identity: str) -> None:
        self._oauth_user = mechanism, identity

    def _oauth_reply_text(self, reply: tuple[str, list[Any]]) -> tuple[tuple[object, ...], str]:
        typ, data = reply
        text = data[-1].decode("utf-8", "replace")
        # As in the parent, which has the text alone for NO and the whole answer for BAD.
        return (
            ((text,), f"{typ} {text}")
            if typ == "NO"
            else ((f"AUTHENTICATE command error: {typ} {data}",), f"{typ} {text}")
        )

    def _oauth_drop(self) -> None:
        self.state = "LOGOUT"
        self._readbuf = []
        with contextlib.suppress(OSError):
            self.shutdown()


class IMAP4_SSL(IMAP4, imaplib.IMAP4_SSL):
    """`imaplib.IMAP4_SSL` with `authenticate_oauth`, verifying the server unless an ``ssl_context`` says otherwise."""

    if not TYPE_CHECKING:

        @functools.wraps(imaplib.IMAP4_SSL.__init__)
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            args, kwargs = self._oauth_verified(super().__init__, args, kwargs, "ssl_context")
            super().__init__(*args, **kwargs)
