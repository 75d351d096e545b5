"""A login that ends in the middle of a run: another connection, a fresh token, no message lost or sent twice."""

from __future__ import annotations

import contextlib
import io
import itertools
import smtplib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from oauthmail import SMTP, SMTP_SSL, SendInterrupted, SMTPOAuthError

from .conversation import HangUp, Rules
from .scripted import Certificates
from .submission import BOTH, TIMEOUT, Submission
from .test_secrets import Vault, hook, shown_by, shown_by_client
from .test_send_messages_as_parent import MODES, message, sent_once_each
from .wire import Wire, connected

__all__ = ["hook"]

USER = "me@example.org"
REQUIRED = b"530 5.7.0 Authentication required\r\n"
each_mode = pytest.mark.parametrize("features", MODES, ids=" ".join)


class Tokens:
    """A token source that has as many tokens as it is asked for."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.left = list(tokens)
        self.given: list[str] = []

    def token(self, *, rejected: str | None = None) -> str:
        self.given.append(self.left.pop(0) if len(self.left) > 1 else self.left[0])
        return self.given[-1]


def names(count: int) -> list[str]:
    return [f"token-{number}" for number in range(count)]


def subjects(rules: Rules) -> list[int]:
    return [int(each.octets.split()[1]) for each in rules.delivered]


def logged_in(rules: Rules, source: object, *, lines: int = 20, **knobs: Any) -> SMTP:
    client = connected(SMTP, *(Wire(rules, **knobs) for _ in range(lines)))
    client.authenticate_oauth(USER, source, allow_insecure=True)
    return client


@pytest.fixture(autouse=True)
def wires(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the wires that no connection needed."""
    made: list[Wire] = []
    create = Wire.__init__

    def remember(self: Wire, *args: Any, **kwargs: Any) -> None:
        create(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(Wire, "__init__", remember)
    yield
    for wire in made:
        wire.close()


@each_mode
@pytest.mark.parametrize("lifetime", [1, 2, 3, 7])
@pytest.mark.parametrize("window", [1, 2, 5, 128])
@pytest.mark.parametrize("arriving", [(1 << 16,), (0, 30, 7)], ids=["whole", "in pieces"])
def test_a_login_that_ends_is_repeated_with_a_fresh_token(
    features: Sequence[str], lifetime: int, window: int, arriving: Sequence[int]
) -> None:
    rules = Rules(features, tokens=names(30), lifetime=lifetime)
    with logged_in(rules, Tokens(names(30)), arriving=arriving) as client:
        results = list(client.send_messages([message(number, 2) for number in range(12)], window=window))

    assert [(each.index, each.accepted, each.error) for each in results] == [(index, True, None) for index in range(12)]
    assert subjects(rules) == list(range(12))
    assert sent_once_each(rules.delivered)
    assert rules.logins == [(name, True) for name in names((11 + lifetime) // lifetime)]


@each_mode
def test_messages_keep_their_order_when_logins_end_among_bad_and_large_ones(features: Sequence[str]) -> None:
    rules = Rules([each for each in features if "SIZE" not in each], tokens=names(30), lifetime=2)
    sent: list[Any] = [message(number) for number in range(12)]
    sent[3] = sent[7] = None
    sender, recipients, octets = message(5)
    sent[5] = sender, recipients, octets + b"0123456789abcdef\r\n" * 300_000
    with logged_in(rules, Tokens(names(30))) as client:
        results = list(client.send_messages(sent))

    assert [(each.index, each.accepted) for each in results] == [(index, index not in (3, 7)) for index in range(12)]
    assert subjects(rules) == [index for index in range(12) if index not in (3, 7)]


@each_mode
def test_a_token_that_cannot_be_renewed_leaves_results_with_the_refusal(features: Sequence[str]) -> None:
    rules = Rules(features, tokens=["fixed"], lifetime=3)
    with logged_in(rules, "fixed") as client:
        results = list(client.send_messages(map(message, range(6))))

    assert [each.accepted for each in results] == [True] * 3 + [False] * 3
    assert [each.error.smtp_code for each in results if isinstance(each.error, smtplib.SMTPSenderRefused)] == [530] * 3
    assert len(rules.logins) == 1


@each_mode
def test_a_refused_login_ends_the_run_and_all_that_is_left_is_unsent(features: Sequence[str]) -> None:
    rules = Rules(features, tokens=["token-0"], lifetime=3)
    source = map(message, range(9))
    accepted: list[int] = []
    with logged_in(rules, Tokens(["token-0", "worn", "worn-too"])) as client:
        run = client.send_messages(source, window=4)
        with pytest.raises(SendInterrupted, match="bad token") as stopped:
            accepted.extend(each.index for each in run)
        assert client.sock is None

    assert accepted == subjects(rules) == [0, 1, 2]
    assert stopped.value.in_doubt == ()
    assert [each.index for each in stopped.value.unsent] == list(range(3, 9 - len(list(source))))
    assert isinstance(stopped.value.__cause__, SMTPOAuthError)
    assert rules.logins == [("token-0", True), ("worn", False), ("worn-too", False)]


@each_mode
def test_a_server_that_lets_in_and_takes_nothing_is_not_asked_for_ever(features: Sequence[str]) -> None:
    rules = Rules(features, tokens=names(30), lifetime=2)
    with logged_in(rules, Tokens(names(30))) as client:
        run = client.send_messages([message(number) for number in range(9)], window=4)
        taken = [next(run).accepted, next(run).accepted]
        rules.lifetime = 0
        taken += [each.accepted for each in run]

    # Those that were on their way already.
    assert taken == sorted(taken, reverse=True)
    assert len(taken) == 9
    assert len(rules.logins) == 2


@each_mode
@pytest.mark.parametrize("refused", [0, 3, 8], ids=["first", "middle", "last"])
@pytest.mark.parametrize("arriving", [(1 << 16,), (0, 0, 0, 1 << 16)], ids=["at once", "late"])
def test_a_sender_that_alone_is_refused_so_is_a_result_in_its_place(
    features: Sequence[str], refused: int, arriving: Sequence[int]
) -> None:
    rules = Rules(features, tokens=names(30))
    rules.policy = lambda line: REQUIRED if line.lower().startswith(b"mail from:<m%d@" % refused) else None
    with logged_in(rules, Tokens(names(30)), arriving=arriving) as client:
        results = list(client.send_messages([message(number) for number in range(9)], window=4))

    assert [(each.index, each.accepted) for each in results] == [(index, index != refused) for index in range(9)]
    assert subjects(rules) == [index for index in range(9) if index != refused]
    assert len(rules.logins) <= 2


class Impatient(Rules):
    """Rules of a server that closes the connection soon after a login has ended."""

    def __init__(self, features: Sequence[str], last_words: bytes, at: bytes) -> None:
        super().__init__(features, self.judge, tokens=names(30), lifetime=4)
        self.last_words = last_words
        self.at = at
        self.begun = 0

    def judge(self, line: bytes) -> bytes | None:
        verb = line[:4].upper()
        if verb == b"AUTH":
            self.begun = 0
        self.begun += verb == b"MAIL"
        if verb == self.at and self.begun == (5 if verb == b"RSET" else 6):
            raise HangUp(self.last_words)
        return None


@each_mode
@pytest.mark.parametrize("at", [b"RSET", b"MAIL"])
@pytest.mark.parametrize("last_words", [b"421 4.7.0 too many errors\r\n", b""], ids=["421", "no word"])
def test_a_login_that_ends_with_the_connection_soon_after_is_repeated_too(
    features: Sequence[str], last_words: bytes, at: bytes
) -> None:
    rules = Impatient(features, last_words, at)
    source = map(message, range(8))
    told: list[int] = []
    with logged_in(rules, Tokens(names(30))) as client:
        try:
            told += [each.index for each in client.send_messages(source) if each.accepted]
        except SendInterrupted as stop:
            told += [index for span in stop.accepted for index in span]
            told += [each.index for each in stop.unsent]

    assert told == list(range(8))
    assert sent_once_each(rules.delivered)
    assert subjects(rules) == told


@each_mode
def test_a_token_source_that_fails_ends_the_run_with_its_ledger(features: Sequence[str]) -> None:
    rules = Rules(features, tokens=names(1), lifetime=3)
    tokens = iter(names(1))
    sources = map(message, range(6))

    def source() -> str:
        try:
            return next(tokens)
        except StopIteration:
            raise LookupError("no more tokens") from None

    accepted: list[int] = []
    with logged_in(rules, source) as client:
        run = client.send_messages(sources)
        with pytest.raises(SendInterrupted, match="interrupted by LookupError") as stopped:
            accepted.extend(each.index for each in run)
        assert client.sock is None

    assert accepted == [0, 1, 2]
    assert isinstance(stopped.value.__cause__, LookupError)
    assert [each.index for each in stopped.value.unsent] == list(range(3, 6 - len(list(sources))))


@each_mode
def test_a_line_that_drops_at_any_octet_while_logins_end_loses_nothing(features: Sequence[str]) -> None:
    def run(cuts: Sequence[int | None], side: str) -> tuple[str, list[Wire]]:
        rules = Rules(features, tokens=names(30), lifetime=2)
        lines = [Wire(rules, **{side: cut}) for cut in cuts]  # type: ignore[arg-type]  # one of two that are numbers
        source = iter([message(number) for number in range(5)])
        accepted: list[int] = []
        refused: list[int] = []
        told: list[int] = []
        doubt: list[int] = []
        with connected(SMTP, *lines) as client:
            client.authenticate_oauth(USER, Tokens(names(30)), allow_insecure=True)
            try:
                for each in client.send_messages(source, window=3):
                    (accepted if each.accepted else refused).append(each.index)
            except SendInterrupted as stop:
                doubt = [each.index for each in stop.in_doubt]
                told = [*doubt, *(each.index for each in stop.unsent)]
        has = subjects(rules)
        read = 5 - len(list(source))
        right = (
            sorted([*accepted, *refused, *told]) == list(range(read))
            and {*accepted} <= {*has} <= {*accepted, *doubt}
            and sent_once_each(rules.delivered)
        )
        return "" if right else f"{read=} {accepted=} {refused=} {told=} {doubt=} {has=}", lines

    _, whole = run([None] * 5, "stop_reading")
    rules = Rules(features, tokens=names(30))
    greeting = Wire(rules)
    with connected(SMTP, greeting) as client:
        client.authenticate_oauth(USER, "token-0", allow_insecure=True)
    wrong = {}
    for place, (side, attribute) in itertools.product(
        range(3), [("stop_reading", "read"), ("stop_writing", "written")]
    ):
        first = getattr(greeting, attribute) + 1 if place == 0 else 1
        for octet in range(first, getattr(whole[place], attribute), 3):
            cuts = [octet if number == place else None for number in range(5)]
            problem, _ = run(cuts, side)
            if problem:
                wrong[place, side, octet] = problem

    assert wrong == {}


def test_nobody_that_has_not_logged_in_is_logged_in() -> None:
    rules = Rules(policy=lambda line: REQUIRED if line.lower().startswith(b"mail from:<m1@") else None)
    with connected(SMTP, Wire(rules)) as client:
        results = list(client.send_messages(map(message, range(3))))

    assert [each.accepted for each in results] == [True, False, True]


# --- over TLS -----------------------------------------------------------------------------------------------------


def direct(port: int, certificates: Certificates) -> SMTP:
    return SMTP_SSL("localhost", port, "client.example", timeout=TIMEOUT, context=certificates.client())


def upgraded(port: int, certificates: Certificates) -> SMTP:
    client = SMTP("localhost", port, "client.example", timeout=TIMEOUT)
    client.starttls(context=certificates.client())
    return client


@pytest.mark.parametrize(
    ("connect", "more"),
    [pytest.param(direct, (), id="SMTP_SSL"), pytest.param(upgraded, ("STARTTLS",), id="starttls")],
)
@each_mode
def test_the_connection_that_is_made_again_is_like_the_first(
    features: Sequence[str],
    connect: Callable[[int, Certificates], SMTP],
    more: Sequence[str],
    certificates: Certificates,
) -> None:
    with Submission((*features, *more), tokens=names(9), lifetime=40, tls=certificates.server("localhost")) as server:
        with connect(server.port, certificates) as client:
            client.authenticate_oauth(USER, Tokens(names(9)))
            results = list(client.send_messages(map(message, range(100))))
        server.wait()

    assert [each.accepted for each in results] == [True] * 100
    assert subjects(server) == list(range(100))
    assert server.connections == 3
    assert [name for name, accepted in server.logins if accepted] == names(3)
    assert server.lines.count(b"STARTTLS") == (3 if more else 0)


@pytest.mark.parametrize("piece", [0, 1, 100])
def test_replies_over_tls_may_be_cut_anywhere(piece: int, certificates: Certificates) -> None:
    with Submission(BOTH, tls=certificates.server("localhost"), piece=piece) as server:
        with direct(server.port, certificates) as client:
            results = list(client.send_messages(map(message, range(40))))
            assert client.noop() == (250, b"2.0.0 ok")
        server.wait()

    assert [each.accepted for each in results] == [True] * 40


# --- secrets ------------------------------------------------------------------------------------------------------


@each_mode
@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("second", ["accepted", "refused", "lost"])
def test_no_token_is_shown_by_a_run_whose_login_ends(
    features: Sequence[str], level: int, second: str, capfd: pytest.CaptureFixture[str], hook: None
) -> None:
    vault = Vault()
    tokens = vault.tokens(3)
    rules = _Knowing(features, vault, 3 if second == "refused" else 30)
    shown = []
    lines = [Wire(rules), Wire(rules, stop_reading=60 if second == "lost" else None), Wire(rules)]
    with connected(SMTP, *lines) as client:
        client.set_debuglevel(level)
        with contextlib.redirect_stdout(io.StringIO()):
            client.authenticate_oauth(USER, tokens, allow_insecure=True)
            run = client.send_messages(map(message, range(5)), window=2)
            try:
                for each in run:
                    shown.append(repr(each))
            except SendInterrupted as stop:
                shown.append(shown_by(stop))
        shown += [shown_by_client(client), repr(run), repr(vars(run))]
    out, err = capfd.readouterr()

    assert not vault.found_in("\n".join([*shown, out, err]))


class _Knowing(Rules):
    """Rules of a server that lets in who has a token of the vault, the first time, and shows none of them."""

    def __init__(self, features: Sequence[str], vault: Vault, lifetime: int) -> None:
        super().__init__(features, tokens=_Any(), lifetime=2)

    def __repr__(self) -> str:
        return "<rules>"


class _Any(frozenset[str]):
    """Every token there is."""

    def __contains__(self, token: object) -> bool:
        return True
