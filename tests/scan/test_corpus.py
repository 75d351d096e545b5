"""Every planted case is found, nothing else is, and what is changed is right."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from oauthmail.scan import RULES, scan_source

from .samples import CLEAN, FOUND, Sample


def by_name(sample: Sample) -> str:
    return sample.name


def test_the_corpus_has_sixty_scripts_of_each_kind_and_every_rule() -> None:
    assert (len(FOUND), len(CLEAN)) == (60, 60)
    assert {rule for sample in FOUND for _, rule, _ in sample.expected} == set(RULES)


@pytest.mark.parametrize("sample", FOUND, ids=by_name)
def test_every_planted_case_is_found_where_it_stands_and_nothing_else(sample: Sample) -> None:
    found = [(found.line, found.rule, found.certain) for found in sample.scan().found]
    assert sorted(found) == sorted(sample.expected)


@pytest.mark.parametrize("sample", CLEAN, ids=by_name)
def test_nothing_is_found_in_scripts_that_look_similar(sample: Sample) -> None:
    assert sample.scan().found == ()


@pytest.mark.parametrize("sample", [sample for sample in FOUND if any(c for *_, c in sample.expected)], ids=by_name)
def test_a_change_compiles_and_leaves_exactly_what_was_not_certain(sample: Sample) -> None:
    changed = sample.scan().changed
    assert changed is not None
    ast.parse(changed)
    left = Counter(found.rule for found in scan_source(changed).found)
    # A password that went with its login is not in the source any more.
    gone = {"secret-in-source": 1} if sample.name == "52_literals_in_the_call" else {}
    assert left == Counter(rule for _, rule, certain in sample.expected if not certain) - Counter(gone)


@pytest.mark.parametrize("sample", FOUND, ids=by_name)
def test_every_finding_says_what_it_means_and_what_to_do(sample: Sample) -> None:
    assert [found for found in sample.scan().found if len(found.message) < 30 or len(found.advice) < 15] == []


@pytest.mark.parametrize("sample", FOUND, ids=by_name)
def test_line_ends_byte_order_mark_and_encoding_stay(sample: Sample) -> None:
    report = sample.scan()
    windows = scan_source(b"\xef\xbb\xbf" + sample.text.replace("\n", "\r\n").encode())
    expected = None if report.changed is None else b"\xef\xbb\xbf" + report.changed.replace(b"\n", b"\r\n")
    assert windows.changed == expected
