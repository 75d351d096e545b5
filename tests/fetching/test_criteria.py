"""What is asked of IMAP's SEARCH, and what folders are called."""

from __future__ import annotations

from datetime import date

import pytest

from oauthmail.fetching.criteria import Criteria, folder_name, folder_text
from oauthmail.fetching.errors import FetchError


def test_all_that_is_wanted_is_asked_for() -> None:
    found = Criteria.of(raw=" LARGER 1000 ", sender='a "b" \\c', subject="x", since=date(2024, 2, 1), unseen=True)
    assert found.keys == ("LARGER 1000", 'FROM "a \\"b\\" \\\\c"', 'SUBJECT "x"', "SINCE 1-Feb-2024", "UNSEEN")


def test_text_outside_ascii_is_a_literal() -> None:
    assert Criteria.of(subject="Grüße", sender="x") == Criteria(('FROM "x"',), (("SUBJECT", "Grüße".encode()),))


@pytest.mark.parametrize(
    "arguments", [{"raw": "ALL\r\nA2 DELETE INBOX"}, {"sender": "a\nb"}, {"subject": "a\0b"}, {"raw": "SUBJECT ü"}]
)
def test_nothing_can_begin_another_command(arguments: dict[str, str]) -> None:
    with pytest.raises(FetchError):
        Criteria.of(**arguments)  # type: ignore[arg-type]  # only texts here


# RFC 3501 section 5.1.3.
NAMES = [
    ("INBOX", '"INBOX"'),
    ("a & b", '"a &- b"'),
    ('a "b" \\', '"a \\"b\\" \\\\"'),
    ("~peter/mail/台北/日本語", '"~peter/mail/&U,BTFw-/&ZeVnLIqe-"'),
    ("Gesendete Entwürfe", '"Gesendete Entw&APw-rfe"'),
    ("😀", '"&2D3eAA-"'),
]


@pytest.mark.parametrize(("text", "name"), NAMES)
def test_a_folder_has_a_name_in_ascii(text: str, name: str) -> None:
    assert folder_name(text) == name


@pytest.mark.parametrize(("text", "name"), [each for each in NAMES if "\\" not in each[1]])
def test_a_name_is_read_back(text: str, name: str) -> None:
    assert folder_text(name[1:-1]) == text


@pytest.mark.parametrize("name", ["&", "&x", "&AA-", "&!!!!-", "a&-b"])
def test_a_name_that_is_none_stays(name: str) -> None:
    assert folder_text(name) in (name, "a&b")


def test_a_folder_cannot_begin_another_command() -> None:
    with pytest.raises(FetchError):
        folder_name('x"\r\nA2 DELETE INBOX')
