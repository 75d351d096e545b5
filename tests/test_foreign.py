"""Other libraries' credentials open a mailbox, and an account opens it in other libraries; all of them real."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import authlib.integrations.requests_client
import pytest
import requests
import smtpproto.auth
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials as GoogleCredentials

from oauthmail import (
    IMAP4_SSL,
    Account,
    Application,
    CredentialsError,
    FlowError,
    MemoryStore,
    OAuth2Credentials,
    TokenSource,
)
from oauthmail.sandbox import Sandbox
from oauthmail.sources import adapt

with warnings.catch_warnings():
    # smtpproto 2.0.0 imports names by which anyio does not like to be called any more.
    warnings.simplefilter("ignore", DeprecationWarning)
    import smtpproto.client


@pytest.fixture(autouse=True)
def trusted(oauth_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(oauth_sandbox.ca_file))


@pytest.fixture
def account(oauth_sandbox: Sandbox) -> Account:
    account = Account(
        oauth_sandbox.new_user(),
        provider=oauth_sandbox.provider,
        application=oauth_sandbox.application,
        store=MemoryStore(),
        timeout=10,
    )
    return account.authorize(open_browser=oauth_sandbox.browser())


@pytest.fixture
def held(account: Account) -> OAuth2Credentials:
    assert account.record is not None
    assert isinstance(account.record.credentials, OAuth2Credentials)
    return account.record.credentials


@pytest.fixture
def token_json(oauth_sandbox: Sandbox, held: OAuth2Credentials) -> dict[str, Any]:
    """What Google's quickstart keeps of a sign-in."""
    return {
        "token": held.access_token,
        "refresh_token": held.refresh_token,
        "token_uri": f"{oauth_sandbox.web.https_url}/token",
        "client_id": oauth_sandbox.web.public_client_id,
        "client_secret": None,
        "scopes": ["mail"],
        "expiry": "2099-01-01T00:00:00Z",
    }


def opens(sandbox: Sandbox, user: str, credentials: object) -> bool:
    with IMAP4_SSL(sandbox.imaps.host, sandbox.imaps.port, ssl_context=sandbox.ssl_context(), timeout=10) as imap:
        imap.authenticate_oauth(user, credentials)
        return bool(imap.select()[0] == "OK")


def source(credentials: object) -> TokenSource:
    found = adapt(credentials)
    assert isinstance(found, TokenSource)
    return found


# --- Google's token.json ----------------------------------------------------------------------------------------------


def test_a_token_json_opens_the_mailbox_as_it_is(
    oauth_sandbox: Sandbox, account: Account, token_json: dict[str, Any]
) -> None:
    assert opens(oauth_sandbox, account.address, json.loads(json.dumps(token_json)))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"expiry": "2020-01-01T00:00:00.000001Z"}, id="expired"),
        pytest.param({"expiry": None}, id="no expiry"),
        pytest.param({"token": None}, id="authorized_user: no token at all"),
    ],
)
def test_a_token_json_is_renewed_when_it_has_to_be(
    oauth_sandbox: Sandbox, account: Account, token_json: dict[str, Any], changes: dict[str, Any]
) -> None:
    oauth_sandbox.revoke_token(token_json["token"])
    assert opens(oauth_sandbox, account.address, {**token_json, **changes})


def test_a_token_json_is_renewed_before_the_server_refuses_it(token_json: dict[str, Any]) -> None:
    assert source({**token_json, "expiry": "2020-01-01T00:00:00Z"}).token() != token_json["token"]


def test_a_token_json_is_renewed_when_the_server_refuses_it(
    oauth_sandbox: Sandbox, account: Account, token_json: dict[str, Any]
) -> None:
    oauth_sandbox.revoke_token(token_json["token"])
    assert opens(oauth_sandbox, account.address, token_json)


def test_a_token_json_keeps_the_refresh_token_that_replaces_its_own(token_json: dict[str, Any]) -> None:
    found = source({**token_json, "token": None})
    first = found.token()
    assert len({first, found.token(rejected=first), token_json["token"]}) == 3


def test_a_token_json_without_a_good_refresh_token_is_a_flow_error(token_json: dict[str, Any]) -> None:
    with pytest.raises(FlowError) as caught:
        source({**token_json, "token": None, "refresh_token": "unknown"}).token()
    assert caught.value.authorize_again


def test_a_token_json_that_leads_to_plain_http_is_refused(token_json: dict[str, Any]) -> None:
    with pytest.raises(CredentialsError, match="https"):
        source({**token_json, "token": None, "token_uri": "http://example.com/token"}).token()


# --- google-auth, Authlib, azure-identity -----------------------------------------------------------------------------


def test_google_auth_renews_a_users_token(oauth_sandbox: Sandbox) -> None:
    web = oauth_sandbox.web
    account = Account(
        oauth_sandbox.new_user(),
        provider=oauth_sandbox.provider,
        application=Application(web.client_id, web.client_secret),
        store=MemoryStore(),
    ).authorize(open_browser=oauth_sandbox.browser())
    assert account.record is not None
    assert isinstance(account.record.credentials, OAuth2Credentials)
    refresh_token = account.record.credentials.refresh_token
    oauth_sandbox.revoke_token(account.token())
    credentials = GoogleCredentials(
        account.token(),
        refresh_token=refresh_token,
        token_uri=f"{web.https_url}/token",
        client_id=web.client_id,
        client_secret=web.client_secret,
    )
    assert opens(oauth_sandbox, account.address, credentials)


def test_google_auth_obtains_a_service_accounts_token(oauth_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    user = oauth_sandbox.new_user()
    # It writes this into every assertion, wherever its token_uri points.
    monkeypatch.setattr(
        oauth_sandbox.web.store,
        "audiences",
        [*oauth_sandbox.web.store.audiences, "https://oauth2.googleapis.com/token"],
    )
    credentials = service_account.Credentials.from_service_account_info(
        oauth_sandbox.web.service_account_info, scopes=["mail"], subject=user
    )
    assert opens(oauth_sandbox, user, credentials)


@pytest.fixture
def session(oauth_sandbox: Sandbox, held: OAuth2Credentials) -> Iterator[Any]:
    token = {"access_token": held.access_token, "refresh_token": held.refresh_token, "token_type": "Bearer"}
    with authlib.integrations.requests_client.OAuth2Session(
        oauth_sandbox.web.public_client_id,
        token_endpoint=f"{oauth_sandbox.web.https_url}/token",
        token_endpoint_auth_method="none",
        token=token,
    ) as found:
        yield found


def test_an_authlib_session_opens_the_mailbox(oauth_sandbox: Sandbox, account: Account, session: Any) -> None:
    assert opens(oauth_sandbox, account.address, session)


def test_an_authlib_session_is_renewed_when_its_time_is_over(session: Any) -> None:
    session.token = {**session.token, "expires_at": 1}
    first = session.token["access_token"]
    assert source(session).token() != first


def test_an_authlib_session_is_renewed_when_the_server_refuses(
    oauth_sandbox: Sandbox, account: Account, session: Any
) -> None:
    oauth_sandbox.revoke_token(session.token["access_token"])
    assert opens(oauth_sandbox, account.address, session)


class Answering(RequestsTransport):  # type: ignore[misc]  # untyped
    """Answers azure-identity's requests as Microsoft does, and keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[Any] = []

    def send(self, request: HttpRequest, **kwargs: Any) -> Any:
        from azure.core.pipeline.transport import RequestsTransportResponse

        authority = request.url.partition("/v2.0")[0].partition("/oauth2")[0]
        document = {
            "issuer": f"{authority}/v2.0",
            "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
            "token_endpoint": f"{authority}/oauth2/v2.0/token",
        }
        self.bodies.append(request.body)
        answer = requests.Response()
        answer.status_code = 200
        answer.headers["Content-Type"] = "application/json"
        token = {"access_token": "from-azure", "token_type": "Bearer", "expires_in": 3600}
        answer._content = json.dumps(token if request.method == "POST" else document).encode()
        return RequestsTransportResponse(request, answer)


def test_azure_identity_is_asked_for_exchange_online() -> None:
    transport = Answering()
    credential = ClientSecretCredential(
        "11111111-2222-3333-4444-555555555555",
        "client",
        "secret",
        transport=transport,
        disable_instance_discovery=True,
    )
    token = source(credential).token()
    assert (token, "outlook.office365.com" in str(transport.bodies[-1])) == ("from-azure", True)


# --- the other way round ----------------------------------------------------------------------------------------------


class Authenticator(smtpproto.auth.OAuth2Authenticator):
    """smtpproto's way to ask for a token."""

    def __init__(self, account: Account) -> None:
        super().__init__(account.address)
        self.account = account

    async def get_token(self) -> smtpproto.auth.JSONWebToken:
        return {"access_token": await self.account.token_async(), "expires_in": 60}


def test_an_account_logs_smtpproto_in(oauth_sandbox: Sandbox, account: Account) -> None:
    from email.message import EmailMessage

    message = EmailMessage()
    message["From"] = message["To"] = account.address
    client = smtpproto.client.SyncSMTPClient(
        oauth_sandbox.smtp.host,
        oauth_sandbox.smtp.port,
        ssl_context=oauth_sandbox.ssl_context(),
        authenticator=Authenticator(account),
        domain="client.test",
        timeout=10,
    )
    client.send_message(message)
    assert len(oauth_sandbox.mailboxes.messages(account.address)) == 1
