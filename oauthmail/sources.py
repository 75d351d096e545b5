"""Whatever was passed as credentials, turned into OAuth 1.0a values or a `TokenSource`.

Objects of other libraries are recognised by their shape; the library itself is imported only when one of its objects
is asked for a fresh token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ._redact import printable
from .credentials import OAuth1Credentials, OAuth2Credentials, TokenSource, check_token
from .errors import CredentialsError

__all__ = ["adapt"]

_ACCEPTED = (
    "OAuth1Credentials, OAuth2Credentials, an access token (str), a token response (dict), a TokenSource, a callable "
    "that returns one of these, or the credentials object of google-auth, azure-identity, MSAL or requests-oauthlib"
)

# The permission of Exchange Online for each protocol, and the one that stands for all that was granted.
_EXCHANGE = {
    "smtp": "https://outlook.office.com/SMTP.Send",
    "imap": "https://outlook.office.com/IMAP.AccessAsUser.All",
    "pop": "https://outlook.office.com/POP.AccessAsUser.All",
}
_EXCHANGE_DEFAULT = "https://outlook.office365.com/.default"


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
    if isinstance(credentials, str | OAuth2Credentials | Mapping):
        return _Fixed(_access_token(credentials))
    if isinstance(credentials, type):
        raise CredentialsError(f"pass an object, not the class {credentials.__name__}")
    # Order matters: a requests session is callable by nobody, but a google-auth object has a "token" too.
    if _has(credentials, "acquire_token_silent", "get_accounts"):
        return _Msal(credentials, user, protocol)
    if _has(credentials, "refresh", "token", "valid"):
        return _GoogleAuth(credentials)
    if _has(credentials, "get_token"):
        return _Callable(lambda: cast(Any, credentials).get_token(_EXCHANGE_DEFAULT).token)
    if _has(credentials, "token", "refresh_token", "auto_refresh_url"):
        return _OAuth2Session(credentials)
    client = getattr(getattr(credentials, "auth", credentials), "client", credentials)
    if _has(client, "client_key", "client_secret", "resource_owner_key", "resource_owner_secret"):
        return _oauth1_client(client)
    if callable(getattr(credentials, "token", None)):
        return cast(TokenSource, credentials)
    if callable(credentials):
        return _Callable(credentials)
    raise CredentialsError(f"cannot log in with {type(credentials).__name__}; accepted are {_ACCEPTED}")


def _has(value: object, *names: str) -> bool:
    return all(hasattr(value, name) for name in names)


def _access_token(value: object) -> str:
    """Return the access token in what a caller or its callable gave."""
    if isinstance(value, OAuth2Credentials):
        return value.access_token
    if isinstance(value, Mapping):
        # The answer of a token endpoint (RFC 6749 sections 5.1 and 5.2), as MSAL and requests-oauthlib give it.
        if "access_token" not in value:
            said = value.get("error_description") or value.get("error")
            reason = (
                f"the token response is an error: {printable(str(said))}" if said else "the dict has no access_token"
            )
            raise CredentialsError(reason)
        value = value["access_token"]
    if not isinstance(value, str):
        raise CredentialsError(
            f"expected an access token (str), OAuth2Credentials or a token response, not {type(value).__name__}"
        )
    return check_token(value)


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


class _Fixed:
    """One access token and no way to another."""

    def __init__(self, access_token: str) -> None:
        self._access_token = access_token

    def token(self, *, rejected: str | None = None) -> str:
        return self._access_token


class _Callable:
    """A function that knows where tokens come from."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function

    def token(self, *, rejected: str | None = None) -> str:
        return _access_token(self._function())


class _GoogleAuth:
    """``google.auth.credentials.Credentials``: user, service account and all others."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def token(self, *, rejected: str | None = None) -> str:
        # The object may be shared: another thread can have renewed it since the token was refused.
        if not self._credentials.valid or self._credentials.token == rejected:
            from google.auth.transport.requests import Request

            self._credentials.refresh(Request())
        return _access_token(self._credentials.token)


class _Msal:
    """An MSAL application; the account is looked up by the mailbox address."""

    def __init__(self, application: Any, user: str, protocol: str) -> None:
        self._application = application
        self._user = user
        self._scopes = [_EXCHANGE[protocol]]

    def token(self, *, rejected: str | None = None) -> str:
        accounts = self._application.get_accounts(username=self._user) or self._application.get_accounts()
        if len(accounts) == 1:
            result = self._application.acquire_token_silent_with_error(
                self._scopes, account=accounts[0], force_refresh=rejected is not None
            )
        elif accounts:
            raise CredentialsError("the MSAL cache holds several accounts and none of them is this mailbox")
        elif hasattr(self._application, "acquire_token_for_client"):
            result = self._application.acquire_token_for_client(scopes=[_EXCHANGE_DEFAULT])
        else:
            result = None
        if result is None:
            raise CredentialsError(
                f"the MSAL cache has no token for this mailbox: sign in with {self._scopes[0]} first"
            )
        return _access_token(result)


class _OAuth2Session:
    """requests-oauthlib's ``OAuth2Session``, with its own settings for renewal."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def token(self, *, rejected: str | None = None) -> str:
        session = self._session
        if rejected is not None and session.token.get("access_token") == rejected and session.auto_refresh_url:
            renewed = session.refresh_token(session.auto_refresh_url, **session.auto_refresh_kwargs)
            if session.token_updater:
                session.token_updater(renewed)
        return _access_token(session.token)
