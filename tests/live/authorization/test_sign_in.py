"""A person signs in on the real pages of servers that are not ours; then the token is renewed, and revoked."""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from oauthmail import flows
from oauthmail.applications import Application
from oauthmail.credentials import OAuth2Credentials
from oauthmail.errors import FlowError
from oauthmail.flows import HTTP
from oauthmail.providers import Provider
from oauthmail.sandbox.live.process import reserved_port

from .browser import Person
from .keys import private_key, public_keys
from .running import CANAILLE, HOST, Registration, Server, only

SCOPE = ("profile", "email")


# --- authorization code ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class SignIn:
    """An application that is registered with a server, and its user in front of it."""

    server: Server
    provider: Provider
    application: Application
    http: HTTP

    def by(self, registered: Registration, *, private_key: str | None = None) -> SignIn:
        """Return the same with another application, which has no secret."""
        application = dataclasses.replace(
            self.application, client_id=registered.client_id, client_secret=None, private_key=private_key
        )
        return dataclasses.replace(self, application=application)

    def with_browser(self, *, answer: str = "accept", on_the_way: Callable[[str], str] = str) -> OAuth2Credentials:
        """Sign in with a browser on this machine.

        Args:
            answer: the user's.
            on_the_way: what becomes of the address between the application and the browser.
        """
        with self.server.person(answer) as person:
            return self.run(open_browser=lambda address: person.open(on_the_way(address)))

    def with_paste(self, paste: Callable[[Person, str], str]) -> OAuth2Credentials:
        """Sign in with a browser elsewhere; *paste* is given its user and the address."""
        with self.server.person() as person:
            return self.run(open_browser=None, paste=lambda address: paste(person, address))

    def run(
        self, *, open_browser: Callable[[str], object] | None, paste: Callable[[str], str] | None = None
    ) -> OAuth2Credentials:
        return flows.authorization_code(
            self.provider,
            self.application,
            scope=SCOPE,
            open_browser=open_browser,
            paste=paste,
            timeout=10,
            http=self.http,
        )

    def refresh(self, credentials: OAuth2Credentials, *scope: str) -> OAuth2Credentials:
        return flows.refresh(self.provider, self.application, credentials, scope=scope, http=self.http)

    def revoke(self, credentials: OAuth2Credentials) -> None:
        flows.revoke(self.provider, self.application, credentials, http=self.http)


@pytest.fixture
def redirect_uri(server: Server) -> Iterator[str | None]:
    """Return None where any port will do, elsewhere an address whose port is kept for the test."""
    with reserved_port(HOST) as port:
        yield None if server.kind.any_port else f"http://{HOST}:{port}/callback"


@pytest.fixture
def auth_method() -> str:
    return "none"


@pytest.fixture
def sign_in(server: Server, provider: Provider, http: HTTP, redirect_uri: str | None, auth_method: str) -> SignIn:
    registered = register(server, redirect_uri, auth_method)
    secret = None if auth_method == "none" else registered.client_secret
    return SignIn(
        server,
        dataclasses.replace(provider, token_endpoint_auth_method=auth_method),
        Application(registered.client_id, secret, redirect_uri=redirect_uri),
        http,
    )


def register(server: Server, redirect_uri: str | None, auth_method: str, **metadata: object) -> Registration:
    """Register a mail program."""
    addresses = [redirect_uri or f"http://{HOST}/"]
    return server.register(auth_method, "authorization_code", "refresh_token", redirect_uris=addresses, **metadata)


def changed(address: str, **parameters: str) -> str:
    """Return the address with other values for some of its parameters."""
    parts = urllib.parse.urlsplit(address)
    query = dict(urllib.parse.parse_qsl(parts.query)) | parameters
    return parts._replace(query=urllib.parse.urlencode(query)).geturl()


@pytest.mark.parametrize("auth_method", ["none", "client_secret_basic", "client_secret_post"])
def test_a_person_signs_in_with_a_browser(sign_in: SignIn) -> None:
    credentials = sign_in.with_browser()
    assert (credentials.scope, credentials.refresh_token is None, credentials.expired(0)) == (SCOPE, False, False)


def test_the_address_where_a_browser_ended_can_be_pasted(sign_in: SignIn) -> None:
    assert sign_in.with_paste(lambda person, address: person.visit(address)).scope == SCOPE


def test_the_bare_code_can_be_pasted(sign_in: SignIn) -> None:
    assert sign_in.with_paste(lambda person, address: parameters_of(person.visit(address))["code"]).scope == SCOPE


def parameters_of(redirect: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(redirect).query))


def test_the_server_compares_the_verifier_with_the_challenge(sign_in: SignIn) -> None:
    with pytest.raises(FlowError) as caught:
        sign_in.with_browser(on_the_way=lambda address: changed(address, code_challenge="c" * 43))
    assert (caught.value.error, caught.value.error_description) == ("invalid_grant", "Code challenge failed.")


def test_a_refusal_of_the_person_is_reported(sign_in: SignIn) -> None:
    with pytest.raises(FlowError) as caught:
        sign_in.with_browser(answer="deny")
    assert caught.value.error == "access_denied"


def test_the_answer_to_another_request_is_refused(sign_in: SignIn) -> None:
    with pytest.raises(FlowError) as caught:
        sign_in.with_paste(lambda person, address: person.visit(changed(address, state="another")))
    assert caught.value.error == "state_mismatch"


def test_the_listener_passes_over_the_answer_to_another_request(sign_in: SignIn) -> None:
    def attacked(address: str) -> str:
        stranger.open(changed(address, state="another"))
        stranger.close()
        return address

    with sign_in.server.person() as stranger:
        assert sign_in.with_browser(on_the_way=attacked).scope == SCOPE


def test_a_code_that_was_used_is_refused(sign_in: SignIn) -> None:
    redirects: list[str] = []

    def first(person: Person, address: str) -> str:
        redirects.append(person.visit(address))
        return redirects[0]

    sign_in.with_paste(first)
    with pytest.raises(FlowError) as caught:
        sign_in.with_paste(lambda person, address: parameters_of(redirects[0])["code"])
    assert (caught.value.error, caught.value.error_description) == ("invalid_grant", "Invalid 'code' in request.")


def test_the_answer_of_another_server_is_refused(sign_in: SignIn) -> None:
    provider = dataclasses.replace(sign_in.provider, issuer="https://issuer.test")
    with pytest.raises(FlowError) as caught:
        dataclasses.replace(sign_in, provider=provider).with_browser()
    assert caught.value.error == "issuer_mismatch"


def test_less_than_was_asked_for_can_be_granted(sign_in: SignIn) -> None:
    registered = register(sign_in.server, sign_in.application.redirect_uri, "none", scope="email")
    assert sign_in.by(registered).with_browser().scope == ("email",)


@only(CANAILLE)
def test_an_application_signs_in_by_its_key(sign_in: SignIn) -> None:
    key, redirect_uri = private_key(), sign_in.application.redirect_uri
    registered = register(sign_in.server, redirect_uri, "private_key_jwt", jwks=public_keys(key))
    with_key = sign_in.by(registered, private_key=key)
    assert with_key.refresh(with_key.with_browser()).scope == SCOPE


@only(CANAILLE)
def test_an_application_does_not_sign_in_by_another_key(sign_in: SignIn) -> None:
    key, redirect_uri = private_key(), sign_in.application.redirect_uri
    registered = register(sign_in.server, redirect_uri, "private_key_jwt", jwks=public_keys(key))
    with pytest.raises(FlowError) as caught:
        sign_in.by(registered, private_key=private_key()).with_browser()
    assert caught.value.error == "invalid_client"


# --- refresh and revocation -----------------------------------------------------------------------------------------


def test_a_refresh_keeps_the_refresh_token_or_takes_the_new_one(sign_in: SignIn) -> None:
    first = sign_in.with_browser()
    second = sign_in.refresh(first)
    assert second.access_token != first.access_token
    assert (second.refresh_token != first.refresh_token) == sign_in.server.kind.rotates
    # Asked twice within a second for the same, canaille would make the same access token twice, and fail over it.
    assert sign_in.refresh(second, "email").scope == ("email",)


@only(CANAILLE)
def test_a_rotated_refresh_token_is_refused(sign_in: SignIn) -> None:
    first = sign_in.with_browser()
    sign_in.refresh(first)
    with pytest.raises(FlowError) as caught:
        sign_in.refresh(first)
    assert (caught.value.error, caught.value.authorize_again) == ("invalid_grant", True)


def test_a_refresh_token_is_good_for_its_application_only(sign_in: SignIn) -> None:
    other = sign_in.by(register(sign_in.server, None, "none"))
    with pytest.raises(FlowError) as caught:
        other.refresh(sign_in.with_browser())
    assert caught.value.error == "invalid_grant"


@pytest.mark.parametrize("auth_method", ["client_secret_basic"])
def test_a_revoked_token_cannot_be_refreshed(sign_in: SignIn) -> None:
    credentials = sign_in.with_browser()
    sign_in.revoke(credentials)
    with pytest.raises(FlowError) as caught:
        sign_in.refresh(credentials)
    assert (caught.value.error, caught.value.authorize_again) == ("invalid_grant", True)


@pytest.mark.parametrize("auth_method", ["client_secret_basic"])
def test_what_is_revoked_already_may_be_revoked_again(sign_in: SignIn) -> None:
    credentials = sign_in.with_browser()
    sign_in.revoke(credentials)
    sign_in.revoke(credentials)


@only(CANAILLE)
def test_canaille_takes_no_revocation_from_a_public_client(sign_in: SignIn) -> None:
    with pytest.raises(FlowError) as caught:
        sign_in.revoke(sign_in.with_browser())
    assert (caught.value.error, caught.value.authorize_again) == ("invalid_client", False)
