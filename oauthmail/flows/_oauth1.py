"""OAuth 1.0a's three steps: temporary credentials, a person who agrees, token credentials (RFC 5849 section 2)."""

from __future__ import annotations

import re
import secrets
import webbrowser
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from oauthlib import oauth1
from oauthlib.common import add_params_to_uri, urldecode

from .._redact import printable
from ..credentials import OAuth1Credentials, check_text
from ..endpoint_hints import LATER, advise
from ..errors import CredentialsError, FlowError
from ._consent import REFUSED, THANKS, check_reachable, invite, redirect_uri_of
from ._http import HTTP, Answer, using
from ._loopback import Loopback
from ._quiet import private, quiet

if TYPE_CHECKING:
    from ..applications import Application
    from ..providers import Provider

__all__ = ["authorize_oauth1"]

# RFC 5849 section 2.1: the callback of a client that cannot receive one.
_OUT_OF_BAND = "oob"

_SIGNATURE = re.compile(r'oauth_signature="([^"]*)"')

_CHECK_CLIENT = "Check the client key, its secret and this machine's clock: the server sees all three in the signature"
_START_AGAIN = "Start again: the verification code was mistyped, used before, or is too old"


class _Pair(NamedTuple):
    """A token and its secret, temporary or not."""

    key: str
    secret: str


@private
def authorize_oauth1(
    provider: Provider,
    application: Application,
    *,
    open_browser: Callable[[str], object] | None = webbrowser.open,
    show: Callable[[str], None] | None = None,
    verifier: Callable[[str], str] | None = None,
    login_hint: str | None = None,
    timeout: float = 300,
    http: HTTP | None = None,
) -> OAuth1Credentials:
    """Have a person agree in a browser, and return OAuth 1.0a credentials, which have no end of their own.

    Requests are signed with HMAC-SHA1, as the logins are.

    Args:
        provider: its three ``oauth1_`` endpoints are used.
        application: client key and secret; its ``redirect_uri`` is the callback, where it has one.
        open_browser: as of `authorization_code`.
        show: as of `authorization_code`.
        verifier: for machines without a browser: is given the address and returns the verification code that the
            page shows at the end. Then nothing listens, and no browser is opened.
        login_hint: the address that the page is to show, where the provider has a use for it.
        timeout: seconds that the person may take.
        http: to send the requests with; one is made if there is none.

    Raises:
        CredentialsError: no client secret, no way to reach the person, or a callback that cannot be listened at.
        FlowError: what the server says, or ``timeout``, ``invalid_paste``, ``port_unavailable``, ``no_browser``.
    """
    with using(http, provider.ca_file) as client:
        steps = _Steps(client, provider, application, login_hint)
        if verifier is not None:
            temporary = steps.temporary(_OUT_OF_BAND)
            address = steps.address(temporary)
            if open_browser is None and show is not None:
                show(address)
            return steps.token(temporary, _typed(verifier(address)))
        check_reachable(open_browser, show)
        with Loopback(redirect_uri_of(provider, application, listen=True)) as loopback:
            temporary = steps.temporary(loopback.redirect_uri)
            address = steps.address(temporary)
            parameters = loopback.receive(
                lambda parameters: _judge(parameters, temporary), lambda: invite(address, open_browser, show), timeout
            )
        return steps.token(temporary, _verifier(parameters, provider))


class _Steps:
    """What is asked of the server."""

    def __init__(self, http: HTTP, provider: Provider, application: Application, login_hint: str | None) -> None:
        if application.client_secret is None:
            raise CredentialsError("OAuth 1.0a signs with the client's secret: give the application a client_secret")
        self._http = http
        # All three are looked at before somebody takes the trouble to sign in.
        self._request_url = http.check(provider.oauth1_request_endpoint, "OAuth 1.0a request endpoint")
        self._authorize_url = http.check(provider.oauth1_authorization_endpoint, "OAuth 1.0a authorization endpoint")
        self._token_url = http.check(provider.oauth1_token_endpoint, "OAuth 1.0a token endpoint")
        self._client_key, self._client_secret = application.client_id, application.client_secret
        self._hint = [] if login_hint is None else [("login_hint", check_text("login_hint", login_hint))]

    def temporary(self, callback: str) -> _Pair:
        """Ask for temporary credentials (section 2.1)."""
        signer = oauth1.Client(self._client_key, client_secret=self._client_secret, callback_uri=callback)
        answer = self._post(self._request_url, signer, [])
        content = _content(answer, _CHECK_CLIENT)
        if content.get("oauth_callback_confirmed") != "true":
            # OAuth 1.0 without the "a": somebody could have a person agree to a sign-in of their own.
            raise answer.unusable("oauth_callback_confirmed is not true, so this is not OAuth 1.0a")
        return _pair(answer, content)

    def address(self, temporary: _Pair) -> str:
        """Return where the person goes (section 2.2)."""
        return str(add_params_to_uri(self._authorize_url, [("oauth_token", temporary.key), *self._hint]))

    def token(self, temporary: _Pair, verifier: str) -> OAuth1Credentials:
        """Exchange temporary credentials for those that open the mailbox (section 2.3)."""
        signer = oauth1.Client(
            self._client_key,
            client_secret=self._client_secret,
            resource_owner_key=temporary.key,
            resource_owner_secret=temporary.secret,
            verifier=verifier,
        )
        answer = self._post(self._token_url, signer, [*temporary, verifier])
        key, secret = _pair(answer, _content(answer, _START_AGAIN))
        return OAuth1Credentials(self._client_key, self._client_secret, key, secret)

    def _post(self, url: str, signer: oauth1.Client, hidden: list[str]) -> Answer:
        with quiet():
            _, headers, _ = signer.sign(url, "POST")
        hidden = [self._client_secret, *hidden, *_SIGNATURE.findall(headers["Authorization"])]
        # The answer is a form, whatever it is called; and a nonce is good for one attempt only.
        return self._http.post(url, {}, headers={**headers, "Accept": "*/*"}, secrets=hidden, retry=False)


# --- what the server answers ----------------------------------------------------------------------------------------


def _content(answer: Answer, hint: str) -> Mapping[str, str]:
    """Return the form-encoded body of an answer.

    Raises:
        FlowError: a refusal, for which OAuth 1.0a has no form of its own; *hint* says what may be the cause.
    """
    text = answer.body.decode("utf-8", "replace")
    content = _decoded(text)
    if answer.ok:
        return content
    if answer.temporary:
        raise FlowError("temporarily_unavailable", f"{answer.host}: status {answer.status}", hint=LATER, temporary=True)
    # OAuth Problem Reporting is an extension that many servers have; HTML is for browsers.
    problem = answer.words(content.get("oauth_problem"), 100)
    html = "html" in answer.headers.get("Content-Type", "").lower()
    said = f": {words}" if not html and (words := answer.words(text)) else ""
    raise FlowError(problem or "refused", f"{answer.host} answered with status {answer.status}{said}", hint=hint)


def _decoded(text: str) -> Mapping[str, str]:
    # Raised from here, an exception does not carry oauthlib's, which has the whole body in it.
    try:
        return dict(urldecode(text.strip()))
    except ValueError:
        return {}


def _pair(answer: Answer, content: Mapping[str, str]) -> _Pair:
    key, secret = content.get("oauth_token", ""), content.get("oauth_token_secret")
    if not key or secret is None:
        raise answer.unusable("no oauth_token and oauth_token_secret")
    if not (key + secret).isprintable():
        raise answer.unusable("a token with a control character")
    return _Pair(key, secret)


# --- what the person brings -----------------------------------------------------------------------------------------


def _judge(parameters: Mapping[str, str], temporary: _Pair) -> str | None:
    """Return what the browser shows; None for an answer that is not about *temporary*."""
    if not secrets.compare_digest(parameters.get("oauth_token", "").encode(), temporary.key.encode()):
        return None
    return THANKS if parameters.get("oauth_verifier") else REFUSED


def _verifier(parameters: Mapping[str, str], provider: Provider) -> str:
    if found := parameters.get("oauth_verifier"):
        return found
    error = printable(parameters.get("oauth_problem", ""), 100) or "access_denied"
    raise FlowError(error, "the person did not agree", hint=advise("access_denied", provider=provider.id).hint)


def _typed(text: str) -> str:
    found = str(text or "").strip()
    if not re.fullmatch(r"[\x21-\x7e]+", found) or "://" in found:
        raise FlowError(
            "invalid_paste",
            "what was typed is no verification code",
            hint="Type the code that the page shows at the end, and nothing else",
        )
    return found
