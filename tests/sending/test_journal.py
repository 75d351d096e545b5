"""What is remembered of a run: nothing is forgotten that was noted, and nothing made up of what was noted in part."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from oauthmail.sending.errors import JournalError
from oauthmail.sending.journal import journal_path, open_journal

ADA, BOB = "ada@x.test", "bob@x.test"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def known(path: Path, key: str = "key") -> tuple[set[str], dict[str, str], set[str]]:
    with open_journal(path) as journal:
        entry = journal.entry(key)
        return entry.accepted, entry.refused, entry.doubtful


def test_an_outcome_is_remembered(path: Path) -> None:
    with open_journal(path) as journal:
        journal.sending("key", [ADA, BOB], "<1@x.test>", "line 2")
        journal.outcome("key", [ADA], {BOB: "550 No"}, {}, "250 OK")
    assert known(path) == ({ADA}, {BOB: "550 No"}, set())


def test_what_has_no_outcome_is_in_doubt(path: Path) -> None:
    with open_journal(path) as journal:
        journal.sending("key", [ADA], "<1@x.test>", "line 2")
    assert known(path) == (set(), {}, {ADA})


def test_what_was_refused_for_now_is_as_if_it_had_not_been_sent(path: Path) -> None:
    with open_journal(path) as journal:
        journal.sending("key", [ADA], "<1@x.test>", "line 2")
        journal.outcome("key", [], {}, {ADA: "450 Later"}, "450 Later")
    assert known(path) == (set(), {}, set())


def test_a_second_attempt_settles_a_doubt(path: Path) -> None:
    with open_journal(path) as journal:
        journal.sending("key", [ADA], "<1@x.test>", "line 2")
    with open_journal(path) as journal:
        journal.sending("key", [ADA], "<1@x.test>", "line 2")
        journal.outcome("key", [ADA], {}, {}, "250 OK")
    assert known(path) == ({ADA}, {}, set())


@pytest.mark.parametrize("cut", range(1, 110, 9))
def test_half_a_line_at_the_end_is_as_if_it_were_not_there(path: Path, cut: int) -> None:
    with open_journal(path) as journal:
        journal.sending("key", [ADA], "<1@x.test>", "line 2")
        journal.outcome("key", [ADA], {}, {}, "250 2.0.0 a rather long answer of the server's, so as to be cut")
    path.write_bytes(path.read_bytes()[:-cut])
    assert known(path) == (set(), {}, {ADA})
    with open_journal(path) as journal:
        journal.outcome("key", [ADA], {}, {}, "250 OK")
    assert known(path) == ({ADA}, {}, set())


def test_half_a_first_line_is_begun_anew(path: Path) -> None:
    path.write_text('{"journal": "oauthm')
    assert known(path) == (set(), {}, set())


@pytest.mark.parametrize("content", ["to,name\nada@x.test,Ada\n", "one line", '{"key": 1}\n', '{"journal": "other"}\n'])
def test_another_file_is_left_alone(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(JournalError, match="another kind"), open_journal(path):
        pass
    assert path.read_text() == content


@pytest.mark.parametrize("line", [b"nonsense\n", b"{}\n", b"[]\n", b'{"key": "x", "sending": 1}\n', b"\xff\n"])
def test_a_damaged_line_is_told_by_number(path: Path, line: bytes) -> None:
    known(path)
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(JournalError, match="damaged in line 2"):
        known(path)


def test_the_message_ids_are_of_the_same_making_in_every_run(path: Path) -> None:
    with open_journal(path) as journal:
        first = journal.nonce
    with open_journal(path) as journal:
        assert journal.nonce == first


def test_a_second_run_at_once_is_told_so(path: Path) -> None:
    with open_journal(path), pytest.raises(JournalError, match="another oauthmail send is at work"), open_journal(path):
        pass


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "journal"
    with open_journal(path):
        pass
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, path.parent.parent)] == [
        0o600,
        0o700,
        0o700,
    ]


def test_it_is_kept_with_the_tokens_where_these_have_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", "/somewhere")
    path = journal_path("Me@x.test", "csv", "people.csv")
    assert (path.parent, path.name[:10]) == (Path("/somewhere/journals"), "me@x.test-")


def test_it_is_kept_among_the_states_of_applications_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OAUTHMAIL_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert "oauthmail" in str(journal_path("me@x.test").parent)


def test_another_undertaking_has_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", "/somewhere")
    assert journal_path("me@x.test", "a") != journal_path("me@x.test", "b")
