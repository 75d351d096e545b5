"""``oauthmail send`` of 200 messages, interrupted at random points and run again: what arrives, and what is said."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oauthmail import FileStore
from oauthmail.sandbox import Sandbox

from ..scripted import Certificates
from ..sending.post_office import USER, PostOffice, record, serving
from .rig import oauthmail, set_up

MESSAGES = 200
#: The same in every run; what happens between a message that has arrived and the signal is chance all the same.
RANDOM = random.Random(20261121)  # noqa: S311  # no secret
SIGNALS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
POINTS = [(number, RANDOM.randrange(MESSAGES - 10)) for number in SIGNALS for _ in range(6)]


@dataclass
class Ended:
    """What came of one interruption.

    Attributes:
        status: the first run's exit status.
        lines: what the second one said of each message.
        delivered: how often each message arrived, in their order.
    """

    status: int
    lines: list[dict[str, Any]]
    delivered: list[int]

    @property
    def doubtful(self) -> list[int]:
        """Which messages the second run named as those that may or may not have gone, counted from 0."""
        return [line["index"] - 1 for line in self.lines if line["state"] == "doubtful"]

    @property
    def wrong(self) -> list[tuple[int, int]]:
        """Which messages arrived how often, where that is not as it has to be."""
        return [
            (number, times)
            for number, times in enumerate(self.delivered)
            if times != 1 and not (number in self.doubtful and times == 0)
        ]


def interrupted(sandbox: Sandbox, folder: Path, number: int, point: int) -> Ended:
    """Send, interrupt after *point* messages have arrived, and send again."""
    folder.mkdir()
    home, table = folder / "home", folder / "people.csv"
    user = sandbox.new_user()
    set_up(home, sandbox, user)
    people = [f"{folder.name}-{each}@people.test" for each in range(MESSAGES)]
    table.write_text("to,name\n" + "".join(f"{address},{address}\n" for address in people))
    command = ["send", user, "--csv", str(table), "--subject", "Hello {name}", "--text", "Dear {name}\n"]
    first = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "oauthmail", *command],
        env={**os.environ, "OAUTHMAIL_HOME": str(home)},
        stderr=subprocess.PIPE,
    )
    assert sandbox.mailboxes.wait(people[point], timeout=60)
    first.send_signal(number)
    first.communicate(timeout=60)
    second = oauthmail(*command, "--json", home=home)
    lines = [json.loads(line) for line in second.stdout.splitlines()]
    return Ended(first.returncode, lines, [len(sandbox.mailboxes.messages(address)) for address in people])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[int, int], Future[Ended]]]:
    """All interruptions, a few at a time: each spends most of its time in waiting for the disk."""
    folder = tmp_path_factory.mktemp("interrupted")
    with Sandbox() as sandbox, ThreadPoolExecutor(4) as pool:
        yield {
            (number, point): pool.submit(interrupted, sandbox, folder / f"{number}-{point}", number, point)
            for number, point in POINTS
        }


@pytest.fixture
def ended(running: dict[tuple[int, int], Future[Ended]], request: pytest.FixtureRequest) -> Ended:
    return running[request.param].result()


def at(*numbers: int) -> pytest.MarkDecorator:
    chosen = [each for each in POINTS if each[0] in numbers]
    ids = [f"{signal.Signals(number).name} after {point + 1}" for number, point in chosen]
    return pytest.mark.parametrize("ended", chosen, ids=ids, indirect=True)


@at(*SIGNALS)
def test_each_message_arrives_once_or_is_named_as_one_that_may_not_have(ended: Ended) -> None:
    assert ended.wrong == []


@at(*SIGNALS)
def test_the_second_run_tells_of_every_message(ended: Ended) -> None:
    assert [line["index"] for line in ended.lines] == list(range(1, MESSAGES + 1))


@at(signal.SIGKILL)
def test_one_message_at_the_most_is_in_doubt(ended: Ended) -> None:
    assert len(ended.doubtful) <= 1


@at(signal.SIGTERM, signal.SIGINT)
def test_a_run_that_is_asked_to_end_leaves_no_doubt(ended: Ended) -> None:
    assert (ended.doubtful, ended.status in (143, 130)) == ([], True)


# --- between a message and its answer ---------------------------------------------------------------------------------


class Between:
    """A run that is held up after the end of its only message and before the server's answer."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        self.folder, self.home, self.certificates = folder, folder / "home", certificates
        certificates.authority.cert_pem.write_to_path(folder / "ca.pem")
        (folder / "people.csv").write_text("to\nada@x.test\n")
        self.command = ["send", USER, "--csv", str(folder / "people.csv"), "--text", "It works."]

    def set_up(self, port: int) -> None:
        store = FileStore(self.home)
        with store.lock(USER):
            store.save(record(port, str(self.folder / "ca.pem")))

    def first(self, *numbers: int) -> tuple[int, str]:
        """Send signals at that moment, let the server answer, and return exit status and standard error."""
        office = PostOffice()
        office.answered.clear()
        with serving(office, self.certificates) as server:
            self.set_up(server.port)
            with subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "oauthmail", *self.command],
                env={**os.environ, "OAUTHMAIL_HOME": str(self.home)},
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                assert process.stderr is not None
                assert office.complete.wait(30)
                said = ""
                for number in numbers:
                    process.send_signal(number)
                    # It says so when a signal has to wait; those that do not wait end it.
                    said += process.stderr.readline()
                office.answered.set()
                said += process.communicate(timeout=30)[1]
        return process.returncode, said

    def second(self) -> tuple[int, str, int]:
        """Run it again; return exit status, standard error, and how many messages came."""
        office = PostOffice()
        with serving(office, self.certificates) as server:
            self.set_up(server.port)
            run = oauthmail(*self.command, home=self.home)
        return run.returncode, run.stderr, len(office.messages)


@pytest.fixture
def between(tmp_path: Path, certificates: Certificates) -> Between:
    return Between(tmp_path, certificates)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_asked_to_end_hears_the_answer_first(between: Between, number: int, status: int) -> None:
    ended, said = between.first(number)
    assert (ended, "stopping as soon as the server has answered" in said) == (status, True)
    assert between.second()[::2] == (0, 0)


@pytest.mark.parametrize("numbers", [(signal.SIGKILL,), (signal.SIGINT, signal.SIGINT)], ids=["SIGKILL", "twice"])
def test_a_run_that_ends_before_the_answer_leaves_a_doubt(between: Between, numbers: tuple[int, ...]) -> None:
    between.first(*numbers)
    status, said, messages = between.second()
    assert (status, messages) == (1, 0)
    assert re.search(r"line 2 of .*people\.csv <\w+@sandbox\.test>: may or may not have gone to ada@x\.test", said)
