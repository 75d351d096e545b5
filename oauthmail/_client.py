"""What the three clients share: the order of a login, and that no secret is seen on the way.

A client brings the bytes (`_oauth_put`, `_oauth_next`) and says what its server offers (`_oauth_offered`); which
mechanism, which answer and whether to try again is decided here and in `sasl`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import socket
import ssl
from collections.abc import Collection, Iterator
from typing import ClassVar, Generic, TypeVar

from . import sasl, signing
from ._deadline import bounded
from ._redact import REDACTED, Redactor, printable, scrub
from .credentials import OAuth1Credentials, check_text
from .errors import AuthenticationError, CredentialsError, InsecureConnectionError, MechanismError
from .hints import advise
from .sources import adapt

__all__ = ["OAuthClient"]

Reply = TypeVar("Reply")

_NOTHING = Redactor()


class OAuthClient(Generic[Reply]):
    """Adds ``authenticate_oauth`` to a client of the standard library."""

    _oauth_protocol: ClassVar[str]
    _oauth_tls_hint: ClassVar[str]
    _oauth_refused: ClassVar[type[AuthenticationError]]
    _oauth_no_mechanism: ClassVar[type[MechanismError]]
    # The standard library's exception for a server that does not keep to the protocol.
    _oauth_broken: ClassVar[type[Exception]]

    _oauth_redact: Redactor = _NOTHING
    # What reads from the connection; see `bounded`.
    _oauth_reads_from: str = "file"

    def authenticate_oauth(
        self,
        url_or_user: str,
        credentials: object,
        token: object = None,
        *,
        mechanism: str | None = None,
        allow_insecure: bool = False,
    ) -> Reply:
        """Log in with OAuth.

        A refused token of a `TokenSource` or callable is renewed and tried once more on the same connection. Each
        exchange with the server lasts at most twice the socket's timeout.

        Args:
            url_or_user: the mailbox address for OAuth 2; the request URL for OAuth 1.0a (XOAUTH).
            credentials: `OAuth1Credentials`, `OAuth2Credentials`, an access token (`str`), a token response (`dict`),
                a `TokenSource`, a callable that returns one of the last three, or another library's credentials
                (google-auth, azure-identity, MSAL, requests-oauthlib).
            token: only for the old form ``authenticate_oauth(url, consumer, token)``, objects with ``.key`` and
                ``.secret``.
            mechanism: the SASL mechanism to use, whether the server offers it or not; otherwise the first offered of
                XOAUTH2, OAUTHBEARER (OAuth 2) or XOAUTH, OAUTH10A (OAuth 1.0a).
            allow_insecure: send the credentials without TLS too.

        Returns:
            What ``login`` of the class returns: ``(code, reply)`` for SMTP, ``("OK", [reply])`` for IMAP, ``reply``
            for POP3, the replies as bytes.

        Raises:
            CredentialsError: unusable arguments; nothing of the login was sent.
            InsecureConnectionError: the connection has no TLS; nothing was sent.
            MechanismError: the server offers no mechanism for these credentials; no credential was sent.
            AuthenticationError: the server refused; the connection can be used for another attempt.
            OSError: the connection was lost or timed out, in the form of the standard library's class; it is closed.
        """
        try:
            return self._oauth_login(url_or_user, credentials, token, mechanism, allow_insecure)
        except BaseException as error:
            credentials = token = None
            scrub(error, self._oauth_redact.any)
            raise
        finally:
            self._oauth_redact = _NOTHING

    # --- the order of a login -------------------------------------------------------------------------------------

    def _oauth_login(
        self, identity: str, credentials: object, token: object, mechanism: str | None, allow_insecure: bool
    ) -> Reply:
        adapted = adapt(credentials, token, user=identity, protocol=self._oauth_protocol)
        signed = adapted if isinstance(adapted, OAuth1Credentials) else None
        names = sasl.candidates(signed, _checked(identity, signed), mechanism)
        if not isinstance(self._oauth_ready(), ssl.SSLSocket) and not allow_insecure:
            raise InsecureConnectionError(f"no TLS on this connection, nothing was sent: {self._oauth_tls_hint}")
        chosen = self._oauth_choose(names, forced=mechanism is not None)
        if isinstance(adapted, OAuth1Credentials):
            return self._oauth_attempt(chosen, identity, adapted)
        access_token = adapted.token()
        try:
            return self._oauth_attempt(chosen, identity, access_token)
        except AuthenticationError as refusal:
            if not refusal.token_refused:
                raise
            renewed = adapted.token(rejected=access_token)
            if renewed == access_token:
                raise
            try:
                return self._oauth_attempt(chosen, identity, renewed)
            except AuthenticationError:
                raise
            except (OSError, self._oauth_broken) as lost:
                # The server hung up after refusing: the refusal is what the caller has to know.
                raise refusal from lost

    def _oauth_choose(self, names: tuple[str, ...], *, forced: bool) -> str:
        with self._oauth_exchange():
            offered = self._oauth_offered(forced)
        chosen = names[0] if forced else sasl.choose(names, offered)
        if chosen is None:
            found = ", ".join(sorted(offered)) or "no mechanism at all"
            raise self._oauth_no_mechanism(
                f"the server offers {printable(found)}; these credentials need {' or '.join(names)}"
                f" ({self._oauth_tls_hint})"
            )
        return chosen

    def _oauth_attempt(self, mechanism: str, identity: str, credential: OAuth1Credentials | str) -> Reply:
        host, port = self._oauth_address()
        exchange = sasl.build(mechanism, identity, credential, host=host, port=port)
        # A server may repeat the token that it refused before, too.
        self._oauth_redact = self._oauth_redact.adding(*exchange.secrets)
        with self._oauth_exchange():
            accepted, reply = self._oauth_converse(exchange)
        if accepted:
            return reply
        raise self._oauth_refusal(exchange, reply, identity)

    @contextlib.contextmanager
    def _oauth_exchange(self) -> Iterator[None]:
        """Bound what is inside in time; a connection that fails half-way through it is closed."""
        try:
            with bounded(self, self._oauth_reads_from):
                yield
        except BaseException:
            self._oauth_drop()
            raise

    def _oauth_converse(self, exchange: sasl.Exchange) -> tuple[bool, Reply]:
        """Carry an exchange to its end and return whether the server accepted, and its last reply."""
        initial = base64.b64encode(exchange.initial_response)
        command = self._oauth_command(exchange.mechanism)
        at_once = self._oauth_at_once(command, initial)
        if at_once:
            self._oauth_put(command + b" " + initial, command + b" " + REDACTED.encode())
        else:
            self._oauth_put(command, command)
        # Before the initial response every challenge asks for it, whatever it says; RFC 4422 wants it empty, but
        # servers with texts like "go ahead" exist.
        pending = None if at_once else initial
        cancelled = False
        while True:
            challenge, accepted, reply = self._oauth_next()
            if challenge is None:
                return accepted, reply
            if cancelled:
                raise self._oauth_broken("the server goes on challenging after the login was cancelled")
            if pending is not None:
                self._oauth_put(pending, REDACTED.encode())
                pending = None
            else:
                answer = _answer(exchange, challenge)
                self._oauth_put(answer, answer)
                cancelled = answer == b"*"

    def _oauth_refusal(self, exchange: sasl.Exchange, reply: Reply, identity: str) -> AuthenticationError:
        args, said = self._oauth_reply_text(reply)
        said = printable(self._oauth_redact(said))
        error = exchange.server_error or sasl.ServerError()
        status, scope, schemes = (
            None if value is None else printable(self._oauth_redact(value), 200)
            for value in (error.status, error.scope, error.schemes)
        )
        advice = advise(self._oauth_protocol, said, status=status, scope=scope, user=printable(identity))
        return self._oauth_refused(
            *map(self._oauth_redact.any, args),
            mechanism=exchange.mechanism,
            status=status,
            scope=scope,
            schemes=schemes,
            server_reply=said,
            hint=advice.hint,
            token_refused=advice.token_refused,
        )

    # --- what each protocol adds ----------------------------------------------------------------------------------

    def _oauth_ready(self) -> socket.socket:
        """Return the connected socket; raise as the parent class does when a login is out of place."""
        raise NotImplementedError

    def _oauth_address(self) -> tuple[str, int]:
        """Return host and port as the user named them."""
        raise NotImplementedError

    def _oauth_offered(self, forced: bool) -> Collection[str]:
        """Return the offered mechanisms in upper case, asking the server only if that is needed."""
        raise NotImplementedError

    def _oauth_command(self, mechanism: str) -> bytes:
        """Return the command that begins an exchange, without its line end; SMTP and POP3 have the same."""
        return f"AUTH {mechanism}".encode("ascii")

    def _oauth_at_once(self, command: bytes, initial: bytes) -> bool:
        """Tell whether the initial response may travel on the command's own line."""
        raise NotImplementedError

    def _oauth_put(self, line: bytes, shown: bytes) -> None:
        """Send one line in one packet; debug output gets *shown* instead."""
        raise NotImplementedError

    def _oauth_next(self) -> tuple[bytes | None, bool, Reply]:
        """Read to the next challenge (base64, None at the end), and whether the final reply accepts."""
        raise NotImplementedError

    def _oauth_reply_text(self, reply: Reply) -> tuple[tuple[object, ...], str]:
        """Return the ``args`` of the refusal's exception and the reply as text."""
        raise NotImplementedError

    def _oauth_drop(self) -> None:
        """Close the connection, which is half-way through something, without another word to the server."""
        raise NotImplementedError


def _checked(identity: object, credentials: OAuth1Credentials | None) -> str:
    """Return the mailbox address or request URL if a message can be built of it."""
    if credentials is None:
        user = check_text("user name", identity)
        if "://" in user:
            raise CredentialsError("OAuth 2 takes the mailbox address, not a request URL")
        return user
    url = check_text("request URL", identity)
    return signing.request_url(url, None) if "://" in url else url


def _answer(exchange: sasl.Exchange, challenge: bytes) -> bytes:
    """Return the line that answers a refusal's challenge, ``*`` to cancel."""
    try:
        decoded = base64.b64decode(challenge, validate=True)
    except binascii.Error:
        # RFC 4954 section 4 and RFC 5034 section 4: a challenge that is not base64 must be answered so.
        return b"*"
    response = exchange.respond(decoded)
    return b"*" if response is None else base64.b64encode(response)
