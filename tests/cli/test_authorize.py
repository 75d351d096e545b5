"""``oauthmail authorize``: every way to sign in, and the proof at the end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from oauthmail import Account, Application, FileStore, MemoryStore, OAuth2Credentials, ServiceAccount, providers
from oauthmail.cli._proof import prove
from oauthmail.cli.authorize import _tell
from oauthmail.records import Record
from oauthmail.sandbox import Sandbox

from .rig import oauthmail, set_up
from .signing_in import Terminal, browser, toml_of

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def no_faults(oauth_sandbox: Sandbox) -> Iterator[None]:
    """End faults with the test."""
    yield
    oauth_sandbox.clear_faults()


@pytest.fixture
def user(oauth_sandbox: Sandbox) -> str:
    return oauth_sandbox.new_user()


@pytest.fixture
def options(oauth_sandbox: Sandbox, tmp_path: Path) -> list[str]:
    """What names the sandbox and its application."""
    return ["--provider", toml_of(oauth_sandbox.provider, tmp_path), "--client-id", oauth_sandbox.web.public_client_id]


@pytest.fixture
def authorize(oauth_sandbox: Sandbox, home: Path, tmp_path: Path) -> Run:
    """Run the command with a browser whose user agrees."""

    def run(*arguments: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        opened = {} if "BROWSER" in kwargs else {"BROWSER": browser(tmp_path, oauth_sandbox.ca_file)}
        return oauthmail("authorize", *arguments, home=home, **kwargs, **opened)

    return run


def stored(home: Path, user: str) -> Record:
    record = FileStore(home).load(user)
    assert record is not None
    return record


def visit(sandbox: Sandbox, address: str, *, user: str | None = None) -> str:
    """Go where a person would go, agree, and return the address that the browser ends at."""
    said = {"sandbox_consent": "allow", **({"login_hint": user} if user else {})}
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            f"{address}&{urllib.parse.urlencode(said)}", verify=str(sandbox.ca_file), allow_redirects=False, timeout=10
        )
    return str(answer.headers["Location"])


def shown_address(text: str) -> str:
    found = re.search(r"^  (https://\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return found[1]


# --- in a browser -----------------------------------------------------------------------------------------------------


def test_somebody_signs_in_in_a_browser_and_every_protocol_is_proved(
    authorize: Run, user: str, options: list[str], home: Path
) -> None:
    run = authorize(user, *options)
    assert (run.returncode, re.findall(r"^  ✓ (\w+) +logged in at localhost", run.stdout, re.MULTILINE)) == (
        0,
        ["SMTP", "IMAP", "POP3"],
    )
    assert "A browser opens" in run.stderr
    assert f"kept in {home}/{user}.json" in run.stderr


def test_the_record_has_all_that_renewing_takes(
    authorize: Run, user: str, options: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    authorize(user, *options, "--no-check")
    record = stored(home, user)
    assert (record.flow, record.application) == (
        "authorization_code",
        Application(oauth_sandbox.web.public_client_id),
    )
    assert isinstance(record.credentials, OAuth2Credentials)
    assert record.credentials.refresh_token is not None


def test_no_secret_is_shown(authorize: Run, user: str, options: list[str], home: Path) -> None:
    run = authorize(user, *options)
    held = stored(home, user).credentials
    assert isinstance(held, OAuth2Credentials)
    assert [
        secret for secret in (held.access_token, str(held.refresh_token)) if secret in run.stdout + run.stderr
    ] == []


def test_the_second_time_needs_no_options(authorize: Run, user: str, options: list[str]) -> None:
    authorize(user, *options, "--no-check")
    assert authorize(user, "--no-check").returncode == 0


def test_the_second_time_asks_for_the_same_as_the_first(
    authorize: Run, user: str, options: list[str], home: Path
) -> None:
    authorize(user, *options, "--no-check", "--scope", "imap offline_access")
    authorize(user, "--no-check")
    assert stored(home, user).scope == ("imap", "offline_access")


def test_one_protocol_is_asked_for_and_proved_alone(
    authorize: Run, user: str, options: list[str], tmp_path: Path, oauth_sandbox: Sandbox, home: Path
) -> None:
    toml_of(oauth_sandbox.provider, tmp_path, scopes={name: [name] for name in ("smtp", "imap", "pop")})
    run = authorize(user, *options, "--protocol", "imap")
    assert (run.returncode, run.stdout.split()[1:3]) == (0, ["IMAP", "logged"])
    assert stored(home, user).scope == ("imap", "offline_access")


def test_a_login_that_fails_is_told_with_its_cure_and_the_tokens_are_kept(
    authorize: Run, user: str, options: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    oauth_sandbox.fault("smtp_disabled", times=None)
    run = authorize(user, *options)
    assert (run.returncode, re.findall(r"^  ([✓✗]) (\w+)", run.stdout, re.MULTILINE)) == (
        1,
        [("✗", "SMTP"), ("✓", "IMAP"), ("✓", "POP3")],
    )
    assert "SMTP is switched on" in " ".join(run.stdout.split())
    assert f"oauthmail check {user}" in run.stderr
    assert stored(home, user).credentials is not None


def test_what_could_not_be_tried_is_neither_good_nor_bad(user: str, home: Path, oauth_sandbox: Sandbox) -> None:
    set_up(home, oauth_sandbox, user, credentials=OAuth2Credentials("ended", refresh_token="revoked", expires_at=1))
    proofs = prove(Account(user, store=FileStore(home)), (), shown=False)
    assert [(proof.protocol, proof.ok) for proof in proofs] == [("", False)]


def test_signs_are_letters_where_the_output_has_no_signs(authorize: Run, user: str, options: list[str]) -> None:
    run = authorize(user, *options, "--protocol", "imap", PYTHONIOENCODING="ascii")
    assert run.stdout.startswith("  + IMAP")


def test_json_says_what_was_set_up_and_how_the_logins_went(authorize: Run, user: str, options: list[str]) -> None:
    found = json.loads(authorize(user, *options, "--json").stdout)
    assert (found["address"], found["provider"], found["ok"]) == (user, "sandbox", True)
    assert [(login["protocol"], login["ok"]) for login in found["logins"]] == [
        ("smtp", True),
        ("imap", True),
        ("pop", True),
    ]


def test_somebody_who_says_no_is_a_failure_and_nothing_is_kept(
    authorize: Run, user: str, options: list[str], home: Path, tmp_path: Path, oauth_sandbox: Sandbox
) -> None:
    run = authorize(user, *options, BROWSER=browser(tmp_path, oauth_sandbox.ca_file, consent="deny"))
    assert (run.returncode, "access_denied" in run.stderr) == (1, True)
    assert FileStore(home).load(user) is None


def test_nobody_in_front_of_the_browser_is_a_failure_for_now(authorize: Run, user: str, options: list[str]) -> None:
    run = authorize(user, *options, "--timeout", "0.2", BROWSER="true %s")
    assert (run.returncode, "nobody finished the sign-in" in run.stderr) == (75, True)


@pytest.mark.parametrize(
    ("credentials", "told"),
    [
        pytest.param(OAuth2Credentials("t", scope=("imap",), refresh_token="r"), "missing is smtp", id="scope"),
        pytest.param(OAuth2Credentials("t", scope=("imap", "smtp")), "gave no refresh token", id="refresh token"),
    ],
)
def test_less_than_was_asked_for_is_noted(
    capsys: pytest.CaptureFixture[str], credentials: OAuth2Credentials, told: str
) -> None:
    store = MemoryStore()
    record = Record("me@x.test", "sandbox", "device", credentials=credentials, scope=("imap", "smtp"))
    with store.lock("me@x.test"):
        store.save(record)
    _tell(Account("me@x.test", store=store))
    assert told in capsys.readouterr().err


def test_a_shared_mailbox_is_opened_by_the_one_who_signs_in(
    authorize: Run, user: str, options: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    person = oauth_sandbox.new_user()
    run = authorize(user, *options, "--user", person, "--no-check")
    assert (f"sign in as {person}" in run.stderr, stored(home, user).user) == (True, person)


def test_an_issuer_alone_describes_the_rest_of_a_provider(
    authorize: Run, user: str, options: list[str], tmp_path: Path, oauth_sandbox: Sandbox
) -> None:
    endpoints = ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint", "revocation_endpoint")
    oauth1 = ("oauth1_request_endpoint", "oauth1_authorization_endpoint", "oauth1_token_endpoint")
    toml_of(oauth_sandbox.provider, tmp_path, **dict.fromkeys((*endpoints, *oauth1)))
    assert authorize(user, *options).returncode == 0


# --- without a browser on this machine ----------------------------------------------------------------------------


def test_no_browser_prints_the_address_and_waits_for_the_answer(
    user: str, options: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    with Terminal("authorize", user, *options, "--no-browser", "--no-check", home=home) as terminal:
        shown = terminal.expect("--paste.")
        answer = visit(oauth_sandbox, shown_address(shown))
        with requests.Session() as session:
            session.trust_env = False
            session.get(answer, timeout=10)
        assert terminal.end() == 0
    assert stored(home, user).credentials is not None


def test_a_browser_that_cannot_be_opened_has_its_address_printed(
    user: str, options: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    with Terminal("authorize", user, *options, "--no-check", home=home, BROWSER="/nowhere %s") as terminal:
        shown = terminal.expect("--paste.")
        assert "No browser could be opened." in shown
        assert oauth_sandbox.web.https_url is not None
        assert shown_address(shown).startswith(oauth_sandbox.web.https_url)


def pasting(*arguments: str, home: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "oauthmail", "authorize", *arguments, "--paste", "--no-check"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OAUTHMAIL_HOME": str(home), **environment},
    )


def said(process: subprocess.Popen[str], question: str = "Address: ") -> str:
    """Return what a process says until it asks."""
    assert process.stderr is not None
    text = ""
    while not text.endswith(question):
        character = process.stderr.read(1)
        assert character, text
        text += character
    return text


def paste(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


def test_pasting_explains_the_error_page_and_takes_the_whole_address(
    user: str, options: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    with pasting(user, *options, home=home) as process:
        text = said(process)
        paste(process, visit(oauth_sandbox, shown_address(text)))
        assert process.wait(30) == 0
    assert ("error page" in text, stored(home, user).flow) == (True, "authorization_code")


def test_pasting_is_asked_for_again_after_a_slip(
    user: str, options: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    with pasting(user, *options, home=home) as process:
        address = shown_address(said(process))
        paste(process, address)
        again = said(process)
        paste(process, visit(oauth_sandbox, address))
        assert process.wait(30) == 0
    assert "that is the address to start from" in again


def test_the_answer_to_another_sign_in_is_asked_for_again(
    user: str, options: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    with pasting(user, *options, home=home) as process:
        said(process)
        paste(process, "http://127.0.0.1:1234/?code=abc&state=another")
        again = said(process)
        process.kill()
    assert "answer to another sign-in" in again


def test_pasting_ends_after_three_slips(authorize: Run, user: str, options: list[str], home: Path) -> None:
    run = authorize(user, *options, "--paste", text="one two\nthree four\nfive six\nseven\n")
    assert (run.returncode, run.stderr.count("Address: ")) == (1, 3)
    assert "invalid_paste" in run.stderr


def test_an_end_of_input_while_pasting_is_a_failure(authorize: Run, user: str, options: list[str]) -> None:
    run = authorize(user, *options, "--paste", text="")
    assert (run.returncode, "nothing was typed in" in run.stderr) == (1, True)


def test_an_address_longer_than_a_terminals_line_can_be_pasted(
    user: str, options: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    with Terminal("authorize", user, *options, "--paste", "--no-check", home=home) as terminal:
        answer = visit(oauth_sandbox, shown_address(terminal.expect("Address: ")))
        terminal.type(answer.replace("?", f"?session_state={'x' * 6000}&"))
        assert terminal.end() == 0, terminal.shown


def test_the_device_flow_shows_a_code_and_waits(
    user: str, options: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    oauth_sandbox.web.store.device_interval = 1
    with Terminal("authorize", user, *options, "--device", "--no-check", home=home) as terminal:
        terminal.expect("Enter the code there:  ")
        found = re.search(r"has the code in it:  (\S+)\n", terminal.expect("Waiting"))
        assert found is not None
        with requests.Session() as session:
            session.trust_env = False
            query = urllib.parse.urlencode({"sandbox_consent": "allow", "login_hint": user})
            session.get(f"{found[1]}&{query}", verify=str(oauth_sandbox.ca_file), timeout=10)
        assert terminal.end() == 0, terminal.shown
    assert stored(home, user).flow == "device"


def test_a_mailbox_of_the_device_flow_is_signed_in_to_on_a_device_again(
    user: str, home: Path, oauth_sandbox: Sandbox
) -> None:
    set_up(home, oauth_sandbox, user, flow="device", definition=oauth_sandbox.provider)
    with Terminal("authorize", user, "--no-check", home=home) as terminal:
        assert "Enter the code there" in terminal.expect("Waiting")


# --- OAuth 1.0a ---------------------------------------------------------------------------------------------------


@pytest.fixture
def signed(oauth_sandbox: Sandbox, tmp_path: Path) -> list[str]:
    """What names a provider that has OAuth 1.0a alone, and a client of its."""
    oauth2 = ("issuer", "authorization_endpoint", "token_endpoint", "device_authorization_endpoint")
    path = toml_of(oauth_sandbox.provider, tmp_path, **dict.fromkeys(oauth2))
    return ["--provider", path, "--client-id", oauth_sandbox.web.oauth1_client_key]


def test_a_mailbox_is_set_up_with_oauth_1(
    authorize: Run, user: str, signed: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    run = authorize(user, *signed, OAUTHMAIL_CLIENT_SECRET=oauth_sandbox.web.oauth1_client_secret)
    assert (run.returncode, run.stdout.count("logged in at"), stored(home, user).flow) == (0, 3, "oauth1"), run.stderr


def test_the_verification_code_of_oauth_1_is_asked_for(
    user: str, signed: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    secret = oauth_sandbox.web.oauth1_client_secret
    with pasting(user, *signed, home=home, OAUTHMAIL_CLIENT_SECRET=secret) as process:
        address = shown_address(said(process, "at the end: "))
        with requests.Session() as session:
            session.trust_env = False
            query = urllib.parse.urlencode({"sandbox_consent": "allow", "login_hint": user})
            page = session.get(f"{address}&{query}", verify=str(oauth_sandbox.ca_file), timeout=10).text
        found = re.search(r"<code[^>]*>([^<]+)</code>", page)
        assert found is not None, page
        paste(process, found[1])
        assert process.wait(30) == 0
    assert stored(home, user).flow == "oauth1"


# --- without a person ---------------------------------------------------------------------------------------------


def test_an_application_opens_a_mailbox_by_itself(
    authorize: Run, user: str, options: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    web = oauth_sandbox.web
    web.store.application_user = user
    run = authorize(
        user,
        *options[:2],
        "--client-id",
        web.client_id,
        "--client-credentials",
        OAUTHMAIL_CLIENT_SECRET=web.client_secret,
    )
    assert (run.returncode, stored(home, user).flow) == (0, "client_credentials")
    assert "nobody has to sign in" in run.stderr


def test_an_application_proves_itself_with_a_key(
    authorize: Run, user: str, options: list[str], home: Path, tmp_path: Path, oauth_sandbox: Sandbox
) -> None:
    web = oauth_sandbox.web
    web.store.application_user = user
    (tmp_path / "key.pem").write_text(web.client_key)
    toml_of(oauth_sandbox.provider, tmp_path, token_endpoint_auth_method="private_key_jwt")
    run = authorize(
        user,
        *options[:2],
        *("--client-id", web.client_id, "--private-key", str(tmp_path / "key.pem"), "--client-credentials"),
    )
    assert run.returncode == 0, run.stderr


def test_a_service_account_is_recognised_by_its_file(
    authorize: Run, user: str, options: list[str], home: Path, tmp_path: Path, oauth_sandbox: Sandbox
) -> None:
    path = tmp_path / "robot.json"
    path.write_text(json.dumps(oauth_sandbox.web.service_account_info))
    run = authorize(user, *options[:2], "--client-secrets", str(path))
    assert (run.returncode, isinstance(stored(home, user).application, ServiceAccount)) == (0, True), run.stderr


# --- the application's secret -------------------------------------------------------------------------------------


@pytest.fixture
def confidential(oauth_sandbox: Sandbox, options: list[str]) -> list[str]:
    return [*options[:2], "--client-id", oauth_sandbox.web.client_id, "--no-check"]


def secret_of(home: Path, user: str) -> str | None:
    application = stored(home, user).application
    assert isinstance(application, Application)
    return application.client_secret


def test_a_secret_is_read_from_a_file(
    authorize: Run, user: str, confidential: list[str], home: Path, tmp_path: Path, oauth_sandbox: Sandbox
) -> None:
    (tmp_path / "secret").write_text(f"{oauth_sandbox.web.client_secret}\n")
    authorize(user, *confidential, "--client-secret-file", str(tmp_path / "secret"))
    assert secret_of(home, user) == oauth_sandbox.web.client_secret


def test_a_secret_is_read_from_the_environment(
    authorize: Run, user: str, confidential: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    authorize(user, *confidential, OAUTHMAIL_CLIENT_SECRET=oauth_sandbox.web.client_secret)
    assert secret_of(home, user) == oauth_sandbox.web.client_secret


def test_a_secret_is_asked_for_on_a_terminal_and_not_shown(
    user: str, confidential: list[str], home: Path, tmp_path: Path, oauth_sandbox: Sandbox
) -> None:
    environment = {"BROWSER": browser(tmp_path, oauth_sandbox.ca_file)}
    with Terminal("authorize", user, *confidential, "--ask-secret", home=home, **environment) as terminal:
        terminal.expect("Client secret: ")
        terminal.type(oauth_sandbox.web.client_secret)
        assert terminal.end() == 0, terminal.shown
    assert (secret_of(home, user), oauth_sandbox.web.client_secret in terminal.shown) == (
        oauth_sandbox.web.client_secret,
        False,
    )


def test_a_secret_is_read_from_standard_input_where_there_is_no_terminal(
    authorize: Run, user: str, confidential: list[str], home: Path, oauth_sandbox: Sandbox
) -> None:
    authorize(user, *confidential, "--ask-secret", text=f"{oauth_sandbox.web.client_secret}\n")
    assert secret_of(home, user) == oauth_sandbox.web.client_secret


def test_googles_file_names_the_application(
    authorize: Run, user: str, options: list[str], home: Path, tmp_path: Path, oauth_sandbox: Sandbox
) -> None:
    web = oauth_sandbox.web
    path = tmp_path / "client_secret.json"
    path.write_text(json.dumps({"installed": {"client_id": web.client_id, "client_secret": web.client_secret}}))
    authorize(user, *options[:2], "--client-secrets", str(path), "--no-check")
    assert secret_of(home, user) == web.client_secret


# --- what cannot be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["me@contoso.com"], "--provider: google for Google Workspace, microsoft365", id="unknown domain"),
        pytest.param(["me@gmail.com"], "docs/gmail.rst", id="no application"),
        pytest.param(["me@outlook.com"], "docs/outlook.rst", id="no application at Outlook.com"),
        pytest.param(["me@x.test", "--provider", "microsoft365"], "docs/microsoft365.rst", id="nor at Microsoft 365"),
        pytest.param(["me@aol.com"], "docs/yahoo.rst", id="nor at AOL"),
        pytest.param(["me@mail.ru"], "docs/other-providers.rst", id="nor elsewhere"),
        pytest.param(["me@icloud.com"], "no OAuth for mail that is known", id="no OAuth there"),
        pytest.param(["me@x.test", "--provider", "gogle", "--client-id", "x"], "describe any other one", id="no id"),
        pytest.param(["me@x.test", "--provider", "/none.toml", "--client-id", "x"], "/none.toml: No", id="no file"),
        pytest.param(["me@gmail.com", "--tenant", "t", "--client-id", "x"], "has no tenants", id="no tenants"),
        pytest.param(["me@gmail.com", "--client-secrets", "/none"], "/none: No such file", id="no client secrets"),
    ],
)
def test_what_is_missing_is_said_with_its_cure(home: Path, arguments: list[str], told: str) -> None:
    run = oauthmail("authorize", *arguments, home=home)
    assert (run.returncode, run.stdout, told in run.stderr) == (1, "", True), run.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--client-secret-file", "x"], "--client-secret-file goes with --client-id", id="secret alone"),
        pytest.param(["--certificate", "x", "--client-id", "x"], "--certificate goes with --private-key", id="no key"),
        pytest.param(["--paste", "--device"], "not allowed with argument", id="two ways"),
        pytest.param(["--client-id", "x", "--client-secrets", "y"], "not allowed with argument", id="two applications"),
        pytest.param(["--protocol", "http"], "invalid choice", id="no such protocol"),
        pytest.param(["--timeout", "never"], "invalid seconds value", id="no number"),
    ],
)
def test_arguments_at_odds_are_a_usage_error(home: Path, arguments: list[str], told: str) -> None:
    run = oauthmail("authorize", "me@gmail.com", *arguments, home=home)
    assert (run.returncode, told in run.stderr) == (2, True), run.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"", "must hold the secret and nothing else", id="empty"),
        pytest.param(b"one\ntwo\n", "must hold the secret and nothing else", id="two lines"),
        pytest.param(b'{"installed": {}}', "pass it as --client-secrets", id="JSON"),
        pytest.param(b"\xff\xfe", "is not text", id="binary"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_without_a_word_of_it(
    home: Path, tmp_path: Path, content: bytes, told: str
) -> None:
    (tmp_path / "secret").write_bytes(content)
    run = oauthmail(
        "authorize", "me@gmail.com", "--client-id", "x", "--client-secret-file", str(tmp_path / "secret"), home=home
    )
    assert (run.returncode, told in run.stderr) == (1, True), run.stderr


def test_another_providers_application_is_not_used(home: Path, oauth_sandbox: Sandbox, user: str) -> None:
    set_up(home, oauth_sandbox, user)
    run = oauthmail("authorize", user, "--provider", "google", home=home)
    assert (run.returncode, "no application is named" in run.stderr) == (1, True)


def test_a_damaged_record_is_replaced_and_kept_aside_when_all_is_said(
    authorize: Run, user: str, options: list[str], home: Path
) -> None:
    home.mkdir(mode=0o700)
    (home / f"{user}.json").touch(0o600)
    assert authorize(user, "--no-check").returncode == 1
    assert authorize(user, *options, "--no-check").returncode == 0
    assert (home / f"{user}.json.corrupt-1").exists()


def test_a_store_that_cannot_be_written_is_told_before_anybody_signs_in(
    authorize: Run, user: str, options: list[str], home: Path
) -> None:
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    run = authorize(user, *options)
    assert (run.returncode, "chmod 700" in run.stderr, "tokens are kept" in run.stderr) == (1, True, False)


def test_the_tenant_can_be_changed(home: Path) -> None:
    record = Record("me@contoso.com", "microsoft365", "authorization_code", Application("client"), tenant="common")
    store = FileStore(home)
    with store.lock("me@contoso.com"):
        store.save(record)
    with Terminal("authorize", "me@contoso.com", "--tenant", "contoso.com", "--no-browser", home=home) as terminal:
        assert "https://login.microsoftonline.com/contoso.com/" in terminal.expect("--paste.")


def test_the_sandbox_is_a_provider_that_can_be_written_as_toml(oauth_sandbox: Sandbox, tmp_path: Path) -> None:
    assert providers.load(toml_of(oauth_sandbox.provider, tmp_path)) == oauth_sandbox.provider
