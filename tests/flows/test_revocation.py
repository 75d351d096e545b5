"""Revocation at the sandbox, and at servers that take back one kind of token, none, or nothing at all."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from oauthmail.applications import Application
from oauthmail.credentials import OAuth2Credentials
from oauthmail.errors import CredentialsError, FlowError
from oauthmail.flows import HTTP, refresh, revoke
from oauthmail.providers import Provider, custom, get
from oauthmail.sandbox.web import Web

from ..scripted import Line, ScriptedServer
from .conftest import Serve, SignIn, answering, requests_to, response, works

HELD = OAuth2Credentials("held-access-token", refresh_token="held-refresh-token")
PUBLIC = Application("client")
DONE = answering(response(b""))


def refusal(error: str, status: str = "400 Bad Request") -> Callable[[Line], None]:
    return answering(response(json.dumps({"error": error}).encode(), status=status))


def at(server: ScriptedServer, **changes: Any) -> Provider:
    return custom(revocation_endpoint=f"https://127.0.0.1:{server.port}/revoke", **changes)


def forms(server: ScriptedServer) -> list[dict[str, str]]:
    return [dict(urllib.parse.parse_qsl(connection.received[-1].decode())) for connection in server.lines]


@pytest.mark.parametrize("kind", ["application", "confidential"])
def test_both_tokens_are_dead_afterwards(
    kind: str, web: Web, provider: Provider, http: HTTP, sign_in: SignIn, request: pytest.FixtureRequest
) -> None:
    client: Application = request.getfixturevalue(kind)
    credentials = sign_in(client)
    revoke(provider, client, credentials, http=http)
    assert not works(web, credentials.access_token)
    with pytest.raises(FlowError) as caught:
        refresh(provider, client, credentials, http=http)
    assert (caught.value.error, caught.value.authorize_again) == ("invalid_grant", True)


def test_without_http_the_providers_certificates_are_used(
    web: Web, provider: Provider, application: Application, sign_in: SignIn
) -> None:
    credentials = sign_in()
    revoke(provider, application, credentials)
    assert not works(web, credentials.access_token)


def test_an_application_proves_itself_with_its_key(web: Web, provider: Provider, http: HTTP, sign_in: SignIn) -> None:
    client = Application(web.client_id, private_key=web.client_key)
    credentials = sign_in(client)
    revoke(provider, client, credentials, http=http)
    assert not works(web, credentials.access_token)


def test_tokens_that_are_dead_already_are_no_error(
    provider: Provider, application: Application, http: HTTP, sign_in: SignIn
) -> None:
    credentials = sign_in()
    revoke(provider, application, credentials, http=http)
    revoke(provider, application, credentials, http=http)


def test_another_applications_tokens_stay(
    web: Web, provider: Provider, confidential: Application, http: HTTP, sign_in: SignIn
) -> None:
    credentials = sign_in()
    with pytest.raises(FlowError):
        revoke(provider, confidential, credentials, http=http)
    assert works(web, credentials.access_token)


def test_a_wrong_secret_is_reported(
    web: Web, provider: Provider, confidential: Application, http: HTTP, sign_in: SignIn
) -> None:
    credentials = sign_in(confidential)
    with pytest.raises(FlowError) as caught:
        revoke(provider, replace(confidential, client_secret="wrong"), credentials, http=http)
    assert (caught.value.error, caught.value.temporary) == ("invalid_client", False)
    assert works(web, credentials.access_token)


def test_the_refresh_token_goes_first(http: HTTP, serve: Serve) -> None:
    with serve(DONE, DONE) as server:
        revoke(at(server), PUBLIC, HELD, http=http)
    assert forms(server) == [
        {"token": "held-refresh-token", "token_type_hint": "refresh_token", "client_id": "client"},
        {"token": "held-access-token", "token_type_hint": "access_token", "client_id": "client"},
    ]


def test_without_a_refresh_token_the_access_token_goes_alone(http: HTTP, serve: Serve) -> None:
    with serve(DONE) as server:
        revoke(at(server), PUBLIC, OAuth2Credentials("held-access-token"), http=http)
    assert [form["token_type_hint"] for form in forms(server)] == ["access_token"]


def test_without_an_application_the_tokens_speak_for_themselves(http: HTTP, serve: Serve) -> None:
    with serve(DONE, DONE) as server:
        revoke(at(server), None, HELD, http=http)
    assert [sorted(form) for form in forms(server)] == [["token", "token_type_hint"]] * 2


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param((DONE, refusal("unsupported_token_type")), id="access tokens are not taken back"),
        pytest.param((refusal("unsupported_token_type", "503 Down"), DONE), id="refresh tokens are not"),
        pytest.param((refusal("invalid_token"), refusal("invalid_token")), id="Google's word for dead tokens"),
        pytest.param((answering(response(b"<html>ok", kind="text/html")), DONE), id="a page for an answer"),
    ],
)
def test_what_is_as_good_as_revoked_is_no_error(
    answers: tuple[Callable[[Line], None], ...], ca_file: str, serve: Serve
) -> None:
    with serve(*answers) as server, HTTP(ca_file=ca_file, retries=0) as http:
        revoke(at(server), PUBLIC, HELD, http=http)
    assert len(requests_to(server)) == 2


def test_a_server_that_takes_back_nothing_is_reported(http: HTTP, serve: Serve) -> None:
    unsupported = refusal("unsupported_token_type")
    with serve(unsupported, unsupported) as server, pytest.raises(FlowError) as caught:
        revoke(at(server), PUBLIC, HELD, http=http)
    assert caught.value.error == "revocation_not_supported"
    assert "security settings" in caught.value.hint


def test_an_outage_is_temporary(http: HTTP, serve: Serve) -> None:
    with serve(*[answering(response(b"<html>", status="503 Down"))] * 4) as server, pytest.raises(FlowError) as caught:
        revoke(at(server), PUBLIC, HELD, http=http)
    assert (caught.value.temporary, caught.value.authorize_again) == (True, False)


def test_a_failure_that_says_nothing_is_reported(http: HTTP, serve: Serve) -> None:
    with serve(answering(response(b"", status="404 Not Found"))) as server, pytest.raises(FlowError) as caught:
        revoke(at(server), PUBLIC, HELD, http=http)
    assert (caught.value.error, caught.value.temporary) == ("invalid_response", False)


@pytest.mark.parametrize(
    ("provider", "where"),
    [
        (replace(get("google"), revocation_endpoint=None), "https://myaccount.google.com/permissions"),
        (get("microsoft365"), "the account's security settings"),
        (get("fastmail"), "the account's security settings"),
    ],
)
def test_where_there_is_no_endpoint_a_person_is_told_where_to_go(provider: Provider, where: str) -> None:
    with pytest.raises(FlowError) as caught:
        revoke(provider, PUBLIC, HELD)
    assert (caught.value.error, caught.value.temporary) == ("revocation_not_supported", False)
    assert where in caught.value.hint


def test_tokens_are_sent_over_https_only() -> None:
    with pytest.raises(CredentialsError, match="the revocation endpoint must be https"):
        revoke(custom(revocation_endpoint="http://auth.example.org/revoke"), PUBLIC, HELD)


def test_an_echo_of_the_token_is_cut_out(http: HTTP, serve: Serve) -> None:
    body = b'{"error": "invalid_request", "error_description": "held-refresh-token?"}'
    with serve(answering(response(body, status="400 Bad"))) as server, pytest.raises(FlowError) as caught:
        revoke(at(server), PUBLIC, HELD, http=http)
    assert caught.value.error_description == "[redacted]"
