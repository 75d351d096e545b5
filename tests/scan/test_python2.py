"""Python 2 is read as it was written, and what is found stands where it stands."""

from __future__ import annotations

import pytest

from oauthmail.scan import scan_source

CONSTRUCTS = [
    pytest.param("print 'sent', n", id="print"),
    pytest.param("print", id="print alone"),
    pytest.param("print 'a',", id="print without a line end"),
    pytest.param("print >>sys.stderr, 'a', b", id="print to a file"),
    pytest.param("print >> f", id="print nothing to a file"),
    pytest.param("print 'a' % b; print c", id="two on a line"),
    pytest.param("if a: print b\nelse: print c", id="after a colon"),
    pytest.param("print('a'), b", id="print with brackets, and more"),
    pytest.param("print 'it''s # no comment'", id="quotation marks in strings"),
    pytest.param("exec code", id="exec"),
    pytest.param("exec code in names", id="exec in names"),
    pytest.param("raise ValueError, 'bad'", id="raise with a text"),
    pytest.param("raise ValueError, 'bad', tb", id="raise with a traceback"),
    pytest.param("try: pass\nexcept ValueError, e: print e", id="except"),
    pytest.param("try: pass\nexcept (A, B), e: pass", id="except with a tuple"),
    pytest.param("try: pass\nexcept A, (code, text): pass", id="except that unpacks"),
    pytest.param("x = `y`", id="backticks"),
    pytest.param("x = `a, b` + `c`", id="backticks twice"),
    pytest.param("if a <> b: pass", id="unequal"),
    pytest.param("os.chmod(f, 0755)", id="octal"),
    pytest.param("x = 07 + 10L + 0xFFL", id="numbers"),
    pytest.param("x = ur'a\\b'", id="raw Unicode"),
    pytest.param("x = 'C:\\Users\\name'", id="a path"),
    pytest.param("def f(a, (b, c)=(1, 2)): pass\nprint 1", id="parameters in brackets"),
    pytest.param("async = 1\nf(async=async)", id="a name that is none any more"),
    pytest.param("x = {'a': 1,\n  'b': `c`}", id="over lines"),
    pytest.param("if a:\n        pass\n\tprint b", id="tabs of eight"),
]


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_a_login_after_it_is_found_in_its_place(construct: str) -> None:
    before = f"import smtplib\n{construct}\nprint 2\ns = smtplib.SMTP(h)\n"
    report = scan_source(f"{before}print 'x', s.login(u, p)\n".encode())
    assert [(found.line, found.column, found.rule) for found in report.found] == [
        (before.count("\n") + 1, 14, "password-login")
    ]
    assert "this is Python 2" in report.found[0].advice
    assert "no Python that can be read" not in report.found[0].message


def test_columns_count_characters_behind_tabs_and_letters_of_any_kind() -> None:
    text = "import smtplib\nif 1:\n        s = smtplib.SMTP(h)\n\tprint 'é', s.login(u, p)\n"
    assert [(found.line, found.column) for found in scan_source(text.encode()).found] == [(4, 15)]


def test_python_2_is_never_changed() -> None:
    report = scan_source(b"import smtplib\ns = smtplib.SMTP_SSL(h)\ns.login(u, p)\nprint 'sent'\n")
    assert (len(report.found), report.changed, report.diff) == (2, None, "")


def test_what_is_no_python_at_all_is_searched_line_by_line() -> None:
    report = scan_source(
        b"import smtplib\n%%%\ns = smtplib.SMTP_SSL(h)\ns.login(u, p)\n# s.login(u, p)\nx.login(u, p)\n"
    )
    assert [(found.line, found.rule, found.certain) for found in report.found] == [(4, "password-login", False)]
    assert "no Python that can be read" in report.found[0].message
