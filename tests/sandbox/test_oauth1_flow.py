"""OAuth 1.0a's three steps over real HTTP, with requests-oauthlib as the client."""

from __future__ import annotations

import re
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests_oauthlib import OAuth1, OAuth1Session

from oauthmail.credentials import OAuth1Credentials
from oauthmail.sandbox.mechanisms import decide
from oauthmail.sandbox.state import State
from oauthmail.sandbox.web import Web
from oauthmail.signing import xoauth_string

USER = "ada@example.com"
CALLBACK = "http://127.0.0.1:1/callback"
SCRIPTED = {"login_hint": USER, "sandbox_consent": "allow"}


class Clock:
    """Time that a test moves by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def web(clock: Clock) -> Iterator[Web]:
    with Web(State(), now=clock) as web:
        yield web


def session(web: Web, **changes: Any) -> OAuth1Session:
    keys: dict[str, Any] = {
        "client_key": web.oauth1_client_key,
        "client_secret": web.oauth1_client_secret,
        "callback_uri": CALLBACK,
    }
    return OAuth1Session(**(keys | changes))


def send(web: Web, step: str, method: str = "POST", **changes: Any) -> requests.Response:
    """Send one signed request; keyword arguments are `OAuth1`'s."""
    keys: dict[str, Any] = {"client_key": web.oauth1_client_key, "client_secret": web.oauth1_client_secret}
    return requests.request(method, f"{web.url}/oauth1/{step}", auth=OAuth1(**(keys | changes)), timeout=10)


def temporary(web: Web, callback: str = CALLBACK) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(send(web, "request_token", callback_uri=callback).text))


def agree(web: Web, token: str, consent: str = "allow") -> requests.Response:
    query = {"oauth_token": token, "login_hint": USER, "sandbox_consent": consent}
    return requests.get(f"{web.url}/oauth1/authorize", query, allow_redirects=False, timeout=10)


def parameters(answer: requests.Response) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["Location"]).query))


def exchange(web: Web, credentials: dict[str, str], verifier: str, **changes: Any) -> requests.Response:
    keys = {
        "resource_owner_key": credentials["oauth_token"],
        "resource_owner_secret": credentials["oauth_token_secret"],
        "verifier": verifier,
    }
    return send(web, "access_token", **(keys | changes))


def test_requests_oauthlib_obtains_a_token_that_opens_the_mailbox(web: Web) -> None:
    with session(web) as client:
        first = client.fetch_request_token(f"{web.url}/oauth1/request_token")
        assert first["oauth_callback_confirmed"] == "true"
        url = client.authorization_url(f"{web.url}/oauth1/authorize", **SCRIPTED)
        location = requests.get(url, allow_redirects=False, timeout=10).headers["Location"]
        assert location.startswith(f"{CALLBACK}?")
        client.parse_authorization_response(location)
        token = client.fetch_access_token(f"{web.url}/oauth1/access_token")
    credentials = OAuth1Credentials(
        web.oauth1_client_key, web.oauth1_client_secret, token["oauth_token"], token["oauth_token_secret"]
    )
    message = xoauth_string(f"https://mail.example.com/mail/b/{USER}/imap/", credentials)
    assert decide(web.state, "imap", "XOAUTH", message.encode(), "").user == USER


def test_out_of_band_shows_the_verifier(web: Web) -> None:
    credentials = temporary(web, "oob")
    page = agree(web, credentials["oauth_token"]).text
    found = re.search(r'<code class="code">([^<]+)</code>', page)
    assert found is not None
    assert exchange(web, credentials, found[1]).status_code == 200


@pytest.mark.parametrize("method", ["HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512"])
def test_every_hmac_is_understood(web: Web, method: str) -> None:
    assert send(web, "request_token", callback_uri="oob", signature_method=method).status_code == 200


@pytest.mark.parametrize("place", ["QUERY", "BODY", "AUTH_HEADER"])
def test_parameters_may_come_in_any_place(web: Web, place: str) -> None:
    keys = (web.oauth1_client_key, web.oauth1_client_secret)
    auth = OAuth1(*keys, callback_uri="oob", signature_type=place)
    data = {"x": "1"} if place == "BODY" else None
    answer = requests.post(f"{web.url}/oauth1/request_token", data, auth=auth, timeout=10)
    assert answer.status_code == 200


def test_google_asks_by_get(web: Web) -> None:
    assert send(web, "request_token", "GET", callback_uri="oob").status_code == 200


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        pytest.param({"client_secret": "wrong"}, 401, "oauth_problem", id="wrong signature"),
        pytest.param({"client_key": "nobody"}, 401, "oauth_problem", id="unknown client"),
        pytest.param({"timestamp": "1000000000"}, 400, "invalid_request", id="old timestamp"),
        pytest.param({"callback_uri": None}, 400, "invalid_request", id="no callback"),
        pytest.param({"callback_uri": "https://elsewhere.example/"}, 401, "oauth_problem", id="other callback"),
        pytest.param({"callback_uri": "http://127.0.0.1:1/x"}, 401, "oauth_problem", id="other path"),
        pytest.param({"signature_method": "PLAINTEXT"}, 400, "invalid_signature_method", id="plain text"),
    ],
)
def test_a_wrong_request_for_temporary_credentials_is_refused(
    web: Web, changes: dict[str, str], status: int, error: str
) -> None:
    answer = send(web, "request_token", **({"callback_uri": CALLBACK} | changes))
    assert (answer.status_code, error in answer.text, web.flow1.validator.temporary) == (status, True, {})


@pytest.mark.parametrize("method", ["RSA-SHA1", "RSA-SHA256"])
def test_a_signature_method_that_needs_a_key_is_refused(web: Web, method: str) -> None:
    parameters = {
        "oauth_consumer_key": web.oauth1_client_key,
        "oauth_signature_method": method,
        "oauth_signature": "x",
        "oauth_nonce": "n",
        "oauth_timestamp": str(int(time.time())),
        "oauth_callback": "oob",
    }
    header = "OAuth " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
    url = f"{web.url}/oauth1/request_token"
    answer = requests.post(url, headers={"Authorization": header}, timeout=10)
    assert (answer.status_code, "invalid_signature_method" in answer.text) == (400, True)


def test_a_reused_nonce_is_refused(web: Web) -> None:
    fixed = {"callback_uri": CALLBACK, "nonce": "again", "timestamp": str(int(time.time()))}
    answers = [send(web, "request_token", **fixed).status_code for _ in range(2)]
    assert answers == [200, 401]


def test_a_request_signed_for_another_address_is_refused(web: Web) -> None:
    auth = OAuth1(web.oauth1_client_key, web.oauth1_client_secret, callback_uri="oob")
    prepared = requests.Request("POST", f"{web.url}/oauth1/access_token", auth=auth).prepare()
    prepared.url = f"{web.url}/oauth1/request_token"
    with requests.Session() as client:
        assert client.send(prepared, timeout=10).status_code == 401


@pytest.mark.parametrize("octets", [b"%zz", b"oauth_nonce=%zz&\xff"])
def test_parameters_that_are_not_form_encoded_are_refused(web: Web, octets: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(f"{web.url}/oauth1/request_token", octets, headers=headers, timeout=10)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"verifier": "wrong"}, 401, id="wrong verifier"),
        pytest.param({"verifier": None}, 400, id="no verifier"),
        pytest.param({"resource_owner_secret": "wrong"}, 401, id="wrong token secret"),
        pytest.param({"resource_owner_key": "guess"}, 401, id="unknown credentials"),
        pytest.param({"client_secret": "wrong"}, 401, id="wrong client secret"),
        pytest.param({"timestamp": "1000000000"}, 400, id="old timestamp"),
    ],
)
def test_a_wrong_exchange_brings_no_token(web: Web, changes: dict[str, str | None], status: int) -> None:
    credentials = temporary(web)
    verifier = parameters(agree(web, credentials["oauth_token"]))["oauth_verifier"]
    answer = exchange(web, credentials, **({"verifier": verifier} | changes))  # type: ignore[arg-type]
    assert (answer.status_code, web.state.oauth1_tokens) == (status, {})


def test_another_client_cannot_exchange_the_credentials(web: Web) -> None:
    web.state.oauth1_clients["other"] = "secret"
    credentials = temporary(web)
    verifier = parameters(agree(web, credentials["oauth_token"]))["oauth_verifier"]
    answer = exchange(web, credentials, verifier, client_key="other", client_secret="secret")
    assert answer.status_code == 401


def test_temporary_credentials_bring_one_token(web: Web) -> None:
    credentials = temporary(web)
    verifier = parameters(agree(web, credentials["oauth_token"]))["oauth_verifier"]
    answers = [exchange(web, credentials, verifier).status_code for _ in range(2)]
    assert answers == [200, 401]


def test_temporary_credentials_bring_nothing_before_consent(web: Web) -> None:
    credentials = temporary(web)
    assert exchange(web, credentials, "guess").status_code == 401


def test_a_person_decides_once(web: Web) -> None:
    token = temporary(web)["oauth_token"]
    answers = [agree(web, token).status_code for _ in range(2)]
    assert answers == [303, 400]


def test_temporary_credentials_live_ten_minutes(web: Web, clock: Clock) -> None:
    early, late = temporary(web), temporary(web)
    verifier = parameters(agree(web, early["oauth_token"]))["oauth_verifier"]
    clock.ahead = 601
    assert agree(web, late["oauth_token"]).status_code == 400
    assert exchange(web, early, verifier).status_code == 401


def test_a_refusal_reaches_the_client(web: Web) -> None:
    token = temporary(web)["oauth_token"]
    answer = parameters(agree(web, token, "deny"))
    assert answer == {"oauth_token": token, "oauth_problem": "user_refused"}


def test_a_refusal_out_of_band_is_a_page(web: Web) -> None:
    credentials = temporary(web, "oob")
    answer = agree(web, credentials["oauth_token"], "deny")
    assert (answer.status_code, "Denied" in answer.text) == (200, True)


def test_a_401_has_a_challenge(web: Web) -> None:
    answer = send(web, "request_token", client_secret="wrong", callback_uri="oob")
    assert answer.headers["WWW-Authenticate"].startswith("OAuth ")
