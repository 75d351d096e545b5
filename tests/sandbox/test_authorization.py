"""The sandbox's OAuth 2 endpoints over real HTTP, with requests-oauthlib, google-auth and plain requests as clients."""

from __future__ import annotations

import base64
import builtins
import gc
import hashlib
import hmac
import json
import os
import socket
import ssl
import sys
import threading
import time
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
import requests
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.auth.transport.requests import Request as GoogleRequest
from google.oauth2 import service_account
from oauthlib.oauth2 import BackendApplicationClient, DeviceClient
from requests_oauthlib import OAuth2Session

from oauthmail.sandbox.grants import CLIENT_ASSERTION_TYPE, DEVICE_CODE, JWT_BEARER, new_rsa_key
from oauthmail.sandbox.state import State, fingerprint
from oauthmail.sandbox.web import Web

USER = "ada@example.com"
# Nobody listens there: a test reads the redirect and does not follow it.
REDIRECT = "http://127.0.0.1:1/callback"
# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


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


@pytest.fixture
def insecure_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests-oauthlib, the client, speak plain http; the server must not need it."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


def authorize(web: Web, **changes: str | None) -> dict[str, str]:
    """Ask for a code in scripted mode and return the parameters of the redirect."""
    parameters: dict[str, str | None] = {
        "response_type": "code",
        "client_id": web.public_client_id,
        "redirect_uri": REDIRECT,
        "scope": "mail",
        "state": "xyz",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "login_hint": USER,
        "sandbox_consent": "allow",
    }
    answer = requests.get(f"{web.url}/authorize", params=parameters | changes, allow_redirects=False, timeout=10)
    assert answer.status_code == 303, answer.text
    location = answer.headers["Location"]
    assert location.startswith(REDIRECT.partition("?")[0])
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))


def token_request(web: Web, auth: tuple[str, str] | None = None, /, **fields: str | None) -> requests.Response:
    return requests.post(f"{web.url}/token", data=fields, auth=auth, timeout=10)


def redeem(web: Web, code: str, **changes: str | None) -> requests.Response:
    fields: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "client_id": web.public_client_id,
        "code_verifier": VERIFIER,
    }
    return token_request(web, **(fields | changes))


def refresh(web: Web, refresh_token: str, **changes: str) -> requests.Response:
    fields = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": web.public_client_id}
    return token_request(web, **(fields | changes))


def introspect(web: Web, token: str) -> dict[str, Any]:
    auth = (web.client_id, web.client_secret)
    answer: dict[str, Any] = requests.post(f"{web.url}/introspect", data={"token": token}, auth=auth, timeout=10).json()
    return answer


def works(web: Web, token: str) -> bool:
    """Tell whether a mail server would take the token."""
    return web.state.judge(token, USER, "imap").user == USER


# --- authorization code and PKCE ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("insecure_client")
@pytest.mark.parametrize("confidential", [False, True], ids=["public", "confidential"])
def test_requests_oauthlib_runs_the_code_flow_with_pkce(web: Web, confidential: bool) -> None:
    client_id = web.client_id if confidential else web.public_client_id
    session = OAuth2Session(client_id, redirect_uri=REDIRECT, scope=["mail"], pkce="S256")
    url, state = session.authorization_url(f"{web.url}/authorize", login_hint=USER, sandbox_consent="allow")
    location = requests.get(url, allow_redirects=False, timeout=10).headers["Location"]
    assert f"state={state}" in location
    token = session.fetch_token(
        f"{web.url}/token",
        authorization_response=location,
        client_secret=web.client_secret if confidential else None,
        include_client_id=True,
    )
    assert works(web, token["access_token"])
    assert (token["token_type"], token["scope"], token["expires_in"]) == ("Bearer", ["mail"], 3600)


def test_it_works_over_tls_without_the_insecure_switch() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    assert "OAUTHLIB_INSECURE_TRANSPORT" not in os.environ
    with authority.cert_pem.tempfile() as trusted, Web(State(), tls=context) as web:
        assert web.https_url is not None
        session = OAuth2Session(web.public_client_id, redirect_uri=REDIRECT, scope=["mail"], pkce="S256")
        url, _ = session.authorization_url(f"{web.https_url}/authorize", login_hint=USER, sandbox_consent="allow")
        with session, requests.Session() as browser:
            location = browser.get(url, allow_redirects=False, timeout=10, verify=trusted).headers["Location"]
            # The client's library takes no plain http redirect either; only the scheme is changed for it.
            received = location.replace("http:", "https:", 1)
            token = session.fetch_token(
                f"{web.https_url}/token", authorization_response=received, include_client_id=True, verify=trusted
            )
        assert f"iss={urllib.parse.quote(web.https_url, safe='')}" in location
        assert works(web, token["access_token"])


def test_state_comes_back_as_it_was_and_the_issuer_is_named(web: Web) -> None:
    state = "a b&c=d/é\"'<%00"
    answer = authorize(web, state=state)
    assert (answer["state"], answer["iss"]) == (state, web.url)


def test_auto_consent_needs_neither_hint_nor_parameter(web: Web) -> None:
    web.auto_consent = True
    token = redeem(web, authorize(web, login_hint=None, sandbox_consent=None)["code"]).json()["access_token"]
    assert introspect(web, token)["username"] == web.forms.default_user


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"code_challenge": None, "code_challenge_method": None}, "invalid_request", id="no challenge"),
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain"),
        pytest.param({"code_challenge_method": None}, "invalid_request", id="plain by default"),
        pytest.param({"code_challenge": "short"}, "invalid_request", id="not a SHA-256"),
        pytest.param({"code_challenge": "é" * 43}, "invalid_request", id="not ASCII"),
        pytest.param({"scope": "mail everything"}, "invalid_scope", id="unknown scope"),
        pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit"),
        pytest.param({"response_type": None}, "invalid_request", id="no response type"),
        pytest.param({"sandbox_consent": "deny"}, "access_denied", id="the person says no"),
        pytest.param({"client_id": "robot@sandbox-service.example"}, "unauthorized_client", id="service account"),
    ],
)
def test_the_client_hears_of_a_refused_authorization(web: Web, changes: dict[str, str | None], error: str) -> None:
    answer = authorize(web, **changes)
    assert (answer.get("error"), answer["state"], answer["iss"]) == (error, "xyz", web.url)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://127.0.0.1:1/elsewhere",
        "http://127.0.0.1:1/callback/",
        "http://127.0.0.1:1/callback?x=1",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1.example.com/callback",
        "http://user@127.0.0.1:1/callback",
        "http://127.0.0.2:1/callback",
        "https://127.0.0.1:1/callback",
        "https://client.example/callback",
        "javascript:alert(1)",
        None,
    ],
)
def test_a_redirect_that_is_not_registered_gets_a_page_and_no_redirect(web: Web, redirect_uri: str | None) -> None:
    query = {
        "response_type": "code",
        "client_id": web.public_client_id,
        "redirect_uri": redirect_uri,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "login_hint": USER,
        "sandbox_consent": "allow",
    }
    answer = requests.get(f"{web.url}/authorize", params=query, allow_redirects=False, timeout=10)
    assert (answer.status_code, answer.headers.get("Location")) == (400, None)


@pytest.mark.parametrize(
    "redirect_uri", ["http://127.0.0.1:1/callback", "http://localhost:54321", "http://[::1]:8080/", "http://127.0.0.1/"]
)
def test_loopback_redirects_may_use_any_port(web: Web, redirect_uri: str) -> None:
    query = {
        "response_type": "code",
        "client_id": web.public_client_id,
        "redirect_uri": redirect_uri,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "login_hint": USER,
        "sandbox_consent": "allow",
    }
    answer = requests.get(f"{web.url}/authorize", params=query, allow_redirects=False, timeout=10)
    assert answer.headers["Location"].startswith(f"{redirect_uri}?code=")


def test_a_redirect_can_be_registered(web: Web) -> None:
    web.allow_redirect("https://client.example/back")
    query = {"response_type": "code", "client_id": web.client_id, "redirect_uri": "https://client.example/back"}
    answer = requests.get(f"{web.url}/authorize", params=query, allow_redirects=False, timeout=10)
    assert answer.headers["Location"].startswith("https://client.example/back?error=invalid_request")


def test_an_unknown_client_gets_a_page_and_no_redirect(web: Web) -> None:
    query = {"response_type": "code", "client_id": "nobody", "redirect_uri": REDIRECT}
    answer = requests.get(f"{web.url}/authorize", params=query, allow_redirects=False, timeout=10)
    assert (answer.status_code, answer.headers.get("Location")) == (400, None)


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        pytest.param({"code_verifier": "x" * 43}, 400, "invalid_grant", id="wrong verifier"),
        pytest.param({"code_verifier": CHALLENGE}, 400, "invalid_grant", id="the challenge as verifier"),
        pytest.param({"code_verifier": None}, 400, "invalid_request", id="no verifier"),
        pytest.param({"redirect_uri": "http://127.0.0.1:2/callback"}, 400, "invalid_grant", id="other redirect"),
        pytest.param({"redirect_uri": None}, 400, "invalid_request", id="no redirect"),
        pytest.param({"code": "guess"}, 400, "invalid_grant", id="unknown code"),
        pytest.param({"code": None}, 400, "invalid_request", id="no code"),
        pytest.param({"client_id": "nobody"}, 401, "invalid_client", id="unknown client"),
        pytest.param({"client_id": "sandbox-client"}, 401, "invalid_client", id="confidential without secret"),
        pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", id="unknown grant type"),
        pytest.param({"grant_type": None}, 400, "unsupported_grant_type", id="no grant type"),
    ],
)
def test_a_code_is_redeemed_only_as_it_was_asked_for(
    web: Web, changes: dict[str, str | None], status: int, error: str
) -> None:
    answer = redeem(web, **({"code": authorize(web)["code"]} | changes))  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"], dict(web.state.tokens)) == (status, error, {})


def test_a_short_verifier_is_refused_though_its_hash_fits(web: Web) -> None:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"short").digest()).decode().rstrip("=")
    code = authorize(web, code_challenge=challenge)["code"]
    assert redeem(web, code, code_verifier="short").json()["error"] == "invalid_grant"


def test_another_client_cannot_redeem_a_code(web: Web) -> None:
    code = authorize(web)["code"]
    answer = redeem(web, code, client_id=web.client_id, client_secret=web.client_secret)
    assert answer.json()["error"] == "invalid_grant"


def test_a_reused_code_is_refused_and_ends_what_it_brought(web: Web) -> None:
    code = authorize(web)["code"]
    token = redeem(web, code).json()
    assert redeem(web, code).json()["error"] == "invalid_grant"
    assert not works(web, token["access_token"])
    assert refresh(web, token["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_code_lives_ten_minutes(web: Web, clock: Clock) -> None:
    code = authorize(web)["code"]
    clock.ahead = 601
    assert redeem(web, code).json()["error"] == "invalid_grant"


def test_a_providers_scope_opens_what_it_opens_there(web: Web) -> None:
    scope = "https://outlook.office.com/SMTP.Send"
    token = redeem(web, authorize(web, scope=scope)["code"]).json()
    verdicts = [web.state.judge(token["access_token"], USER, service).user for service in ("smtp", "imap")]
    assert (token["scope"], verdicts) == (scope, [USER, None])


# --- refresh --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("insecure_client")
def test_requests_oauthlib_refreshes_and_the_refresh_token_rotates(web: Web) -> None:
    token = redeem(web, authorize(web)["code"]).json()
    session = OAuth2Session(web.public_client_id, token=token)
    renewed = session.refresh_token(f"{web.url}/token", client_id=web.public_client_id)
    assert works(web, renewed["access_token"])
    assert renewed["refresh_token"] != token["refresh_token"]


def test_a_reused_refresh_token_ends_the_whole_grant(web: Web) -> None:
    first = redeem(web, authorize(web)["code"]).json()
    second = refresh(web, first["refresh_token"]).json()
    assert refresh(web, first["refresh_token"]).json()["error"] == "invalid_grant"
    assert [works(web, token["access_token"]) for token in (first, second)] == [False, False]
    assert refresh(web, second["refresh_token"]).json()["error"] == "invalid_grant"


def test_reuse_leaves_other_grants_alone(web: Web) -> None:
    other = redeem(web, authorize(web)["code"]).json()
    first = redeem(web, authorize(web)["code"]).json()
    refresh(web, first["refresh_token"])
    refresh(web, first["refresh_token"])
    assert works(web, other["access_token"])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"refresh_token": "guess"}, "invalid_grant", id="unknown"),
        pytest.param({"scope": "mail profile"}, "invalid_scope", id="wider scope"),
        pytest.param({"client_id": "nobody"}, "invalid_client", id="unknown client"),
    ],
)
def test_a_refused_refresh_leaves_the_token_good(web: Web, changes: dict[str, str], error: str) -> None:
    token = redeem(web, authorize(web)["code"]).json()["refresh_token"]
    refused = refresh(web, **({"refresh_token": token} | changes))
    assert (refused.json()["error"], refresh(web, token).status_code) == (error, 200)


def test_a_narrower_scope_does_not_narrow_the_grant(web: Web) -> None:
    token = redeem(web, authorize(web, scope="mail profile")["code"]).json()
    narrowed = refresh(web, token["refresh_token"], scope="profile").json()
    assert (narrowed["scope"], works(web, narrowed["access_token"])) == ("profile", False)
    assert refresh(web, narrowed["refresh_token"]).json()["scope"] == "mail profile"


def test_one_of_several_concurrent_refreshes_wins_at_most(web: Web) -> None:
    token = redeem(web, authorize(web)["code"]).json()["refresh_token"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refresh(web, token).status_code, range(8)))
    assert sorted(answers) == [200] + [400] * 7


# --- client credentials ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("insecure_client")
@pytest.mark.parametrize("in_body", [False, True], ids=["Basic", "body"])
def test_an_application_gets_a_token_for_its_secret(web: Web, in_body: bool) -> None:
    session = OAuth2Session(client=BackendApplicationClient(web.client_id, scope=["mail"]))
    token = session.fetch_token(
        f"{web.url}/token",
        client_secret=web.client_secret,
        auth=None if in_body else requests.auth.HTTPBasicAuth(web.client_id, web.client_secret),
        include_client_id=in_body,
        login_hint=USER,
    )
    assert works(web, token["access_token"])
    assert "refresh_token" not in token


def test_basic_credentials_are_form_encoded(web: Web) -> None:
    web.store.clients[web.client_id].secret = "a:b %+é"
    auth = (web.client_id, urllib.parse.quote_plus("a:b %+é"))
    assert token_request(web, auth, grant_type="client_credentials").status_code == 200


@pytest.mark.parametrize(
    ("auth", "fields"),
    [
        pytest.param(("sandbox-client", "wrong"), {}, id="Basic"),
        pytest.param(("nobody", "wrong"), {}, id="unknown client"),
        pytest.param(None, {"client_id": "sandbox-client", "client_secret": "wrong"}, id="body"),
        pytest.param(None, {"client_id": "sandbox-client"}, id="none"),
        pytest.param(None, {"client_id": "sandbox-app"}, id="public client"),
        pytest.param(None, {"client_id": "sandbox-app", "client_secret": ""}, id="public client, empty secret"),
        pytest.param(None, {}, id="nothing at all"),
    ],
)
def test_a_wrong_secret_is_refused_with_a_challenge(
    web: Web, auth: tuple[str, str] | None, fields: dict[str, str]
) -> None:
    answer = token_request(web, auth, grant_type="client_credentials", **fields)
    found = (answer.status_code, answer.json()["error"], answer.headers["WWW-Authenticate"].split()[0])
    assert found == (401, "invalid_client", "Basic")


def test_two_ways_to_authenticate_at_once_are_refused(web: Web) -> None:
    secret = web.client_secret
    answer = token_request(web, (web.client_id, secret), grant_type="client_credentials", client_secret=secret)
    assert answer.json()["error"] == "invalid_client"


def test_broken_basic_credentials_are_refused(web: Web) -> None:
    headers = {"Authorization": "Basic ***"}
    answer = requests.post(f"{web.url}/token", {"grant_type": "client_credentials"}, headers=headers, timeout=10)
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("name", ["grant", "user", "client", "scopes", "decided", "extra_credentials"])
def test_a_parameter_named_as_an_attribute_of_oauthlibs_request_means_nothing(web: Web, name: str) -> None:
    auth = (web.client_id, web.client_secret)
    answer = token_request(web, auth, grant_type="client_credentials", **{name: "x"})
    assert introspect(web, answer.json()["access_token"])["username"] == web.store.application_user


# --- JSON Web Tokens ------------------------------------------------------------------------------------------------


@dataclass
class Signer:
    """Makes assertions for one party, with something wrong on request."""

    key: str
    claims: dict[str, Any]
    algorithm: str = "RS256"

    def sign(self, **changes: Any) -> str:
        claims = {name: value for name, value in (self.claims | changes).items() if value is not None}
        return jwt.encode(claims, self.key, self.algorithm)


def application(web: Web) -> Signer:
    claims = {"iss": web.client_id, "sub": web.client_id, "aud": f"{web.url}/token", "exp": time.time() + 300}
    return Signer(web.client_key, claims | {"jti": os.urandom(8).hex()})


def robot(web: Web) -> Signer:
    claims = {
        "iss": web.service_account_email,
        "sub": USER,
        "scope": "mail",
        "aud": f"{web.url}/token",
        "iat": int(time.time()),
        "exp": int(time.time()) + 3600,
    }
    return Signer(web.service_account_key, claims)


def with_assertion(web: Web, assertion: str, **changes: str | None) -> requests.Response:
    fields: dict[str, str | None] = {
        "grant_type": "client_credentials",
        "client_assertion_type": CLIENT_ASSERTION_TYPE,
        "client_assertion": assertion,
        "login_hint": USER,
    }
    return token_request(web, **(fields | changes))


def bearer(web: Web, assertion: str, **more: str) -> requests.Response:
    return token_request(web, grant_type=JWT_BEARER, assertion=assertion, **more)


def test_an_application_gets_a_token_for_its_signature(web: Web) -> None:
    answer = with_assertion(web, application(web).sign())
    assert works(web, answer.json()["access_token"])


def test_an_elliptic_key_can_be_registered(web: Web) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    web.store.clients[web.client_id].keys.append(
        key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    signer = Signer(pem, application(web).claims, "ES256")
    assert with_assertion(web, signer.sign()).status_code == 200


#: What is wrong with an assertion, whoever makes it.
WRONG_CLAIMS = [
    pytest.param({"aud": "https://elsewhere.example/token"}, id="audience"),
    pytest.param({"aud": None}, id="no audience"),
    pytest.param({"aud": [{"a": 1}, 7]}, id="odd audience"),
    pytest.param({"exp": 1_000_000_000}, id="expired"),
    pytest.param({"exp": None}, id="no expiry"),
    pytest.param({"exp": "soon"}, id="expiry in words"),
    pytest.param({"exp": float("nan")}, id="expiry not a number"),
    pytest.param({"exp": 4_000_000_000}, id="expiry far away"),
    pytest.param({"nbf": 4_000_000_000}, id="not yet"),
    pytest.param({"iat": 4_000_000_000}, id="made in the future"),
    pytest.param({"iss": "somebody"}, id="issuer"),
    pytest.param({"iss": None}, id="no issuer"),
    pytest.param({"sub": None}, id="no subject"),
    pytest.param({"sub": "somebody"}, id="subject"),
]


@pytest.mark.parametrize("changes", WRONG_CLAIMS)
def test_a_wrong_client_assertion_is_refused(web: Web, changes: dict[str, Any]) -> None:
    answer = with_assertion(web, application(web).sign(**changes))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("changes", WRONG_CLAIMS)
def test_a_wrong_bearer_assertion_is_refused(web: Web, changes: dict[str, Any]) -> None:
    answer = bearer(web, robot(web).sign(**changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_the_service_accounts_key_does_not_speak_for_the_client(web: Web) -> None:
    signer = Signer(web.service_account_key, application(web).claims)
    assert with_assertion(web, signer.sign()).json()["error"] == "invalid_client"


@pytest.mark.parametrize("forge", ["other key", "none", "HS256 with the public key", "not a JWT"])
@pytest.mark.parametrize("send", [with_assertion, bearer], ids=["client", "bearer"])
def test_a_forged_signature_is_refused(web: Web, send: Callable[..., requests.Response], forge: str) -> None:
    signer = application(web) if send is with_assertion else robot(web)
    if forge == "other key":
        assertion = Signer(new_rsa_key(), signer.claims).sign()
    elif forge == "none":
        assertion = jwt.encode(signer.claims, None, "none")  # type: ignore[arg-type, unused-ignore]
    elif forge == "not a JWT":
        assertion = "a.b.c"
    else:
        public = web.store.clients[str(signer.claims["iss"])].keys[0]
        head, body = (
            base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
            for text in ('{"alg":"HS256"}', json.dumps(signer.claims))
        )
        mac = hmac.new(public.encode(), f"{head}.{body}".encode(), "sha256").digest()
        assertion = f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    error = "invalid_client" if send is with_assertion else "invalid_grant"
    assert send(web, assertion).json()["error"] == error


def test_a_client_assertion_works_once(web: Web) -> None:
    assertion = application(web).sign()
    answers = [with_assertion(web, assertion).status_code for _ in range(2)]
    assert answers == [200, 401]


def test_a_client_assertion_of_another_type_is_refused(web: Web) -> None:
    answer = with_assertion(web, application(web).sign(), client_assertion_type="saml")
    assert answer.json()["error"] == "invalid_request"


def test_a_service_account_gets_a_token_for_the_mailbox_in_sub(web: Web) -> None:
    token = bearer(web, robot(web).sign()).json()
    assert works(web, token["access_token"])
    assert "refresh_token" not in token


def test_a_service_account_may_not_ask_for_unknown_scopes(web: Web) -> None:
    assert bearer(web, robot(web).sign(scope="everything")).json()["error"] == "invalid_scope"


def test_a_bearer_request_needs_an_assertion(web: Web) -> None:
    assert token_request(web, grant_type=JWT_BEARER).json()["error"] == "invalid_request"


def test_google_auth_gets_a_token_for_its_key_file() -> None:
    with Web(State(), personality_name="gmail") as web:
        credentials = service_account.Credentials.from_service_account_info(
            web.service_account_info, scopes=["https://mail.google.com/"], subject=USER
        )
        with requests.Session() as session:
            credentials.refresh(GoogleRequest(session))
        assert works(web, credentials.token)


def test_without_pyjwt_the_answer_names_the_extra(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    assertion, real = robot(web).sign(), builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "jwt":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    answer = bearer(web, assertion)
    assert answer.status_code == 500
    assert "pip install 'oauthmail[sandbox]'" in answer.json()["error_description"]


# --- device ---------------------------------------------------------------------------------------------------------


def start_device(web: Web) -> dict[str, Any]:
    fields = {"client_id": web.public_client_id, "scope": "mail"}
    answer: dict[str, Any] = requests.post(f"{web.url}/device_authorization", fields, timeout=10).json()
    return answer


def poll(web: Web, device_code: str, **changes: str) -> requests.Response:
    fields = {"grant_type": DEVICE_CODE, "device_code": device_code, "client_id": web.public_client_id}
    return token_request(web, **(fields | changes))


def decide(device: dict[str, Any], consent: str) -> requests.Response:
    query = {"login_hint": USER, "sandbox_consent": consent}
    return requests.get(device["verification_uri_complete"], query, timeout=10)


@pytest.mark.usefixtures("insecure_client")
def test_a_device_gets_its_token_after_the_person_agreed(web: Web, clock: Clock) -> None:
    device = start_device(web)
    assert poll(web, device["device_code"]).json()["error"] == "authorization_pending"
    assert decide(device, "allow").status_code == 200
    clock.ahead += device["interval"]
    session = OAuth2Session(client=DeviceClient(web.public_client_id))
    token = session.fetch_token(f"{web.url}/token", device_code=device["device_code"], include_client_id=True)
    assert works(web, token["access_token"])
    assert refresh(web, token["refresh_token"]).status_code == 200


def test_a_device_that_polls_too_fast_waits_five_seconds_more(web: Web, clock: Clock) -> None:
    code = start_device(web)["device_code"]
    errors = []
    for seconds in (0, 4, 9, 10):
        clock.ahead += seconds
        errors.append(poll(web, code).json()["error"])
    assert errors == ["authorization_pending", "slow_down", "slow_down", "slow_down"]
    clock.ahead += 20.5
    assert poll(web, code).json()["error"] == "authorization_pending"


def test_a_denied_device_hears_of_it(web: Web) -> None:
    device = start_device(web)
    decide(device, "deny")
    assert poll(web, device["device_code"]).json()["error"] == "access_denied"


def test_a_device_code_expires(web: Web, clock: Clock) -> None:
    device = start_device(web)
    clock.ahead = device["expires_in"] + 1
    assert decide(device, "allow").status_code == 400
    assert poll(web, device["device_code"]).json()["error"] == "expired_token"


def test_a_device_code_brings_one_token(web: Web) -> None:
    device = start_device(web)
    decide(device, "allow")
    answers = [poll(web, device["device_code"]).status_code for _ in range(2)]
    assert answers == [200, 400]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"device_code": "guess"}, "invalid_grant", id="unknown"),
        pytest.param({"device_code": ""}, "invalid_request", id="missing"),
        pytest.param({"client_id": "nobody"}, "invalid_client", id="unknown client"),
    ],
)
def test_a_wrong_poll_is_refused(web: Web, changes: dict[str, str], error: str) -> None:
    code = start_device(web)["device_code"]
    assert poll(web, **({"device_code": code} | changes)).json()["error"] == error


def test_a_code_is_typed_in_any_case_and_decided_once(web: Web) -> None:
    device = start_device(web)
    typed = device["user_code"].lower().replace("-", " ")
    query = {"user_code": typed, "login_hint": USER, "sandbox_consent": "allow"}
    answers = [requests.get(f"{web.url}/device", query, timeout=10).status_code for _ in range(2)]
    assert answers == [200, 400]


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        pytest.param({"client_id": "nobody"}, 401, "invalid_client", id="unknown client"),
        pytest.param({"client_id": "sandbox-app", "scope": "everything"}, 400, "invalid_scope", id="unknown scope"),
        pytest.param({"client_id": "robot@sandbox-service.example"}, 400, "unauthorized_client", id="not registered"),
    ],
)
def test_a_wrong_device_request_is_refused(web: Web, fields: dict[str, str], status: int, error: str) -> None:
    answer = requests.post(f"{web.url}/device_authorization", fields, timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


# --- introspection, revocation, discovery ---------------------------------------------------------------------------


def test_introspection_tells_what_a_token_is_good_for(web: Web) -> None:
    token = redeem(web, authorize(web)["code"]).json()
    claims = introspect(web, token["access_token"])
    assert (claims["active"], claims["username"], claims["scope"], claims["client_id"]) == (
        True,
        USER,
        "mail",
        web.public_client_id,
    )
    assert introspect(web, token["refresh_token"])["active"] is True


def test_introspection_tells_nothing_of_other_tokens(web: Web) -> None:
    expired = web.state.issue(USER, expires_in=0)
    assert [introspect(web, token) for token in (expired, "guess")] == [{"active": False}] * 2


@pytest.mark.parametrize("fields", [{}, {"client_id": "sandbox-app"}], ids=["nobody", "public client"])
def test_introspection_is_for_those_with_a_secret(web: Web, fields: dict[str, str]) -> None:
    answer = requests.post(f"{web.url}/introspect", {"token": "x", **fields}, timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_introspection_answers_503_while_it_is_to_fail(web: Web) -> None:
    token = web.state.issue(USER)
    web.state.fault("temporary", service="introspection")
    login = (web.client_id, web.client_secret)
    answers = [requests.post(f"{web.url}/introspect", {"token": token}, auth=login, timeout=10) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]


def test_introspection_notes_the_fingerprint_of_each_token(web: Web) -> None:
    token = web.state.issue(USER)
    introspect(web, token)
    introspect(web, "guess")
    assert web.state.introspected == [fingerprint(token), fingerprint("guess")]


def revoke(web: Web, token: str, **changes: str) -> requests.Response:
    fields = {"token": token, "client_id": web.public_client_id}
    return requests.post(f"{web.url}/revoke", fields | changes, timeout=10)


def test_a_revoked_access_token_is_gone_and_its_grant_goes_on(web: Web) -> None:
    token = redeem(web, authorize(web)["code"]).json()
    assert revoke(web, token["access_token"], token_type_hint="access_token").status_code == 200
    assert not works(web, token["access_token"])
    assert refresh(web, token["refresh_token"]).status_code == 200


def test_a_revoked_refresh_token_takes_its_access_tokens_along(web: Web) -> None:
    token = redeem(web, authorize(web)["code"]).json()
    assert revoke(web, token["refresh_token"]).status_code == 200
    assert not works(web, token["access_token"])
    assert refresh(web, token["refresh_token"]).json()["error"] == "invalid_grant"


def test_revoking_an_unknown_token_is_no_error(web: Web) -> None:
    assert revoke(web, "guess").status_code == 200


def test_another_clients_token_cannot_be_revoked(web: Web) -> None:
    token = redeem(web, authorize(web)["code"]).json()["access_token"]
    answer = revoke(web, token, client_id=web.client_id, client_secret=web.client_secret)
    assert (answer.json()["error"], works(web, token)) == ("invalid_grant", True)


@pytest.mark.parametrize("document", ["openid-configuration", "oauth-authorization-server"])
def test_every_advertised_endpoint_answers(web: Web, document: str) -> None:
    metadata = requests.get(f"{web.url}/.well-known/{document}", timeout=10).json()
    assert metadata["issuer"] == web.url
    endpoints = {name: url for name, url in metadata.items() if name.endswith("_endpoint")}
    post = {name: requests.post(url, timeout=10) for name, url in endpoints.items()}
    assert len(endpoints) == 5
    assert {answer.status_code for answer in post.values()} <= {400, 401}


def test_every_advertised_grant_type_is_known(web: Web) -> None:
    metadata = requests.get(f"{web.url}/.well-known/openid-configuration", timeout=10).json()
    errors = {token_request(web, grant_type=name).json()["error"] for name in metadata["grant_types_supported"]}
    assert "unsupported_grant_type" not in errors


# --- control --------------------------------------------------------------------------------------------------------


def control(web: Web, name: str, secret: str | None = None, **arguments: Any) -> requests.Response:
    headers = {"X-Sandbox-Control": web.control_secret if secret is None else secret}
    return requests.post(f"{web.url}/control/{name}", json=arguments, headers=headers, timeout=10)


@pytest.mark.parametrize("name", ["issue", "expire", "revoke", "fault", "clear-faults", "lines", "users"])
def test_control_needs_its_secret(web: Web, name: str) -> None:
    answers = [control(web, name, secret).status_code for secret in ("", "wrong", "é")]
    assert answers == [403, 403, 403]


def test_control_issues_expires_and_revokes(web: Web) -> None:
    token = control(web, "issue", user=USER, scope="imap pop", expires_in=60, length=9000).json()["access_token"]
    assert (len(token), web.state.judge(token, USER, "imap").user) == (9000, USER)
    control(web, "expire", token=token)
    assert web.state.judge(token, USER, "imap").reason == "expired"
    control(web, "revoke", token=token)
    assert web.state.judge(token, USER, "imap").reason == "revoked"
    assert control(web, "users").json() == {"users": [USER]}


def test_control_causes_and_clears_faults(web: Web) -> None:
    control(web, "fault", kind="slow", service="imap", number=0.5, times=None)
    fault = web.state.take_fault("slow", "imap")
    assert fault is not None
    assert fault.number == 0.5
    control(web, "clear-faults")
    assert web.state.faults == []


def test_control_shows_recorded_lines(web: Web) -> None:
    web.state.record("imap", 1, "a1 NOOP")
    web.state.record("pop", 2, "NOOP")
    lines = control(web, "lines", service="pop").json()["lines"]
    assert lines == [{"service": "pop", "connection": 2, "text": "NOOP"}]


@pytest.mark.parametrize(
    ("name", "arguments", "status"),
    [
        ("expire", {"token": "guess"}, 404),
        ("expire", {}, 400),
        ("issue", {"user": 7}, 400),
        ("issue", {"user": USER, "length": 0}, 400),
        ("issue", {"user": USER, "expires_in": True}, 400),
        ("issue", {"usr": USER}, 400),
        ("fault", {"kind": "earthquake"}, 400),
        ("nothing", {}, 404),
    ],
)
def test_control_refuses_what_it_does_not_know(web: Web, name: str, arguments: dict[str, Any], status: int) -> None:
    assert control(web, name, **arguments).status_code == status


def test_control_refuses_what_is_not_json(web: Web) -> None:
    headers = {"X-Sandbox-Control": web.control_secret}
    answers = [
        requests.post(f"{web.url}/control/users", body, headers=headers, timeout=10).status_code
        for body in ("[]", "{", "7")
    ]
    assert answers == [400, 400, 400]


# --- the server -----------------------------------------------------------------------------------------------------


def raw(web: Web, request: bytes) -> bytes:
    """Send octets and return the first line of the answer."""
    port = int(web.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock, sock.makefile("rb") as file:
        sock.sendall(request.replace(b"HOST", b"127.0.0.1:%d" % port))
        return file.readline().strip()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(b"POST /token HTTP/1.1\r\nHost: HOST\r\n\r\n", b"411", id="no length"),
        pytest.param(b"POST /token HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n", b"411", id="negative"),
        pytest.param(b"POST /token HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n", b"411", id="chunked"),
        pytest.param(b"POST /token HTTP/1.1\r\nHost: HOST\r\nContent-Length: 65537\r\n\r\n", b"413", id="too large"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"421", id="DNS rebinding"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: HOST\r\n\r\n", b"200", id="good"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", b"200", id="without a host"),
        pytest.param(b"GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n", b"404", id="as for a proxy"),
        pytest.param(b"GET /token HTTP/1.1\r\nHost: HOST\r\n\r\n", b"405", id="wrong method"),
        pytest.param(b"GET /nothing HTTP/1.1\r\nHost: HOST\r\n\r\n", b"404", id="unknown path"),
        pytest.param(b"GET /?" + b"&" * 101 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n", b"400", id="many parameters"),
        pytest.param(b"GET /authorize?%zz&=&a HTTP/1.1\r\nHost: HOST\r\n\r\n", b"400", id="odd query"),
        pytest.param(b"POST /token HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\n\xff%zz&", b"400", id="odd body"),
    ],
)
def test_odd_requests_get_an_answer(web: Web, request_: bytes, status: bytes) -> None:
    assert raw(web, request_).split()[1] == status


def test_token_requests_with_a_query_are_refused(web: Web) -> None:
    answer = requests.post(f"{web.url}/token?x=1", {"grant_type": "refresh_token"}, timeout=10)
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127/8 on its loopback interface")
def test_nothing_but_127_0_0_1_is_bound(web: Web) -> None:
    port = int(web.url.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=10)


def test_answers_come_at_once_on_a_kept_connection(web: Web) -> None:
    with requests.Session() as session:
        started = time.perf_counter()
        for _ in range(20):
            session.get(f"{web.url}/.well-known/openid-configuration", timeout=10)
        assert time.perf_counter() - started < 20 * 0.04


def test_fifty_token_requests_at_once_are_answered(web: Web) -> None:
    codes = [authorize(web)["code"] for _ in range(50)]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda code: redeem(web, code), codes))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["access_token"] for answer in answers}) == 50


def test_close_ends_every_thread_and_socket() -> None:
    before = set(threading.enumerate())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Web(State(), tls=context) as web:
            assert web.https_url is not None
            ports = [int(url.rpartition(":")[2]) for url in (web.url, web.https_url)]
            # Silent from the start: one waits for a request, one for a handshake.
            idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for port in ports]
            kept = requests.Session()
            kept.get(web.url, timeout=10)
        assert set(threading.enumerate()) - before == set()
        kept.close()
        for sock in idle:
            sock.close()
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=10)
        gc.collect()
    assert [str(warning.message) for warning in caught if issubclass(warning.category, ResourceWarning)] == []


def test_it_listens_soon(record_property: Callable[[str, object], None]) -> None:
    started = time.perf_counter()
    with Web(State()) as web:
        requests.get(web.url, timeout=10)
        assert time.perf_counter() - started < 0.5
