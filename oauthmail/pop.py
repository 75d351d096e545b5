"""`poplib.POP3` and `poplib.POP3_SSL` that log in with OAuth (RFC 5034)."""

from __future__ import annotations

import contextlib
import functools
import poplib
import sys

from ._client import OAuthClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Iterable, Iterator
    from typing import Any

    from ._pop_reading import Retrieve, RetrievedMessage
    from .errors import AuthenticationError, MechanismError

__all__ = ["POP3", "POP3_SSL"]

# RFC 2449 section 4, with the line end; RFC 5034 section 4 forbids an initial response that does not fit. Exchange
# Online answers longer lines by closing the connection.
_COMMAND_LINE = 255


class POP3(OAuthClient[bytes], poplib.POP3):
    """`poplib.POP3` with `authenticate_oauth`, and with TLS that verifies the server by default.

    ::

        C: AUTH XOAUTH2 dXNlcj1…            on one line where CAPA lists SASL and it fits 255 octets
        S: +OK Logged in

        C: AUTH XOAUTH2
        S: +
        C: dXNlcj1…
        S: +OK Logged in
    """

    _oauth_protocol = "pop"
    _oauth_tls_hint = "call stls() before logging in, or use POP3_SSL"
    _oauth_broken = poplib.error_proto
    # What CAPA listed under SASL on this connection; None until it was asked.
    _oauth_sasl: list[str] | None = None
    # Whether it listed PIPELINING; None until then.
    _oauth_pipelining: bool | None = None
    # The `retrieve` that has commands under way.
    _oauth_retrieve: Retrieve | None = None
    # Not in typeshed; None until the constructor has connected, so that close() works even then.
    file: Any = None
    sock: Any = None
    _debugging: int

    if not TYPE_CHECKING:

        @functools.wraps(poplib.POP3.__init__)
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            try:
                super().__init__(*args, **kwargs)
            except BaseException:
                # The parent leaves the connection open when the greeting is bad, and nobody has it then.
                self._oauth_drop()
                raise

    def _putline(self, line: bytes) -> None:
        # The parent forgets its socket in close(), and a quit() in somebody's "finally" would end in AttributeError.
        self._oauth_ready()
        super()._putline(line)  # type: ignore[misc]  # not in typeshed

    def capa(self) -> dict[str, list[str]]:
        """Return the server's capabilities (RFC 2449) by name, as `poplib.POP3.capa` does.

        Blank lines are skipped and octets outside ASCII replaced, where the parent stops with an exception.

        Raises:
            poplib.error_proto: the server does not know the command, or the connection was lost.
        """
        try:
            _, lines, _ = self._longcmd("CAPA")  # type: ignore[attr-defined]  # not in typeshed
        except poplib.error_proto as error:
            # A lost connection comes as text, the server's own -ERR as bytes.
            if isinstance(error.args[0], str):
                raise
            raise poplib.error_proto("-ERR CAPA not supported by server") from error
        capabilities: dict[str, list[str]] = {}
        for line in lines:
            if words := line.decode("ascii", "replace").split():
                capabilities[words[0]] = words[1:]
        self._oauth_pipelining = "PIPELINING" in map(str.upper, capabilities)
        return capabilities

    def retrieve(self, numbers: Iterable[int]) -> Iterator[RetrievedMessage]:
        """Return messages one after the other, while those that follow are on their way.

        ::

            C: RETR 1
            C: RETR 2                           at once where CAPA lists PIPELINING (RFC 2449 section 6.6)
            S: +OK 1234 octets
            S: …
            S: .
            S: -ERR there is no message 2

        Memory holds one message at a time. Other commands may be used meanwhile: what is under way is read first, and
        kept for the iterator. An iterator that is left costs the next command the time to read what is under way: some
        4 MiB, but at the beginning, when sizes are not known, 1,024 messages.

        Args:
            numbers: message numbers, which are read as they are needed.

        Returns:
            An iterator of `RetrievedMessage`, in the order of the numbers. A message that the server refuses has an
            ``error``, and the next one follows. Lines may be of any length, where `poplib.POP3.retr` stops at 2,048
            octets.

        Raises:
            TypeError, ValueError: what *numbers* gave is no message number; the messages before it have come.
            poplib.error_proto: the connection was lost, or the server does not keep to the protocol; it is closed.
            OSError: nothing came within the socket's timeout; the connection is closed.
        """
        from ._pop_reading import Retrieve

        return Retrieve(self, numbers).messages()

    def _oauth_pipelines(self) -> bool:
        """Tell whether the server takes commands before it has answered others (RFC 2449 section 6.6)."""
        if self._oauth_pipelining is None:
            try:
                self.capa()
            except poplib.error_proto as error:
                if "CAPA" not in str(error.args[0]):
                    self._oauth_drop()
                    raise
                self._oauth_pipelining = False
            except OSError:
                # An answer that comes late would be read as a message's.
                self._oauth_drop()
                raise
        return bool(self._oauth_pipelining)

    def stls(self, *args: Any, **kwargs: Any) -> bytes:
        """Start TLS (RFC 2595), verifying the server unless a ``context`` says otherwise.

        Takes and returns what `poplib.POP3.stls` does.

        Raises:
            poplib.error_proto: the server does not offer STLS, or somebody put plaintext in behind its answer.
            ssl.SSLError: the handshake or the verification failed; the connection is closed.
        """
        args, kwargs = self._oauth_upgrading(super().stls, args, kwargs)
        try:
            with self._oauth_bounded():
                reply = super().stls(*args, **kwargs)
        except (OSError, poplib.error_proto) as error:
            # An answer that comes late would be read as the next command's, which goes in the clear.
            if not _whole(error):
                self._oauth_drop()
            raise
        self._oauth_sasl = self._oauth_pipelining = None
        return reply

    def _oauth_check_upgrade(self) -> None:
        from ._tls import plaintext_waiting

        if plaintext_waiting(self.sock, self.file):
            raise poplib.error_proto("-ERR plaintext follows the answer to STLS: the connection is attacked")

    def _oauth_ready(self) -> socket.socket:
        if self.sock is None:
            raise poplib.error_proto("-ERR not connected")
        if self._oauth_retrieve is not None:
            self._oauth_retrieve.settle()
        sock: socket.socket = self.sock
        return sock

    def _oauth_errors(self) -> tuple[type[AuthenticationError], type[MechanismError]]:
        from .pop_errors import POPMechanismError, POPOAuthError

        return POPOAuthError, POPMechanismError

    def _oauth_address(self) -> tuple[str, int]:
        return self.host, self.port

    def _oauth_offered(self, forced: bool) -> Collection[str]:
        if self._oauth_sasl is None and not forced:
            try:
                capabilities = self.capa()
            except poplib.error_proto as error:
                if "CAPA" not in str(error.args[0]):
                    raise
                capabilities = {}
            listed = (words for name, words in capabilities.items() if name.upper() == "SASL")
            self._oauth_sasl = [word.upper() for words in listed for word in words]
        return self._oauth_sasl or ()

    def _oauth_at_once(self, command: bytes, initial: bytes) -> bool:
        # RFC 5034 section 4: without a SASL line in CAPA the server may not know initial responses.
        return bool(self._oauth_sasl) and len(command) + len(initial) + len(b" \r\n") <= _COMMAND_LINE

    def _oauth_put(self, line: bytes, shown: bytes) -> None:
        # Not _putcmd(): that shows the line to the debug output and to audit hooks.
        if self._debugging:
            print("*cmd*", repr(shown.decode("ascii")))
        sys.audit("poplib.putline", self, shown)
        self._oauth_ready().sendall(line + b"\r\n")

    def _oauth_next(self) -> tuple[bytes | None, bool, bytes]:
        # The parent would print the reply as it is, and a server may repeat what it was sent.
        level, self._debugging = self._debugging, 0
        try:
            line, _ = self._getline()  # type: ignore[attr-defined]  # not in typeshed
        finally:
            self._debugging = level
        if level:
            print("*resp*", repr(self._oauth_redact(line)))
        word, _, rest = line.partition(b" ")
        if word not in (b"+OK", b"+", b"-ERR"):
            raise poplib.error_proto(line)
        return (rest.strip() if word == b"+" else None), word == b"+OK", line

    def _oauth_reply_text(self, reply: bytes) -> tuple[tuple[object, ...], str]:
        return (reply,), reply.decode("utf-8", "replace")

    def _oauth_drop(self) -> None:
        # close() fails on the socket that a failed handshake leaves behind, having closed it all the same.
        with contextlib.suppress(OSError):
            self.close()


def _whole(error: Exception) -> bool:
    """Tell whether *error* came of a whole answer, so that the connection is in step for another command."""
    said = error.args[0] if isinstance(error, poplib.error_proto) else ""
    # The parent's own words are text: without CAPA or STLS it sends nothing, an end or a long line breaks the answer.
    return said.startswith(b"-ERR") if isinstance(said, bytes) else said not in ("", "-ERR EOF", "line too long")


class POP3_SSL(POP3, poplib.POP3_SSL):  # type: ignore[misc]  # typeshed: each has a stls() of its own
    """`poplib.POP3_SSL` with `authenticate_oauth`, verifying the server unless a ``context`` says otherwise."""

    if not TYPE_CHECKING:

        @functools.wraps(poplib.POP3_SSL.__init__)
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            args, kwargs = self._oauth_verified(super(POP3, self).__init__, args, kwargs)
            super().__init__(*args, **kwargs)
