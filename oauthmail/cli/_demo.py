"""``python -m oauthmail demo``: the main job from nothing, on the sandbox or on Dovecot and Postfix."""

from __future__ import annotations

import argparse
import imaplib
import poplib
import sys
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import requests
from oauthlib.oauth2 import OAuth2Error
from requests_oauthlib import OAuth1Session, OAuth2Session

from .. import IMAP4_SSL, POP3_SSL, SMTP, AuthenticationError, OAuth1Credentials, OAuthMailError
from ..sandbox import Sandbox
from ..sandbox.live.process import StartError, eventually
from ..sandbox.live.servers import LiveServers

__all__ = ["run"]

_TIMEOUT = 10
_CALLBACK = "http://127.0.0.1/callback"


class _StepError(Exception):
    """A step did not do what it shows."""


class _Demo:
    """The steps, with what one leaves for the next."""

    def __init__(self, servers: Sandbox | LiveServers) -> None:
        self.servers = servers
        self.smtp = servers.smtp if isinstance(servers, Sandbox) else servers.submission
        self.user = servers.new_user()
        self.access_token = ""
        self.signed: OAuth1Credentials | None = None

    def show(self, title: str, action: Callable[[], str]) -> None:
        """Do one step and print what came of it and how long it took."""
        start = time.perf_counter()
        result = action()
        print(f"  {title:<43} {result:<40} {1000 * (time.perf_counter() - start):6.1f} ms", flush=True)

    def log_in(self, service: str, client: Any, identity: str, credentials: object) -> str:
        """Log in and return a line on it."""
        before = self.lines_received(service)
        start = time.perf_counter()
        client.authenticate_oauth(identity, credentials)
        milliseconds = 1000 * (time.perf_counter() - start)
        trips = self.lines_received(service) - before
        counted = f"{trips} round trip{'s' if trips > 1 else ''}, " if trips else ""
        return f"logged in, {counted}{milliseconds:.1f} ms"

    def lines_received(self, service: str) -> int:
        """Count the lines that a server has received, each of which waited for an answer; only the sandbox tells."""
        return len(self.servers.received(service)) if isinstance(self.servers, Sandbox) else 0

    # --- the steps ------------------------------------------------------------------------------------------------

    def authorize(self) -> str:
        """Obtain an access token by the authorization code flow; the query stands for the user's click on Allow."""
        web = self.servers.web
        with OAuth2Session(web.public_client_id, redirect_uri=_CALLBACK, scope=["mail"], pkce="S256") as session:
            session.verify = str(self.servers.ca_file)
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
        address = self.smtp
        with SMTP(address.host, address.port, timeout=_TIMEOUT) as smtp:
            smtp.starttls(context=self.servers.ssl_context())
            line = self.log_in("smtp", smtp, self.user, self.access_token)
            smtp.sendmail(self.user, [self.user], f"To: {self.user}\r\nSubject: Hello\r\n\r\nIt works.\r\n")
        return line

    def read_imap(self) -> str:
        """Read the message over IMAP."""
        address = self.servers.imaps
        context = self.servers.ssl_context()
        with IMAP4_SSL(address.host, address.port, ssl_context=context, timeout=_TIMEOUT) as imap:
            line = self.log_in("imap", imap, self.user, self.access_token)
            # A real server takes its time between accepting a message and delivering it.
            eventually(lambda: imap.select(readonly=True)[1] != [b"0"], _TIMEOUT)
            found: Any = imap.fetch("1", "(RFC822)")[1][0]
        if found is None or b"It works." not in found[1]:
            raise _StepError("the message is not there over IMAP")
        return line

    def read_pop3(self) -> str:
        """Read the message over POP3."""
        address = self.servers.pop3s
        pop3 = POP3_SSL(address.host, address.port, context=self.servers.ssl_context(), timeout=_TIMEOUT)
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
        web = self.servers.web
        keys = {"client_key": web.oauth1_client_key, "client_secret": web.oauth1_client_secret}
        with OAuth1Session(**keys, callback_uri=_CALLBACK) as session:
            session.verify = str(self.servers.ca_file)
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
        address = self.servers.imaps
        url = f"https://{address.host}/mail/b/{urllib.parse.quote(self.user, safe='@')}/imap/"
        context = self.servers.ssl_context()
        with IMAP4_SSL(address.host, address.port, ssl_context=context, timeout=_TIMEOUT) as imap:
            return self.log_in("imap", imap, url, self.signed)

    def refuse(self) -> str:
        """Have the token revoked and show what the refusal says."""
        self.servers.revoke_token(self.access_token)
        address = self.smtp
        with SMTP(address.host, address.port, timeout=_TIMEOUT) as smtp:
            smtp.starttls(context=self.servers.ssl_context())
            try:
                smtp.authenticate_oauth(self.user, self.access_token)
            except AuthenticationError as refusal:
                self.hint = refusal.hint
                return f"refused: {refusal.server_reply}"
        raise _StepError("a revoked token was accepted")


def run(arguments: argparse.Namespace) -> int:
    """Show every step; the exit status is 0 only if all of it happened."""
    try:
        with LiveServers() if arguments.servers == "dovecot" else Sandbox() as servers:
            _show_all(_Demo(servers))
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    # Whatever goes wrong in talking to a server is a step that did not happen.
    except (_StepError, OAuthMailError, OSError, OAuth2Error, imaplib.IMAP4.error, poplib.error_proto) as error:
        print(f"the demonstration failed: {error}", file=sys.stderr)
        return 1
    return 0


def _show_all(demo: _Demo) -> None:
    """Show every step, each on the shoulders of the one before."""
    sandbox = isinstance(demo.servers, Sandbox)
    running = "A sandbox runs" if sandbox else "Dovecot, Postfix and an authorization server run"
    print(f"{running} on this machine; the user is {demo.user}.", flush=True)
    demo.show("OAuth 2: authorization code flow, PKCE", demo.authorize)
    demo.show("SMTP, STARTTLS, XOAUTH2: send a message", demo.send)
    demo.show("IMAP4_SSL, XOAUTH2: read it", demo.read_imap)
    demo.show("POP3_SSL, XOAUTH2: read it", demo.read_pop3)
    if sandbox:
        demo.show("OAuth 1.0a: three-legged authorization", demo.authorize_oauth1)
        demo.show("IMAP4_SSL, XOAUTH: log in with a signature", demo.log_in_signed)
    else:
        print(f"  {'OAuth 1.0a':<43} skipped: no mail server that is shipped today has it", flush=True)
    demo.show("SMTP, XOAUTH2, the token now revoked", demo.refuse)
    print(f"  what the refusal advises: {demo.hint}")
