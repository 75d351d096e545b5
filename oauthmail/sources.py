"""Whatever was passed as credentials, turned into OAuth 1.0a values or a `TokenSource`.

Objects of other libraries are recognised by their shape; the library itself is imported only when one of its objects
is asked for a fresh token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ._checks import FixedToken
from .credentials import OAuth1Credentials, OAuth2Credentials, TokenSource, access_token_in
from .errors import CredentialsError

__all__ = ["adapt"]

_ACCEPTED = (
    "OAuth1Credentials, OAuth2Credentials, an access token (str), a token response (dict), a TokenSource, a callable "
    "that returns one of these, a Google token.json (dict), or the credentials object of google-auth, azure-identity, "
    "MSAL, requests-oauthlib or Authlib"
)


def adapt(
    credentials: object, token: object = None, *, user: str = "", protocol: str = "imap"
) -> OAuth1Credentials | TokenSource:
    """Return *credentials* in one of the two forms that the clients use.

    Args:
        credentials: anything that the documentation of ``authenticate_oauth`` lists.
        token: the third argument of the old form ``(url, consumer, token)``.
        user: the mailbox, for libraries that keep several accounts.
        protocol: ``"smtp"``, ``"imap"`` or ``"pop"``, for libraries that ask for scopes by protocol.

    Raises:
        CredentialsError: none of these; the message names the type that came and what is accepted.
    """
    if token is not None or _has(credentials, "key", "secret"):
        return _consumer_and_token(credentials, token)
    if isinstance(credentials, OAuth1Credentials):
        return credentials
    if isinstance(credentials, Mapping) and {"refresh_token", "client_id"} <= credentials.keys():
        return cast(TokenSource, _foreign().AuthorizedUser(credentials))
    if isinstance(credentials, str | OAuth2Credentials | Mapping):
        return FixedToken(access_token_in(credentials))
    if isinstance(credentials, type):
        raise CredentialsError(f"pass an object, not the class {credentials.__name__}")
    # Order matters: a requests session is callable by nobody, but a google-auth object has a "token" too.
    if _has(credentials, "acquire_token_silent", "get_accounts"):
        return cast(TokenSource, _foreign().Msal(credentials, user, protocol))
    if _has(credentials, "refresh", "token", "valid"):
        return cast(TokenSource, _foreign().GoogleAuth(credentials))
    if _has(credentials, "get_token"):
        return _Callable(lambda: cast(Any, credentials).get_token(_foreign().application_scope()).token)
    if _has(credentials, "token", "ensure_active_token"):
        return cast(TokenSource, _foreign().Authlib(credentials))
    if _has(credentials, "token", "refresh_token", "auto_refresh_url"):
        return cast(TokenSource, _foreign().OAuth2Session(credentials))
    client = getattr(getattr(credentials, "auth", credentials), "client", credentials)
    if _has(client, "client_key", "client_secret", "resource_owner_key", "resource_owner_secret"):
        return _oauth1_client(client)
    if callable(getattr(credentials, "token", None)):
        return cast(TokenSource, credentials)
    if callable(credentials):
        return _Callable(credentials)
    raise CredentialsError(f"cannot log in with {type(credentials).__name__}; accepted are {_ACCEPTED}")


def _foreign() -> Any:
    # Most logins meet no other library's object, and need not load what knows about them.
    from . import foreign

    return foreign


def _has(value: object, *names: str) -> bool:
    return all(hasattr(value, name) for name in names)


def _consumer_and_token(consumer: object, token: object) -> OAuth1Credentials:
    """Take python-oauth2's objects, or any others with a key and a secret."""
    for what, value in (("consumer", consumer), ("token", token)):
        if value is not None and not _has(value, "key", "secret"):
            raise CredentialsError(f"the {what} must have a key and a secret; {type(value).__name__} has not")
    known = cast(Any, consumer)
    if token is None:
        return OAuth1Credentials(known.key, known.secret)
    owner = cast(Any, token)
    return OAuth1Credentials(known.key, known.secret, owner.key, owner.secret or "")


def _oauth1_client(client: Any) -> OAuth1Credentials:
    """Take the values of an ``oauthlib.oauth1.Client``, which requests-oauthlib's sessions hold too."""
    return OAuth1Credentials(
        client.client_key, client.client_secret or "", client.resource_owner_key, client.resource_owner_secret or ""
    )


class _Callable:
    """A function that knows where tokens come from."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function

    def token(self, *, rejected: str | None = None) -> str:
        return access_token_in(self._function())
