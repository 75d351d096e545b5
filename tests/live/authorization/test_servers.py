"""Two authorization servers that are not ours do what the tests of the flows take for granted.

What they refuse here, to clients that are not ours either, is refused there by them and not by a mistake of ours.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import RSAKey
from requests_oauthlib import OAuth2Session as RequestsOAuthSession

from .running import AUTHLIB, CANAILLE, Registration, Server, only, send

# Nobody listens there: a test reads the redirect and does not follow it.
REDIRECT = "http://127.0.0.1:1/callback"
VERIFIER = "v" * 48
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


# --- code, refresh, revocation --------------------------------------------------------------------------------------


class Application:
    """Authlib's client, or requests-oauthlib's, registered as a mail program."""

    def __init__(self, server: Server, auth_method: str = "none") -> None:
        self.server, self.metadata = server, server.metadata()
        granted = "authorization_code", "refresh_token"
        self.registered = server.register(auth_method, *granted, redirect_uris=[REDIRECT])
        self.session = OAuth2Session(
            self.registered.client_id,
            None if auth_method == "none" else self.registered.client_secret,
            auth_method,
            redirect_uri=REDIRECT,
            scope="profile email",
            code_challenge_method="S256",
            token_endpoint=self.metadata["token_endpoint"],
        )
        self.session.trust_env = False

    def ask(self, answer: str = "accept") -> str:
        """Send the user to the server; return the redirect that ends it."""
        url, _ = self.session.create_authorization_url(self.metadata["authorization_endpoint"], code_verifier=VERIFIER)
        with self.server.person(answer) as person:
            return person.visit(url)

    def redeem(self, redirect: str, verifier: str = VERIFIER) -> dict[str, Any]:
        token: dict[str, Any] = self.session.fetch_token(authorization_response=redirect, code_verifier=verifier)
        return dict(token)


@pytest.fixture(params=["none", "client_secret_basic", "client_secret_post"])
def application(server: Server, request: pytest.FixtureRequest) -> Iterator[Application]:
    application = Application(server, request.param)
    with application.session:
        yield application


@pytest.fixture
def public(server: Server) -> Iterator[Application]:
    application = Application(server)
    with application.session:
        yield application


def test_a_code_becomes_a_token_and_a_refresh_token(application: Application) -> None:
    token = application.redeem(application.ask())
    assert (token["token_type"], token["scope"], "refresh_token" in token) == ("Bearer", "profile email", True)


def test_requests_oauthlib_signs_in_as_well(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    public = Application(server)
    scope = ["profile", "email"]
    with RequestsOAuthSession(public.registered.client_id, redirect_uri=REDIRECT, scope=scope, pkce="S256") as session:
        session.trust_env = False
        url, _ = session.authorization_url(public.metadata["authorization_endpoint"])
        with server.person() as person:
            redirect = person.visit(url)
        endpoint = public.metadata["token_endpoint"]
        assert "access_token" in session.fetch_token(endpoint, authorization_response=redirect, include_client_id=True)


def test_a_wrong_verifier_is_refused(public: Application) -> None:
    with pytest.raises(OAuthError, match=r"invalid_grant: Code challenge failed\."):
        public.redeem(public.ask(), verifier="w" * 48)


def test_a_code_works_once(public: Application) -> None:
    redirect = public.ask()
    public.redeem(redirect)
    # Another code that is good for the same client must not be taken instead.
    public.ask()
    with pytest.raises(OAuthError, match=r"invalid_grant: Invalid 'code' in request\."):
        public.redeem(redirect)


def test_a_person_can_say_no(public: Application) -> None:
    redirect = urllib.parse.urlsplit(public.ask("deny"))
    assert dict(urllib.parse.parse_qsl(redirect.query))["error"] == "access_denied"


def test_a_code_is_not_sent_to_a_stranger(public: Application) -> None:
    public.session.redirect_uri = "http://127.0.0.1:1/elsewhere"
    assert public.ask().startswith(public.metadata["authorization_endpoint"])


def test_the_port_of_a_loopback_address_counts_for_canaille_alone(server: Server, public: Application) -> None:
    public.session.redirect_uri = "http://127.0.0.1:2/callback"
    assert public.ask().startswith("http://127.0.0.1:2/callback") == server.kind.any_port


def test_canaille_alone_rotates_refresh_tokens(server: Server, public: Application) -> None:
    first = public.redeem(public.ask())
    second = dict(public.session.refresh_token(refresh_token=first["refresh_token"]))
    assert (second["refresh_token"] != first["refresh_token"]) == server.kind.rotates


@only(CANAILLE)
def test_a_rotated_refresh_token_is_refused(public: Application) -> None:
    first = public.redeem(public.ask())
    public.session.refresh_token(refresh_token=first["refresh_token"])
    with pytest.raises(OAuthError, match="invalid_grant"):
        public.session.refresh_token(refresh_token=first["refresh_token"])


def test_a_revoked_token_cannot_be_refreshed(server: Server) -> None:
    # Canaille takes revocations from clients with HTTP Basic authentication only, and says so in its metadata.
    application = Application(server, "client_secret_basic")
    with application.session as session:
        token = application.redeem(application.ask())
        answer = session.revoke_token(application.metadata["revocation_endpoint"], token=token["refresh_token"])
        assert answer.status_code == 200
        with pytest.raises(OAuthError, match="invalid_grant"):
            session.refresh_token(refresh_token=token["refresh_token"])


# --- applications by themselves -------------------------------------------------------------------------------------


def application_token(server: Server, registered: Registration, secret: str) -> dict[str, Any]:
    endpoint = server.metadata()["token_endpoint"]
    fields = {"grant_type": "client_credentials", "scope": "profile"}
    answer: dict[str, Any] = send("POST", endpoint, data=fields, auth=(registered.client_id, secret)).json()
    return answer


def test_an_application_gets_a_token_by_its_secret(server: Server) -> None:
    registered = server.register("client_secret_basic", "client_credentials")
    assert application_token(server, registered, registered.client_secret)["scope"] == "profile"
    assert application_token(server, registered, "wrong")["error"] == "invalid_client"


@only(CANAILLE)
def test_an_application_signs_in_by_its_key(server: Server) -> None:
    key = RSAKey.generate_key(2048, auto_kid=True)
    registered = server.register(
        "private_key_jwt",
        "authorization_code",
        redirect_uris=[REDIRECT],
        jwks={"keys": [key.as_dict(private=False)]},
    )
    endpoint = server.metadata()["token_endpoint"]
    with OAuth2Session(registered.client_id, key, "private_key_jwt", redirect_uri=REDIRECT, scope="email") as session:
        session.trust_env = False
        session.register_client_auth_method(PrivateKeyJWT(endpoint))
        url, _ = session.create_authorization_url(server.metadata()["authorization_endpoint"])
        with server.person() as person:
            redirect = person.visit(url)
        assert session.fetch_token(endpoint, authorization_response=redirect)["scope"] == "email"


# --- devices --------------------------------------------------------------------------------------------------------


class Device:
    """A device that asks for a code and polls."""

    def __init__(self, server: Server) -> None:
        self.server, self.metadata = server, server.metadata()
        self.client_id = server.register("none", DEVICE_CODE, "refresh_token").client_id
        fields = {"client_id": self.client_id, "scope": "email"}
        self.codes: dict[str, Any] = send("POST", self.metadata["device_authorization_endpoint"], data=fields).json()

    def poll(self) -> str:
        """Return the error that the token endpoint answers with, or the scope of a token."""
        fields = {"grant_type": DEVICE_CODE, "client_id": self.client_id, "device_code": self.codes["device_code"]}
        answer = send("POST", self.metadata["token_endpoint"], data=fields).json()
        said: str = answer["error"] if "error" in answer else answer["scope"]
        return said


def decide(device: Device, answer: str) -> None:
    with device.server.person(answer) as person:
        person.visit(device.codes["verification_uri"], user_code=device.codes["user_code"])


def hurry(device: Device) -> None:
    assert device.poll() == "authorization_pending"


def wait_too_long(device: Device) -> None:
    assert send("POST", f"{device.server.url}/expire").ok


@only(AUTHLIB)
@pytest.mark.parametrize(
    ("before", "said"),
    [
        pytest.param(lambda device: None, "authorization_pending", id="nobody has decided"),
        pytest.param(hurry, "slow_down", id="too soon"),
        pytest.param(lambda device: decide(device, "accept"), "email", id="consent"),
        pytest.param(lambda device: decide(device, "deny"), "access_denied", id="denial"),
        pytest.param(wait_too_long, "expired_token", id="too late"),
    ],
)
def test_the_device_flow_has_all_its_ends(server: Server, before: Callable[[Device], None], said: str) -> None:
    device = Device(server)
    before(device)
    assert device.poll() == said


@only(CANAILLE)
def test_canaille_has_no_device_flow(server: Server) -> None:
    metadata = server.metadata()
    answer = send("POST", metadata["token_endpoint"], data={"grant_type": DEVICE_CODE, "device_code": "x"}).json()
    assert (answer["error"], "device_authorization_endpoint" in metadata) == ("unsupported_grant_type", False)
