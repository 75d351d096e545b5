"""Runs an authorization server of Authlib's classes on a port of the loopback interface.

The protocol is Authlib's: the device grant (RFC 8628), assertions of service accounts (RFC 7523), client credentials
and code with PKCE and refresh without rotation, revocation, registration and metadata (RFC 8414). Here are only what
Authlib leaves to its users, records and decisions, and a page with a form.
"""

from __future__ import annotations

import dataclasses
import secrets
import sys
import time
import urllib.parse
from typing import Any
from wsgiref.simple_server import make_server

import flask
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7523 import JWTBearerGrant
from authlib.oauth2.rfc7591 import ClientRegistrationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc8628 import (
    DEVICE_CODE_GRANT_TYPE,
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
    DeviceCredentialDict,
)
from authlib.oauth2.rfc9207 import IssuerParameter
from joserfc.jwk import KeySet

# With a path, so that the metadata's address is made by RFC 8414 section 3.1 and not by appending.
ISSUER_PATH = "/tenant"
AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]

PAGE = """\
<!doctype html>
<title>{{ title }}</title>
<p>{{ message }}</p>
{% if form %}
<form method="post">
  {% if device %}<input name="user_code" value="{{ request.args.get('user_code', '') }}" required>{% endif %}
  <input name="username" required>
  <input type="password" name="password" required>
  <button name="answer" value="deny">Deny</button>
  <button name="answer" value="accept">Accept</button>
</form>
{% endif %}
"""


# --- records --------------------------------------------------------------------------------------------------------


class Client(ClientMixin):  # type: ignore[misc]  # Authlib's classes have no types
    def __init__(self, information: dict[str, Any], metadata: dict[str, Any]) -> None:
        self.client_id: str = information["client_id"]
        self.secret: str = information["client_secret"]
        self.metadata = metadata

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        """Grant at most what is registered, in the order of the registration."""
        wanted = (scope or "").split()
        return " ".join(word for word in self.metadata["scope"].split() if word in wanted)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Take every port of a registered loopback address (RFC 8252 section 7.3)."""
        return without_port(redirect_uri) in map(without_port, self.metadata["redirect_uris"])

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        registered: str = self.metadata["token_endpoint_auth_method"]
        return method == registered

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.metadata["grant_types"]


def without_port(address: str) -> tuple[str, str | None, str, str]:
    parts = urllib.parse.urlsplit(address)
    return parts.scheme, parts.hostname, parts.path, parts.query


@dataclasses.dataclass
class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    client_id: str
    user: str
    redirect_uri: str
    scope: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


class Token(TokenMixin):  # type: ignore[misc]
    def __init__(self, token: dict[str, Any], client_id: str, user: str | None) -> None:
        self.scope: str = token.get("scope", "")
        self.refresh_token: str | None = token.get("refresh_token")
        self.client_id, self.user = client_id, user

    def check_client(self, client: Client) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope


class Memory:
    """All records, by what they are asked for."""

    def __init__(self, username: str, password: str) -> None:
        self.username, self.password = username, password
        self.clients: dict[str, Client] = {}
        self.codes: dict[str, Code] = {}
        # By access token and by refresh token.
        self.tokens: dict[str, Token] = {}
        self.device_codes: dict[str, DeviceCredentialDict] = {}
        # By user code: who decided, and how.
        self.decisions: dict[str, tuple[str, bool]] = {}

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        record = Token(token, request.client.client_id, request.user)
        for name in {"access_token", "refresh_token"} & token.keys():
            self.tokens[token[name]] = record

    def user_of(self, form: dict[str, str]) -> str | None:
        """Return who signed in with a page's form, or None."""
        typed = form.get("username"), form.get("password")
        return self.username if typed == (self.username, self.password) else None


# --- grants ---------------------------------------------------------------------------------------------------------


def register_grants(server: AuthorizationServer, memory: Memory, base: str) -> None:
    """Tell Authlib's grants where the records are."""

    class Codes(grants.AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

        def save_authorization_code(self, code: str, request: Any) -> None:
            memory.codes[code] = Code(
                request.client.client_id,
                request.user,
                request.payload.redirect_uri,
                request.client.get_allowed_scope(request.payload.scope),
                request.payload.data["code_challenge"],
                request.payload.data["code_challenge_method"],
            )

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            found = memory.codes.get(code)
            return found if found and found.client_id == client.client_id else None

        def delete_authorization_code(self, authorization_code: Code) -> None:
            memory.codes = {code: record for code, record in memory.codes.items() if record is not authorization_code}

        def authenticate_user(self, authorization_code: Code) -> str:
            return authorization_code.user

    class Refresh(grants.RefreshTokenGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

        def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
            return memory.tokens.get(refresh_token)

        def authenticate_user(self, credential: Token) -> str | None:
            return credential.user

        def revoke_old_credential(self, credential: Token) -> None:
            """Leave the one refresh token as it is."""

    class Applications(grants.ClientCredentialsGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    class ServiceAccounts(JWTBearerGrant):  # type: ignore[misc]
        def resolve_issuer_client(self, issuer: str) -> Client | None:
            return memory.clients.get(issuer)

        def resolve_client_public_key(self, client: Client) -> KeySet:
            return KeySet.import_key_set(client.metadata["jwks"])

        def authenticate_user(self, subject: str) -> str | None:
            return subject if subject == memory.username else None

        def get_audiences(self) -> list[str]:
            return [f"{base}/token"]

        def has_granted_permission(self, client: Client, user: str) -> bool:
            return True

    class Devices(DeviceCodeGrant):  # type: ignore[misc]
        def query_device_credential(self, device_code: str) -> DeviceCredentialDict | None:
            return memory.device_codes.get(device_code)

        def query_user_grant(self, user_code: str) -> tuple[str, bool] | None:
            return memory.decisions.get(user_code)

        def should_slow_down(self, credential: DeviceCredentialDict) -> bool:
            """Say so to every question but the first: the devices of tests do not really wait."""
            asked_before = "asked" in credential
            credential["asked"] = True
            return asked_before

    server.register_grant(Codes, [CodeChallenge(required=True)])
    for grant in (Refresh, Applications, ServiceAccounts, Devices):
        server.register_grant(grant)


def register_endpoints(server: AuthorizationServer, memory: Memory, base: str) -> None:
    """Tell Authlib's other endpoints where the records are, and have answers name the server."""

    class Revocation(RevocationEndpoint):  # type: ignore[misc]
        CLIENT_AUTH_METHODS = AUTH_METHODS

        def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
            return memory.tokens.get(token_string)

        def revoke_token(self, token: Token, request: Any) -> None:
            """End what was named: with a refresh token its access tokens, but not the other way round."""
            named = request.form["token"]
            memory.tokens = {
                text: record
                for text, record in memory.tokens.items()
                if text != named and (record is not token or named != token.refresh_token)
            }

    class Registration(ClientRegistrationEndpoint):  # type: ignore[misc]
        def authenticate_token(self, request: Any) -> str:
            return "anybody"

        def get_server_metadata(self) -> dict[str, Any]:
            return metadata(base)

        def save_client(self, information: dict[str, Any], metadata: dict[str, Any], request: Any) -> Client:
            client = memory.clients[information["client_id"]] = Client(information, metadata)
            return client

    class DeviceAuthorization(DeviceAuthorizationEndpoint):  # type: ignore[misc]
        def get_verification_uri(self) -> str:
            return f"{base}/device"

        def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
            expires_at = time.time() + data["expires_in"]
            memory.device_codes[data["device_code"]] = DeviceCredentialDict(
                data, client_id=client_id, scope=scope, expires_at=expires_at
            )

    class Issuer(IssuerParameter):  # type: ignore[misc]
        def get_issuer(self) -> str:
            return f"{base}{ISSUER_PATH}"

    for endpoint in (Revocation, Registration, DeviceAuthorization):
        server.register_endpoint(endpoint)
    server.register_extension(Issuer())


def metadata(base: str) -> dict[str, Any]:
    """Describe the server (RFC 8414), and have Authlib check that."""
    described = AuthorizationServerMetadata(
        {
            "issuer": f"{base}{ISSUER_PATH}",
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "token_endpoint_auth_methods_supported": AUTH_METHODS,
            "device_authorization_endpoint": f"{base}/device_authorization",
            "registration_endpoint": f"{base}/register",
            "revocation_endpoint": f"{base}/revoke",
            "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
            "response_types_supported": ["code"],
            "grant_types_supported": [
                "authorization_code",
                "refresh_token",
                "client_credentials",
                JWTBearerGrant.GRANT_TYPE,
                DEVICE_CODE_GRANT_TYPE,
            ],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
    )
    described.validate()
    return dict(described)


# --- pages ----------------------------------------------------------------------------------------------------------


class Pages:
    """What a person sees, and what only a test can do."""

    def __init__(self, server: AuthorizationServer, memory: Memory) -> None:
        self._server, self._memory = server, memory

    def authorize(self) -> Any:
        """Ask for consent, sign-in included, and send the browser back."""
        try:
            grant = self._server.get_consent_grant()
        except OAuth2Error as error:
            return self._server.handle_error_response(None, error)
        form = flask.request.form
        if (user := self._memory.user_of(form)) is None:
            return page("Sign in", f"{grant.client.client_id} asks for {grant.request.payload.scope}", form=True)
        granted = user if form["answer"] == "accept" else None
        return self._server.create_authorization_response(grant=grant, grant_user=granted)

    def device(self) -> Any:
        """Ask for a device's code and for consent."""
        form = flask.request.form
        known = {credential.get_user_code() for credential in self._memory.device_codes.values()}
        user = self._memory.user_of(form)
        if user is None or form["user_code"] not in known:
            return page("Connect a device", "Which code does it show?", form=True, device=True)
        self._memory.decisions[form["user_code"]] = user, form["answer"] == "accept"
        return page("Done", "You may close this window.")

    def expire(self) -> str:
        """Let the time of all device codes be over."""
        for credential in self._memory.device_codes.values():
            credential["expires_at"] = 0
        return ""


def page(title: str, message: str, **values: object) -> Any:
    return flask.render_template_string(PAGE, title=title, message=message, **values)


def create_app(base: str, memory: Memory) -> flask.Flask:
    """Return the whole server."""
    app = flask.Flask(__name__)
    app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
    server = AuthorizationServer(app, memory.clients.get, memory.save_token)
    register_grants(server, memory, base)
    register_endpoints(server, memory, base)

    pages = Pages(server, memory)
    app.add_url_rule("/authorize", view_func=pages.authorize, methods=["GET", "POST"])
    app.add_url_rule("/device", view_func=pages.device, methods=["GET", "POST"])
    app.add_url_rule("/expire", view_func=pages.expire, methods=["POST"])
    app.add_url_rule("/token", "token", server.create_token_response, methods=["POST"])
    for path, name in (
        ("/revoke", "revocation"),
        ("/register", "client_registration"),
        ("/device_authorization", "device_authorization"),
    ):
        app.add_url_rule(path, name, server.create_endpoint_response, methods=["POST"], defaults={"name": name})
    # A tenant whose metadata is another's: a client that does not compare the issuer would trust it.
    for tenant in (ISSUER_PATH, "/impostor"):
        app.add_url_rule(f"/.well-known/oauth-authorization-server{tenant}", tenant[1:], lambda: metadata(base))
    return app


def main(folder: str, port: int, username: str, password: str) -> None:
    """Serve one user until the process is ended; *folder* is not used."""
    app = create_app(f"http://127.0.0.1:{port}", Memory(username, password))
    make_server("127.0.0.1", port, app).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
