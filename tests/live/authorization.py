"""Start and stop the authorization server, and sign users in there as a mail client would.

The caller's process needs OAUTHLIB_INSECURE_TRANSPORT=1 for `AuthorizationServer.issue`, because the server
speaks plain http on loopback; conftest.py sets it for the tests of this folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import requests
from requests_oauthlib import OAuth2Session

from .authorization_validator import fingerprint
from .process import StartError, read_line, stop_process, tail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

TIMEOUT = 10.0  # seconds, for the start and for each request


class AuthorizationServer:
    """An OAuth 2 authorization server on 127.0.0.1, in a process of its own.

    Attributes:
        client_id: the one public client.
        redirect_uri: where `issue` has the code sent; any loopback address is allowed.
        resource_server_id: name with which a mail server introspects.
        resource_server_secret: its secret, safe in a URL.
        issuer: base URL; it and the endpoints below are set by `start`.
        authorization_endpoint: sign-in; ``login_hint`` says who signs in, without it access is denied.
        token_endpoint: authorization_code and refresh_token.
        introspection_endpoint: RFC 7662, with the resource server's HTTP Basic.
        revocation_endpoint: RFC 7009.
        metadata_url: OpenID Connect Discovery's document.
    """

    client_id = "mail-client"
    # Nothing listens there: the code is taken from the redirect's Location.
    redirect_uri = "http://127.0.0.1/callback"
    resource_server_id = "mail-server"

    def __init__(self, log_file: Path) -> None:
        """Prepare a server that writes its errors to *log_file*."""
        self.log_file = log_file
        self.resource_server_secret = secrets.token_hex(16)
        self._control_secret = secrets.token_hex(16)
        self._process: subprocess.Popen[str] | None = None
        self._http = requests.Session()
        # A proxy from the environment has no business on loopback.
        self._http.trust_env = False
        self._length_lock = threading.Lock()

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    def start(self) -> None:
        """Start the process and learn its address.

        Raises:
            StartError: it ended or said nothing within `TIMEOUT`.
        """
        package = __package__ or ""
        root = Path(__file__).resolve().parents[package.count(".") + 1]
        paths = [str(root), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "OAUTHLIB_INSECURE_TRANSPORT": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{package}.authorization_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C is for the tests; they stop the server in their own order.
                start_new_session=True,
                text=True,
                env=environment,
            )
        try:
            self._configure(self._process)
        except (OSError, ValueError) as error:
            self.stop()
            message = f"the authorization server did not start; its log ends:\n{tail(self.log_file)}"
            raise StartError(message) from error

    def _configure(self, process: subprocess.Popen[str]) -> None:
        """Give *process* its names and secrets over a pipe, where no list of processes shows them."""
        configuration = {
            "client_id": self.client_id,
            "resource_server_id": self.resource_server_id,
            "resource_server_secret": self.resource_server_secret,
            "control_secret": self._control_secret,
        }
        standard_input = cast("IO[str]", process.stdin)
        standard_input.write(json.dumps(configuration) + "\n")
        standard_input.flush()
        self.issuer: str = json.loads(read_line(cast("IO[str]", process.stdout), TIMEOUT))["issuer"]
        self.metadata_url = f"{self.issuer}/.well-known/openid-configuration"
        answer = self._http.get(self.metadata_url, timeout=TIMEOUT)
        metadata: dict[str, Any] = answer.json()
        self.authorization_endpoint: str = metadata["authorization_endpoint"]
        self.token_endpoint: str = metadata["token_endpoint"]
        self.introspection_endpoint: str = metadata["introspection_endpoint"]
        self.revocation_endpoint: str = metadata["revocation_endpoint"]

    def stop(self) -> None:
        """Stop the process; it ends when its standard input does."""
        process, self._process = self._process, None
        self._http.close()
        if process is None:
            return
        with contextlib.suppress(BrokenPipeError):
            cast("IO[str]", process.stdin).close()
        stop_process(process)
        cast("IO[str]", process.stdout).close()

    # -- what a client does

    def sign_in(self, username: str, *, scope: str = "mail", length: int | None = None) -> dict[str, Any]:
        """Go through the authorization code flow with PKCE, as *username* who agrees to *scope*.

            C: GET /authorize?response_type=code&code_challenge=...&login_hint=user-1%40mail.test
            S: 302, Location: http://127.0.0.1/callback?code=...&state=...
            C: POST /token, grant_type=authorization_code&code=...&code_verifier=...
            S: 200, {"access_token": ..., "refresh_token": ..., "expires_in": 3600, ...}

        Args:
            username: the address that introspection will report.
            scope: scopes, separated by blanks; "profile" makes a token that is no good for mail.
            length: characters of the access token.

        Returns:
            The token response (RFC 6749 section 5.1).
        """
        with OAuth2Session(self.client_id, redirect_uri=self.redirect_uri, scope=scope.split(), pkce="S256") as session:
            session.trust_env = False
            url, _state = session.authorization_url(self.authorization_endpoint, login_hint=username)
            redirect = session.get(url, allow_redirects=False, withhold_token=True, timeout=TIMEOUT)
            with self._access_tokens_of(length):
                token = session.fetch_token(
                    self.token_endpoint,
                    authorization_response=redirect.headers["Location"],
                    include_client_id=True,
                    timeout=TIMEOUT,
                )
        return dict(token)

    def issue(self, username: str, *, scope: str = "mail", length: int | None = None) -> str:
        """Return an access token of a new `sign_in`."""
        token: str = self.sign_in(username, scope=scope, length=length)["access_token"]
        return token

    def revoke(self, token: str) -> None:
        """Revoke an access or refresh token at the revocation endpoint (RFC 7009)."""
        answer = self._http.post(
            self.revocation_endpoint, data={"token": token, "client_id": self.client_id}, timeout=TIMEOUT
        )
        answer.raise_for_status()

    # -- what only a test does

    def expire(self, token: str) -> None:
        """Move the end of an access token's life to now.

        Raises:
            requests.HTTPError: the server did not issue *token*, or it was revoked.
        """
        self._control("expire", token=token)

    def set_lifetime(self, expires_in: int) -> None:
        """Give access tokens from now on *expires_in* seconds; 3600 is the start value."""
        self._control("set", expires_in=expires_in)

    def introspected(self) -> list[str]:
        """Return the SHA-256 fingerprints of all tokens that introspection was asked about, oldest first."""
        fingerprints: list[str] = self._control("introspected")["fingerprints"]
        return fingerprints

    def introspections_of(self, token: str) -> int:
        """Count how often introspection was asked about *token*."""
        return self.introspected().count(fingerprint(token))

    @contextlib.contextmanager
    def temporarily_unavailable(self) -> Iterator[None]:
        """Have introspection answer 503 meanwhile."""
        self._control("set", introspection_available=False)
        try:
            yield
        finally:
            self._control("set", introspection_available=True)

    @contextlib.contextmanager
    def access_token_length(self, length: int) -> Iterator[None]:
        """Have every new access token, refreshed ones too, be *length* characters long meanwhile."""
        self._control("set", access_token_length=length)
        try:
            yield
        finally:
            self._control("set", access_token_length=40)

    @contextlib.contextmanager
    def _access_tokens_of(self, length: int | None) -> Iterator[None]:
        """Set the length for one sign-in; the lock keeps it from another thread's."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._length_lock)
            if length is not None:
                stack.enter_context(self.access_token_length(length))
            yield

    def _control(self, action: str, **arguments: object) -> dict[str, Any]:
        """Turn one of the server's knobs."""
        answer = self._http.post(
            f"{self.issuer}/control/{action}",
            data=json.dumps(arguments),
            headers={"X-Control-Secret": self._control_secret},
            timeout=TIMEOUT,
        )
        answer.raise_for_status()
        content: dict[str, Any] = answer.json()
        return content
