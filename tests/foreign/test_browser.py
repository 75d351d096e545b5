"""A person's way through the sandbox's pages, in Chromium."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import requests
from authlib.integrations.requests_client import OAuth1Session

from oauthmail import IMAP4_SSL, OAuth1Credentials
from oauthmail.sandbox import Sandbox

from . import programs
from .standard import TIMEOUT, opens

if TYPE_CHECKING:
    from .chromium import Application, Person

pytest.importorskip("selenium", reason="needs selenium: python -m pip install selenium")

# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

CONSENT = "Sandbox app asks for access"


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    from . import chromium

    found = programs.find("chromium"), programs.find("chromedriver")
    with chromium.person(*found, tmp_path_factory.mktemp("profile")) as person:
        yield person


@pytest.fixture
def application() -> Iterator[Application]:
    from . import chromium

    with chromium.application() as running:
        yield running


def authorization_url(sandbox: Sandbox, application: Application) -> str:
    parameters = {
        "response_type": "code",
        "client_id": sandbox.web.public_client_id,
        "redirect_uri": application.redirect_uri,
        "scope": "mail offline_access",
        "state": "xyz",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"{sandbox.web.url}/authorize?{urllib.parse.urlencode(parameters)}"


def ask_for_token(sandbox: Sandbox, **fields: str) -> dict[str, Any]:
    fields["client_id"] = sandbox.web.public_client_id
    token: dict[str, Any] = requests.post(f"{sandbox.web.url}/token", fields, timeout=TIMEOUT).json()
    return token


def test_a_person_signs_in_and_allows(sandbox: Sandbox, person: Person, application: Application) -> None:
    user = sandbox.new_user()
    person.open(authorization_url(sandbox, application))
    assert person.title == "Sign in"
    person.type(user)
    person.click("Sign in", CONSENT)
    assert user in person.text
    assert "read and send your mail" in person.text
    person.click("Allow", application.TITLE)
    answer = application.answer()
    assert answer["state"] == "xyz"
    token = ask_for_token(
        sandbox,
        grant_type="authorization_code",
        code=answer["code"],
        redirect_uri=application.redirect_uri,
        code_verifier=VERIFIER,
    )
    assert opens(sandbox, user, token["access_token"])


def test_a_person_signs_in_with_the_keyboard_alone(sandbox: Sandbox, person: Person, application: Application) -> None:
    person.open(authorization_url(sandbox, application))
    person.type("ada@example.com")
    person.press_enter(CONSENT)
    assert "ada@example.com" in person.text


def test_a_person_denies(sandbox: Sandbox, person: Person, application: Application) -> None:
    person.open(authorization_url(sandbox, application))
    person.type("ada@example.com")
    person.click("Sign in", CONSENT)
    person.click("Deny", application.TITLE)
    answer = application.answer()
    assert (answer["error"], answer["state"], "code" in answer) == ("access_denied", "xyz", False)


def test_an_address_that_is_none_keeps_the_person_on_the_page(
    sandbox: Sandbox, person: Person, application: Application
) -> None:
    person.open(authorization_url(sandbox, application))
    person.type("ada")
    # Chromium's own check of the address: nothing is sent.
    person.press("Sign in")
    person.type("@example.com")
    person.click("Sign in", CONSENT)
    assert "ada@example.com" in person.text


def test_a_person_goes_back_and_chooses_another_address(
    sandbox: Sandbox, person: Person, application: Application
) -> None:
    person.open(authorization_url(sandbox, application))
    person.type("ada@example.com")
    person.click("Sign in", CONSENT)
    person.driver.back()
    person.wait_for("Sign in")
    person.open(authorization_url(sandbox, application))
    person.type("grace@example.com")
    person.click("Sign in", CONSENT)
    assert "grace@example.com" in person.text


def test_a_wrong_client_is_told_to_the_person_and_nobody_else(
    sandbox: Sandbox, person: Person, application: Application
) -> None:
    person.open(authorization_url(sandbox, application).replace("sandbox-app", "nobody"))
    assert person.title == "This request cannot be answered"
    assert application.answers.empty()


@pytest.mark.parametrize(("button", "title", "got"), [("Allow", "Done", "access_token"), ("Deny", "Denied", "error")])
def test_a_person_connects_a_device(sandbox: Sandbox, person: Person, button: str, title: str, got: str) -> None:
    fields = {"client_id": sandbox.web.public_client_id, "scope": "mail"}
    device = requests.post(f"{sandbox.web.url}/device_authorization", fields, timeout=TIMEOUT).json()
    user = sandbox.new_user()
    person.open(device["verification_uri"])
    person.type(device["user_code"].lower())
    person.click("Continue", "Sign in")
    person.type(user)
    person.click("Sign in", CONSENT)
    assert device["user_code"] in person.text
    person.click(button, title)
    token = ask_for_token(sandbox, grant_type=DEVICE_CODE, device_code=device["device_code"])
    assert got in token
    assert opens(sandbox, user, token.get("access_token", "none")) == (button == "Allow")


def test_a_mistyped_device_code_can_be_corrected(sandbox: Sandbox, person: Person) -> None:
    person.open(f"{sandbox.web.url}/device")
    person.type("BBBB-BBBB")
    person.click("Continue", "Connect a device")
    assert "not known" in person.text


def test_a_person_copies_the_code_of_an_oauth1_client(sandbox: Sandbox, person: Person) -> None:
    web = sandbox.web
    keys = (web.oauth1_client_key, web.oauth1_client_secret)
    user = sandbox.new_user()
    with OAuth1Session(*keys, redirect_uri="oob") as session:
        session.fetch_request_token(f"{web.url}/oauth1/request_token")
        person.open(session.create_authorization_url(f"{web.url}/oauth1/authorize"))
        person.type(user)
        person.click("Sign in", "sandbox-oauth1 asks for access")
        person.click("Allow", "Copy this code")
        token = session.fetch_access_token(f"{web.url}/oauth1/access_token", verifier=person.code)
    credentials = OAuth1Credentials(*keys, token["oauth_token"], token["oauth_token_secret"])
    imaps = sandbox.imaps
    with IMAP4_SSL("localhost", imaps.port, ssl_context=sandbox.ssl_context(), timeout=TIMEOUT) as imap:
        imap.authenticate_oauth(f"https://mail.google.com/mail/b/{user}/imap/", credentials)
        assert imap.select()[0] == "OK"


def test_the_browser_finds_nothing_to_complain_of(sandbox: Sandbox, person: Person, application: Application) -> None:
    person.open(f"{sandbox.web.url}/nowhere")
    # That it does complain where there is something.
    assert "404" in person.complaints()[-1]
    person.open(authorization_url(sandbox, application))
    person.type("ada@example.com")
    person.click("Sign in", CONSENT)
    person.open(f"{sandbox.web.url}/device")
    assert person.complaints() == []
