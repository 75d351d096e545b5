"""What may be passed as credentials, with the real libraries where there is one."""

from __future__ import annotations

import json
import sys
import urllib.parse
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import msal
import oauthlib.oauth1
import pytest
import requests_oauthlib
from azure.core.credentials import AccessToken
from google.oauth2.credentials import Credentials as GoogleCredentials

from oauthmail import CredentialsError, OAuth1Credentials, OAuth2Credentials, TokenSource
from oauthmail.sources import adapt


def token_of(credentials: object, **kwargs: str) -> str:
    source = adapt(credentials, **kwargs)
    assert isinstance(source, TokenSource)
    return source.token()


class Renewing:
    def token(self, *, rejected: str | None = None) -> str:
        return "fresh" if rejected else "stale"


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        pytest.param("tok", "tok", id="str"),
        pytest.param(OAuth2Credentials("tok"), "tok", id="OAuth2Credentials"),
        pytest.param({"access_token": "tok", "expires_in": 3600}, "tok", id="token response"),
        pytest.param(lambda: "tok", "tok", id="callable to str"),
        pytest.param(lambda: OAuth2Credentials("tok"), "tok", id="callable to OAuth2Credentials"),
        pytest.param(lambda: {"access_token": "tok"}, "tok", id="callable to token response"),
        pytest.param(Renewing(), "stale", id="TokenSource"),
        pytest.param(GoogleCredentials("tok"), "tok", id="google-auth"),
        pytest.param(requests_oauthlib.OAuth2Session(token={"access_token": "tok"}), "tok", id="requests-oauthlib"),
    ],
)
def test_everything_that_holds_an_access_token_gives_it(credentials: object, expected: str) -> None:
    assert token_of(credentials) == expected


THREE_LEGGED = OAuth1Credentials("ck", "cs", "tk", "ts")


@pytest.mark.parametrize(
    ("credentials", "token", "expected"),
    [
        pytest.param(THREE_LEGGED, None, THREE_LEGGED, id="OAuth1Credentials"),
        pytest.param(
            SimpleNamespace(key="ck", secret="cs"),
            SimpleNamespace(key="tk", secret="ts"),
            THREE_LEGGED,
            id="python-oauth2's consumer and token",
        ),
        pytest.param(SimpleNamespace(key="ck", secret="cs"), None, OAuth1Credentials("ck", "cs"), id="consumer alone"),
        pytest.param(requests_oauthlib.OAuth1Session("ck", "cs", "tk", "ts"), None, THREE_LEGGED, id="OAuth1Session"),
        pytest.param(requests_oauthlib.OAuth1("ck", "cs", "tk", "ts"), None, THREE_LEGGED, id="OAuth1"),
        pytest.param(oauthlib.oauth1.Client("ck", "cs", "tk", "ts"), None, THREE_LEGGED, id="oauthlib's Client"),
        pytest.param(oauthlib.oauth1.Client("ck"), None, OAuth1Credentials("ck", ""), id="without secrets"),
    ],
)
def test_everything_that_holds_oauth_1_values_gives_them(
    credentials: object, token: object, expected: OAuth1Credentials
) -> None:
    assert adapt(credentials, token) == expected


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        pytest.param(None, "NoneType; accepted are OAuth1Credentials", id="None"),
        pytest.param(b"tok", "bytes", id="bytes"),
        pytest.param(7, "int", id="number"),
        pytest.param(["tok"], "list", id="list"),
        pytest.param(OAuth2Credentials, "not the class", id="class"),
        pytest.param({"token": "x"}, "no access_token", id="other dict"),
        pytest.param({"error": "invalid_grant"}, "invalid_grant", id="error response"),
        pytest.param({"access_token": None}, "NoneType", id="token response without a token"),
    ],
)
def test_other_types_are_refused_by_name(credentials: object, message: str) -> None:
    with pytest.raises(CredentialsError, match=message):
        adapt(credentials)


def test_a_callables_junk_is_refused_when_it_comes() -> None:
    with pytest.raises(CredentialsError, match="not int"):
        token_of(lambda: 7)


def test_a_consumer_without_a_real_token_is_refused() -> None:
    with pytest.raises(CredentialsError, match="token must have a key and a secret"):
        adapt(SimpleNamespace(key="ck", secret="cs"), "tk")


class HTTP:
    """Answers google-auth's and MSAL's requests and keeps them."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.forms: list[dict[str, str]] = []

    def get(self, url: str, **kwargs: Any) -> SimpleNamespace:
        authority = url.partition("/v2.0")[0]
        document = {
            "issuer": f"{authority}/v2.0",
            "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
            "token_endpoint": f"{authority}/oauth2/v2.0/token",
        }
        return SimpleNamespace(status_code=200, text=json.dumps(document), headers={})

    def post(self, url: str, data: Any = None, **kwargs: Any) -> SimpleNamespace:
        self.forms.append(data if isinstance(data, dict) else dict(urllib.parse.parse_qsl(data)))
        return SimpleNamespace(status_code=200, text=json.dumps(self.answers.pop(0)), headers={})

    def close(self) -> None:
        pass


AUTHORITY = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555"
SCOPE = "https://outlook.office.com/IMAP.AccessAsUser.All"


def signed_in(http: HTTP, *users: str) -> msal.PublicClientApplication:
    """Return an MSAL application that has signed these users in, each with a token that expires in an hour."""
    cache = msal.TokenCache()
    for number, user in enumerate(users):
        cache.add(
            {
                "client_id": "cid",
                "scope": SCOPE.split(),
                "token_endpoint": f"{AUTHORITY}/oauth2/v2.0/token",
                "response": {
                    "access_token": f"msal-{user}",
                    "refresh_token": f"refresh-{user}",
                    "expires_in": 3600,
                    "client_info": "eyJ1aWQiOiJ1JWQiLCJ1dGlkIjoidCJ9"
                    if not number
                    else "eyJ1aWQiOiJ2IiwidXRpZCI6InQifQ",
                    "id_token_claims": {"oid": f"u{number}", "preferred_username": user},
                },
            }
        )
    return msal.PublicClientApplication(
        "cid", authority=AUTHORITY, token_cache=cache, http_client=http, instance_discovery=False
    )


def test_msal_gives_the_cached_token_of_the_mailboxs_account() -> None:
    application = signed_in(HTTP(), "a@example.com", "b@example.com")
    assert token_of(application, user="b@example.com", protocol="imap") == "msal-b@example.com"


def test_msal_gives_the_only_account_for_a_shared_mailbox() -> None:
    assert token_of(signed_in(HTTP(), "a@example.com"), user="shared@example.com") == "msal-a@example.com"


def test_msal_is_asked_by_protocol_and_renews_a_rejected_token() -> None:
    http = HTTP({"access_token": "renewed", "token_type": "Bearer", "expires_in": 3600})
    source = adapt(signed_in(http, "a@example.com"), user="a@example.com", protocol="imap")
    assert isinstance(source, TokenSource)
    renewed = source.token(rejected="msal-a@example.com")
    form = http.forms[0]
    assert (renewed, form["refresh_token"], SCOPE in form["scope"]) == ("renewed", "refresh-a@example.com", True)


def test_msal_without_an_account_says_what_to_do() -> None:
    with pytest.raises(CredentialsError, match=r"sign in with https://outlook.office.com/SMTP.Send first"):
        token_of(signed_in(HTTP()), user="a@example.com", protocol="smtp")


def test_msal_with_only_other_accounts_takes_none_of_them() -> None:
    with pytest.raises(CredentialsError, match="several accounts"):
        token_of(signed_in(HTTP(), "a@example.com", "b@example.com"), user="c@example.com")


def test_msal_applications_with_a_secret_use_client_credentials() -> None:
    http = HTTP({"access_token": "app-only", "token_type": "Bearer", "expires_in": 3600})
    application = msal.ConfidentialClientApplication(
        "cid", client_credential="secret", authority=AUTHORITY, http_client=http, instance_discovery=False
    )
    found = token_of(application, user="a@example.com")
    assert (found, http.forms[0]["scope"]) == ("app-only", "https://outlook.office365.com/.default")


def test_azure_identity_is_asked_for_exchange_online() -> None:
    asked: list[tuple[str, ...]] = []

    class Credential:
        def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
            asked.append(scopes)
            return AccessToken("azure", 4102444800)

    assert (token_of(Credential()), asked) == ("azure", [("https://outlook.office365.com/.default",)])


class Google(GoogleCredentials):  # type: ignore[misc]  # google-auth's class is untyped
    """Counts what google-auth would ask its server for."""

    refreshed = 0
    expiry: Any

    def refresh(self, request: Any) -> None:
        self.refreshed += 1
        self.token = f"renewed-{self.refreshed}"
        self.expiry = None


@pytest.mark.parametrize(
    ("expired", "rejected", "expected"),
    [
        pytest.param(False, None, "first", id="good"),
        pytest.param(True, None, "renewed-1", id="expired"),
        pytest.param(False, "first", "renewed-1", id="rejected"),
        pytest.param(False, "older", "first", id="renewed by another thread since"),
    ],
)
def test_google_auth_is_refreshed_only_when_needed(expired: bool, rejected: str | None, expected: str) -> None:
    credentials = Google("first")
    if expired:
        credentials.expiry = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(hours=1)
    source = adapt(credentials)
    assert isinstance(source, TokenSource)
    assert source.token(rejected=rejected) == expected


def test_an_oauth2_session_is_renewed_by_its_own_settings() -> None:
    class Session(requests_oauthlib.OAuth2Session):  # type: ignore[misc]  # untyped
        def refresh_token(self, token_url: str, **kwargs: Any) -> dict[str, str]:
            asked.append((token_url, kwargs))
            self.token = {"access_token": "renewed"}
            return dict(self.token)

    asked: list[tuple[str, dict[str, Any]]] = []
    kept: list[dict[str, str]] = []
    session = Session(
        token={"access_token": "first"},
        auto_refresh_url="https://as.example/token",
        auto_refresh_kwargs={"client_id": "cid"},
        token_updater=kept.append,
    )
    source = adapt(session)
    assert isinstance(source, TokenSource)
    assert source.token(rejected="first") == "renewed"
    assert asked == [("https://as.example/token", {"client_id": "cid"})]
    assert kept == [{"access_token": "renewed"}]


def test_other_libraries_are_recognised_without_importing_them() -> None:
    # The real packages are loaded by this module; what counts is that the adapter does not mention them at the top.
    adapters = sys.modules["oauthmail.sources"]
    assert not {"google", "msal", "azure", "requests_oauthlib"} & set(vars(adapters))
