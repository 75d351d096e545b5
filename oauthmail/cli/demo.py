"""``python -m oauthmail demo``: the main job from nothing, on the sandbox."""

from __future__ import annotations

import argparse
import sys
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import requests
from requests_oauthlib import OAuth1Session, OAuth2Session

from .. import IMAP4_SSL, POP3_SSL, SMTP, AuthenticationError, OAuth1Credentials
from ..sandbox import Sandbox

__all__ = ["run"]

_TIMEOUT = 10
_CALLBACK = "http://127.0.0.1/callback"


class _StepError(Exception):
    """A step did not do what it shows."""


class _Demo:
    """The steps, with what one leaves for the next."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.user = sandbox.new_user()
        self.access_token = ""
        self.signed: OAuth1Credentials | None = None

    def show(self, title: str, action: Callable[[], str]) -> None:
        """Do one step and print what came of it and how long it took."""
        start = time.perf_counter()
        result = action()
        print(f"  {title:<43} {result:<40} {1000 * (time.perf_counter() - start):6.1f} ms", flush=True)

    def log_in(self, service: str, client: Any, identity: str, credentials: object) -> str:
        """Log in and return a line on it; every line that the server received has waited for an answer."""
        before = len(self.sandbox.received(service))
        start = time.perf_counter()
        client.authenticate_oauth(identity, credentials)
        milliseconds = 1000 * (time.perf_counter() - start)
        trips = len(self.sandbox.received(service)) - before
        return f"logged in, {trips} round trip{'s' if trips > 1 else ''}, {milliseconds:.1f} ms"

    # --- the steps ------------------------------------------------------------------------------------------------

    def authorize(self) -> str:
        """Obtain an access token by the authorization code flow; the query stands for the user's click on Allow."""
        web = self.sandbox.web
        with OAuth2Session(web.public_client_id, redirect_uri=_CALLBACK, scope=["mail"], pkce="S256") as session:
            session.verify = str(self.sandbox.ca_file)
            session.trust_env = False
            address, _ = session.authorization_url(
                f"{web.https_url}/authorize", login_hint=self.user, sandbox_consent="allow"
            )
            redirect = session.get(address, allow_redirects=False, withhold_token=True, timeout=_TIMEOUT)
            # oauthlib refuses a redirect to plain http, which a native application's loopback address is (RFC 8252
            # section 8.3); it only reads the address.
            answer = redirect.headers["Location"].replace("http://", "https://", 1)
            token = session.fetch_token(
                f"{web.https_url}/token", authorization_response=answer, include_client_id=True, timeout=_TIMEOUT
            )
        self.access_token = token["access_token"]
        return f"access token [redacted], {token['expires_in']} s"

    def send(self) -> str:
        """Send a message to the user."""
        address = self.sandbox.smtp
        with SMTP(address.host, address.port, timeout=_TIMEOUT) as smtp:
            smtp.starttls(context=self.sandbox.ssl_context())
            line = self.log_in("smtp", smtp, self.user, self.access_token)
            smtp.sendmail(self.user, [self.user], f"To: {self.user}\r\nSubject: Hello\r\n\r\nIt works.\r\n")
        return line

    def read_imap(self) -> str:
        """Read the message over IMAP."""
        address = self.sandbox.imaps
        context = self.sandbox.ssl_context()
        with IMAP4_SSL(address.host, address.port, ssl_context=context, timeout=_TIMEOUT) as imap:
            line = self.log_in("imap", imap, self.user, self.access_token)
            imap.select(readonly=True)
            found: Any = imap.fetch("1", "(RFC822)")[1][0]
        if found is None or b"It works." not in found[1]:
            raise _StepError("the message is not there over IMAP")
        return line

    def read_pop3(self) -> str:
        """Read the message over POP3."""
        address = self.sandbox.pop3s
        pop3 = POP3_SSL(address.host, address.port, context=self.sandbox.ssl_context(), timeout=_TIMEOUT)
        try:
            line = self.log_in("pop", pop3, self.user, self.access_token)
            if b"It works." not in pop3.retr(1)[1]:
                raise _StepError("the message is not there over POP3")
            pop3.quit()
        finally:
            pop3.close()
        return line

    def authorize_oauth1(self) -> str:
        """Obtain OAuth 1.0a token credentials in the three steps of RFC 5849 section 2."""
        web = self.sandbox.web
        keys = {"client_key": web.oauth1_client_key, "client_secret": web.oauth1_client_secret}
        with OAuth1Session(**keys, callback_uri=_CALLBACK) as session:
            session.verify = str(self.sandbox.ca_file)
            session.trust_env = False
            session.fetch_request_token(f"{web.https_url}/oauth1/request_token", timeout=_TIMEOUT)
            address = session.authorization_url(
                f"{web.https_url}/oauth1/authorize", login_hint=self.user, sandbox_consent="allow"
            )
            with requests.Session() as browser:
                browser.trust_env = False
                redirect = browser.get(address, allow_redirects=False, verify=session.verify, timeout=_TIMEOUT)
            session.parse_authorization_response(redirect.headers["Location"])
            token = session.fetch_access_token(f"{web.https_url}/oauth1/access_token", timeout=_TIMEOUT)
        self.signed = OAuth1Credentials(
            keys["client_key"], keys["client_secret"], token["oauth_token"], token["oauth_token_secret"]
        )
        return "token and token secret [redacted]"

    def log_in_signed(self) -> str:
        """Log in with a signature in place of a token."""
        address = self.sandbox.imaps
        url = f"https://{address.host}/mail/b/{urllib.parse.quote(self.user, safe='@')}/imap/"
        context = self.sandbox.ssl_context()
        with IMAP4_SSL(address.host, address.port, ssl_context=context, timeout=_TIMEOUT) as imap:
            return self.log_in("imap", imap, url, self.signed)

    def refuse(self) -> str:
        """Have the token revoked and show what the refusal says."""
        self.sandbox.revoke_token(self.access_token)
        address = self.sandbox.smtp
        with SMTP(address.host, address.port, timeout=_TIMEOUT) as smtp:
            smtp.starttls(context=self.sandbox.ssl_context())
            try:
                smtp.authenticate_oauth(self.user, self.access_token)
            except AuthenticationError as refusal:
                self.hint = refusal.hint
                return f"refused: {refusal.server_reply}"
        raise _StepError("a revoked token was accepted")


def run(arguments: argparse.Namespace) -> int:
    """Show every step; the exit status is 0 only if all of it happened."""
    with Sandbox() as sandbox:
        demo = _Demo(sandbox)
        print(f"A sandbox runs on this machine; the user is {demo.user}.", flush=True)
        try:
            demo.show("OAuth 2: authorization code flow, PKCE", demo.authorize)
            demo.show("SMTP, STARTTLS, XOAUTH2: send a message", demo.send)
            demo.show("IMAP4_SSL, XOAUTH2: read it", demo.read_imap)
            demo.show("POP3_SSL, XOAUTH2: read it", demo.read_pop3)
            demo.show("OAuth 1.0a: three-legged authorization", demo.authorize_oauth1)
            demo.show("IMAP4_SSL, XOAUTH: log in with a signature", demo.log_in_signed)
            demo.show("SMTP, XOAUTH2, the token now revoked", demo.refuse)
        except (_StepError, OSError, AuthenticationError) as error:
            print(f"the demonstration failed: {error}", file=sys.stderr)
            return 1
        print(f"  what the refusal advises: {demo.hint}")
    return 0
