"""Google's ``oauth2.py`` and the blogs' copies of it: the functions against the sandbox."""

from __future__ import annotations

import base64
import email
import email.policy
import imaplib
import io
import json
import smtplib
import socket
import subprocess
import sys
import traceback
import types
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import oauthmail.compat.google as google_package
from oauthmail import Account, CredentialsError, FileStore, FlowError, OAuth2Credentials
from oauthmail.compat.google import _sign_in, oauth2, xoauth
from oauthmail.records import Record
from oauthmail.sandbox import Sandbox
from oauthmail.testing import Mailbox

from ..scripted import Certificates, Line, scripted
from .google_rig import google, visit

__all__ = ["google"]

# Printed on Google's page about XOAUTH2, with this message before base64.
PRINTED = (
    "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52"
    "YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
)
PRINTED_TOKEN = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"


def client(sandbox: Sandbox) -> tuple[str, str]:
    return sandbox.web.client_id, sandbox.web.client_secret


def query(address: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))


def shown(error: BaseException) -> str:
    """Return all that a traceback with local variables shows of our own functions."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True)
    return f"{error!r} {error} {''.join(frames.format())}"


# --- names ----------------------------------------------------------------------------------------------------------


SETTINGS = [
    "GOOGLE_ACCOUNTS_BASE_URL",
    "GOOGLE_CLIENT_ID",
    "GOOGLE_CLIENT_SECRET",
    "GOOGLE_REFRESH_TOKEN",
    "REDIRECT_URI",
]


@pytest.mark.parametrize("name", [*google_package.__all__, *SETTINGS, "main", "SetupOptionParser", "RequireOptions"])
def test_a_name_of_the_scripts_is_there(name: str) -> None:
    assert name in dir(google_package)
    assert hasattr(google_package, name)


@pytest.mark.parametrize("module", ["oauthmail.compat.google", "oauthmail.compat.google.oauth2"])
def test_everything_is_imported_at_once_but_what_a_script_has_of_its_own(module: str) -> None:
    names: dict[str, object] = dict.fromkeys([*SETTINGS, "main"], "the script's own")
    exec(f"from {module} import *", names)  # noqa: S102  # as scripts do
    assert {name: names[name] for name in [*SETTINGS, "main"]} == dict.fromkeys([*SETTINGS, "main"], "the script's own")
    assert callable(names["GenerateOAuth2String"])


def test_a_name_that_no_script_had_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'GenerateOAuth3String'"):
        google_package.GenerateOAuth3String  # noqa: B018  # the look-up is the point


@pytest.mark.parametrize(
    ("copy", "original"),
    [
        ("generate_permission_url", "GeneratePermissionUrl"),
        ("call_authorize_tokens", "AuthorizeTokens"),
        ("call_refresh_token", "RefreshToken"),
        ("command_to_url", "AccountsUrl"),
        ("url_format_params", "FormatUrlParams"),
        ("test_imap", "TestImapAuthentication"),
        ("test_smtp", "TestSmtpAuthentication"),
        ("test_smpt", "TestSmtpAuthentication"),
    ],
)
def test_the_blogs_names_are_the_same_functions(copy: str, original: str) -> None:
    assert getattr(oauth2, copy) is getattr(oauth2, original)


def test_a_setting_of_the_package_is_one_of_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google_package, "GOOGLE_ACCOUNTS_BASE_URL", "https://accounts.example.com")
    assert google_package.AccountsUrl("o/oauth2/auth") == "https://accounts.example.com/o/oauth2/auth"
    assert google_package.GOOGLE_ACCOUNTS_BASE_URL == oauth2.GOOGLE_ACCOUNTS_BASE_URL


def test_pytest_takes_none_of_the_functions_for_a_test(tmp_path: Path) -> None:
    (tmp_path / "test_script.py").write_text(
        "from oauthmail.compat.google import test_imap, test_smtp, test_smpt\n"
        "from oauthmail.compat.google.xoauth import *\n",
        "utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "no tests ran" in done.stdout


def test_importing_the_functions_loads_no_http_and_no_client() -> None:
    program = "import oauthmail.compat.google.oauth2, sys; print('requests' in sys.modules, 'smtplib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False False\n"


# --- addresses and messages -----------------------------------------------------------------------------------------


def test_parameters_are_sorted_and_encoded() -> None:
    params = {"scope": "https://mail.google.com/", "client_id": "a b~c-d._e", "empty": ""}
    assert oauth2.FormatUrlParams(params) == "client_id=a%20b~c-d._e&empty=&scope=https%3A%2F%2Fmail.google.com%2F"


@pytest.mark.parametrize("text", ["a b/c+d", "é~-._", ""])
def test_escaped_text_comes_back(text: str) -> None:
    assert oauth2.UrlUnescape(oauth2.UrlEscape(text)) == text


def test_the_message_is_the_printed_one() -> None:
    assert oauth2.GenerateOAuth2String("someuser@example.com", PRINTED_TOKEN) == PRINTED


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(oauth2.GenerateOAuth2String("me@example.com", "token", base64_encode=False), id="oauth2.py"),
        pytest.param(oauth2.generate_oauth2_string("me@example.com", "token"), id="blog"),
    ],
)
def test_the_message_without_base64_is_what_imaplib_takes(message: str) -> None:
    assert message == "user=me@example.com\x01auth=Bearer token\x01\x01"


@pytest.mark.parametrize("values", [("me@example.com\x01", "token"), ("me@example.com", "Bearer token"), ("", "token")])
def test_a_message_that_would_break_is_refused(values: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"user name|access token"):
        oauth2.GenerateOAuth2String(*values)


# --- signing in -----------------------------------------------------------------------------------------------------


def test_the_address_is_googles_with_a_redirect_to_this_machine() -> None:
    address = oauth2.GeneratePermissionUrl("client id")
    said = query(address)
    assert address.startswith("https://accounts.google.com/o/oauth2/v2/auth?")
    assert said.pop("redirect_uri").startswith("http://127.0.0.1:")
    assert {name: len(said.pop(name)) >= 43 for name in ("state", "code_challenge")} == {
        "state": True,
        "code_challenge": True,
    }
    assert said == {
        "client_id": "client id",
        "scope": "https://mail.google.com/",
        "response_type": "code",
        # Without these two, Google gives a refresh token the first time only.
        "access_type": "offline",
        "prompt": "consent",
        "code_challenge_method": "S256",
    }


def test_what_the_browser_brings_is_redeemed(google: Sandbox, oauth_mailbox: Mailbox) -> None:
    visit(google, oauth2.GeneratePermissionUrl(client(google)[0]), oauth_mailbox.user)
    answer = oauth2.AuthorizeTokens(*client(google))
    assert sorted(answer) == ["access_token", "expires_in", "refresh_token", "scope", "token_type"]
    assert (answer["expires_in"], answer["token_type"]) == (3600, "Bearer")
    assert google.state.judge(answer["access_token"], oauth_mailbox.user, "imap").user == oauth_mailbox.user


def test_the_page_says_what_to_do_where_the_program_asks(google: Sandbox, oauth_mailbox: Mailbox) -> None:
    page = visit(google, oauth2.GeneratePermissionUrl(client(google)[0]), oauth_mailbox.user)
    assert "press Enter there" in page.text


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param(lambda location: location, id="address"),
        pytest.param(lambda location: f"  {location}\n", id="address, with white space"),
        pytest.param(lambda location: query(location)["code"], id="code"),
    ],
)
def test_what_is_pasted_is_redeemed(google: Sandbox, oauth_mailbox: Mailbox, typed: Callable[[str], str]) -> None:
    # The browser is on another machine: the redirect leads nowhere.
    address = oauth2.GeneratePermissionUrl(client(google)[0])
    location = visit(google, address, oauth_mailbox.user, follow=False).headers["Location"]
    assert oauth2.call_authorize_tokens(*client(google), typed(location))["refresh_token"]


def test_what_was_mistyped_can_be_typed_again(google: Sandbox, oauth_mailbox: Mailbox) -> None:
    address = oauth2.GeneratePermissionUrl(client(google)[0])
    location = visit(google, address, oauth_mailbox.user, follow=False).headers["Location"]
    with pytest.raises(FlowError, match="invalid_grant"):
        oauth2.AuthorizeTokens(*client(google), "mistyped")
    assert oauth2.AuthorizeTokens(*client(google), location)["access_token"]


def test_the_answer_to_another_sign_in_is_refused(google: Sandbox, oauth_mailbox: Mailbox) -> None:
    location = visit(google, oauth2.GeneratePermissionUrl(client(google)[0]), oauth_mailbox.user, follow=False).headers[
        "Location"
    ]
    oauth2.GeneratePermissionUrl(client(google)[0], "mail")
    with pytest.raises(FlowError, match="state_mismatch"):
        oauth2.AuthorizeTokens(*client(google), location)


def test_the_address_stays_the_same_until_it_is_used(google: Sandbox, oauth_mailbox: Mailbox) -> None:
    first = oauth2.GeneratePermissionUrl(client(google)[0])
    assert oauth2.GeneratePermissionUrl(client(google)[0]) == first
    visit(google, first, oauth_mailbox.user)
    assert oauth2.GeneratePermissionUrl(client(google)[0]) == first
    oauth2.AuthorizeTokens(*client(google))
    assert oauth2.GeneratePermissionUrl(client(google)[0]) != first


def listens(address: str) -> bool:
    """Tell whether the port of the redirect is open."""
    port = urllib.parse.urlsplit(query(address)["redirect_uri"]).port
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", int(port or 0))) == 0


def test_another_scope_takes_the_place_of_the_first(google: Sandbox) -> None:
    first = oauth2.GeneratePermissionUrl(client(google)[0])
    second = oauth2.GeneratePermissionUrl(client(google)[0], "mail")
    assert (listens(first), listens(second)) == (False, True)


def test_nothing_listens_after_the_code_was_redeemed(google: Sandbox, oauth_mailbox: Mailbox) -> None:
    address = oauth2.GeneratePermissionUrl(client(google)[0])
    location = visit(google, address, oauth_mailbox.user, follow=False).headers["Location"]
    oauth2.AuthorizeTokens(*client(google), location)
    assert not listens(address)


def test_a_person_who_does_not_agree_ends_the_sign_in(google: Sandbox, oauth_mailbox: Mailbox) -> None:
    first = oauth2.GeneratePermissionUrl(client(google)[0])
    visit(google, first, oauth_mailbox.user, consent="deny")
    with pytest.raises(FlowError, match="access_denied"):
        oauth2.AuthorizeTokens(*client(google))
    assert oauth2.GeneratePermissionUrl(client(google)[0]) != first


def test_nobody_is_waited_for_for_ever(google: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sign_in, "PATIENCE", 0.0)
    first = oauth2.GeneratePermissionUrl(client(google)[0])
    with pytest.raises(FlowError, match="timeout: the browser brought no answer"):
        oauth2.AuthorizeTokens(*client(google))
    assert oauth2.GeneratePermissionUrl(client(google)[0]) != first


@pytest.mark.usefixtures("google")
def test_a_code_without_a_sign_in_is_said_to_have_none() -> None:
    with pytest.raises(CredentialsError, match="call GeneratePermissionUrl"):
        oauth2.AuthorizeTokens("another client", "secret", "code")


@pytest.mark.parametrize("whole", [True, False], ids=["address", "code"])
def test_what_was_copied_at_a_redirect_uri_of_ones_own_is_redeemed(
    google: Sandbox, oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    google.web.allow_redirect("https://example.com/code")
    monkeypatch.setattr(google_package, "REDIRECT_URI", "https://example.com/code")
    address = oauth2.GeneratePermissionUrl(client(google)[0])
    assert query(address)["redirect_uri"] == "https://example.com/code"
    location = visit(google, address, oauth_mailbox.user, follow=False).headers["Location"]
    typed = location if whole else query(location)["code"]
    assert oauth2.AuthorizeTokens(*client(google), typed)["refresh_token"]


def test_a_redirect_uri_of_ones_own_on_this_machine_is_listened_at(
    google: Sandbox, oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google_package, "REDIRECT_URI", "http://localhost/callback")
    visit(google, oauth2.GeneratePermissionUrl(client(google)[0]), oauth_mailbox.user)
    assert oauth2.AuthorizeTokens(*client(google))["refresh_token"]


def test_nothing_is_waited_for_where_nothing_is_received(google: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth2, "REDIRECT_URI", "https://example.com/code")
    oauth2.GeneratePermissionUrl(client(google)[0])
    with pytest.raises(CredentialsError, match="the authorization_code is empty"):
        oauth2.AuthorizeTokens(*client(google))


# --- renewing -------------------------------------------------------------------------------------------------------


@pytest.fixture
def refresh_token(google: Sandbox, oauth_mailbox: Mailbox) -> str:
    visit(google, oauth2.GeneratePermissionUrl(client(google)[0]), oauth_mailbox.user)
    return str(oauth2.AuthorizeTokens(*client(google))["refresh_token"])


def test_a_refresh_token_brings_an_access_token(google: Sandbox, oauth_mailbox: Mailbox, refresh_token: str) -> None:
    answer = oauth2.RefreshToken(*client(google), refresh_token)
    assert (answer["expires_in"], answer["token_type"]) == (3600, "Bearer")
    assert google.state.judge(answer["access_token"], oauth_mailbox.user, "smtp").user == oauth_mailbox.user


def test_the_blogs_function_returns_token_and_seconds(google: Sandbox, refresh_token: str) -> None:
    token, expires_in = oauth2.refresh_authorization(*client(google), refresh_token)
    assert (len(token), expires_in) == (40, 3600)


def test_a_dead_refresh_token_is_said_to_be_dead(google: Sandbox, refresh_token: str) -> None:
    google.web.store.end_grant(google.web.store.refresh_tokens[refresh_token].grant)
    with pytest.raises(FlowError) as caught:
        oauth2.RefreshToken(*client(google), refresh_token)
    assert caught.value.authorize_again


def test_a_client_without_a_secret_renews(google: Sandbox, oauth_mailbox: Mailbox) -> None:
    app = google.web.public_client_id
    visit(google, oauth2.GeneratePermissionUrl(app), oauth_mailbox.user)
    token = oauth2.AuthorizeTokens(app, None)["refresh_token"]
    assert oauth2.RefreshToken(app, "", token)["access_token"]


def test_an_empty_refresh_token_is_refused_at_once() -> None:
    with pytest.raises(CredentialsError, match="the refresh_token is empty"):
        oauth2.RefreshToken("client", "secret", "")


def test_a_server_that_does_not_describe_itself_is_named(google: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth2, "GOOGLE_ACCOUNTS_BASE_URL", f"{google.web.https_url}/elsewhere")
    with pytest.raises(FlowError, match="discovery_failed"):
        oauth2.GeneratePermissionUrl("client")


SECRET = "very-secret-" + "value"


@pytest.mark.parametrize(
    "failing",
    [
        pytest.param(lambda secret: oauth2.RefreshToken("client", "x", secret()), id="refresh token"),
        pytest.param(lambda secret: oauth2.RefreshToken("client", secret(), "x"), id="client secret"),
        pytest.param(lambda secret: oauth2.refresh_authorization("client", "x", secret()), id="refresh_authorization"),
        pytest.param(lambda secret: oauth2.AuthorizeTokens("client", secret(), "code"), id="no sign-in"),
        pytest.param(lambda secret: oauth2.get_authorization("client", secret()), id="get_authorization"),
        pytest.param(lambda secret: oauth2.GenerateOAuth2String("me", f"{secret()} "), id="message"),
        pytest.param(lambda secret: oauth2.TestImapAuthentication("me", f"auth={secret()}"), id="no message"),
        pytest.param(
            lambda secret: oauth2.TestImapAuthentication("me", oauth2.GenerateOAuth2String("me", secret())), id="IMAP"
        ),
        pytest.param(
            lambda secret: oauth2.TestSmtpAuthentication("me", oauth2.GenerateOAuth2String("me", secret())), id="SMTP"
        ),
    ],
)
@pytest.mark.usefixtures("google")
def test_no_secret_is_in_an_exception_or_its_traceback(
    monkeypatch: pytest.MonkeyPatch, failing: Callable[[Callable[[], str]], object]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("code\n"))
    with pytest.raises((FlowError, ValueError, imaplib.IMAP4.error, smtplib.SMTPException)) as caught:
        # From a function, so that no frame of the test holds it.
        failing(lambda: SECRET)
    assert SECRET not in shown(caught.value)


# --- logins ---------------------------------------------------------------------------------------------------------

FORMS = [
    pytest.param(lambda user, token: oauth2.GenerateOAuth2String(user, token, base64_encode=False), id="plain"),
    pytest.param(oauth2.GenerateOAuth2String, id="base64"),
    pytest.param(lambda user, token: oauth2.GenerateOAuth2String(user, token).encode(), id="octets"),
]
TESTS = [
    pytest.param(oauth2.TestImapAuthentication, "imap", id="IMAP"),
    pytest.param(oauth2.TestSmtpAuthentication, "smtp", id="SMTP"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("test", "service"), TESTS)
def test_a_message_logs_in(
    google: Sandbox, oauth_mailbox: Mailbox, test: Callable[[str, Any], None], service: str, form: Any
) -> None:
    test(oauth_mailbox.user, form(oauth_mailbox.user, oauth_mailbox.token))
    (login,) = (line for line in oauth_mailbox.received(service) if "XOAUTH2" in line)
    assert "AUTH" in login


@pytest.mark.parametrize(("test", "service"), TESTS)
def test_the_trace_shows_the_login_without_the_token(
    google: Sandbox,
    oauth_mailbox: Mailbox,
    capfd: pytest.CaptureFixture[str],
    test: Callable[[str, Any], None],
    service: str,
) -> None:
    message = oauth2.GenerateOAuth2String(oauth_mailbox.user, oauth_mailbox.token)
    test(oauth_mailbox.user, message)
    out, err = capfd.readouterr()
    assert out == "\n"
    assert "XOAUTH2 [redacted]" in err
    assert oauth_mailbox.token not in err
    assert message not in err


@pytest.mark.usefixtures("google")
def test_imap_raises_a_refusal(oauth_mailbox: Mailbox) -> None:
    with pytest.raises(imaplib.IMAP4.error, match="refused XOAUTH2"):
        oauth2.test_imap(oauth_mailbox.user, oauth2.generate_oauth2_string(oauth_mailbox.user, "wrong"))


@pytest.mark.usefixtures("google")
def test_smtp_raises_a_refusal_which_the_scripts_did_not_notice(oauth_mailbox: Mailbox) -> None:
    with pytest.raises(smtplib.SMTPAuthenticationError):
        oauth2.test_smtp(oauth_mailbox.user, oauth2.generate_oauth2_string(oauth_mailbox.user, "wrong"))


@pytest.mark.parametrize("junk", ["", "token", "ü", b"\xff", "user=me\x01auth=Bearer \x01\x01"], ids=ascii)
def test_what_is_no_message_is_refused(junk: str | bytes) -> None:
    with pytest.raises(ValueError, match="pass what GenerateOAuth2String"):
        oauth2.TestImapAuthentication("me@example.com", junk)


@pytest.mark.parametrize(
    ("test", "words"),
    [
        pytest.param(
            lambda place: oauth2.TestImapAuthentication("me", oauth2.GenerateOAuth2String("me", SECRET)),
            "AUTHENTICATE XOAUTH2",
            id="OAuth 2",
        ),
        pytest.param(
            lambda place: xoauth.TestImapAuthentication(
                place,
                "me",
                xoauth.GenerateXOauthString(
                    xoauth.OAuthEntity("key", "secret"), xoauth.OAuthEntity(SECRET, ""), "me", "imap"
                ),
            ),
            "AUTHENTICATE XOAUTH",
            id="OAuth 1.0a",
        ),
    ],
)
def test_a_server_that_offers_nothing_and_repeats_everything_gives_no_secret_away(
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    test: Callable[[str], None],
    words: str,
) -> None:
    def repeats(line: Line) -> None:
        line.send(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
        tag = line.answer(b"+ \r\n").split()[0]
        line.send(tag + b" NO what is " + base64.b64decode(line.receive()) + b"?\r\n")
        # No word of farewell: it would not be the reason to report.
        line.receive()

    certificates.authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with scripted(repeats, tls=certificates.server("127.0.0.1")) as server:
        place = f"127.0.0.1:{server.port}"
        monkeypatch.setattr(oauth2, "IMAP_HOSTNAME", place)
        with pytest.raises(imaplib.IMAP4.error) as caught:
            test(place)
    # The scripts asked for the mechanism by name, too.
    assert server.received[0].decode().endswith(words)
    assert SECRET not in f"{caught.value!r} {caught.value} {capfd.readouterr().err}"


# --- the blogs' functions -------------------------------------------------------------------------------------------


def test_get_authorization_waits_for_the_browser(
    google: Sandbox, oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    google.browser(user=oauth_mailbox.user)(address := oauth2.GeneratePermissionUrl(client(google)[0]))
    refresh, access, expires_in = oauth2.get_authorization(*client(google))
    assert (len(str(refresh)), len(access), expires_in) == (43, 40, 3600)
    assert capsys.readouterr().out == f"Navigate to the following URL to auth: {address}\nEnter verification code: \n"


@pytest.mark.parametrize("redirect_uri", [None, "https://example.com/code"], ids=["ours", "of one's own"])
def test_get_authorization_takes_what_is_typed(
    google: Sandbox, oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, redirect_uri: str | None
) -> None:
    google.web.allow_redirect("https://example.com/code")
    monkeypatch.setattr(oauth2, "REDIRECT_URI", redirect_uri)
    address = oauth2.GeneratePermissionUrl(client(google)[0])
    location = visit(google, address, oauth_mailbox.user, follow=False).headers["Location"]
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{query(location)['code']}\n"))
    assert len(oauth2.get_authorization(*client(google))[1]) == 40


def script(sandbox: Sandbox, refresh_token: str | None) -> Any:
    """Return a script that has the blog's constants and a call in it."""
    made = types.ModuleType("script")
    exec("from oauthmail.compat.google import *\ndef run(*words): send_mail(*words)", vars(made))  # noqa: S102  # our own
    vars(made).update(
        GOOGLE_CLIENT_ID=client(sandbox)[0], GOOGLE_CLIENT_SECRET=client(sandbox)[1], GOOGLE_REFRESH_TOKEN=refresh_token
    )
    return made


def letter(mailbox: Mailbox) -> Any:
    (octets,) = mailbox.messages()
    return email.message_from_bytes(octets.replace(b"\r\n", b"\n"), policy=email.policy.default)


def test_send_mail_uses_the_constants_of_the_script(
    google: Sandbox, oauth_mailbox: Mailbox, refresh_token: str
) -> None:
    user = oauth_mailbox.user
    script(google, refresh_token).run(user, user, "Grüße", "<p>It <b>works</b></p><p>&amp; well</p>")
    made = letter(oauth_mailbox)
    assert (made["From"], made["To"], made["Subject"]) == (user, user, "Grüße")
    assert made.get_body(("plain",)).get_content() == "It works\n& well\n"
    assert made.get_body(("html",)).get_content() == "<p>It <b>works</b></p><p>&amp; well</p>\n"


def test_send_mail_goes_by_the_script_before_the_settings_here(
    google: Sandbox, oauth_mailbox: Mailbox, refresh_token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth2, "GOOGLE_CLIENT_ID", client(google)[0])
    monkeypatch.setattr(oauth2, "GOOGLE_REFRESH_TOKEN", "of somebody else")
    script(google, refresh_token).run(oauth_mailbox.user, oauth_mailbox.user, "Hello", "Text")
    assert letter(oauth_mailbox)["Subject"] == "Hello"


def test_send_mail_uses_the_settings_here(
    google: Sandbox, oauth_mailbox: Mailbox, refresh_token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in zip(
        ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN"), (*client(google), refresh_token), strict=True
    ):
        monkeypatch.setattr(google_package, f"GOOGLE_{name}", value)
    other = google.new_user()
    oauth2.send_mail(f"Me <{oauth_mailbox.user}>", [oauth_mailbox.user, other], "Hello", "Text")
    made = letter(oauth_mailbox)
    assert (made["From"], made["To"]) == (f"Me <{oauth_mailbox.user}>", f"{oauth_mailbox.user}, {other}")
    assert len(google.mailboxes.messages(other)) == 1


def test_send_mail_uses_what_is_stored(
    google: Sandbox, oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path / "home"))
    user = oauth_mailbox.user
    credentials = OAuth2Credentials(oauth_mailbox.token)
    FileStore().save(
        Record(user, "sandbox", "imported", credentials=credentials, definition=google.provider.definition())
    )
    # The script has not been run to its end: no refresh token yet.
    script(google, None).run(user, user, "Hello", "Text")
    assert letter(oauth_mailbox)["Subject"] == "Hello"


def test_send_mail_says_what_it_misses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path / "home"))
    with pytest.raises(CredentialsError, match="GOOGLE_REFRESH_TOKEN, or set it up with  oauthmail authorize me@"):
        oauth2.send_mail("me@example.com", "you@example.com", "Hello", "Text")


def test_send_mail_shows_no_constant_of_the_script(google: Sandbox) -> None:
    made = script(google, SECRET)
    with pytest.raises(FlowError) as caught:
        made.run("me@sandbox.test", "you@sandbox.test", "Hello", "Text")
    assert SECRET not in shown(caught.value)


def test_a_line_end_in_the_subject_is_refused() -> None:
    with pytest.raises(ValueError, match="linefeed"):
        oauth2.send_mail("me@example.com", "you@example.com", "Hello\nBcc: them@example.com", "Text")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param("plain", "plain\n", id="no HTML at all"),
        pytest.param("a<br>b<br/>c", "a\nb\nc\n", id="line breaks"),
        pytest.param("<head><title>T</title></head><style>s{}</style><script>1<2</script>seen", "seen\n", id="unseen"),
        pytest.param("<ul><li>one</li><li>two</li></ul>", "one\ntwo\n", id="list"),
        pytest.param("1 &lt; 2 &eacute;", "1 < 2 é\n", id="entities"),
        pytest.param("</script>still seen", "still seen\n", id="an end without a beginning"),
    ],
)
def test_the_text_of_a_message_is_what_is_seen_of_it(message: str, expected: str) -> None:
    from oauthmail.compat.google import _mail

    made = _mail.letter("me@example.com", "you@example.com", "Hello", message)
    body = made.get_body(("plain",))
    assert body is not None
    assert body.get_content() == expected


def test_the_tokens_of_the_functions_open_an_account(
    google: Sandbox, oauth_mailbox: Mailbox, refresh_token: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the script printed is taken over by ``oauthmail import``."""
    file = tmp_path / "token.json"
    file.write_text(json.dumps({"access_token": "x", "refresh_token": refresh_token}), "utf-8")
    definition = tmp_path / "sandbox.toml"
    said = {
        "smtp": f"localhost:{google.smtp.port}",
        "scopes": "mail",
        "token_endpoint": f"{google.web.https_url}/token",
        "ca_file": str(google.ca_file),
    }
    definition.write_text("".join(f'{name} = "{value}"\n' for name, value in said.items()), "utf-8")
    monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OAUTHMAIL_CLIENT_SECRET", client(google)[1])
    words = ["--address", oauth_mailbox.user, "--provider", str(definition), "--client-id", client(google)[0]]
    done = subprocess.run(
        [sys.executable, "-m", "oauthmail", "import", str(file), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    token = Account(oauth_mailbox.user).token(rejected="x")
    assert google.state.judge(token, oauth_mailbox.user, "smtp").user == oauth_mailbox.user
