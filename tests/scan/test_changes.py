"""What a change looks like: nothing but what has to change does."""

from __future__ import annotations

import textwrap

import pytest

from oauthmail.scan import scan_source

from .samples import migrated, rules

CHANGES = [
    pytest.param(
        """
        import smtplib
        s = smtplib.SMTP_SSL(host)
        s.login(user, password)
        """,
        """
        import smtplib
        import oauthmail
        s = oauthmail.SMTP_SSL(host)
        s.authenticate_oauth(user, oauthmail.Account(user))
        """,
        id="import module",
    ),
    pytest.param(
        """
        from smtplib import SMTP_SSL
        s = SMTP_SSL(host)
        s.login(user, password)
        """,
        """
        from oauthmail import SMTP_SSL, Account
        s = SMTP_SSL(host)
        s.authenticate_oauth(user, Account(user))
        """,
        id="from import, all names",
    ),
    pytest.param(
        """
        from smtplib import SMTPException, SMTP_SSL, SMTP  # mail
        s = SMTP_SSL(host)
        s.login(user, password)
        """,
        """
        from smtplib import SMTPException, SMTP  # mail
        from oauthmail import SMTP_SSL, Account
        s = SMTP_SSL(host)
        s.authenticate_oauth(user, Account(user))
        """,
        id="from import, the name in the middle",
    ),
    pytest.param(
        """
        from smtplib import SMTP_SSL as S, SMTP as T, SMTPException
        for s in (0,):
            s = S(host) if tls else T(host)
            if not tls:
                s.starttls()
            s.login(user, password)
        """,
        """
        from smtplib import SMTPException
        from oauthmail import SMTP_SSL as S, SMTP as T, Account
        for s in (0,):
            s = S(host) if tls else T(host)
            if not tls:
                s.starttls()
            s.authenticate_oauth(user, Account(user))
        """,
        id="from import, the first two under other names",
    ),
    pytest.param(
        """
        from imaplib import (
            IMAP4_SSL,  # the client
        )
        with IMAP4_SSL(host) as m:
            m.login(user, password)
        """,
        """
        from oauthmail import (
            IMAP4_SSL, Account,  # the client
        )
        with IMAP4_SSL(host) as m:
            m.authenticate_oauth(user, Account(user))
        """,
        id="from import, over lines",
    ),
    pytest.param(
        """
        import getpass, imaplib; import sys  # all of them
        m = imaplib.IMAP4_SSL(host); m.login(user, getpass.getpass())
        """,
        """
        import getpass, imaplib; import sys  # all of them
        import oauthmail
        m = oauthmail.IMAP4_SSL(host); m.authenticate_oauth(user, oauthmail.Account(user))
        """,
        id="several statements on a line",
    ),
    pytest.param(
        """
        import imaplib, oauthmail
        m = imaplib.IMAP4_SSL(host)
        m.login(user, password)
        """,
        """
        import imaplib, oauthmail
        m = oauthmail.IMAP4_SSL(host)
        m.authenticate_oauth(user, oauthmail.Account(user))
        """,
        id="oauthmail is imported already",
    ),
    pytest.param(
        """
        def read():
            import imaplib
            m = imaplib.IMAP4_SSL(host)
            m.login(user, password)
        """,
        """
        def read():
            import imaplib
            import oauthmail
            m = oauthmail.IMAP4_SSL(host)
            m.authenticate_oauth(user, oauthmail.Account(user))
        """,
        id="import in a function",
    ),
    pytest.param(
        """
        import smtplib
        class Account: pass
        from smtplib import SMTP_SSL
        s = SMTP_SSL(host)
        s.login(user, password)
        """,
        """
        import smtplib
        class Account: pass
        from oauthmail import SMTP_SSL
        import oauthmail
        s = SMTP_SSL(host)
        s.authenticate_oauth(user, oauthmail.Account(user))
        """,
        id="the name Account is taken",
    ),
    pytest.param(
        """
        import smtplib
        s = smtplib.SMTP_SSL(host)
        s.login(
            # who
            user = config["user"],  # from the file
            # and the key
            password = config["password"],
        )
        """,
        """
        import smtplib
        import oauthmail
        s = oauthmail.SMTP_SSL(host)
        s.authenticate_oauth(
            # who
            url_or_user = config["user"],  # from the file
            # and the key
            credentials = oauthmail.Account(config["user"]),
        )
        """,
        id="comments between arguments",
    ),
    pytest.param(
        """
        import poplib
        p = poplib.POP3_SSL(host)
        if True:
            p.user(user)
            print("asking")
            answer = p.pass_(password)  # in the clear
        """,
        """
        import poplib
        import oauthmail
        p = oauthmail.POP3_SSL(host)
        if True:
            print("asking")
            answer = p.authenticate_oauth(user, oauthmail.Account(user))  # in the clear
        """,
        id="POP3, the answer is used",
    ),
    pytest.param(
        """
        import poplib
        p = poplib.POP3_SSL(host)
        p.user(user)  # who
        p.pass_(password)
        """,
        """
        import poplib
        import oauthmail
        p = oauthmail.POP3_SSL(host)
        # who
        p.authenticate_oauth(user, oauthmail.Account(user))
        """,
        id="POP3, a comment beside user()",
    ),
    pytest.param(
        """
        import smtplib
        s = smtplib.SMTP(host)
        s.starttls()
        """,
        """
        import smtplib
        import ssl
        s = smtplib.SMTP(host)
        s.starttls(context=ssl.create_default_context())
        """,
        id="TLS without a login",
    ),
    pytest.param(
        """
        import imaplib, ssl
        m = imaplib.IMAP4_SSL(
            host,
            port,
        )
        """,
        """
        import imaplib, ssl
        m = imaplib.IMAP4_SSL(
            host,
            port, ssl_context=ssl.create_default_context(),
        )
        """,
        id="TLS, a comma after the last argument",
    ),
    pytest.param(
        """
        import smtplib
        s = smtplib.SMTP(host)
        s.starttls()
        s.docmd('AUTH', 'XOAUTH2 %s' % b64(f'user={u}\\1auth=Bearer {t}\\1\\1'))
        s.docmd('AUTH', 'XOAUTH2 %s' % base64.b64encode(f'user={u}\\1auth=Bearer {t()}\\1\\1'.encode()).decode())
        """,
        """
        import smtplib
        import oauthmail
        s = oauthmail.SMTP(host)
        s.starttls()
        s.docmd('AUTH', 'XOAUTH2 %s' % b64(f'user={u}\\1auth=Bearer {t}\\1\\1'))
        s.authenticate_oauth(u, t())
        """,
        id="XOAUTH2, one that is sure and one that is not",
    ),
    pytest.param(
        """
        import smtplib; s = smtplib.SMTP_SSL(h); s.login(u, p)  # x
        """,
        """
        import smtplib; import oauthmail; s = oauthmail.SMTP_SSL(h); s.authenticate_oauth(u, oauthmail.Account(u))  # x
        """,
        id="the import is used on its own line",
    ),
    pytest.param(
        """
        import smtplib
        s = t = smtplib.SMTP_SSL(h, context=c)
        s.login(u, t.login(v, q))
        """,
        """
        import smtplib
        import oauthmail
        s = t = oauthmail.SMTP_SSL(h, context=c)
        s.authenticate_oauth(u, oauthmail.Account(u))
        """,
        id="a login in a login",
    ),
    pytest.param(
        """
        import imaplib
        m = imaplib.IMAP4_SSL(h, ssl_context=c)
        m.authenticate('XOAUTH2', lambda c: f'user={u.strip()}\1auth=Bearer {t}\1\1'.encode())
        """,
        """
        import imaplib
        import oauthmail
        m = oauthmail.IMAP4_SSL(h, ssl_context=c)
        m.authenticate_oauth(u.strip(), t)
        """,
        id="a user name with a method called",
    ),
    pytest.param(
        """
        import oauth2
        from oauth2.clients.imap import IMAP4_SSL
        m = IMAP4_SSL(host)
        m.authenticate(url, oauth2.Consumer(a, b), None)
        """,
        """
        import oauthmail.compat.oauth2 as oauth2
        from oauthmail.compat.oauth2.clients.imap import IMAP4_SSL
        m = IMAP4_SSL(host)
        m.authenticate(url, oauth2.Consumer(a, b), None)
        """,
        id="python-oauth2",
    ),
]


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_nothing_but_the_login_changes(before: str, after: str) -> None:
    assert migrated(textwrap.dedent(before)) == textwrap.dedent(after)


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_tabs_and_old_line_ends_stay(before: str, after: str) -> None:
    def old(text: str) -> str:
        return textwrap.dedent(text).replace("    ", "\t").replace("\n", "\r\n")

    assert migrated(old(before)) == old(after)


UNCERTAIN = [
    pytest.param("s = smtplib.SMTP_SSL(h)\ns.login(input(), p)", id="the user would be asked twice"),
    pytest.param("s = smtplib.SMTP_SSL(h)\ns.login(next(users), p)", id="the user would be taken twice"),
    pytest.param("s = smtplib.SMTP_SSL(h)\ns.login('apikey', p)", id="the user is no address"),
    pytest.param("s = smtplib.SMTP_SSL(h)\ns.login(*both)", id="arguments in a list"),
    pytest.param("s = smtplib.SMTP_SSL(h)\ns.login(**both)", id="arguments in a dict"),
    pytest.param("s = smtplib.SMTP_SSL(h)\ns.login(u, p, initial_response_ok=False)", id="another argument"),
    pytest.param("s = smtplib.SMTP_SSL(h)\nf = s.login\nf(u, p)", id="the method is passed on"),
    pytest.param("s = smtplib.SMTP(h)\ns.login(u, p)", id="no TLS"),
    pytest.param("s = smtplib.SMTP(h)\nsecure(s)\nother.starttls()\ns.login(u, p)", id="TLS perhaps"),
    pytest.param("s = smtplib.SMTP_SSL(h) if a else b()\ns.login(u, p)", id="another class perhaps"),
    pytest.param("s = given\nif a: s = smtplib.SMTP_SSL(h)\ns.login(u, p)", id="another object perhaps"),
    pytest.param("s = smtplib.SMTP_SSL(h)\nwhile a:\n s.login(u, p)\n s = given", id="another object in the next turn"),
    pytest.param("oauthmail = 1\ns = smtplib.SMTP_SSL(h)\ns.login(u, p)", id="the name oauthmail is taken"),
    pytest.param("class A(smtplib.SMTP_SSL):\n def f(s): s.login(u, p)", id="a class derived from the client's"),
    pytest.param("s = smtplib.SMTP_SSL(h)\ns.login(u, p +  # mine\n q)", id="a comment in an argument"),
    pytest.param("s = poplib.POP3_SSL(h)\ns.user(u)\nu = v\ns.pass_(p)", id="the user changes in between"),
    pytest.param("s = poplib.POP3_SSL(h)\ns.user(u)\nf()\ns.pass_(p)", id="anything happens in between"),
    pytest.param(
        "from smtplib import (SMTP_SSL,  # mine\n SMTPException)\ns = SMTP_SSL(h)\ns.login(u, p)",
        id="a comment in an import",
    ),
    pytest.param("s = poplib.POP3_SSL(h)\nif a: s.user(u)\ns.pass_(p)", id="user() perhaps"),
    pytest.param("s = poplib.POP3_SSL(h)\nprint(s.user(u))\ns.pass_(p)", id="the answer to user() is used"),
    pytest.param("s = poplib.POP3_SSL(h)\ns.user(u); s.pass_(p)", id="user() and pass_() on one line"),
]


@pytest.mark.parametrize("text", UNCERTAIN)
def test_a_login_whose_change_is_not_certain_has_words_only(text: str) -> None:
    found = scan_source(f"import poplib, smtplib\n{text}\n".encode()).found
    assert [item.certain for item in found if item.rule == "password-login"] == [False]


UNSURE_TOKENS = [
    pytest.param("a = 'user=%s\\1auth=Bearer %s\\1\\1' % (u, t)\nt = 2\ns.auth('XOAUTH2', lambda c: a)", id="rebound"),
    pytest.param("a = f'user={u}\\1auth=Bearer {t()}\\1\\1'\ns.auth('XOAUTH2', lambda c: a)", id="a call before"),
    pytest.param("s.auth('XOAUTH2', lambda c: f'user={u}\\1auth=Bearer {c}\\1\\1')", id="the challenge"),
    pytest.param("s.auth('XOAUTH2', lambda c: f'user={u} auth=Bearer {t}')", id="another shape"),
    pytest.param("s.auth('XOAUTH2', lambda c: b'user=%s\\1auth=Bearer %s\\1\\1' % (u, t))", id="bytes"),
    pytest.param("s.auth('XOAUTH2', lambda c: 'user=%s\\1auth=Bearer x%s\\1\\1' % (u, t))", id="a piece of the token"),
    pytest.param(
        "def f(u):\n u = u.lower()\n return f'user={u}\\1auth=Bearer {t}\\1\\1'\ns.auth('XOAUTH2', lambda c: f(a))",
        id="changed in the function",
    ),
    pytest.param("s.auth('XOAUTH2', lambda c: f'user={u.strip()}\\1auth=Bearer {t!r}\\1\\1')", id="converted"),
    pytest.param("s.auth('XOAUTH2', lambda c: f'user={u}\\1auth=Bearer {t:x}\\1\\1')", id="formatted"),
    pytest.param("s.auth('XOAUTH2', lambda c: 'user={:>9}\\1auth=Bearer {}\\1\\1'.format(u, t))", id="filled up"),
    pytest.param("s.auth('XOAUTH2', lambda c: 'user=%s\\1auth=Bearer %s\\1\\1' % (u, t, v))", id="one value too many"),
    pytest.param("s.auth('XOAUTH2', lambda c: f'user={u}\\1auth=Bearer abc\\1\\1')", id="a token that is written down"),
    pytest.param(
        "s.auth('XOAUTH2', lambda c: (f'user={u}' if a else f'user={v}') + f'\\1auth=Bearer {t}\\1\\1')", id="two users"
    ),
    pytest.param(
        "s.auth('XOAUTH2',  # mine\n lambda c: f'user={u}\\1auth=Bearer {t}\\1\\1')", id="a comment between arguments"
    ),
]


@pytest.mark.parametrize("text", UNSURE_TOKENS)
def test_an_exchange_whose_values_are_not_certain_has_words_only(text: str) -> None:
    found = scan_source(f"import smtplib\ns = smtplib.SMTP_SSL(h)\n{text}\n".encode()).found
    assert [item.certain for item in found if item.rule == "sasl-by-hand"] == [False]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("s = smtplib.SMTP(h)\ns.starttls(k, c)", id="client certificate for starttls()"),
        pytest.param("smtplib.SMTP_SSL(h, keyfile=k)", id="client certificate by keyword"),
        pytest.param("smtplib.SMTP_SSL(h, 465, None, k, c)", id="client certificate by place"),
        pytest.param("smtplib.SMTP_SSL(h, context=None)", id="no context by keyword"),
        pytest.param("ssl = 1\nsmtplib.SMTP_SSL(h)", id="the name ssl is taken"),
        pytest.param(
            "def f():\n import smtplib as m\n return m.SMTP(h)\nf().starttls()", id="imported in another place"
        ),
    ],
)
def test_tls_whose_change_is_not_certain_has_words_only(text: str) -> None:
    found = scan_source(f"import smtplib\n{text}\n".encode()).found
    assert [(item.rule, item.certain) for item in found] == [("unverified-tls", False)]


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        pytest.param("", ["password-login", "unverified-tls"], id="none"),
        pytest.param("  # oauthmail: ignore", [], id="everything"),
        pytest.param("  # known; oauthmail: ignore[password-login]", ["unverified-tls"], id="one rule"),
        pytest.param("  # oauthmail: ignore[password-login, unverified-tls]", [], id="two rules"),
        pytest.param("  # oauthmail: ignored", ["password-login", "unverified-tls"], id="another word"),
    ],
)
def test_a_comment_silences_its_line(comment: str, left: list[str]) -> None:
    assert sorted(rules(f"import smtplib\nsmtplib.SMTP_SSL(h).login(u, p){comment}\n")) == left


def test_what_is_silenced_is_not_changed() -> None:
    text = "import smtplib\ns = smtplib.SMTP_SSL(h, context=c)\ns.login(u, p)  # oauthmail: ignore\n"
    assert migrated(text) == text


@pytest.mark.parametrize(
    ("first", "encoding"),
    [
        pytest.param("# -*- coding: latin-1 -*-", "latin-1", id="latin-1"),
        pytest.param("# coding: cp1252", "cp1252", id="Windows"),
        pytest.param("# coding: euc-jp", "euc-jp", id="Japanese"),
        pytest.param("", "utf-8", id="UTF-8"),
    ],
)
def test_a_file_keeps_its_encoding(first: str, encoding: str) -> None:
    name = "日本" if encoding == "euc-jp" else "Grüße"
    text = f"{first}\nimport smtplib\ns = smtplib.SMTP_SSL('{name}', context=c); s.login('{name}@x', p)  # {name}\n"
    changed = scan_source(text.encode(encoding)).changed
    assert changed is not None
    assert f"s.authenticate_oauth('{name}@x', oauthmail.Account('{name}@x'))  # {name}" in changed.decode(encoding)


def test_a_file_that_is_not_what_it_declares_is_not_changed() -> None:
    raw = "import smtplib\ns = smtplib.SMTP_SSL('ü'); s.login('ü@x', p)\n".encode("latin-1")
    report = scan_source(raw)
    assert (sorted(item.rule for item in report.found), report.changed) == (["password-login", "unverified-tls"], None)


def test_a_file_in_an_encoding_of_many_spellings_keeps_its_own() -> None:
    raw = b"# coding: utf-7\nimport smtplib\nx = '+AGE-'\nsmtplib.SMTP_SSL(h, context=c).login(u, p)\n"
    changed = scan_source(raw).changed
    assert changed is not None
    assert b"x = '+AGE-'\noauthmail.SMTP_SSL(h" in changed


def test_a_diff_can_be_applied_by_patch() -> None:
    report = scan_source(b"import smtplib\nsmtplib.SMTP_SSL(h).login(u, p)\n", "a/mail.py")
    assert report.diff == textwrap.dedent(
        """\
        --- a/mail.py
        +++ a/mail.py
        @@ -1,2 +1,3 @@
         import smtplib
        -smtplib.SMTP_SSL(h).login(u, p)
        +import oauthmail
        +oauthmail.SMTP_SSL(h).authenticate_oauth(u, oauthmail.Account(u))
        """
    )


def test_each_finding_has_the_change_for_itself() -> None:
    report = scan_source(b"import smtplib\nsmtplib.SMTP_SSL(h, context=c).login(u, p)\nsmtplib.SMTP_SSL(i)\n")
    first, second = report.found
    assert ("smtplib.SMTP_SSL(i, context=ssl.create_default_context())" in first.diff) is False
    assert ("smtplib.SMTP_SSL(i, context=ssl.create_default_context())" in second.diff) is True
