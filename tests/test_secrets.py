"""No secret is ever shown: not by exceptions, tracebacks, debug output, audit events, logs or the objects themselves.

Servers here repeat what they were sent, whole or in part, wherever they may speak. `Vault` keeps the secrets out of
the test's own frame, which a traceback with local variables shows too.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import pickle
import pprint
import re
import sys
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from oauthmail import AuthenticationError, CredentialsError, OAuth1Credentials, OAuth2Credentials, sasl

from .scripted import Line, Script, scripted
from .test_hostile import IMAP_, MECHANISMS, PROTOCOLS, TIMEOUT, USER, Protocol, each_protocol, play, playing
from .test_hostile import leaks_nothing as leaks_nothing
from .test_hostile import quick_collections as quick_collections

# This many characters of a secret in a row count as shown.
SHOWN = 10
URL = "https://mail.example/b/me@example.com/"


class Vault:
    """Secrets that no repr shows, and the means to find them in a text."""

    def __init__(self, size: int = 60) -> None:
        # Distinct pieces, and some of the characters that other encodings change.
        self._token = "ya29.A0/b+" + "".join(f"k{number:02x}Q~" for number in range(size // 5))
        self._client_secret = "clientSecret/0+1=2"
        self._owner_key = "1/ab+cde/fghij+kl/mno=p/qrst"
        self._owner_secret = "ownerSecret~3/4+5=6"
        self._sent: list[str] = []

    def __repr__(self) -> str:
        return "<Vault>"

    @property
    def oauth2(self) -> OAuth2Credentials:
        return OAuth2Credentials(self._token, refresh_token=self._token[::-1], id_token=self._token.swapcase())

    @property
    def oauth1(self) -> OAuth1Credentials:
        return OAuth1Credentials("client-key", self._client_secret, self._owner_key, self._owner_secret)

    def tokens(self, number: int) -> Callable[[], str]:
        """Return a callable that gives *number* different tokens one after the other."""
        found = [self._token, *(f"{index}{self._token[::-1]}" for index in range(1, number))]
        self._sent += found
        return iter(found).__next__

    def log_in(self, client: Any, kind: str, **arguments: Any) -> None:
        """Log in with the credentials of mechanism *kind*, which only this frame sees."""
        client.authenticate_oauth(
            *((USER, self._token) if kind in ("XOAUTH2", "OAUTHBEARER") else (URL, self.oauth1)),
            **arguments,
        )

    def learn(self, payload: bytes) -> None:
        """Note the secrets in what a server received."""
        with contextlib.suppress(ValueError):
            plain = base64.b64decode(payload, validate=True).decode()
            for found in re.findall(r'oauth_(?:signature|token)="([^"]+)"', plain):
                self._sent += [found, urllib.parse.unquote(found)]

    def found_in(self, text: str) -> list[str]:
        """Return what of the secrets the text shows."""
        fixed = [self._client_secret, self._owner_key, self._owner_secret]
        secrets = {
            "token": [self._token],
            "refresh or ID token": [self._token[::-1], self._token.swapcase()],
            "OAuth 1.0a secret": [*fixed, *map(urllib.parse.quote_plus, fixed)],
            "sent": self._sent,
        }
        shown = _pieces(text)
        return [
            f"{what}: {min(found)}"
            for what, values in secrets.items()
            for value in values
            for form in (value, *_in_base64(value))
            if (found := _pieces(form) & shown)
        ]


def _pieces(text: str) -> set[str]:
    return {text[start : start + SHOWN] for start in range(len(text) - SHOWN + 1)}


def _in_base64(value: str) -> Iterator[str]:
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + value.encode()).decode().rstrip("=")
        yield encoded[2 * (shift > 0) + (shift > 1) : -1]


class Findings:
    """What several texts show, in an object whose own repr shows nothing."""

    def __init__(self, vault: Vault) -> None:
        self.by_name: dict[str, list[str]] = {}
        self._vault = vault

    def look_at(self, name: str, text: str) -> None:
        """Note what *text* shows under *name*."""
        if found := self._vault.found_in(text):
            self.by_name[name] = found


@pytest.fixture
def vault() -> Vault:
    return Vault()


# --- where it could be seen ---------------------------------------------------------------------------------------

_audited: list[str] | None = None


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _audited is not None and event.partition(".")[0] in ("smtplib", "imaplib", "poplib", "socket", "ssl"):
        _audited.append(f"{event} {arguments!r}")


@pytest.fixture(scope="session")
def hook() -> None:
    """Add the audit hook, once: nothing can take it away again."""
    sys.addaudithook(_hook)


@pytest.fixture
def audited(hook: None) -> Iterator[list[str]]:
    """Give the audit events of one test."""
    global _audited
    _audited = []
    yield _audited
    _audited = None


def chain(error: BaseException) -> Iterator[BaseException]:
    """Return an exception and all that it came from."""
    seen: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        found = queue.pop()
        if found is not None and found not in seen:
            seen.append(found)
            queue += [found.__cause__, found.__context__]
            yield found


def shown_by(error: BaseException) -> str:
    """Return everything that an exception shows of itself and its origins."""
    texts = []
    for found in chain(error):
        texts += [str(found), repr(found), repr(found.args), repr(vars(found))]
        texts.append(pickle.dumps(found).decode("latin-1"))
        texts += [repr(getattr(found, name, None)) for name in dir(found) if not name.startswith("__")]
    texts += traceback.TracebackException.from_exception(error, capture_locals=True).format()
    return "\n".join(texts)


def shown_by_failing(call: Callable[[], object]) -> str:
    """Return what the exception of a call shows to the one who called."""
    try:
        call()
    except Exception as error:
        return shown_by(error)
    pytest.fail("no exception")


def shown_by_client(client: Any) -> str:
    """Return what a debugger shows of a client."""
    return f"{client!r}\n{pprint.pformat(vars(client))}"


# --- servers that repeat what they hear ---------------------------------------------------------------------------

Echo = Callable[[bytes], bytes]


def _token_of(payload: bytes) -> bytes:
    plain = base64.b64decode(payload)
    found = re.search(rb'Bearer ([^\x01]+)|oauth_signature="([^"]+)"', plain)
    return (found[1] or found[2]) if found else b"?"


def _unquoted(payload: bytes) -> bytes:
    plain = base64.b64decode(payload).replace(b"\x01", b" ")
    return urllib.parse.unquote_to_bytes(plain)


def _owner_key(payload: bytes) -> bytes:
    found = re.search(rb'oauth_token="([^"]+)"', base64.b64decode(payload))
    return urllib.parse.unquote_to_bytes(found[1]) if found else b"?"


ECHOES: dict[str, Echo] = {
    "payload": lambda payload: payload,
    "truncated payload": lambda payload: b"<" + payload[: len(payload) * 3 // 4] + b"...>",
    "end of the payload": lambda payload: payload[len(payload) // 3 :],
    "token": _token_of,
    "truncated token": lambda payload: b"'" + _token_of(payload)[5:40] + b"'",
    "token in base64": lambda payload: base64.b64encode(_token_of(payload)),
    "message": lambda payload: base64.b64decode(payload).replace(b"\x01", b" "),
    "message without percent signs": _unquoted,
    "OAuth 1.0a token without percent signs": _owner_key,
}


def _refusal(protocol: Protocol, echo: bytes) -> list[bytes]:
    return [protocol.refused + b"no: " + echo + b"\r\n"]


def _bad(protocol: Protocol, echo: bytes) -> list[bytes]:
    return [{"smtp": b"500 5.5.2 ", "imap": b"<tag> BAD ", "pop": b"-ERR [AUTH] "}[protocol.name] + echo + b"\r\n"]


def _json(protocol: Protocol, echo: bytes) -> list[bytes]:
    text = echo.decode("ascii").replace("\\", "").replace('"', "'")
    reason = f'{{"status":"{text}","scope":"a {text} b","schemes":"{text}"}}'.encode()
    return [protocol.challenge + base64.b64encode(reason) + b"\r\n", protocol.refused + b"no\r\n"]


def _bare_challenge(protocol: Protocol, echo: bytes) -> list[bytes]:
    return [protocol.challenge + echo + b"\r\n", protocol.refused + b"no\r\n"]


def _junk(protocol: Protocol, echo: bytes) -> list[bytes]:
    return [echo + b"\r\n"]


def _cut_off(protocol: Protocol, echo: bytes) -> list[bytes]:
    return [{"smtp": b"535-", "imap": b"* OK ", "pop": b"-"}[protocol.name] + echo]


def _unexpected(protocol: Protocol, echo: bytes) -> list[bytes]:
    return [{"smtp": b"abc ", "imap": b"ZZZZ9 OK ", "pop": b"HELO "}[protocol.name] + echo + b"\r\n"]


def _untagged(protocol: Protocol, echo: bytes) -> list[bytes]:
    if protocol.name == "imap":
        return [b"* OK [ALERT " + echo + b"] you said " + echo + b"\r\n* 1 FETCH " + echo + b"\r\n<tag> NO no\r\n"]
    return [{"smtp": b"535-", "pop": b""}[protocol.name] + echo + b"\r\n" + protocol.refused + echo + b"\r\n"]


def _bye(protocol: Protocol, echo: bytes) -> list[bytes]:
    return [{"smtp": b"421 4.7.0 bye ", "imap": b"* BYE ", "pop": b"-ERR bye "}[protocol.name] + echo + b"\r\n"]


def _response_code(protocol: Protocol, echo: bytes) -> list[bytes]:
    return [protocol.refused + b"[ALERT " + echo + b"] no\r\n"]


def _literal(protocol: Protocol, echo: bytes) -> list[bytes]:
    if protocol.name != "imap":
        return _untagged(protocol, echo)
    return [b"* 1 FETCH (BODY {%d}\r\n" % len(echo) + echo + b" " + echo + b")\r\n<tag> NO no\r\n"]


def _acceptance(protocol: Protocol, echo: bytes) -> list[bytes]:
    return [protocol.accepted[:-2] + b" " + echo + b"\r\n"]


PLACES = [
    _refusal,
    _bad,
    _json,
    _bare_challenge,
    _junk,
    _cut_off,
    _unexpected,
    _untagged,
    _bye,
    _response_code,
    _literal,
    _acceptance,
]
each_place = pytest.mark.parametrize(
    "place", [pytest.param(place, id=place.__name__.strip("_").replace("_", " ")) for place in PLACES]
)
each_kind = pytest.mark.parametrize("kind", MECHANISMS)
Place = Callable[[Protocol, bytes], list[bytes]]


def repeating(
    protocol: Protocol, place: Place, echo: Echo, vault: Vault, *, kind: str = "XOAUTH2", attempts: int = 1
) -> Script:
    """Return a script that repeats the payload of a login with *kind* at *place*, in the manner of *echo*."""

    def repeat(line: Line) -> None:
        play(line, [protocol.greeting, protocol.offer([kind], at_once=True)])
        for _ in range(attempts):
            command = line.receive()
            if not command:
                return
            tag = command.split()[0]
            payload = command.split()[-1]
            if payload.decode() in MECHANISMS:
                line.send(protocol.go)
                payload = line.receive()
            vault.learn(payload)
            for number, reply in enumerate(place(protocol, echo(payload))):
                if number:
                    line.receive()
                line.send(reply.replace(b"<tag>", tag))

    return repeat


@contextlib.contextmanager
def logged_in(protocol: Protocol, port: int, level: int, **arguments: Any) -> Iterator[Any]:
    """Give a client with debug output at *level*."""
    client = protocol.plain("127.0.0.1", port, timeout=TIMEOUT, **protocol.arguments)
    try:
        if protocol.name == "imap":
            client.debug = level
        else:
            client.set_debuglevel(level)
        yield client
    finally:
        protocol.close(client)


@each_protocol
@each_kind
@each_place
def test_no_exception_shows_a_secret_that_the_server_repeats(
    protocol: Protocol, kind: str, place: Place, vault: Vault
) -> None:
    findings = Findings(vault)
    with scripted(*(repeating(protocol, place, echo, vault, kind=kind) for echo in ECHOES.values())) as server:
        for name in ECHOES:
            with logged_in(protocol, server.port, 0) as client:
                try:
                    vault.log_in(client, kind, allow_insecure=True)
                except protocol.failures as error:
                    findings.look_at(name, shown_by(error))
    assert findings.by_name == {}


@each_protocol
@each_kind
@each_place
def test_no_client_keeps_a_secret_that_the_server_repeats(
    protocol: Protocol, kind: str, place: Place, vault: Vault
) -> None:
    findings = Findings(vault)
    with scripted(*(repeating(protocol, place, echo, vault, kind=kind) for echo in ECHOES.values())) as server:
        for name in ECHOES:
            with logged_in(protocol, server.port, 0) as client:
                with contextlib.suppress(*protocol.failures):
                    vault.log_in(client, kind, allow_insecure=True)
                findings.look_at(name, shown_by_client(client))
    assert findings.by_name == {}


# What a level shows does not depend on the credentials: one kind of each family will do.
@pytest.mark.parametrize(
    ("protocol", "level"),
    [
        pytest.param(protocol, level, id=f"{protocol.name}-{level}")
        for protocol in PROTOCOLS
        for level in ((1, 2, 3, 4, 5) if protocol.name == "imap" else (1, 2))
    ],
)
@pytest.mark.parametrize("kind", ["XOAUTH2", "XOAUTH"])
@each_place
def test_no_debug_output_log_or_audit_event_shows_a_secret_that_the_server_repeats(
    protocol: Protocol,
    kind: str,
    level: int,
    place: Place,
    vault: Vault,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    audited: list[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    script = repeating(protocol, place, lambda payload: payload + b" " + _token_of(payload), vault, kind=kind)
    with scripted(script) as server, logged_in(protocol, server.port, level) as client:
        with contextlib.suppress(*protocol.failures):
            vault.log_in(client, kind, allow_insecure=True)
        if protocol.name == "imap":
            client.print_log()
    out, err = capfd.readouterr()
    assert not vault.found_in("\n".join([out, err, caplog.text, *audited]))


@each_protocol
@pytest.mark.parametrize("size", [60, 1200], ids=["one line", "two lines"])
def test_a_login_that_succeeds_shows_no_secret_at_the_loudest(
    protocol: Protocol, size: int, capfd: pytest.CaptureFixture[str], audited: list[str]
) -> None:
    vault = Vault(size)
    script = repeating(protocol, lambda found, echo: [found.accepted], lambda payload: b"", vault)
    with scripted(script) as server, logged_in(protocol, server.port, 5) as client:
        vault.log_in(client, "XOAUTH2", allow_insecure=True)
        shown = shown_by_client(client)
    out, err = capfd.readouterr()
    assert not vault.found_in("\n".join([out, err, shown, *audited]))


@each_protocol
@pytest.mark.parametrize("said", [2, 3])
def test_a_connection_lost_with_the_credential_on_its_way_shows_no_secret(protocol: Protocol, said: int) -> None:
    vault = Vault(6000)
    with (
        scripted(playing(protocol.greeting, protocol.offer(), *[protocol.go] * (said - 2))) as server,
        logged_in(protocol, server.port, 0) as client,
    ):
        shown = shown_by_failing(lambda: vault.log_in(client, "XOAUTH2", allow_insecure=True))
    assert not vault.found_in(shown)


class _Memory:
    """Repeats all the tokens it has seen."""

    def __init__(self) -> None:
        self._tokens: list[bytes] = []

    def __call__(self, payload: bytes) -> bytes:
        self._tokens.append(_token_of(payload))
        return b" ".join(self._tokens)


@each_protocol
@each_place
def test_a_refusal_of_the_renewed_token_shows_neither_token(protocol: Protocol, place: Place, vault: Vault) -> None:
    attempts: list[int] = []

    def first_plainly(found: Protocol, echo: bytes) -> list[bytes]:
        attempts.append(1)
        return _refusal(found, b"bad") if len(attempts) == 1 else place(found, echo)

    script = repeating(protocol, first_plainly, _Memory(), vault, attempts=2)
    with scripted(script) as server, logged_in(protocol, server.port, 0) as client:
        try:
            client.authenticate_oauth(USER, vault.tokens(2), allow_insecure=True)
            shown = ""
        except protocol.failures as error:
            shown = shown_by(error)
    assert not vault.found_in(shown)


@each_protocol
def test_an_exception_of_the_token_source_shows_no_secret_of_ours(protocol: Protocol, vault: Vault) -> None:
    tokens = vault.tokens(1)

    def source() -> str:
        try:
            return tokens()
        except StopIteration:
            raise RuntimeError("no more tokens") from None

    script = repeating(protocol, _refusal, _token_of, vault)
    with scripted(script) as server, logged_in(protocol, server.port, 0) as client:
        shown = shown_by_failing(lambda: client.authenticate_oauth(USER, source, allow_insecure=True))
    assert not vault.found_in(shown)


@each_protocol
def test_a_bug_in_a_subclass_shows_no_secret_of_ours(protocol: Protocol, vault: Vault) -> None:
    def _oauth_next(self: object) -> None:
        raise ZeroDivisionError

    broken = type("Broken", (protocol.plain,), {"_oauth_next": _oauth_next})
    with scripted(repeating(protocol, _refusal, _token_of, vault)) as server:
        client = broken("127.0.0.1", server.port, timeout=TIMEOUT, **protocol.arguments)
        try:
            shown = shown_by_failing(lambda: vault.log_in(client, "XOAUTH2", allow_insecure=True))
        finally:
            protocol.close(client)
    assert not vault.found_in(shown)


def test_a_message_of_the_server_after_the_login_is_still_masked_in_the_imap_log(
    vault: Vault, capfd: pytest.CaptureFixture[str]
) -> None:
    script = repeating(IMAP_, _acceptance, lambda payload: payload, vault)
    with scripted(script) as server, logged_in(IMAP_, server.port, 0) as client:
        vault.log_in(client, "XOAUTH2", allow_insecure=True)
        client.debug = 5
        client.print_log()
    assert not vault.found_in("".join(capfd.readouterr()))


def test_nothing_of_a_refusal_is_lost_that_is_no_secret(vault: Vault) -> None:
    reply = [
        b"535-5.7.8 Username and Password not accepted. Learn more at\r\n535 5.7.8 https://support.example/ab-12\r\n"
    ]
    script = repeating(PROTOCOLS[0], lambda protocol, echo: reply, _token_of, vault)
    with (
        scripted(script) as server,
        logged_in(PROTOCOLS[0], server.port, 0) as client,
        pytest.raises(AuthenticationError, match=r"https://support\.example/ab-12"),
    ):
        vault.log_in(client, "XOAUTH2", allow_insecure=True)


# --- the values themselves ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["oauth1", "oauth2"])
@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>5}".format, pprint.pformat], ids=lambda show: "show")
def test_credentials_do_not_show_their_secrets(name: str, show: Callable[[object], str], vault: Vault) -> None:
    assert not vault.found_in(show(getattr(vault, name)))


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_an_exchange_does_not_show_its_message(mechanism: str, vault: Vault) -> None:
    exchange = sasl.build(mechanism, USER, vault.oauth2.access_token, host="mail.example", port=993)
    assert not vault.found_in(f"{exchange} {exchange!r}")


@pytest.mark.parametrize("mechanism", ["XOAUTH", "OAUTH10A"])
def test_a_signed_exchange_does_not_show_its_message(mechanism: str, vault: Vault) -> None:
    exchange = sasl.build(mechanism, URL, vault.oauth1, host="mail.example", port=993)
    vault.learn(base64.b64encode(exchange.initial_response))
    assert not vault.found_in(f"{exchange} {exchange!r}")


SLIPS: list[Any] = [
    pytest.param(lambda token: OAuth2Credentials(token + "\n"), id="token with a line end"),
    pytest.param(lambda token: OAuth2Credentials("Bearer " + token), id="token with its scheme"),
    pytest.param(lambda token: OAuth2Credentials(token, token_type="mac"), id="token type"),
    pytest.param(lambda token: OAuth2Credentials(token, token_type=cast(str, None)), id="no token type"),
    pytest.param(lambda token: OAuth1Credentials("key", token + "\n"), id="client secret with a line end"),
    pytest.param(lambda token: OAuth1Credentials("key", "secret", token + "\0"), id="token with a nul"),
    pytest.param(lambda token: OAuth1Credentials("key", "secret", "key", token + "\x7f"), id="token secret"),
]


@pytest.mark.parametrize("slip", SLIPS)
def test_credentials_that_cannot_be_used_do_not_show_their_secrets(slip: Callable[[str], object], vault: Vault) -> None:
    try:
        slip(vault.oauth2.access_token)
    except CredentialsError as error:
        # The frames of this module are the caller's own.
        error.__traceback__ = _without_callers(error)
        shown = shown_by(error)
    else:
        pytest.fail("no exception")
    assert not vault.found_in(shown)


def _without_callers(error: BaseException) -> Any:
    found = error.__traceback__
    while found is not None and found.tb_frame.f_globals["__name__"] == __name__:
        found = found.tb_next
    return found


@each_protocol
@pytest.mark.parametrize("slip", ["{}\n", "Bearer {}", '{{"access_token": "{}"}}', "{}é", '"{}"'])
def test_a_token_that_cannot_be_used_is_not_shown_by_a_login(protocol: Protocol, slip: str, vault: Vault) -> None:
    with (
        scripted(lambda line: play(line, [protocol.greeting, protocol.offer()])) as server,
        logged_in(protocol, server.port, 0) as client,
    ):
        shown = shown_by_failing(lambda: client.authenticate_oauth(USER, _Slipping(vault, slip), allow_insecure=True))
    assert not vault.found_in(shown)


class _Slipping:
    """A token source that gives what nobody can use."""

    def __init__(self, vault: Vault, slip: str) -> None:
        self._vault, self._slip = vault, slip

    def __call__(self) -> str:
        return self._slip.format(self._vault.oauth2.access_token)


def test_the_search_finds_what_is_there(vault: Vault) -> None:
    token = vault.oauth2.access_token
    shows = [token, token[5:20], base64.b64encode(f"user=x\x01auth=Bearer {token}\x01\x01".encode()).decode()]
    assert [bool(vault.found_in(text)) for text in [*shows, "nothing of it"]] == [True, True, True, False]
