"""``oauthmail check``: the cause of each of many broken set-ups, the screen and the report."""

from __future__ import annotations

import datetime
import json
import re
import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from oauthmail import Application, OAuth2Credentials, Provider, providers
from oauthmail.cli._check_report import write
from oauthmail.sandbox import Sandbox
from oauthmail.sandbox.state import AccessToken

from ..scripted import Certificates, Line, Script, ScriptedServer, scripted
from .check_docs import LIST, SCREEN, normalised, problems, screen
from .rig import oauthmail, provider, refresh_token, set_up

# Nobody listens at the first port there is (tcpmux), and nobody may without being root.
_CLOSED = 1


@pytest.fixture(scope="module")
def microsoft() -> Iterator[Sandbox]:
    """A sandbox that behaves like Exchange Online."""
    with Sandbox("microsoft") as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def no_faults(oauth_sandbox: Sandbox, microsoft: Sandbox) -> Iterator[None]:
    """End faults with the test."""
    yield
    oauth_sandbox.clear_faults()
    microsoft.clear_faults()


def check(user: str, *arguments: str, home: Path) -> dict[str, Any]:
    """Return what ``check`` prints with ``--json``, and its exit status as ``status``."""
    run = oauthmail("check", user, "--json", *arguments, home=home)
    assert run.stderr == ""
    found: dict[str, Any] = json.loads(run.stdout)
    return {**found, "status": run.returncode}


def failure(user: str, *arguments: str, home: Path) -> dict[str, Any]:
    """Return the one step that fails."""
    found = check(user, *arguments, home=home)
    failed: list[dict[str, Any]] = [step for step in found["steps"] if step["state"] == "failed"]
    assert (found["ok"], found["status"], len(failed)) == (False, 1, 1)
    return failed[0]


def named(step: dict[str, Any]) -> tuple[str, str]:
    return step["step"], step["problem"]


def imported(token: str, **changes: Any) -> dict[str, Any]:
    """Return changes of a record: an access token from elsewhere, which nobody can renew."""
    credentials = OAuth2Credentials(token, expires_at=time.time() + 3600, **changes)
    return {"application": None, "flow": "imported", "credentials": credentials}


def playing(*replies: bytes) -> Script:
    """Return a script that says the first reply at once and the others each in answer to a line."""

    def play(line: Line) -> None:
        line.send(replies[0])
        for reply in replies[1:]:
            line.answer(reply)
        line.drain()

    return play


def at(server: ScriptedServer, protocol: str, security: str, ca_file: Path, sandbox: Sandbox) -> Provider:
    """Return a provider whose server for *protocol* is a scripted one, the others missing."""
    servers: dict[str, Any] = dict.fromkeys(providers.PROTOCOLS, ())
    servers[protocol] = {"host": "localhost", "port": server.port, "security": security}
    return provider(sandbox, ca_file=str(ca_file), **servers)


@pytest.fixture
def ca_file(certificates: Certificates, tmp_path: Path) -> Path:
    """The scripted servers' authority."""
    path = tmp_path / "scripted.pem"
    certificates.authority.cert_pem.write_to_path(str(path))
    return path


# --- nothing is wrong -------------------------------------------------------------------------------------------------


def test_a_mailbox_that_works_passes_every_step(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user)
    found = check(user, home=home)
    assert (found["ok"], found["status"], {step["state"] for step in found["steps"]}) == (True, 0, {"ok"})


def test_only_the_protocols_that_are_named_are_checked(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user)
    found = check(user, "--protocol", "pop", "--protocol", "imap", home=home)
    assert {step["protocol"] for step in found["steps"]} == {None, "pop", "imap"}


# --- broken set-ups: the mailbox --------------------------------------------------------------------------------------


def test_a_mailbox_that_is_not_set_up(home: Path, oauth_sandbox: Sandbox, tmp_path: Path) -> None:
    definition = tmp_path / "sandbox.toml"
    definition.write_text(
        f'ca_file = "{oauth_sandbox.ca_file}"\n[imap]\nhost = "localhost"\nport = {oauth_sandbox.imaps.port}\n'
    )
    found = check("me@example.org", "--provider", str(definition), home=home)
    states = {step["step"]: step["state"] for step in found["steps"]}
    failed = found["steps"][0]
    # The servers can be looked at all the same.
    assert (named(failed), states["capabilities"], states["login"]) == (("store", "not_set_up"), "ok", "skipped")
    assert failed["cure"] == "Sign in: oauthmail authorize me@example.org"


def test_a_store_that_others_can_read(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user)
    (home / f"{user}.json").chmod(0o644)
    failed = failure(user, home=home)
    assert (named(failed), "chmod" in failed["cause"]) == (("store", "store"), True)


def test_a_record_that_is_damaged(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user)
    path = home / f"{user}.json"
    path.write_text(path.read_text()[:100])
    failed = failure(user, home=home)
    assert (named(failed), "is damaged: it is not JSON" in failed["cause"]) == (("store", "store"), True)


def test_a_provider_that_nobody_knows(home: Path) -> None:
    found = check("me@example.org", home=home)
    failed = [named(step) for step in found["steps"] if step["state"] == "failed"]
    assert failed == [("store", "not_set_up"), ("provider", "provider")]


# --- broken set-ups: the way to the server ----------------------------------------------------------------------------


def test_a_host_name_that_does_not_exist(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    # Two dots: no name server has to be asked, which a test could not rely on.
    set_up(home, oauth_sandbox, user, definition=provider(oauth_sandbox, smtp="mail..example.org"))
    failed = failure(user, "--protocol", "smtp", home=home)
    assert (named(failed), failed["cause"]) == (
        ("dns", "no_such_host"),
        "There is no host of the name mail..example.org",
    )


def test_a_port_that_is_closed(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user, definition=provider(oauth_sandbox, imap=f"localhost:{_CLOSED}"))
    failed = failure(user, "--protocol", "imap", home=home)
    assert (named(failed), "993" in failed["cure"]) == (("tcp", "port_closed"), True)


def test_a_machine_that_trusts_nobody(oauth_sandbox: Sandbox, home: Path, tmp_path: Path) -> None:
    user, nowhere = oauth_sandbox.new_user(), str(tmp_path / "nowhere")
    set_up(home, oauth_sandbox, user, definition=provider(oauth_sandbox, ca_file=None))
    run = oauthmail("check", user, "--protocol", "imap", home=home, SSL_CERT_FILE=nowhere, SSL_CERT_DIR=nowhere)
    assert "This Python trusts nobody" in run.stdout


@pytest.mark.parametrize("protocol", ["smtp", "imap"], ids=["starttls", "tls"])
def test_an_authority_that_this_machine_does_not_trust(oauth_sandbox: Sandbox, home: Path, protocol: str) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user, definition=provider(oauth_sandbox, ca_file=None))
    failed = failure(user, "--protocol", protocol, home=home)
    # The issuer's name is what tells a virus scanner in between.
    assert (named(failed), "signed by trustme" in failed["cause"]) == (("tls", "unknown_authority"), True)


def test_a_certificate_for_another_name(
    certificates: Certificates, ca_file: Path, oauth_sandbox: Sandbox, home: Path
) -> None:
    user = oauth_sandbox.new_user()
    tls = certificates.server("imap.example.org", "example.org")
    with scripted(Line.drain, Line.drain, tls=tls) as server:
        set_up(home, oauth_sandbox, user, definition=at(server, "imap", "tls", ca_file, oauth_sandbox))
        failed = failure(user, home=home)
    assert (named(failed), failed["cause"]) == (
        ("tls", "other_name"),
        "The certificate is for imap.example.org, example.org, not for localhost",
    )


def test_a_certificate_that_has_expired(
    certificates: Certificates, ca_file: Path, oauth_sandbox: Sandbox, home: Path
) -> None:
    user = oauth_sandbox.new_user()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ended = datetime.datetime(2020, 2, 29, tzinfo=datetime.timezone.utc)
    certificates.authority.issue_cert("localhost", not_after=ended).configure_cert(tls)
    with scripted(Line.drain, Line.drain, tls=tls) as server:
        set_up(home, oauth_sandbox, user, definition=at(server, "imap", "tls", ca_file, oauth_sandbox))
        failed = failure(user, home=home)
    assert (named(failed), "on 2020-02-29" in failed["cause"]) == (("tls", "certificate_expired"), True)


def test_a_server_that_does_not_offer_tls(ca_file: Path, oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    with scripted(playing(b"220 hello\r\n", b"250-hello\r\n250 AUTH XOAUTH2\r\n", b"221 bye\r\n")) as server:
        set_up(home, oauth_sandbox, user, definition=at(server, "smtp", "starttls", ca_file, oauth_sandbox))
        failed = failure(user, home=home)
        assert [line[:4] for line in server.received] == [b"ehlo", b"quit"]
    assert named(failed) == ("starttls", "no_starttls")


def test_a_server_that_takes_passwords_only(
    certificates: Certificates, ca_file: Path, oauth_sandbox: Sandbox, home: Path
) -> None:
    user = oauth_sandbox.new_user()
    script = playing(b"220 hello\r\n", b"250-hello\r\n250 AUTH PLAIN LOGIN\r\n", b"221 bye\r\n")
    with scripted(script, tls=certificates.server("localhost")) as server:
        set_up(home, oauth_sandbox, user, definition=at(server, "smtp", "tls", ca_file, oauth_sandbox))
        failed = failure(user, home=home)
    assert (named(failed), "it offers PLAIN LOGIN" in failed["cause"]) == (("capabilities", "no_oauth"), True)


# --- broken set-ups: tokens -------------------------------------------------------------------------------------------


def test_a_sign_in_that_has_come_to_its_end(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    dead = OAuth2Credentials("an-old-token", refresh_token="a-revoked-one", expires_at=1.0)
    set_up(home, oauth_sandbox, user, credentials=dead)
    failed = failure(user, home=home)
    assert (named(failed), f"oauthmail authorize {user}" in failed["cure"]) == (("token", "authorize_again"), True)


def test_an_authorization_server_that_is_down(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    definition = provider(oauth_sandbox, token_endpoint=f"https://localhost:{_CLOSED}/token")
    old = OAuth2Credentials("an-old-token", refresh_token="a-good-one", expires_at=1.0)
    set_up(home, oauth_sandbox, user, definition=definition, credentials=old)
    failed = failure(user, "--timeout", "0.5", home=home)
    assert (named(failed), "Try again later" in failed["cure"]) == (("token", "token_later"), True)


def test_a_client_secret_that_is_wrong(oauth_sandbox: Sandbox, home: Path) -> None:
    user, web = oauth_sandbox.new_user(), oauth_sandbox.web
    refresh = refresh_token(oauth_sandbox, user, client_id=web.client_id)
    old = OAuth2Credentials("an-old-token", refresh_token=refresh, expires_at=1.0)
    set_up(home, oauth_sandbox, user, application=Application(web.client_id, "not-the-secret"), credentials=old)
    failed = failure(user, home=home)
    # Signing in again would not help.
    assert (named(failed), "client_secret" in failed["cure"], "authorize" in failed["cure"]) == (
        ("token", "token"),
        True,
        False,
    )


def test_a_token_for_another_server(microsoft: Sandbox, home: Path) -> None:
    user = microsoft.new_user()
    scopes = {each: f"https://outlook.office.com/{each}" for each in providers.PROTOCOLS}
    token = jwt.encode({"aud": "https://graph.microsoft.com", "scp": "Mail.Read"}, "k" * 32, algorithm="HS256")
    set_up(home, microsoft, user, definition=provider(microsoft, scopes=scopes), scope=(), **imported(token))
    failed = failure(user, "--protocol", "smtp", home=home)
    assert (named(failed), failed["cause"]) == (
        ("login", "wrong_audience"),
        "The token is for https://graph.microsoft.com, and the mail server takes those for https://outlook.office.com "
        "only",
    )


def test_a_permission_that_was_not_granted(microsoft: Sandbox, home: Path) -> None:
    user = microsoft.new_user()
    token = microsoft.issue_token(user, scope=("imap",))
    set_up(
        home,
        microsoft,
        user,
        definition=provider(microsoft, scopes={each: each for each in providers.PROTOCOLS}),
        scope=("smtp", "imap", "pop"),
        **imported(token, scope=("imap",)),
    )
    found = check(user, home=home)
    failed = [(step["protocol"], *named(step), step["cause"]) for step in found["steps"] if step["state"] == "failed"]
    assert failed == [
        ("smtp", "login", "missing_scope", "The token lacks the permission smtp; it has imap"),
        ("pop", "login", "missing_scope", "The token lacks the permission pop; it has imap"),
    ]


def test_a_token_of_another_account_that_says_so(oauth_sandbox: Sandbox, home: Path) -> None:
    user, other = oauth_sandbox.new_user(), oauth_sandbox.new_user()
    token = jwt.encode({"upn": other}, "k" * 32, algorithm="HS256")
    oauth_sandbox.state.tokens[token] = AccessToken(other, ("mail",), "", time.time() + 3600)
    set_up(home, oauth_sandbox, user, **imported(token))
    failed = failure(user, "--protocol", "imap", home=home)
    assert (named(failed), failed["cause"]) == (("login", "wrong_user"), f"The token belongs to {other}, not to {user}")


def test_a_token_of_another_account_that_says_nothing(oauth_sandbox: Sandbox, home: Path) -> None:
    user, other = oauth_sandbox.new_user(), oauth_sandbox.new_user()
    credentials = OAuth2Credentials(
        oauth_sandbox.issue_token(other),
        refresh_token=refresh_token(oauth_sandbox, other),
        expires_at=time.time() + 3600,
    )
    set_up(home, oauth_sandbox, user, credentials=credentials)
    failed = failure(user, "--protocol", "imap", home=home)
    # Renewed, it is refused again: so it is no matter of its age.
    assert (named(failed), "it belongs to another account" in failed["cause"]) == (
        ("login", "fresh_token_refused"),
        True,
    )


# --- broken set-ups: what the server does not let the account do ------------------------------------------------------


def test_smtp_that_the_administrator_has_switched_off(microsoft: Sandbox, home: Path) -> None:
    user = microsoft.new_user()
    set_up(home, microsoft, user)
    microsoft.fault("smtp_disabled", times=None)
    failed = failure(user, home=home)
    assert (named(failed), failed["cure"]) == (
        ("login", "refused"),
        "Authenticated SMTP is switched off for this tenant or mailbox: ask the administrator to enable it",
    )


def test_imap_that_is_switched_off(
    certificates: Certificates, ca_file: Path, oauth_sandbox: Sandbox, home: Path
) -> None:
    user = oauth_sandbox.new_user()

    def off(line: Line) -> None:
        line.send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] hello\r\n")
        tag = line.receive().split()[0]
        line.send(tag + b" NO [ALERT] Your account is not enabled for IMAP use.\r\n")
        line.answer(b"* BYE bye\r\n")

    with scripted(off, tls=certificates.server("localhost")) as server:
        set_up(home, oauth_sandbox, user, definition=at(server, "imap", "tls", ca_file, oauth_sandbox))
        failed = failure(user, home=home)
    assert (named(failed), failed["cure"]) == (
        ("login", "refused"),
        "IMAP is switched off: turn it on in the settings of the mailbox",
    )


def test_a_login_that_is_accepted_and_good_for_nothing(microsoft: Sandbox, home: Path) -> None:
    user = microsoft.new_user()
    set_up(home, microsoft, user)
    microsoft.fault("not_connected", times=None)
    failed = failure(user, home=home)
    assert (failed["protocol"], *named(failed), f"may not open {user}" in failed["cure"]) == (
        "imap",
        "command",
        "not_connected",
        True,
    )


def test_a_token_that_is_too_long_for_the_server(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user, **imported(oauth_sandbox.issue_token(user, length=9000)))
    found = check(user, "--protocol", "pop", "--protocol", "smtp", home=home)
    failed = [(step["protocol"], *named(step)) for step in found["steps"] if step["state"] == "failed"]
    # The one closes the connection, the other one says 500.
    assert failed == [("pop", "login", "token_too_long"), ("smtp", "login", "token_too_long")]


def test_a_server_with_a_temporary_problem(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user)
    oauth_sandbox.fault("temporary", times=None)
    found = check(user, home=home)
    failed = [step for step in found["steps"] if step["state"] == "failed"]
    assert [(step["protocol"], "temporary problem" in step["cure"]) for step in failed] == [
        ("smtp", True),
        ("imap", True),
        ("pop", True),
    ]


# --- the screen -------------------------------------------------------------------------------------------------------


def test_the_screen_has_marks_causes_and_cures(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user, definition=provider(oauth_sandbox, smtp=f"localhost:{_CLOSED}"))
    run = oauthmail("check", user, "--protocol", "smtp", home=home)
    shown = re.sub(r" +\d+ ms", " MS", run.stdout)
    assert shown.partition("SMTP\n")[2] == (
        "  ✓ DNS MS  localhost: 127.0.0.1\n"
        "  ✗ TCP MS\n"
        "      cause  localhost refuses connections to port 1\n"
        "      cure   SMTP is usually at port 465 (TLS from the start) or 587 (STARTTLS). Correct it in the\n"
        "             provider's definition, or leave --provider out\n"
        "  – TLS, greeting, capabilities, login, first command: skipped\n"  # noqa: RUF001  # a dash is what is meant
        "\n"
        "1 step failed.\n"
    )


def test_a_screen_without_such_marks_has_others(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user, definition=provider(oauth_sandbox, smtp=f"localhost:{_CLOSED}"))
    run = oauthmail("check", user, "--protocol", "smtp", home=home, PYTHONIOENCODING="ascii")
    marks = re.findall(r"^  (\S) ", run.stdout, re.MULTILINE)
    assert marks == ["+", "+", "+", "+", "x", "-"]


# --- the report -------------------------------------------------------------------------------------------------------


def test_a_report_tells_neither_who_asks_nor_a_secret(oauth_sandbox: Sandbox, home: Path, tmp_path: Path) -> None:
    user, path = oauth_sandbox.new_user(), tmp_path / "report.txt"
    record = set_up(home, oauth_sandbox, user, application=Application("12345678901234567890", "the-client-secret"))
    held = record.credentials
    assert isinstance(held, OAuth2Credentials)
    oauth_sandbox.revoke_token(held.access_token)
    run = oauthmail("check", user, "--report", str(path), home=home, HOME=str(tmp_path))
    written = path.read_text("utf-8")
    local = user.partition("@")[0]
    private = (held.access_token, "the-client-secret", local, "567890", str(tmp_path))
    assert (run.returncode, [told for told in private if told in written]) == (1, [])
    assert ("***@sandbox.test" in written, "123456…" in written, "-ERR [AUTH]" in written) == (True, True, True)


def test_a_report_hides_the_home_folder_in_what_a_store_says(
    oauth_sandbox: Sandbox, home: Path, tmp_path: Path
) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user)
    (home / f"{user}.json").write_text("{}")
    run = oauthmail("check", user, "--report", "-", home=home, HOME=str(tmp_path))
    assert ("~/home/***@sandbox.test.json is damaged" in run.stdout, str(tmp_path) in run.stdout) == (True, False)


def test_a_report_is_for_its_user_alone(oauth_sandbox: Sandbox, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    oauthmail("check", "me@example.org", "--report", str(path), home=home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_report_overwrites_nothing(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_text("mine")
    run = oauthmail("check", "me@example.org", "--report", str(path), home=home)
    assert (run.returncode, path.read_text(), run.stdout) == (1, "mine", "")
    assert run.stderr == f"oauthmail: {path} is there already, and is not overwritten: name another file\n"


def test_a_report_does_not_overwrite_a_file_that_came_meanwhile_either(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="not overwritten"):
        write(str(path), "a report")
    assert path.read_text() == "mine"


def test_a_report_on_standard_output_is_in_place_of_the_steps(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user)
    run = oauthmail("check", user, "--report", "-", home=home)
    assert (run.returncode, run.stdout.splitlines()[0], "✓" in run.stdout) == (0, "oauthmail check: report", False)


def test_a_report_hides_addresses_in_what_servers_say(
    certificates: Certificates, ca_file: Path, oauth_sandbox: Sandbox, home: Path
) -> None:
    user = oauth_sandbox.new_user()
    script = playing(
        b"+OK Ready for "
        + user.partition("@")[0].upper().encode()
        + b" from 203.0.113.77, 203.0.113.78:993 and 2001:db8::7. x1\r\n",
        b"-ERR no\r\n",
        b"+OK\r\n",
    )
    with scripted(script, tls=certificates.server("localhost")) as server:
        set_up(home, oauth_sandbox, user, definition=at(server, "pop", "tls", ca_file, oauth_sandbox))
        run = oauthmail("check", user, "--report", "-", home=home)
    assert "Ready for *** from [IP address], [IP address]:993 and [IP address]. x1" in run.stdout


@pytest.mark.parametrize("value", ["0", "-1", "nan", "soon"])
def test_a_timeout_is_a_number_of_seconds(home: Path, value: str) -> None:
    run = oauthmail("check", "me@example.org", "--timeout", value, home=home)
    assert (run.returncode, f"invalid seconds value: '{value}'" in run.stderr) == (2, True)


# --- the documentation ------------------------------------------------------------------------------------------------


def test_the_documented_screen_is_what_is_printed() -> None:
    assert normalised(SCREEN.read_text("utf-8")) == normalised(screen())


def test_every_problem_is_documented_with_its_cause_and_cure() -> None:
    assert LIST.read_text("utf-8") == problems()
