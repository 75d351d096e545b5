"""No input stops a scan, or makes it take for ever."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oauthmail.scan import scan_source
from oauthmail.scan.python2 import readable, tokens

from .samples import CLEAN, FOUND

WORDS = [
    *("import smtplib\n", "from imaplib import *\n", "import oauth2 as o\n", "s = smtplib.SMTP(h)\n", "s.login(u, p)"),
    *(
        "s.starttls()",
        "s.docmd('AUTH', 'XOAUTH2 ' + x)",
        "x = x or x",
        "x = f'user={x}\1auth=Bearer {x}\1\1'",
        "def f():",
    ),
    *("\n", "\n\t", "    ", "    return f()", "print x,", "except A, e:", "`", '"""', "'", "(", ")", "\\\n", "#", ";"),
    *(
        "lambda x: x",
        "class A(A):",
        "self.s",
        "x = x.x",
        "global s",
        "\r",
        "\f",
        "\0",
        "é",
        "ya29.",
        "\ufeff",
        "with f() as s:",
    ),
]
PATHOLOGICAL = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"\0" * 1000 + b"smtplib", id="zeros"),
    pytest.param(b"import smtplib\nx = " + b"(" * 5000, id="brackets"),
    pytest.param(b"import smtplib\nx = 1" + b"+1" * 40_000, id="a sum"),
    pytest.param(b"import smtplib\nx = a" + b".a" * 40_000, id="attributes"),
    pytest.param(b"import smtplib\nx = a" + b"()" * 40_000, id="calls"),
    pytest.param(b"import smtplib\nx = " + b"-" * 60_000 + b"1", id="signs"),
    pytest.param(b"import smtplib\nx = " + b"a if b else " * 2000 + b"c", id="conditions"),
    pytest.param(b"import smtplib\ns=smtplib.SMTP_SSL(h)\ns.login(" + b"u+" * 900 + b"u, p)", id="a long user name"),
    pytest.param(b"import smtplib\ns=smtplib.SMTP_SSL(h)\ns.login(u, " + b"p+" * 900 + b"p)", id="a long password"),
    pytest.param(b"import smtplib\n" + b"#" * 300_000, id="number signs"),
    pytest.param(b"import smtplib\n" + b"# passw" * 40_000, id="comments of passwords"),
    pytest.param(b"import smtplib\n'" + b"passw" * 60_000 + b"'", id="a long string"),
    pytest.param(b"import smtplib\n" + b"'\"" * 40_000, id="quotation marks"),
    pytest.param(b"import smtplib\n" + b'"""' * 50_001, id="strings without an end"),
    pytest.param(b"import smtplib\nprint x\n" + b"eyJ" * 100_000 + b".eyJ", id="almost tokens"),
    pytest.param(b"import smtplib\n" + b"1//" * 40_000, id="almost refresh tokens"),
    pytest.param(b"import smtplib\n" + b"a." * 40_000 + b"\nprint 1", id="dots in Python 2"),
    pytest.param(b"import smtplib\nwith " + b"smtplib.SMTP(" * 5_000, id="half a line of clients"),
    pytest.param(b"import smtplib\n<<<<\n" + b"x.login(" * 20_000, id="half a line of logins"),
    pytest.param(
        b"import smtplib\n" + (b"x = " + b" or ".join([b"x"] * 100) + b"\n") * 20 + b"x.login(u, p)",
        id="names that depend on themselves",
    ),
    pytest.param(
        b"import smtplib\n" + b"x = f'user={x}{x}{x}'\n" * 40 + b"c.auth('XOAUTH2', x)", id="strings of strings"
    ),
    pytest.param(b"import smtplib\ntry: pass\nexcept A, 'b', 07, 1L, c:\n print 1", id="anything after except"),
    pytest.param(b"# coding: rot13\nimport smtplib\n", id="no encoding of text"),
    pytest.param(b"# coding: undefined\nimport smtplib\n", id="an encoding without any text"),
    pytest.param(b"# coding: utf-7\nimport smtplib\nx = '+AGE-'\nsmtplib.SMTP_SSL(h)", id="UTF-7"),
    pytest.param("import smtplib\nprint 1".encode("utf-16"), id="UTF-16"),
    pytest.param(b"\xef\xbb\xbf# coding: latin-1\nimport smtplib\nsmtplib.SMTP_SSL(h)\n", id="two encodings"),
    pytest.param(b"import smtplib\r\rsmtplib.SMTP_SSL(h)\r\n\n\rsmtplib.SMTP_SSL(h)", id="every line end"),
    pytest.param(b"import smtplib\n\x0csmtplib.SMTP_SSL(h)\x0c\n\x1c\xc2\x85\n", id="form feeds"),
]


@pytest.mark.parametrize("raw", PATHOLOGICAL)
def test_no_file_stops_a_scan(raw: bytes) -> None:
    # A second at the most; what grows with the square of the length would take hours.
    scan_source(raw)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_no_bytes_stop_a_scan(raw: bytes) -> None:
    scan_source(b"import smtplib\n" + raw)
    scan_source(raw + b"\nsmtplib.SMTP(h).login(u, p)\n")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_no_words_stop_a_scan(words: list[str]) -> None:
    scan_source(("import smtplib\n" + "".join(words)).encode())


@pytest.mark.parametrize("seed", range(10))
def test_no_damage_stops_a_scan(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  # no secret
    for sample in dice.sample(FOUND + CLEAN, 12):
        raw = bytearray(sample.text.encode())
        for _ in range(dice.randrange(1, 6)):
            start = dice.randrange(len(raw))
            raw[start : start + dice.randrange(4)] = bytes(dice.randrange(256) for _ in range(dice.randrange(3)))
        scan_source(bytes(raw))
        # Cut off anywhere, as in the middle of saving.
        scan_source(bytes(raw[: dice.randrange(len(raw))]))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_pieces_are_the_whole_text_and_stay_in_their_place(words: list[str]) -> None:
    text = "".join(words)
    assert "".join(token.text for token in tokens(text)) == text
    changed, grown = readable(text)
    if not grown:
        assert len(changed) == len(text)
