"""What is kept of a mailbox, and that nothing else is taken for it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauthmail import Application, CredentialsError, OAuth1Credentials, OAuth2Credentials, ServiceAccount
from oauthmail.records import Record, decode, encode, key

SECRET = "s3cr3t-s3cr3t-s3cr3t"
KEY = f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"
RECORDS = [
    pytest.param(
        Record(
            "me@example.com",
            "google",
            "authorization_code",
            Application("id", SECRET),
            OAuth2Credentials(SECRET, refresh_token=SECRET, expires_at=1.5, scope=("a", "b"), id_token=SECRET),
            scope=("a", "b"),
            authorized_at=1.0,
            renewed_at=2.0,
        ),
        id="a person's",
    ),
    pytest.param(
        Record("a@b.example", "custom", "service_account", ServiceAccount("r@p", KEY), definition={"id": "custom"}),
        id="service account, no token yet",
    ),
    pytest.param(
        Record("a@b.example", "x", "oauth1", Application("k", SECRET), OAuth1Credentials("k", SECRET, "t", SECRET)),
        id="OAuth 1.0a",
    ),
    pytest.param(
        Record("ü@b.example", "x", "imported", None, OAuth2Credentials(SECRET), user="b@b", tenant="t"), id="imported"
    ),
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert decode(encode(record)) == record


@pytest.mark.parametrize("record", RECORDS)
def test_repr_shows_no_secret(record: Record) -> None:
    assert SECRET not in repr(record)


GOOD = json.loads(encode(Record("me@example.com", "google", "imported", None, OAuth2Credentials(SECRET))))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"version": 2}, "later version", id="later version"),
        pytest.param({"colour": "red"}, "this version understands", id="unknown member"),
        pytest.param({"address": None}, "address must be a str", id="no address"),
        pytest.param({"address": "a\nb"}, "control character", id="line end in the address"),
        pytest.param({"flow": "magic"}, "the flow must be one of", id="unknown flow"),
        pytest.param({"credentials": {"kind": "oauth3"}}, "no kind", id="unknown kind"),
        pytest.param({"credentials": {"kind": "oauth2"}}, "lacks a member", id="no token"),
        pytest.param(
            {"credentials": {"kind": "oauth2", "access_token": SECRET, "expires_at": "soon"}},
            "expires_at",
            id="time in words",
        ),
        pytest.param({"credentials": [SECRET]}, "no kind", id="list"),
        pytest.param({"scope": "a b"}, "scope is not a list", id="scope as text"),
        pytest.param({"renew_ahead": "60"}, "renew_ahead is not a number", id="number as text"),
        pytest.param({"definition": []}, "definition is not an object", id="definition"),
    ],
)
def test_what_is_no_record_is_told_without_its_secrets(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        decode(json.dumps({**GOOD, **changes}))
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


@given(st.binary() | st.text())
def test_junk_is_a_value_error(text: bytes | str) -> None:
    with pytest.raises(ValueError, match="it is"):
        decode(text)


def test_json_without_a_version_is_no_record() -> None:
    with pytest.raises(ValueError, match="no record of a mailbox"):
        decode('{"access_token": "a"}')


def test_people_write_addresses_in_either_case() -> None:
    assert key("Me@Example.COM") == key("me@example.com")


def test_a_record_of_nothing_is_refused() -> None:
    with pytest.raises(CredentialsError, match="address is empty"):
        Record("", "google", "imported")
