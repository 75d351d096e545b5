"""``oauthmail import``: each program's file, and what is often taken for one."""

from __future__ import annotations

import base64
import json
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from oauthlib.oauth2 import OAuth2Token

from oauthmail import Application, CredentialsError, FileStore, OAuth2Credentials, Provider, importing, providers
from oauthmail.importing import NONE_YET, Found
from oauthmail.records import Record, encode
from oauthmail.sandbox import Sandbox

from .rig import oauthmail, refresh_token
from .signing_in import toml_of

SCOPE = "https://mail.google.com/"
MS = "https://login.microsoftonline.com"
GMAIL_SEND = "https://www.googleapis.com/auth/gmail.send"
OURS = Record(
    *("me@gmail.com", "google", "device", Application("our-id", "our-secret")),
    OAuth2Credentials("our-access", refresh_token="our-refresh", expires_at=4e9, scope=(SCOPE,)),
    authorized_at=1.8e9,
)


def google_auth() -> bytes:
    """Return what google-auth itself writes."""
    import datetime

    credentials = Credentials(
        *("acc", "ref", None, "https://oauth2.googleapis.com/token", "id", "sec", [SCOPE]), account="me@gmail.com"
    )
    credentials.expiry = datetime.datetime(2030, 1, 2, 3, 4, 5, 678900)
    return credentials.to_json().encode()  # type: ignore[no-any-return]  # google-auth has no types


FILES: dict[str, tuple[bytes, Found]] = {
    "google": (
        google_auth(),
        Found(
            *("google", "me@gmail.com", "acc", "ref", 1893553445.6789, (SCOPE,), "id", "sec"),
            token_endpoint="https://oauth2.googleapis.com/token",
        ),
    ),
    "gcloud": (
        b'{"account": "", "client_id": "id", "client_secret": "sec", "refresh_token": "ref", "type": "authorized_user",'
        b' "universe_domain": "googleapis.com"}',
        Found("google", refresh_token="ref", client_id="id", client_secret="sec", provider="google"),
    ),
    "oauth2.py": (
        b"To authorize token, visit this url and follow the directions:\n  https://accounts.google.com/o/oauth2/auth?x\n"
        b"Enter verification code: 4/xyz\nRefresh Token: 1//ref\nAccess Token: ya29.acc\n"
        b"Access Token Expiration Seconds: 3599\n",
        Found("gmail-oauth2-tools", None, "ya29.acc", "1//ref", provider="google"),
    ),
    "oauth2.py on Windows": (
        b"Refresh Token: 1//ref\r\nAccess Token: ya29.acc\r\n",
        Found("gmail-oauth2-tools", None, "ya29.acc", "1//ref", provider="google"),
    ),
    "yagmail": (
        b'{"email_address": "me@gmail.com", "google_client_id": "id", "google_client_secret": "sec",'
        b' "google_refresh_token": "ref"}',
        Found("yagmail", "me@gmail.com", refresh_token="ref", client_id="id", client_secret="sec", provider="google"),
    ),
    "getmail": (
        json.dumps(
            {
                "scope": SCOPE,
                "user": "me@gmail.com",
                "client_id": "id",
                "client_secret": "sec",
                "token_uri": "https://accounts.google.com/o/oauth2/token",
                "auth_uri": "https://accounts.google.com/o/oauth2/auth",
                "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
                "access_token": "acc",
                "expires_at": 1893553445.5,
                "refresh_token": "ref",
            }
        ).encode(),
        Found(
            *("getmail", "me@gmail.com", "acc", "ref", 1893553445.5, (SCOPE,), "id", "sec"),
            token_endpoint="https://accounts.google.com/o/oauth2/token",
        ),
    ),
    "sasl-xoauth2": (
        b'{\n  "access_token" : "acc",\n  "client_id": "id",\n  "client_secret": "",\n  "expiry" : "1893553445",\n'
        b'  "refresh_token" : "ref",\n  "token_endpoint": "' + MS.encode() + b'/consumers/oauth2/v2.0/token"\n}',
        Found(
            *("sasl-xoauth2", None, "acc", "ref", 1893553445.0, (), "id", None),
            token_endpoint=f"{MS}/consumers/oauth2/v2.0/token",
        ),
    ),
    "sasl-xoauth2 without its application": (
        b'{"access_token": "acc", "expiry": "0", "refresh_token": "ref"}',
        Found("sasl-xoauth2", None, "acc", "ref", 0.0),
    ),
    "mutt": (
        b'{"registration": "microsoft", "authflow": "devicecode", "email": "me@contoso.com", "access_token": "acc",'
        b' "access_token_expiration": "2030-01-02T03:04:05.678900", "refresh_token": "ref"}',
        Found("mutt", "me@contoso.com", "acc", "ref", provider="microsoft365"),
    ),
    "mutt with its application": (
        b'{"registration": "google", "authflow": "localhostauthcode", "email": "me@gmail.com", "access_token": "acc",'
        b' "access_token_expiration": "", "refresh_token": "ref", "client_id": "id", "client_secret": "sec"}',
        Found("mutt", "me@gmail.com", "acc", "ref", None, (), "id", "sec", provider="google"),
    ),
    "oauth2client": (
        json.dumps(
            {
                "access_token": "acc",
                "client_id": "id",
                "client_secret": "sec",
                "refresh_token": "ref",
                "token_expiry": "2030-01-02T03:04:05Z",
                "token_uri": "https://oauth2.googleapis.com/token",
                "id_token": {"email": "me@gmail.com"},
                "scopes": [SCOPE],
                "token_response": {"access_token": "acc"},
                "_module": "oauth2client.client",
                "_class": "OAuth2Credentials",
            }
        ).encode(),
        Found(
            *("oauth2client", "me@gmail.com", "acc", "ref", 1893553445.0, (SCOPE,), "id", "sec"),
            token_endpoint="https://oauth2.googleapis.com/token",
        ),
    ),
    "requests-oauthlib as JSON": (
        json.dumps(
            OAuth2Token(
                {
                    "access_token": "acc",
                    "refresh_token": "ref",
                    "expires_in": 3599,
                    "expires_at": 1893553445.25,
                    "scope": [SCOPE],
                    "token_type": "Bearer",
                }
            )
        ).encode(),
        Found("token", None, "acc", "ref", 1893553445.25, (SCOPE,)),
    ),
    "requests-oauthlib as Python prints it": (
        repr(OAuth2Token({"access_token": "acc", "expires_in": 3599, "scope": "imap smtp"})).encode(),
        Found("token", None, "acc", None, None, ("imap", "smtp")),
    ),
    "token response": (
        b'\xef\xbb\xbf{"access_token": "acc", "token_type": "Bearer", "expires_in": 3599, "refresh_token": "ref"}\n',
        Found("token", None, "acc", "ref"),
    ),
    "oauthmail": (encode(OURS).encode(), Found("oauthmail", "me@gmail.com", record=OURS)),
}


# --- what a file says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("content", "expected"), FILES.values(), ids=FILES)
def test_each_programs_file_is_recognised_and_read(content: bytes, expected: Found) -> None:
    assert importing.read(content) == expected


@pytest.mark.parametrize(("content", "expected"), FILES.values(), ids=FILES)
def test_a_file_can_be_read_as_what_it_is_said_to_be(content: bytes, expected: Found) -> None:
    assert importing.read(content, expected.format) == expected


OTHERS = {
    "client secret": (b'{"installed": {"client_id": "id", "client_secret": "SECRET"}}', "this is an application"),
    "web client": (
        b'{"web": {"client_id": "id", "client_secret": "SECRET"}}',
        "oauthmail authorize ADDRESS",
    ),
    "plain application": (b'{"client_id": "id", "client_secret": "SECRET"}', "an application without tokens"),
    "service account": (b'{"type": "service_account", "private_key": "SECRET"}', "this is a service account"),
    "workload": (b'{"type": "external_account", "x": "SECRET"}', "identity of a workload"),
    "MSAL": (b'{"AccessToken": {"x": {"secret": "SECRET"}}, "RefreshToken": {}}', "token cache of MSAL"),
    "refusal": (b'{"error": "invalid_grant", "error_description": "SECRET"}', "refusal of a token endpoint"),
    "encrypted": (b"-----BEGIN PGP MESSAGE-----\n\nSECRET\n", "gpg --decrypt"),
    "encrypted, binary": (b"\x85\x01\x0cSECRET", "gpg --decrypt"),
    "pickle": (pickle.dumps({"token": "SECRET"}), "this is a pickle"),
    "database": (b"SQLite format 3\x00SECRET", "this is no text"),
    "empty": (b"", "this is empty"),
    "blank": (b" \n", "this is empty"),
    "binary": (b"\xff\xfeSECRET", "this is no text"),
    "other text": (b"SECRET\n", "neither JSON nor"),
    "other lines": (b"Secret Name: SECRET\n", "of no kind that is known"),
    "broken JSON": (b'{"refresh_token": "SECRET"', "neither JSON nor"),
    "nested": (b"[" * 100_000, "neither JSON nor"),
    "nested objects": (b'{"a":' * 100_000, "neither JSON nor"),
    "a call": (b"{'a': __import__('os').getcwd()}", "neither JSON nor"),
    "a list": (b'["SECRET"]', "neither JSON nor"),
    "other JSON": (b'{"password": "SECRET"}', "of no kind that is known"),
    "mutt before the first sign-in": (
        b'{"registration": "google", "authflow": "authcode", "email": "x", "access_token": "", "refresh_token": ""}',
        "there are no tokens in it yet",
    ),
    "getmail before the first sign-in": (
        b'{"user": "me@gmail.com", "token_uri": "https://oauth2.googleapis.com/token", "client_secret": "SECRET"}',
        "there are no tokens in it yet",
    ),
    "a later version of oauthmail": (
        b'{"version": 2, "address": "x", "flow": "device", "SECRET": "SECRET"}',
        "written by a later version",
    ),
    "numbers for tokens": (b'{"access_token": 1, "refresh_token": {"x": "SECRET"}}', "there are no tokens in it yet"),
}


@pytest.mark.parametrize(("content", "told"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_token_is_named_and_not_quoted(content: bytes, told: str) -> None:
    with pytest.raises(CredentialsError, match=told) as caught:
        importing.read(content)
    shown = "".join(traceback.format_exception(caught.value))
    assert ("SECRET" in shown, told in str(caught.value)) == (False, True)


@pytest.mark.parametrize("content", [OTHERS["broken JSON"][0], OTHERS["a later version of oauthmail"][0]])
def test_a_refusal_leaves_nothing_of_the_file_in_its_traceback(content: bytes) -> None:
    with pytest.raises(CredentialsError) as caught:
        importing.read(content)
    assert [text for text in _locals(caught.value) if "SECRET" in text] == []


def _locals(error: BaseException | None) -> Iterator[str]:
    """Yield the local variables of every frame of ours that an exception holds, and what it came from."""
    while error is not None:
        yield repr(error.args)
        yield repr(vars(error))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if str(frame.f_globals.get("__name__")).startswith("oauthmail"):
                yield repr(frame.f_locals)
        error = error.__context__


def test_a_file_has_no_secret_in_its_repr() -> None:
    shown = repr([importing.read(content) for content, _ in FILES.values()])
    assert [secret for secret in ("'acc'", "'ref'", "'sec'", "our-access", "our-secret") if secret in shown] == []


# --- who issued it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "address", "expected"),
    [
        pytest.param({"token_endpoint": "https://oauth2.googleapis.com/token"}, "me@x.test", "google", id="Google"),
        pytest.param({"token_endpoint": "https://accounts.google.com/o/oauth2/token"}, "me@x.test", "google", id="old"),
        pytest.param({"token_endpoint": f"{MS}/common/oauth2/v2.0/token"}, "me@x.test", "microsoft365 common", id="MS"),
        pytest.param(
            {"token_endpoint": f"{MS}/x.com/oauth2/v2.0/token"}, "me@x.com", "microsoft365 x.com", id="tenant"
        ),
        pytest.param(
            {"token_endpoint": f"{MS}/consumers/oauth2/v2.0/token"}, "me@x.test", "outlook_com", id="personal"
        ),
        pytest.param(
            {"token_endpoint": "https://api.login.yahoo.com/oauth2/get_token"}, "me@yahoo.com", "yahoo", id="Yahoo"
        ),
        pytest.param({}, "me@gmail.com", "google", id="by domain"),
        pytest.param({"provider": "google"}, "me@x.test", "google", id="by the program"),
        pytest.param({"provider": "microsoft365"}, "me@contoso.com", "microsoft365", id="mutt's registration"),
        pytest.param({"provider": "microsoft365"}, "me@hotmail.com", "outlook_com", id="personal mailbox"),
    ],
)
def test_the_issuer_is_found(found: dict[str, Any], address: str, expected: str) -> None:
    provider, tenant = importing.provider_of(Found("token", **found), address)
    assert " ".join(filter(None, (provider.id, tenant))) == expected


@pytest.mark.parametrize(
    ("found", "address", "named", "told"),
    [
        pytest.param({}, "me@x.test", None, "pass --provider", id="nobody tells"),
        pytest.param({}, "me@icloud.com", None, "pass --provider", id="no OAuth there"),
        pytest.param({"token_endpoint": "https://x.test/token"}, "me@gmail.com", None, "issued by x", id="unknown"),
        pytest.param({"token_endpoint": "https://x.test/token"}, "me@x.test", "google", "not by Gmail", id="another"),
        pytest.param(
            {"token_endpoint": "https://x.test@oauth2.googleapis.com/"}, "me@x.test", "google", "not by", id="user info"
        ),
        pytest.param({"token_endpoint": f"{MS}/x/oauth2/v2.0/token"}, "me@x.test", "google", "not by Gmail", id="MS"),
        pytest.param({"token_endpoint": "nonsense"}, "me@x.test", "google", "somebody else", id="no address"),
    ],
)
def test_a_refresh_token_goes_to_nobody_but_its_issuer(
    found: dict[str, Any], address: str, named: str | None, told: str
) -> None:
    with pytest.raises(CredentialsError, match=told):
        importing.provider_of(Found("token", **found), address, providers.get(named) if named else None)


def test_a_tenant_that_the_file_names_is_kept_with_a_provider_that_the_user_names() -> None:
    found = Found("token", token_endpoint=f"{MS}/contoso.com/oauth2/v2.0/token")
    assert importing.provider_of(found, "me@contoso.com", providers.get("microsoft365"))[1] == "contoso.com"


# --- the record ---------------------------------------------------------------------------------------------------


@pytest.fixture
def google() -> Provider:
    return providers.get("google")


def test_the_record_renews_with_what_the_file_says(google: Provider) -> None:
    record = importing.record_of(importing.read(FILES["google"][0]), "me@gmail.com", google)
    assert record == Record(
        *("me@gmail.com", "google", "imported", Application("id", "sec")),
        OAuth2Credentials("acc", refresh_token="ref", expires_at=1893553445.6789, scope=(SCOPE,)),
        scope=(SCOPE,),
    )


@pytest.mark.parametrize("name", ["oauth2.py", "mutt with its application", "token response"])
def test_an_access_token_of_unknown_age_is_not_relied_on_where_it_can_be_renewed(name: str, google: Provider) -> None:
    record = importing.record_of(
        importing.read(FILES[name][0]), "me@gmail.com", google, application=Application("mine")
    )
    assert isinstance(record.credentials, OAuth2Credentials)
    assert (record.credentials.access_token, record.credentials.expires_at) == (NONE_YET, 0)


def test_an_access_token_alone_needs_no_application(google: Provider) -> None:
    record = importing.record_of(Found("token", access_token="acc"), "me@gmail.com", google)
    assert (record.application, record.credentials) == (None, OAuth2Credentials("acc"))


def test_a_refresh_token_without_its_application_is_no_use(google: Provider) -> None:
    with pytest.raises(CredentialsError, match="pass --client-id"):
        importing.record_of(importing.read(FILES["oauth2.py"][0]), "me@gmail.com", google)


def test_who_signed_in_is_kept_where_the_mailbox_is_another(google: Provider) -> None:
    record = importing.record_of(importing.read(FILES["google"][0]), "sales@gmail.com", google)
    assert (record.address, record.user) == ("sales@gmail.com", "me@gmail.com")


# --- the command --------------------------------------------------------------------------------------------------


def importable(folder: Path, name: str) -> str:
    path = folder / "file"
    path.write_bytes(FILES[name][0])
    return str(path)


def test_a_file_is_taken_over_without_a_word_of_it(home: Path, tmp_path: Path) -> None:
    run = oauthmail("import", importable(tmp_path, "yagmail"), home=home)
    assert (run.returncode, run.stdout, "oauthmail check me@gmail.com" in run.stderr) == (0, "", True)
    record = FileStore(home).load("me@gmail.com")
    assert record is not None
    assert (record.flow, record.application) == ("imported", Application("id", "sec"))


def test_standard_input_is_a_file_too(home: Path) -> None:
    run = oauthmail("import", "-", home=home, text=FILES["google"][0].decode())
    assert (run.returncode, FileStore(home).addresses()) == (0, ["me@gmail.com"])


def test_an_export_is_imported_as_it_was(home: Path, tmp_path: Path) -> None:
    oauthmail("import", importable(tmp_path, "oauthmail"), home=home)
    exported = oauthmail("export", "me@gmail.com", home=home).stdout
    oauthmail("import", "-", home=tmp_path / "other", text=exported)
    assert FileStore(tmp_path / "other").load("me@gmail.com") == OURS


def test_imported_tokens_are_renewed_at_the_first_use(home: Path, tmp_path: Path, oauth_sandbox: Sandbox) -> None:
    user = oauth_sandbox.new_user()
    response = {"access_token": "of unknown age".replace(" ", "-"), "refresh_token": refresh_token(oauth_sandbox, user)}
    toml = toml_of(oauth_sandbox.provider, tmp_path)
    imported = oauthmail(
        *("import", "-", "--address", user, "--provider", toml, "--client-id", oauth_sandbox.web.public_client_id),
        home=home,
        text=json.dumps(response),
    )
    assert imported.returncode == 0, imported.stderr
    token = oauthmail("token", user, home=home).stdout.strip()
    assert oauth_sandbox.state.judge(token, user, "imap").user == user


def test_what_is_set_up_is_replaced_only_where_that_was_said(home: Path, tmp_path: Path) -> None:
    oauthmail("import", importable(tmp_path, "oauthmail"), home=home)
    path = importable(tmp_path, "yagmail")
    refused, replaced = oauthmail("import", path, home=home), oauthmail("import", path, "--replace", home=home)
    assert (refused.returncode, "pass --replace" in refused.stderr, replaced.returncode) == (1, True, 0)


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        pytest.param("oauth2.py", [], "whose tokens these are: pass --address", id="no address"),
        pytest.param("oauth2.py", ["--address", "me@gmail.com"], "pass --client-id", id="no application"),
        pytest.param("google", ["--provider", "yahoo"], "not by Yahoo", id="another provider"),
        pytest.param("google", ["--tenant", "x"], "has no tenants", id="no tenants"),
    ],
)
def test_what_is_missing_is_said(home: Path, tmp_path: Path, name: str, arguments: list[str], told: str) -> None:
    run = oauthmail("import", importable(tmp_path, name), *arguments, home=home)
    assert (run.returncode, told in run.stderr) == (1, True), run.stderr
    assert FileStore(home).addresses() == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"scopes": [GMAIL_SEND]}, "mail servers will refuse", id="scope"),
        pytest.param({"refresh_token": None}, "there is no refresh token", id="refresh token"),
    ],
)
def test_tokens_that_are_of_little_use_are_noted(home: Path, changes: dict[str, Any], told: str) -> None:
    values = {**json.loads(FILES["google"][0]), **changes}
    run = oauthmail("import", "-", home=home, text=json.dumps(values))
    assert (run.returncode, told in run.stderr) == (0, True), run.stderr


def test_an_unknown_format_is_a_usage_error(home: Path, tmp_path: Path) -> None:
    run = oauthmail("import", importable(tmp_path, "google"), "--format", "pine", home=home)
    assert (run.returncode, "--format is one of oauthmail, mutt" in run.stderr) == (2, True)


def test_a_file_that_is_not_there_is_named(home: Path) -> None:
    run = oauthmail("import", "/nowhere/token.json", home=home)
    assert (run.returncode, run.stderr) == (1, "oauthmail: /nowhere/token.json: No such file or directory\n")


def test_a_file_that_is_far_too_long_is_not_read(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(base64.b64encode(b"x" * 900_000))
    run = oauthmail("import", str(tmp_path / "file"), home=home)
    assert (run.returncode, "longer than any" in run.stderr) == (1, True)
