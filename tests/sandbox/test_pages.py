"""The sandbox's pages, clicked through as a browser without JavaScript would."""

from __future__ import annotations

import base64
import hashlib
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest
import requests
from requests_oauthlib import OAuth1Session

from oauthmail.sandbox.grants import DEVICE_CODE
from oauthmail.sandbox.state import State
from oauthmail.sandbox.web import Web

USER = "ada@example.com"
REDIRECT = "http://127.0.0.1:1/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
ATTACK = "\"'><script>alert(1)</script>&<img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """What a page holds: its text, its first form, and every tag."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__()
        self.url = answer.url
        self.tags: list[str] = []
        self.text = ""
        self.action = ""
        self.method = "get"
        self.fields: dict[str, str] = {}
        self.buttons: list[str] = []
        self.feed(answer.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        assert not [name for name in values if name.startswith("on")]
        if tag == "form":
            self.action, self.method = values["action"], values.get("method", "get")
        elif tag == "input":
            self.fields[values["name"]] = values.get("value", "")
        elif tag == "button":
            self.buttons.append(values.get("value", ""))

    def handle_data(self, data: str) -> None:
        self.text += data


@dataclass
class Browser:
    """Keeps cookies, fills forms in and presses buttons; it does not follow a redirect to the client."""

    session: requests.Session = field(default_factory=requests.Session)

    def open(self, url: str, **query: str) -> Page:
        return Page(self.session.get(url, params=query, timeout=10))

    def submit(self, page: Page, button: str = "", **fields: str) -> requests.Response:
        values = page.fields | fields | ({"press": button} if button else {})
        url = urllib.parse.urljoin(page.url, page.action)
        if page.method == "get":
            return self.session.get(url, params=values, allow_redirects=False, timeout=10)
        return self.session.post(url, data=values, allow_redirects=False, timeout=10)

    def press(self, page: Page, button: str = "", **fields: str) -> Page:
        return Page(self.submit(page, button, **fields))


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(State()) as web:
        yield web


@pytest.fixture
def browser() -> Iterator[Browser]:
    browser = Browser()
    with browser.session:
        yield browser


def request_url(web: Web, **changes: str) -> str:
    parameters = {
        "response_type": "code",
        "client_id": web.public_client_id,
        "redirect_uri": REDIRECT,
        "scope": "mail profile",
        "state": "xyz",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"{web.url}/authorize?{urllib.parse.urlencode(parameters | changes)}"


def query(answer: requests.Response) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["Location"]).query))


def test_a_person_signs_in_and_allows(web: Web, browser: Browser) -> None:
    sign_in = browser.open(request_url(web))
    assert "lets anybody in" in sign_in.text
    consent = browser.press(sign_in, user=USER)
    assert "Sandbox app" in consent.text
    assert "read and send your mail" in consent.text
    assert consent.buttons == ["allow", "deny"]
    answer = browser.submit(consent, "allow")
    assert (answer.status_code, query(answer)["state"]) == (303, "xyz")
    fields = {
        "grant_type": "authorization_code",
        "code": query(answer)["code"],
        "redirect_uri": REDIRECT,
        "client_id": web.public_client_id,
        "code_verifier": VERIFIER,
    }
    token = requests.post(f"{web.url}/token", fields, timeout=10).json()["access_token"]
    assert web.state.judge(token, USER, "smtp").user == USER


def test_a_person_signs_in_and_denies(web: Web, browser: Browser) -> None:
    consent = browser.press(browser.open(request_url(web)), user=USER)
    assert query(browser.submit(consent, "deny"))["error"] == "access_denied"


def test_the_address_is_filled_in_from_login_hint(web: Web, browser: Browser) -> None:
    assert browser.open(request_url(web, login_hint=USER)).fields["user"] == USER


@pytest.mark.parametrize(
    "user", ["", "ada", "@", "a@b@c", "a b@example.com", "a@example.com\r\nQUIT", "x" * 300 + "@y"]
)
def test_what_is_no_address_is_asked_for_again(web: Web, browser: Browser, user: str) -> None:
    answer = browser.submit(browser.open(request_url(web)), user=user)
    assert (answer.status_code, "Type an address" in answer.text) == (400, True)


def test_a_forged_consent_form_with_a_bad_address_is_refused(web: Web, browser: Browser) -> None:
    consent = browser.press(browser.open(request_url(web)), user=USER)
    assert browser.submit(consent, "allow", user="a\nb@example.com").status_code == 400


@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_a_form_from_elsewhere_is_refused(web: Web, browser: Browser, token: str) -> None:
    consent = browser.press(browser.open(request_url(web)), user=USER)
    answer = browser.submit(consent, "allow", csrf_token=token)
    assert (answer.status_code, "Location" in answer.headers) == (403, False)


def test_a_form_without_its_cookie_is_refused(web: Web, browser: Browser) -> None:
    consent = browser.press(browser.open(request_url(web)), user=USER)
    browser.session.cookies.clear()
    assert browser.submit(consent, "allow").status_code == 403


def test_a_form_with_anothers_cookie_is_refused(web: Web, browser: Browser) -> None:
    consent = browser.press(browser.open(request_url(web)), user=USER)
    with requests.Session() as other:
        other.get(request_url(web), timeout=10)
        browser.session.cookies = other.cookies
    assert browser.submit(consent, "allow").status_code == 403


def test_two_pages_side_by_side_do_not_disturb_each_other(web: Web, browser: Browser) -> None:
    first, second = browser.open(request_url(web, state="1")), browser.open(request_url(web, state="2"))
    answers = [browser.submit(browser.press(page, user=USER), "allow") for page in (first, second)]
    assert [query(answer)["state"] for answer in answers] == ["1", "2"]


def test_the_sandboxes_of_one_machine_have_cookies_of_their_own(web: Web, browser: Browser) -> None:
    page = browser.open(request_url(web))
    with Web(State()) as other:
        browser.open(request_url(other))
        assert "asks for access" in browser.press(page, user=USER).text


# --- what a page may not do -----------------------------------------------------------------------------------------


def test_what_an_attacker_writes_stays_text(web: Web, browser: Browser) -> None:
    sign_in = browser.open(request_url(web, login_hint=ATTACK, state=ATTACK))
    assert sign_in.fields["user"] == ATTACK
    again = browser.press(sign_in, user=ATTACK)
    web.store.clients[web.public_client_id].name = ATTACK
    consent = browser.press(again, user="<b>@example.com")
    for page in (sign_in, again, consent):
        assert {"script", "img", "b"} & set(page.tags) == set()
    assert ATTACK in consent.text
    assert query(browser.submit(consent, "allow"))["state"] == ATTACK


@pytest.mark.parametrize(
    "changes", [{"client_id": ATTACK}, {"redirect_uri": ATTACK}, {"redirect_uri": "//x/" + ATTACK}]
)
def test_error_pages_escape_too(web: Web, browser: Browser, changes: dict[str, str]) -> None:
    assert "script" not in browser.open(request_url(web, **changes)).tags


def test_the_device_page_escapes_the_code(web: Web, browser: Browser) -> None:
    page = browser.open(f"{web.url}/device", user_code=ATTACK)
    assert (page.fields["user_code"], "script" in page.tags) == (ATTACK, False)


@pytest.mark.parametrize("path", ["/authorize", "/device", "/", "/oauth1/authorize"])
def test_pages_are_neither_framed_nor_kept_nor_scripted(web: Web, path: str) -> None:
    url = request_url(web) if path == "/authorize" else web.url + path
    headers = requests.get(url, timeout=10).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_policy_lets_the_pages_own_style_pass(web: Web) -> None:
    answer = requests.get(web.url, timeout=10)
    found = re.search("<style>(.*)</style>", answer.text, re.DOTALL)
    assert found is not None
    digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(web: Web) -> None:
    cookie = requests.get(request_url(web), timeout=10).headers["Set-Cookie"]
    assert "; HttpOnly" in cookie
    assert "; SameSite=Lax" in cookie


@pytest.mark.parametrize("value", ["short", '"quo\\012ted-quoted-quoted"', "x" * 100])
def test_a_cookie_that_we_did_not_make_is_replaced(web: Web, value: str) -> None:
    name = f"oauthmail_sandbox_{web.url.rpartition(':')[2]}"
    answer = requests.get(request_url(web), headers={"Cookie": f"{name}={value}"}, timeout=10)
    assert value not in answer.headers["Set-Cookie"]


# --- device and OAuth 1.0a ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("button", "said", "answer"), [("allow", "connected", "access_token"), ("deny", "Denied", "error")]
)
def test_a_person_connects_a_device(web: Web, browser: Browser, button: str, said: str, answer: str) -> None:
    fields = {"client_id": web.public_client_id, "scope": "mail"}
    device = requests.post(f"{web.url}/device_authorization", fields, timeout=10).json()
    entry = browser.open(device["verification_uri"])
    sign_in = browser.press(entry, user_code=device["user_code"].lower())
    consent = browser.press(sign_in, user=USER)
    assert device["user_code"] in consent.text
    assert said in browser.press(consent, button).text
    poll = {"grant_type": DEVICE_CODE, "device_code": device["device_code"], "client_id": web.public_client_id}
    assert answer in requests.post(f"{web.url}/token", poll, timeout=10).json()


def test_the_complete_address_skips_the_typing(web: Web, browser: Browser) -> None:
    device = requests.post(f"{web.url}/device_authorization", {"client_id": web.public_client_id}, timeout=10).json()
    assert "to continue to Sandbox app" in browser.open(device["verification_uri_complete"]).text


def test_a_wrong_code_is_asked_for_again(web: Web, browser: Browser) -> None:
    entry = browser.open(f"{web.url}/device")
    assert "not known" in browser.press(entry, user_code="BBBB-BBBB").text


@pytest.mark.parametrize("code", ["-", "1234"])
def test_a_code_without_letters_finds_no_device(web: Web, browser: Browser, code: str) -> None:
    requests.post(f"{web.url}/device_authorization", {"client_id": web.public_client_id}, timeout=10)
    assert "not known" in browser.open(f"{web.url}/device", user_code=code).text


@pytest.mark.parametrize("callback", [REDIRECT, "oob"])
def test_a_person_allows_an_oauth1_client(web: Web, browser: Browser, callback: str) -> None:
    keys = (web.oauth1_client_key, web.oauth1_client_secret)
    with OAuth1Session(*keys, callback_uri=callback) as client:
        client.fetch_request_token(f"{web.url}/oauth1/request_token")
        consent = browser.press(browser.open(client.authorization_url(f"{web.url}/oauth1/authorize")), user=USER)
        answer = browser.submit(consent, "allow")
        if callback == "oob":
            found = re.search(r'<code class="code">([^<]+)</code>', answer.text)
            assert found is not None
            verifier = found[1]
        else:
            verifier = query(answer)["oauth_verifier"]
        token = client.fetch_access_token(f"{web.url}/oauth1/access_token", verifier=verifier)
    assert web.state.oauth1_tokens[token["oauth_token"]].user == USER
