"""Discovery, and the flows without a browser of their own, at servers that are not ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from oauthmail import flows
from oauthmail.applications import Application, ServiceAccount
from oauthmail.credentials import OAuth2Credentials
from oauthmail.errors import FlowError
from oauthmail.flows import HTTP
from oauthmail.providers import Provider

from .keys import private_key, public_keys
from .running import AUTHLIB, Server, only, send

SCOPE = ("profile", "email")
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


# --- discovery ------------------------------------------------------------------------------------------------------


def test_discovery_finds_the_endpoints(server: Server, provider: Provider) -> None:
    metadata = server.metadata()
    names = "authorization", "token", "revocation", "device_authorization"
    found = {name: getattr(provider, f"{name}_endpoint") for name in names}
    assert (provider.issuer, found) == (server.issuer, {name: metadata.get(f"{name}_endpoint") for name in names})


@only(AUTHLIB)
def test_discovery_refuses_the_metadata_of_another_issuer(server: Server, http: HTTP) -> None:
    with pytest.raises(FlowError) as caught:
        flows.discover(f"{server.url}/impostor", http=http)
    assert caught.value.error == "issuer_mismatch"


# --- applications and service accounts ------------------------------------------------------------------------------


def by_itself(server: Server, provider: Provider, auth_method: str, secret: str | None, http: HTTP) -> tuple[str, ...]:
    """Return the scope that an application gets without anybody; *secret* is None for the right one."""
    registered = server.register(auth_method, "client_credentials")
    application = Application(registered.client_id, secret or registered.client_secret)
    provider = dataclasses.replace(provider, client_credentials=True, token_endpoint_auth_method=auth_method)
    return flows.client_credentials(provider, application, scope=["email"], http=http).scope


def test_an_application_gets_a_token_for_itself(server: Server, provider: Provider, http: HTTP) -> None:
    assert by_itself(server, provider, "client_secret_basic", None, http) == ("email",)


@only(AUTHLIB)
def test_an_application_may_send_its_secret_in_the_form(server: Server, provider: Provider, http: HTTP) -> None:
    assert by_itself(server, provider, "client_secret_post", None, http) == ("email",)


def test_a_wrong_secret_is_refused(server: Server, provider: Provider, http: HTTP) -> None:
    with pytest.raises(FlowError) as caught:
        by_itself(server, provider, "client_secret_basic", "a wrong secret: +%&", http)
    assert (caught.value.error, caught.value.temporary) == ("invalid_client", False)


@dataclasses.dataclass(frozen=True)
class Delegation:
    """A service account that acts for the user."""

    provider: Provider
    account: ServiceAccount
    http: HTTP

    def token(self, subject: str) -> OAuth2Credentials:
        return flows.service_account(self.provider, self.account, subject=subject, scope=["email"], http=self.http)


@pytest.fixture
def delegation(server: Server, provider: Provider, http: HTTP) -> Delegation:
    key = private_key()
    registered = server.register("none", JWT_BEARER, jwks=public_keys(key))
    return Delegation(dataclasses.replace(provider, jwt_bearer=True), ServiceAccount(registered.client_id, key), http)


@only(AUTHLIB)
def test_a_service_account_acts_for_a_user(server: Server, delegation: Delegation) -> None:
    credentials = delegation.token(server.username)
    assert (credentials.expired(0), credentials.refresh_token) == (False, None)


@only(AUTHLIB)
def test_a_service_account_does_not_act_for_a_stranger(delegation: Delegation) -> None:
    with pytest.raises(FlowError) as caught:
        delegation.token("stranger@mail.test")
    assert (caught.value.error, caught.value.authorize_again) == ("invalid_grant", False)


@only(AUTHLIB)
def test_a_service_account_signs_with_its_own_key(server: Server, delegation: Delegation) -> None:
    account = dataclasses.replace(delegation.account, private_key=private_key())
    with pytest.raises(FlowError) as caught:
        dataclasses.replace(delegation, account=account).token(server.username)
    assert caught.value.error == "invalid_grant"


# --- devices --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Device:
    """A device on which somebody signs in; its time passes only while it waits.

    Attributes:
        waited: seconds before each question, in turn.
        meanwhile: what happens while it waits for the first, the second, … time.
        looks: how often it looked at the clock.
    """

    server: Server
    provider: Provider
    application: Application
    http: HTTP
    shown: list[flows.DeviceCode] = dataclasses.field(default_factory=list)
    waited: list[float] = dataclasses.field(default_factory=list)
    meanwhile: list[Callable[[], object]] = dataclasses.field(default_factory=list)
    looks: int = 0

    def sign_in(self, *meanwhile: Callable[[], object]) -> OAuth2Credentials:
        self.meanwhile = list(meanwhile)
        return flows.device_authorization(
            self.provider,
            self.application,
            scope=SCOPE,
            show=self.shown.append,
            http=self.http,
            now=self.now,
            sleep=self.sleep,
        )

    def now(self) -> float:
        self.looks += 1
        assert self.looks < 100, "it keeps asking without waiting"
        return sum(self.waited)

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        if self.meanwhile:
            self.meanwhile.pop(0)()

    def nothing(self) -> None:
        """Let nobody do anything."""

    def accept(self) -> None:
        with self.server.person() as person:
            person.visit(self.shown[0].verification_uri, user_code=self.shown[0].user_code)

    def accept_by_link(self) -> None:
        with self.server.person() as person:
            person.visit(self.shown[0].verification_uri_complete or "")

    def deny(self) -> None:
        with self.server.person("deny") as person:
            person.visit(self.shown[0].verification_uri, user_code=self.shown[0].user_code)

    def expire(self) -> None:
        assert send("POST", f"{self.server.url}/expire").ok


@pytest.fixture
def device(server: Server, provider: Provider, http: HTTP) -> Device:
    registered = server.register("none", DEVICE_CODE, "refresh_token")
    return Device(server, provider, Application(registered.client_id), http)


@only(AUTHLIB)
@pytest.mark.parametrize("way", [Device.accept, Device.accept_by_link], ids=["code", "link"])
def test_a_person_signs_in_on_another_device(device: Device, way: Callable[[Device], None]) -> None:
    credentials = device.sign_in(device.nothing, lambda: way(device))
    assert (credentials.scope, device.waited) == (SCOPE, [5, 5])


@only(AUTHLIB)
def test_a_device_can_refresh_its_token(device: Device) -> None:
    credentials = device.sign_in(device.accept)
    assert flows.refresh(device.provider, device.application, credentials, http=device.http).scope == SCOPE


@only(AUTHLIB)
def test_a_device_slows_down_for_good_when_it_is_told_to(device: Device) -> None:
    device.sign_in(device.nothing, device.nothing, device.nothing, device.accept)
    assert device.waited == [5, 5, 10, 15]


@only(AUTHLIB)
@pytest.mark.parametrize(
    ("happens", "error"),
    [
        pytest.param(Device.deny, "access_denied", id="denial"),
        pytest.param(Device.expire, "expired_token", id="expiry"),
    ],
)
def test_the_end_of_a_device_code_is_reported(device: Device, happens: Callable[[Device], None], error: str) -> None:
    with pytest.raises(FlowError) as caught:
        device.sign_in(device.nothing, lambda: happens(device))
    assert (caught.value.error, caught.value.temporary, len(device.waited)) == (error, False, 2)


@only(AUTHLIB)
def test_a_device_gives_up_when_its_code_has_expired(device: Device) -> None:
    with pytest.raises(FlowError) as caught:
        device.sign_in(lambda: device.waited.append(1800))
    assert (caught.value.error, device.waited) == ("expired_token", [5, 1800])


@only(AUTHLIB)
def test_a_person_can_end_the_wait(device: Device) -> None:
    def control_c() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        device.sign_in(control_c)
