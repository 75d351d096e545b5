"""Runs that are cut off, at every octet and every system call: no message is lost, none is sent twice unknowingly."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oauthmail import SMTP, SendCancelled, SendInterrupted

from .conversation import BOTH, HangUp, Rules
from .submission import Submission
from .test_send_messages_as_parent import MODES, message, sent_once_each
from .wire import Wire, connected

ROOT = Path(__file__).parent.parent
each_mode = pytest.mark.parametrize("features", MODES, ids=" ".join)


class Own(SMTP):
    """A client whose way of sending is its own."""

    def data(self, msg: Any) -> tuple[int, bytes]:
        return super().data(msg)


KINDS = [*((SMTP, features) for features in MODES), (Own, BOTH)]
each_kind = pytest.mark.parametrize(
    ("kind", "features"), KINDS, ids=[f"{kind.__name__} {' '.join(features)}" for kind, features in KINDS]
)


@dataclass
class Account:
    """What became of the messages of a run, as the client tells it, and as the server knows it.

    Attributes:
        accepted: indexes of messages with such a result.
        refused: indexes of the others that have one.
        in_doubt: as the exception names them.
        unsent: as the exception names them.
        read: how many were read from the iterable.
        has: which ones the server has, in the order in which it got them.
        apart: whether each of them went from its own sender to its own recipients, and once.
        stop: the exception.
    """

    accepted: list[int]
    refused: list[int]
    in_doubt: list[int]
    unsent: list[int]
    read: int
    has: list[int]
    apart: bool
    stop: SendInterrupted | SendCancelled | None

    def wrong(self) -> str:
        """Return what is wrong with it; nothing, if nothing is."""
        told = sorted([*self.accepted, *self.refused, *self.in_doubt, *self.unsent])
        if told != list(range(self.read)):
            return f"of {self.read} read {told} are told"
        if not set(self.accepted) <= set(self.has) <= {*self.accepted, *self.in_doubt}:
            return f"the server has {self.has}"
        if not self.apart:
            return "messages got mixed up"
        if self.stop is not None and [index for span in self.stop.accepted for index in span] != self.accepted:
            return f"the exception has {self.stop.accepted}"
        return ""


def run(
    kind: type[SMTP],
    wire: Wire,
    rules: Rules,
    count: int,
    window: int = 128,
    disturb: Callable[[], None] = lambda: None,
) -> Account:
    source = iter([message(number, 2) for number in range(count)])
    accepted: list[int] = []
    refused: list[int] = []
    stop: SendInterrupted | SendCancelled | None = None
    with connected(kind, wire) as client:
        client.ehlo()
        wire.disturb = disturb
        try:
            for each in client.send_messages(source, window=window):
                (accepted if each.accepted else refused).append(each.index)
        except (SendInterrupted, SendCancelled) as error:
            stop = error
        except KeyboardInterrupt:
            # Not let through: pytest would take it for its own end.
            pytest.fail("Ctrl-C came without the ledger")
        wire.disturb = lambda: None
    return Account(
        accepted,
        refused,
        [each.index for each in stop.in_doubt] if stop else [],
        [each.index for each in stop.unsent] if stop else [],
        count - len(list(source)),
        [int(each.octets.split()[1]) for each in rules.delivered],
        sent_once_each(rules.delivered),
        stop,
    )


def sizes(kind: type[SMTP], features: Sequence[str], count: int) -> tuple[int, int, int, int]:
    """Return how many octets the server reads and writes for EHLO, and in all for so many messages."""
    rules = Rules(features)
    first, whole = Wire(rules), Wire(rules)
    with connected(kind, first) as client:
        client.ehlo()
    run(kind, whole, rules, count)
    return first.read, first.written, whole.read, whole.written


@each_kind
@pytest.mark.parametrize("resets", [True, False], ids=["resets", "swallows"])
@pytest.mark.parametrize(
    ("count", "stride", "window", "taking", "arriving"),
    [
        pytest.param(4, 1, 128, 1 << 30, 1 << 16, id="4 at every octet"),
        pytest.param(4, 1, 2, 50, 30, id="4 at every octet in small packets"),
        pytest.param(50, 61, 128, 1 << 30, 1 << 16, id="50 at every 61st"),
        pytest.param(50, 67, 5, 700, 100, id="50 at every 67th in packets"),
    ],
)
def test_a_line_that_drops_at_any_octet_loses_no_message_and_sends_none_twice(
    kind: type[SMTP],
    features: Sequence[str],
    resets: bool,
    count: int,
    stride: int,
    window: int,
    taking: int,
    arriving: int,
) -> None:
    read, written, all_read, all_written = sizes(kind, features, count)
    cuts = [("stop_reading", octet) for octet in range(read + 1, all_read, stride)]
    cuts += [("stop_writing", octet) for octet in range(written + 1, all_written, stride)]
    wrong = {}
    for side, octet in cuts:
        rules = Rules(features)
        wire = Wire(rules, taking=[taking], arriving=[arriving], resets=resets, **{side: octet})
        found = run(kind, wire, rules, count, window)
        # smtplib's own methods take half of the last reply for one.
        if found.wrong() or (found.stop is None and kind is SMTP):
            wrong[side, octet] = found.wrong()

    assert wrong == {}


@each_kind
def test_a_server_that_goes_silent_at_any_octet_ends_the_run_with_its_ledger(
    kind: type[SMTP], features: Sequence[str]
) -> None:
    _, written, _, all_written = sizes(kind, features, 4)
    wrong = {}
    for octet in range(written, all_written):
        rules = Rules(features)
        found = run(kind, Wire(rules, deaf=octet), rules, 4, 2)
        if found.wrong() or found.stop is None or "timed out" not in str(found.stop):
            wrong[octet] = found.wrong() or str(found.stop)

    assert wrong == {}


@each_kind
@pytest.mark.parametrize("hoards", [False, True], ids=["forgets", "hoards"])
@pytest.mark.parametrize("stays", [False, True], ids=["closes", "stays"])
@pytest.mark.parametrize("silent", [False, True], ids=["speaks", "silent"])
def test_a_421_to_any_command_ends_the_run_with_its_ledger(
    kind: type[SMTP], features: Sequence[str], hoards: bool, stays: bool, silent: bool
) -> None:
    rules = Rules(features)
    run(kind, Wire(rules), rules, 4)
    # The ends of messages by DATA are told to a policy like commands.
    commands = len(rules.lines) + len(rules.delivered)
    wrong = {}
    for place in range(1, commands):
        rules = Rules(features, hoards=hoards)
        wire = Wire(rules)
        rules.policy = _saying_goodbye(place, stays, wire.deafen if silent else bytes)
        found = run(kind, wire, rules, 4, 3)
        if found.wrong():
            wrong[place] = found.wrong()

    assert wrong == {}


def _saying_goodbye(place: int, stays: bool, last_words: Callable[[bytes], bytes]) -> Callable[[bytes], bytes | None]:
    """Return a policy that says 421 to one command, and then closes or goes on."""
    number = -1

    def policy(line: bytes) -> bytes | None:
        nonlocal number
        number += 1
        if number != place:
            return None
        if not stays:
            raise HangUp(b"421 4.3.2 shutting down\r\n")
        return last_words(b"421 4.3.2 shutting down\r\n")

    return policy


@each_kind
@pytest.mark.parametrize("taking", [1 << 30, 60], ids=["whole", "in pieces"])
def test_ctrl_c_at_any_system_call_ends_the_run_with_its_ledger(
    kind: type[SMTP], features: Sequence[str], taking: int
) -> None:
    wrong = {}
    for place in itertools.count():
        interrupted: list[bool] = []

        def disturb(left: Iterator[int] = iter(range(place, -1, -1)), noted: list[bool] = interrupted) -> None:  # noqa: B008  # of this place
            if next(left, 1) == 0:
                noted.append(True)
                raise KeyboardInterrupt

        rules = Rules(features)
        found = run(kind, Wire(rules, taking=[taking], arriving=[40, 0, 90]), rules, 6, 4, disturb)
        if found.wrong() or bool(interrupted) != isinstance(found.stop, SendCancelled):
            wrong[place] = found.wrong() or repr(found.stop)
        if not interrupted:
            break

    assert wrong == {}
    assert place > 10


# A program of its own, as the signal comes to the main thread between any two steps of the interpreter.
INTERRUPTED = """
    import itertools, random, signal, sys
    from oauthmail import SMTP, SendCancelled
    from tests.conversation import BOTH, Rules
    from tests.test_send_messages_as_parent import message, sent_once_each
    from tests.wire import Wire, connected

    def given():
        for number in itertools.count():
            read.append(number)
            yield message(number)

    seed = int(sys.argv[1])
    random.seed(seed)
    for attempt in range(int(sys.argv[2])):
        features = random.choice([(), ("PIPELINING",), BOTH])
        rules, read, told, doubt, unsent, raw = Rules(features), [], [], [], [], False
        client = connected(SMTP, Wire(rules, arriving=[100, 0, 1000], taking=[5000, 300]))
        client.ehlo()
        run = client.send_messages(given(), window=random.choice([1, 5, 128]))
        try:
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0005, 0.01))
            try:
                for each in run:
                    told.append(each.index)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, signal.SIG_IGN)
        except SendCancelled as stop:
            accepted = [index for span in stop.accepted for index in span]
            doubt, unsent = [each.index for each in stop.in_doubt], [each.index for each in stop.unsent]
        except KeyboardInterrupt:
            # Between two steps of the run: it can be gone on with, but for a result that was handed over just then.
            raw = True
            run.stop()
            accepted = sorted({*told, *(each.index for each in run)})
            accepted = list(range(max([-1, *accepted, *(int(each.octets.split()[1]) for each in rules.delivered)]) + 1))
        client.close()
        has = [int(each.octets.split()[1]) for each in rules.delivered]
        # The last one may have been interrupted while the iterable made it.
        missing = sorted({*read} - {*accepted, *doubt, *unsent})
        problem = (
            missing not in ([], read[-1:])
            or not {*accepted} <= {*has} <= {*accepted, *doubt}
            or not sent_once_each(rules.delivered)
            or len({*accepted, *doubt, *unsent}) != len(accepted) + len(doubt) + len(unsent)
            or (not raw and told != accepted[: len(told)])
        )
        if problem:
            sys.exit(f"{seed=} {attempt=}: {features} {raw=} {missing=} {has=} {accepted=} {doubt=} {unsent=}")
    print("done")
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no timer that sends a signal")
def test_ctrl_c_at_any_moment_ends_the_run_with_its_ledger() -> None:
    program = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED), "7", "200"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (program.stdout, program.stderr) == ("done\n", "")


# --- real sockets, real timeouts ----------------------------------------------------------------------------------


@each_mode
@pytest.mark.parametrize("verb", [b"RSET", b"MAIL", b"RCPT", b"DATA", b"BDAT", b"."])
def test_a_silent_server_ends_the_run_within_the_timeout(features: Sequence[str], verb: bytes) -> None:
    count = 0
    silence: list[bytes] = []

    def silent(line: bytes) -> bytes | None:
        nonlocal count
        count += line[:4].upper() == b"MAIL"
        if count >= 3 and line[:4].upper() == verb:
            silence.append(line)
        return b"" if silence else None

    began = time.monotonic()
    outcome = ""
    with (
        Submission(features, policy=silent) as server,
        SMTP("127.0.0.1", server.port, "client.example", timeout=0.2) as client,
    ):
        try:
            list(client.send_messages(map(message, range(6)), window=4))
        except SendInterrupted as stop:
            outcome = str(stop)

    # A command that this mode does not have is not met with silence.
    assert ("timed out" in outcome) == bool(silence)
    assert time.monotonic() - began < 5


def test_a_server_that_reads_no_more_ends_the_run_within_the_timeout_and_tells_what_it_has_said() -> None:
    def stuck(line: bytes) -> bytes | None:
        if line.lower().startswith(b"mail from:<m2@"):
            time.sleep(3)
        return None

    def given() -> Iterator[Any]:
        for number in range(60):
            sender, recipients, octets = message(number)
            yield sender, recipients, octets + (b"x" * 70 + b"\r\n") * 10_000

    accepted: list[int] = []
    with (
        Submission(("PIPELINING", "CHUNKING"), policy=stuck) as server,
        SMTP("127.0.0.1", server.port, "client.example", timeout=0.5) as client,
    ):
        run = client.send_messages(given())
        with pytest.raises(SendInterrupted) as stopped:
            accepted.extend(each.index for each in run)

    # What the server reads in one piece it answers in one.
    assert accepted in ([0], [0, 1])
    assert stopped.value.unsent
