"""What carries the flows' requests: where it sends them, what it takes in answer, and when it gives up."""

from __future__ import annotations

import base64
import gzip
import http.client
import logging
import pickle
import signal
import socket
import threading
import time
import traceback
import tracemalloc
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
import urllib3

from oauthmail.applications import Application, ServiceAccount
from oauthmail.errors import CredentialsError, FlowError
from oauthmail.flows import HTTP, client_credentials, device_authorization, refresh, revoke, service_account
from oauthmail.flows._wire import LARGEST, Adapter, Exchange, current
from oauthmail.providers import Provider
from oauthmail.sandbox.state import State
from oauthmail.sandbox.web import Web

from ..scripted import TIMEOUT, Certificates, Line, scripted
from .conftest import USER, Clock, Serve, SignIn, answering, forever, receive_request, requests_to, response

# Seconds: twice as long is the longest that a call may last.
SHORT = 0.1

SECRET = "1//refresh-token-of-the-test_0123456789"
FORM = {"grant_type": "refresh_token", "refresh_token": SECRET}
OK = response(b'{"access_token": "a"}')
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def at(port: int, path: str = "/token") -> str:
    return f"https://127.0.0.1:{port}{path}"


@pytest.fixture
def hasty(ca_file: str) -> Iterator[HTTP]:
    """What gives up soon, and at once."""
    with HTTP(ca_file=ca_file, timeout=SHORT, retries=0) as http:
        yield http


def refused(call: Callable[[], object]) -> FlowError:
    """Return the exception that *call* ends in."""
    with pytest.raises(FlowError) as caught:
        call()
    return caught.value


# --- where requests may go ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://auth.example.org/token",
        "https://auth.example.org:8443/token?tenant=1",
        "https://[2001:db8::1]/token",
        "https://127.0.0.1/token",
    ],
)
def test_https_addresses_are_taken(http: HTTP, url: str) -> None:
    assert http.check(url, "token endpoint") == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param(None, "has no token endpoint", id="none"),
        pytest.param("http://auth.example.org/token", "must be https", id="http"),
        pytest.param("http://127.0.0.1/token", "must be https", id="http on loopback"),
        pytest.param("ftp://auth.example.org/token", "like https://", id="another scheme"),
        pytest.param("auth.example.org/token", "like https://", id="no scheme"),
        pytest.param("https:///token", "like https://", id="no host"),
        pytest.param("https://auth.example.org:0/token", "like https://", id="port 0"),
        pytest.param("https://auth.example.org:99999/token", "malformed", id="port too high"),
        pytest.param("https://[::1/token", "malformed", id="bracket"),
        pytest.param("https://me:secret@auth.example.org/token", "user name", id="user name and password"),
        pytest.param("https://auth.example.org/token#here", "fragment", id="fragment"),
        pytest.param("https://auth.example.org/token#", "fragment", id="empty fragment"),
        pytest.param("https://auth.example.org\\@evil.example/token", "backslash", id="backslash"),
        pytest.param("https://auth.example.org/to ken", "visible ASCII", id="blank"),
        pytest.param("https://auth.example.org/token\n", "visible ASCII", id="line end"),
        pytest.param("https://\u0430uth.example.org/token", "visible ASCII", id="letters that look alike"),
        pytest.param("", "visible ASCII", id="empty"),
        pytest.param("https://login.example/{tenant}/token", "with_tenant", id="tenant left open"),
    ],
)
def test_other_addresses_are_refused(http: HTTP, url: str | None, problem: str) -> None:
    with pytest.raises(CredentialsError, match=problem):
        http.check(url, "token endpoint")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.7.6", "localhost", "[::1]"])
def test_loopback_may_be_http_where_that_was_asked_for(host: str) -> None:
    with HTTP(allow_loopback_http=True) as http:
        assert http.check(f"http://{host}:1/token", "token endpoint")


@pytest.mark.parametrize(
    "host", ["auth.example.org", "127.0.0.1.example.org", "127.1", "10.0.0.1", "localhost.example"]
)
def test_nothing_else_may_be_http(host: str) -> None:
    with HTTP(allow_loopback_http=True) as http, pytest.raises(CredentialsError, match="must be https"):
        http.check(f"http://{host}/token", "token endpoint")


def test_loopback_http_works_where_that_was_asked_for() -> None:
    with scripted(answering(OK)) as server, HTTP(allow_loopback_http=True) as http:
        assert http.post(f"http://127.0.0.1:{server.port}/token", FORM).json() == {"access_token": "a"}


def test_an_address_that_was_not_checked_is_checked_before_anything_is_sent(http: HTTP) -> None:
    with scripted(answering(OK)) as server, pytest.raises(CredentialsError, match="must be https"):
        http.post(f"http://127.0.0.1:{server.port}/token", FORM)
    assert server.lines == []


def test_a_host_that_cannot_be_one_is_the_callers_mistake(http: HTTP) -> None:
    with pytest.raises(CredentialsError, match="host that cannot be one"):
        http.get(f"https://{'a' * 70}.example/")


def test_a_timeout_is_a_number_above_0() -> None:
    with pytest.raises(CredentialsError, match="timeout"):
        HTTP(timeout=0)


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_a_form_is_posted(http: HTTP, serve: Serve) -> None:
    with serve(answering(OK)) as server:
        http.post(at(server.port), {"a": "1 é&=", "b": ""})
    assert server.received[0] == b"POST /token HTTP/1.1"
    assert b"Content-Type: application/x-www-form-urlencoded" in server.received
    assert server.received[-1] == b"a=1+%C3%A9%26%3D&b="


def test_a_clients_secret_travels_as_printed_in_rfc_6749_section_2_3_1(http: HTTP, serve: Serve) -> None:
    with serve(answering(OK)) as server:
        http.post(at(server.port), FORM, auth=("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"))
    assert b"Authorization: Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3" in server.received


def test_a_clients_secret_is_form_encoded_before_base64(http: HTTP, serve: Serve) -> None:
    with serve(answering(OK)) as server:
        http.post(at(server.port), FORM, auth=("id:1", "s é%+/"))
    sent = next(line for line in server.received if line.startswith(b"Authorization: Basic "))
    assert base64.b64decode(sent.rpartition(b" ")[2]) == b"id%3A1:s+%C3%A9%25%2B%2F"


@pytest.mark.parametrize("send", [lambda http, url: http.post(url, FORM), lambda http, url: http.get(url)])
def test_netrc_is_not_used(
    send: Callable[[HTTP, str], object],
    http: HTTP,
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serve(answering(OK)) as server:
        send(http, at(server.port))
    assert [line for line in server.received if line.lower().startswith(b"authorization")] == []


def test_cookies_are_not_kept(http: HTTP, serve: Serve) -> None:
    with serve(answering(response(b"{}", "Set-Cookie: session=1; Path=/")), answering(OK)) as server:
        http.post(at(server.port), FORM)
        http.post(at(server.port), FORM)
    assert [line for line in server.received if line.lower().startswith(b"cookie")] == []


def test_a_connection_is_used_again(http: HTTP, serve: Serve) -> None:
    def twice(line: Line) -> None:
        for _ in range(2):
            receive_request(line)
            line.send(HEAD + b"Content-Length: 2\r\n\r\n{}")

    with serve(twice) as server:
        assert [http.post(at(server.port), FORM).json() for _ in range(2)] == [{}, {}]
    assert len(server.lines) == 1


# --- TLS and proxies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "trusted"),
    [pytest.param("127.0.0.1", False, id="unknown authority"), pytest.param("mail.example", True, id="another name")],
)
def test_a_certificate_that_cannot_be_verified_is_final(
    name: str, trusted: bool, certificates: Certificates, ca_file: str
) -> None:
    signer = certificates if trusted else Certificates()
    with (
        scripted(answering(OK), answering(OK), tls=signer.server(name)) as server,
        HTTP(ca_file=ca_file, backoff=0) as http,
    ):
        error = refused(lambda: http.post(at(server.port), FORM))
    assert (error.error, error.temporary, error.authorize_again) == ("tls_error", False, False)
    assert "127.0.0.1 is not trusted: " in error.error_description
    assert "certificate" in error.hint
    assert (len(server.lines), server.received) == (1, [])


def test_a_server_without_tls_is_not_talked_to(http: HTTP) -> None:
    def plain(line: Line) -> None:
        line.sock.recv(10)
        line.send(b"HTTP/1.1 200 OK\r\n\r\n{}")

    with scripted(plain) as server:
        error = refused(lambda: http.post(at(server.port), FORM))
    assert (error.error, error.temporary) == ("tls_error", False)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_are_named(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with socket.create_server(("127.0.0.1", 0)) as listener, HTTP(ca_file=str(path), retries=0) as http:
        error = refused(lambda: http.get(at(listener.getsockname()[1])))
    assert (error.error, error.temporary) == ("tls_error", False)


def test_the_environments_certificates_are_used(serve: Serve, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
    with serve(answering(OK)) as server, HTTP() as http:
        assert http.post(at(server.port), FORM).ok


def test_the_providers_certificates_go_before_the_environments(
    serve: Serve, http: HTTP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    Certificates().authority.cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with serve(answering(OK)) as server:
        assert http.post(at(server.port), FORM).ok


def test_the_environments_proxy_is_used(http: HTTP, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(line: Line) -> None:
        receive_request(line)
        line.send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with scripted(refuse) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        error = refused(lambda: http.post("https://auth.example.test/token", FORM, retry=False))
    assert server.received[0].startswith(b"CONNECT auth.example.test:443 ")
    assert (error.error, error.temporary) == ("connection_error", True)
    assert error.error_description.startswith("the proxy to auth.example.test: ")
    assert "407 Proxy Authentication Required" in error.error_description


@pytest.mark.parametrize("proxy", ["http://", "gopher://127.0.0.1:1"])
def test_a_proxy_that_cannot_be_one_is_named_as_the_cause(
    proxy: str, http: HTTP, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    error = refused(lambda: http.get("https://auth.example.test/"))
    assert error.error == "connection_error"
    assert "proxy" in str(error)


def test_a_proxy_that_drips_its_answer_holds_nobody(hasty: HTTP, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(dripping(b"HTTP/1.1 200 OK\r\n", b"X")) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        error = refused(lambda: hasty.post("https://auth.example.test/token", FORM))
    assert (error.error, error.temporary) == ("timeout", True)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"])
def test_no_proxy_is_asked_for_loopback(variable: str, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(answering(OK)) as server, socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with HTTP(allow_loopback_http=True, timeout=TIMEOUT) as http:
            assert http.post(f"http://127.0.0.1:{server.port}/token", FORM).ok


# --- redirects ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed(status: str, http: HTTP, serve: Serve) -> None:
    with serve(answering(OK)) as other:
        target = at(other.port, f"/token?refresh_token={SECRET}")
        with serve(answering(response(b"", f"Location: {target}", status=status))) as server:
            error = refused(lambda: http.post(at(server.port), FORM))
    assert (error.error, error.temporary) == ("redirect", False)
    assert (len(requests_to(server)), other.lines) == (1, [])


@pytest.mark.parametrize(
    ("location", "named"),
    [
        pytest.param(f"https://evil.example/{SECRET}?x={SECRET}", " to evil.example;", id="elsewhere"),
        pytest.param(f"https://{SECRET[3:]}:x@evil.example:99/", " to evil.example;", id="with a user name"),
        pytest.param("/signin", " to 127.0.0.1;", id="relative"),
        pytest.param("https://[::1/", "302; redirects", id="malformed"),
        pytest.param("", " to 127.0.0.1;", id="empty"),
    ],
)
def test_of_a_redirects_target_the_host_is_named_and_nothing_else(
    location: str, named: str, http: HTTP, serve: Serve
) -> None:
    with serve(answering(response(b"", f"Location: {location}", status="302 Found"))) as server:
        error = refused(lambda: http.post(at(server.port), FORM))
    assert named in str(error)
    assert SECRET not in str(error)


def test_the_body_of_a_redirect_is_not_read(http: HTTP, serve: Serve) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\n\r\n"
    with serve(forever(head, b"x" * 65536)) as server:
        assert refused(lambda: http.post(at(server.port), FORM)).error == "redirect"


# --- too much -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        pytest.param(HEAD + b"\r\n", b" " * 65536, id="body without a length"),
        pytest.param(HEAD + b"Content-Length: 99999999999\r\n\r\n", b" " * 65536, id="body with a length"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b" " * 4096 + b"\r\n", id="chunks"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Trailer: 1\r\n" * 4096, id="trailer"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 4096, id="continue"),
        pytest.param(b"HTTP/1.1 503 Down\r\n\r\n", b" " * 65536, id="body of a failure"),
    ],
)
def test_an_answer_without_an_end_is_cut_off(head: bytes, piece: bytes, http: HTTP, serve: Serve) -> None:
    with serve(forever(head, piece), answering(OK)) as server:
        error = refused(lambda: http.post(at(server.port), FORM))
    assert (error.error, error.temporary) == ("invalid_response", False)
    assert len(requests_to(server)) == 1


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        pytest.param(HEAD, b"X-Header: 1\r\n" * 4096, id="headers"),
        pytest.param(HEAD, b"X" * 65536, id="one header"),
        pytest.param(b"HTTP/1.1 200 ", b"X" * 65536, id="status line"),
    ],
)
def test_headers_without_an_end_are_cut_off(head: bytes, piece: bytes, serve: Serve, ca_file: str) -> None:
    with serve(forever(head, piece)) as server, HTTP(ca_file=ca_file, retries=0) as http:
        assert refused(lambda: http.post(at(server.port), FORM)).error == "connection_error"


def test_the_largest_answer_is_taken(http: HTTP, serve: Serve) -> None:
    body = b'{"a": "' + b"x" * (LARGEST - 9) + b'"}'
    with serve(answering(response(body))) as server:
        assert len(http.post(at(server.port), FORM).body) == LARGEST


def test_an_answer_one_octet_larger_is_not(http: HTTP, serve: Serve) -> None:
    with serve(answering(response(b" " * (LARGEST + 1)))) as server:
        assert refused(lambda: http.post(at(server.port), FORM)).error == "invalid_response"


def test_compression_is_not_asked_for(http: HTTP, serve: Serve) -> None:
    with serve(answering(OK)) as server:
        http.post(at(server.port), FORM)
    assert b"Accept-Encoding: identity" in server.received


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_compressed_answer_is_taken_all_the_same(
    encoding: str, compress: Callable[[bytes], bytes], http: HTTP, serve: Serve
) -> None:
    with serve(answering(response(compress(b'{"a": 1}'), f"Content-Encoding: {encoding}"))) as server:
        assert http.post(at(server.port), FORM).json() == {"a": 1}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", gzip.compress(b" " * (LARGEST + 1)), id="bomb"),
        pytest.param("gzip, gzip", gzip.compress(gzip.compress(b" " * (100 * LARGEST))), id="bomb in a bomb"),
        pytest.param("br", b"\x0b\x02\x80{}\x03", id="unknown"),
        pytest.param("gzip", b'{"a": 1}', id="not compressed"),
        pytest.param("gzip", gzip.compress(b'{"a": 1}')[:-12], id="cut off"),
    ],
)
def test_what_cannot_be_decompressed_within_bounds_is_refused(
    encoding: str, body: bytes, http: HTTP, serve: Serve
) -> None:
    with serve(answering(response(body, f"Content-Encoding: {encoding}"))) as server:
        assert refused(lambda: http.post(at(server.port), FORM).json()).error == "invalid_response"


def silent(line: Line) -> None:
    """Say nothing until the client hangs up."""
    while line.sock.recv(1 << 16):
        pass


def stalling(line: Line) -> None:
    receive_request(line)
    silent(line)


def test_a_bomb_takes_little_memory(http: HTTP, serve: Serve) -> None:
    with serve(answering(response(gzip.compress(b" " * (64 * LARGEST)), "Content-Encoding: gzip"))) as server:
        tracemalloc.start()
        error = refused(lambda: http.post(at(server.port), FORM))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert error.error == "invalid_response"
    assert peak < 16 * LARGEST


# --- too slow -------------------------------------------------------------------------------------------------------


def dripping(head: bytes, piece: bytes) -> Callable[[Line], None]:
    """Return a script that sends *piece* again and again, each time before the client's timeout."""

    def script(line: Line) -> None:
        receive_request(line)
        line.send(head)
        # Ends by itself when nobody hangs up: far behind the client's deadline, and before pytest's patience.
        for _ in range(500):
            line.send(piece)
            time.sleep(SHORT / 5)

    return script


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        pytest.param(HEAD + b"\r\n", b" ", id="body"),
        pytest.param(HEAD + b"Content-Length: 1000\r\n\r\n", b" ", id="body with a length"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", id="chunks"),
        pytest.param(HEAD, b"X", id="header"),
        pytest.param(b"", b"H", id="status line"),
    ],
)
def test_a_server_that_drips_holds_a_call_no_longer_than_two_timeouts(
    head: bytes, piece: bytes, serve: Serve, hasty: HTTP
) -> None:
    with serve(dripping(head, piece)) as server:
        started = time.monotonic()
        error = refused(lambda: hasty.post(at(server.port), FORM))
        lasted = time.monotonic() - started
    assert (error.error, error.temporary) == ("timeout", True)
    # The script drips for a hundred timeouts.
    assert lasted < 50 * SHORT


def test_a_server_that_says_nothing_is_tried_again_until_two_timeouts_have_passed(serve: Serve, ca_file: str) -> None:
    with (
        serve(*[stalling] * 5) as server,
        HTTP(ca_file=ca_file, timeout=SHORT, retries=3, backoff=0) as http,
    ):
        error = refused(lambda: http.post(at(server.port), FORM))
    assert (error.error, error.temporary, error.authorize_again) == ("timeout", True, False)
    # One attempt fits into each timeout, where four are allowed.
    assert 1 <= len(server.lines) <= 3


def test_a_server_that_does_not_shake_hands_is_given_up(hasty: HTTP) -> None:
    with scripted(silent) as server:
        error = refused(lambda: hasty.post(at(server.port), FORM))
    assert (error.error, error.temporary) == ("timeout", True)


def test_no_connection_is_begun_when_the_call_is_over() -> None:
    adapter = Adapter(3, 0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = adapter.poolmanager.connection_from_url(at(listener.getsockname()[1]))._new_conn()
        connection.timeout = SHORT
        token = current.set(Exchange("127.0.0.1", time.monotonic() - 1, True))
        with pytest.raises(TimeoutError):
            connection.connect()
        current.reset(token)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


# --- temporary failures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_temporary_failure_is_tried_again_with_the_same_request(status: int, http: HTTP, serve: Serve) -> None:
    down = answering(response(b"<html>", status=f"{status} Down", kind="text/html"))
    with serve(down, down, answering(OK)) as server:
        assert http.post(at(server.port), FORM).json() == {"access_token": "a"}
    sent = urllib.parse.urlencode(FORM).encode()
    assert [connection.received[-1] for connection in server.lines] == [sent] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 501])
def test_any_other_failure_is_not_tried_again(status: int, http: HTTP, serve: Serve) -> None:
    with serve(answering(response(status=f"{status} No")), answering(OK)) as server:
        assert http.post(at(server.port), FORM).status == status
    assert len(server.lines) == 1


def test_after_some_attempts_the_last_answer_counts(http: HTTP, serve: Serve) -> None:
    with serve(*[answering(response(status="503 Down"))] * 5) as server:
        assert http.post(at(server.port), FORM).status == 503
    assert len(server.lines) == 4


def test_what_is_asked_for_by_polling_is_not_tried_again(http: HTTP, serve: Serve) -> None:
    with serve(*[answering(response(status="503 Down"))] * 2) as server:
        assert http.post(at(server.port), FORM, retry=False).status == 503
    assert len(server.lines) == 1


def test_a_connection_that_is_cut_before_the_answer_is_tried_again(http: HTTP, serve: Serve) -> None:
    def cut(line: Line) -> None:
        receive_request(line)

    with serve(cut, answering(OK)) as server:
        assert http.post(at(server.port), FORM).ok
    assert len(requests_to(server)) == 2


def test_a_connection_that_is_cut_during_the_handshake_is_tried_again(http: HTTP) -> None:
    def hello(line: Line) -> None:
        line.sock.recv(1 << 16)

    with scripted(*[hello] * 5) as server:
        error = refused(lambda: http.post(at(server.port), FORM))
    assert (error.error, error.temporary) == ("connection_error", True)
    assert len(server.lines) == 4


def test_a_connection_that_is_always_cut_is_a_temporary_failure(http: HTTP, serve: Serve) -> None:
    def cut(line: Line) -> None:
        receive_request(line)

    with serve(*[cut] * 5) as server:
        error = refused(lambda: http.post(at(server.port), FORM))
    assert (error.error, error.temporary, error.authorize_again) == ("connection_error", True, False)
    assert len(requests_to(server)) == 4


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(HEAD + b'Content-Length: 100\r\n\r\n{"access_token": ', id="length"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n11\r\n{", id="chunk"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", id="no chunk size"),
    ],
)
def test_half_an_answer_is_none(octets: bytes, http: HTTP, serve: Serve) -> None:
    with serve(answering(octets)) as server:
        error = refused(lambda: http.post(at(server.port), FORM))
    assert (error.error, error.temporary) == ("connection_error", True)


def test_a_port_where_nobody_listens_is_a_temporary_failure(http: HTTP) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = refused(lambda: http.post(at(port), FORM))
    assert (error.error, error.temporary) == ("connection_error", True)
    assert "127.0.0.1: " in error.error_description


def test_what_is_no_http_is_a_failure_of_the_connection(http: HTTP, serve: Serve) -> None:
    with serve(*[answering(b"220 mail.example ESMTP\r\n")] * 4) as server:
        assert refused(lambda: http.post(at(server.port), FORM)).error == "connection_error"


def test_retry_after_is_waited_for(http: HTTP, serve: Serve) -> None:
    came: list[float] = []

    def busy(line: Line) -> None:
        receive_request(line)
        came.append(time.monotonic())
        line.send(response(b"", "Retry-After: 1", status="429 Slow"))

    def free(line: Line) -> None:
        receive_request(line)
        came.append(time.monotonic())
        line.send(OK)

    with serve(busy, free) as server:
        assert http.post(at(server.port), FORM).ok
    assert came[1] - came[0] >= 0.99


def test_a_retry_after_that_is_longer_than_the_call_ends_it(serve: Serve, ca_file: str) -> None:
    busy = answering(response(b"{}", "Retry-After: 3600", status="503 Down"))
    with serve(busy, answering(OK)) as server, HTTP(ca_file=ca_file, timeout=10) as http:
        assert http.post(at(server.port), FORM).status == 503
    assert len(server.lines) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("5", 5, id="seconds"),
        pytest.param("3600", 30, id="capped"),
        pytest.param("9" * 5000, None, id="digits"),
        pytest.param("Fri, 31 Dec 2100 23:59:59 GMT", 30, id="date"),
        pytest.param("Fri, 31 Dec 1999 23:59:59 GMT", 0, id="past"),
        pytest.param("soon", None, id="word"),
        pytest.param("-1", None, id="negative"),
        pytest.param("nan", None, id="nan"),
    ],
)
def test_what_retry_after_says(header: str, seconds: float | None) -> None:
    answer = urllib3.HTTPResponse(headers={"Retry-After": header})
    assert Adapter(3, 0.5).max_retries.get_retry_after(answer) == seconds


# --- what is seen of it -----------------------------------------------------------------------------------------------


@pytest.fixture
def everything_logged() -> Iterator[list[str]]:
    """Have every logger log at DEBUG, and return what they say."""
    said: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # The sandbox is in this process, too, and is not whose logs are looked at.
            if not str(record.threadName).startswith("oauthmail-sandbox"):
                said.append(f"{record.name}: {self.format(record)} {vars(record)}")

    root, handler = logging.getLogger(), Handler(logging.NOTSET)
    names = ["oauthmail", "urllib3", "requests", "oauthlib", "requests_oauthlib", "http", *root.manager.loggerDict]
    before = {name: logging.getLogger(name).level for name in names}
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield said
    root.removeHandler(handler)
    root.setLevel(level)
    for name in names:
        logging.getLogger(name).setLevel(before[name])


def secrets_of(web: Web) -> list[str]:
    """Return everything that the sandbox has issued or was told that opens something."""
    store = web.store
    issued = [*store.refresh_tokens, *web.state.tokens, *web.state.ended, *store.codes, *store.device_codes]
    return [*issued, web.client_secret, web.control_secret]


def test_no_log_shows_a_secret(
    web: Web,
    provider: Provider,
    confidential: Application,
    http: HTTP,
    sign_in: SignIn,
    clock: Clock,
    everything_logged: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    credentials = sign_in(confidential)
    account = ServiceAccount(web.service_account_email, web.service_account_key)
    signing = Application(web.client_id, private_key=web.client_key)
    web.store.device_expires_in = 12
    everything_logged.clear()
    monkeypatch.setattr(http_client_connection(), "debuglevel", 1)
    renewed = refresh(provider, confidential, credentials, http=http)
    with pytest.raises(FlowError):
        refresh(provider, confidential, credentials, http=http)
    client_credentials(replace(provider, token_endpoint_auth_method="client_secret_basic"), confidential, http=http)
    client_credentials(provider, signing, http=http)
    service_account(provider, account, subject=USER, scope=["mail"], http=http)
    with pytest.raises(FlowError):
        device_authorization(
            provider, confidential, scope=["mail"], show=lambda _: None, http=http, now=clock, sleep=clock.sleep
        )
    revoke(provider, confidential, renewed, http=http)
    text = "".join([*everything_logged, *capfd.readouterr()])
    assert text.count("oauthmail.flows: POST 127.0.0.1 /token: status 200") == 4
    assert [secret for secret in secrets_of(web) if secret in text or urllib.parse.quote_plus(secret) in text] == []


def http_client_connection() -> type[http.client.HTTPConnection]:
    # The fixture of the tests is called as the module is.
    return http.client.HTTPConnection


def test_what_the_user_does_with_the_same_libraries_is_logged_as_ever(
    web: Web, http: HTTP, ca_file: str, everything_logged: list[str]
) -> None:
    http.get(f"{web.https_url}/")
    everything_logged.clear()
    with requests.Session() as session:
        session.trust_env = False
        session.get(f"{web.https_url}/?of=the-user", verify=ca_file, timeout=TIMEOUT)
    assert any(line.startswith("urllib3.connectionpool: ") and "/?of=the-user" in line for line in everything_logged)


def test_what_another_thread_does_meanwhile_is_logged_as_ever(
    http: HTTP, serve: Serve, everything_logged: list[str]
) -> None:
    asked, said = threading.Event(), threading.Event()

    def hold(line: Line) -> None:
        receive_request(line)
        asked.set()
        assert said.wait(TIMEOUT)
        line.send(OK)

    with serve(hold) as server:
        thread = threading.Thread(target=http.post, args=(at(server.port), FORM))
        thread.start()
        assert asked.wait(TIMEOUT)
        logging.getLogger("urllib3.connectionpool").debug("of another thread")
        said.set()
        thread.join()
    assert any("of another thread" in line for line in everything_logged)


def test_a_debug_output_of_the_users_own_is_printed_as_ever(
    web: Web, http: HTTP, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http_client_connection(), "debuglevel", 1)
    http.get(f"{web.https_url}/")
    assert capfd.readouterr().out == ""
    with requests.Session() as session:
        session.trust_env = False
        session.get(f"{web.url}/?of=the-user", timeout=TIMEOUT)
    assert "of=the-user" in capfd.readouterr().out


def test_headers_that_run_into_the_body_are_not_logged(
    http: HTTP, serve: Serve, ca_file: str, everything_logged: list[str]
) -> None:
    octets = HEAD + b'{"access_token":\r\n"issued-0123456789"}\r\n\r\n'
    with serve(answering(octets), answering(octets)) as server:
        http.post(at(server.port), FORM)
        assert [line for line in everything_logged if "issued-0123456789" in line] == []
        # It is urllib3 that would have said so.
        with requests.Session() as session:
            session.trust_env = False
            session.get(at(server.port), verify=ca_file, timeout=TIMEOUT)
    assert [line for line in everything_logged if "issued-0123456789" in line] != []


def shown_by(error: BaseException) -> str:
    """Return all that can be read of an exception: its texts, its attributes, its frames' variables."""
    texts = []
    found: BaseException | None = error
    while found is not None:
        walked = traceback.walk_tb(found.__traceback__)
        # The frames of this module are the caller's own.
        frames = [frame for frame, _ in walked if frame.f_globals["__name__"] != __name__]
        texts += [repr(value) for frame in frames for value in frame.f_locals.values()]
        texts += [str(found), repr(found), repr(vars(found))]
        texts += [repr(vars(value)) for value in vars(found).values() if hasattr(value, "__dict__")]
        found = found.__cause__ or found.__context__
    return "\n".join(texts)


def repeating(line: Line) -> None:
    """Answer with all that was received."""
    said = receive_request(line).decode() + b" ".join(line.received).decode()
    line.send(response(said.encode(), status="400 Bad", kind=said[:200]))


def cutting(line: Line) -> None:
    receive_request(line)


def redirecting(line: Line) -> None:
    said = receive_request(line).decode()
    line.send(response(said.encode(), f"Location: https://{SECRET}.example/?{said}", status="302 Found"))


def too_long(line: Line) -> None:
    said = receive_request(line)
    with_secret = b"X-Echo: " + said + b"\r\n"
    line.send(HEAD + with_secret + b"\r\n")
    while True:
        line.send(said * 1000)


def no_http(line: Line) -> None:
    line.send(receive_request(line) + b"\r\n")


def post_secret(http: HTTP, url: str) -> None:
    """Send `SECRET` in every way there is; only this frame, which is the caller's, holds it."""
    answer = http.post(url, FORM, auth=("client", SECRET[::-1]), headers={"X-Test": SECRET}, secrets=[SECRET])
    answer.json()


@pytest.mark.parametrize("script", [repeating, stalling, cutting, redirecting, too_long, no_http])
def test_no_exception_shows_a_secret(script: Callable[[Line], None], hasty: HTTP, serve: Serve) -> None:
    with serve(script) as server:
        error = refused(lambda: post_secret(hasty, at(server.port)))
    shown = shown_by(error) + repr(pickle.loads(pickle.dumps(error)).args)
    encoded = base64.b64encode(f"client:{SECRET[::-1]}".encode()).decode()
    hidden = [SECRET, SECRET[::-1], urllib.parse.quote_plus(SECRET), urllib.parse.quote_plus(SECRET[::-1]), encoded]
    assert [secret for secret in hidden if secret in shown] == []


def test_ctrl_c_shows_no_secret_either(http: HTTP, serve: Serve) -> None:
    def interrupt(line: Line) -> None:
        receive_request(line)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        silent(line)

    with serve(interrupt) as server, pytest.raises(KeyboardInterrupt) as caught:
        post_secret(http, at(server.port))
    assert SECRET not in shown_by(caught.value)


def test_an_answer_does_not_show_what_is_in_it(http: HTTP, serve: Serve) -> None:
    with serve(answering(response(b'{"access_token": "issued"}', "X-Token: issued"))) as server:
        answer = http.post(at(server.port), FORM, secrets=[SECRET])
    assert "issued" not in repr(answer)
    assert SECRET not in repr(answer)


def test_http_can_be_used_from_several_threads(web: Web, http: HTTP) -> None:
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(http.get(f"{web.https_url}/").status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [200] * 8


def test_what_was_closed_can_be_used_again(http: HTTP, certificates: Certificates) -> None:
    with Web(State(), tls=certificates.server("127.0.0.1")) as web:
        http.get(f"{web.https_url}/")
        http.close()
        assert http.get(f"{web.https_url}/").ok
        http.close()
