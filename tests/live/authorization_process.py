"""The authorization server's process: oauthlib's endpoints behind ``http.server``.

It reads one line of JSON with its names and secrets from standard input, prints one line of JSON with its
port, serves, and ends when standard input does. So it ends with its parent, however that ends.

oauthlib refuses plain http, loopback included, unless OAUTHLIB_INSECURE_TRANSPORT is set, and that holds for
a whole process: this is why the server has one of its own.
"""

from __future__ import annotations

import hmac
import json
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from oauthlib.common import Request, generate_token
from oauthlib.oauth2 import AccessDeniedError, FatalClientError, OAuth2Error, WebApplicationServer
from oauthlib.oauth2.rfc6749.errors import UnsupportedCodeChallengeMethodError
from oauthlib.oauth2.rfc6749.tokens import random_token_generator

from .authorization_validator import SCOPES, Store, Validator, fingerprint

#: Status, headers, body.
Answer = tuple[int, dict[str, str], str]


@dataclass
class Service:
    """Turn requests into answers, one at a time.

    Attributes:
        configuration: client_id, resource_server_id, resource_server_secret and control_secret.
        issuer: the server's base URL, known once its port is.
    """

    configuration: dict[str, str]
    issuer: str = ""
    store: Store = field(default_factory=Store)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Compose oauthlib's endpoints around the store."""
        names = self.configuration
        resource_server = (names["resource_server_id"], names["resource_server_secret"])
        self.oauth = WebApplicationServer(
            Validator(self.store, names["client_id"], resource_server),
            token_generator=lambda _request: generate_token(self.store.access_token_length),
            token_expires_in=lambda _request: self.store.expires_in,
            refresh_token_generator=random_token_generator,
        )
        self.oauth.auth_grant.custom_validators.pre_auth.append(consent)

    def metadata(self) -> Answer:
        """Describe the server (RFC 8414 section 2, at OpenID Connect Discovery's address)."""
        return answer_json(
            200,
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "introspection_endpoint": f"{self.issuer}/introspect",
                "revocation_endpoint": f"{self.issuer}/revoke",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "revocation_endpoint_auth_methods_supported": ["none"],
                "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
                "scopes_supported": sorted(SCOPES),
            },
        )

    def authorize(self, uri: str) -> Answer:
        """Sign the user of ``login_hint`` in and send the browser back with a code, or with an error."""
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(uri).query))
        scopes = query.get("scope", "mail").split()
        credentials = {"user": query.get("login_hint")}
        try:
            headers, body, status = self.oauth.create_authorization_response(
                uri, scopes=scopes, credentials=credentials
            )
        except FatalClientError as error:
            # Client or redirect URI are unknown, so there is no one to send the error to but the user.
            return error.status_code, {"Content-Type": "application/json"}, error.json
        return status, headers, body or ""

    def post(self, path: str, uri: str, body: str, headers: dict[str, str]) -> Answer:
        """Answer a request to one of the three endpoints for clients and resource servers."""
        if path == "/introspect":
            for token in urllib.parse.parse_qs(body).get("token", []):
                self.store.introspected.append(fingerprint(token))
            if not self.store.introspection_available:
                return answer_json(503, {"error": "temporarily_unavailable"})
        create = {
            "/token": self.oauth.create_token_response,
            "/introspect": self.oauth.create_introspect_response,
            "/revoke": self.oauth.create_revocation_response,
        }.get(path)
        if create is None:
            return answer_json(404, {"error": "not_found"})
        answer_headers, answer_body, status = create(uri, "POST", body, headers)
        return status, answer_headers, answer_body

    def control(self, path: str, body: str, secret: str) -> Answer:
        """Turn a knob for the tests. Not a part of OAuth, hence the secret of its own."""
        if not hmac.compare_digest(secret.encode(), self.configuration["control_secret"].encode()):
            return answer_json(403, {"error": "access_denied"})
        arguments = json.loads(body)
        if path == "/control/set":
            for name in arguments.keys() & {"access_token_length", "introspection_available", "expires_in"}:
                setattr(self.store, name, arguments[name])
        elif path == "/control/expire":
            if arguments["token"] not in self.store.access_tokens:
                return answer_json(404, {"error": "unknown token"})
            self.store.access_tokens[arguments["token"]].expires_at = time.time()
        elif path == "/control/introspected":
            return answer_json(200, {"fingerprints": self.store.introspected})
        else:
            return answer_json(404, {"error": "not_found"})
        return answer_json(200, {})


def answer_json(status: int, content: dict[str, Any]) -> Answer:
    """Make an answer of *content*."""
    return status, {"Content-Type": "application/json", "Cache-Control": "no-store"}, json.dumps(content)


def consent(request: Request) -> dict[str, Any]:
    """Refuse what the user's page would: nobody signs in, or a PKCE method that is not announced.

    oauthlib itself still knows ``plain``, which RFC 9700 section 2.1.1 advises against.
    """
    if request.code_challenge is not None and request.code_challenge_method != "S256":
        raise UnsupportedCodeChallengeMethodError(request=request)
    if not request.user:
        raise AccessDeniedError(request=request)
    return {}


class Handler(BaseHTTPRequestHandler):
    """Bring HTTP to the service and back."""

    protocol_version = "HTTP/1.1"
    # Headers and body are two writes, and Nagle's algorithm would hold the second for 40 ms.
    disable_nagle_algorithm = True
    service: Service

    def do_GET(self) -> None:
        """Serve the metadata and the authorization endpoint."""
        path = urllib.parse.urlsplit(self.path).path
        with self.service.lock:
            if path == "/.well-known/openid-configuration":
                answer = self.service.metadata()
            elif path == "/authorize":
                answer = self.service.authorize(self.service.issuer + self.path)
            else:
                answer = answer_json(404, {"error": "not_found"})
        self.send(answer)

    def do_POST(self) -> None:
        """Serve token, introspection, revocation and the tests' knobs."""
        path = urllib.parse.urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with self.service.lock:
            if path.startswith("/control/"):
                answer = self.service.control(path, body, self.headers.get("X-Control-Secret", ""))
            else:
                uri = self.service.issuer + self.path
                try:
                    answer = self.service.post(path, uri, body, dict(self.headers.items()))
                except OAuth2Error as error:
                    answer = error.status_code, {"Content-Type": "application/json"}, error.json
        self.send(answer)

    def send(self, answer: Answer) -> None:
        """Write *answer* to the client."""
        status, headers, body = answer
        content = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a request line can carry a code."""


def main() -> None:
    """Serve until standard input ends."""
    service = Service(json.loads(sys.stdin.readline()))
    handler = type("BoundHandler", (Handler,), {"service": service})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        service.issuer = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(json.dumps({"issuer": service.issuer}), flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
