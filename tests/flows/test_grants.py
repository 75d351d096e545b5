"""The grants that need no browser, against the sandbox's authorization server and scripted ones."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import ssl
import subprocess
import sys
import traceback
import urllib.parse
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from oauthmail.applications import Application, ServiceAccount, load_application
from oauthmail.credentials import OAuth2Credentials
from oauthmail.errors import CredentialsError, FlowError
from oauthmail.flows import HTTP, client_credentials, refresh, service_account
from oauthmail.flows._assertions import client_assertion, service_account_assertion, thumbprints
from oauthmail.providers import Provider, custom, get
from oauthmail.sandbox.web import Web

from ..scripted import ScriptedServer
from .conftest import USER, Clock, Serve, SignIn, answering, requests_to, response, works

NOW = 1_700_000_000.0
HELD = OAuth2Credentials("old", refresh_token="old-refresh-token", scope=("a", "b"), id_token="old-id")
PUBLIC = Application("client")
AUDIENCE = "https://auth.example.org/token"


def answer(**members: object) -> bytes:
    return response(json.dumps({"access_token": "new", "token_type": "Bearer", **members}).encode())


def at(server: ScriptedServer, **changes: Any) -> Provider:
    return custom(token_endpoint=f"https://127.0.0.1:{server.port}/token", **changes)


def form(server: ScriptedServer) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(server.received[-1].decode()))


# --- refresh --------------------------------------------------------------------------------------------------------


def test_a_token_is_renewed_and_the_refresh_token_rotates(
    web: Web, provider: Provider, application: Application, http: HTTP, sign_in: SignIn, clock: Clock
) -> None:
    first = sign_in()
    second = refresh(provider, application, first, http=http, now=clock)
    assert works(web, second.access_token)
    assert second.refresh_token not in (None, first.refresh_token)
    assert second.expires_at == pytest.approx(clock() + 3600, abs=60)
    assert second.scope == ("mail",)


def test_a_confidential_client_renews_with_its_secret(
    web: Web, provider: Provider, confidential: Application, http: HTTP, sign_in: SignIn
) -> None:
    renewed = refresh(provider, confidential, sign_in(confidential), http=http)
    assert works(web, renewed.access_token)


def test_without_http_the_providers_certificates_are_used(
    web: Web, provider: Provider, application: Application, sign_in: SignIn
) -> None:
    assert works(web, refresh(provider, application, sign_in()).access_token)


def refused(provider: Provider, application: Application, credentials: OAuth2Credentials, http: HTTP) -> FlowError:
    with pytest.raises(FlowError) as caught:
        refresh(provider, application, credentials, http=http)
    return caught.value


def test_a_rotated_refresh_token_is_refused_and_reported(
    web: Web, provider: Provider, application: Application, http: HTTP, sign_in: SignIn
) -> None:
    first = sign_in()
    second = refresh(provider, application, first, http=http)
    error = refused(provider, application, first, http)
    assert (error.error, error.temporary, error.authorize_again) == ("invalid_grant", False, True)
    assert error.hint.startswith("Sign in again")
    # Somebody has come with a stolen token, for all that the server knows: what was issued for it is dead, too.
    assert not works(web, second.access_token)


def test_a_revoked_refresh_token_is_refused_and_reported(
    web: Web, provider: Provider, application: Application, http: HTTP, sign_in: SignIn
) -> None:
    credentials = sign_in()
    web.store.end_grant(web.store.refresh_tokens[str(credentials.refresh_token)].grant)
    error = refused(provider, application, credentials, http)
    assert (error.error, error.authorize_again) == ("invalid_grant", True)


def test_another_applications_refresh_token_is_refused(
    provider: Provider, confidential: Application, http: HTTP, sign_in: SignIn
) -> None:
    assert refused(provider, confidential, sign_in(), http).error == "invalid_grant"


def test_a_wrong_client_secret_does_not_end_the_authorization(
    web: Web, provider: Provider, confidential: Application, http: HTTP, sign_in: SignIn
) -> None:
    credentials = sign_in(confidential)
    error = refused(provider, replace(confidential, client_secret="wrong"), credentials, http)
    assert (error.error, error.temporary, error.authorize_again) == ("invalid_client", False, False)
    assert works(web, refresh(provider, confidential, credentials, http=http).access_token)


def test_a_scope_that_was_not_granted_is_refused(
    provider: Provider, application: Application, http: HTTP, sign_in: SignIn
) -> None:
    with pytest.raises(FlowError) as caught:
        refresh(provider, application, sign_in(scope="smtp"), scope=["smtp", "imap"], http=http)
    assert (caught.value.error, caught.value.authorize_again) == ("invalid_scope", False)


def test_a_narrower_scope_may_be_asked_for(
    provider: Provider, application: Application, http: HTTP, sign_in: SignIn
) -> None:
    assert refresh(provider, application, sign_in(scope="smtp imap"), scope=["smtp"], http=http).scope == ("smtp",)


def test_without_a_refresh_token_nothing_is_sent(http: HTTP, serve: Serve) -> None:
    with serve() as server:
        error = refused(at(server), PUBLIC, OAuth2Credentials("old"), http)
    assert (error.error, error.temporary, error.authorize_again) == ("no_refresh_token", False, True)
    assert "lasting access" in error.hint
    assert server.lines == []


def test_without_an_application_nothing_is_sent(http: HTTP, serve: Serve) -> None:
    with serve() as server, pytest.raises(CredentialsError, match="only good for the application"):
        refresh(at(server), None, HELD, http=http)
    assert server.lines == []


def test_what_the_answer_leaves_out_is_kept(http: HTTP, serve: Serve) -> None:
    with serve(answering(answer())) as server:
        assert refresh(at(server), PUBLIC, HELD, http=http) == replace(HELD, access_token="new")


def test_what_the_answer_brings_replaces_what_was_held(http: HTTP, serve: Serve) -> None:
    brought = answer(refresh_token="new-refresh-token", scope="b", id_token="new-id", expires_in=60)
    with serve(answering(brought)) as server:
        renewed = refresh(at(server), PUBLIC, HELD, http=http, now=lambda: NOW)
    assert renewed == OAuth2Credentials(
        "new", refresh_token="new-refresh-token", scope=("b",), id_token="new-id", expires_at=NOW + 60
    )


def test_the_scope_is_sent_only_where_less_is_asked_for(http: HTTP, serve: Serve) -> None:
    with serve(answering(answer()), answering(answer())) as server:
        refresh(at(server), PUBLIC, HELD, http=http)
        assert form(server) == {
            "grant_type": "refresh_token",
            "refresh_token": "old-refresh-token",
            "client_id": "client",
        }
        refresh(at(server), PUBLIC, HELD, scope=("a",), http=http)
        assert form(server)["scope"] == "a"


@pytest.mark.parametrize(
    ("application", "redirect_uri"),
    [
        pytest.param(PUBLIC, "http://localhost/", id="loopback"),
        pytest.param(replace(PUBLIC, redirect_uri="https://me.example/back"), "https://me.example/back", id="own"),
    ],
)
def test_the_redirect_uri_is_repeated_where_the_provider_wants_it(
    application: Application, redirect_uri: str, http: HTTP, serve: Serve
) -> None:
    with serve(answering(answer())) as server:
        refresh(at(server, redirect_uri_on_refresh=True, loopback_host="localhost"), application, HELD, http=http)
    assert form(server)["redirect_uri"] == redirect_uri


def test_an_outage_leaves_the_authorization_alone(http: HTTP, serve: Serve) -> None:
    with serve(*[answering(response(b"<html>", status="503 Down", kind="text/html"))] * 4) as server:
        error = refused(at(server), PUBLIC, HELD, http)
    assert (error.temporary, error.authorize_again) == (True, False)
    assert "what is stored stays good" in error.hint
    assert len(requests_to(server)) == 4


def renew_with_secrets(provider: Provider, http: HTTP) -> None:
    """Ask with secrets that only this frame, which is the caller's, holds."""
    application = Application("client", "client-secret-of-the-test_0123456789")
    refresh(provider, application, OAuth2Credentials("old", refresh_token="1//refresh-token-of-the-test"), http=http)


def stack(error: BaseException) -> str:
    """Return what the frames of an exception hold, but for those of this module, which are the caller's own."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_globals["__name__"] != __name__]
    return "\n".join([repr([*map(vars_of, frame.f_locals.values())]) for frame in frames])


def vars_of(value: object) -> object:
    return getattr(value, "__dict__", value)


@pytest.mark.parametrize(
    "octets", [b"", response(b'{"error": "invalid_grant"}', status="400 Bad"), answer(token_type=1)]
)
def test_an_exception_takes_no_secret_along(octets: bytes, http: HTTP, serve: Serve) -> None:
    with serve(*[answering(octets)] * 4) as server, pytest.raises(FlowError) as caught:
        renew_with_secrets(at(server), http)
    shown = stack(caught.value)
    assert [secret for secret in ("client-secret", "refresh-token-of") if secret in shown] == []
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


# --- client credentials ---------------------------------------------------------------------------------------------


def test_an_application_gets_a_token_of_its_own(
    web: Web, provider: Provider, confidential: Application, http: HTTP, clock: Clock
) -> None:
    provider = replace(provider, client_credentials_scope="https://outlook.office365.com/.default")
    credentials = client_credentials(provider, confidential, http=http, now=clock)
    assert works(web, credentials.access_token, web.store.application_user)
    assert credentials.refresh_token is None
    assert credentials.expires_at == pytest.approx(clock() + 3600, abs=60)


def test_the_providers_scope_is_asked_for_and_can_be_replaced(http: HTTP, serve: Serve) -> None:
    secret = replace(PUBLIC, client_secret="s")
    with serve(*[answering(answer())] * 3) as server:
        provider = at(server, client_credentials=True, client_credentials_scope="own/.default")
        assert client_credentials(provider, secret, http=http).scope == ("own/.default",)
        assert form(server)["scope"] == "own/.default"
        client_credentials(provider, secret, scope=["a", "b"], http=http)
        assert form(server)["scope"] == "a b"
        client_credentials(replace(provider, client_credentials_scope=None), secret, http=http)
        assert "scope" not in form(server)


def test_a_refusal_of_an_application_asks_nobody_to_sign_in(http: HTTP, serve: Serve) -> None:
    with (
        serve(answering(response(b'{"error": "invalid_grant"}', status="400 Bad"))) as server,
        pytest.raises(FlowError) as caught,
    ):
        client_credentials(at(server, client_credentials=True), replace(PUBLIC, client_secret="s"), http=http)
    assert (caught.value.error, caught.value.authorize_again) == ("invalid_grant", False)


@pytest.mark.parametrize(
    ("changes", "application", "problem"),
    [
        pytest.param({"client_credentials": False}, Application("a", "s"), "somebody has to sign in", id="provider"),
        pytest.param(
            {"client_credentials": False, "jwt_bearer": True},
            Application("a", "s"),
            "use a service account",
            id="provider with service accounts",
        ),
        pytest.param({}, PUBLIC, "needs? an application with a client_secret", id="public client"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    changes: dict[str, Any], application: Application, problem: str, http: HTTP, serve: Serve
) -> None:
    with serve() as server, pytest.raises(CredentialsError, match=problem):
        client_credentials(at(server, **{"client_credentials": True, **changes}), application, http=http)
    assert server.lines == []


@pytest.mark.parametrize("tenant", [None, "organizations", "common"])
def test_microsoft_wants_the_tenant_named(tenant: str | None) -> None:
    with pytest.raises(CredentialsError, match="the tenant's id or domain"):
        client_credentials(get("microsoft365").with_tenant(tenant), Application("a", "s"))


def test_google_has_no_client_credentials() -> None:
    with pytest.raises(CredentialsError, match="use a service account"):
        client_credentials(get("google"), Application("a", "s"))


# --- signed proofs --------------------------------------------------------------------------------------------------


def pem(key: Any) -> str:
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    octets: bytes = key.private_bytes(encoding, kind, serialization.NoEncryption())
    return octets.decode()


def certificate_of(key: Any) -> str:
    """Return a certificate for the key, as it is uploaded to a registration."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail robot")])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + datetime.timedelta(days=9999))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def verified(assertion: str, key: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a JWT whose signature joserfc has checked."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    kind = RSAKey if isinstance(key, rsa.RSAPrivateKey) else ECKey
    token = jwt.decode(assertion, kind.import_key(public), algorithms=["RS256", "ES256"])
    return token.header, token.claims


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS256"), (EC_KEY, "ES256")])
def test_a_clients_assertion_is_as_rfc_7523_section_3_wants_it(key: Any, algorithm: str) -> None:
    application = Application("client", private_key=pem(key), key_id="key-1")
    header, claims = verified(client_assertion(application, AUDIENCE, NOW), key)
    assert header == {"alg": algorithm, "typ": "JWT", "kid": "key-1"}
    jti = claims.pop("jti")
    assert len(jti) >= 16
    assert claims == {
        "iss": "client",
        "sub": "client",
        "aud": AUDIENCE,
        "iat": int(NOW),
        "exp": int(NOW) + 600,
    }


def test_no_two_assertions_have_one_id() -> None:
    application = Application("client", private_key=pem(EC_KEY))
    ids = {verified(client_assertion(application, AUDIENCE, NOW), EC_KEY)[1]["jti"] for _ in range(5)}
    assert len(ids) == 5


def test_a_certificates_fingerprints_are_in_the_header() -> None:
    certificate = certificate_of(RSA_KEY)
    application = Application("client", private_key=pem(RSA_KEY), certificate=certificate)
    header, _ = verified(client_assertion(application, AUDIENCE, NOW), RSA_KEY)
    der = ssl.PEM_cert_to_DER_cert(certificate)
    expected = {"x5t": hashlib.sha1(der).digest(), "x5t#S256": hashlib.sha256(der).digest()}  # noqa: S324
    assert {name: base64.urlsafe_b64decode(header[name] + "==") for name in expected} == expected


def test_a_fingerprint_is_as_printed_in_rfc_8705_appendix_a() -> None:
    printed = x509.load_pem_x509_certificate(
        b"""-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----
"""
    )
    assert thumbprints(printed)["x5t#S256"] == "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"private_key": pem(ec.generate_private_key(ec.SECP384R1()))}, "P-256", id="another curve"),
        pytest.param(
            {"private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}, "RSA", id="broken key"
        ),
        pytest.param({"certificate": certificate_of(EC_KEY)}, "does not belong", id="another key's certificate"),
        pytest.param(
            {"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
            "cannot be read",
            id="broken certificate",
        ),
    ],
)
def test_what_cannot_sign_is_refused_before_anything_is_sent(
    changes: dict[str, str], problem: str, http: HTTP, serve: Serve
) -> None:
    application = replace(Application("client", private_key=pem(RSA_KEY)), **changes)
    with serve() as server, pytest.raises(CredentialsError, match=problem):
        client_credentials(at(server, client_credentials=True), application, http=http)
    assert server.lines == []


def test_a_private_key_proves_an_application_to_the_sandbox(web: Web, provider: Provider, http: HTTP) -> None:
    application = Application(web.client_id, private_key=web.client_key)
    credentials = client_credentials(provider, application, scope=["mail"], http=http)
    assert works(web, credentials.access_token, web.store.application_user)


def test_a_private_key_goes_before_a_secret_and_the_secret_stays_here(http: HTTP, serve: Serve) -> None:
    application = Application("client", "the-secret", private_key=pem(EC_KEY))
    with serve(answering(answer())) as server:
        provider = at(server, client_credentials=True, token_endpoint_auth_method="client_secret_basic")
        client_credentials(provider, application, http=http)
    sent = form(server)
    assert verified(sent.pop("client_assertion"), EC_KEY)[1]["aud"] == provider.token_endpoint
    assert sent == {
        "grant_type": "client_credentials",
        "client_id": "client",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    assert not any(line.startswith(b"Authorization") for line in server.received)


def test_an_unknown_key_is_refused_and_reported(web: Web, provider: Provider, http: HTTP) -> None:
    application = Application(web.client_id, private_key=pem(RSA_KEY))
    with pytest.raises(FlowError) as caught:
        client_credentials(provider, application, http=http)
    assert (caught.value.error, caught.value.authorize_again) == ("invalid_client", False)


def test_a_clock_that_is_wrong_is_refused_and_reported(web: Web, provider: Provider, http: HTTP) -> None:
    application = Application(web.client_id, private_key=web.client_key)
    with pytest.raises(FlowError) as caught:
        client_credentials(provider, application, http=http, now=lambda: NOW)
    assert caught.value.error == "invalid_client"
    assert "expired" in caught.value.error_description


@pytest.mark.parametrize("missing", ["jwt", "cryptography"])
def test_without_pyjwt_the_extra_is_named(missing: str) -> None:
    program = f"""
import sys
sys.modules[{missing!r}] = None
from oauthmail.applications import Application
from oauthmail.errors import CredentialsError
from oauthmail.flows._assertions import client_assertion
try:
    client_assertion(Application("client", private_key={pem(EC_KEY)!r}), "https://auth.example.org/token", 0)
except CredentialsError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "python -m pip install 'oauthmail[jwt]'" in done.stdout


# --- service accounts -----------------------------------------------------------------------------------------------


def test_a_service_account_acts_for_a_mailbox(web: Web, provider: Provider, http: HTTP, clock: Clock) -> None:
    account = ServiceAccount(web.service_account_email, web.service_account_key, private_key_id="sandbox-1")
    credentials = service_account(provider, account, subject=USER, scope=["mail"], http=http, now=clock)
    assert works(web, credentials.access_token)
    assert credentials.refresh_token is None


def test_the_file_of_a_service_account_works_as_it_is(web: Web, provider: Provider, http: HTTP, tmp_path: Any) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(web.service_account_info))
    account = load_application(path)
    assert isinstance(account, ServiceAccount)
    assert works(web, service_account(provider, account, subject=USER, scope=["mail"], http=http).access_token)


def account_of(key: Any = RSA_KEY, **changes: Any) -> ServiceAccount:
    return ServiceAccount("robot@project.example", pem(key), **changes)


def test_a_service_accounts_assertion_is_as_google_wants_it() -> None:
    account = account_of(private_key_id="key-1")
    header, claims = verified(service_account_assertion(account, USER, "a b", AUDIENCE, NOW), RSA_KEY)
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    assert claims == {
        "iss": "robot@project.example",
        "sub": USER,
        "scope": "a b",
        "aud": AUDIENCE,
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }


def test_a_header_is_encoded_as_google_prints_it() -> None:
    # https://developers.google.com/identity/protocols/oauth2/service-account, {"alg":"RS256","typ":"JWT"}
    assertion = service_account_assertion(account_of(), USER, "a", AUDIENCE, NOW)
    assert assertion.partition(".")[0] == "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9"


def test_the_assertion_is_all_that_is_sent(http: HTTP, serve: Serve) -> None:
    with serve(answering(answer())) as server:
        provider = at(server, jwt_bearer=True)
        credentials = service_account(
            provider, account_of(), subject=USER, scope=("a", "b"), http=http, now=lambda: NOW
        )
    sent = form(server)
    claims = verified(sent.pop("assertion"), RSA_KEY)[1]
    assert sent == {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
    assert (claims["aud"], claims["scope"]) == (provider.token_endpoint, "a b")
    assert credentials.scope == ("a", "b")


def test_an_unknown_account_is_refused_and_reported(provider: Provider, http: HTTP) -> None:
    with pytest.raises(FlowError) as caught:
        service_account(provider, account_of(), subject=USER, scope=["mail"], http=http)
    error = caught.value
    assert (error.error, error.temporary, error.authorize_again) == ("invalid_grant", False, False)
    assert "clock" in error.hint


@pytest.mark.parametrize(
    "token_uri",
    [
        "https://evil.example/token",
        "https://oauth2.googleapis.com.evil.example/token",
        "https://oauth2.googleapis.com@evil.example/token",
        "http://evil.example/token",
        "https:///token",
        "oauth2.googleapis.com",
    ],
)
def test_a_forged_file_sends_no_assertion_elsewhere(token_uri: str) -> None:
    with pytest.raises(CredentialsError, match="another server"):
        service_account(get("google"), account_of(token_uri=token_uri), subject=USER, scope=["a"])


@pytest.mark.parametrize(
    ("token_uri", "audience"),
    [
        pytest.param(None, "https://127.0.0.1:{port}/token", id="none"),
        pytest.param("https://127.0.0.1/elsewhere", "https://127.0.0.1:{port}/token", id="same host"),
        pytest.param("https://accounts.example/o/token", "https://127.0.0.1:{port}/token", id="issuer's host"),
    ],
)
def test_a_provider_of_the_table_is_asked_where_the_table_says(
    token_uri: str | None, audience: str, http: HTTP, serve: Serve
) -> None:
    with serve(answering(answer())) as server:
        provider = at(server, id="google", jwt_bearer=True, issuer="https://accounts.example")
        service_account(provider, account_of(token_uri=token_uri), subject=USER, scope=["a"], http=http)
    assert verified(form(server)["assertion"], RSA_KEY)[1]["aud"] == audience.format(port=server.port)


def test_another_provider_is_asked_at_its_endpoint_for_the_audience_of_the_file(http: HTTP, serve: Serve) -> None:
    with serve(answering(answer())) as server:
        account = account_of(token_uri="https://127.0.0.1/named")
        service_account(at(server, jwt_bearer=True), account, subject=USER, scope=["a"], http=http)
    assert verified(form(server)["assertion"], RSA_KEY)[1]["aud"] == "https://127.0.0.1/named"


def test_a_provider_without_an_endpoint_is_asked_where_the_file_says(http: HTTP, serve: Serve) -> None:
    with serve(answering(answer())) as server:
        token_uri = f"https://127.0.0.1:{server.port}/token"
        account = account_of(token_uri=token_uri)
        service_account(custom(jwt_bearer=True), account, subject=USER, scope=["a"], http=http)
    assert verified(form(server)["assertion"], RSA_KEY)[1]["aud"] == token_uri


@pytest.mark.parametrize(
    ("provider", "account", "subject", "scope", "problem"),
    [
        pytest.param(custom(), account_of(), USER, ["a"], "no service accounts", id="provider"),
        pytest.param(get("microsoft365"), account_of(), USER, ["a"], "no service accounts", id="Microsoft"),
        pytest.param(get("google"), account_of(EC_KEY), USER, ["a"], "RSA", id="elliptic curve"),
        pytest.param(get("google"), account_of(), "", ["a"], "subject is empty", id="no subject"),
        pytest.param(get("google"), account_of(), USER, [], "scope is empty", id="no scope"),
        pytest.param(custom(jwt_bearer=True), account_of(), USER, ["a"], "no token endpoint", id="no endpoint"),
        pytest.param(
            custom(jwt_bearer=True),
            account_of(token_uri="http://auth.example/token"),
            USER,
            ["a"],
            "must be https",
            id="http",
        ),
    ],
)
def test_an_account_that_cannot_work_is_refused_before_anything_is_sent(
    provider: Provider, account: ServiceAccount, subject: str, scope: list[str], problem: str
) -> None:
    with pytest.raises(CredentialsError, match=problem):
        service_account(provider, account, subject=subject, scope=scope)
