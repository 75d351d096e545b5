"""What the three clients share: how a login is called, and what each protocol adds to one.

A program that imports a client may never log in, and many are started often. So the clients' modules import at the top
only what their class statements need, and a method imports what only it needs: a login `_login`, TLS `_tls`, a refusal
its exceptions. The methods of `OAuthClient` that do so are for all clients. `TYPE_CHECKING` is a name of each module's
own, which type checkers know by that name, as typing takes longer to load than all of these modules.
"""

from __future__ import annotations

from types import GenericAlias

TYPE_CHECKING = False
if TYPE_CHECKING:
    import contextlib
    import socket
    from collections.abc import Callable, Collection
    from typing import Any, ClassVar, Generic, TypeVar

    from ._redact import Redactor
    from .credentials import OAuth1Credentials, TokenSource
    from .errors import AuthenticationError, MechanismError
    from .sasl import Exchange

    Reply = TypeVar("Reply")
else:
    Reply = object

    class Generic:
        """Takes a type in brackets, as the generic classes of the standard library do without typing."""

        __class_getitem__ = classmethod(GenericAlias)


__all__ = ["OAuthClient"]


class OAuthClient(Generic[Reply]):
    """Adds ``authenticate_oauth`` to a client of the standard library."""

    _oauth_protocol: ClassVar[str]
    _oauth_tls_hint: ClassVar[str]
    # The standard library's exception for a server that does not keep to the protocol.
    _oauth_broken: ClassVar[type[Exception]]

    # Knows the secrets of the login that is under way; None between logins.
    _oauth_redactor: Redactor | None = None
    # The arguments of a login that can be repeated with another token; never a token itself.
    _oauth_again: tuple[str, OAuth1Credentials | TokenSource, str | None, bool] | None = None
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
        from . import _login

        try:
            return _login.login(self, url_or_user, credentials, token, mechanism, allow_insecure)
        except BaseException as error:
            credentials = token = None
            _login.scrub(error, self._oauth_redact)
            raise
        finally:
            self._oauth_redactor = None

    # --- what the clients call ------------------------------------------------------------------------------------

    def _oauth_redact(self, shown: Any) -> Any:
        """Return text or octets without the secrets of the login that is under way; any other value as it is."""
        return shown if self._oauth_redactor is None else self._oauth_redactor.any(shown)

    def _oauth_bounded(self) -> contextlib.AbstractContextManager[None]:
        """Return what bounds the reads of a ``with`` block; see `bounded`."""
        from ._deadline import bounded

        return bounded(self, self._oauth_reads_from)

    def _oauth_verified(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: str = "context"
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a call with a TLS context that verifies; see `verified`."""
        from ._tls import verified

        return verified(function, args, kwargs, name)

    def _oauth_upgrading(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: str = "context"
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a call that starts TLS, with a context that verifies; see `verified`, `Upgrade`."""
        from ._tls import Upgrade, verified

        args, arguments = verified(function, args, kwargs, name)
        arguments[name] = Upgrade(arguments[name], self._oauth_check_upgrade, self._oauth_drop)
        return args, arguments

    def _oauth_exchange(self, mechanism: str, identity: str, credential: OAuth1Credentials | str) -> Exchange:
        """Return a fresh exchange that logs in."""
        from . import sasl

        host, port = self._oauth_address()
        return sasl.build(mechanism, identity, credential, host=host, port=port)

    # --- what each protocol adds ----------------------------------------------------------------------------------

    def _oauth_command(self, mechanism: str) -> bytes:
        """Return the command that begins an exchange, without its line end; SMTP and POP3 have the same."""
        return f"AUTH {mechanism}".encode("ascii")

    def _oauth_accepted(self, mechanism: str, identity: str) -> None:
        """Take note of a login that the server has accepted."""

    if TYPE_CHECKING:
        # Each client has these, so there is nothing here to load.

        def _oauth_ready(self) -> socket.socket:
            """Return the connected socket; raise as the parent class does when a login is out of place."""
            raise NotImplementedError

        def _oauth_errors(self) -> tuple[type[AuthenticationError], type[MechanismError]]:
            """Return the exceptions for a refusal, and for a server that offers no usable mechanism."""
            raise NotImplementedError

        def _oauth_address(self) -> tuple[str, int]:
            """Return host and port as the user named them."""
            raise NotImplementedError

        def _oauth_offered(self, forced: bool) -> Collection[str]:
            """Return the offered mechanisms in upper case, asking the server only if that is needed."""
            raise NotImplementedError

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

        def _oauth_check_upgrade(self) -> None:
            """Raise the standard library's exception if anything follows the answer to STARTTLS in the clear."""
            raise NotImplementedError
