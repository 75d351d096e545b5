"""The device flow against the sandbox, whose person decides while the program waits; no test waits for real."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests

from oauthmail.applications import Application
from oauthmail.credentials import OAuth2Credentials
from oauthmail.errors import CredentialsError, FlowError
from oauthmail.flows import HTTP, DeviceCode, device_authorization
from oauthmail.providers import Provider, custom, get
from oauthmail.sandbox.web import Web

from ..scripted import TIMEOUT, Line, ScriptedServer
from .conftest import USER, Clock, Serve, answering, receive_request, requests_to, response, works

DEVICE = {
    "device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://example.com/device",
    "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT",
    "expires_in": 1800,
    "interval": 5,
}
TOKEN = {"access_token": "new", "token_type": "Bearer"}
Show = Callable[[DeviceCode], None]


def said(content: object, status: str = "200 OK") -> Callable[[Line], None]:
    return answering(response(json.dumps(content).encode(), status=status))


def refusal(error: str) -> Callable[[Line], None]:
    return said({"error": error}, "400 Bad Request")


def cut(line: Line) -> None:
    receive_request(line)


def at(server: ScriptedServer, **changes: Any) -> Provider:
    base = f"https://127.0.0.1:{server.port}"
    endpoints = {"token_endpoint": f"{base}/token", "device_authorization_endpoint": f"{base}/device"}
    return custom(**{**endpoints, **changes})


def run(
    provider: Provider,
    http: HTTP,
    clock: Clock,
    show: Show = lambda code: None,
    application: Application | None = None,
) -> OAuth2Credentials:
    return device_authorization(
        provider,
        application or Application("client"),
        scope=["mail"],
        show=show,
        http=http,
        now=clock,
        sleep=clock.sleep,
    )


def refused(*args: Any) -> FlowError:
    with pytest.raises(FlowError) as caught:
        run(*args)
    return caught.value


class Person:
    """Somebody in front of the sandbox's page, who decides as soon as there is a code."""

    def __init__(self, ca_file: str, consent: str) -> None:
        self.ca_file = ca_file
        self.consent = consent
        self.shown: list[DeviceCode] = []

    def __call__(self, code: DeviceCode) -> None:
        self.shown.append(code)
        query = {"user_code": code.user_code, "sandbox_consent": self.consent, "login_hint": USER}
        with requests.Session() as browser:
            browser.trust_env = False
            browser.get(code.verification_uri, params=query, verify=self.ca_file, timeout=TIMEOUT).raise_for_status()


# --- at the sandbox -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["application", "confidential"])
@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
def test_a_person_with_a_browser_elsewhere_signs_in(
    kind: str,
    method: str,
    web: Web,
    provider: Provider,
    http: HTTP,
    clock: Clock,
    ca_file: str,
    request: pytest.FixtureRequest,
) -> None:
    person = Person(ca_file, "allow")
    provider = replace(provider, token_endpoint_auth_method=method)
    credentials = run(provider, http, clock, person, request.getfixturevalue(kind))
    assert works(web, credentials.access_token)
    assert credentials.refresh_token is not None
    assert credentials.scope == ("mail",)
    assert (len(person.shown), clock.slept) == (1, [5])


def test_a_person_who_takes_some_time_is_waited_for(
    web: Web, provider: Provider, application: Application, http: HTTP, clock: Clock, ca_file: str
) -> None:
    person = Person(ca_file, "allow")
    shown: list[DeviceCode] = []

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 4:
            person(shown[0])

    credentials = device_authorization(
        provider, application, scope=["mail"], show=shown.append, http=http, now=clock, sleep=sleep
    )
    assert works(web, credentials.access_token)
    assert clock.slept == [5, 5, 5, 5]


def test_what_is_shown_is_all_that_a_person_needs(
    web: Web, provider: Provider, application: Application, http: HTTP, clock: Clock, ca_file: str
) -> None:
    person = Person(ca_file, "allow")
    run(provider, http, clock, person, application)
    shown = person.shown[0]
    assert shown.verification_uri == f"{web.https_url}/device"
    assert shown.verification_uri_complete == f"{web.https_url}/device?user_code={shown.user_code}"
    assert shown.expires_at == pytest.approx(clock() - 5 + 1800, abs=60)
    assert shown.message == f"Open {web.https_url}/device in a browser and enter the code {shown.user_code}"


def test_a_no_is_reported(
    web: Web, provider: Provider, application: Application, http: HTTP, clock: Clock, ca_file: str
) -> None:
    error = refused(provider, http, clock, Person(ca_file, "deny"), application)
    assert (error.error, error.temporary, error.authorize_again) == ("access_denied", False, False)
    assert "agree" in error.hint


def test_a_code_that_nobody_enters_expires(
    web: Web, provider: Provider, application: Application, http: HTTP, clock: Clock
) -> None:
    web.store.device_expires_in = 30
    error = refused(provider, http, clock, lambda code: None, application)
    assert (error.error, error.temporary, error.authorize_again) == ("expired_token", False, False)
    assert "start again" in error.hint.lower()
    assert sum(clock.slept) <= 35


def test_a_server_that_is_asked_too_often_is_asked_less_often_from_then_on(
    web: Web, provider: Provider, application: Application, http: HTTP, clock: Clock, ca_file: str
) -> None:
    person = Person(ca_file, "allow")
    shown: list[DeviceCode] = []

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 2:
            # This machine's clock runs fast.
            clock.ahead -= 1
        if len(clock.slept) == 4:
            person(shown[0])

    credentials = device_authorization(
        provider, application, scope=["mail"], show=shown.append, http=http, now=clock, sleep=sleep
    )
    assert works(web, credentials.access_token)
    assert clock.slept == [5, 5, 10, 10]


def test_an_unknown_application_is_refused(provider: Provider, http: HTTP, clock: Clock) -> None:
    error = refused(provider, http, clock, lambda code: None, Application("nobody"))
    assert error.error == "invalid_client"


def test_a_scope_that_is_not_known_is_refused(
    provider: Provider, application: Application, http: HTTP, clock: Clock
) -> None:
    with pytest.raises(FlowError) as caught:
        device_authorization(provider, application, scope=["everything"], show=lambda code: None, http=http, now=clock)
    assert caught.value.error == "invalid_scope"


# --- at servers that say what a test wrote down ---------------------------------------------------------------------


def test_the_exchange_is_that_of_rfc_8628(http: HTTP, clock: Clock, serve: Serve) -> None:
    with serve(said(DEVICE), refusal("authorization_pending"), said(TOKEN)) as server:
        assert run(at(server), http, clock).access_token == "new"
    forms = [dict(urllib.parse.parse_qsl(connection.received[-1].decode())) for connection in server.lines]
    poll = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": DEVICE["device_code"],
        "client_id": "client",
    }
    assert forms == [{"client_id": "client", "scope": "mail"}, poll, poll]


def test_googles_older_name_and_microsofts_message_are_understood(http: HTTP, clock: Clock, serve: Serve) -> None:
    device = {name: value for name, value in DEVICE.items() if not name.startswith("verification")}
    device |= {"verification_url": "https://www.google.com/device", "message": "Open\nthis \x1b[1mpage"}
    shown: list[DeviceCode] = []
    with serve(said(device), said(TOKEN)) as server:
        run(at(server), http, clock, shown.append)
    assert (shown[0].verification_uri, shown[0].verification_uri_complete) == ("https://www.google.com/device", None)
    assert shown[0].message == r"Open this \x1b[1mpage"


@pytest.mark.parametrize(
    ("members", "interval", "life"),
    [
        pytest.param({"interval": None, "expires_in": None}, 5, 900, id="not stated"),
        pytest.param({"interval": "7", "expires_in": "60"}, 7, 60, id="text"),
        pytest.param({"interval": -1, "expires_in": "soon"}, 5, 900, id="absurd"),
        pytest.param({"interval": 0, "expires_in": 0}, 5, 900, id="zero"),
        pytest.param({"interval": True, "expires_in": 10**8}, 5, 86400, id="too long"),
        pytest.param({"interval": 10**6}, 300, 1800, id="too seldom"),
    ],
)
def test_times_that_cannot_be_meant_are_replaced(
    members: dict[str, object], interval: float, life: float, http: HTTP, clock: Clock, serve: Serve
) -> None:
    shown: list[DeviceCode] = []
    with serve(said({**DEVICE, **members}), said(TOKEN)) as server:
        run(at(server), http, clock, shown.append)
    assert (shown[0].interval, clock.slept) == (interval, [interval])
    assert shown[0].expires_at == pytest.approx(clock() - interval + life, abs=30)


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"device_code": None}, id="no device code"),
        pytest.param({"device_code": ""}, id="empty device code"),
        pytest.param({"device_code": "a\n"}, id="device code of two lines"),
        pytest.param({"user_code": None}, id="no user code"),
        pytest.param({"user_code": "\x1b[31mWDJB"}, id="user code that colours a terminal"),
        pytest.param({"user_code": "WDJB" * 100}, id="user code that nobody types"),
        pytest.param({"verification_uri": None}, id="no address"),
        pytest.param({"verification_uri": "javascript:alert(1)"}, id="address of another kind"),
        pytest.param({"verification_uri": "file:///etc/passwd"}, id="file"),
        pytest.param({"verification_uri": "https://example.com/\x1b[31m"}, id="address that colours a terminal"),
        pytest.param({"verification_uri": "https://example.com/a b"}, id="address with a blank"),
        pytest.param({"verification_uri": ["https://example.com/"]}, id="list"),
    ],
)
def test_what_cannot_be_shown_is_refused(members: dict[str, object], http: HTTP, clock: Clock, serve: Serve) -> None:
    with serve(said({**DEVICE, **members})) as server:
        error = refused(at(server), http, clock)
    assert (error.error, error.temporary) == ("invalid_response", False)
    assert len(server.lines) == 1


def test_a_complete_address_that_cannot_be_shown_is_left_out(http: HTTP, clock: Clock, serve: Serve) -> None:
    shown: list[DeviceCode] = []
    with serve(said({**DEVICE, "verification_uri_complete": "javascript:alert(1)"}), said(TOKEN)) as server:
        run(at(server), http, clock, shown.append)
    assert shown[0].verification_uri_complete is None


def test_slow_down_adds_five_seconds_for_good(http: HTTP, clock: Clock, serve: Serve) -> None:
    slow, pending = refusal("slow_down"), refusal("authorization_pending")
    with serve(said(DEVICE), slow, pending, slow, pending, said(TOKEN)) as server:
        run(at(server), http, clock)
    assert clock.slept == [5, 10, 10, 15, 15]


def test_what_is_temporary_is_waited_out_longer_and_longer(http: HTTP, clock: Clock, serve: Serve) -> None:
    down = answering(response(b"<html>", status="503 Down", kind="text/html"))
    busy = answering(response(b"{}", status="429 Slow"))
    with serve(said(DEVICE), down, cut, busy, refusal("authorization_pending"), said(TOKEN)) as server:
        assert run(at(server), http, clock).access_token == "new"
    # Each poll is one request: nothing below it tries again.
    assert (len(requests_to(server)), clock.slept) == (6, [5, 10, 20, 40, 5])


def test_a_server_that_stays_away_ends_with_the_code(http: HTTP, clock: Clock, serve: Serve) -> None:
    with serve(said({**DEVICE, "expires_in": 100}), *[cut] * 10) as server:
        error = refused(at(server), http, clock)
    assert error.error == "expired_token"
    assert sum(clock.slept) <= 105


def test_the_last_question_is_asked_when_the_code_is_about_to_expire(http: HTTP, clock: Clock, serve: Serve) -> None:
    with serve(said({**DEVICE, "expires_in": 62}), cut, cut, cut, said(TOKEN)) as server:
        assert run(at(server), http, clock).access_token == "new"
    assert clock.slept[:3] == [5, 10, 20]
    assert clock.slept[3] == pytest.approx(27, abs=5)


@pytest.mark.parametrize(
    "error",
    ["access_denied", "authorization_declined", "expired_token", "bad_verification_code", "invalid_grant", "new_one"],
)
def test_what_is_final_ends_it(error: str, http: HTTP, clock: Clock, serve: Serve) -> None:
    with serve(said(DEVICE), refusal(error)) as server:
        assert refused(at(server), http, clock).error == error


def test_a_temporary_failure_before_there_is_a_code_is_tried_again(http: HTTP, clock: Clock, serve: Serve) -> None:
    down = answering(response(b"{}", status="503 Down"))
    with serve(down, said(DEVICE), said(TOKEN)) as server:
        assert run(at(server), http, clock).access_token == "new"


@pytest.mark.parametrize("provider", ["google", "yahoo", "fastmail"])
def test_where_it_gives_no_mail_nothing_is_sent(provider: str) -> None:
    with pytest.raises(CredentialsError, match="gives no access to mail: sign in with a browser"):
        device_authorization(get(provider), Application("client"), scope=["a"], show=lambda code: None)


@pytest.mark.parametrize("name", ["token_endpoint", "device_authorization_endpoint"])
def test_without_an_endpoint_nobody_is_shown_a_code(name: str, http: HTTP, clock: Clock, serve: Serve) -> None:
    shown: list[DeviceCode] = []
    with serve() as server, pytest.raises(CredentialsError, match=f"has no {name.replace('_', ' ')}"):
        run(at(server, **{name: None}), http, clock, shown.append)
    assert (server.lines, shown) == ([], [])


def test_ctrl_c_ends_it_while_it_waits(http: HTTP, clock: Clock, serve: Serve) -> None:
    def sleep(seconds: float) -> None:
        raise KeyboardInterrupt

    with serve(said(DEVICE)) as server, pytest.raises(KeyboardInterrupt):
        device_authorization(
            at(server),
            Application("client"),
            scope=["mail"],
            show=lambda code: None,
            http=http,
            now=clock,
            sleep=sleep,
        )
    assert len(requests_to(server)) == 1


def test_an_exception_of_show_passes_as_it_is(http: HTTP, clock: Clock, serve: Serve) -> None:
    def show(code: DeviceCode) -> None:
        raise LookupError("no screen")

    with serve(said(DEVICE)) as server, pytest.raises(LookupError, match="no screen"):
        run(at(server), http, clock, show)


def test_a_device_code_is_not_shown(http: HTTP, clock: Clock, serve: Serve) -> None:
    shown: list[DeviceCode] = []
    echo = {"error": "access_denied", "error_description": f"no {DEVICE['device_code']}"}
    with serve(said(DEVICE), said(echo, "400 Bad Request")) as server:
        error = refused(at(server), http, clock, shown.append)
    assert str(DEVICE["device_code"]) not in f"{shown} {error} {error!r}"
