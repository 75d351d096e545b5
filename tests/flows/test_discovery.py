"""Discovery: where the document is looked for, whose it must be, and what a provider learns from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from oauthmail.errors import CredentialsError, FlowError
from oauthmail.flows import HTTP, discover
from oauthmail.flows._discovery import _same
from oauthmail.providers import PROTOCOLS, Server
from oauthmail.sandbox.web import Web

from ..scripted import Line, ScriptedServer
from .conftest import Serve, answering, receive_request, requests_to, response

OPENID = "/.well-known/openid-configuration"
RFC8414 = "/.well-known/oauth-authorization-server"


def documents(path: str = "", /, **changes: object) -> Callable[[Line], None]:
    """Return a script that describes the server it is played by; *changes* of None leave members out."""

    def script(line: Line) -> None:
        receive_request(line)
        issuer = f"https://127.0.0.1:{line.sock.getsockname()[1]}{path}"
        members = {"issuer": issuer, "token_endpoint": f"{issuer}/token", **changes}
        line.send(response(json.dumps({name: value for name, value in members.items() if value is not None}).encode()))

    return script


MISSING = answering(response(b"<html>", status="404 Not Found", kind="text/html"))


def issuer(server: ScriptedServer, path: str = "") -> str:
    return f"https://127.0.0.1:{server.port}{path}"


def refused(given: str, http: HTTP, **known: Any) -> FlowError:
    with pytest.raises(FlowError) as caught:
        discover(given, http=http, **known)
    return caught.value


# --- what comes of it -----------------------------------------------------------------------------------------------


def test_the_sandbox_describes_itself(web: Web, http: HTTP) -> None:
    base = str(web.https_url)
    found = discover(base, http=http)
    assert (found.id, found.issuer, found.discovery) == ("127.0.0.1", base, f"{base}{OPENID}")
    assert found.authorization_endpoint == f"{base}/authorize"
    assert found.token_endpoint == f"{base}/token"
    assert found.device_authorization_endpoint == f"{base}/device_authorization"
    assert found.revocation_endpoint == f"{base}/revoke"
    assert (found.client_credentials, found.jwt_bearer, found.device_flow_for_mail) == (True, True, None)
    assert (found.offline_scope, found.token_endpoint_auth_method) == ("offline_access", "client_secret_basic")


def test_what_is_known_joins_what_is_found(web: Web, ca_file: str) -> None:
    found = discover(
        str(web.https_url),
        id="ours",
        smtp="mail.example.org:587",
        imap="mail.example.org",
        scopes="mail",
        domains=["example.org"],
        ca_file=ca_file,
    )
    assert (found.id, found.domains, found.ca_file) == ("ours", ("example.org",), ca_file)
    assert found.smtp == (Server("mail.example.org", 587, "starttls"),)
    assert found.scope(["imap"]) == ("mail", "offline_access")
    assert found.scopes == dict.fromkeys(PROTOCOLS, ("mail",))


def test_what_is_known_goes_before_what_is_found(web: Web, http: HTTP) -> None:
    found = discover(
        str(web.https_url), http=http, token_endpoint="https://auth.example.org/token", client_credentials=False
    )
    assert (found.token_endpoint, found.client_credentials) == ("https://auth.example.org/token", False)


def test_a_mistake_in_what_is_known_is_found_before_anything_is_sent(http: HTTP, serve: Serve) -> None:
    with serve() as server, pytest.raises(CredentialsError, match="a provider has no 'smpt'"):
        discover(issuer(server), http=http, smpt="mail.example.org")
    assert server.lines == []


@pytest.mark.parametrize(
    ("methods", "chosen"),
    [
        pytest.param(None, "client_secret_basic", id="not stated"),
        pytest.param(["client_secret_post", "client_secret_basic"], "client_secret_basic", id="both"),
        pytest.param(["client_secret_post", "none"], "client_secret_post", id="in the form"),
        pytest.param(["private_key_jwt", "tls_client_auth"], "private_key_jwt", id="key"),
        pytest.param(["none"], "none", id="public clients only"),
        pytest.param(["client_secret_jwt"], "client_secret_basic", id="unknown"),
        pytest.param("client_secret_post", "client_secret_basic", id="no list"),
    ],
)
def test_how_an_application_proves_itself(methods: object, chosen: str, http: HTTP, serve: Serve) -> None:
    with serve(documents(token_endpoint_auth_methods_supported=methods)) as server:
        assert discover(issuer(server), http=http).token_endpoint_auth_method == chosen


def test_lists_of_a_wrong_kind_are_passed_over(http: HTTP, serve: Serve) -> None:
    junk: dict[str, object] = {"grant_types_supported": {"a": 1}, "scopes_supported": [1, None]}
    with serve(documents(**junk)) as server:
        found = discover(issuer(server), http=http)
    assert (found.client_credentials, found.jwt_bearer, found.offline_scope) == (False, False, None)


# --- where it is looked for -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "openid", "rfc8414"),
    [
        pytest.param("", OPENID, RFC8414, id="host"),
        pytest.param("/realms/mail", f"/realms/mail{OPENID}", f"{RFC8414}/realms/mail", id="path"),
        pytest.param("/realms/mail/", f"/realms/mail{OPENID}", f"{RFC8414}/realms/mail", id="path with a slash"),
    ],
)
def test_both_addresses_are_tried(path: str, openid: str, rfc8414: str, http: HTTP, serve: Serve) -> None:
    with serve(MISSING, documents(path)) as server:
        found = discover(issuer(server, path), http=http)
    assert requests_to(server) == [f"GET {openid} HTTP/1.1".encode(), f"GET {rfc8414} HTTP/1.1".encode()]
    assert found.discovery == issuer(server, rfc8414)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(answering(response(b"<html>Hello", kind="text/html")), id="page"),
        pytest.param(answering(response(b"[]")), id="list"),
        pytest.param(answering(response(b"", "Location: /signin", status="302 Found")), id="redirect"),
        pytest.param(answering(response(b"", status="403 Forbidden")), id="forbidden"),
    ],
)
def test_what_is_no_document_is_passed_over(first: Callable[[Line], None], http: HTTP, serve: Serve) -> None:
    with serve(first, documents()) as server:
        assert discover(issuer(server), http=http).token_endpoint == issuer(server, "/token")


def test_a_server_without_a_document_is_reported_with_both_addresses(http: HTTP, serve: Serve) -> None:
    with serve(MISSING, MISSING) as server:
        error = refused(issuer(server), http)
    assert (error.error, error.temporary) == ("discovery_failed", False)
    for path in (OPENID, RFC8414):
        assert f"{issuer(server, path)}: status 404" in error.error_description
    assert "by its endpoints" in error.hint


def test_an_outage_is_temporary(serve: Serve, ca_file: str) -> None:
    with (
        serve(answering(response(b"<html>", status="503 Down")), documents()) as server,
        HTTP(ca_file=ca_file, retries=0) as http,
    ):
        error = refused(issuer(server), http)
    assert (error.error, error.temporary) == ("temporarily_unavailable", True)


def test_a_server_that_is_not_there_is_asked_once(http: HTTP) -> None:
    error = refused("https://127.0.0.1:1", http)
    assert (error.error, error.temporary) == ("connection_error", True)


def test_a_certificate_that_cannot_be_verified_is_final(serve: Serve) -> None:
    with serve(documents(), documents()) as server, HTTP() as http:
        assert refused(issuer(server), http).error == "tls_error"
    assert (len(server.lines), server.received) == (1, [])


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("http://auth.example.org", "the issuer must be https"),
        ("auth.example.org", "like https://"),
        ("https://auth.example.org?a=1", "no query"),
        ("https://auth.example.org#a", "fragment"),
        ("https://login.microsoftonline.com/{tenantid}/v2.0", "with_tenant"),
    ],
)
def test_what_is_no_issuer_is_refused_before_anything_is_sent(given: str, problem: str) -> None:
    with pytest.raises(CredentialsError, match=problem):
        discover(given)


# --- whose it must be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "named",
    [
        pytest.param("https://evil.example", id="another host"),
        pytest.param("{issuer}/", id="a slash more"),
        pytest.param("{issuer}/tenant", id="a path more"),
        pytest.param("HTTPS{rest}", id="another case"),
        pytest.param("{tenantid}", id="only the template"),
        pytest.param(None, id="none"),
        pytest.param(1, id="number"),
    ],
)
def test_a_document_of_another_issuer_is_refused(named: object, http: HTTP, serve: Serve) -> None:
    def script(line: Line) -> None:
        receive_request(line)
        own = f"https://127.0.0.1:{line.sock.getsockname()[1]}"
        shown = named
        if isinstance(named, str):
            shown = named.replace("{issuer}", own).replace("{rest}", own.removeprefix("https"))
        line.send(response(json.dumps({"issuer": shown, "token_endpoint": f"{own}/token"}).encode()))

    with serve(script, documents()) as server:
        error = refused(issuer(server), http)
    assert (error.error, error.temporary) == ("issuer_mismatch", False)
    assert len(server.lines) == 1


MICROSOFT = "https://login.microsoftonline.com"


@pytest.mark.parametrize(
    ("asked", "named", "same"),
    [
        (f"{MICROSOFT}/common/v2.0", f"{MICROSOFT}/{{tenantid}}/v2.0", True),
        (f"{MICROSOFT}/organizations/v2.0", f"{MICROSOFT}/{{tenantid}}/v2.0", True),
        ("https://login.microsoftonline.us/common/v2.0", "https://login.microsoftonline.us/{tenantid}/v2.0", True),
        (f"{MICROSOFT}/common/v2.0", f"{MICROSOFT}/{{tenantid}}/v1.0", False),
        (f"{MICROSOFT}/a/b/v2.0", f"{MICROSOFT}/{{tenantid}}/v2.0", False),
        (f"{MICROSOFT}//v2.0", f"{MICROSOFT}/{{tenantid}}/v2.0", False),
        (f"{MICROSOFT}/common/v2.0", "https://sts.windows.net/{tenantid}/v2.0", False),
        (f"{MICROSOFT}/common/v2.0", f"{MICROSOFT}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", False),
        ("https://auth.example.org/common/v2.0", "https://auth.example.org/{tenantid}/v2.0", False),
        (
            "https://login.microsoftonline.com.evil.example/common/v2.0",
            "https://login.microsoftonline.com.evil.example/{tenantid}/v2.0",
            False,
        ),
    ],
)
def test_microsofts_template_stands_for_one_tenant_at_its_own_hosts(asked: str, named: str, same: bool) -> None:
    # Its hosts cannot be served here; the comparison is pure.
    assert _same(asked, named) == same


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"token_endpoint": None}, "names no token_endpoint"),
        ({"token_endpoint": "http://auth.example.org/token"}, "token_endpoint must be https"),
        ({"token_endpoint": 1}, "token_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint must be"),
        ({"revocation_endpoint": "https://me:x@auth.example.org/"}, "revocation_endpoint must have neither"),
        ({"device_authorization_endpoint": ["https://auth.example.org/"]}, "device_authorization_endpoint must be"),
    ],
)
def test_endpoints_that_cannot_be_used_are_reported(
    members: dict[str, object], problem: str, http: HTTP, serve: Serve
) -> None:
    with serve(documents(**members)) as server:
        error = refused(issuer(server), http)
    assert (error.error, error.temporary) == ("discovery_failed", False)
    assert problem in error.error_description
