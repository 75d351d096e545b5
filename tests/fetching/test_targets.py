"""Messages in an mbox and a maildir: each once, whatever cut a run off, and nothing of other programs' is touched."""

from __future__ import annotations

import contextlib
import json
import mailbox
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oauthmail.fetching.errors import TargetError
from oauthmail.fetching.maildir import Maildir, prepare
from oauthmail.fetching.mbox import Mbox, block
from oauthmail.fetching.message import Message
from oauthmail.fetching.target import Target, open_record

DAY = datetime(2024, 1, 31, 12, tzinfo=timezone.utc)
SOURCE = "imap me@x.test INBOX"


def message(number: int, text: bytes = b"Text\r\n", *flags: str) -> Message:
    header = b"Subject: %d\r\n\r\n" % number
    return Message(f"1700000000.{number}", header + text, DAY, frozenset(flags))


@contextlib.contextmanager
def mbox(path: Path, source: str = SOURCE, sleep: Callable[[float], None] = lambda _: None) -> Iterator[Mbox]:
    with open_record(Path(f"{path}.fetched")) as record:
        yield Mbox(path, record, source, sleep=sleep)


@contextlib.contextmanager
def maildir(path: Path, source: str = SOURCE) -> Iterator[Maildir]:
    prepare(path)
    with open_record(path / "oauthmail.fetched") as record:
        yield Maildir(path, record, source)


Open = Callable[..., contextlib.AbstractContextManager[Target]]


@pytest.fixture(params=[mbox, maildir])
def opened(request: pytest.FixtureRequest) -> Open:
    found: Open = request.param
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "box"


def subjects(path: Path) -> list[str]:
    """Return what the standard library finds there."""
    with contextlib.closing(mailbox.Maildir(path) if path.is_dir() else mailbox.mbox(path)) as box:
        return sorted(str(found["Subject"]) for found in box)


# --- both -------------------------------------------------------------------------------------------------------------


def test_messages_are_kept_and_known(opened: Open, path: Path) -> None:
    with opened(path) as target:
        target.add([message(1), message(2)])
    with opened(path) as target:
        assert [target.has(message(number).id) for number in (1, 2, 3)] == [True, True, False]
    assert subjects(path) == ["1", "2"]


def test_messages_that_somebody_has_deleted_stay_known(opened: Open, path: Path) -> None:
    with opened(path) as target:
        target.add([message(1)])
    if path.is_dir():
        next((path / "new").iterdir()).unlink()
    else:
        path.write_bytes(b"")
    with opened(path) as target:
        assert target.has(message(1).id)


def test_the_same_number_elsewhere_is_another_message(opened: Open, path: Path) -> None:
    with opened(path) as target:
        target.add([message(1)])
    with opened(path, "imap me@x.test Archive") as target:
        assert not target.has(message(1).id)


def test_nobody_else_can_read_them(opened: Open, path: Path) -> None:
    with opened(path) as target:
        target.add([message(1)])
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}


def test_a_second_run_at_once_is_told_so(opened: Open, path: Path) -> None:
    with (
        opened(path),
        pytest.raises(TargetError, match="another oauthmail fetch is at work"),
        opened(path),
    ):
        pass


def test_another_file_is_left_alone(opened: Open, path: Path) -> None:
    path.write_text("no mailbox\n")
    with pytest.raises(TargetError, match=r"is not an? m"), opened(path):
        pass
    assert path.read_text() == "no mailbox\n"


def test_another_folder_is_left_alone(opened: Open, path: Path) -> None:
    path.mkdir()
    (path / "file").touch()
    with pytest.raises(TargetError, match=r"is not a maildir|Is a directory"), opened(path):
        pass
    assert [each.name for each in path.iterdir()] == ["file"]


def test_a_folder_that_is_not_there_is_told(opened: Open, tmp_path: Path) -> None:
    with (
        pytest.raises(TargetError, match=r"is not a folder|No such file or directory"),
        opened(tmp_path / "missing" / "box"),
    ):
        pass


# --- mbox -------------------------------------------------------------------------------------------------------------


def test_a_message_in_an_mbox() -> None:
    assert block(message(1, b"From me\r\n>From you\r\nlast")) == (
        b"From oauthmail@invalid Wed Jan 31 12:00:00 2024\nSubject: 1\n\n>From me\n>>From you\nlast\n\n"
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["From x", ">From x", "From", "", ".", "a From "])), min_size=1, max_size=3))
def test_an_mbox_says_where_messages_begin(bodies: list[list[str]]) -> None:
    blocks = [block(message(number, "\r\n".join(body).encode())) for number, body in enumerate(bodies)]
    starts = [line for line in b"".join(blocks).split(b"\n") if line.startswith(b"From ")]
    assert len(starts) == len(bodies)


@pytest.mark.parametrize(
    "before", [b"", b"From a Mon Jan 1\n\nText\n\n", b"From a Mon Jan 1\n\nText\n", b"From a Mon Jan 1\n\nText"]
)
def test_messages_come_behind_those_that_are_there(path: Path, before: bytes) -> None:
    path.write_bytes(before)
    with mbox(path) as target:
        target.add([message(1)])
    content = path.read_bytes()
    assert content.startswith(before)
    assert content[len(before) :].lstrip(b"\n") == block(message(1))
    assert len(subjects(path)) == (2 if before else 1)


def cut_off(path: Path, keep: int) -> bytes:
    """Leave an mbox as a run that was killed while it appended two messages would have, and return it whole."""
    with mbox(path) as target:
        target.add([message(1)])
        target.add([message(2), message(3)])
    whole = path.read_bytes()
    record = Path(f"{path}.fetched")
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:-1]))
    first = len(block(message(1)))
    path.write_bytes(whole[: first + keep])
    return whole


LENGTH = len(block(message(2)))


@pytest.mark.parametrize(
    "keep", sorted({*range(0, 2 * LENGTH + 1, 7), 1, 5, LENGTH - 1, LENGTH, LENGTH + 1, 2 * LENGTH})
)
def test_a_run_that_was_cut_off_anywhere_is_made_good(path: Path, keep: int) -> None:
    whole = cut_off(path, keep)
    with mbox(path) as target:
        left = [each for each in (message(1), message(2), message(3)) if not target.has(each.id)]
        assert len(left) == (2 if keep < LENGTH else 1 if keep < 2 * LENGTH else 0)
        if left:
            target.add(left)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("keep", [0, 10, 30])
@pytest.mark.parametrize("text", [b"", b"Text" * 100], ids=["short", "long"])
@pytest.mark.parametrize("sender", [b"a", b"MAILER-DAEMON"])
def test_what_others_have_added_since_stays(path: Path, keep: int, text: bytes, sender: bytes) -> None:
    cut_off(path, keep)
    other = b"\n\n" * (keep > 0) + b"From " + sender + b" Mon\n\n" + text + b"\n\n"
    with path.open("ab") as file:
        file.write(other)
    with mbox(path) as target:
        assert not target.has(message(2).id)
    assert path.read_bytes().endswith(other)


def test_a_file_that_others_have_written_anew_stays(path: Path) -> None:
    cut_off(path, 10)
    path.write_bytes(b"From a Mon Jan 1\nSubject: other\n\nText\n\n")
    with mbox(path) as target:
        target.add([message(2)])
    assert subjects(path) == ["2", "other"]


def test_a_disk_that_is_full_leaves_no_half_a_message(path: Path, tmp_path: Path) -> None:
    program = """
import resource, signal, sys
from pathlib import Path
from oauthmail.fetching.errors import TargetError
from tests.fetching.test_targets import mbox, message
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with mbox(Path(sys.argv[1])) as target:
    target.add([message(1)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    try:
        target.add([message(2), message(3, b"x" * 5000)])
    except TargetError as error:
        print(error)
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert "cannot be written: File too large" in run.stdout
    assert path.read_bytes() == block(message(1))
    with mbox(path) as target:
        assert [target.has(message(number).id) for number in (1, 2, 3)] == [True, False, False]


def test_it_waits_while_another_program_has_the_file(path: Path) -> None:
    path.touch()
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, sys; file = open(sys.argv[1], 'r+b'); fcntl.lockf(file, fcntl.LOCK_EX); print(flush=True);"
            "sys.stdin.read()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        waits = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            other.communicate()

        with mbox(path, sleep=sleep) as target:
            target.add([message(1)])
    assert (waits, subjects(path)) == ([0.1], ["1"])


def test_it_heeds_a_lock_file(path: Path) -> None:
    lock = Path(f"{path}.lock")
    lock.touch()
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        lock.unlink()

    with mbox(path, sleep=sleep):
        pass
    assert waits == [0.1]


def test_a_file_that_was_replaced_while_it_waited_is_opened_anew(path: Path) -> None:
    lock = Path(f"{path}.lock")

    def sleep(seconds: float) -> None:
        (path.parent / "other").write_bytes(b"From a Mon Jan 1\nSubject: other\n\n\n")
        (path.parent / "other").replace(path)
        lock.unlink()

    with mbox(path, sleep=sleep) as target:
        lock.touch()
        target.add([message(1)])
    assert subjects(path) == ["1", "other"]


def test_it_gives_up_a_file_that_is_never_free(path: Path) -> None:
    Path(f"{path}.lock").touch()
    with pytest.raises(TargetError, match="locked by another program"), mbox(path):
        pass


def test_a_lock_file_of_a_program_that_died_long_ago_is_none(path: Path) -> None:
    lock = Path(f"{path}.lock")
    lock.touch()
    os.utime(lock, (0, 0))
    with mbox(path) as target:
        target.add([message(1)])
    assert subjects(path) == ["1"]


def test_a_damaged_list_is_told(path: Path) -> None:
    Path(f"{path}.fetched").write_text(json.dumps({"record": "oauthmail fetch", "version": 1}) + "\n[]\n")
    with pytest.raises(TargetError, match="damaged in line 2"), mbox(path):
        pass


# --- maildir ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), "new/1706702400.V1700000000U0000000001.{}"),
        (("\\Seen",), "cur/1706702400.V1700000000U0000000001.{}:2,S"),
        (("\\Seen", "\\FLAGGED", "\\Answered", "$Junk"), "cur/1706702400.V1700000000U0000000001.{}:2,FRS"),
        (("$Junk",), "new/1706702400.V1700000000U0000000001.{}"),
    ],
)
def test_a_name_tells_the_message_and_its_flags(path: Path, flags: tuple[str, ...], expected: str) -> None:
    with maildir(path) as target:
        target.add([message(1, b"", *flags)])
    (found,) = [each for part in ("cur", "new", "tmp") for each in (path / part).iterdir()]
    assert str(found.relative_to(path)) == expected.format("836023af")


def test_a_message_that_was_put_there_but_not_noted_is_known(path: Path) -> None:
    with maildir(path) as target:
        target.add([message(1)])
    (path / "oauthmail.fetched").unlink()
    # As a mail program does when somebody has read it.
    (name,) = (path / "new").iterdir()
    name.rename(path / "cur" / f"{name.name}:2,RS")
    with maildir(path) as target:
        assert target.has(message(1).id)


def test_a_message_that_was_written_in_part_is_written_anew(path: Path) -> None:
    with maildir(path) as target:
        target.add([message(1)])
    (whole,) = (path / "new").iterdir()
    (path / "tmp" / whole.name).write_bytes(b"half a mess")
    whole.unlink()
    (path / "oauthmail.fetched").unlink()
    with maildir(path) as target:
        assert not target.has(message(1).id)
        target.add([message(1)])
    assert whole.read_bytes() == b"Subject: 1\n\nText\n"
    assert list((path / "tmp").iterdir()) == []


@pytest.mark.parametrize("name", ["0001", "a/../b", "x:y,z", "é" * 70])
def test_whatever_pop3_calls_a_message_is_no_path(path: Path, name: str) -> None:
    with maildir(path) as target:
        target.add([Message(name, b"Subject: x\r\n\r\n", DAY)])
        assert target.has(name)
    assert len(list((path / "new").iterdir())) == 1
