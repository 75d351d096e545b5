"""The sandbox's authorization server behind TLS, and who talks to it in the tests of the flows."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
import requests

from oauthmail.applications import Application
from oauthmail.credentials import OAuth2Credentials
from oauthmail.flows._http import HTTP
from oauthmail.flows._tokens import token_request
from oauthmail.providers import Provider, custom
from oauthmail.sandbox.state import State
from oauthmail.sandbox.web import Web

from ..scripted import Certificates, Line, Script, ScriptedServer, scripted

USER = "ada@example.com"
TIMEOUT = 10.0

# RFC 7636 appendix B.
_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
# Nobody listens there: the code is taken from the redirect's Location.
_REDIRECT = "http://127.0.0.1:1/callback"


class Clock:
    """Time that a test moves by hand.

    Attributes:
        ahead: seconds by which it is before the real one.
        slept: how long `sleep` was asked to wait, each time; it moves the clock and does not wait.
    """

    def __init__(self) -> None:
        self.ahead = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return time.time() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ahead += seconds


class SignIn(Protocol):
    """Signs `USER` in and returns the tokens, as a code flow with PKCE brings them."""

    def __call__(self, application: Application | None = None, *, scope: str = "mail") -> OAuth2Credentials: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def ca_file(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The authority that has signed the tests' servers."""
    path: Path = tmp_path_factory.mktemp("authority") / "ca.pem"
    certificates.authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def web(certificates: Certificates, clock: Clock) -> Iterator[Web]:
    """A sandbox's web server of this test's own, with TLS; codes and device codes live by `clock`."""
    with Web(State(), tls=certificates.server("127.0.0.1", "localhost"), now=clock) as web:
        yield web


@pytest.fixture
def provider(web: Web, ca_file: str) -> Provider:
    """What a user would write of the sandbox."""
    base = web.https_url
    return custom(
        id="sandbox",
        issuer=base,
        authorization_endpoint=f"{base}/authorize",
        token_endpoint=f"{base}/token",
        device_authorization_endpoint=f"{base}/device_authorization",
        revocation_endpoint=f"{base}/revoke",
        oauth1_request_endpoint=f"{base}/oauth1/request_token",
        oauth1_authorization_endpoint=f"{base}/oauth1/authorize",
        oauth1_token_endpoint=f"{base}/oauth1/access_token",
        scopes="mail",
        client_credentials=True,
        jwt_bearer=True,
        device_flow_for_mail=True,
        ca_file=ca_file,
    )


@pytest.fixture
def application(web: Web) -> Application:
    """The sandbox's native application, a public client."""
    return Application(web.public_client_id)


@pytest.fixture
def confidential(web: Web) -> Application:
    """The sandbox's client with a secret."""
    return Application(web.client_id, web.client_secret)


@pytest.fixture
def http(ca_file: str) -> Iterator[HTTP]:
    """What carries requests; its retries do not wait."""
    with HTTP(ca_file=ca_file, timeout=TIMEOUT, backoff=0) as http:
        yield http


@pytest.fixture
def sign_in(web: Web, provider: Provider, application: Application, http: HTTP, ca_file: str) -> SignIn:
    """Return what signs `USER` in."""
    public = application

    def sign_in(application: Application | None = None, *, scope: str = "mail") -> OAuth2Credentials:
        client = application or public
        asked = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": _REDIRECT,
            "scope": scope,
            "code_challenge": _CHALLENGE,
            "code_challenge_method": "S256",
            "login_hint": USER,
            "sandbox_consent": "allow",
        }
        with requests.Session() as browser:
            browser.trust_env = False
            answer = browser.get(
                f"{web.https_url}/authorize", params=asked, verify=ca_file, allow_redirects=False, timeout=TIMEOUT
            )
        code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["Location"]).query))["code"]
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": _REDIRECT,
            "code_verifier": _VERIFIER,
        }
        return token_request(http, provider, client, fields, asked=scope.split())

    return sign_in


# --- servers that say what a test wrote down ------------------------------------------------------------------------


def receive_request(line: Line) -> bytes:
    """Receive one request, have `line.received` show its form as a last line, and return that."""
    length = None
    while head := line.receive():
        name, _, value = head.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length or 0
    if length is None:
        # The client has hung up, or did not like the certificate.
        raise ConnectionResetError
    while len(line._buffer) < length:
        packet = line.sock.recv(1 << 16)
        if not packet:
            raise ConnectionResetError
        line._buffer += packet
    body, line._buffer = line._buffer[:length], line._buffer[length:]
    line.received.append(body)
    return body


def response(body: bytes = b"{}", *headers: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """Return the octets of an answer after which the connection is closed."""
    head = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def answering(octets: bytes) -> Script:
    """Return a script that answers one request with *octets*."""

    def script(line: Line) -> None:
        receive_request(line)
        line.send(octets)

    return script


def forever(head: bytes, piece: bytes) -> Script:
    """Return a script that answers one request with *head*, and then with *piece* until the client has gone."""

    def script(line: Line) -> None:
        receive_request(line)
        line.send(head)
        while True:
            line.send(piece)

    return script


def requests_to(server: ScriptedServer) -> list[bytes]:
    """Return the request lines that a server received, over all connections."""
    return [found for found in server.received if found.endswith(b" HTTP/1.1")]


Serve = Callable[..., ScriptedServer]


@pytest.fixture
def serve(certificates: Certificates) -> Serve:
    """Return what makes a server for ``with``; it plays one script to each connection, over TLS."""
    context = certificates.server("127.0.0.1")
    return lambda *scripts: scripted(*scripts, tls=context)


def works(web: Web, token: str, user: str = USER) -> bool:
    """Tell whether a mail server would take the token for that mailbox."""
    return web.state.judge(token, user, "imap").user == user
