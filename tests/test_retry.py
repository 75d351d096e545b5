"""Renewing a refused token and trying once more, the same over SMTP, IMAP and POP3."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from oauthmail import IMAP4, POP3, SMTP, AuthenticationError, CredentialsError, OAuth2Credentials

from .scripted import TIMEOUT, Line, Script, ScriptedServer, scripted

USER = "user@example.com"
# Stands among a server's replies where it closes the connection instead.
HANG_UP = b"(nothing)"


@dataclass(frozen=True)
class Peer:
    """What one protocol's server says, line for line; TAG stands for the tag of an IMAP command."""

    connect: Callable[[int], SMTP | IMAP4 | POP3]
    close: Callable[[Any], object]
    greeting: bytes
    offers: tuple[bytes, ...]
    challenge: bytes
    accepted: bytes
    refused: bytes
    temporary: bytes

    def says(self, said: str) -> bytes:
        """Return the challenge that carries the JSON of a refusal."""
        return self.challenge + base64.b64encode(said.encode()) + b"\r\n"


PEERS = {
    "smtp": Peer(
        connect=lambda port: SMTP("127.0.0.1", port, "client.example", timeout=TIMEOUT),
        close=lambda client: client.close(),
        greeting=b"220 mock\r\n",
        offers=(b"250-mock\r\n250 AUTH XOAUTH2\r\n",),
        challenge=b"334 ",
        accepted=b"235 2.7.0 Accepted\r\n",
        refused=b"535 5.7.8 Authentication failed.\r\n",
        temporary=b"454 4.7.0 Temporary authentication failure.\r\n",
    ),
    "imap": Peer(
        connect=lambda port: IMAP4("127.0.0.1", port, timeout=TIMEOUT),
        close=lambda client: client.shutdown(),
        greeting=b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] ready\r\n",
        offers=(),
        challenge=b"+ ",
        accepted=b"TAG OK Logged in\r\n",
        refused=b"TAG NO [AUTHENTICATIONFAILED] Authentication failed.\r\n",
        temporary=b"TAG NO [UNAVAILABLE] Temporary authentication failure.\r\n",
    ),
    "pop": Peer(
        connect=lambda port: POP3("127.0.0.1", port, timeout=TIMEOUT),
        close=lambda client: client.close(),
        greeting=b"+OK ready\r\n",
        offers=(b"+OK\r\nSASL XOAUTH2\r\n.\r\n",),
        challenge=b"+ ",
        accepted=b"+OK Logged in.\r\n",
        refused=b"-ERR [AUTH] Authentication failed.\r\n",
        temporary=b"-ERR [SYS/TEMP] Temporary authentication failure.\r\n",
    ),
}


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest) -> Peer:
    """One protocol after the other."""
    return PEERS[request.param]


class Source:
    """A token source that hands out what it was given, and remembers how it was asked."""

    def __init__(self, *tokens: str | Exception) -> None:
        self.asked: list[str | None] = []
        self._tokens = list(tokens)

    def token(self, *, rejected: str | None = None) -> str:
        """Return the next token or raise what stands in its place."""
        self.asked.append(rejected)
        given = self._tokens.pop(0)
        if isinstance(given, Exception):
            raise given
        return given


def script_of(peer: Peer, replies: tuple[bytes, ...]) -> Script:
    """Return a script that answers each line with the next reply."""

    def script(line: Line) -> None:
        line.send(peer.greeting)
        tag = b""
        for reply in [*peer.offers, *replies]:
            received = line.receive()
            if reply == HANG_UP:
                return
            if b" " in received:
                tag = received.split()[0]
            line.send(reply.replace(b"TAG", tag))
        line.drain()

    return script


@contextlib.contextmanager
def connected(peer: Peer, *replies: bytes) -> Iterator[tuple[SMTP | IMAP4 | POP3, ScriptedServer]]:
    """Connect to a server that offers XOAUTH2 and then gives *replies*."""
    with scripted(script_of(peer, replies)) as server:
        client = peer.connect(server.port)
        try:
            yield client, server
        finally:
            with contextlib.suppress(OSError):
                peer.close(client)


def tokens(server: ScriptedServer) -> list[str]:
    """Return the access tokens that a server received, in order."""
    messages = [line.split()[-1] for line in server.received if b"dXNlcj" in line]
    return [
        token for message in messages for token in re.findall(r"Bearer (.*?)\x01", base64.b64decode(message).decode())
    ]


# --- a fresh token is sent --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        pytest.param('{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}', id="status 400"),
        pytest.param('{"status":"401","schemes":"bearer","scope":"mail"}', id="status 401"),
        pytest.param('{"status":"invalid_token"}', id="invalid_token"),
        pytest.param("not JSON", id="unreadable"),
        pytest.param("", id="empty"),
    ],
)
def test_a_refused_token_is_renewed_and_sent_on_the_same_connection(peer: Peer, said: str) -> None:
    source = Source("stale-token", "fresh-token")

    with connected(peer, peer.says(said), peer.refused, peer.accepted) as (client, server):
        client.authenticate_oauth(USER, source, allow_insecure=True)

    assert source.asked == [None, "stale-token"]
    assert [tokens(server), len(server.lines)] == [["stale-token", "fresh-token"], 1]


def test_a_refusal_without_challenge_renews_too(peer: Peer) -> None:
    source = Source("stale-token", "fresh-token")

    with connected(peer, peer.refused, peer.accepted) as (client, server):
        client.authenticate_oauth(USER, source, allow_insecure=True)

    assert [source.asked, tokens(server)] == [[None, "stale-token"], ["stale-token", "fresh-token"]]


def test_the_reply_is_that_of_the_second_attempt(peer: Peer) -> None:
    with connected(peer, peer.accepted) as (client, _):
        plain = client.authenticate_oauth(USER, "token", allow_insecure=True)
    with connected(peer, peer.refused, peer.accepted) as (client, _):
        renewed = client.authenticate_oauth(USER, Source("stale-token", "fresh-token"), allow_insecure=True)

    assert renewed == plain


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(str, id="str"),
        pytest.param(OAuth2Credentials, id="OAuth2Credentials"),
        pytest.param(lambda token: {"access_token": token, "token_type": "Bearer"}, id="token response"),
    ],
)
def test_a_callable_is_called_again(peer: Peer, wrap: Callable[[str], object]) -> None:
    given = [wrap("stale-token"), wrap("fresh-token")]

    with connected(peer, peer.refused, peer.accepted) as (client, server):
        client.authenticate_oauth(USER, lambda: given.pop(0), allow_insecure=True)

    assert tokens(server) == ["stale-token", "fresh-token"]


def test_a_token_that_is_accepted_is_asked_for_once(peer: Peer) -> None:
    source = Source("good-token")

    with connected(peer, peer.accepted) as (client, _):
        client.authenticate_oauth(USER, source, allow_insecure=True)

    assert source.asked == [None]


def test_each_login_may_renew_once(peer: Peer) -> None:
    source = Source("1st-token", "2nd-token", "3rd-token", "4th-token")

    with connected(peer, peer.refused, peer.refused, peer.refused, peer.accepted) as (client, server):
        with pytest.raises(AuthenticationError):
            client.authenticate_oauth(USER, source, allow_insecure=True)
        client.authenticate_oauth(USER, source, allow_insecure=True)

    assert source.asked == [None, "1st-token", None, "3rd-token"]
    assert tokens(server) == ["1st-token", "2nd-token", "3rd-token", "4th-token"]


# --- or it is not -----------------------------------------------------------------------------------------------------


def test_a_token_refused_twice_is_not_renewed_again(peer: Peer) -> None:
    source = Source("stale-token", "fresh-token", "third-token")
    replies = (peer.says('{"status":"400"}'), peer.refused, peer.says('{"status":"401"}'), peer.refused)

    with connected(peer, *replies) as (client, server), pytest.raises(AuthenticationError) as caught:
        client.authenticate_oauth(USER, source, allow_insecure=True)

    assert [source.asked, tokens(server)] == [[None, "stale-token"], ["stale-token", "fresh-token"]]
    assert caught.value.status == "401"


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(Source("stale-token", "stale-token"), id="source"),
        pytest.param(lambda: "stale-token", id="callable"),
        pytest.param("stale-token", id="str"),
        pytest.param(OAuth2Credentials("stale-token", refresh_token="refresh-token"), id="OAuth2Credentials"),
        pytest.param({"access_token": "stale-token"}, id="token response"),
    ],
)
def test_the_same_token_is_not_sent_twice(credentials: object) -> None:
    peer = PEERS["imap"]

    with connected(peer, peer.refused) as (client, server), pytest.raises(AuthenticationError):
        client.authenticate_oauth(USER, credentials, allow_insecure=True)

    assert tokens(server) == ["stale-token"]


def test_a_str_is_not_sent_twice(peer: Peer) -> None:
    with connected(peer, peer.refused) as (client, server), pytest.raises(AuthenticationError):
        client.authenticate_oauth(USER, "stale-token", allow_insecure=True)

    assert tokens(server) == ["stale-token"]


def test_a_temporary_refusal_asks_for_no_token(peer: Peer) -> None:
    source = Source("good-token", "needless-token")

    with connected(peer, peer.temporary) as (client, _), pytest.raises(AuthenticationError) as caught:
        client.authenticate_oauth(USER, source, allow_insecure=True)

    assert [source.asked, caught.value.token_refused] == [[None], False]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param('{"status":"insufficient_scope","scope":"mail"}', id="insufficient_scope"),
        pytest.param('{"status":"403","scope":"mail"}', id="403"),
    ],
)
def test_a_lack_of_permission_asks_for_no_token(peer: Peer, said: str) -> None:
    source = Source("good-token", "needless-token")

    with connected(peer, peer.says(said), peer.refused) as (client, _), pytest.raises(AuthenticationError) as caught:
        client.authenticate_oauth(USER, source, allow_insecure=True)

    assert [source.asked, "grant the scope mail" in caught.value.hint] == [[None], True]


# --- what goes wrong on the way ---------------------------------------------------------------------------------------


def test_a_source_that_cannot_renew_passes_its_own_exception_with_the_refusal_as_context(peer: Peer) -> None:
    source = Source("stale-token", LookupError("sign in again"))

    with connected(peer, peer.refused) as (client, _), pytest.raises(LookupError, match="sign in again") as caught:
        client.authenticate_oauth(USER, source, allow_insecure=True)

    assert isinstance(caught.value.__context__, AuthenticationError)


def test_a_connection_outlives_a_source_that_cannot_renew(peer: Peer) -> None:
    with connected(peer, peer.refused, peer.accepted) as (client, server):
        with pytest.raises(LookupError):
            client.authenticate_oauth(USER, Source("stale-token", LookupError()), allow_insecure=True)
        client.authenticate_oauth(USER, "fresh-token", allow_insecure=True)

    assert tokens(server) == ["stale-token", "fresh-token"]


def test_a_source_without_token_passes_its_own_exception_before_the_login(peer: Peer) -> None:
    with connected(peer, peer.accepted) as (client, server):
        with pytest.raises(LookupError):
            client.authenticate_oauth(USER, Source(LookupError()), allow_insecure=True)
        client.authenticate_oauth(USER, "fresh-token", allow_insecure=True)

    assert tokens(server) == ["fresh-token"]


def test_an_unusable_second_token_is_not_sent(peer: Peer) -> None:
    with connected(peer, peer.refused) as (client, server), pytest.raises(CredentialsError):
        client.authenticate_oauth(USER, Source("stale-token", "Bearer fresh-token"), allow_insecure=True)

    assert tokens(server) == ["stale-token"]


def test_a_server_that_hangs_up_during_the_second_attempt_has_refused_the_first(peer: Peer) -> None:
    replies = (peer.says('{"status":"401"}'), peer.refused, HANG_UP)

    with connected(peer, *replies) as (client, server), pytest.raises(AuthenticationError) as caught:
        client.authenticate_oauth(USER, Source("stale-token", "fresh-token"), allow_insecure=True)

    assert [caught.value.status, tokens(server)] == ["401", ["stale-token", "fresh-token"]]
    assert isinstance(caught.value.__cause__, Exception)
