"""`oauthmail.install`: no token goes to a server that nobody has verified, though old scripts verify none."""

from __future__ import annotations

import contextlib
import datetime
import gc
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oauthmail import InsecureConnectionError, MemoryStore
from oauthmail.installed import _peer, install

from .installing import PROTOCOLS, Client, Server, close, connected, leave, log_in, logins, made, parallel
from .scripted import Certificates, Line
from .test_install import ERRORS, works


@pytest.fixture(autouse=True)
def nothing_is_known() -> Iterator[None]:
    """Have no test profit by what another one has verified."""
    _peer._seen.clear()
    yield
    _peer._seen.clear()


@pytest.fixture
def store(certificates: Certificates, tmp_path: Path) -> MemoryStore:
    """A mailbox whose provider's certificates are of the test's authority."""
    path = tmp_path / "authority.pem"
    certificates.authority.cert_pem.write_to_path(str(path))
    return made(ca_file=str(path))


class Side:
    """One protocol over one way to TLS."""

    def __init__(self, protocol: str, way: str) -> None:
        self.protocol, self.way = protocol, way

    def shows(self, context: ssl.SSLContext) -> Server:
        return Server(self.protocol, context, implicit=self.way == "tls")

    def connected(self, port: int, context: ssl.SSLContext | None = None) -> Client:
        return connected(self.protocol, port, self.way, context)

    def log_in(self, client: Client) -> object:
        return log_in(self.protocol, client)

    def leave(self, client: Client) -> None:
        leave(self.protocol, client)

    def refused(self, client: Client) -> str:
        """Return the words in which a login is refused that sends nothing."""
        with pytest.raises(ERRORS[self.protocol]) as caught:
            self.log_in(client)
        assert isinstance(caught.value, InsecureConnectionError)
        close(self.protocol, client)
        return str(caught.value)


@pytest.fixture(params=[(protocol, way) for protocol in PROTOCOLS for way in ("starttls", "tls")], ids="-".join)
def side(request: pytest.FixtureRequest) -> Side:
    return Side(*request.param)


def sent(line: Line) -> list[bytes]:
    return [words.split()[1] for words in logins(line.received)]


# --- the same server --------------------------------------------------------------------------------------------------


def test_a_server_that_shows_its_certificate_to_one_who_looks_is_given_the_token(
    certificates: Certificates, store: MemoryStore, side: Side
) -> None:
    good = side.shows(certificates.server("localhost"))
    with install(store=store), parallel(good, good) as server:
        client = side.connected(server.port)
        sock = client.sock
        side.log_in(client)
        assert client.sock is sock
        assert works(client)
        side.leave(client)
    assert [sent(line) for line in server.lines] == [[b"XOAUTH2"], []]


def test_a_certificate_is_looked_at_once(certificates: Certificates, store: MemoryStore, side: Side) -> None:
    good = side.shows(certificates.server("localhost"))
    with install(store=store), parallel(*[good] * 5) as server:
        for _ in range(3):
            client = side.connected(server.port)
            side.log_in(client)
            side.leave(client)
    assert [sent(line) for line in server.lines] == [[b"XOAUTH2"], [], [b"XOAUTH2"], [b"XOAUTH2"]]


def test_a_server_that_takes_no_leave_has_been_looked_at(
    certificates: Certificates, store: MemoryStore, side: Side
) -> None:
    context = certificates.server("localhost")
    good, rude = side.shows(context), side.shows(context)
    rude.rude = True
    with install(store=store), parallel(good, rude) as server:
        client = side.connected(server.port)
        side.log_in(client)
        side.leave(client)
    # A connection that was left open would be noticed.
    gc.collect()
    assert [sent(line) for line in server.lines] == [[b"XOAUTH2"], []]


def test_a_connection_that_was_verified_is_enough(certificates: Certificates, store: MemoryStore, side: Side) -> None:
    good = side.shows(certificates.server("localhost"))
    with install(store=store), parallel(good, good) as server:
        client = side.connected(server.port, certificates.client())
        side.log_in(client)
        side.leave(client)
    assert [sent(line) for line in server.lines] == [[b"XOAUTH2"]]


def test_a_certificate_of_whatever_name_is_not_enough(
    certificates: Certificates, store: MemoryStore, side: Side
) -> None:
    context = certificates.client()
    context.check_hostname = False
    other = side.shows(certificates.server("other.example.com"))
    with install(store=store), parallel(other, other) as server:
        assert "localhost" in side.refused(side.connected(server.port, context))
    assert [sent(line) for line in server.lines] == [[], []]


def test_the_systems_authorities_count_where_the_provider_names_none(
    certificates: Certificates, tmp_path: Path, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "system.pem"
    certificates.authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    good = side.shows(certificates.server("localhost"))
    with install(store=made()), parallel(good, good) as server:
        client = side.connected(server.port)
        side.log_in(client)
        side.leave(client)
    assert [sent(line) for line in server.lines] == [[b"XOAUTH2"], []]


# --- other servers ----------------------------------------------------------------------------------------------------


def untrusted() -> ssl.SSLContext:
    return Certificates().server("localhost")


def bad_certificates(certificates: Certificates) -> dict[str, Callable[[], ssl.SSLContext]]:
    def expired() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
        certificates.authority.issue_cert("localhost", not_after=yesterday).configure_cert(context)
        return context

    return {
        "untrusted": lambda: Certificates().server("localhost"),
        "of another name": lambda: certificates.server("other.example.com"),
        "expired": expired,
    }


@pytest.mark.parametrize("kind", ["untrusted", "of another name", "expired"])
def test_a_bad_certificate_gets_no_token(certificates: Certificates, store: MemoryStore, side: Side, kind: str) -> None:
    bad = side.shows(bad_certificates(certificates)[kind]())
    with install(store=store), parallel(bad, bad) as server:
        assert "cannot be verified" in side.refused(side.connected(server.port))
    assert [sent(line) for line in server.lines] == [[], []]


def test_somebody_in_between_who_is_gone_the_second_time_gets_no_token(
    certificates: Certificates, store: MemoryStore, side: Side
) -> None:
    in_between, real = side.shows(untrusted()), side.shows(certificates.server("localhost"))
    with install(store=store), parallel(in_between, real) as server:
        client = side.connected(server.port)
        # As it is in most old scripts.
        client.sock.settimeout(None)
        side.log_in(client)
        assert (works(client), client.sock.gettimeout()) == (True, None)
        side.leave(client)
    assert [sent(line) for line in server.lines] == [[], [b"XOAUTH2"]]


def test_what_the_first_server_offered_counts_for_nothing_at_the_second(
    certificates: Certificates, store: MemoryStore, side: Side
) -> None:
    first, second = side.shows(untrusted()), side.shows(certificates.server("localhost"))
    first.auth = ["PLAIN"]
    with install(store=store), parallel(first, second) as server:
        client = side.connected(server.port)
        if side.protocol == "smtp":
            client.ehlo()
        side.log_in(client)
        side.leave(client)
    assert [sent(line) for line in server.lines] == [[], [b"XOAUTH2"]]


def test_a_provider_with_several_machines_is_served_by_the_second(
    certificates: Certificates, store: MemoryStore, side: Side
) -> None:
    machines = [side.shows(certificates.server("localhost")) for _ in range(2)]
    with install(store=store), parallel(*machines) as server:
        client = side.connected(server.port)
        kind, names = type(client), set(vars(client))
        side.log_in(client)
        assert (type(client), set(vars(client)) - names <= {"mo", "helo_resp", "ehlo_resp", "does_esmtp"}) == (
            kind,
            True,
        )
        assert works(client)
        side.leave(client)
    assert [sent(line) for line in server.lines] == [[], [b"XOAUTH2"]]


def test_who_comes_in_between_later_is_looked_at_anew(
    certificates: Certificates, store: MemoryStore, side: Side
) -> None:
    good, bad = side.shows(certificates.server("localhost")), side.shows(untrusted())
    with install(store=store), parallel(good, good, bad, bad) as server:
        client = side.connected(server.port)
        side.log_in(client)
        side.leave(client)
        side.refused(side.connected(server.port))
    assert [sent(line) for line in server.lines] == [[b"XOAUTH2"], [], [], []]


def test_without_a_second_connection_there_is_no_login(
    certificates: Certificates, store: MemoryStore, side: Side
) -> None:
    def hangs_up(line: Line) -> None:
        line.sock.close()

    with install(store=store), parallel(side.shows(certificates.server("localhost")), hangs_up) as server:
        assert "second connection" in side.refused(side.connected(server.port))
    assert [sent(line) for line in server.lines] == [[], []]


def test_authorities_that_cannot_be_read_are_told(certificates: Certificates, tmp_path: Path, side: Side) -> None:
    good = side.shows(certificates.server("localhost"))
    with install(store=made(ca_file=str(tmp_path / "nothing.pem"))), parallel(good, good) as server:
        assert "No such file" in side.refused(side.connected(server.port))
    assert [sent(line) for line in server.lines] == [[]]


def test_a_second_connection_that_offers_no_tls_is_none(certificates: Certificates, store: MemoryStore) -> None:
    good = Server("smtp", certificates.server("localhost"), implicit=False)
    with install(store=store), parallel(good, Server("smtp")) as server:
        assert "second connection" in Side("smtp", "starttls").refused(connected("smtp", server.port, "starttls"))
    assert [sent(line) for line in server.lines] == [[], []]


def test_who_allows_it_sends_the_token_to_anybody(side: Side) -> None:
    bad = side.shows(untrusted())
    with install(store=made(), allow_insecure=True), parallel(bad, bad) as server:
        client = side.connected(server.port)
        side.log_in(client)
        side.leave(client)
    assert [sent(line) for line in server.lines] == [[b"XOAUTH2"]]


# --- whose server it is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param({"_host": "Mail.Example.com.", "default_port": 25}, ("mail.example.com", 0), id="host"),
        pytest.param({"_host": "mail.example.com:587"}, ("mail.example.com", 0), id="host and port"),
        pytest.param({"_host": ""}, ("", 0), id="not known"),
        pytest.param({"_host": "::1"}, ("::1", 0), id="IPv6"),
    ],
)
def test_smtplib_is_asked_for_its_server(attributes: dict[str, Any], expected: tuple[str, int]) -> None:
    import smtplib

    client = smtplib.SMTP()
    vars(client).update(attributes)
    assert _peer.address_of(client, "smtp") == expected


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        pytest.param("imap.example.com", 993, ("imap.example.com", 993), id="numbers"),
        pytest.param("IMAP.example.com", "993", ("imap.example.com", 993), id="text"),
        pytest.param(None, None, ("", 0), id="stream"),
        pytest.param("imap.example.com", "imaps", ("imap.example.com", 0), id="service"),
    ],
)
def test_imaplib_is_asked_for_its_server(host: Any, port: Any, expected: tuple[str, int]) -> None:
    import imaplib

    client = imaplib.IMAP4.__new__(imaplib.IMAP4)
    vars(client).update(host=host, port=port, sock=None)
    assert _peer.address_of(client, "imap") == expected


def test_the_name_that_tls_was_told_goes_before_the_one_that_was_connected_to(certificates: Certificates) -> None:
    import imaplib
    import socket

    class Through(imaplib.IMAP4):
        """Connects by another name."""

        def _create_socket(self, timeout: float | None) -> socket.socket:
            sock = socket.create_connection((self.host, self.port), timeout)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return context.wrap_socket(sock, server_hostname="mail.example.com")

    with parallel(Server("imap", certificates.server("localhost"))) as server:
        client = Through("localhost", server.port, timeout=10)
        assert _peer.address_of(client, "imap") == ("mail.example.com", server.port)
        client.logout()


def test_a_server_of_unknown_name_without_tls_gets_neither_token_nor_password() -> None:
    import smtplib

    with install(store=made(host="mail.example.com")), parallel(Server("smtp", auth="PLAIN XOAUTH2")) as server:
        client = smtplib.SMTP(timeout=10)
        client.connect("localhost", server.port)
        # From Python 3.15 on connect() may tell.
        client._host = ""  # type: ignore[attr-defined]
        with contextlib.closing(client), pytest.raises(InsecureConnectionError):
            log_in("smtp", client)
    assert [sent(line) for line in server.lines] == [[]]
