"""Secrets in the source are found, and nothing that a scan says shows them."""

from __future__ import annotations

import dataclasses

import pytest

from oauthmail.scan import FileReport, scan_source

from .samples import FOUND, Sample, rules

ACCESS = "ya29.a0AfB_byC8kQz7LmN2pXw9RsVuYc3KfGh5JdE8iOo1"
REFRESH = "1//03kQe7ZxYvTgCgYIARAAGAMSNwF-L9Ir8Hs2mNpQrStUvWxYz01"
GOOGLE = "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"
MICROSOFT = "k7f8Q~Zx3mVbN1qWeRtYuIoPaSdFgHjKlZxCvBnM"
JWT = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlMTIz"
OPAQUE = "EwBwA8l6BAAUkj1NuJYtTVhaMogkHEiPbQo04AAZcFdmxzYW1wbGVkdW1teXRva2VuMDEyMzQ1"


def everything(report: FileReport) -> str:
    """Return all that is said of a file."""
    return "\n".join([report.diff, *(str(dataclasses.asdict(found)) for found in report.found)])


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(f"token = '{ACCESS}'", id="Google access token"),
        pytest.param(f"token = '{REFRESH}'", id="Google refresh token"),
        pytest.param(f"x = '{GOOGLE}'", id="Google client secret"),
        pytest.param(f"x = '{MICROSOFT}'", id="Microsoft client secret"),
        pytest.param(f"x = '{JWT}'", id="JWT"),
        pytest.param(f"x = '{OPAQUE}'", id="Microsoft opaque token"),
        pytest.param(f"x = 1  # was {ACCESS}", id="in a comment"),
        pytest.param("client_secret = 'a8s7df6a8s7df'", id="by the name of a variable"),
        pytest.param("self.refresh_token = 'a8s7df6a8s7df'", id="by the name of an attribute"),
        pytest.param("f(consumer_secret='a8s7df6a8s7df')", id="by the name of an argument"),
        pytest.param("d = {'refresh_token': 'a8s7df6a8s7df'}", id="by the key in a dict"),
        pytest.param("d['client_secret'] = 'a8s7df6a8s7df'", id="by the key of a dict"),
        pytest.param("def f(u, access_token='a8s7df6a8s7df'): pass", id="by the name of a parameter"),
        pytest.param("EMAIL_HOST_PASSWORD: str = 'a8s7df6a8s7df'", id="with an annotation"),
        pytest.param("import oauth2; t = oauth2.Token('k', 'a8s7df6a8s7df')", id="of OAuth 1.0a"),
    ],
)
def test_a_secret_is_found(line: str) -> None:
    assert rules(f"import smtplib\n{line}\n") == ["secret-in-source"]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("client_secret = os.environ['CLIENT_SECRET']", id="environment"),
        pytest.param("client_secret = 'YOUR_CLIENT_SECRET'", id="placeholder"),
        pytest.param("password = ''", id="empty"),
        pytest.param("password = '<app password>'", id="brackets"),
        pytest.param("refresh_token = 'xxxxxxxxxxxxxxxxxxxx'", id="one letter"),
        pytest.param("refresh_token_url = 'https://auth.example.org/token'", id="an address"),
        pytest.param("password = 'Please type your password:'", id="a sentence"),
        pytest.param("token = 'ya29.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'", id="a token of one letter"),
        pytest.param("token = 'ya29.ababababababababababababababababababababab'", id="a token of two letters"),
        pytest.param("token = 'ya29.your-token-goes-here-abcdefghijklmnop'", id="a token of words"),
        pytest.param("DATE = '1/2/2003 1//2'", id="a date"),
    ],
)
def test_a_placeholder_is_no_secret(line: str) -> None:
    assert rules(f"import smtplib\n{line}\n") == []


@pytest.mark.parametrize("token", [ACCESS, REFRESH, GOOGLE, MICROSOFT, OPAQUE])
def test_a_token_of_google_or_microsoft_is_found_in_any_file(token: str) -> None:
    assert rules(f"SETTING = '{token}'\n") == ["secret-in-source"]


def test_a_token_that_anybody_may_have_issued_is_none_of_our_business_elsewhere() -> None:
    assert rules(f"import jwt\ntest = '{JWT}'\n") == []


LOGIN = "s = smtplib.SMTP_SSL(h)\ns.login(u, p)"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(f"{LOGIN.replace('p)', repr('Zq7hunter'))})", id="the password of the login"),
        pytest.param(f"p = 'Zq7hunter'\n{LOGIN}", id="a variable"),
        pytest.param(f"p = 'Zq7hunter' if a else b\n{LOGIN}", id="one of two values"),
        pytest.param(f"p = 'Zq7' + 'hunter'\n{LOGIN}\n# Zq7hunter", id="two pieces and a comment"),
        pytest.param(f"p = ('Zq7'\n     'hunter')\n{LOGIN}", id="two lines"),
        pytest.param(f'p = """\nZq7hunter"""\n{LOGIN}', id="three quotation marks"),
        pytest.param(f"p = f'Zq7hunter{{n}}'\n{LOGIN}", id="an f-string"),
        pytest.param(f"p = base64.b64decode('Zq7hunter')\n{LOGIN}", id="decoded"),
        pytest.param(f"p = os.getenv('P', 'Zq7hunter')\n{LOGIN}", id="a default of the environment"),
        pytest.param(f"user, p = 'me', 'Zq7hunter'\n{LOGIN}", id="assigned together"),
        pytest.param(f"auth = ('me', 'Zq7hunter')\n{LOGIN}", id="a pair"),
        pytest.param(f"secret_of_mine = 'Zq7hunter'\n{LOGIN}", id="another name"),
        pytest.param(f"{LOGIN}\nother.login('me@x', 'Zq7hunter')", id="another login"),
        pytest.param(f"{LOGIN}\nconnect('me@x', 'Zq7hunter')", id="after an address"),
        pytest.param(f"{LOGIN}\nconnect(username, 'Zq7hunter')", id="after a user name"),
        pytest.param(f"{LOGIN}\nf(passwd='Zq7hunter')", id="an argument by name"),
        pytest.param(f"{LOGIN}\nd = {{'imap_password': 'Zq7hunter'}}", id="in a dict"),
        pytest.param(f"# password: Zq7hunter\n{LOGIN}", id="a comment"),
        pytest.param(f"# s.login('me', 'Zq7hunter')\n{LOGIN}", id="code in a comment"),
        pytest.param(f'"""s.login("me", "Zq7hunter")"""\n{LOGIN}', id="code in a string"),
        pytest.param(f"x = 'Zq7hunter'\n{LOGIN}", id="by its looks"),
        pytest.param(f"dsn = 'smtp://me:Zq7hunter@mail.example.org'\n{LOGIN}", id="in an address"),
        pytest.param(f"{LOGIN}\nc.docmd('AUTH', 'PLAIN Zq7hunter')", id="in a command"),
        pytest.param(f"{LOGIN}\nh = 'Authorization: Bearer Zq7hunter'", id="in a header"),
        pytest.param(f"PASSWORD = b'Zq7hunter'\n{LOGIN}", id="octets"),
    ],
)
def test_no_diff_shows_a_secret_that_stands_beside_a_change(lines: str) -> None:
    report = scan_source(f"import smtplib\n{lines}\n".encode())
    assert report.changed is not None
    assert [piece for piece in ("Zq7", "hunter") if piece in everything(report)] == []
    assert "+s.authenticate_oauth(u, oauthmail.Account(u))" in report.diff


def test_no_advice_and_no_added_line_shows_a_token() -> None:
    report = scan_source(f"import smtplib\ns = smtplib.SMTP_SSL(h)\ns.login('{ACCESS}@example.org', p)\n".encode())
    assert report.changed is not None
    assert ACCESS not in everything(report)


def test_what_is_written_still_has_what_was_not_shown() -> None:
    report = scan_source(f"import smtplib\nclient_secret = 'Zq7hunter'\n{LOGIN}\n".encode())
    assert report.changed is not None
    assert b"client_secret = 'Zq7hunter'\n" in report.changed
    assert " client_secret = '[redacted]'\n" in report.diff


def test_a_diff_obeys_no_terminal() -> None:
    report = scan_source(f"import smtplib\nx = '\x1b[2J\u202e'\n{LOGIN}\n".encode(), "\x1b[2J.py")
    assert [char for char in everything(report) if not char.isprintable() and char != "\n"] == []


@pytest.mark.parametrize("sample", FOUND, ids=lambda sample: sample.name)
def test_what_is_said_of_the_corpus_shows_no_secret_of_it(sample: Sample) -> None:
    secrets = [
        "correct-horse",
        "Tr0ub4dor",
        "ya29.A0",
        "ya29.a0",
        "1//0",
        "GOCSPX-f",
        "8Q~",
        "EwBwA8",
        "eyJh",
        "sOm3s3",
    ]
    assert [secret for secret in secrets if secret in everything(sample.scan())] == []
