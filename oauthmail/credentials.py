"""What opens a mailbox, as frozen values that do not show their secrets.

Nothing here reads a clock: whether a token is past use is asked with the caller's ``now``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

from ._checks import check_text, check_token
from ._redact import printable
from .errors import CredentialsError

__all__ = ["OAuth1Credentials", "OAuth2Credentials", "TokenSource", "access_token_in", "check_text", "check_token"]

_Class = TypeVar("_Class", bound=type)


def _private(cls: _Class) -> _Class:
    """Have a refusal of the constructor's arguments leave none of them behind in its traceback's local variables."""
    checked = vars(cls)["__init__"]

    @functools.wraps(checked)
    def __init__(self: object, *args: object, **kwargs: object) -> None:  # noqa: N807  # the method it stands for
        try:
            checked(self, *args, **kwargs)
        except Exception as error:
            import traceback

            del args, kwargs
            traceback.clear_frames(error.__traceback__)
            raise

    setattr(cls, "__init__", __init__)  # noqa: B010  # mypy refuses the assignment to an instance's method
    return cls


def _is_time(value: object) -> bool:
    # A boolean is a number to Python, and NaN is neither before nor after anything.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


@runtime_checkable
class TokenSource(Protocol):
    """Anything that can be asked for an access token, again and again."""

    def token(self, *, rejected: str | None = None) -> str:
        """Return an access token that is good now.

        Args:
            rejected: the access token that a server has just refused. The source returns a different one (renewed
                now, or already renewed by another process) or raises; it never returns the same one again.
        """


@_private
@dataclass(frozen=True)
class OAuth1Credentials:
    """OAuth 1.0a client and token credentials, in the words of RFC 5849.

    Attributes:
        client_key: identifies the client; the *consumer key* of older texts.
        client_secret: shared with the server, used for signing, never sent.
        resource_owner_key: the access token; None for two-legged OAuth.
        resource_owner_secret: the token's secret; may be empty.
        requestor_id: the mailbox that a two-legged client acts for; becomes the signed URL parameter
            ``xoauth_requestor_id``.
    """

    client_key: str
    client_secret: str = field(repr=False)
    resource_owner_key: str | None = field(default=None, repr=False)
    resource_owner_secret: str = field(default="", repr=False)
    requestor_id: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_text("client_key", self.client_key)
        for name in ("client_secret", "resource_owner_secret"):
            if getattr(self, name) != "":
                check_text(name, getattr(self, name))
        for name in ("resource_owner_key", "requestor_id"):
            if getattr(self, name) is not None:
                check_text(name, getattr(self, name))


@_private
@dataclass(frozen=True)
class OAuth2Credentials:
    """An OAuth 2 access token with what came along with it (RFC 6749 section 5.1).

    Attributes:
        access_token: opens the mailbox; visible ASCII.
        refresh_token: obtains the next access token, or None.
        expires_at: seconds since the epoch, or None when the server did not state a lifetime.
        scope: what was granted.
        token_type: case-insensitive; only ``Bearer`` can be used for mail.
        id_token: the OpenID Connect ID token, or None.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False, kw_only=True)
    expires_at: float | None = field(default=None, kw_only=True)
    scope: tuple[str, ...] = field(default=(), kw_only=True)
    token_type: str = field(default="Bearer", kw_only=True)
    id_token: str | None = field(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_token(self.access_token)
        for name in ("refresh_token", "id_token"):
            if not isinstance(getattr(self, name), str | None):
                raise CredentialsError(f"the {name} must be a str or None")
        if self.expires_at is not None and not _is_time(self.expires_at):
            raise CredentialsError("expires_at must be a number of seconds since the epoch, or None")
        if check_text("token_type", self.token_type).lower() != "bearer":
            raise CredentialsError("the token_type must be Bearer: mail servers take no other kind of token")

    def expired(self, now: float, leeway: float = 60.0) -> bool:
        """Tell whether the access token is past use at *now*.

        Args:
            now: seconds since the epoch, from the caller's clock.
            leeway: seconds of early expiry, to cover clock drift and the login itself.

        Returns:
            False for a token whose lifetime the server did not state (RFC 6749 section 5.1).
        """
        return self.expires_at is not None and now + leeway >= self.expires_at


def access_token_in(value: object) -> str:
    """Return the access token in what a caller or its callable gave.

    Args:
        value: an access token, `OAuth2Credentials` or the answer of a token endpoint.

    Raises:
        CredentialsError: none of these, or an answer that tells an error.
    """
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
