"""The listener at the end of a redirect: what it takes, what it refuses, and that nothing of it is left."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import requests

from oauthmail import errors
from oauthmail.flows._addresses import is_loopback
from oauthmail.flows._loopback import Loopback

TIMEOUT = 10.0
GOOD = "/callback?code=c0de&state=ours"
THANKS = "The program has its answer."


def judge(parameters: Mapping[str, str]) -> str | None:
    return THANKS if parameters.get("state") == "ours" else None


def port_of(loopback: Loopback) -> int:
    found = re.search(r":(\d+)", loopback.redirect_uri.removeprefix("http://[::1]"))
    assert found is not None
    return int(found[1])


def connect(loopback: Loopback, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((address, port_of(loopback)), timeout=TIMEOUT)


def request(
    loopback: Loopback, target: str = GOOD, *headers: str, method: str = "GET", host: str | None = None
) -> bytes:
    """Return what a browser would send."""
    ours = loopback.redirect_uri.removeprefix("http://").partition("/")[0]
    lines = [f"{method} {target} HTTP/1.1", f"Host: {ours if host is None else host}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def answer_to(loopback: Loopback, octets: bytes, address: str = "127.0.0.1") -> bytes:
    """Send *octets* and return everything that comes back."""
    with connect(loopback, address) as sock:
        sock.sendall(octets)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def receive(loopback: Loopback, *steps: Callable[[], object]) -> dict[str, str]:
    """Take *steps* as the browser, one after the other, while the listener waits."""

    def invite() -> None:
        for step in steps:
            step()

    return loopback.receive(judge, invite, TIMEOUT)


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    with Loopback("http://127.0.0.1/callback") as loopback:
        yield loopback


# --- the right answer -----------------------------------------------------------------------------------------------


def test_the_parameters_of_the_redirect_are_returned(loopback: Loopback) -> None:
    target = "/callback?code=4%2F0a+b&state=ours&scope=&iss=https%3A%2F%2Fissuer.example"
    found = receive(loopback, lambda: answer_to(loopback, request(loopback, target)))
    assert found == {"code": "4/0a b", "state": "ours", "scope": "", "iss": "https://issuer.example"}


def test_the_person_is_told_to_close_the_window(loopback: Loopback) -> None:
    pages: list[requests.Response] = []
    with requests.Session() as browser:
        receive(loopback, lambda: pages.append(browser.get(f"{loopback.redirect_uri}?state=ours", timeout=TIMEOUT)))
    assert pages[0].status_code == 200
    assert THANKS in pages[0].text
    assert "You may close this window." in pages[0].text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "no-referrer"),
        ("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Content-Type", "text/html; charset=utf-8"),
        ("Connection", "close"),
    ],
)
def test_the_page_gives_nothing_away(loopback: Loopback, name: str, value: str) -> None:
    pages: list[bytes] = []
    receive(loopback, lambda: pages.append(answer_to(loopback, request(loopback))))
    assert f"\r\n{name}: {value}\r\n".encode() in pages[0]


def test_the_text_of_the_page_is_escaped(loopback: Loopback) -> None:
    pages: list[bytes] = []
    loopback.receive(
        lambda parameters: parameters["error"],
        lambda: pages.append(answer_to(loopback, request(loopback, "/callback?error=%3Cscript%3E"))),
        TIMEOUT,
    )
    assert b"<h1>&lt;script&gt;</h1>" in pages[0]


def test_the_request_may_come_in_pieces(loopback: Loopback) -> None:
    def drip() -> None:
        with connect(loopback) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in request(loopback):
                sock.sendall(bytes([octet]))
            sock.recv(1)

    assert receive(loopback, drip)["code"] == "c0de"


def test_what_follows_the_request_is_not_looked_at(loopback: Loopback) -> None:
    octets = request(loopback) + b"Host: evil.example\r\n\r\n"
    assert receive(loopback, lambda: answer_to(loopback, octets))["code"] == "c0de"


@pytest.mark.parametrize(
    "prefix", [pytest.param(b"\r\n", id="empty line in front"), pytest.param(b"", id="bare line feeds")]
)
def test_lines_may_be_loose(loopback: Loopback, prefix: bytes) -> None:
    octets = prefix + (request(loopback) if prefix else request(loopback).replace(b"\r", b""))
    assert receive(loopback, lambda: answer_to(loopback, octets))["code"] == "c0de"


def test_cookies_of_other_programs_on_the_same_host_do_no_harm(loopback: Loopback) -> None:
    octets = request(loopback, GOOD, f"Cookie: session={'x' * 30000}")
    assert receive(loopback, lambda: answer_to(loopback, octets))["code"] == "c0de"


def test_a_long_code_is_taken(loopback: Loopback) -> None:
    octets = request(loopback, f"/callback?state=ours&code={'x' * 8000}")
    assert len(receive(loopback, lambda: answer_to(loopback, octets))["code"]) == 8000


# --- wrong answers --------------------------------------------------------------------------------------------------


def raw(octets: bytes) -> Callable[[Loopback], bytes]:
    return lambda loopback: octets


def asking(
    target: str = GOOD, *headers: str, method: str = "GET", host: str | None = None
) -> Callable[[Loopback], bytes]:
    return lambda loopback: request(loopback, target, *headers, method=method, host=host)


def altered(pattern: str, replacement: str) -> Callable[[Loopback], bytes]:
    """Return what would be the right request but for one thing."""

    def alter(loopback: Loopback) -> bytes:
        right = request(loopback, GOOD.replace("c0de", "bad")).decode("latin-1")
        assert re.search(pattern, right)
        return re.sub(pattern, replacement, right, count=1).encode("latin-1")

    return alter


ABUSES = [
    pytest.param(asking("/favicon.ico"), 404, id="favicon"),
    pytest.param(asking("/"), 404, id="another path"),
    pytest.param(asking("/callback/?state=ours&code=bad"), 404, id="slash behind the path"),
    pytest.param(asking("/Callback?state=ours&code=bad"), 404, id="path in another case"),
    pytest.param(asking("//callback?state=ours&code=bad"), 404, id="two slashes"),
    pytest.param(asking("/x/../callback?state=ours&code=bad"), 404, id="path with dots"),
    pytest.param(asking("/%63allback?state=ours&code=bad"), 404, id="path in percent encoding"),
    pytest.param(asking("/callback"), 400, id="no parameters"),
    pytest.param(asking("/callback?state=theirs&code=bad"), 400, id="wrong state"),
    pytest.param(asking("/callback?code=bad"), 400, id="no state"),
    pytest.param(asking("/callback?state=ours&state=ours&code=bad"), 400, id="state twice"),
    pytest.param(asking("/callback?state=ours&code=bad&code=worse"), 400, id="code twice"),
    pytest.param(asking("/callback?state=ours&" + "&".join(f"p{n}=1" for n in range(60))), 400, id="60 parameters"),
    pytest.param(asking("/callback?state=ours&code=bad", method="HEAD"), 405, id="HEAD"),
    pytest.param(asking("/callback?state=ours&code=bad", method="OPTIONS"), 405, id="OPTIONS"),
    pytest.param(asking("/callback?state=ours&code=bad", "Content-Length: 0", method="POST"), 405, id="POST"),
    pytest.param(asking("http://127.0.0.1/callback?state=ours&code=bad"), 400, id="absolute form"),
    pytest.param(asking("*", method="OPTIONS"), 400, id="asterisk form"),
    pytest.param(asking("/callback?state=ours&code=bad", host="evil.example"), 421, id="another host"),
    pytest.param(asking("/callback?state=ours&code=bad", host="127.0.0.1"), 421, id="host without the port"),
    pytest.param(asking("/callback?state=ours&code=bad", host="127.0.0.1:1"), 421, id="another port"),
    pytest.param(asking("/callback?state=ours&code=bad", host=""), 421, id="empty host"),
    pytest.param(asking("/callback?state=ours&code=bad", "Host: evil.example"), 400, id="two hosts"),
    pytest.param(altered("Host: [^\r]*\r\n", ""), 400, id="no host"),
    pytest.param(altered("\r\nHost", "\r\n\r\nHost"), 400, id="host behind the head"),
    pytest.param(altered(" HTTP/1.1", ""), 400, id="HTTP/0.9"),
    pytest.param(altered("HTTP/1.1", "HTTP/2.0"), 400, id="HTTP/2"),
    pytest.param(altered("GET", "get"), 400, id="method in small letters"),
    pytest.param(altered("GET ", "GET  "), 400, id="two blanks"),
    pytest.param(altered("code=", "code=\xe4"), 400, id="not ASCII"),
    pytest.param(raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400, id="TLS"),
    pytest.param(raw(b"\0" * 100), 400, id="junk without a line end"),
    pytest.param(raw(b"GET /" + b"x" * 20000), 414, id="endless request line"),
    pytest.param(asking("/callback?state=ours&code=" + "x" * 20000), 414, id="long request line"),
    pytest.param(asking(GOOD, "Cookie: " + "x" * 70000), 431, id="large header"),
    pytest.param(raw(b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 20000), 431, id="endless headers"),
    pytest.param(raw(b"\r\n" * 40000), 431, id="endless empty lines"),
    # More than the system's buffers hold: the answer is only seen when the rest is read all the same.
    pytest.param(raw(b"GET /" + b"x" * 900_000), 414, id="a request line without measure"),
]


@pytest.mark.parametrize(("bad", "status"), ABUSES)
def test_a_wrong_request_is_answered_and_ignored_and_the_right_one_still_wins(
    loopback: Loopback, bad: Callable[[Loopback], bytes], status: int
) -> None:
    answers: list[bytes] = []
    found = receive(
        loopback,
        lambda: answers.append(answer_to(loopback, bad(loopback))),
        lambda: answer_to(loopback, request(loopback)),
    )
    assert (answers[0].split(b" ")[:2], found["code"]) == ([b"HTTP/1.1", str(status).encode()], "c0de")


def test_a_wrong_method_is_told_the_right_one(loopback: Loopback) -> None:
    answers: list[bytes] = []
    receive(
        loopback,
        lambda: answers.append(answer_to(loopback, request(loopback, method="POST"))),
        lambda: answer_to(loopback, request(loopback)),
    )
    assert b"\r\nAllow: GET\r\n" in answers[0]


def test_the_answer_to_a_head_has_no_body(loopback: Loopback) -> None:
    answers: list[bytes] = []
    receive(
        loopback,
        lambda: answers.append(answer_to(loopback, request(loopback, method="HEAD"))),
        lambda: answer_to(loopback, request(loopback)),
    )
    assert answers[0].endswith(b"\r\n\r\n")


def test_what_stands_in_a_wrong_request_is_not_repeated(loopback: Loopback) -> None:
    answers: list[bytes] = []
    receive(
        loopback,
        lambda: answers.append(answer_to(loopback, request(loopback, "/<b>reflected</b>"))),
        lambda: answer_to(loopback, request(loopback)),
    )
    assert b"reflected" not in answers[0]


def test_a_connection_has_one_request(loopback: Loopback) -> None:
    def body_like_a_request() -> None:
        with connect(loopback) as sock:
            sock.sendall(request(loopback, "/callback", "Content-Length: 200", method="POST"))
            assert sock.recv(65536).startswith(b"HTTP/1.1 405 ")
            sock.sendall(request(loopback, "/callback?code=bad&state=ours"))
            # Connections are served in turn, so this one's answer comes after what was sent before.
            answer_to(loopback, request(loopback, "/favicon.ico"))

    assert receive(loopback, body_like_a_request, lambda: answer_to(loopback, request(loopback)))["code"] == "c0de"


def test_who_goes_on_sending_after_a_refusal_is_listened_to(loopback: Loopback) -> None:
    def go_on() -> None:
        with connect(loopback) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(request(loopback, "/upload", method="POST"))
            assert b"".join(iter(lambda: sock.recv(65536), b"")).startswith(b"HTTP/1.1 404 ")
            for _ in range(5):
                # Had it been closed, this would soon be refused.
                sock.sendall(b"x" * 1000)
                answer_to(loopback, request(loopback, "/favicon.ico"))

    receive(loopback, go_on, lambda: answer_to(loopback, request(loopback)))


def test_who_goes_on_sending_for_ever_is_cut_off(loopback: Loopback) -> None:
    def go_on_for_ever() -> None:
        with connect(loopback) as sock, pytest.raises(ConnectionError):
            sock.sendall(request(loopback, "/upload", method="POST") + bytes(1 << 26))

    receive(loopback, go_on_for_ever, lambda: answer_to(loopback, request(loopback)))


def test_the_first_right_request_wins(loopback: Loopback) -> None:
    with contextlib.ExitStack() as stack:

        def hurry() -> None:
            # Nobody answers the second one any more; whether it is even accepted is up to the system.
            answer_to(loopback, request(loopback))
            with contextlib.suppress(OSError):
                sock = stack.enter_context(connect(loopback))
                sock.sendall(request(loopback, "/callback?code=second&state=ours"))

        assert receive(loopback, hurry)["code"] == "c0de"


def test_connections_that_say_nothing_or_little_keep_nobody_waiting(loopback: Loopback) -> None:
    with contextlib.ExitStack() as stack:

        def occupy() -> None:
            sockets = [stack.enter_context(connect(loopback)) for _ in range(100)]
            for number, sock in enumerate(sockets[1:]):
                sock.sendall(request(loopback)[: number % 50])
            # More than are kept open: the oldest ones go.
            assert sockets[0].recv(1) == b""

        assert receive(loopback, occupy, lambda: answer_to(loopback, request(loopback)))["code"] == "c0de"


def test_a_connection_that_says_nothing_is_dropped_in_the_end() -> None:
    with Loopback("http://127.0.0.1/callback", patience=0.05) as loopback:
        receive(loopback, lambda: answer_to(loopback, b""), lambda: answer_to(loopback, request(loopback)))


def test_a_connection_that_is_reset_does_no_harm(loopback: Loopback) -> None:
    def reset() -> None:
        with connect(loopback) as sock:
            sock.sendall(b"GET")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    assert receive(loopback, reset, lambda: answer_to(loopback, request(loopback)))["code"] == "c0de"


def test_a_mistake_in_the_judge_is_heard_of(loopback: Loopback) -> None:
    with pytest.raises(ZeroDivisionError), connect(loopback) as sock:
        loopback.receive(lambda parameters: str(1 // 0), lambda: sock.sendall(request(loopback)), TIMEOUT)


def test_nothing_is_printed_or_logged(
    loopback: Loopback, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    receive(
        loopback,
        lambda: answer_to(loopback, request(loopback, "/favicon.ico")),
        lambda: answer_to(loopback, request(loopback)),
    )
    assert (*capfd.readouterr(), caplog.text) == ("", "", "")


# --- where it listens -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "pattern"),
    [
        ("http://127.0.0.1", r"http://127\.0\.0\.1:\d+"),
        ("http://127.0.0.1/", r"http://127\.0\.0\.1:\d+/"),
        ("http://localhost", r"http://localhost:\d+"),
        ("http://localhost/a/b?c=d", r"http://localhost:\d+/a/b\?c=d"),
    ],
)
def test_a_free_port_is_put_into_the_redirect_uri(given: str, pattern: str) -> None:
    with Loopback(given) as loopback:
        assert re.fullmatch(pattern, loopback.redirect_uri)


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("http://127.0.0.1", "/?code=c0de&state=ours"),
        ("http://localhost", "/?code=c0de&state=ours"),
        ("http://localhost/a/b?c=d", "/a/b?c=d&code=c0de&state=ours"),
    ],
)
def test_the_path_is_the_redirect_uris(given: str, target: str) -> None:
    with Loopback(given) as loopback:
        assert receive(loopback, lambda: answer_to(loopback, request(loopback, target)))["code"] == "c0de"


def ipv6_works() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not ipv6_works(), reason="this machine has no ::1")


@needs_ipv6
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_localhost_is_listened_at_on_both_addresses(address: str) -> None:
    with Loopback("http://localhost/callback") as loopback:
        assert receive(loopback, lambda: answer_to(loopback, request(loopback), address))["code"] == "c0de"


@needs_ipv6
def test_the_ipv6_address_can_be_listened_at() -> None:
    with Loopback("http://[::1]/callback") as loopback:
        assert receive(loopback, lambda: answer_to(loopback, request(loopback), "::1"))["code"] == "c0de"


@needs_ipv6
def test_the_ipv4_address_is_listened_at_alone(loopback: Loopback) -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(loopback, "::1")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_port_that_is_given_is_kept() -> None:
    port = free_port()
    with Loopback(f"http://127.0.0.1:{port}/callback") as loopback:
        assert port_of(loopback) == port
        assert receive(loopback, lambda: answer_to(loopback, request(loopback)))["code"] == "c0de"


def test_browsers_leave_port_80_out() -> None:
    try:
        listening = Loopback("http://127.0.0.1:80/callback")
    except errors.FlowError as error:
        pytest.skip(str(error))
    with listening as loopback:
        octets = request(loopback, host="127.0.0.1")
        assert receive(loopback, lambda: answer_to(loopback, octets))["code"] == "c0de"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_in_use_is_said_to_be(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(errors.FlowError, match=f"cannot listen on port {port} of {host}") as caught:
            Loopback(f"http://{host}:{port}/callback")
    assert (caught.value.error, caught.value.temporary) == ("port_unavailable", True)


@needs_ipv6
def test_a_port_that_somebody_else_has_on_the_other_address_is_not_used() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        with pytest.raises(errors.FlowError, match=f"cannot listen on port {port}"):
            Loopback(f"http://localhost:{port}/callback")
    rebind(port)


@pytest.mark.parametrize(
    ("redirect_uri", "expected"),
    [
        ("http://127.0.0.1", True),
        ("http://127.0.0.1:8080/callback", True),
        ("http://localhost", True),
        ("http://LOCALHOST:1/", True),
        ("http://[::1]", True),
        ("http://[::1]:8080/x?y", True),
        ("https://localhost", False),
        ("http://127.0.0.1.example.com/", False),
        ("http://localhost.example.com/", False),
        ("http://user@localhost/", False),
        ("http://localhost@evil.example/", False),
        ("http://localhost/#fragment", False),
        ("http://localhost:99999/", False),
        ("http://localhost:port/", False),
        ("http://[::1/", False),
        ("http://0.0.0.0/", False),
        ("http://192.168.1.1/", False),
        ("com.example.app:/callback", False),
        ("urn:ietf:wg:oauth:2.0:oob", False),
        ("oob", False),
    ],
)
def test_only_plain_loopback_addresses_can_be_listened_at(redirect_uri: str, expected: bool) -> None:
    assert is_loopback(redirect_uri) is expected


# --- what is left behind --------------------------------------------------------------------------------------------


def rebind(port: int) -> None:
    """Take the port, which fails as long as anybody listens there."""
    socket.create_server(("127.0.0.1", port)).close()


def descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


@pytest.mark.parametrize("ending", ["answered", "timeout", "interrupted"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_thread_socket_or_descriptor_is_left(ending: str, host: str) -> None:
    threads, before = set(threading.enumerate()), descriptors()
    with contextlib.ExitStack() as clients, Loopback(f"http://{host}/callback") as loopback:
        port = port_of(loopback)

        def invite() -> None:
            clients.enter_context(connect(loopback)).sendall(b"GET /")
            if ending == "answered":
                answer_to(loopback, request(loopback))
            elif ending == "interrupted":
                raise KeyboardInterrupt

        with contextlib.suppress(KeyboardInterrupt, errors.FlowError):
            loopback.receive(judge, invite, TIMEOUT if ending == "answered" else 0.05)
    rebind(port)
    assert (set(threading.enumerate()), descriptors()) == (threads, before)


def test_nobody_comes_in_time(loopback: Loopback) -> None:
    with pytest.raises(errors.FlowError, match=r"nobody finished the sign-in within 0\.05 seconds") as caught:
        loopback.receive(judge, lambda: None, 0.05)
    assert (caught.value.error, caught.value.temporary) == ("timeout", True)


def test_an_answer_to_another_sign_in_is_mentioned_when_ours_does_not_come(loopback: Loopback) -> None:
    stranger = request(loopback, "/callback?code=bad&state=theirs")
    with pytest.raises(errors.FlowError, match="an answer came, but to another sign-in"):
        loopback.receive(judge, lambda: answer_to(loopback, stranger), 0)


def test_an_answer_that_came_while_the_browser_was_being_opened_counts_whatever_the_time(loopback: Loopback) -> None:
    assert loopback.receive(judge, lambda: answer_to(loopback, request(loopback)), 0)["code"] == "c0de"
