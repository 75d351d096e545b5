"""Servers that are slow on purpose: every call ends within a small multiple of the timeout."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from .scripted import Certificates, Line, scripted
from .test_hostile import (
    IMAP_,
    LONG_TOKEN,
    PROTOCOLS,
    TAG,
    TOKEN,
    USER,
    Protocol,
    each_protocol,
    is_closed,
    play,
    still_answers_or_fails,
)
from .test_hostile import leaks_nothing as leaks_nothing
from .test_hostile import quick_collections as quick_collections

TIMEOUT = 0.15
# Generous for slow machines; each exchange may last twice the timeout.
LIMIT = 10 * TIMEOUT
PACE = TIMEOUT / 4

Slow = Callable[[Line, bytes], None]


def drip(line: Line, reply: bytes) -> None:
    """Send one octet at a time, each well before the timeout, for as long as the client listens."""
    pace = threading.Event()
    for start in range(len(reply)):
        line.send(reply[start : start + 1])
        pace.wait(PACE)
    # The whole reply is longer than any patience.
    while True:
        line.send(b"x")
        pace.wait(PACE)


def drip_lines(line: Line, reply: bytes) -> None:
    """Send whole lines that lead nowhere, each well before the timeout."""
    pace = threading.Event()
    code = reply[:3] if reply[:3].isdigit() else b""
    while True:
        line.send(code + b"-more\r\n" if code else b"* 1 EXISTS\r\n")
        pace.wait(PACE)


def say_nothing(line: Line, reply: bytes) -> None:
    """Wait until the client hangs up."""
    with contextlib.suppress(OSError):
        while line.sock.recv(1 << 16):
            pass


@contextlib.contextmanager
def in_time(limit: float = LIMIT) -> Iterator[None]:
    """Hold what is inside to *limit* seconds."""
    began = time.monotonic()
    try:
        yield
    finally:
        spent = time.monotonic() - began
    assert spent < limit


def last_slow(line: Line, replies: list[bytes], slow: Slow) -> None:
    """Play all replies but the last, which is for *slow*."""
    play(line, replies[:-1])
    words = line.receive().split()
    slow(line, replies[-1].replace(TAG, words[0] if words else b"?"))


# IMAP4 asks for capabilities in its constructor, which has the plain timeout of the standard library.
PLACES = [
    pytest.param(protocol, place, id=f"{protocol.name}-{name}")
    for protocol in PROTOCOLS
    for place, name in enumerate(["greeting", "offer", "go", "challenge", "refusal"])
    if place > (1 if protocol.name == "imap" else 0)
]


@pytest.mark.parametrize(
    ("protocol", "place", "slow"),
    [
        *(pytest.param(*found.values, drip, id=f"{found.id}-octets") for found in PLACES),
        *(pytest.param(protocol, 4, say_nothing, id=f"{protocol.name}-silence") for protocol in PROTOCOLS),
    ],
)
def test_a_slow_server_ends_the_login_in_time_and_closed(protocol: Protocol, place: int, slow: Slow) -> None:
    replies = list(protocol.login(at_once=False)[: place + 1])
    with scripted(lambda line: last_slow(line, replies, slow)) as server:
        client = protocol.connect(server.port, TIMEOUT)
        try:
            with in_time(), pytest.raises(protocol.failures):
                client.authenticate_oauth(USER, LONG_TOKEN, allow_insecure=True)
            assert is_closed(client)
            with in_time():
                still_answers_or_fails(protocol, client)
        finally:
            protocol.close(client)


@pytest.mark.parametrize(
    ("protocol", "place"),
    [found for found in PLACES if "pop" not in str(found.id) and "challenge" not in str(found.id)],
)
def test_a_server_that_goes_on_line_by_line_ends_the_login_in_time(protocol: Protocol, place: int) -> None:
    replies = list(protocol.login(at_once=False)[: place + 1])
    with scripted(lambda line: last_slow(line, replies, drip_lines)) as server:
        client = protocol.connect(server.port, TIMEOUT)
        try:
            with in_time(), pytest.raises(protocol.failures):
                client.authenticate_oauth(USER, LONG_TOKEN, allow_insecure=True)
        finally:
            protocol.close(client)


def test_a_pop_server_whose_capabilities_never_end_is_left_in_time() -> None:
    protocol = PROTOCOLS[2]

    def list_for_ever(line: Line) -> None:
        play(line, [protocol.greeting, b"+OK\r\n"])
        pace = threading.Event()
        while True:
            line.send(b"TOP\r\n")
            pace.wait(PACE)

    with scripted(list_for_ever) as server:
        client = protocol.connect(server.port, TIMEOUT)
        try:
            with in_time(), pytest.raises(protocol.failures):
                client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        finally:
            protocol.close(client)


@each_protocol
@pytest.mark.parametrize("slow", [pytest.param(drip, id="octets"), pytest.param(say_nothing, id="silence")])
def test_a_slow_consent_to_tls_ends_in_time_and_closed(protocol: Protocol, slow: Slow) -> None:
    replies = [protocol.greeting, protocol.offer(), protocol.upgrading]
    with scripted(lambda line: last_slow(line, replies, slow)) as server:
        client = protocol.connect(server.port, TIMEOUT)
        try:
            with in_time(), pytest.raises(protocol.failures):
                getattr(client, protocol.upgrade)()
            # An answer that comes late would be taken for the answer to the next command, sent in the clear.
            assert is_closed(client)
        finally:
            protocol.close(client)


@each_protocol
@pytest.mark.parametrize("slow", [pytest.param(drip, id="octets"), pytest.param(say_nothing, id="silence")])
def test_a_slow_tls_handshake_ends_in_time_and_closed(protocol: Protocol, slow: Slow) -> None:
    def shake_slowly(line: Line) -> None:
        play(line, [protocol.greeting, protocol.offer(), protocol.upgrading])
        line.sock.recv(1 << 16)
        # The header of a handshake record of 16 KB.
        slow(line, b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")

    with scripted(shake_slowly) as server:
        client = protocol.connect(server.port, TIMEOUT)
        try:
            with in_time(), pytest.raises(OSError, match=r".*"):
                getattr(client, protocol.upgrade)()
            assert is_closed(client)
        finally:
            protocol.close(client)


@pytest.mark.parametrize("slow", [pytest.param(drip, id="octets"), pytest.param(drip_lines, id="lines")])
def test_slow_imap_capabilities_after_the_handshake_end_in_time(slow: Slow, certificates: Certificates) -> None:
    def slow_after_tls(line: Line) -> None:
        play(line, [IMAP_.greeting, IMAP_.offer(), IMAP_.upgrading])
        line.starttls(certificates.server("127.0.0.1"))
        line.receive()
        slow(line, b"* CAPABILITY IMAP4rev1")

    with scripted(slow_after_tls) as server:
        client = IMAP_.connect(server.port, TIMEOUT)
        stop = threading.Timer(LIMIT, lambda: server.lines[0].sock.close())
        stop.start()
        try:
            with in_time(), pytest.raises(IMAP_.failures):
                client.starttls(certificates.client())
        finally:
            stop.cancel()
            stop.join()
            IMAP_.close(client)


@each_protocol
@pytest.mark.parametrize("place", ["go", "refusal"])
def test_a_slow_server_behind_tls_ends_the_login_in_time(
    protocol: Protocol, place: str, certificates: Certificates
) -> None:
    replies = list(protocol.login(at_once=False)[: 3 if place == "go" else 5])
    tls = certificates.server("127.0.0.1")
    with scripted(lambda line: last_slow(line, replies, drip), tls=tls) as server:
        client = protocol.secure(
            "127.0.0.1",
            server.port,
            timeout=TIMEOUT,
            **protocol.arguments,
            **{protocol.context: certificates.client()},
        )
        try:
            with in_time(), pytest.raises(protocol.failures):
                client.authenticate_oauth(USER, LONG_TOKEN)
            assert is_closed(client)
        finally:
            protocol.close(client)


@each_protocol
def test_a_slow_server_in_the_retry_leaves_the_refusal_and_ends_in_time(protocol: Protocol) -> None:
    tokens = iter([TOKEN, f"{TOKEN}-renewed"])
    replies = [*protocol.login(at_once=True), protocol.accepted]
    with scripted(lambda line: last_slow(line, replies, drip)) as server:
        client = protocol.connect(server.port, TIMEOUT)
        try:
            with in_time(2 * LIMIT), pytest.raises(protocol.failures):
                client.authenticate_oauth(USER, lambda: next(tokens), allow_insecure=True)
            assert is_closed(client)
        finally:
            protocol.close(client)


@each_protocol
def test_the_timeout_is_the_users_again_after_a_login(protocol: Protocol) -> None:
    replies = [*protocol.login(at_once=True)[:2], protocol.accepted]
    with scripted(lambda line: play(line, replies)) as server:
        client = protocol.connect(server.port, TIMEOUT)
        try:
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
            assert client.sock.gettimeout() == TIMEOUT
        finally:
            protocol.close(client)


@each_protocol
def test_a_slow_but_honest_server_is_given_the_time_of_its_timeout(protocol: Protocol) -> None:
    def ponder(line: Line) -> None:
        pace = threading.Event()
        for number, reply in enumerate([*protocol.login(at_once=True)[:2], protocol.accepted]):
            words = line.receive().split() if number else [b""]
            pace.wait(TIMEOUT / 3)
            line.send(reply.replace(TAG, words[0]))

    with scripted(ponder) as server:
        client = protocol.connect(server.port, TIMEOUT)
        try:
            assert client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        finally:
            protocol.close(client)
