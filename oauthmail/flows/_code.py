"""The authorization code flow: a browser, a person, and a code that only we can redeem (RFC 6749 section 4.1)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
import webbrowser
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from oauthlib.common import add_params_to_uri

from .._redact import printable
from ..credentials import OAuth2Credentials, check_text
from ..endpoint_hints import advise
from ..errors import FlowError
from ._consent import REFUSED, THANKS, check_reachable, invite, pasted, redirect_uri_of, reserved
from ._http import HTTP, using
from ._loopback import Loopback
from ._quiet import private
from ._tokens import token_request

if TYPE_CHECKING:
    from ..applications import Application
    from ..providers import Provider

__all__ = ["authorization_code", "code_challenge"]


@private
def authorization_code(
    provider: Provider,
    application: Application,
    *,
    scope: Collection[str],
    login_hint: str | None = None,
    open_browser: Callable[[str], object] | None = webbrowser.open,
    show: Callable[[str], None] | None = None,
    paste: Callable[[str], str] | None = None,
    timeout: float = 300,
    http: HTTP | None = None,
    now: Callable[[], float] = time.time,
) -> OAuth2Credentials:
    """Have a person sign in and agree in a browser, and return the tokens.

    The answer is received on this machine's loopback address, at a port that is open only meanwhile. PKCE (RFC 7636)
    binds the code to this call, and ``state`` the answer.

    Args:
        provider: whose endpoints are used.
        application: who asks; its ``redirect_uri`` where it has one, otherwise the provider's usual one.
        scope: what to ask for, such as ``provider.scope()``.
        login_hint: the address that the page is to show.
        open_browser: is given the address to sign in at; what returns False, or raises `webbrowser.Error`, could not
            open it. It may wait for the page that comes at the end. None to open nothing.
        show: is told the address when no browser was opened.
        paste: for machines without a browser: is given the address and returns what the person copied from the browser
            at the end, the whole address or a bare code. Then nothing listens, and no browser is opened.
        timeout: seconds that the person may take.
        http: to send the request with; one is made if there is none.
        now: the clock, for the token's end.

    Raises:
        CredentialsError: no way to reach the person, or a redirect URI that cannot be listened at.
        FlowError: ``access_denied`` and whatever else the provider says, ``timeout``, ``state_mismatch``,
            ``issuer_mismatch``, ``invalid_paste``, ``port_unavailable``, ``no_browser``.
    """
    with using(http, provider.ca_file) as client:
        endpoint = client.check(provider.authorization_endpoint, "authorization endpoint")
        # Said before somebody takes the trouble to sign in.
        client.check(provider.token_endpoint, "token endpoint")
        asked = tuple(scope.split() if isinstance(scope, str) else scope)
        request = _Request(endpoint, provider, application, asked, login_hint)
        if paste is not None:
            with reserved(redirect_uri_of(provider, application, listen=False)) as redirect_uri:
                address = request.address(redirect_uri)
                if open_browser is None and show is not None:
                    show(address)
                parameters = pasted(paste(address), address)
        else:
            check_reachable(open_browser, show)
            with Loopback(redirect_uri_of(provider, application, listen=True)) as loopback:
                redirect_uri = loopback.redirect_uri
                address = request.address(redirect_uri)
                parameters = loopback.receive(request.judge, lambda: invite(address, open_browser, show), timeout)
        # Nothing listens any more.
        fields = {
            "grant_type": "authorization_code",
            "code": request.code(parameters),
            "redirect_uri": redirect_uri,
            "code_verifier": request.code_verifier,
        }
        return token_request(client, provider, application, fields, asked=asked, now=now)


class _Request:
    """One authorization request, and what its answer has to be."""

    def __init__(
        self,
        endpoint: str,
        provider: Provider,
        application: Application,
        scope: Collection[str],
        login_hint: str | None,
    ) -> None:
        # Each is 43 characters or more of 256 bits or more (RFC 7636 section 4.1), and used once.
        self.code_verifier = secrets.token_urlsafe(64)
        self._state = secrets.token_urlsafe(32)
        self._endpoint = endpoint
        self._provider = provider
        self._parameters = {
            **provider.offline_parameters,
            "response_type": "code",
            "client_id": application.client_id,
            "state": self._state,
            "code_challenge": code_challenge(self.code_verifier),
            "code_challenge_method": "S256",
        }
        if scope:
            self._parameters["scope"] = " ".join(scope)
        if login_hint is not None:
            self._parameters["login_hint"] = check_text("login_hint", login_hint)

    def address(self, redirect_uri: str) -> str:
        """Return where the person goes (RFC 6749 section 4.1.1)."""
        # Not prepare_request_uri(), which insists on https: HTTP.check() has decided about that.
        parameters = {**self._parameters, "redirect_uri": redirect_uri}
        return str(add_params_to_uri(self._endpoint, list(parameters.items())))

    def ours(self, parameters: Mapping[str, str]) -> bool:
        """Tell whether an answer belongs to this request (section 10.12)."""
        return secrets.compare_digest(parameters.get("state", "").encode(), self._state.encode())

    def judge(self, parameters: Mapping[str, str]) -> str | None:
        """Return what the browser shows; None for an answer that is not ours, or is none."""
        if not self.ours(parameters):
            return None
        if error := parameters.get("error"):
            return f"{REFUSED} The provider says: {printable(error, 100)}."
        return THANKS if parameters.get("code") else None

    def code(self, parameters: Mapping[str, str]) -> str:
        """Return the code in an answer.

        Raises:
            FlowError: the answer is another request's or another server's, or a refusal.
        """
        # Without one it is a bare code; PKCE still binds that to this request.
        if "state" in parameters and not self.ours(parameters):
            raise FlowError(
                "state_mismatch",
                "the answer belongs to another sign-in",
                hint="Every attempt has an address of its own: go through the one that was shown last",
            )
        self._check_issuer(parameters.get("iss"))
        if error := parameters.get("error"):
            description = printable(parameters.get("error_description", ""), 500)
            advice = advise(error, description, provider=self._provider.id, grant_type="authorization_code")
            raise FlowError(printable(error, 100), description, hint=advice.hint, temporary=advice.temporary)
        if not (code := parameters.get("code")):
            raise FlowError("invalid_response", "the answer has an empty code", hint="Sign in again")
        return code

    def _check_issuer(self, issuer: str | None) -> None:
        """Refuse the answer of a server that was not asked (RFC 9207): the code must not be sent to the wrong one."""
        expected = self._provider.issuer
        if issuer is None or expected is None:
            return
        # Microsoft's own document has a placeholder for the tenant, which the answer names.
        pattern = "[A-Za-z0-9.-]+".join(map(re.escape, expected.split("{tenantid}")))
        if not re.fullmatch(pattern, issuer):
            raise FlowError(
                "issuer_mismatch",
                f"the answer comes from {printable(issuer, 200)}, not from {printable(expected, 200)}",
                hint="Check the provider's issuer and authorization_endpoint; if they are right, do not sign in there",
            )


def code_challenge(code_verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(code_verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
