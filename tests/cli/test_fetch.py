"""``oauthmail fetch`` as a process of its own, from the sandbox."""

from __future__ import annotations

import contextlib
import json
import mailbox
import os
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from oauthmail.testing import Mailbox

from .rig import oauthmail, set_up

TARGETS = pytest.mark.parametrize("target", ["mbox", "maildir"])
PROTOCOLS = pytest.mark.parametrize("protocol", ["imap", "pop"])


@pytest.fixture
def user(oauth_mailbox: Mailbox, home: Path) -> str:
    """A mailbox that is set up."""
    set_up(home, oauth_mailbox.sandbox, oauth_mailbox.user)
    return oauth_mailbox.user


def deliver(found: Mailbox, count: int, *, start: int = 0) -> None:
    for number in range(start, start + count):
        text = f"From: a{number}@x.test\r\nSubject: m{number}\r\n\r\nFrom me\r\n.dot\r\n"
        found.sandbox.deliver(found.user, text.encode())


def subjects(path: Path) -> list[str]:
    """Return what the standard library finds in an mbox or maildir."""
    with contextlib.closing(mailbox.Maildir(path) if path.is_dir() else mailbox.mbox(path)) as box:
        return [str(found["Subject"]) for found in box]


def counted(run: subprocess.CompletedProcess[str]) -> Any:
    assert run.stderr == ""
    return json.loads(run.stdout)


# --- to standard output -----------------------------------------------------------------------------------------------


@PROTOCOLS
def test_the_newest_message_is_printed_as_it_is(oauth_mailbox: Mailbox, user: str, home: Path, protocol: str) -> None:
    deliver(oauth_mailbox, 3)
    command = [sys.executable, "-W", "error", "-m", "oauthmail", "fetch", user, "--protocol", protocol]
    run = subprocess.run(
        command, capture_output=True, env={**os.environ, "OAUTHMAIL_HOME": str(home)}, timeout=30, check=True
    )
    assert (run.stdout, run.stderr) == (oauth_mailbox.messages()[-1], b"")


@PROTOCOLS
def test_more_than_one_are_printed_as_an_mbox(
    oauth_mailbox: Mailbox, user: str, home: Path, tmp_path: Path, protocol: str
) -> None:
    deliver(oauth_mailbox, 3)
    run = oauthmail("fetch", user, "--protocol", protocol, "--newest", "2", home=home)
    (tmp_path / "box").write_text(run.stdout)
    assert (subjects(tmp_path / "box"), run.stdout.count("\n>From me\n")) == (["m1", "m2"], 2)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--unseen"], ["m0", "m2"]),
        (["--from", "A1@"], ["m1"]),
        (["--subject", "Grüße"], ["m3 Grüße"]),
        (["--since", "2024-02-01", "--unseen"], ["m2"]),
        (["--search", "NOT SEEN SUBJECT m0"], ["m0"]),
        (["--search", "SEEN", "--newest", "1"], None),
    ],
)
def test_messages_are_found(
    oauth_mailbox: Mailbox, user: str, home: Path, tmp_path: Path, arguments: list[str], expected: list[str] | None
) -> None:
    for number, (day, flags) in enumerate([(1, ()), (1, ("\\Seen",)), (2, ()), (1, ("\\Seen",))]):
        subject = f"m{number}" if number < 3 else "m3 =?utf-8?b?R3LDvMOfZQ==?="
        oauth_mailbox.sandbox.mailboxes.deliver(
            user,
            f"From: a{number}@x.test\r\nSubject: {subject}\r\n\r\n".encode(),
            flags=flags,
            internaldate=datetime(2024, day, 15, tzinfo=timezone.utc),
        )
    run = oauthmail("fetch", user, *arguments, home=home)
    if expected is None:
        # One that was asked for comes as it is.
        assert run.stdout.startswith("From: a3@x.test\n")
        return
    (tmp_path / "box").write_text(run.stdout)
    assert [each.replace("=?utf-8?b?R3LDvMOfZQ==?=", "Grüße") for each in subjects(tmp_path / "box")] == expected


def test_that_there_is_nothing_is_told(user: str, home: Path) -> None:
    run = oauthmail("fetch", user, "--from", "nobody", home=home)
    assert (run.returncode, run.stdout, run.stderr) == (1, "", "oauthmail: no such message\n")


def test_nothing_is_marked_as_read(oauth_mailbox: Mailbox, user: str, home: Path, tmp_path: Path) -> None:
    deliver(oauth_mailbox, 2)
    oauthmail("fetch", user, home=home)
    oauthmail("fetch", user, "--to-mbox", str(tmp_path / "box"), home=home)
    assert [message.flags for message in oauth_mailbox.sandbox.mailboxes.messages(user)] == [frozenset()] * 2


# --- to files ---------------------------------------------------------------------------------------------------------


@TARGETS
@PROTOCOLS
def test_a_second_run_fetches_only_what_is_new(
    oauth_mailbox: Mailbox, user: str, home: Path, tmp_path: Path, protocol: str, target: str
) -> None:
    command = ["fetch", user, "--protocol", protocol, f"--to-{target}", str(tmp_path / "box"), "--json"]
    deliver(oauth_mailbox, 3)
    assert counted(oauthmail(*command, home=home)) == {"fetched": 3, "there_before": 0, "gone": 0}
    deliver(oauth_mailbox, 2, start=3)
    assert counted(oauthmail(*command, home=home)) == {"fetched": 2, "there_before": 3, "gone": 0}
    assert sorted(subjects(tmp_path / "box")) == ["m0", "m1", "m2", "m3", "m4"]


def test_another_folder_is_fetched(oauth_mailbox: Mailbox, user: str, home: Path, tmp_path: Path) -> None:
    oauth_mailbox.sandbox.mailboxes.create(user, "Entw&APw-rfe")
    oauth_mailbox.sandbox.mailboxes.deliver(user, b"Subject: draft\r\n\r\n", "Entw&APw-rfe")
    oauthmail("fetch", user, "--folder", "Entwürfe", "--to-mbox", str(tmp_path / "box"), home=home)
    assert subjects(tmp_path / "box") == ["draft"]


def test_what_is_fetched_can_be_sent(oauth_mailbox: Mailbox, user: str, home: Path, tmp_path: Path) -> None:
    deliver(oauth_mailbox, 2)
    oauthmail("fetch", user, "--to-mbox", str(tmp_path / "box"), home=home)
    other = oauth_mailbox.sandbox.new_user()
    oauthmail("send", user, "--mbox", str(tmp_path / "box"), "--to", other, home=home)
    received = [message.octets for message in oauth_mailbox.sandbox.mailboxes.messages(other)]
    # Date and Message-ID, which these have not, come before.
    assert [octets[-len(sent) :] for octets, sent in zip(received, oauth_mailbox.messages(), strict=True)] == (
        oauth_mailbox.messages()
    )


@TARGETS
def test_a_run_that_is_killed_anywhere_is_followed_by_one_that_completes_it(
    oauth_mailbox: Mailbox, user: str, home: Path, tmp_path: Path, target: str
) -> None:
    chance = random.Random(20261121)  # noqa: S311  # no secret
    deliver(oauth_mailbox, 400)
    path = tmp_path / "box"
    command = ["fetch", user, f"--to-{target}", str(path)]
    for _ in range(6):
        seen = len(oauth_mailbox.sandbox.state.lines)
        with subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "oauthmail", *command],
            env={**os.environ, "OAUTHMAIL_HOME": str(home)},
        ) as process:
            commands = chance.randrange(6, 14)
            while process.poll() is None and len(oauth_mailbox.sandbox.state.lines) < seen + commands:
                time.sleep(0.001)
            process.kill()
    assert oauthmail(*command, home=home).returncode == 0
    assert Counter(subjects(path)) == Counter(f"m{number}" for number in range(400))


def test_a_connection_that_is_lost_does_no_harm(oauth_mailbox: Mailbox, user: str, home: Path, tmp_path: Path) -> None:
    deliver(oauth_mailbox, 3)
    command = [sys.executable, "-m", "oauthmail", "fetch", user, "--to-mbox", str(tmp_path / "box"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "OAUTHMAIL_HOME": str(home)}) as process:
        while process.poll() is None and not any("SEARCH" in line for line in oauth_mailbox.received("imap")):
            time.sleep(0.001)
        oauth_mailbox.fault("drop", service="imap")
        output = process.communicate(timeout=30)[0]
    assert json.loads(output)["fetched"] == 3


# --- what cannot be done ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param(["--folder", "Nowhere"], 1, "there are INBOX, Sent, Trash", id="no such folder"),
        pytest.param(["--newest", "0"], 2, "invalid number value: '0'", id="newest none"),
        pytest.param(["--since", "yesterday"], 2, "invalid day value: 'yesterday'", id="no day"),
        pytest.param(["--protocol", "pop", "--unseen"], 2, "POP3 has neither folders nor a search", id="POP3 search"),
        pytest.param(["--protocol", "pop", "--folder", "Sent"], 2, "use --protocol imap", id="POP3 folder"),
        pytest.param(["--search", "ALL\r\nA1 DELETE INBOX"], 1, "has a line end", id="another command"),
        pytest.param(["--search", "NONSENSE"], 1, "the server refuses to search", id="no search"),
        pytest.param(["--json"], 2, "goes with --to-mbox and --to-maildir", id="JSON beside messages"),
        pytest.param(["--to-mbox", "a", "--to-maildir", "b"], 2, "not allowed with argument", id="two targets"),
        pytest.param(["--to-mbox", "/dev/null/box"], 1, "/dev/null is not a folder", id="no place"),
    ],
)
def test_what_cannot_be_fetched_is_told(
    oauth_mailbox: Mailbox, user: str, home: Path, arguments: list[str], status: int, said: str
) -> None:
    deliver(oauth_mailbox, 1)
    run = oauthmail("fetch", user, *arguments, home=home)
    assert (run.returncode, said in run.stderr, "Traceback" in run.stderr) == (status, True, False), run.stderr


def test_a_mailbox_that_is_not_set_up_is_told_first(home: Path, tmp_path: Path) -> None:
    run = oauthmail("fetch", "nobody@x.test", "--to-mbox", str(tmp_path / "box"), home=home)
    assert (run.returncode, "oauthmail authorize nobody@x.test" in run.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []
