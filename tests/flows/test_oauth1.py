"""OAuth 1.0a in three steps, end to end: the sandbox's server, a person at a browser, and what may go wrong."""

from __future__ import annotations

import logging
import re
import socket
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from oauthmail.applications import Application
from oauthmail.credentials import OAuth1Credentials
from oauthmail.errors import CredentialsError, FlowError
from oauthmail.flows import HTTP, authorize_oauth1
from oauthmail.providers import Provider, custom
from oauthmail.sandbox.mechanisms import decide
from oauthmail.sandbox.web import Web
from oauthmail.signing import xoauth_string

from ..scripted import Certificates, Line, scripted
from ..test_secrets import shown_by
from .browser import Browser
from .conftest import TIMEOUT, USER, Clock

Authorize = Any


@pytest.fixture
def client(web: Web) -> Application:
    """The sandbox's OAuth 1.0a client."""
    return Application(web.oauth1_client_key, web.oauth1_client_secret)


@pytest.fixture
def authorize(provider: Provider, client: Application, http: HTTP) -> Authorize:
    """Return the flow with everything but the person; keyword arguments replace what it is called with."""

    def authorize(**changes: Any) -> OAuth1Credentials:
        arguments = {"timeout": TIMEOUT, "http": http, **changes}
        return authorize_oauth1(arguments.pop("provider", provider), arguments.pop("application", client), **arguments)

    return authorize


@pytest.fixture
def browser(ca_file: str) -> Iterator[Browser]:
    with Browser(ca_file) as browser:
        yield browser


def opens(web: Web, credentials: OAuth1Credentials) -> bool:
    """Tell whether a mail server would take a login that is signed with the credentials."""
    message = xoauth_string(f"https://mail.example.com/mail/b/{USER}/imap/", credentials)
    return decide(web.state, "imap", "XOAUTH", message.encode(), "").user == USER


def reading(browser: Browser) -> Callable[[str], str]:
    """Return a person who types in the code that the last page shows."""

    def read(address: str) -> str:
        browser.sign_in(address)
        found = re.search(r'<code class="code">([^<]+)</code>', browser.pages[-1].text)
        return "" if found is None else found[1]

    return read


# --- it works -------------------------------------------------------------------------------------------------------


def test_with_a_browser_it_obtains_credentials_that_open_the_mailbox(
    web: Web, authorize: Authorize, browser: Browser
) -> None:
    credentials = authorize(open_browser=browser)
    assert opens(web, credentials)
    assert (credentials.client_key, credentials.client_secret) == (web.oauth1_client_key, web.oauth1_client_secret)


def test_the_person_goes_through_the_pages(web: Web, authorize: Authorize, ca_file: str) -> None:
    with Browser(ca_file, forms=True) as browser:
        assert opens(web, authorize(open_browser=browser))
    assert "<h1>The program has the answer and goes on.</h1>" in browser.pages[-1].text


def test_a_verifier_may_be_typed_in(web: Web, authorize: Authorize, browser: Browser) -> None:
    assert opens(web, authorize(verifier=reading(browser)))


def test_a_verifier_may_be_typed_in_with_blanks_around(web: Web, authorize: Authorize, browser: Browser) -> None:
    assert opens(web, authorize(verifier=lambda address: f" {reading(browser)(address)}\n"))


def test_with_a_verifier_no_browser_is_opened_and_the_address_shown_where_that_is_wished(
    authorize: Authorize, browser: Browser
) -> None:
    opened: list[str] = []
    shown: list[str] = []
    authorize(open_browser=opened.append, show=shown.append, verifier=reading(browser))
    assert (opened, shown) == ([], [])
    authorize(open_browser=None, show=shown.append, verifier=reading(browser))
    assert len(shown) == 1


def test_without_a_browser_the_address_is_shown(web: Web, authorize: Authorize, browser: Browser) -> None:
    assert opens(web, authorize(open_browser=lambda address: False, show=browser))


def test_the_callback_may_be_one_that_is_registered(
    web: Web, authorize: Authorize, browser: Browser, client: Application
) -> None:
    web.allow_redirect("http://127.0.0.1/registered")
    registered = replace(client, redirect_uri="http://127.0.0.1/registered")
    assert opens(web, authorize(application=registered, open_browser=browser))


def test_the_address_has_the_login_hint_and_the_endpoints_own_query(
    authorize: Authorize, browser: Browser, provider: Provider
) -> None:
    endpoint = f"{provider.oauth1_authorization_endpoint}?hd=example.com"
    suited = replace(provider, oauth1_authorization_endpoint=endpoint)
    authorize(provider=suited, open_browser=browser, login_hint=USER)
    found = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(browser.addresses[0]).query))
    assert (found["hd"], found["login_hint"]) == ("example.com", USER)


def test_a_query_of_the_endpoint_is_signed(
    web: Web, authorize: Authorize, browser: Browser, provider: Provider
) -> None:
    endpoint = f"{provider.oauth1_request_endpoint}?scope=https%3A%2F%2Fmail.example%2F"
    assert opens(web, authorize(provider=replace(provider, oauth1_request_endpoint=endpoint), open_browser=browser))


# --- what cannot work -----------------------------------------------------------------------------------------------


ENDPOINTS = ["oauth1_request_endpoint", "oauth1_authorization_endpoint", "oauth1_token_endpoint"]


@pytest.mark.parametrize(
    ("provider_changes", "application", "changes", "words"),
    [
        *(
            pytest.param({name: value}, {}, {}, "OAuth 1.0a .* endpoint", id=f"{name} {what}")
            for name in ENDPOINTS
            for what, value in [("missing", None), ("without TLS", "http://issuer.example/x")]
        ),
        pytest.param({}, {"client_secret": None}, {}, "client_secret", id="no secret"),
        pytest.param({}, {"redirect_uri": "https://login.example/"}, {}, "verifier=", id="callback elsewhere"),
        pytest.param({}, {}, {"open_browser": None}, "nobody would be told", id="nobody to reach"),
        pytest.param({}, {}, {"login_hint": "a\nb"}, "control character", id="hint with a line end"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_sent(
    provider_changes: dict[str, Any], application: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    provider = custom(**dict.fromkeys(ENDPOINTS, "https://127.0.0.1:1/x"))
    with pytest.raises(CredentialsError, match=words):
        authorize_oauth1(
            replace(provider, **provider_changes), replace(Application("key", "secret"), **application), **changes
        )


# --- what goes wrong at the provider --------------------------------------------------------------------------------


def test_a_refusal_by_the_person_is_reported_and_shown(authorize: Authorize, ca_file: str) -> None:
    with Browser(ca_file, consent="deny") as browser, pytest.raises(FlowError) as caught:
        authorize(open_browser=browser)
    assert (caught.value.error, caught.value.temporary) == ("user_refused", False)
    assert "<h1>The sign-in was not completed.</h1>" in browser.pages[-1].text


@pytest.mark.parametrize("changes", [{"client_secret": "wrong"}, {"client_id": "unknown"}])
def test_a_client_that_is_not_known_is_reported_before_anybody_signs_in(
    authorize: Authorize, browser: Browser, client: Application, changes: dict[str, Any]
) -> None:
    with pytest.raises(FlowError, match="status 401: oauth_problem=refused") as caught:
        authorize(application=replace(client, **changes), open_browser=browser)
    assert "Check the client key" in caught.value.hint
    assert browser.addresses == []


def test_a_callback_that_is_not_registered_is_reported(authorize: Authorize, client: Application) -> None:
    with pytest.raises(FlowError, match="answered with status 4"):
        authorize(application=replace(client, redirect_uri="http://127.0.0.1/elsewhere"), open_browser=print)


def test_a_wrong_verifier_is_reported(authorize: Authorize, browser: Browser) -> None:
    with pytest.raises(FlowError, match="status 401") as caught:
        authorize(verifier=lambda address: reading(browser)(address)[::-1])
    assert "mistyped" in caught.value.hint


def test_a_verifier_that_comes_too_late_is_reported(authorize: Authorize, ca_file: str, clock: Clock) -> None:
    def before(location: str) -> str:
        clock.ahead += 601
        return location

    with Browser(ca_file, before=before) as browser, pytest.raises(FlowError, match="status 401"):
        authorize(open_browser=browser)


def test_temporary_credentials_that_were_used_before_are_reported(web: Web, authorize: Authorize, ca_file: str) -> None:
    def before(location: str) -> str:
        web.flow1.validator.temporary.clear()
        return location

    with Browser(ca_file, before=before) as browser, pytest.raises(FlowError, match="status 401"):
        authorize(open_browser=browser)


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param(lambda address: "", id="empty"),
        pytest.param(lambda address: None, id="none"),
        pytest.param(str, id="the address"),
        pytest.param(lambda address: "two words", id="words"),
        pytest.param(lambda address: "cödé", id="not ASCII"),
    ],
)
def test_what_is_no_verifier_is_not_sent(authorize: Authorize, typed: Callable[[str], str]) -> None:
    with pytest.raises(FlowError, match="no verification code") as caught:
        authorize(verifier=typed)
    assert caught.value.error == "invalid_paste"


# --- answers that are not ours --------------------------------------------------------------------------------------


def test_the_answer_to_another_sign_in_is_ignored_and_the_right_one_still_counts(
    web: Web, authorize: Authorize, ca_file: str
) -> None:
    statuses: list[int] = []

    def before(location: str) -> str:
        forged = re.sub(r"oauth_token=[^&]*", "oauth_token=another", location)
        statuses.extend(person.open(address).status for address in (forged, forged.partition("?")[0]))
        return location

    with Browser(ca_file, before=before) as person:
        assert opens(web, authorize(open_browser=person))
    assert statuses == [400, 400]


# --- servers that are not as they should be -------------------------------------------------------------------------


def answering(status: str, body: str, kind: str = "application/x-www-form-urlencoded") -> Callable[[Line], None]:
    """Return a server that answers one request so."""

    def script(line: Line) -> None:
        while line.receive():
            pass
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\n"
        line.send(f"{head}Connection: close\r\n\r\n{body}".encode())

    return script


def refusal_by(certificates: Certificates, ca_file: str, *scripts: Callable[[Line], None]) -> tuple[FlowError, int]:
    """Return what the flow raises at a server that plays *scripts*, and how many requests came."""
    with scripted(*scripts, tls=certificates.server("127.0.0.1")) as server:
        provider = custom(ca_file=ca_file, **dict.fromkeys(ENDPOINTS, f"https://127.0.0.1:{server.port}/x"))
        with pytest.raises(FlowError) as caught:
            authorize_oauth1(provider, Application("key", "client-secret"), verifier=lambda address: "the-verifier")
    return caught.value, len(server.lines)


@pytest.mark.parametrize(
    ("status", "body", "kind", "error", "words"),
    [
        pytest.param("200 OK", "", "text/plain", "invalid_response", "oauth_callback_confirmed", id="nothing"),
        pytest.param(
            "200 OK",
            "oauth_token=a&oauth_token_secret=b",
            "text/plain",
            "invalid_response",
            "oauth_callback_confirmed",
            id="OAuth 1.0 without the a",
        ),
        pytest.param(
            "200 OK",
            "oauth_callback_confirmed=true&oauth_token=a",
            "text/plain",
            "invalid_response",
            "no oauth_token",
            id="no token secret",
        ),
        pytest.param(
            "200 OK",
            "oauth_callback_confirmed=true&oauth_token=a%0Ab&oauth_token_secret=b",
            "text/plain",
            "invalid_response",
            "control character",
            id="token with a line end",
        ),
        pytest.param("200 OK", "<html>", "text/html", "invalid_response", "text/html", id="a page"),
        pytest.param("302 Found", "", "text/plain", "redirect", "not followed", id="redirect"),
        pytest.param(
            "401 Unauthorized",
            "oauth_problem=timestamp_refused&oauth_acceptable_timestamps=1-2",
            "text/plain",
            "timestamp_refused",
            "status 401: oauth_problem=timestamp_refused",
            id="with a problem named",
        ),
        pytest.param(
            "403 Forbidden", "Ask \x1b[1mus", "text/plain", "refused", r"status 403: Ask \x1b[1mus", id="in words"
        ),
        pytest.param("503 Busy", "", "text/plain", "temporarily_unavailable", "status 503", id="outage"),
    ],
)
def test_an_answer_that_cannot_be_used_is_reported(
    certificates: Certificates, ca_file: str, status: str, body: str, kind: str, error: str, words: str
) -> None:
    found, requests = refusal_by(certificates, ca_file, answering(status, body, kind))
    assert (found.error, found.temporary, requests) == (error, error == "temporarily_unavailable", 1)
    assert words in found.error_description


def test_a_page_for_browsers_is_not_quoted(certificates: Certificates, ca_file: str) -> None:
    found, _ = refusal_by(certificates, ca_file, answering("400 Bad", "<b>no</b>", "text/html; charset=utf-8"))
    assert found.error_description == "127.0.0.1 answered with status 400"


def test_any_type_of_answer_is_asked_for(certificates: Certificates, ca_file: str) -> None:
    asked: list[bytes] = []

    def script(line: Line) -> None:
        answering("400 Bad", "")(line)
        asked.extend(found for found in line.received if found.startswith(b"Accept:"))

    refusal_by(certificates, ca_file, script)
    assert asked == [b"Accept: */*"]


# --- what is left behind, and what is shown -------------------------------------------------------------------------


def test_ctrl_c_leaves_the_port_free_and_no_thread(authorize: Authorize, client: Application, web: Web) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    callback = f"http://127.0.0.1:{port}/callback"
    threads = {thread for thread in threading.enumerate() if "sandbox" not in thread.name}

    def interrupt(address: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        authorize(application=replace(client, redirect_uri=callback), open_browser=interrupt)
    socket.create_server(("127.0.0.1", port)).close()
    assert {thread for thread in threading.enumerate() if "sandbox" not in thread.name} == threads


class Secrets:
    """What went to and fro, without showing it itself."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._temporary = dict(web.flow1.validator.temporary)

    def note(self, location: str) -> str:
        """Keep what the server keeps only until it is used."""
        self._temporary |= self._web.flow1.validator.temporary
        return location

    def found_in(self, text: str) -> list[str]:
        values = {
            "client secret": [self._web.oauth1_client_secret],
            "token": list(self._web.state.oauth1_tokens),
            "token secret": [token.secret for token in self._web.state.oauth1_tokens.values()],
            "temporary secret": [temporary.secret for temporary in self._temporary.values()],
            "verifier": [temporary.verifier for temporary in self._temporary.values() if temporary.verifier],
        }
        found = {name for name, secrets in values.items() for secret in secrets if secret in text}
        return sorted(found | ({"signature"} if "oauth_signature=" in text else set()))


def test_no_secret_is_logged_or_printed(
    web: Web,
    authorize: Authorize,
    ca_file: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = Secrets(web)
    with Browser(ca_file, before=secrets.note) as browser:
        authorize(open_browser=browser)
    # The server is in the same process and says what it issues.
    records = [found for found in caplog.records if not str(found.threadName).startswith("oauthmail-sandbox")]
    shown = [*capfd.readouterr(), *(record.getMessage() for record in records)]
    assert secrets.found_in("\n".join(shown)) == []


def test_a_refusal_does_not_show_a_secret(web: Web, authorize: Authorize, ca_file: str, clock: Clock) -> None:
    secrets = Secrets(web)

    def before(location: str) -> str:
        clock.ahead += 601
        return secrets.note(location)

    with Browser(ca_file, before=before) as browser:
        try:
            authorize(open_browser=browser)
        except FlowError as error:
            shown = shown_by(error)
        else:
            pytest.fail("no exception")
    assert secrets.found_in(shown) == []


def repeating(*secrets: str) -> Callable[[Line], None]:
    """Return a server that refuses with everything that it was sent, and *secrets* that it knows anyway."""

    def script(line: Line) -> None:
        while line.receive():
            pass
        header = next(found for found in line.received if found.lower().startswith(b"authorization:")).decode()
        body = " ".join([header, *secrets])
        line.send(f"HTTP/1.1 401 No\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())

    return script


@pytest.mark.parametrize(
    "scripts",
    [
        pytest.param([repeating("client-secret")], id="first step"),
        pytest.param(
            [
                answering(
                    "200 OK",
                    "oauth_callback_confirmed=true&oauth_token=temporary-token&oauth_token_secret=temporary-secret",
                ),
                repeating("client-secret", "temporary-secret"),
            ],
            id="last step",
        ),
    ],
)
def test_a_server_that_repeats_what_it_was_sent_shows_nothing(
    certificates: Certificates, ca_file: str, scripts: list[Callable[[Line], None]]
) -> None:
    found, _ = refusal_by(certificates, ca_file, *scripts)
    words = found.error_description.replace("[redacted]", "").split()
    assert 'oauth_consumer_key="key",' in words
    assert [word for word in words if re.search("secret|temporary|verifier|signature=", word)] == []
