"""Values that check what they are given and do not show their secrets."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from oauthmail import CredentialsError, OAuth1Credentials, OAuth2Credentials, TokenSource

SECRET = "s3cr3t-s3cr3t-s3cr3t"


@pytest.mark.parametrize(
    ("expires_at", "now", "expected"),
    [
        pytest.param(None, 0.0, False, id="lifetime not stated (RFC 6749 section 5.1)"),
        pytest.param(1000.0, 939.0, False, id="before the leeway"),
        pytest.param(1000.0, 940.0, True, id="within the leeway"),
        pytest.param(1000.0, 2000.0, True, id="long ago"),
    ],
)
def test_expired_counts_the_leeway(expires_at: float | None, now: float, expected: bool) -> None:
    assert OAuth2Credentials("token", expires_at=expires_at).expired(now) is expected


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(OAuth2Credentials(SECRET, refresh_token=SECRET, id_token=SECRET), id="OAuth 2"),
        pytest.param(OAuth1Credentials("key", SECRET, SECRET, SECRET), id="OAuth 1.0a"),
    ],
)
def test_repr_shows_no_secret(credentials: object) -> None:
    assert SECRET not in f"{credentials!r} {credentials!s}"


@pytest.mark.parametrize(
    "credentials", [OAuth2Credentials(SECRET, scope=("a", "b")), OAuth1Credentials("k", SECRET, requestor_id="me@h")]
)
def test_credentials_survive_pickling(credentials: object) -> None:
    assert pickle.loads(pickle.dumps(credentials)) == credentials  # made in this line


@pytest.mark.parametrize(
    ("token", "message"),
    [
        pytest.param("tok\n", "0x0a at position 3.*white space", id="line end read from a file"),
        pytest.param("Bearer tok", "0x20 at position 6.*Bearer", id="with its scheme"),
        pytest.param('{"access_token":"x"}', "JSON", id="whole answer"),
        pytest.param('"tok"', "quoted", id="quoted"),
        pytest.param("", "empty", id="empty"),
        pytest.param(b"tok", "must be a str, not bytes", id="bytes"),
        pytest.param(None, "not NoneType", id="None"),
    ],
)
def test_an_unusable_access_token_is_refused_with_its_reason(token: Any, message: str) -> None:
    with pytest.raises(CredentialsError, match=message):
        OAuth2Credentials(token)


def test_a_refusal_never_quotes_the_token() -> None:
    with pytest.raises(CredentialsError) as caught:
        OAuth2Credentials(f"{SECRET}\n")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("token_type", ["bearer", "Bearer", "BEARER"])
def test_the_token_type_is_read_in_any_case(token_type: str) -> None:
    assert OAuth2Credentials("tok", token_type=token_type).access_token == "tok"


def test_only_bearer_tokens_are_taken() -> None:
    with pytest.raises(CredentialsError, match="Bearer"):
        OAuth2Credentials("tok", token_type="mac")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("", "s"), id="empty key"),
        pytest.param(("k\n", "s"), id="line end in the key"),
        pytest.param(("k", "s\x01"), id="control character in the secret"),
        pytest.param(("k", None), id="no secret"),
        pytest.param(("k", "s", "t\0"), id="NUL in the token"),
        pytest.param(("k", "s", ""), id="empty token"),
        pytest.param(("k", "s", "t", 7), id="number for a secret"),
    ],
)
def test_unusable_oauth_1_values_are_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(CredentialsError):
        OAuth1Credentials(*arguments)


def test_empty_secrets_are_values_like_others() -> None:
    assert OAuth1Credentials("k", "", "t", "").resource_owner_secret == ""


def test_credentials_error_is_a_value_error() -> None:
    assert issubclass(CredentialsError, ValueError)


def test_anything_with_the_one_method_is_a_token_source() -> None:
    class Source:
        def token(self, *, rejected: str | None = None) -> str:
            return "tok"

    assert isinstance(Source(), TokenSource)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("expires_at", "3600", id="text for a time"),
        pytest.param("expires_at", True, id="truth for a time"),
        pytest.param("expires_at", float("nan"), id="no number for a time"),
        pytest.param("expires_at", float("inf"), id="no end of time"),
        pytest.param("refresh_token", 1, id="number for a refresh token"),
        pytest.param("id_token", b"a", id="bytes for an ID token"),
    ],
)
def test_what_comes_with_the_token_has_its_type(name: str, value: Any) -> None:
    with pytest.raises(CredentialsError, match=name):
        OAuth2Credentials("token", **{name: value})
