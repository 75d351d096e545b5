"""Which expressions are taken for mail clients: those that surely are, or may well be."""

from __future__ import annotations

import textwrap

import pytest

from oauthmail.scan import scan_source


def logins(text: str) -> list[bool]:
    """Return for each login that is found whether its change is certain."""
    found = scan_source(textwrap.dedent(text).encode()).found
    return [item.certain for item in found if item.rule == "password-login"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("import smtplib as m\ns = m.SMTP_SSL(h)\ns.login(u, p)", id="import as"),
        pytest.param(
            "s = None\nimport smtplib\nif s is None:\n s = smtplib.SMTP_SSL(h)\ns.login(u, p)", id="None before"
        ),
        pytest.param("import smtplib\nC = smtplib.SMTP_SSL\ns = C(h)\ns.login(u, p)", id="another name for the class"),
        pytest.param("import smtplib\ns = t = smtplib.SMTP_SSL(h)\nt.login(u, p)", id="two names at once"),
        pytest.param("import smtplib\ns = smtplib.SMTP_SSL(h)\nt = s\nt.login(u, p)", id="another name for the client"),
        pytest.param("import smtplib\na, s = 1, smtplib.SMTP_SSL(h)\ns.login(u, p)", id="assigned in a tuple"),
        pytest.param("import smtplib\nif s := smtplib.SMTP_SSL(h):\n s.login(u, p)", id="assigned in a condition"),
        pytest.param("import smtplib\nwith smtplib.SMTP_SSL(h) as s:\n pass\ns.login(u, p)", id="after its with"),
        pytest.param("import smtplib\ns = smtplib.SMTP_SSL(h)\ndef f():\n s.login(u, p)", id="in a function"),
        pytest.param(
            "import smtplib\ndef f():\n global s\n s = smtplib.SMTP_SSL(h)\ndef g():\n s.login(u, p)", id="global"
        ),
        pytest.param(
            """
            import smtplib
            def f():
                s = None
                def g():
                    nonlocal s
                    s = smtplib.SMTP_SSL(h)
                g()
                s.login(u, p)
            """,
            id="nonlocal",
        ),
        pytest.param(
            """
            import smtplib
            class A:
                def __init__(self): self.s = smtplib.SMTP_SSL(h)
            class B(A):
                def f(self): self.s.login(u, p)
            """,
            id="from a base class",
        ),
        pytest.param(
            """
            import smtplib
            class A:
                s = smtplib.SMTP_SSL(h)
                @classmethod
                def f(cls): cls.s.login(u, p)
            """,
            id="of the class",
        ),
        pytest.param(
            """
            import smtplib
            class A:
                @property
                def s(self): return smtplib.SMTP_SSL(h)
                def f(self): self.s.login(u, p)
            """,
            id="a property",
        ),
        pytest.param(
            """
            import smtplib
            class A:
                def connect(self):
                    s = smtplib.SMTP(h)
                    s.starttls()
                    return s
                def f(self): self.connect().login(u, p)
            """,
            id="a method's result",
        ),
        pytest.param(
            """
            import smtplib
            try:
                s = smtplib.SMTP_SSL(h)
            except OSError:
                s = smtplib.SMTP(h)
                s.starttls()
            s.login(u, p)
            """,
            id="the one or the other",
        ),
        pytest.param(
            """
            import smtplib
            match kind:
                case 1: s = smtplib.SMTP_SSL(h)
                case 2: s = smtplib.SMTP_SSL(i)
            s.login(u, p)
            """,
            id="by cases",
        ),
        pytest.param("import smtplib\n(s := smtplib.SMTP_SSL(h)) and s.login(u, p)", id="in the same statement"),
        pytest.param(
            "import smtplib\ndef f():\n s = b()\n s = smtplib.SMTP_SSL(h)\n g(lambda: s.login(u, p))", id="in a lambda"
        ),
        pytest.param(
            "import smtplib\ns = smtplib.SMTP_SSL(h)\nclass A:\n s = b()\n def f(self): s.login(u, p)",
            id="not the class's",
        ),
        pytest.param("import imaplib\n[imaplib.IMAP4_SSL(h).login(u, p) for h in x]", id="in a comprehension"),
        pytest.param("import smtplib\ns = b()\ns = smtplib.SMTP_SSL(h)\ns.login(u, p)", id="something else before"),
        pytest.param("import smtplib\ns = smtplib.SMTP_SSL(h)\ns.login(u, p)\ns = b()", id="something else after"),
        pytest.param(
            "import smtplib\ntry:\n import ssl\nfinally:\n s = smtplib.SMTP_SSL(h)\n s.login(u, p)", id="at last"
        ),
    ],
)
def test_a_login_is_found_and_its_change_is_certain(text: str) -> None:
    assert logins(text) == [True]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("import smtplib\ndef f(s: smtplib.SMTP): s.login(u, p)", id="by an annotation"),
        pytest.param("import smtplib\ndef f(s: 'smtplib.SMTP | None'): s.login(u, p)", id="by one in quotation marks"),
        pytest.param(
            "import smtplib\nclass A:\n s: smtplib.SMTP\n def f(self): self.s.login(u, p)", id="of an attribute"
        ),
        pytest.param("import smtplib\ndef f(s=None):\n s = s or smtplib.SMTP_SSL(h)\n s.login(u, p)", id="by default"),
        pytest.param(
            "import smtplib\ndef f(s):\n if a: s = smtplib.SMTP_SSL(h)\n s.login(u, p)", id="or the parameter"
        ),
        pytest.param(
            "class A:\n import smtplib\n s = smtplib.SMTP_SSL(h)\n def f(self): self.s.login(u, p)",
            id="imported in a class",
        ),
        pytest.param("from smtplib import *\ns = SMTP_SSL(h)\ns.login(u, p)", id="by a star"),
        pytest.param("import smtplib\nclass A(smtplib.SMTP_SSL): pass\nA(h).login(u, p)", id="of a derived class"),
        pytest.param("import smtplib\nif a: s = smtplib.SMTP_SSL(h)\nelse: s = b()\ns.login(u, p)", id="perhaps"),
        pytest.param("import smtplib\ns = smtplib.SMTP_SSL(h)\nf'{s.login(u, p)}'", id="in an f-string"),
        pytest.param(
            "def f():\n import smtplib\n return smtplib.SMTP_SSL(h)\nf().login(u, p)", id="imported in another place"
        ),
    ],
)
def test_a_login_is_found_and_its_change_is_not_certain(text: str) -> None:
    assert logins(text) == [False]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("import smtplib\ns = b()\ns.login(u, p)", id="anything"),
        pytest.param("import smtplib\ns = smtplib.SMTP_SSL(h)\ns = b()\ns.login(u, p)", id="another object by then"),
        pytest.param("import smtplib\nsmtplib = b\nsmtplib.SMTP_SSL(h).login(u, p)", id="another module by then"),
        pytest.param("import smtplib\ns = smtplib.SMTP_SSL(h)\ndef f(s): s.login(u, p)", id="a parameter"),
        pytest.param("import smtplib\ns = smtplib.SMTP_SSL(h)\n[s.login(u, p) for s in x]", id="in a comprehension"),
        pytest.param("import smtplib\ns = smtplib.SMTP_SSL(h)\nfor s in x: s.login(u, p)", id="in a loop"),
        pytest.param("import smtplib\nif a: s = smtplib.SMTP_SSL(h)\nelse:\n s = b()\n s.login(u, p)", id="elsewhere"),
        pytest.param(
            "import smtplib\ns = b()\nif a: s = smtplib.SMTP_SSL(h)\nelse: s.login(u, p)", id="in the other branch"
        ),
        pytest.param("import smtplib\ndef f(): yield smtplib.SMTP_SSL(h)\nf().login(u, p)", id="a generator"),
        pytest.param(
            "import smtplib\n@a\ndef f(): yield smtplib.SMTP_SSL(h)\nf().login(u, p)", id="a generator decorated"
        ),
        pytest.param("import smtplib\ntry: s = smtplib.SMTP_SSL(h)\nexcept E as s: s.login(u, p)", id="an exception"),
        pytest.param("import smtplib\n@cached\ndef f(): return smtplib.SMTP_SSL(h)\nf().login(u, p)", id="decorated"),
        pytest.param("import smtplib\nclass smtplib: pass\nsmtplib.SMTP_SSL(h).login(u, p)", id="a class of that name"),
        pytest.param("from .smtplib import SMTP_SSL\nSMTP_SSL(h).login(u, p)", id="a module of one's own"),
        pytest.param("import smtplib\ns = smtplib.SMTP_SSL\ns.login(u, p)", id="the class itself"),
        pytest.param("import imaplib\ns = imaplib.IMAP4_SSL(h)\ns.pass_(p)", id="no method of that client"),
        pytest.param("import smtplib\ns = x = b()\ns.t = smtplib.SMTP_SSL(h)\ns.login(u, p)", id="what it belongs to"),
    ],
)
def test_a_login_of_something_else_is_not_found(text: str) -> None:
    assert logins(text) == []


@pytest.mark.parametrize(
    ("host", "found"),
    [
        pytest.param("'smtp.gmail.com'", [True], id="Gmail"),
        pytest.param("host", [True], id="unknown"),
        pytest.param("'localhost'", [], id="this machine"),
        pytest.param("'127.0.0.1'", [], id="this machine by number"),
        pytest.param("'smtp.sendgrid.net:587'", [], id="a service with keys"),
        pytest.param("'smtp.mail.me.com'", [], id="a provider without OAuth"),
        pytest.param("os.getenv('HOST', 'localhost')", [True], id="this machine unless told otherwise"),
        pytest.param("'localhost' if test else host", [True], id="this machine in tests"),
        pytest.param("'notgmail.example.com'", [True], id="a name of one's own"),
    ],
)
def test_a_server_that_takes_passwords_only_is_left_alone(host: str, found: list[bool]) -> None:
    assert logins(f"import os, smtplib\nHOST = {host}\ns = smtplib.SMTP_SSL(HOST)\ns.login(u, p)\n") == found


def test_a_client_that_may_be_connected_elsewhere_is_not_left_alone() -> None:
    assert logins("import smtplib\ns = smtplib.SMTP_SSL(h)\ns.connect('localhost')\ns.login(u, p)\n") == [True]


@pytest.mark.parametrize(
    ("host", "word"),
    [
        pytest.param("imap.gmail.com", "Gmail", id="Gmail"),
        pytest.param("imap.googlemail.com", "Gmail", id="Googlemail"),
        pytest.param("outlook.office365.com", "Microsoft", id="Microsoft 365"),
        pytest.param("imap-mail.outlook.com", "Microsoft", id="Outlook.com"),
        pytest.param("imap.mail.yahoo.co.jp", "Yahoo", id="Yahoo"),
        pytest.param("imap.aol.com", "Yahoo", id="AOL"),
        pytest.param("mail.example.org", "a password is sent", id="any other"),
        pytest.param("gmail.com.example.org", "a password is sent", id="a name that has it in it"),
    ],
)
def test_the_message_is_that_of_the_provider(host: str, word: str) -> None:
    text = f"import imaplib\nm = imaplib.IMAP4_SSL()\nm.login(u, p)\nimaplib.IMAP4_SSL({host!r}).login(u, p)"
    messages = [found.message for found in scan_source(text.encode()).found if found.rule == "password-login"]
    assert messages[1].startswith(word)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("", True, id="no TLS"),
        pytest.param("s.starttls(context=c)", False, id="TLS"),
        pytest.param("other.starttls()", False, id="TLS perhaps"),
    ],
)
def test_a_password_in_the_clear_is_said_where_that_is_known(line: str, said: bool) -> None:
    text = f"import smtplib\ns = smtplib.SMTP(h)\n{line}\ns.login(u, p)\n"
    (found,) = scan_source(text.encode()).found
    assert ("no TLS is started" in found.message) is said
