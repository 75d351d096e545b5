"""The sandbox's web server: OAuth endpoints, pages and the control interface, on loopback only."""

from __future__ import annotations

import secrets
import ssl
import time
import urllib.parse
from collections.abc import Callable
from functools import cached_property

from oauthlib.oauth2 import FatalClientError, OAuth2Error

from .authorization import Server, metadata
from .call import Call, error_answer, json_answer, oauthlib_uri, redirect, reencoded, refusal
from .control import CONTROL_ARGUMENTS, control
from .grants import DEVICE_CODE, JWT_BEARER, new_rsa_key, public_key
from .http import Listener
from .oauth1_flow import Flow
from .pages import Answer, Decision, Forms, code_entry, code_to_copy, message
from .state import State, fingerprint
from .store import Client, Store

__all__ = ["Web"]

#: What google-auth writes into every assertion, wherever its ``token_uri`` points.
_GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"


class Web:
    """The web server; a context manager, and `start` and `close` for those who need them apart.

    Attributes:
        url: ``http://127.0.0.1:PORT``, once started.
        https_url: the same behind TLS, or None without a context.
        personality_name: the provider that is played.
        store: what is registered and issued; lifetimes and the clock are there.
        forms: whether pages are shown, and who agrees when not.
        client_id: a confidential client, with `client_secret` and `client_key`.
        client_secret: its secret.
        public_client_id: a native application's, without a secret.
        service_account_email: issuer of JWT bearer assertions, with `service_account_key`.
        oauth1_client_key: for OAuth 1.0a, with `oauth1_client_secret`.
        oauth1_client_secret: its secret.
        control_secret: opens ``/control/``, in the header ``X-Sandbox-Control``.
    """

    client_id = "sandbox-client"
    public_client_id = "sandbox-app"
    service_account_email = "robot@sandbox-service.example"
    oauth1_client_key = "sandbox-oauth1"

    def __init__(
        self,
        state: State,
        *,
        personality_name: str = "generic",
        tls: ssl.SSLContext | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.state = state
        self.personality_name = personality_name
        self.url = ""
        self.https_url: str | None = None
        self.control_secret = secrets.token_urlsafe(24)
        self.client_secret = secrets.token_urlsafe(24)
        self.forms = Forms()
        self.store = Store(state, now)
        self.flow1 = Flow(state, now)
        self._server = Server(self.store)
        self._tls = tls
        self._listeners: list[Listener] = []
        self._register()
        self._routes = self._make_routes()

    def _register(self) -> None:
        everywhere = {"authorization_code", "refresh_token", DEVICE_CODE}
        for client in (
            Client(self.public_client_id, "Sandbox app", frozenset(everywhere)),
            Client(
                self.client_id, "Sandbox client", frozenset(everywhere | {"client_credentials"}), self.client_secret
            ),
            Client(self.service_account_email, "Sandbox robot", frozenset({JWT_BEARER})),
        ):
            self.store.clients[client.client_id] = client
        with self.state.lock:
            self.oauth1_client_secret = self.state.oauth1_clients.setdefault(
                self.oauth1_client_key, secrets.token_urlsafe(24)
            )

    @property
    def auto_consent(self) -> bool:
        """Whether requests are agreed to at once, without a page."""
        return self.forms.auto_consent

    @auto_consent.setter
    def auto_consent(self, value: bool) -> None:
        self.forms.auto_consent = value

    @cached_property
    def client_key(self) -> str:
        """The confidential client's private key in PEM, for ``private_key_jwt``; made when first asked for."""
        return self._new_key(self.client_id)

    @cached_property
    def service_account_key(self) -> str:
        """The service account's private key in PEM; made when first asked for."""
        return self._new_key(self.service_account_email)

    def _new_key(self, client_id: str) -> str:
        key = new_rsa_key()
        with self.state.lock:
            self.store.clients[client_id].keys.append(public_key(key))
        return key

    @property
    def service_account_info(self) -> dict[str, str]:
        """What a provider's key file holds, for ``Credentials.from_service_account_info`` and the like."""
        return {
            "type": "service_account",
            "client_email": self.service_account_email,
            "private_key": self.service_account_key,
            "private_key_id": "sandbox-1",
            "token_uri": f"{self.url}/token",
        }

    def allow_redirect(self, redirect_uri: str) -> None:
        """Register one more address for both clients and OAuth 1.0a, beside loopback's."""
        with self.state.lock:
            for client in self.store.clients.values():
                client.redirect_uris |= {redirect_uri}
            self.flow1.validator.redirect_uris |= {redirect_uri}

    # --- life ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> Web:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def start(self) -> None:
        """Listen."""
        plain = Listener(self.answer, None)
        self._listeners.append(plain)
        self.url = plain.issuer
        if self._tls is not None:
            secured = Listener(self.answer, self._tls)
            self._listeners.append(secured)
            self.https_url = secured.issuer
        for issuer in (listener.issuer for listener in self._listeners):
            self.store.audiences += [issuer, f"{issuer}/token"]
        if self.personality_name == "gmail":
            self.store.audiences.append(_GOOGLE_AUDIENCE)
        for listener in self._listeners:
            listener.start()

    def close(self) -> None:
        """Stop listening, end every connection and wait for every thread."""
        while self._listeners:
            self._listeners.pop().close()

    # --- routing ------------------------------------------------------------------------------------------------

    def _make_routes(self) -> dict[str, dict[str, Callable[[Call], Answer]]]:
        both = {"GET", "POST"}
        table: list[tuple[str, set[str], Callable[[Call], Answer]]] = [
            ("/", {"GET"}, self._index),
            ("/.well-known/openid-configuration", {"GET"}, self._metadata),
            ("/.well-known/oauth-authorization-server", {"GET"}, self._metadata),
            ("/authorize", both, self._authorize),
            ("/device", both, self._device),
            ("/device_authorization", {"POST"}, self._device_authorization),
            ("/token", {"POST"}, self._endpoint),
            ("/introspect", {"POST"}, self._introspect),
            ("/revoke", {"POST"}, self._endpoint),
            ("/oauth1/request_token", both, self._oauth1),
            ("/oauth1/access_token", both, self._oauth1),
            ("/oauth1/authorize", both, self._oauth1_authorize),
            *((f"/control/{name}", {"POST"}, self._control) for name in CONTROL_ARGUMENTS),
        ]
        return {path: dict.fromkeys(methods, answer) for path, methods, answer in table}

    def answer(self, call: Call) -> Answer:
        """Answer a request, one at a time: state.lock is held."""
        methods = self._routes.get(call.path)
        if methods is None:
            return error_answer(404, "not_found")
        if call.method not in methods:
            return Answer(405, {"Allow": ", ".join(sorted(methods))}, "")
        with self.state.lock:
            return methods[call.method](call)

    def _index(self, call: Call) -> Answer:
        return message(200, "oauthmail sandbox", f"Discovery document: {call.issuer}/.well-known/openid-configuration")

    def _metadata(self, call: Call) -> Answer:
        return json_answer(200, metadata(call.issuer))

    def _control(self, call: Call) -> Answer:
        return control(call, self.state, self.control_secret)

    # --- OAuth 2 ------------------------------------------------------------------------------------------------

    def _endpoint(self, call: Call) -> Answer:
        """Hand a request to oauthlib's token, introspection or revocation endpoint."""
        create = {
            "/token": self._server.create_token_response,
            "/introspect": self._server.create_introspect_response,
            "/revoke": self._server.create_revocation_response,
        }[call.path]
        try:
            headers, body, status = create(oauthlib_uri(call), "POST", reencoded(call), call.headers)
        except OAuth2Error as error:
            return refusal(error)
        if status == 401:
            # oauthlib's challenge is Bearer, but it is the client that failed (RFC 6749 section 5.2).
            headers = {**headers, "WWW-Authenticate": 'Basic realm="oauthmail sandbox"'}
        return Answer(status, headers, body or "")

    def _introspect(self, call: Call) -> Answer:
        """Note which token is asked about, and answer (RFC 7662) unless that is to fail."""
        self.state.introspected.append(fingerprint((call.form or {}).get("token", "")))
        if self.state.take_fault("temporary", "introspection"):
            return error_answer(503, "temporarily_unavailable")
        return self._endpoint(call)

    def _device_authorization(self, call: Call) -> Answer:
        try:
            content = self._server.device_authorization(oauthlib_uri(call), reencoded(call), call.headers, call.issuer)
        except OAuth2Error as error:
            return refusal(error)
        return json_answer(200, content)

    def _authorize(self, call: Call) -> Answer:
        """Check the request, ask the person, and send the browser back (RFC 6749 section 4.1)."""
        uri = oauthlib_uri(call)
        try:
            scopes, asked = self._server.validate_authorization_request(uri)
            decision = self._decide(call, self.store.clients[asked["client_id"]].name, scopes)
            if isinstance(decision, Answer):
                return decision
            user = decision.user if decision.allowed else None
        except FatalClientError as error:
            # Client or redirect URI are wrong: sending the browser there would help an attacker (section 4.1.2.1).
            return message(400, "This request cannot be answered", f"{error.error}: {error.description}")
        except OAuth2Error:
            # The client hears of it, from the same code as of a refusal by the person.
            user = None
        return redirect(self._server.authorize(uri, call.issuer, user))

    def _decide(self, call: Call, client: str, scopes: list[str], question: str = "") -> Decision | Answer:
        action = f"{call.path}?{urllib.parse.urlencode(urllib.parse.parse_qsl(call.query))}"
        return self.forms.decide(
            action=action,
            query=call.parameters,
            form=call.form,
            cookie=call.cookie,
            client=client,
            scopes=scopes,
            question=question,
        )

    def _device(self, call: Call) -> Answer:
        """Let a person connect a device (RFC 8628 section 3.3)."""
        typed = call.parameters.get("user_code", "")
        if not typed:
            return code_entry()
        device = self.store.device(typed)
        if device is None:
            return code_entry(typed, "That code is not known here, or no longer.")
        # Section 5.4: somebody may have sent the link with a code of their own.
        question = f"Only go on if your own device shows the code {device.user_code}."
        decision = self._decide(call, self.store.clients[device.client_id].name, list(device.scopes), question)
        if isinstance(decision, Answer):
            return decision
        if not decision.allowed:
            device.denied = True
            return message(200, "Denied", "The device gets no access. You can close this page.")
        device.user = decision.user
        return message(200, "Done", "Your device is connected. You can close this page.")

    # --- OAuth 1.0a ---------------------------------------------------------------------------------------------

    def _oauth1(self, call: Call) -> Answer:
        create = self.flow1.request_token if call.path == "/oauth1/request_token" else self.flow1.access_token
        uri = f"{call.base}{call.path}" + (f"?{call.query}" if call.query else "")
        try:
            headers, body, status = create(uri, call.method, call.body, call.headers)
        except ValueError:
            # oauthlib's word for parameters that are not form-encoded well.
            return error_answer(400, "invalid_request")
        return Answer(status, headers, body)

    def _oauth1_authorize(self, call: Call) -> Answer:
        """Ask the person and send the browser back, or show the verifier (RFC 5849 section 2.2)."""
        token = call.parameters.get("oauth_token", "")
        temporary = self.flow1.pending(token)
        if temporary is None:
            return message(400, "This request cannot be answered", "oauth_token is not known, or was used before.")
        decision = self._decide(call, temporary.client_key, ["mail"])
        if isinstance(decision, Answer):
            return decision
        location = self.flow1.authorize(token, decision.user if decision.allowed else None)
        if location:
            return redirect(location)
        if not decision.allowed:
            return message(200, "Denied", "The client gets no access. You can close this page.")
        return code_to_copy(temporary.verifier, temporary.client_key)
