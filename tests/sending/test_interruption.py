"""Signals during a run."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from oauthmail.sending.interruption import Interruption, TerminatedError

BOTH = pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedError), (signal.SIGHUP, TerminatedError)],
)


def come(number: int) -> None:
    os.kill(os.getpid(), number)


@BOTH
def test_a_signal_ends_a_run(number: int, expected: type[BaseException]) -> None:
    with pytest.raises(expected), Interruption():
        come(number)


def run(*steps: int | Exception | str) -> list[str]:
    """Take steps while signals wait: a signal, an exception, or something done; return what was done."""
    done: list[str] = []
    with contextlib.suppress(KeyboardInterrupt, TerminatedError), Interruption(lambda: done.append("waits")) as each:
        with each.shield():
            for step in steps:
                if isinstance(step, int):
                    come(step)
                elif isinstance(step, Exception):
                    raise step
                else:
                    done.append(step)
        done.append("noted")
        each.check()
        done.append("next message")
    return done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_a_message(number: int) -> None:
    assert run("begun", number, "ended") == ["begun", "waits", "ended", "noted"]


def test_a_second_signal_does_not_wait() -> None:
    assert run("begun", signal.SIGTERM, "goes on", signal.SIGINT, "ended") == ["begun", "waits", "goes on"]


def test_a_failure_in_the_meantime_is_not_hidden() -> None:
    with pytest.raises(LookupError):
        run("begun", signal.SIGINT, LookupError())


def test_everything_is_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interruption():
        pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption():
            come(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
