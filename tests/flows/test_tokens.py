"""The token request and its answers: what a client proves, what is taken for tokens, what a refusal says."""

from __future__ import annotations

import json
import urllib.parse
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from oauthmail.applications import Application
from oauthmail.credentials import OAuth2Credentials
from oauthmail.errors import CredentialsError, FlowError
from oauthmail.flows import HTTP, ScopeWarning, check_scope
from oauthmail.flows._tokens import token_request
from oauthmail.providers import Provider, custom
from oauthmail.sandbox.web import Web

from ..scripted import ScriptedServer
from .conftest import Serve, SignIn, answering, response, works

NOW = 1_000_000.0
FIELDS = {"grant_type": "refresh_token", "refresh_token": "old-refresh-token"}
PUBLIC = Application("client")
GOOD = {"access_token": "new", "token_type": "Bearer", "expires_in": 3600}


def ask(
    http: HTTP, server: ScriptedServer, application: Application | None = PUBLIC, **changes: Any
) -> OAuth2Credentials:
    provider = custom(token_endpoint=f"https://127.0.0.1:{server.port}/token", **changes)
    return token_request(http, provider, application, FIELDS, asked=("mail",), now=lambda: NOW, retry=False)


def answered(http: HTTP, serve: Serve, content: object, **framing: Any) -> OAuth2Credentials:
    """Return what comes of an answer with that JSON, or those octets."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    with serve(answering(response(body, **framing))) as server:
        return ask(http, server)


def refused(http: HTTP, serve: Serve, content: object, **framing: Any) -> FlowError:
    with pytest.raises(FlowError) as caught:
        answered(http, serve, content, **framing)
    return caught.value


def form(server: ScriptedServer) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(server.received[-1].decode(), keep_blank_values=True))


# --- who asks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "application", "fields", "basic"),
    [
        pytest.param("client_secret_post", PUBLIC, {"client_id": "client"}, False, id="public"),
        pytest.param("client_secret_basic", PUBLIC, {"client_id": "client"}, False, id="public where others use Basic"),
        pytest.param("none", Application("client", "s"), {"client_id": "client"}, False, id="a secret nobody wants"),
        pytest.param(
            "client_secret_post",
            Application("client", "s"),
            {"client_id": "client", "client_secret": "s"},
            False,
            id="in the form",
        ),
        pytest.param("client_secret_basic", Application("client", "s"), {}, True, id="in the header"),
        pytest.param("client_secret_post", None, {}, False, id="nobody"),
    ],
)
def test_a_client_proves_itself_in_one_way(
    method: str, application: Application | None, fields: Mapping[str, str], basic: bool, http: HTTP, serve: Serve
) -> None:
    with serve(answering(response(json.dumps(GOOD).encode()))) as server:
        ask(http, server, application, token_endpoint_auth_method=method)
    assert form(server) == {**FIELDS, **fields}
    assert any(line.startswith(b"Authorization: Basic ") for line in server.received) == basic


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_the_sandbox_takes_both_ways(
    method: str, web: Web, provider: Provider, confidential: Application, http: HTTP
) -> None:
    fields = {"grant_type": "client_credentials", "scope": "mail"}
    credentials = token_request(http, replace(provider, token_endpoint_auth_method=method), confidential, fields)
    assert works(web, credentials.access_token, web.store.application_user)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_wrong_secret_is_refused_and_reported(method: str, web: Web, provider: Provider, http: HTTP) -> None:
    fields = {"grant_type": "client_credentials", "scope": "mail"}
    wrong = Application(web.client_id, "wrong-secret-0123456789")
    with pytest.raises(FlowError) as caught:
        token_request(http, replace(provider, token_endpoint_auth_method=method), wrong, fields)
    error = caught.value
    assert (error.error, error.temporary, error.authorize_again) == ("invalid_client", False, False)
    assert "client_secret" in error.hint


@pytest.mark.parametrize(
    ("method", "problem"),
    [("private_key_jwt", "give the application a private_key"), ("client_secret_jwt", "is not known here")],
)
def test_a_way_that_the_application_does_not_have_is_refused_before_anything_is_sent(
    method: str, problem: str, http: HTTP, serve: Serve
) -> None:
    with serve() as server, pytest.raises(CredentialsError, match=problem):
        ask(http, server, Application("client", "s"), token_endpoint_auth_method=method)
    assert server.lines == []


def test_a_provider_without_a_token_endpoint_cannot_be_asked(http: HTTP) -> None:
    with pytest.raises(CredentialsError, match="has no token endpoint"):
        token_request(http, custom(), PUBLIC, FIELDS)


# --- tokens ---------------------------------------------------------------------------------------------------------


def test_the_answer_printed_in_rfc_6749_section_5_1_is_understood(http: HTTP, serve: Serve) -> None:
    printed = b"""{
       "access_token":"2YotnFZFEjr1zCsicMWpAA",
       "token_type":"Bearer",
       "expires_in":3600,
       "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA",
       "example_parameter":"example_value"
     }"""
    assert answered(http, serve, printed) == OAuth2Credentials(
        "2YotnFZFEjr1zCsicMWpAA",
        refresh_token="tGzv3JOkF0XG5Qx2TlKWIA",
        expires_at=NOW + 3600,
        scope=("mail",),
    )


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
def test_the_case_of_the_token_type_does_not_matter(token_type: str, http: HTTP, serve: Serve) -> None:
    assert answered(http, serve, {**GOOD, "token_type": token_type}).token_type == "Bearer"


def test_a_token_without_a_type_is_taken_for_a_bearers(http: HTTP, serve: Serve) -> None:
    assert answered(http, serve, {"access_token": "new"}).token_type == "Bearer"


@pytest.mark.parametrize("token_type", ["mac", "DPoP", "", None, 1, ["Bearer"]])
def test_another_type_is_refused(token_type: object, http: HTTP, serve: Serve) -> None:
    error = refused(http, serve, {**GOOD, "token_type": token_type})
    assert (error.error, error.temporary) == ("invalid_response", False)
    assert "Bearer tokens only" in error.error_description


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        pytest.param("3600", 3600, id="number"),
        pytest.param('"3600"', 3600, id="text"),
        pytest.param('" 3600.5 "', 3600.5, id="text with a fraction"),
        pytest.param("3599.5", 3599.5, id="fraction"),
        pytest.param("0", 0, id="at once"),
        pytest.param("null", None, id="null"),
        pytest.param("true", None, id="true"),
        pytest.param("-1", None, id="negative"),
        pytest.param("NaN", None, id="not a number"),
        pytest.param("Infinity", None, id="infinite"),
        pytest.param("1e300", None, id="huge"),
        pytest.param("1" + "0" * 400, None, id="larger than a float"),
        pytest.param("3600000000", None, id="milliseconds of a long life"),
        pytest.param('"soon"', None, id="word"),
        pytest.param('"1e3"', None, id="exponent"),
        pytest.param('"٣٦٠٠"', None, id="digits of another script"),
        pytest.param("[3600]", None, id="list"),
    ],
)
def test_a_lifetime_that_cannot_be_meant_counts_as_not_stated(
    expires_in: str, seconds: float | None, http: HTTP, serve: Serve
) -> None:
    body = f'{{"access_token": "new", "token_type": "Bearer", "expires_in": {expires_in}}}'
    expected = None if seconds is None else NOW + seconds
    assert answered(http, serve, body.encode()).expires_at == expected


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        pytest.param("a b", ("a", "b"), id="text"),
        pytest.param("b  a a", ("b", "a"), id="twice"),
        pytest.param(["a", "b", 1, None], ("a", "b"), id="list"),
        pytest.param("", ("mail",), id="empty"),
        pytest.param(None, ("mail",), id="null"),
        pytest.param({"a": 1}, ("mail",), id="object"),
    ],
)
def test_what_is_not_said_of_the_scope_was_granted_as_asked(
    scope: object, expected: tuple[str, ...], http: HTTP, serve: Serve
) -> None:
    assert answered(http, serve, {**GOOD, "scope": scope}).scope == expected


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param({"refresh_token": 1, "id_token": [], "scope": 5, "expires_in": {}}, id="wrong kinds"),
        pytest.param({"refresh_token": "", "id_token": "\ud800", "scope": ["\ud800"]}, id="texts that cannot be sent"),
        pytest.param({"unknown": {"a": [1, 2]}}, id="unknown members"),
    ],
)
def test_junk_beside_the_access_token_does_not_lose_it(junk: Mapping[str, object], http: HTTP, serve: Serve) -> None:
    expected = OAuth2Credentials("new", expires_at=NOW + 3600, scope=("mail",))
    expected = replace(expected, expires_at=None) if "expires_in" in junk else expected
    assert answered(http, serve, {**GOOD, **junk}) == expected


def test_a_refresh_token_survives_junk_beside_it(http: HTTP, serve: Serve) -> None:
    junk = {"expires_in": -5, "scope": [[]], "id_token": 7}
    assert answered(http, serve, {**GOOD, **junk, "refresh_token": "rotated ☃"}).refresh_token == "rotated ☃"


# --- what is no answer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "framing"),
    [
        pytest.param(b"", {}, id="empty"),
        pytest.param(b"{", {}, id="half of JSON"),
        pytest.param(b"[1]", {}, id="list"),
        pytest.param(b'"new"', {}, id="text"),
        pytest.param(b"\xff\xfe{", {}, id="octets"),
        pytest.param(b"[" * 100_000, {}, id="nested too deeply"),
        pytest.param(b"9" * 10_000, {}, id="number without an end"),
        pytest.param(b"access_token=new&token_type=Bearer", {"kind": "application/x-www-form-urlencoded"}, id="form"),
        pytest.param(b"<html><h1>Sign in to the hotel</h1>", {"kind": "text/html; charset=utf-8"}, id="page"),
        pytest.param(b"<html>Not found", {"kind": "text/html", "status": "404 Not Found"}, id="page of a failure"),
        pytest.param(b"{}", {"status": "400 Bad Request"}, id="failure without an error"),
        pytest.param(b'{"error": {"code": 400}}', {"status": "400 Bad Request"}, id="error of another kind"),
        pytest.param(b'{"error": ""}', {"status": "400 Bad Request"}, id="empty error"),
        pytest.param(b"{}", {}, id="no access token"),
        pytest.param(b'{"access_token": null, "token_type": "Bearer"}', {}, id="null"),
        pytest.param(b'{"access_token": "", "token_type": "Bearer"}', {}, id="empty access token"),
        pytest.param(b'{"access_token": "a b", "token_type": "Bearer"}', {}, id="access token with a blank"),
        pytest.param(b'{"access_token": "a\\u0000", "token_type": "Bearer"}', {}, id="access token with a nul"),
        pytest.param(b'{"access_token": ["new"], "token_type": "Bearer"}', {}, id="list of access tokens"),
    ],
)
def test_an_answer_without_tokens_is_reported(body: bytes, framing: dict[str, str], http: HTTP, serve: Serve) -> None:
    error = refused(http, serve, body, **framing)
    assert (error.error, error.temporary, error.authorize_again) == ("invalid_response", False, False)
    assert "127.0.0.1" in error.error_description


def test_what_came_in_place_of_tokens_is_told_by_its_status_and_kind(http: HTTP, serve: Serve) -> None:
    error = refused(http, serve, b"<html>", kind="text/html; charset=utf-8", status="404 Not Found")
    assert "answered with status 404 and text/html" in error.error_description
    assert "address of the endpoint" in error.hint


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b"<html>down", b"{}"], ids=["empty", "page", "JSON"])
def test_a_failure_that_may_pass_is_temporary_whatever_its_body(
    status: int, body: bytes, http: HTTP, serve: Serve
) -> None:
    error = refused(http, serve, body, status=f"{status} Down")
    assert (error.error, error.temporary, error.authorize_again) == ("temporarily_unavailable", True, False)
    assert f"status {status}" in error.error_description


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "temporary", "authorize_again"),
    [
        ("invalid_grant", "400 Bad Request", False, True),
        ("invalid_grant", "200 OK", False, True),
        ("invalid_grant", "503 Down", False, True),
        ("interaction_required", "400 Bad Request", False, True),
        ("login_required", "400 Bad Request", False, True),
        ("consent_required", "400 Bad Request", False, True),
        ("invalid_client", "401 Unauthorized", False, False),
        ("invalid_request", "400 Bad Request", False, False),
        ("unauthorized_client", "400 Bad Request", False, False),
        ("unsupported_grant_type", "400 Bad Request", False, False),
        ("invalid_scope", "400 Bad Request", False, False),
        ("access_denied", "403 Forbidden", False, False),
        ("server_error", "400 Bad Request", True, False),
        ("temporarily_unavailable", "400 Bad Request", True, False),
        ("too_many_requests", "429 Slow", True, False),
        ("something_new", "400 Bad Request", False, False),
    ],
)
def test_the_error_member_decides(
    error: str, status: str, temporary: bool, authorize_again: bool, http: HTTP, serve: Serve
) -> None:
    found = refused(http, serve, {"error": error, "error_description": "so"}, status=status)
    assert (found.error, found.error_description) == (error, "so")
    assert (found.temporary, found.authorize_again) == (temporary, authorize_again)


def test_an_aadsts_number_chooses_the_advice_and_nothing_else(http: HTTP, serve: Serve) -> None:
    # A number that goes with invalid_grant, beside an error that does not.
    content = {"error": "invalid_request", "error_codes": [50173], "error_description": "AADSTS50173: gone."}
    found = refused(http, serve, content, status="400 Bad Request")
    assert (found.authorize_again, found.temporary) == (False, False)
    assert "change of the password" in found.hint


def test_the_number_may_be_in_the_description_only(http: HTTP, serve: Serve) -> None:
    content = {"error": "invalid_client", "error_description": "AADSTS7000222: The provided keys are expired."}
    assert "secret has expired" in refused(http, serve, content, status="401 Unauthorized").hint


@pytest.mark.parametrize("codes", ["50173", [True, "x", None, {}], {"a": 1}])
def test_numbers_of_a_wrong_kind_are_passed_over(codes: object, http: HTTP, serve: Serve) -> None:
    found = refused(http, serve, {"error": "invalid_grant", "error_codes": codes}, status="400 Bad Request")
    assert found.error == "invalid_grant"


def test_the_servers_words_are_shown_without_secrets_and_in_one_line(http: HTTP, serve: Serve) -> None:
    said = "bad old-refresh-token\r\n\x1b[31m" + "x " * 10_000
    found = refused(http, serve, {"error": "invalid_grant", "error_description": said}, status="400 Bad Request")
    assert found.error_description.startswith(r"bad [redacted] \x1b[31mx x x")
    assert len(found.error_description) < 600


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param("made eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln for you", "made [redacted] for you", id="JWT"),
        pytest.param("made eyJhbGciOiJSUzI1N", "made [redacted]", id="the beginning of one"),
        pytest.param(f"made {'a1B2' * 16}==, sorry", "made [redacted], sorry", id="as long as a token"),
        pytest.param(
            "Trace ID: 8e3ad4e5-1b2c-4d5e-8f90-aabbccddeeff, see https://aka.ms/smtp_auth_disabled",
            "Trace ID: 8e3ad4e5-1b2c-4d5e-8f90-aabbccddeeff, see https://aka.ms/smtp_auth_disabled",
            id="nothing of the kind",
        ),
    ],
)
def test_a_token_of_the_servers_own_is_cut_out_of_its_words(http: HTTP, serve: Serve, said: str, shown: str) -> None:
    found = refused(http, serve, {"error": "server_error", "error_description": said}, status="400 Bad Request")
    assert found.error_description == shown


def test_an_error_code_is_cut_as_well(http: HTTP, serve: Serve) -> None:
    found = refused(http, serve, {"error": "old-refresh-token \n" + "x " * 1000}, status="400 Bad Request")
    assert found.error.startswith("[redacted] x x")
    assert len(found.error) < 150


# --- scope ----------------------------------------------------------------------------------------------------------

GOOGLE = "https://mail.google.com/"
IMAP, SMTP = "https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send"


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        pytest.param(("a", "b"), ("b", "a"), id="reordered"),
        pytest.param(("a",), ("a", "b"), id="wider"),
        pytest.param((GOOGLE, "openid", "email", "profile"), (GOOGLE,), id="sign-in"),
        pytest.param((IMAP, SMTP, "offline_access"), (IMAP, SMTP), id="lasting access"),
        pytest.param((IMAP,), (IMAP.lower(),), id="case"),
        pytest.param((IMAP,), (IMAP.replace("office.com", "office365.com"),), id="Microsoft's other name"),
        pytest.param((GOOGLE,), (GOOGLE.rstrip("/"),), id="slash"),
        pytest.param(("https://outlook.office365.com/.default",), (IMAP,), id="all that is registered"),
        pytest.param((), ("a",), id="nothing asked"),
        pytest.param(("a",), (), id="nothing known of the grant"),
    ],
)
def test_a_grant_that_is_no_narrower_is_not_warned_of(asked: tuple[str, ...], granted: tuple[str, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_scope(asked, OAuth2Credentials("token", scope=granted))


@pytest.mark.parametrize(
    ("asked", "granted", "missing"),
    [
        pytest.param(("a", "b", "c"), ("b",), "a, c", id="some"),
        pytest.param((IMAP, SMTP), (SMTP,), IMAP, id="one of Microsoft's"),
        pytest.param((GOOGLE,), ("openid", "email"), GOOGLE, id="all that is for mail"),
        pytest.param((GOOGLE,), ("https://www.googleapis.com/auth/gmail.send",), GOOGLE, id="another of Google's"),
        pytest.param((SMTP,), ("https://graph.microsoft.com/SMTP.Send",), SMTP, id="another server's"),
    ],
)
def test_a_narrower_grant_is_warned_of(asked: tuple[str, ...], granted: tuple[str, ...], missing: str) -> None:
    with pytest.warns(ScopeWarning) as caught:
        check_scope(asked, OAuth2Credentials("token", scope=granted))
    assert f"missing is {missing}: sign in again" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_a_narrower_grant_does_not_lose_the_tokens_where_warnings_are_errors(
    web: Web, http: HTTP, serve: Serve
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        credentials = answered(http, serve, {**GOOD, "scope": "less", "refresh_token": "rotated"})
    assert (credentials.scope, credentials.refresh_token) == (("less",), "rotated")


def test_what_was_signed_in_opens_the_mailbox(web: Web, sign_in: SignIn) -> None:
    credentials = sign_in()
    assert works(web, credentials.access_token)
    assert credentials.scope == ("mail",)
