"""What is checked of text and access tokens before they go into any message."""

from __future__ import annotations

import re

from .errors import CredentialsError

__all__ = ["FixedToken", "check_text", "check_token"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# RFC 6749 appendix A.12 allows a space too, but RFC 6750 section 2.1 does not, and a space is always a slip.
_NOT_TOKEN = re.compile(r"[^\x21-\x7e]")


def check_text(what: str, value: object) -> str:
    """Return *value* if it is non-empty text that no mechanism can mistake for its own punctuation.

    Args:
        what: how the message names the value, such as ``"user name"``.
        value: what the caller passed.

    Raises:
        CredentialsError: not a `str`, empty, with a control character (0x01 and NUL end fields in SASL messages, CR
            and LF end lines) or not encodable as UTF-8.
    """
    if not isinstance(value, str):
        raise CredentialsError(f"the {what} must be a str, not {type(value).__name__}")
    if not value:
        raise CredentialsError(f"the {what} is empty")
    if found := _CONTROL.search(value):
        raise CredentialsError(
            f"the {what} has a control character (0x{ord(found[0]):02x}) at position {found.start()}"
        )
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise CredentialsError(f"the {what} has a lone surrogate and cannot be encoded as UTF-8")
    return value


def check_token(value: object) -> str:
    """Return *value* if it can be an access token (RFC 6750 section 2.1: visible ASCII).

    Raises:
        CredentialsError: not a `str`, empty, or with a character that no access token has. The commonest slips, a
            line end read from a file and a ``Bearer`` left in front, are named in the message.
    """
    if not isinstance(value, str):
        raise CredentialsError(f"the access token must be a str, not {type(value).__name__}")
    if not value:
        raise CredentialsError("the access token is empty")
    if found := _NOT_TOKEN.search(value):
        advice = "pass the bare token, without white space, quotes or 'Bearer' around it"
        raise CredentialsError(
            f"the access token has the character 0x{ord(found[0]):02x} at position {found.start()}: {advice}"
        )
    if value[0] in "{[\"'":
        raise CredentialsError("the access token looks like JSON or a quoted string: pass the bare token")
    return value


class FixedToken:
    """A `TokenSource` of one access token, with no way to another."""

    def __init__(self, access_token: str) -> None:
        self._access_token = check_token(access_token)

    def token(self, *, rejected: str | None = None) -> str:
        """Return the access token, a rejected one again."""
        return self._access_token
