"""Somebody between client and server: no credential leaves without a verified TLS connection."""

from __future__ import annotations

import contextlib
import datetime
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from oauthmail import InsecureConnectionError

from .scripted import Certificates, Line, Script, scripted
from .test_hostile import (
    IMAP_,
    PROTOCOLS,
    TAG,
    TIMEOUT,
    TOKEN,
    USER,
    Protocol,
    connection,
    each_protocol,
    hangs_up,
    is_closed,
    play,
    playing,
    still_answers_or_fails,
)
from .test_hostile import leaks_nothing as leaks_nothing
from .test_hostile import quick_collections as quick_collections

HOST = "localhost"


def offering(protocol: Protocol, *rest: bytes) -> list[bytes]:
    """Return the replies up to the offer of TLS, and *rest*."""
    return [protocol.greeting, protocol.offer(), *rest]


def upgrade(protocol: Protocol, client: Any, **arguments: Any) -> Any:
    """Call ``starttls`` or ``stls``."""
    return getattr(client, protocol.upgrade)(**arguments)


# --- stripped and injected ----------------------------------------------------------------------------------------


@each_protocol
@pytest.mark.parametrize("offered", [False, True], ids=["not offered", "refused"])
def test_tls_that_cannot_be_had_is_an_exception(protocol: Protocol, offered: bool) -> None:
    replies = [protocol.greeting, protocol.offer(tls=offered), protocol.not_upgrading]
    with (
        scripted(playing(*replies)) as server,
        connection(protocol, server.port) as client,
        pytest.raises(protocol.failures),
    ):
        upgrade(protocol, client)


@each_protocol
@pytest.mark.parametrize("offered", [False, True], ids=["not offered", "refused"])
def test_no_credential_is_sent_when_tls_was_stripped(protocol: Protocol, offered: bool) -> None:
    replies = [protocol.greeting, protocol.offer(tls=offered), *[protocol.not_upgrading] * offered]

    def strip(line: Line) -> None:
        play(line, replies)
        line.drain()

    with scripted(strip) as server:
        client = protocol.connect(server.port)
        try:
            with contextlib.suppress(*protocol.failures):
                upgrade(protocol, client)
            with pytest.raises(InsecureConnectionError):
                client.authenticate_oauth(USER, TOKEN)
        finally:
            protocol.close(client)
    assert not [line for line in server.received if b"AUTH" in line]


@each_protocol
def test_nothing_at_all_is_sent_for_a_login_without_tls(protocol: Protocol) -> None:
    def listen(line: Line) -> None:
        play(line, [protocol.greeting, protocol.offer()] if protocol.name == "imap" else [protocol.greeting])
        line.drain()

    with scripted(listen) as server:
        client = protocol.connect(server.port)
        try:
            with pytest.raises(InsecureConnectionError):
                client.authenticate_oauth(USER, TOKEN)
        finally:
            protocol.close(client)
    assert server.received[1 if protocol.name == "imap" else 0 :] == []


INJECTED = [
    pytest.param(b"x", id="one octet"),
    pytest.param(b"\r\n", id="empty line"),
    pytest.param(b"250-mail.example\r\n250 AUTH XOAUTH2\r\n", id="smtp reply"),
    pytest.param(b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR\r\n", id="imap response"),
    pytest.param(b"+OK\r\nSASL XOAUTH2\r\n.\r\n", id="pop reply"),
    pytest.param(b"\x16\x03\x01\x00\x00", id="tls record"),
    pytest.param(b"y" * 100_000, id="more than a buffer"),
]


def injecting(protocol: Protocol, injected: bytes, handshakes: list[bool]) -> Script:
    """Return a script that puts *injected* behind its consent to TLS and notes whether a handshake follows."""

    def inject(line: Line) -> None:
        play(line, offering(protocol, protocol.upgrading + injected))
        handshakes.append(not hangs_up(line))

    return inject


@each_protocol
@pytest.mark.parametrize("timeout", [TIMEOUT, None], ids=["timeout", "no timeout"])
@pytest.mark.parametrize("injected", INJECTED)
def test_plaintext_behind_the_consent_to_tls_stops_the_handshake(
    protocol: Protocol, injected: bytes, timeout: float | None
) -> None:
    handshakes: list[bool] = []
    with (
        scripted(injecting(protocol, injected, handshakes)) as server,
        connection(protocol, server.port, timeout) as client,
        pytest.raises(protocol.failures, match="plaintext"),
    ):
        upgrade(protocol, client)
    assert handshakes == [False]


@each_protocol
@pytest.mark.parametrize("injected", INJECTED)
def test_plaintext_behind_the_consent_to_tls_closes_the_connection(protocol: Protocol, injected: bytes) -> None:
    with scripted(injecting(protocol, injected, [])) as server, connection(protocol, server.port) as client:
        with contextlib.suppress(*protocol.failures):
            upgrade(protocol, client)
        assert is_closed(client)


@pytest.mark.parametrize("timeout", [TIMEOUT, None], ids=["timeout", "no timeout"])
def test_imap_capabilities_from_before_tls_count_for_nothing_after_it(
    certificates: Certificates, timeout: float | None
) -> None:
    lie = b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n"

    def inject_in_front(line: Line) -> None:
        play(line, offering(IMAP_, lie + IMAP_.upgrading))
        line.starttls(certificates.server(HOST, "127.0.0.1"))
        play_on(line, b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n" + TAG + b" OK done\r\n")

    with scripted(inject_in_front) as server, connection(IMAP_, server.port, timeout) as client:
        upgrade(IMAP_, client, ssl_context=certificates.client())
        assert client.capabilities == ("IMAP4REV1", "AUTH=PLAIN")


def play_on(line: Line, *replies: bytes) -> None:
    """Answer one command after the other."""
    play(line, [b"", *replies])


def test_an_imap_server_that_greets_as_logged_in_cannot_prevent_tls_unnoticed() -> None:
    replies = [b"* PREAUTH hello\r\n", IMAP_.offer()]
    with scripted(playing(*replies)) as server, connection(IMAP_, server.port) as client:
        with pytest.raises(IMAP_.failures):
            upgrade(IMAP_, client)
        assert is_closed(client)


# --- certificates -------------------------------------------------------------------------------------------------


def other_host(certificates: Certificates) -> ssl.SSLContext:
    return certificates.server("other.example")


def expired(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    past = datetime.datetime(2020, 1, 1)
    certificates.authority.issue_cert(HOST, "127.0.0.1", not_before=past, not_after=past.replace(2021)).configure_cert(
        context
    )
    return context


def unknown_authority(certificates: Certificates) -> ssl.SSLContext:
    return Certificates().server(HOST, "127.0.0.1")


def self_signed(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own = trustme.CA(key_type=trustme.KeyType.ECDSA)
    with own.private_key_pem.tempfile() as key, own.cert_pem.tempfile() as certificate:
        context.load_cert_chain(certificate, key)
    return context


def not_tls(certificates: Certificates) -> None:
    return None


Maker = Callable[[Certificates], "ssl.SSLContext | None"]
BAD_CERTIFICATES = [other_host, expired, unknown_authority, self_signed, not_tls]
each_bad_certificate = pytest.mark.parametrize(
    "make", [pytest.param(make, id=make.__name__.replace("_", " ")) for make in BAD_CERTIFICATES]
)


@pytest.fixture
def trusted(certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the throw-away authority one that default contexts trust."""
    bundle = tmp_path / "authority.pem"
    certificates.authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))


def secure_client(protocol: Protocol, port: int, **arguments: Any) -> Any:
    return protocol.secure(HOST, port, timeout=TIMEOUT, **protocol.arguments, **arguments)


def plain_client(protocol: Protocol, port: int, host: str = HOST) -> Any:
    return protocol.plain(host, port, timeout=TIMEOUT, **protocol.arguments)


def talking(protocol: Protocol, context: ssl.SSLContext | None) -> Script:
    """Return a script that consents to TLS, and says nothing of TLS itself where *context* is None."""

    def talk(line: Line) -> None:
        play(line, offering(protocol, protocol.upgrading))
        if context is None:
            line.sock.recv(1 << 16)
            line.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        else:
            line.starttls(context)
        line.drain()

    return talk


@pytest.mark.usefixtures("trusted")
@each_protocol
@each_bad_certificate
def test_no_client_with_tls_from_the_start_accepts_a_bad_certificate(
    protocol: Protocol, make: Maker, certificates: Certificates
) -> None:
    context = make(certificates)

    def talk(line: Line) -> None:
        if context is None:
            line.send(protocol.greeting)
        line.drain()

    with scripted(talk, tls=context) as server, pytest.raises(ssl.SSLError):
        secure_client(protocol, server.port)
    assert server.received == [] or context is None


@pytest.mark.usefixtures("trusted")
@each_protocol
@each_bad_certificate
def test_no_upgrade_to_tls_accepts_a_bad_certificate(
    protocol: Protocol, make: Maker, certificates: Certificates
) -> None:
    with scripted(talking(protocol, make(certificates))) as server:
        client = plain_client(protocol, server.port)
        try:
            with pytest.raises(ssl.SSLError):
                upgrade(protocol, client)
        finally:
            protocol.close(client)


@pytest.mark.usefixtures("trusted")
@each_protocol
@each_bad_certificate
def test_a_failed_upgrade_to_tls_leaves_no_connection_to_log_in_on(
    protocol: Protocol, make: Maker, certificates: Certificates
) -> None:
    with scripted(talking(protocol, make(certificates))) as server:
        client = plain_client(protocol, server.port)
        try:
            with contextlib.suppress(ssl.SSLError):
                upgrade(protocol, client)
            with pytest.raises((*protocol.failures, InsecureConnectionError)):
                client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
            assert is_closed(client)
            still_answers_or_fails(protocol, client)
        finally:
            protocol.close(client)
    assert len(server.received) == 2


@pytest.mark.usefixtures("trusted")
@each_protocol
def test_the_default_context_verifies_from_the_start(protocol: Protocol, certificates: Certificates) -> None:
    replies = offering(protocol)
    with scripted(playing(*replies), tls=certificates.server(HOST)) as server:
        client = secure_client(protocol, server.port)
        try:
            assert (client.sock.context.verify_mode, client.sock.context.check_hostname) == (ssl.CERT_REQUIRED, True)
        finally:
            protocol.close(client)


@pytest.mark.usefixtures("trusted")
@each_protocol
@pytest.mark.parametrize("none", [False, True], ids=["no argument", "none"])
def test_the_default_context_verifies_after_an_upgrade(
    protocol: Protocol, none: bool, certificates: Certificates
) -> None:
    def talk(line: Line) -> None:
        play(line, offering(protocol, protocol.upgrading))
        line.starttls(certificates.server(HOST))
        play_on(line, protocol.offer())

    with scripted(talk) as server:
        client = plain_client(protocol, server.port)
        try:
            upgrade(protocol, client, **({protocol.context: None} if none else {}))
            assert (client.sock.context.verify_mode, client.sock.context.check_hostname) == (ssl.CERT_REQUIRED, True)
        finally:
            protocol.close(client)


@each_protocol
def test_the_context_may_be_none_and_still_verifies(protocol: Protocol, certificates: Certificates) -> None:
    with (
        scripted(lambda line: line.drain(), tls=certificates.server(HOST)) as server,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        secure_client(protocol, server.port, **{protocol.context: None})


def unverifying() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@each_protocol
@pytest.mark.parametrize("make", [other_host, expired, unknown_authority, self_signed])
def test_the_users_own_context_wins_from_the_start(
    protocol: Protocol, make: Callable[[Certificates], ssl.SSLContext], certificates: Certificates
) -> None:
    replies = [*offering(protocol), protocol.go, protocol.accepted]
    with scripted(playing(*replies), tls=make(certificates)) as server:
        client = secure_client(protocol, server.port, **{protocol.context: unverifying()})
        try:
            assert client.authenticate_oauth(USER, TOKEN)
        finally:
            protocol.close(client)


@each_protocol
def test_the_users_own_context_wins_in_an_upgrade(protocol: Protocol, certificates: Certificates) -> None:
    def talk(line: Line) -> None:
        play(line, offering(protocol, protocol.upgrading))
        line.starttls(self_signed(certificates))
        play_on(line, protocol.offer(), protocol.go, protocol.accepted)

    with scripted(talk) as server:
        client = plain_client(protocol, server.port)
        try:
            upgrade(protocol, client, **{protocol.context: unverifying()})
            assert client.authenticate_oauth(USER, TOKEN)
        finally:
            protocol.close(client)


@each_protocol
def test_an_upgrade_verifies_the_name_that_the_user_gave(protocol: Protocol, certificates: Certificates) -> None:
    # The certificate is for the name; the address that the user gave instead is not in it.
    with scripted(talking(protocol, certificates.server(HOST))) as server:
        client = plain_client(protocol, server.port, "127.0.0.1")
        try:
            with pytest.raises(ssl.SSLCertVerificationError):
                upgrade(protocol, client, **{protocol.context: certificates.client()})
        finally:
            protocol.close(client)


def reconnected(port: int) -> Any:
    client = PROTOCOLS[0].plain(timeout=TIMEOUT, **PROTOCOLS[0].arguments)
    client.connect(HOST, port)
    return client


def with_port_in_the_name(port: int) -> Any:
    return PROTOCOLS[0].plain(f"{HOST}:{port}", timeout=TIMEOUT, **PROTOCOLS[0].arguments)


@pytest.mark.parametrize("make", [reconnected, with_port_in_the_name])
@pytest.mark.parametrize("name", [HOST, "other.example"])
def test_smtp_verifies_the_name_however_it_was_given(
    make: Callable[[int], Any], name: str, certificates: Certificates
) -> None:
    with scripted(talking(PROTOCOLS[0], certificates.server(name))) as server:
        client = make(server.port)
        try:
            with contextlib.nullcontext() if name == HOST else pytest.raises(ssl.SSLCertVerificationError):
                upgrade(PROTOCOLS[0], client, context=certificates.client())
        finally:
            client.close()


@each_protocol
def test_a_server_that_hangs_up_in_the_handshake_is_an_exception_and_a_closed_connection(protocol: Protocol) -> None:
    with (
        scripted(playing(*offering(protocol, protocol.upgrading))) as server,
        connection(protocol, server.port) as client,
    ):
        with pytest.raises(OSError, match=r".*"):
            upgrade(protocol, client)
        assert is_closed(client)
