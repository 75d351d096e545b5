"""The servers of the live tests, and what a test does at their authorization server."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests_oauthlib import OAuth2Session

from oauthmail.sandbox.live import servers as live
from oauthmail.sandbox.state import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = 10


class LiveServers(live.LiveServers):
    """The servers, with the tests' hands on the authorization server."""

    @property
    def authorization(self) -> Authorization:
        return Authorization(self)


class Authorization:
    """Signs users in as a mail client would, and turns the server's knobs."""

    # Nothing listens there: the code is taken from the redirect's Location.
    redirect_uri = "http://127.0.0.1/callback"

    def __init__(self, servers: live.LiveServers) -> None:
        self.state, self.web = servers.state, servers.web
        self.ca_file = str(servers.ca_file)
        self.client_id = servers.web.public_client_id
        self.token_endpoint = f"{servers.web.https_url}/token"

    def sign_in(self, username: str, *, scope: str = "mail", length: int | None = None) -> dict[str, Any]:
        """Go through the authorization code flow with PKCE, as *username* who agrees to *scope*.

            C: GET /authorize?response_type=code&code_challenge=...&login_hint=user-1%40mail.test
            S: 303, Location: http://127.0.0.1/callback?code=...&state=...
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
            session.trust_env, session.verify = False, self.ca_file
            url, _ = session.authorization_url(
                f"{self.web.https_url}/authorize", login_hint=username, sandbox_consent="allow"
            )
            redirect = session.get(url, allow_redirects=False, withhold_token=True, timeout=TIMEOUT)
            with self._access_tokens_of(length):
                token = session.fetch_token(
                    self.token_endpoint,
                    # oauthlib refuses a redirect to plain http, loopback included; it only reads the address.
                    authorization_response=redirect.headers["Location"].replace("http://", "https://", 1),
                    include_client_id=True,
                    timeout=TIMEOUT,
                )
        return dict(token)

    @contextlib.contextmanager
    def _access_tokens_of(self, length: int | None) -> Iterator[None]:
        store = self.web.store
        before = store.access_token_length
        store.access_token_length = length or before
        try:
            yield
        finally:
            store.access_token_length = before

    def issue(self, username: str, *, scope: str = "mail", length: int | None = None) -> str:
        """Return an access token of a new `sign_in`."""
        token: str = self.sign_in(username, scope=scope, length=length)["access_token"]
        return token

    def revoke(self, token: str) -> None:
        """Revoke an access or refresh token at the revocation endpoint (RFC 7009)."""
        fields = {"token": token, "client_id": self.client_id}
        with requests.Session() as session:
            session.trust_env, session.verify = False, self.ca_file
            session.post(f"{self.web.https_url}/revoke", fields, timeout=TIMEOUT).raise_for_status()

    def expire(self, token: str) -> None:
        self.state.expire(token)

    def introspections_of(self, token: str) -> int:
        """Count how often introspection was asked about *token*."""
        return self.state.introspected.count(fingerprint(token))

    @contextlib.contextmanager
    def temporarily_unavailable(self) -> Iterator[None]:
        """Have introspection answer 503 meanwhile."""
        self.state.fault("temporary", service="introspection", times=None)
        try:
            yield
        finally:
            self.state.clear_faults()


@pytest.fixture(scope="session")
def running_servers() -> Iterator[LiveServers]:
    """Run all servers for the whole session.

    Where they are not installed the tests are skipped, except in continuous integration (CI is set), where
    a skip would pass for a success.
    """
    servers = LiveServers()
    try:
        servers.__enter__()
    except live.NotInstalledError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    try:
        yield servers
    finally:
        servers.__exit__()


@pytest.fixture
def servers(running_servers: LiveServers, monkeypatch: pytest.MonkeyPatch) -> LiveServers:
    """Return the running servers; libraries that renew tokens trust them for the length of the test."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(running_servers.ca_file))
    return running_servers
