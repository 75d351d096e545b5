"""What the benchmarks measure with: a proxy, sinks and messages that could tell lies."""

from __future__ import annotations

import contextlib
import imaplib
import random
import socket
import threading
import time
from collections.abc import Iterator
from email.policy import SMTP
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench import producer
from tests.bench.delay import Proxy
from tests.bench.letters import flattened_by_hand, letter
from tests.bench.measuring import Measured
from tests.bench.recorder import Imap, Recorder
from tests.bench.sink import ENDING, Session, Sink, find_ending
from tests.scripted import Certificates

DELAY = 0.05


# --- the proxy --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def through_the_proxy() -> Iterator[tuple[socket.socket, socket.socket, Proxy]]:
    """Yield the client's and the server's end of a connection, and the proxy between them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # So little that the proxy has to wait for a slow server.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)
        proxy = Proxy(listener.getsockname()[1], DELAY)
        threading.Thread(target=proxy.run, daemon=True).start()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as client:
            server, _ = listener.accept()
            server.settimeout(20)
            with server:
                yield client, server, proxy


def received(sock: socket.socket) -> bytes:
    """Return everything up to the end."""
    return b"".join(iter(lambda: sock.recv(1 << 16), b""))


def test_proxy_keeps_all_octets_in_order_and_takes_them_before_anybody_reads() -> None:
    octets = random.Random(1).randbytes(10_000_000)  # noqa: S311  # the same octets in every run
    with through_the_proxy() as (client, server, _):
        client.sendall(octets)
        client.shutdown(socket.SHUT_WR)
        assert received(server) == octets


def test_proxy_passes_answers_after_the_client_has_ended() -> None:
    with through_the_proxy() as (client, server, _):
        client.shutdown(socket.SHUT_WR)
        assert received(server) == b""
        server.sendall(b"answer")
        server.shutdown(socket.SHUT_WR)
        assert received(client) == b"answer"


def test_proxy_is_late_in_both_directions() -> None:
    with through_the_proxy() as (client, server, _):
        begun = time.perf_counter()
        client.sendall(b"question")
        server.recv(100)
        server.sendall(b"answer")
        client.recv(100)
        assert time.perf_counter() - begun >= 2 * DELAY


def test_proxy_counts_how_often_the_client_goes_on_after_an_answer() -> None:
    with through_the_proxy() as (client, server, proxy):
        client.sendall(b"before any answer")
        server.recv(100)
        for _ in range(3):
            server.sendall(b"answer")
            client.recv(100)
            for _ in range(2):
                client.sendall(b"question")
                server.recv(100)
        assert proxy.counted() == {"turns": 3}


# --- the sink ---------------------------------------------------------------------------------------------------------

EHLO = b"EHLO me\r\n"
ENVELOPE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n"
TWO = ENVELOPE + b"RCPT TO:<c@example.com>\r\n"
REFUSED = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<refused@example.com>\r\n"

#: What a client sends after EHLO, the codes that it gets, and messages, recipients, refused ones and octets counted.
CONVERSATIONS = [
    pytest.param(ENVELOPE + b"DATA\r\nText\r\n.\r\n", "250 250 354 250", (1, 1, 0, 6), id="DATA"),
    pytest.param(TWO + b"DATA\r\n.\r\n", "250 250 250 354 250", (1, 2, 0, 0), id="DATA, no text"),
    pytest.param(ENVELOPE + b"DATA\r\n..\r\n.x\r\n.\r\n", "250 250 354 250", (1, 1, 0, 8), id="DATA, dots"),
    pytest.param(ENVELOPE + b"DATA\r\nText\n.\nmore\r\n.\r\n", "250 250 354 250", (1, 1, 0, 13), id="DATA, bare LF"),
    pytest.param(ENVELOPE + b"BDAT 6 LAST\r\nText\r\n", "250 250 250", (1, 1, 0, 6), id="BDAT"),
    pytest.param(TWO + b"BDAT 2\r\nTeBDAT 4 LAST\r\nxt\r\n", "250 250 250 250 250", (1, 2, 0, 6), id="BDAT, chunks"),
    pytest.param(ENVELOPE + b"BDAT 2\r\nTeBDAT 0 LAST\r\n", "250 250 250 250", (1, 1, 0, 2), id="BDAT, empty end"),
    pytest.param(2 * (ENVELOPE + b"BDAT 1 LAST\r\nT"), "250 250 250 250 250 250", (2, 2, 0, 2), id="BDAT, two"),
    pytest.param(ENVELOPE + b"BDAT 9 LAST\r\nNOOP\r\n.\r\n", "250 250 250", (1, 1, 0, 9), id="BDAT, command as text"),
    pytest.param(ENVELOPE + b"BDAT 4 LAST\r\nTex", "250 250", (0, 0, 0, 0), id="BDAT, cut"),
    pytest.param(ENVELOPE + b"DATA\r\nText\r\n.", "250 250 354", (0, 0, 0, 0), id="DATA, cut"),
    pytest.param(ENVELOPE + b"BDAT 2\r\nTeRSET\r\n", "250 250 250 250", (0, 0, 0, 0), id="BDAT, given up"),
    pytest.param(
        ENVELOPE + b"RCPT TO:<refused@example.com>\r\nBDAT 2 LAST\r\nTe",
        "250 250 550 250",
        (1, 1, 1, 2),
        id="one refused",
    ),
    pytest.param(REFUSED + b"DATA\r\n", "250 550 554", (0, 0, 1, 0), id="DATA, all refused"),
    pytest.param(REFUSED + b"BDAT 4 LAST\r\nNOOPNOOP\r\n", "250 550 554 250", (0, 0, 1, 0), id="BDAT, all refused"),
    pytest.param(
        REFUSED + b"BDAT 2\r\nTeBDAT 2 LAST\r\nxt", "250 550 554 503", (0, 0, 1, 0), id="BDAT, all refused, chunks"
    ),
    pytest.param(b"MAIL FROM:<refused@example.com>\r\nRCPT TO:<b@c>\r\n", "550 503", (0, 0, 0, 0), id="sender refused"),
    pytest.param(b"BDAT 2 LAST\r\nTeNOOP\r\n", "503 250", (0, 0, 0, 0), id="BDAT without MAIL"),
    pytest.param(b"DATA\r\n", "503", (0, 0, 0, 0), id="DATA without MAIL"),
    pytest.param(ENVELOPE + b"BDAT 1\r\nTDATA\r\n", "250 250 250 503", (0, 0, 0, 0), id="DATA after BDAT"),
    pytest.param(ENVELOPE + b"MAIL FROM:<d@e>\r\n", "250 250 503", (0, 0, 0, 0), id="MAIL twice"),
    pytest.param(b"BDAT -1 LAST\r\nNOOP\r\n", "501", (0, 0, 0, 0), id="a chunk of no size"),
    pytest.param(b"BDAT 5 FIRST\r\nNOOP\r\n", "501", (0, 0, 0, 0), id="a chunk of another kind"),
    pytest.param(b"MAIL a@b\r\nRCPT a@b\r\nHOW\r\n", "501 503 500", (0, 0, 0, 0), id="no commands"),
    pytest.param(b"N" * 5000, "500", (0, 0, 0, 0), id="a line without end"),
    pytest.param(b"QUIT\r\nNOOP\r\n", "221", (0, 0, 0, 0), id="QUIT"),
]


def conversation(*packets: bytes) -> tuple[str, tuple[int, ...]]:
    """Return the codes of the replies, the one to EHLO left out, and what was counted."""
    session = Session()
    session.feed(EHLO)
    replies = b"".join(map(session.feed, packets))
    counts = session.counts
    codes = " ".join(line[:3] for line in replies.decode("ascii").splitlines())
    return codes, (counts.messages, counts.recipients, counts.refused, counts.octets)


@pytest.mark.parametrize(("sent", "codes", "counts"), CONVERSATIONS)
def test_sink_answers_and_counts_what_it_was_sent(sent: bytes, codes: str, counts: tuple[int, ...]) -> None:
    assert conversation(sent) == (codes, counts)


@pytest.mark.parametrize(("sent", "codes", "counts"), CONVERSATIONS)
def test_sink_counts_the_same_octet_by_octet(sent: bytes, codes: str, counts: tuple[int, ...]) -> None:
    assert conversation(*(sent[n : n + 1] for n in range(len(sent)))) == (codes, counts)


def test_sink_without_chunking_knows_no_bdat() -> None:
    session = Session(chunking=False)
    assert b"CHUNKING" not in session.feed(EHLO)
    assert session.feed(b"BDAT 1 LAST\r\n").startswith(b"500")


def test_sink_counts_over_all_connections_since_it_was_asked() -> None:
    sink = Sink()
    threading.Thread(target=sink.run, daemon=True).start()
    # More than one block, so that it is not parsed but skipped.
    text = b"t" * 3_000_000
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", sink.port), timeout=20) as client:
            client.sendall(EHLO + ENVELOPE + b"BDAT %d LAST\r\n" % len(text) + text + b"QUIT\r\n")
            assert received(client).splitlines()[-1].startswith(b"221")
    assert sink.counted() == {"messages": 2, "recipients": 2, "refused": 0, "octets": 2 * len(text)}
    assert sink.counted() == {"messages": 0, "recipients": 0, "refused": 0, "octets": 0}


@given(st.lists(st.sampled_from([b".", b"\r", b"\n", b"x", ENDING]), max_size=80), st.integers(0, 20))
def test_the_end_of_a_text_is_found_where_it_is(pieces: list[bytes], position: int) -> None:
    text = b"".join(pieces)
    assert find_ending(text, position) == text.find(ENDING, position)


# --- the servers of logins and of reading -----------------------------------------------------------------------------


def test_recorder_counts_waiting_and_not_packets(certificates: Certificates, tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    certificates.authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    recorder = Recorder(b"* OK ready\r\n", Imap, str(certificate))
    threading.Thread(target=recorder.run, daemon=True).start()
    with imaplib.IMAP4_SSL("localhost", recorder.port, ssl_context=certificates.client()) as client:
        # It sends its answer and the line end of it as two packets.
        client.authenticate("XOAUTH2", lambda _: b"response")
    # CAPABILITY, AUTHENTICATE, the response.
    assert recorder.counted()["waited"] == [3]


@pytest.mark.parametrize(
    ("command", "numbers"),
    [(b"a FETCH 2 (BODY[])", [2]), (b"a FETCH 2:4 (BODY[])", [2, 3, 4]), (b"a FETCH 1,3:9 (BODY[])", [1, 3, 4, 5])],
)
def test_producer_answers_for_each_message_that_there_is(command: bytes, numbers: list[int]) -> None:
    *responses, done = producer.imap(5)(command)
    assert [int(response.split()[1]) for response in responses] == numbers
    assert done == b"a OK done\r\n"


# --- messages and figures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attachment", [0, 10_000])
def test_messages_written_by_hand_are_those_of_the_standard_library(attachment: int) -> None:
    made = letter(1, attachment=attachment)
    assert flattened_by_hand(made.message) == made.octets == made.message.as_bytes(policy=SMTP)


def test_ratio_compares_rounds_with_themselves() -> None:
    slowed_down_once = Measured((1.0, 10.0, 1.0))
    assert slowed_down_once.faster_than(Measured((2.0, 20.0, 2.0))) == 2.0
