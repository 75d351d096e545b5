"""The four mechanisms as exchanges, against printed bytes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauthmail import sasl
from oauthmail.credentials import OAuth1Credentials
from oauthmail.errors import CredentialsError

USER = "user@example.com"
TOKEN = "ya29.EXAMPLE-token_1"
VECTORS = json.loads((Path(__file__).parent / "vectors" / "xoauth_vectors.json").read_text("utf-8"))

# The format of Google's page in base64, for one user and token.
XOAUTH2 = "dXNlcj11c2VyQGV4YW1wbGUuY29tAWF1dGg9QmVhcmVyIHlhMjkuRVhBTVBMRS10b2tlbl8xAQE="


@pytest.mark.parametrize(
    ("mechanism", "user", "token", "host", "port", "expected"),
    [
        pytest.param("XOAUTH2", USER, TOKEN, "imap.example.com", 993, XOAUTH2, id="XOAUTH2"),
        pytest.param(
            "XOAUTH2",
            "someuser@example.com",
            "vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
            "",
            0,
            "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB2RjlkZnQ0cW1UYzJOdmIzUmxja0JoZEhSaGRtbHpkR0V1WTI5dENnAQE=",
            id="XOAUTH2, Google's page",
        ),
        pytest.param(
            "OAUTHBEARER",
            USER,
            TOKEN,
            "imap.example.com",
            993,
            "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9aW1hcC5leGFtcGxlLmNvbQFwb3J0PTk5MwFhdXRoPUJlYXJlciB5YTI5LkVYQU1QTEUtdG9rZW5fMQEB",
            id="OAUTHBEARER over IMAP",
        ),
        pytest.param(
            "OAUTHBEARER",
            USER,
            TOKEN,
            "smtp.example.com",
            587,
            "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c210cC5leGFtcGxlLmNvbQFwb3J0PTU4NwFhdXRoPUJlYXJlciB5YTI5LkVYQU1QTEUtdG9rZW5fMQEB",
            id="OAUTHBEARER over SMTP",
        ),
        pytest.param(
            "OAUTHBEARER",
            USER,
            TOKEN,
            "pop.example.com",
            995,
            "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9cG9wLmV4YW1wbGUuY29tAXBvcnQ9OTk1AWF1dGg9QmVhcmVyIHlhMjkuRVhBTVBMRS10b2tlbl8xAQE=",
            id="OAUTHBEARER over POP3",
        ),
        pytest.param(
            "OAUTHBEARER",
            "a=b,c@example.com",
            TOKEN,
            "imap.example.com",
            993,
            "bixhPWE9M0RiPTJDY0BleGFtcGxlLmNvbSwBaG9zdD1pbWFwLmV4YW1wbGUuY29tAXBvcnQ9OTkzAWF1dGg9QmVhcmVyIHlhMjkuRVhBTVBMRS10b2tlbl8xAQE=",
            id="OAUTHBEARER, = and , escaped (RFC 5801 section 4)",
        ),
    ],
)
def test_initial_response_is_the_printed_one(
    mechanism: str, user: str, token: str, host: str, port: int, expected: str
) -> None:
    exchange = sasl.build(mechanism, user, token, host=host, port=port)
    assert base64.b64encode(exchange.initial_response).decode() == expected


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["id"]) for vector in VECTORS["xoauth"]])
def test_xoauth_sends_the_printed_string(vector: dict[str, Any]) -> None:
    if vector["oauth_version"] is None:
        # Only what leaves oauth_version out differs; the signing tests hold that form.
        return
    credentials = OAuth1Credentials(
        vector["consumer_key"], vector["consumer_secret"], vector["token"], vector["token_secret"] or ""
    )
    exchange = sasl.build("XOAUTH", vector["url"], credentials, nonce=vector["nonce"], timestamp=vector["timestamp"])
    assert base64.b64encode(exchange.initial_response).decode() == vector["xoauth_base64"]


@pytest.mark.parametrize(
    "vector", [pytest.param(vector, id=vector["id"]) for vector in VECTORS["oauth10a"] if "version" in vector]
)
def test_oauth10a_sends_the_printed_message(vector: dict[str, Any]) -> None:
    credentials = OAuth1Credentials(
        vector["consumer_key"], vector["consumer_secret"], vector["token"], vector["token_secret"]
    )
    exchange = sasl.build(
        "OAUTH10A",
        vector["authzid"],
        credentials,
        host=vector["host"],
        port=vector["port"],
        nonce=vector["nonce"],
        timestamp=vector["timestamp"],
    )
    assert base64.b64encode(exchange.initial_response).decode() == vector["initial_response_base64"]


def test_oauth10a_leaves_the_user_out_where_only_a_url_is_known() -> None:
    exchange = sasl.build("OAUTH10A", "https://h/", OAuth1Credentials("k", "s", "t"), host="h", port=143)
    assert exchange.initial_response.startswith(b"n,,\x01host=h\x01port=143\x01auth=OAuth ")


def test_utf_8_users_are_sent_as_utf_8() -> None:
    exchange = sasl.build("XOAUTH2", "jürgen@example.com", TOKEN)
    assert exchange.initial_response.startswith("user=jürgen@example.com\x01".encode())


@pytest.mark.parametrize(
    ("mechanism", "credential", "acknowledgement"),
    [
        pytest.param("XOAUTH2", TOKEN, b"", id="XOAUTH2: empty line (Google's page)"),
        pytest.param("OAUTHBEARER", TOKEN, b"\x01", id="OAUTHBEARER: one 0x01 (RFC 7628 section 3.2.3)"),
        pytest.param("XOAUTH", OAuth1Credentials("k", "s"), b"", id="XOAUTH: empty line"),
        pytest.param("OAUTH10A", OAuth1Credentials("k", "s"), b"\x01", id="OAUTH10A: one 0x01"),
    ],
)
@pytest.mark.parametrize(
    "challenge", [b'{"status":"400"}', b"not JSON", b"", b"\xff\xfe", b"[" * 100_000, b"1" * 10_000, b"null"]
)
def test_a_refusal_is_acknowledged_as_the_mechanism_demands(
    mechanism: str, credential: OAuth1Credentials | str, acknowledgement: bytes, challenge: bytes
) -> None:
    exchange = sasl.build(mechanism, "https://h/", credential, host="h", port=1)
    assert exchange.respond(challenge) == acknowledgement


def test_a_second_challenge_is_cancelled() -> None:
    exchange = sasl.build("XOAUTH2", USER, TOKEN)
    exchange.respond(b"")
    assert exchange.respond(b"") is None


@pytest.mark.parametrize(
    ("challenge", "expected"),
    [
        pytest.param(
            base64.b64decode(
                "eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZ29vZ2xlLmNvbS8ifQ=="
            ),
            sasl.ServerError("400", "https://mail.google.com/", "Bearer"),
            id="Gmail",
        ),
        pytest.param(
            base64.b64decode(
                "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3VyYXRpb24iOi"
                "JodHRwczovL2V4YW1wbGUuY29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0="
            ),
            sasl.ServerError(
                "invalid_token", "example_scope", None, "https://example.com/.well-known/openid-configuration"
            ),
            id="RFC 7628 section 4.3",
        ),
        pytest.param(b'{"status":401}', sasl.ServerError("401"), id="number"),
        pytest.param(b'{"status":null,"scope":["a"],"schemes":true}', sasl.ServerError(), id="wrong types"),
        pytest.param(b'"text"', sasl.ServerError(), id="no object"),
        pytest.param(b"", sasl.ServerError(), id="empty"),
    ],
)
def test_the_refusals_json_is_read_as_far_as_it_goes(challenge: bytes, expected: sasl.ServerError) -> None:
    assert sasl.ServerError.parse(challenge) == expected


@given(st.binary(max_size=200))
def test_no_challenge_stops_the_exchange(challenge: bytes) -> None:
    assert sasl.build("OAUTHBEARER", USER, TOKEN).respond(challenge) == b"\x01"


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("user", ["a\x01b", "a\0b", "a\rb", "a\nb", "a\x7fb", "", "a\ud800", None, b"a@b"])
def test_users_that_would_break_the_message_are_refused(mechanism: str, user: Any) -> None:
    with pytest.raises(CredentialsError):
        sasl.build(mechanism, user, TOKEN)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize(
    "token", ["a\x01b", "a\0b", "tok\n", "Bearer tok", "tök", "", '{"access_token":"a"}', None, b"tok"]
)
def test_tokens_that_would_break_the_message_are_refused(mechanism: str, token: Any) -> None:
    with pytest.raises(CredentialsError):
        sasl.build(mechanism, USER, token)


def test_a_host_that_would_break_the_message_is_refused() -> None:
    with pytest.raises(CredentialsError, match="host name"):
        sasl.build("OAUTHBEARER", USER, TOKEN, host="h\x01auth=x", port=1)


ONE = OAuth1Credentials("k", "s")


@pytest.mark.parametrize(
    ("credentials", "identity", "mechanism", "expected"),
    [
        pytest.param(None, USER, None, ("XOAUTH2", "OAUTHBEARER"), id="OAuth 2"),
        pytest.param(ONE, "https://h/", None, ("XOAUTH", "OAUTH10A"), id="OAuth 1.0a"),
        pytest.param(ONE, USER, None, ("OAUTH10A",), id="OAuth 1.0a without a URL"),
        pytest.param(None, USER, "oauthbearer", ("OAUTHBEARER",), id="by name, in any case"),
    ],
)
def test_credentials_decide_the_family(
    credentials: OAuth1Credentials | None, identity: str, mechanism: str | None, expected: tuple[str, ...]
) -> None:
    assert sasl.candidates(credentials, identity, mechanism) == expected


@pytest.mark.parametrize(
    ("credentials", "identity", "mechanism", "message"),
    [
        pytest.param(None, USER, "XOAUTH", "one of XOAUTH2, OAUTHBEARER", id="other family"),
        pytest.param(ONE, "https://h/", "XOAUTH2", "one of XOAUTH, OAUTH10A", id="other family, OAuth 1.0a"),
        pytest.param(None, USER, "PLAIN", "one of", id="no OAuth"),
        pytest.param(None, USER, 7, "must be a str", id="no text"),
        pytest.param(ONE, USER, "xoauth", "request URL", id="XOAUTH without a URL"),
    ],
)
def test_a_mechanism_that_cannot_be_used_is_refused(
    credentials: OAuth1Credentials | None, identity: str, mechanism: Any, message: str
) -> None:
    with pytest.raises(CredentialsError, match=message):
        sasl.candidates(credentials, identity, mechanism)


def test_an_exchange_does_not_show_its_secret() -> None:
    assert TOKEN not in repr(sasl.build("XOAUTH2", USER, TOKEN))
