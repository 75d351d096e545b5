"""The authorization code flow, end to end: the sandbox's server, a person at a browser, and what may go wrong."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import threading
import urllib.parse
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from oauthmail.applications import Application
from oauthmail.credentials import OAuth2Credentials
from oauthmail.errors import CredentialsError, FlowError
from oauthmail.flows import HTTP, authorization_code
from oauthmail.flows._code import code_challenge
from oauthmail.providers import Provider, custom
from oauthmail.sandbox.web import Web

from ..scripted import Certificates, Line, scripted
from ..test_secrets import shown_by
from .browser import Browser
from .conftest import TIMEOUT, USER, Clock, works

Authorize = Any


@pytest.fixture
def authorize(provider: Provider, application: Application, http: HTTP, clock: Clock) -> Authorize:
    """Return the flow with everything but the person; keyword arguments replace what it is called with."""

    def authorize(**changes: Any) -> OAuth2Credentials:
        arguments = {"scope": ("mail",), "timeout": TIMEOUT, "http": http, "now": clock, **changes}
        return authorization_code(
            arguments.pop("provider", provider), arguments.pop("application", application), **arguments
        )

    return authorize


@pytest.fixture
def ask() -> Iterator[Authorize]:
    """Return the flow at a provider that is not there, for what never gets as far as the token endpoint."""
    nowhere = custom(
        authorization_endpoint="https://issuer.example/authorize", token_endpoint="https://127.0.0.1:1/token"
    )

    def ask(**changes: Any) -> OAuth2Credentials:
        arguments = {"scope": ("mail",), "timeout": TIMEOUT, "http": http, **changes}
        provider = replace(nowhere, **arguments.pop("provider", {}))
        application = replace(Application("client"), **arguments.pop("application", {}))
        return authorization_code(provider, application, **arguments)

    with HTTP(retries=0, timeout=TIMEOUT) as http:
        yield ask


@pytest.fixture
def browser(ca_file: str) -> Iterator[Browser]:
    with Browser(ca_file) as browser:
        yield browser


def parameters_of(address: str) -> dict[str, str]:
    pairs = urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs), "a parameter comes twice"
    return dict(pairs)


# --- it works -------------------------------------------------------------------------------------------------------


def test_a_public_client_obtains_tokens_that_open_the_mailbox(web: Web, authorize: Authorize, browser: Browser) -> None:
    credentials = authorize(open_browser=browser)
    assert works(web, credentials.access_token)
    assert credentials.refresh_token in web.store.refresh_tokens


def test_a_confidential_client_obtains_tokens_that_open_the_mailbox(
    web: Web, authorize: Authorize, browser: Browser, confidential: Application
) -> None:
    assert works(web, authorize(application=confidential, open_browser=browser).access_token)


def test_the_person_goes_through_the_pages(web: Web, authorize: Authorize, ca_file: str) -> None:
    with Browser(ca_file, forms=True) as browser:
        credentials = authorize(open_browser=browser)
    assert works(web, credentials.access_token)
    titles = [re.findall("<h1>(.+)</h1>", page.text) for page in browser.pages]
    assert titles == [
        ["Sign in"],
        ["Sandbox app asks for access"],
        [],
        ["The program has the answer and goes on."],
    ]


def test_open_browser_may_wait_for_the_last_page(web: Web, authorize: Authorize, ca_file: str) -> None:
    with Browser(ca_file, wait=True) as browser:
        assert works(web, authorize(open_browser=browser).access_token)


def test_the_end_of_the_token_is_told_by_the_callers_clock(
    authorize: Authorize, browser: Browser, clock: Clock
) -> None:
    clock.ahead = 1e6
    expected = clock() + 3600
    assert authorize(open_browser=browser).expires_at == pytest.approx(expected, abs=60)


def test_what_was_granted_is_told(authorize: Authorize, browser: Browser) -> None:
    assert set(authorize(open_browser=browser, scope=["smtp", "imap"]).scope) == {"smtp", "imap"}


def test_without_an_http_of_the_callers_one_is_made(web: Web, authorize: Authorize, browser: Browser) -> None:
    assert works(web, authorize(open_browser=browser, http=None).access_token)


def test_plain_http_on_loopback_works_when_it_is_allowed_by_name(
    web: Web, authorize: Authorize, browser: Browser, provider: Provider
) -> None:
    plain = replace(
        provider,
        issuer=web.url,
        authorization_endpoint=f"{web.url}/authorize",
        token_endpoint=f"{web.url}/token",
    )
    with HTTP(allow_loopback_http=True, timeout=TIMEOUT) as http:
        assert works(web, authorize(provider=plain, open_browser=browser, http=http).access_token)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("path", ["", "/", "/callback"])
def test_the_redirect_uri_is_the_providers(
    web: Web, authorize: Authorize, browser: Browser, provider: Provider, host: str, path: str
) -> None:
    suited = replace(provider, loopback_host=host, redirect_path=path)
    assert works(web, authorize(provider=suited, open_browser=browser).access_token)
    redirect_uri = parameters_of(browser.addresses[0])["redirect_uri"]
    assert re.fullmatch(rf"http://{re.escape(host)}:\d+{path}", redirect_uri)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_registered_port_and_path_are_kept(
    web: Web, authorize: Authorize, browser: Browser, application: Application
) -> None:
    registered = f"http://127.0.0.1:{free_port()}/registered"
    web.allow_redirect(registered)
    credentials = authorize(application=replace(application, redirect_uri=registered), open_browser=browser)
    assert works(web, credentials.access_token)
    assert parameters_of(browser.addresses[0])["redirect_uri"] == registered


def test_nobody_listens_any_more_when_the_code_is_exchanged(
    authorize: Authorize, browser: Browser, provider: Provider, certificates: Certificates
) -> None:
    refused: list[bool] = []

    def token_endpoint(line: Line) -> None:
        while line.receive():
            pass
        port = urllib.parse.urlsplit(parameters_of(browser.addresses[0])["redirect_uri"]).port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port or 0), timeout=TIMEOUT)
        refused.append(True)
        line.send(b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with scripted(token_endpoint, tls=certificates.server("127.0.0.1")) as server, pytest.raises(FlowError):
        authorize(provider=replace(provider, token_endpoint=f"https://127.0.0.1:{server.port}/"), open_browser=browser)
    assert refused == [True]


def test_where_the_server_does_not_say_what_it_granted_it_is_what_was_asked_for(
    authorize: Authorize, browser: Browser, provider: Provider, certificates: Certificates
) -> None:
    body = b'{"access_token": "a", "token_type": "bearer"}'

    def token_endpoint(line: Line) -> None:
        while line.receive():
            pass
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))

    with scripted(token_endpoint, tls=certificates.server("127.0.0.1")) as server:
        terse = replace(provider, token_endpoint=f"https://127.0.0.1:{server.port}/")
        assert authorize(provider=terse, open_browser=browser, scope=["smtp", "imap"]).scope == ("smtp", "imap")


# --- the address ----------------------------------------------------------------------------------------------------


def test_the_challenge_is_the_one_that_rfc_7636_prints() -> None:
    challenge = code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def address_for(ask: Authorize, **changes: Any) -> dict[str, str]:
    """Return the parameters of the address that the person is sent to."""
    shown: list[str] = []
    with pytest.raises(FlowError, match="nothing was pasted"):
        ask(paste=shown.append, **changes)
    return parameters_of(shown[0])


def test_the_request_says_what_rfc_6749_and_7636_want(ask: Authorize) -> None:
    found = address_for(ask, scope=("smtp", "imap"))
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", found.pop("code_challenge"))
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", found.pop("state"))
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", found.pop("redirect_uri"))
    assert found == {
        "response_type": "code",
        "client_id": "client",
        "scope": "smtp imap",
        "code_challenge_method": "S256",
    }


@pytest.mark.parametrize("name", ["state", "code_challenge"])
def test_every_request_is_one_of_its_own(ask: Authorize, name: str) -> None:
    assert len({address_for(ask)[name] for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"login_hint": USER}, {"login_hint": USER}, id="hint"),
        pytest.param({"login_hint": "é&x=y@example.com"}, {"login_hint": "é&x=y@example.com"}, id="odd hint"),
        pytest.param({"scope": ()}, {"scope": None}, id="no scope"),
        pytest.param({"scope": "smtp  imap"}, {"scope": "smtp imap"}, id="scopes in one text"),
        pytest.param(
            {"provider": {"offline_parameters": {"access_type": "offline", "prompt": "consent"}}},
            {"access_type": "offline", "prompt": "consent"},
            id="what brings a refresh token",
        ),
        pytest.param(
            {"provider": {"authorization_endpoint": "https://issuer.example/authorize?tenant=a%26b&empty="}},
            {"tenant": "a&b", "empty": "", "client_id": "client"},
            id="the endpoint's own query",
        ),
    ],
)
def test_the_address_has_what_was_passed(
    ask: Authorize, changes: dict[str, Any], expected: dict[str, str | None]
) -> None:
    found = address_for(ask, **changes)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("name", ["state", "code_challenge_method", "redirect_uri", "response_type", "login_hint"])
def test_a_providers_parameters_do_not_replace_ours(ask: Authorize, name: str) -> None:
    changes = {"offline_parameters": {name: "theirs"}}
    assert address_for(ask, provider=changes, login_hint=USER)[name] != "theirs"


# --- how the person is reached --------------------------------------------------------------------------------------


def no_browser(address: str) -> bool:
    raise webbrowser.Error("could not locate runnable browser")


@pytest.mark.parametrize(
    "open_browser",
    [
        pytest.param(None, id="none is to be opened"),
        pytest.param(lambda address: False, id="none was opened"),
        pytest.param(no_browser, id="none is there"),
    ],
)
def test_without_a_browser_the_address_is_shown(
    web: Web, authorize: Authorize, browser: Browser, open_browser: Callable[[str], object] | None
) -> None:
    assert works(web, authorize(open_browser=open_browser, show=browser).access_token)


@pytest.mark.parametrize("answer", [True, None])
def test_with_a_browser_nothing_is_shown(authorize: Authorize, browser: Browser, answer: object) -> None:
    shown: list[str] = []

    def open_browser(address: str) -> object:
        browser(address)
        return answer

    authorize(open_browser=open_browser, show=shown.append)
    assert shown == []


def test_without_a_browser_and_anybody_to_show_it_to_the_flow_ends(ask: Authorize) -> None:
    with pytest.raises(FlowError, match="no browser could be opened") as caught:
        ask(open_browser=no_browser)
    assert caught.value.error == "no_browser"


def test_nobody_to_reach_is_a_mistake_of_the_callers(ask: Authorize) -> None:
    with pytest.raises(CredentialsError, match="nobody would be told where to sign in"):
        ask(open_browser=None)


REDIRECTS_ELSEWHERE = ["https://login.example/native", "https://localhost", "oob", "urn:ietf:wg:oauth:2.0:oob", "app:/"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        *(
            pytest.param({"provider": {name: value}}, name.replace("_", " "), id=f"{name} {what}")
            for name in ("authorization_endpoint", "token_endpoint")
            for what, value in [
                ("missing", None),
                ("without TLS", "http://issuer.example/x"),
                ("with a user name", "https://me@issuer.example/"),
            ]
        ),
        *(
            pytest.param({"application": {"redirect_uri": uri}}, "pass paste=", id=f"redirect to {uri}")
            for uri in REDIRECTS_ELSEWHERE
        ),
        pytest.param({"provider": {"loopback_host": "mail.example"}}, "pass paste=", id="loopback elsewhere"),
        pytest.param({"login_hint": "a\nb"}, "login_hint has a control character", id="hint with a line end"),
    ],
)
def test_what_cannot_work_is_said_before_anybody_signs_in(ask: Authorize, changes: dict[str, Any], words: str) -> None:
    opened: list[str] = []
    with pytest.raises(CredentialsError, match=words):
        ask(open_browser=opened.append, **changes)
    assert opened == []


def test_nobody_signs_in_in_time(ask: Authorize) -> None:
    with pytest.raises(FlowError, match="nobody finished the sign-in within 0 seconds") as caught:
        ask(open_browser=lambda address: None, timeout=0)
    assert caught.value.error == "timeout"


# --- what goes wrong at the provider --------------------------------------------------------------------------------


def test_a_refusal_by_the_person_is_reported_and_shown(authorize: Authorize, ca_file: str) -> None:
    with Browser(ca_file, consent="deny") as browser, pytest.raises(FlowError) as caught:
        authorize(open_browser=browser)
    assert (caught.value.error, caught.value.temporary) == ("access_denied", False)
    assert "<h1>The sign-in was not completed. The provider says: access_denied.</h1>" in browser.pages[-1].text


def test_a_scope_that_the_server_does_not_know_is_reported(authorize: Authorize, browser: Browser) -> None:
    with pytest.raises(FlowError) as caught:
        authorize(open_browser=browser, scope=["everything"])
    assert caught.value.error == "invalid_scope"


def test_a_redirect_uri_that_is_not_registered_ends_at_the_provider(
    authorize: Authorize, ca_file: str, application: Application
) -> None:
    elsewhere = replace(application, redirect_uri="http://127.0.0.1/elsewhere")
    with Browser(ca_file, wait=True) as browser, pytest.raises(FlowError, match="nobody finished"):
        authorize(application=elsewhere, open_browser=browser, timeout=0)
    assert browser.pages[-1].status == 400


def code_in(location: str) -> str:
    return parameters_of(location)["code"]


def spoiled(web: Web, name: str, value: Any) -> Callable[[str], str]:
    """Return what changes the server's mind about a code that is on its way to the client."""

    def before(location: str) -> str:
        setattr(web.store.codes[code_in(location)], name, value)
        return location

    return before


def used(web: Web, clock: Clock) -> Callable[[str], str]:
    return spoiled(web, "used", True)


def expired(web: Web, clock: Clock) -> Callable[[str], str]:
    def before(location: str) -> str:
        clock.ahead += 601
        return location

    return before


def bound_to_another_verifier(web: Web, clock: Clock) -> Callable[[str], str]:
    return spoiled(web, "code_challenge", code_challenge("another-verifier"))


def bound_to_another_address(web: Web, clock: Clock) -> Callable[[str], str]:
    return spoiled(web, "redirect_uri", "http://127.0.0.1:1/callback")


def of_another_client(web: Web, clock: Clock) -> Callable[[str], str]:
    def before(location: str) -> str:
        web.store.codes[code_in(location)].grant.client_id = web.client_id
        return location

    return before


def replaced(web: Web, clock: Clock) -> Callable[[str], str]:
    return lambda location: location.replace(code_in(location), "another-code")


@pytest.mark.parametrize(
    "spoil", [used, expired, bound_to_another_verifier, bound_to_another_address, of_another_client, replaced]
)
def test_a_code_that_the_server_does_not_take_is_reported(
    web: Web,
    authorize: Authorize,
    ca_file: str,
    clock: Clock,
    spoil: Callable[[Web, Clock], Callable[[str], str]],
) -> None:
    with Browser(ca_file, before=spoil(web, clock)) as browser, pytest.raises(FlowError) as caught:
        authorize(open_browser=browser)
    assert (caught.value.error, caught.value.temporary) == ("invalid_grant", False)
    assert caught.value.hint


def test_a_wrong_secret_is_reported(authorize: Authorize, browser: Browser, confidential: Application) -> None:
    with pytest.raises(FlowError) as caught:
        authorize(application=replace(confidential, client_secret="wrong"), open_browser=browser)
    assert caught.value.error == "invalid_client"


# --- answers that are not ours --------------------------------------------------------------------------------------


def test_an_answer_with_a_wrong_state_is_ignored_and_the_right_one_still_counts(
    web: Web, authorize: Authorize, ca_file: str
) -> None:
    statuses: list[int] = []

    def before(location: str) -> str:
        for wrong in ("", "x", parameters_of(location)["state"][:-1]):
            forged = re.sub(r"state=[^&]*", f"state={wrong}", location).replace("code=", "code=forged")
            statuses.append(person.open(forged).status)
        return location

    with Browser(ca_file, before=before) as person:
        assert works(web, authorize(open_browser=person).access_token)
    assert statuses == [400, 400, 400]


def test_an_answer_with_neither_code_nor_error_is_ignored(web: Web, authorize: Authorize, ca_file: str) -> None:
    statuses: list[int] = []

    def before(location: str) -> str:
        statuses.append(person.open(re.sub(r"code=[^&]*", "code=", location)).status)
        return location

    with Browser(ca_file, before=before) as person:
        assert works(web, authorize(open_browser=person).access_token)
    assert statuses == [400]


def test_the_answer_of_another_server_is_refused(authorize: Authorize, browser: Browser, provider: Provider) -> None:
    honest = replace(provider, issuer="https://honest.example")
    with pytest.raises(FlowError, match=r"not from https://honest\.example") as caught:
        authorize(provider=honest, open_browser=browser)
    assert caught.value.error == "issuer_mismatch"


@pytest.mark.parametrize(
    ("expected", "issuer", "error"),
    [
        pytest.param("https://a.example", "https://a.example", "connection_error", id="same"),
        pytest.param("https://a.example", None, "connection_error", id="server names none"),
        pytest.param(None, "https://b.example", "connection_error", id="provider has none"),
        pytest.param("https://a.example", "https://a.example/", "issuer_mismatch", id="slash"),
        pytest.param("https://a.example", "https://axexample", "issuer_mismatch", id="dot is a dot"),
        pytest.param("https://a.example", "", "issuer_mismatch", id="empty"),
        pytest.param(
            "https://m.example/{tenantid}/v2.0", "https://m.example/0a-9/v2.0", "connection_error", id="tenant"
        ),
        pytest.param(
            "https://m.example/{tenantid}/v2.0", "https://m.example/a/b/v2.0", "issuer_mismatch", id="no tenant"
        ),
        pytest.param(
            "https://m.example/{tenantid}/v2.0", "https://m.example//v2.0", "issuer_mismatch", id="tenantless"
        ),
    ],
)
def test_the_issuer_is_compared_before_the_code_is_sent(
    ask: Authorize, expected: str | None, issuer: str | None, error: str
) -> None:
    def paste(address: str) -> str:
        answer = {"code": "made-up", "state": parameters_of(address)["state"]}
        return "?" + urllib.parse.urlencode(answer | ({} if issuer is None else {"iss": issuer}))

    with pytest.raises(FlowError) as caught:
        ask(provider={"issuer": expected}, paste=paste)
    assert caught.value.error == error


# --- pasting --------------------------------------------------------------------------------------------------------


@pytest.fixture
def location_for(browser: Browser) -> Callable[[str], str]:
    """Return what signs in at an address and gives the one that the browser ends at."""

    def location_for(address: str) -> str:
        location = browser.sign_in(address)
        assert location is not None
        return location

    return location_for


@pytest.mark.parametrize(
    "copied",
    [
        pytest.param(str, id="address"),
        pytest.param(lambda location: f"  {location}\r\n", id="blanks around"),
        pytest.param(lambda location: f'"{location}"', id="quotes around"),
        pytest.param(lambda location: f"<{location}>", id="brackets around"),
        pytest.param(lambda location: f"{location}#", id="fragment"),
        pytest.param(lambda location: f"{location[:40]}\n  {location[40:]}", id="two lines"),
        pytest.param(lambda location: location.replace("http://", "https://"), id="https"),
        pytest.param(lambda location: location.removeprefix("http://"), id="without the scheme"),
        pytest.param(lambda location: urllib.parse.urlsplit(location).query, id="query"),
        pytest.param(lambda location: "?" + urllib.parse.urlsplit(location).query, id="query with its mark"),
        pytest.param(code_in, id="code"),
        pytest.param(lambda location: f" {code_in(location)}\n", id="code with blanks around"),
        pytest.param(lambda location: f"%{ord(code_in(location)[0]):02X}{code_in(location)[1:]}", id="encoded code"),
    ],
)
def test_the_person_may_paste(
    web: Web, authorize: Authorize, location_for: Callable[[str], str], copied: Callable[[str], str]
) -> None:
    credentials = authorize(paste=lambda address: copied(location_for(address)))
    assert works(web, credentials.access_token)


@pytest.mark.parametrize(
    ("redirect_uri", "copied"),
    [
        ("https://login.example/nativeclient", str),
        ("urn:ietf:wg:oauth:2.0:oob", code_in),
        ("com.example.app:/callback", str),
    ],
)
def test_with_pasting_any_redirect_uri_will_do(
    web: Web,
    authorize: Authorize,
    application: Application,
    location_for: Callable[[str], str],
    redirect_uri: str,
    copied: Callable[[str], str],
) -> None:
    web.allow_redirect(redirect_uri)
    elsewhere = replace(application, redirect_uri=redirect_uri)
    credentials = authorize(application=elsewhere, paste=lambda address: copied(location_for(address)))
    assert works(web, credentials.access_token)


def test_with_pasting_no_browser_is_opened_and_nobody_listens(
    authorize: Authorize, browser: Browser, location_for: Callable[[str], str]
) -> None:
    def paste(address: str) -> str:
        location = location_for(address)
        port = urllib.parse.urlsplit(location).port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port or 0), timeout=TIMEOUT)
        return location

    authorize(open_browser=browser, paste=paste)
    assert browser.addresses == []


def test_with_pasting_the_address_is_shown_too_where_that_is_wished(
    authorize: Authorize, location_for: Callable[[str], str]
) -> None:
    shown: list[str] = []

    def paste(address: str) -> str:
        assert shown == [address]
        return location_for(address)

    authorize(open_browser=None, show=shown.append, paste=paste)


def with_state(text: str) -> Callable[[str], str]:
    """Return what pastes *text* with this sign-in's state in it."""
    return lambda address: text.format(state=parameters_of(address)["state"])


@pytest.mark.parametrize(
    ("paste", "error", "words"),
    [
        pytest.param(lambda address: "", "invalid_paste", "nothing was pasted", id="empty"),
        pytest.param(lambda address: " \n ", "invalid_paste", "nothing was pasted", id="blank"),
        pytest.param(lambda address: None, "invalid_paste", "nothing was pasted", id="none"),
        pytest.param(str, "invalid_paste", "the address to start from", id="the address itself"),
        pytest.param(
            lambda address: "https://login.example/form?state=x", "invalid_paste", "not finished", id="on the way"
        ),
        pytest.param(lambda address: "https://login.example/", "invalid_paste", "not finished", id="another page"),
        pytest.param(lambda address: "I have done that", "invalid_paste", "neither", id="words"),
        pytest.param(lambda address: "c0de&state", "invalid_paste", "neither", id="a piece of an address"),
        pytest.param(lambda address: "cödé", "invalid_paste", "neither", id="not ASCII"),
        pytest.param(lambda address: "http://127.0.0.1/?code=x", "invalid_paste", "no state", id="no state"),
        pytest.param(lambda address: "code=x", "invalid_paste", "no state", id="query without state"),
        pytest.param(
            with_state("http://127.0.0.1/?code=x&code=y&state={state}"), "invalid_paste", "twice", id="two codes"
        ),
        pytest.param(lambda address: "http://127.0.0.1/?code=x&state=", "state_mismatch", "another", id="empty state"),
        pytest.param(lambda address: "http://127.0.0.1/?code=x&state=y", "state_mismatch", "another", id="wrong state"),
        pytest.param(lambda address: "?error=x&state=y", "state_mismatch", "another", id="error of another sign-in"),
        pytest.param(with_state("?code=&state={state}"), "invalid_response", "empty code", id="empty code"),
        pytest.param(
            with_state("http://127.0.0.1/?error=access_denied&error_description=No%0A%1b[1mthanks&state={state}"),
            "access_denied",
            r"No \x1b[1mthanks",
            id="refusal",
        ),
        pytest.param(with_state("?error=server_error&state={state}"), "server_error", "", id="outage"),
    ],
)
def test_a_paste_that_is_no_answer_is_told_from_one_that_is(
    ask: Authorize, paste: Callable[[str], str], error: str, words: str
) -> None:
    with pytest.raises(FlowError) as caught:
        ask(paste=paste)
    assert caught.value.error == error
    assert words in caught.value.error_description


def test_an_outage_at_the_provider_is_told_from_a_refusal(ask: Authorize) -> None:
    with pytest.raises(FlowError) as caught:
        ask(paste=with_state("?error=temporarily_unavailable&state={state}"))
    assert caught.value.temporary


def test_a_code_that_somebody_else_obtained_is_of_no_use(
    authorize: Authorize, location_for: Callable[[str], str]
) -> None:
    foreign: list[str] = []
    with pytest.raises(FlowError):
        authorize(paste=lambda address: foreign.append(code_in(location_for(address))))
    with pytest.raises(FlowError) as caught:
        authorize(paste=lambda address: foreign[0])
    assert caught.value.error == "invalid_grant"


# --- what is left behind, and what is shown -------------------------------------------------------------------------


def interrupt_at_once(address: str) -> None:
    raise KeyboardInterrupt


def interrupt_later(address: str) -> None:
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process")
@pytest.mark.parametrize("interrupt", [interrupt_at_once, interrupt_later], ids=["opening", "waiting"])
def test_ctrl_c_leaves_the_port_free_and_no_thread(ask: Authorize, interrupt: Callable[[str], None]) -> None:
    port, threads = free_port(), set(threading.enumerate())
    fixed = {"redirect_uri": f"http://127.0.0.1:{port}/callback"}
    with pytest.raises(KeyboardInterrupt):
        ask(application=fixed, open_browser=interrupt)
    socket.create_server(("127.0.0.1", port)).close()
    # The timer may be about to end.
    assert {thread for thread in threading.enumerate() if not isinstance(thread, threading.Timer)} == threads


def test_what_the_caller_raises_passes_and_leaves_the_port_free(ask: Authorize) -> None:
    port = free_port()

    def open_browser(address: str) -> None:
        raise LookupError("no display")

    with pytest.raises(LookupError, match="no display"):
        ask(
            application={"redirect_uri": f"http://127.0.0.1:{port}/callback"},
            open_browser=open_browser,
        )
    socket.create_server(("127.0.0.1", port)).close()


class Secrets:
    """What went to and fro, without showing it itself."""

    def __init__(self, web: Web) -> None:
        self._web = web

    def found_in(self, text: str) -> list[str]:
        """Return which secrets the text has: codes, tokens, and the verifiers that belong to the codes' challenges."""
        tokens = [*self._web.state.tokens, *self._web.store.refresh_tokens]
        challenges = {code.code_challenge for code in self._web.store.codes.values()}
        words = set(re.findall(r"[A-Za-z0-9_~.-]{43,}", text))
        return [
            *(f"code {code[:4]}" for code in self._web.store.codes if code in text),
            *(f"token {token[:4]}" for token in tokens if token in text),
            *(f"verifier {word[:4]}" for word in words if code_challenge(word) in challenges),
        ]


def test_the_search_finds_what_is_there(web: Web, authorize: Authorize, location_for: Callable[[str], str]) -> None:
    verifier = "v" * 43
    credentials = authorize(paste=location_for)
    code = next(iter(web.store.codes))
    web.store.codes[code].code_challenge = code_challenge(verifier)
    shown = f"{code} {credentials.access_token} {credentials.refresh_token} {verifier}"
    assert len(Secrets(web).found_in(shown)) == 4


def of_the_sandbox(record: logging.LogRecord) -> bool:
    return str(record.threadName).startswith("oauthmail-sandbox")


@pytest.mark.parametrize("consent", ["allow", "deny"])
def test_no_secret_is_logged_or_printed(
    web: Web,
    authorize: Authorize,
    ca_file: str,
    consent: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    with Browser(ca_file, consent=consent) as browser:
        try:
            authorize(open_browser=browser)
        except FlowError as error:
            shown.append(str(error))
    # The server is in the same process and says what it issues.
    shown += [str(record.msg) + record.getMessage() for record in caplog.records if not of_the_sandbox(record)]
    shown += capfd.readouterr()
    assert Secrets(web).found_in("\n".join(shown)) == []


def failing_with(call: Callable[[], object]) -> str:
    try:
        call()
    except Exception as error:
        return shown_by(error)
    pytest.fail("no exception")


def test_a_refused_code_is_not_shown_by_the_exception(
    web: Web, authorize: Authorize, ca_file: str, clock: Clock
) -> None:
    with Browser(ca_file, before=expired(web, clock)) as browser:
        shown = failing_with(lambda: authorize(open_browser=browser))
    assert Secrets(web).found_in(shown) == []


def test_an_exception_of_the_callers_does_not_show_the_verifier(
    web: Web, authorize: Authorize, browser: Browser
) -> None:
    def open_browser(address: str) -> None:
        browser.sign_in(address)
        raise LookupError

    shown = failing_with(lambda: authorize(open_browser=open_browser))
    assert web.store.codes
    assert Secrets(web).found_in(shown) == []
