"""The sandbox's authorization server, over TLS, judged by requests-oauthlib and Authlib.

That every token opens the mailbox is asked of the IMAP server. What requests-oauthlib does over plain http is in
``tests/sandbox``.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import AssertionSession, OAuth1Session, OAuth2Session
from authlib.oauth2.rfc6749.errors import MismatchingStateException
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import RSAKey
from oauthlib.oauth2 import DeviceClient, MismatchingStateError, OAuth2Error
from requests_oauthlib import OAuth2Session as RequestsOAuthSession

from oauthmail import IMAP4_SSL, OAuth1Credentials
from oauthmail.sandbox import Sandbox

from .standard import TIMEOUT, opens

# Nobody listens there: a test reads the redirect and does not follow it.
REDIRECT = "http://127.0.0.1:1/callback"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class Server:
    """The authorization server and a person who uses it."""

    sandbox: Sandbox
    user: str
    base: str

    def url(self, path: str) -> str:
        return f"{self.base}/{path}"

    def visit(self, url: str, consent: str = "allow") -> str:
        """Be the person: decide, and return where the browser is sent."""
        answer = requests.get(
            url,
            params={"login_hint": self.user, "sandbox_consent": consent},
            allow_redirects=False,
            timeout=TIMEOUT,
        )
        location: str = answer.headers.get("Location", "")
        return location

    def lets_in(self, token: dict[str, Any]) -> bool:
        return opens(self.sandbox, self.user, token["access_token"])


@pytest.fixture
def server(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Server:
    assert sandbox.web.https_url is not None
    # All that a person has to do; `Session.verify` would lose against a value that is set already.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(sandbox.ca_file))
    return Server(sandbox, sandbox.new_user(), sandbox.web.https_url)


@pytest.fixture(params=["public", "confidential"])
def authlib(server: Server, request: pytest.FixtureRequest) -> Iterator[OAuth2Session]:
    """Authlib's client, as a native application and as one with a secret."""
    web = server.sandbox.web
    public = request.param == "public"
    with OAuth2Session(
        web.public_client_id if public else web.client_id,
        None if public else web.client_secret,
        redirect_uri=REDIRECT,
        scope="mail",
        code_challenge_method="S256",
        token_endpoint=server.url("token"),
    ) as session:
        yield session


def sign_in(server: Server, session: OAuth2Session, **changes: str) -> dict[str, Any]:
    """Go through the code flow with Authlib and return the token."""
    verifier = "v" * 48
    url, state = session.create_authorization_url(server.url("authorize"), code_verifier=verifier)
    values = {"state": state, "code_verifier": verifier} | changes
    token: dict[str, Any] = session.fetch_token(authorization_response=server.visit(url), **values)
    return token


# --- Authlib --------------------------------------------------------------------------------------------------------


def test_authlib_signs_in_refreshes_and_revokes(server: Server, authlib: OAuth2Session) -> None:
    first = dict(sign_in(server, authlib))
    assert server.lets_in(first)
    second = dict(authlib.refresh_token())
    assert server.lets_in(second)
    assert second["refresh_token"] != first["refresh_token"]
    assert authlib.revoke_token(server.url("revoke"), token=second["refresh_token"]).status_code == 200
    assert not server.lets_in(second)
    with pytest.raises(OAuthError, match="invalid_grant"):
        authlib.refresh_token()


def test_authlib_refreshes_an_expired_token_by_itself(server: Server, authlib: OAuth2Session) -> None:
    first = dict(sign_in(server, authlib))
    kept: list[dict[str, Any]] = []
    authlib.update_token = lambda token, **replaced: kept.append(token)
    authlib.token = {**first, "expires_at": 1}
    assert authlib.get(server.url(".well-known/openid-configuration"), timeout=TIMEOUT).status_code == 200
    assert [server.lets_in(token) for token in kept] == [True]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"code_verifier": "w" * 48}, (OAuthError, "invalid_grant"), id="wrong verifier"),
        pytest.param({"state": "wrong"}, (MismatchingStateException, "mismatching_state"), id="wrong state"),
        pytest.param({"redirect_uri": "http://127.0.0.1:2/callback"}, (OAuthError, "invalid_grant"), id="redirect"),
    ],
)
def test_authlib_is_refused(
    server: Server, authlib: OAuth2Session, changes: dict[str, str], error: tuple[type[Exception], str]
) -> None:
    with pytest.raises(error[0], match=error[1]):
        sign_in(server, authlib, **changes)


def test_a_reused_refresh_token_ends_authlibs_session(server: Server, authlib: OAuth2Session) -> None:
    first = dict(sign_in(server, authlib))
    second = dict(authlib.refresh_token())
    with pytest.raises(OAuthError, match="invalid_grant"):
        authlib.refresh_token(refresh_token=first["refresh_token"])
    assert not server.lets_in(second)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_authlib_gets_an_applications_token(server: Server, method: str) -> None:
    web = server.sandbox.web
    key = web.client_key if method == "private_key_jwt" else web.client_secret
    with OAuth2Session(web.client_id, key, token_endpoint_auth_method=method, scope="mail") as session:
        session.register_client_auth_method(PrivateKeyJWT(server.url("token")))
        token = session.fetch_token(server.url("token"), grant_type="client_credentials")
        assert opens(server.sandbox, web.store.application_user, token["access_token"])
        session.register_client_auth_method(PrivateKeyJWT(server.url("token")))
        answer = session.introspect_token(server.url("introspect"), token=token["access_token"])
    assert (answer.json()["active"], answer.json()["scope"]) == (True, "mail")


def test_authlib_gets_a_service_accounts_token(server: Server) -> None:
    web = server.sandbox.web
    with AssertionSession(
        server.url("token"),
        web.service_account_email,
        server.user,
        claims={"scope": "mail"},
        key=RSAKey.import_key(web.service_account_key),
        header={"alg": "RS256"},
    ) as session:
        assert server.lets_in(session.refresh_token())


def test_authlib_connects_a_device(server: Server) -> None:
    client_id = server.sandbox.web.public_client_id
    with OAuth2Session(client_id, token_endpoint_auth_method="none") as session:
        device = session.post(
            server.url("device_authorization"), {"client_id": client_id}, withhold_token=True, timeout=TIMEOUT
        ).json()
        server.visit(device["verification_uri_complete"])
        token = session.fetch_token(server.url("token"), grant_type=DEVICE_CODE, device_code=device["device_code"])
        assert server.lets_in(token)
        assert server.lets_in(session.refresh_token(server.url("token")))


def test_authlibs_device_is_told_to_wait(server: Server) -> None:
    client_id = server.sandbox.web.public_client_id
    with OAuth2Session(client_id, token_endpoint_auth_method="none") as session:
        device = session.post(
            server.url("device_authorization"), {"client_id": client_id}, withhold_token=True, timeout=TIMEOUT
        ).json()
        with pytest.raises(OAuthError, match="authorization_pending"):
            session.fetch_token(server.url("token"), grant_type=DEVICE_CODE, device_code=device["device_code"])


@pytest.mark.parametrize("placement", ["HEADER", "BODY", "QUERY"])
def test_authlib_obtains_an_oauth1_token_that_opens_the_mailbox(server: Server, placement: str) -> None:
    web = server.sandbox.web
    keys = (web.oauth1_client_key, web.oauth1_client_secret)
    with OAuth1Session(*keys, redirect_uri=REDIRECT, signature_type=placement) as session:
        session.fetch_request_token(server.url("oauth1/request_token"))
        location = server.visit(session.create_authorization_url(server.url("oauth1/authorize")))
        session.parse_authorization_response(location)
        token = session.fetch_access_token(server.url("oauth1/access_token"))
    credentials = OAuth1Credentials(*keys, token["oauth_token"], token["oauth_token_secret"])
    imaps = server.sandbox.imaps
    with IMAP4_SSL("localhost", imaps.port, ssl_context=server.sandbox.ssl_context(), timeout=TIMEOUT) as imap:
        imap.authenticate_oauth(f"https://mail.google.com/mail/b/{server.user}/imap/", credentials)
        assert imap.select()[0] == "OK"


def test_authlib_signs_in_and_refreshes_without_blocking(server: Server) -> None:
    pytest.importorskip("httpx", reason="needs httpx: python -m pip install httpx")
    with warnings.catch_warnings():
        # Authlib 1.9 would rather have httpx's successor.
        warnings.simplefilter("ignore", DeprecationWarning)
        from authlib.integrations.httpx_client import AsyncOAuth2Client

    async def go() -> list[dict[str, Any]]:
        async with AsyncOAuth2Client(
            server.sandbox.web.public_client_id,
            redirect_uri=REDIRECT,
            scope="mail",
            code_challenge_method="S256",
            token_endpoint=server.url("token"),
            verify=server.sandbox.ssl_context(),
        ) as client:
            verifier = "v" * 48
            url, state = client.create_authorization_url(server.url("authorize"), code_verifier=verifier)
            location = await asyncio.to_thread(server.visit, url)
            first = dict(await client.fetch_token(authorization_response=location, state=state, code_verifier=verifier))
            return [first, dict(await client.refresh_token())]

    first, second = asyncio.run(go())
    assert (server.lets_in(first), server.lets_in(second)) == (True, True)
    assert first["refresh_token"] != second["refresh_token"]


# --- requests-oauthlib ----------------------------------------------------------------------------------------------


@pytest.fixture
def requests_oauthlib(server: Server) -> Iterator[RequestsOAuthSession]:
    session = RequestsOAuthSession(
        server.sandbox.web.public_client_id, redirect_uri=REDIRECT, scope=["mail"], pkce="S256"
    )
    with session:
        yield session


def received(location: str) -> str:
    """Return a redirect as if it had come over https: the library takes no other, though nothing was sent there."""
    return location.replace("http:", "https:", 1)


def test_requests_oauthlib_refreshes_an_expired_token_by_itself(
    server: Server, requests_oauthlib: RequestsOAuthSession
) -> None:
    session = requests_oauthlib
    url, _ = session.authorization_url(server.url("authorize"))
    location = received(server.visit(url))
    token = session.fetch_token(server.url("token"), authorization_response=location, include_client_id=True)
    assert server.lets_in(token)
    kept: list[dict[str, Any]] = []
    session.auto_refresh_url = server.url("token")
    session.auto_refresh_kwargs = {"client_id": server.sandbox.web.public_client_id}
    session.token_updater = kept.append
    session.token = {**token, "expires_at": 1, "expires_in": -1}
    assert session.get(server.url(".well-known/openid-configuration"), timeout=TIMEOUT).status_code == 200
    assert [server.lets_in(new) for new in kept] == [True]


def test_requests_oauthlib_sees_another_state_and_a_refusal(
    server: Server, requests_oauthlib: RequestsOAuthSession
) -> None:
    session = requests_oauthlib
    url, state = session.authorization_url(server.url("authorize"))
    forged = received(server.visit(url)).replace(f"state={state}", "state=theirs")
    with pytest.raises(MismatchingStateError):
        session.fetch_token(server.url("token"), authorization_response=forged)
    with pytest.raises(OAuth2Error, match="access_denied"):
        session.fetch_token(server.url("token"), authorization_response=received(server.visit(url, "deny")))


def test_requests_oauthlib_connects_a_device(server: Server) -> None:
    client_id = server.sandbox.web.public_client_id
    with RequestsOAuthSession(client=DeviceClient(client_id)) as session:
        fields = {"client_id": client_id, "scope": "mail"}
        # The session's own post() would want a token first.
        device = requests.post(server.url("device_authorization"), fields, timeout=TIMEOUT).json()
        server.visit(device["verification_uri_complete"])
        token = session.fetch_token(server.url("token"), device_code=device["device_code"], include_client_id=True)
    assert server.lets_in(token)
