"""The command lines of Google's scripts, as other programs call them and read what they print."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from oauthmail.sandbox import Sandbox
from oauthmail.testing import Mailbox

from .google_rig import ROOT, TIMEOUT, command, environment, program, verifier, visit

OAUTH2 = "oauthmail.compat.google"
XOAUTH = "oauthmail.compat.google.xoauth"


@pytest.fixture
def sandbox(oauth_mailbox: Mailbox) -> Sandbox:
    return oauth_mailbox.sandbox


def client(sandbox: Sandbox) -> list[str]:
    return [f"--client_id={sandbox.web.client_id}", f"--client_secret={sandbox.web.client_secret}"]


@pytest.fixture
def refresh_token(sandbox: Sandbox, oauth_mailbox: Mailbox) -> str:
    """One that a person has agreed to, as `generate` below gets it."""
    return generate(sandbox, in_browser(sandbox, oauth_mailbox))[1][0]


def in_browser(sandbox: Sandbox, mailbox: Mailbox) -> Callable[[str], None]:
    """Return a person who agrees in a browser on this machine, and types nothing."""

    def agree(address: str) -> None:
        visit(sandbox, address, mailbox.user)

    return agree


def generate(sandbox: Sandbox, person: Callable[[str], str | None], *words: str) -> tuple[str, list[str]]:
    """Run ``--generate_oauth2_token``: *person* is told the address and returns what to type.

    Returns:
        What was printed, and the values in it.
    """
    words = words or tuple(client(sandbox))
    with subprocess.Popen(
        [*program(OAUTH2, sandbox), "--generate_oauth2_token", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(sandbox),
    ) as process:
        assert process.stdout is not None
        printed = process.stdout.readline() + (line := process.stdout.readline())
        rest = answered(process, person(line.strip()))
    return printed + rest, re.findall("[^:\n]+: (.*)", rest.partition("code: ")[2])


def answered(process: subprocess.Popen[str], typed: str | None) -> str:
    """Type something, or nothing at all, and return the rest of what is printed."""
    # Not communicate(), which does not know what has been read ahead.
    assert process.stdin is not None
    assert process.stdout is not None
    if typed is not None:
        process.stdin.write(f"{typed}\n")
    process.stdin.close()
    return process.stdout.read()


# --- oauth2.py ------------------------------------------------------------------------------------------------------


def test_generating_a_token_prints_what_it_always_printed(sandbox: Sandbox, oauth_mailbox: Mailbox) -> None:
    printed, _ = generate(sandbox, in_browser(sandbox, oauth_mailbox))
    assert re.fullmatch(
        "To authorize token, visit this url and follow the directions:\n"
        "  https://.*\n"
        "Enter verification code: \n"
        "Refresh Token: [\\w-]{43}\n"
        "Access Token: [\\w-]{40}\n"
        "Access Token Expiration Seconds: 3600\n",
        printed,
    )


def test_what_is_typed_is_taken(sandbox: Sandbox, oauth_mailbox: Mailbox) -> None:
    _, values = generate(
        sandbox,
        lambda address: visit(sandbox, address, oauth_mailbox.user, follow=False).headers["Location"],
    )
    assert len(values) == 3


def test_another_scope_is_asked_for(sandbox: Sandbox, oauth_mailbox: Mailbox) -> None:
    printed, values = generate(
        sandbox,
        in_browser(sandbox, oauth_mailbox),
        *client(sandbox),
        "--scope",
        "imap offline_access",
    )
    assert "scope=imap+offline_access" in printed.replace("%20", "+")
    assert sandbox.state.judge(values[1], oauth_mailbox.user, "smtp").reason == "scope"


def test_a_refresh_token_brings_an_access_token(sandbox: Sandbox, refresh_token: str) -> None:
    done = command(OAUTH2, sandbox, *client(sandbox), f"--refresh_token={refresh_token}")
    assert re.fullmatch("Access Token: [\\w-]{40}\nAccess Token Expiration Seconds: 3600\n", done.stdout), done.stderr


def test_quiet_prints_the_access_token_alone(sandbox: Sandbox, oauth_mailbox: Mailbox, refresh_token: str) -> None:
    # Options as optparse takes them: an abbreviation, values apart, and words that belong to none.
    words = ["--client_i", sandbox.web.client_id, "--client_secret", sandbox.web.client_secret]
    done = command(OAUTH2, sandbox, *words, "--refresh_token", refresh_token, "--quiet", f"--user={oauth_mailbox.user}")
    assert sandbox.state.judge(done.stdout.strip(), oauth_mailbox.user, "imap").user == oauth_mailbox.user


def test_secrets_are_read_from_files_and_the_environment(sandbox: Sandbox, refresh_token: str, tmp_path: Path) -> None:
    (tmp_path / "refresh").write_text(f"{refresh_token}\n", "utf-8")
    words = [f"--client_id={sandbox.web.client_id}", f"--refresh_token_file={tmp_path / 'refresh'}", "--quiet"]
    done = command(OAUTH2, sandbox, *words, OAUTHMAIL_CLIENT_SECRET=sandbox.web.client_secret)
    assert re.fullmatch("[\\w-]{40}\n", done.stdout), done.stderr


def test_a_client_secret_is_read_from_a_file(sandbox: Sandbox, refresh_token: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(sandbox.web.client_secret, "utf-8")
    words = [f"--client_id={sandbox.web.client_id}", f"--client_secret_file={tmp_path / 'secret'}"]
    done = command(OAUTH2, sandbox, *words, f"--refresh_token={refresh_token}", "--quiet", OAUTHMAIL_CLIENT_SECRET="x")
    assert re.fullmatch("[\\w-]{40}\n", done.stdout), done.stderr


@pytest.mark.parametrize("content", ["", "two words", "two\nlines\n"])
def test_a_file_that_holds_more_than_a_secret_is_refused(sandbox: Sandbox, tmp_path: Path, content: str) -> None:
    file = tmp_path / "secret"
    file.write_text(content, "utf-8")
    done = command(OAUTH2, sandbox, f"--client_secret_file={file}", "--refresh_token=x")
    assert (done.returncode, done.stderr) == (1, f"error: {file} must hold the secret and nothing else\n")


def test_a_dead_refresh_token_is_said_to_be_dead(sandbox: Sandbox, refresh_token: str) -> None:
    sandbox.web.store.end_grant(sandbox.web.store.refresh_tokens[refresh_token].grant)
    done = command(OAUTH2, sandbox, *client(sandbox), f"--refresh_token={refresh_token}")
    assert done.returncode == 77
    assert done.stderr.startswith("error: invalid_grant")
    assert refresh_token not in done.stderr


def test_a_client_without_a_secret_says_so(sandbox: Sandbox, oauth_mailbox: Mailbox) -> None:
    words = [f"--client_id={sandbox.web.public_client_id}", "--client_secret="]
    _, values = generate(sandbox, in_browser(sandbox, oauth_mailbox), *words)
    assert len(values) == 3


MESSAGE = base64.b64encode(b"user=me@example.com\x01auth=Bearer token\x01\x01").decode()


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        pytest.param([], f"OAuth2 argument:\n{MESSAGE}\n", id="in words"),
        pytest.param(["--quiet"], f"{MESSAGE}\n", id="quiet"),
    ],
)
def test_a_message_is_printed(sandbox: Sandbox, words: list[str], printed: str) -> None:
    done = command(OAUTH2, sandbox, "--generate_oauth2_string", "--user=me@example.com", "--access_token=token", *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


@pytest.mark.parametrize("test", ["imap", "smtp"])
def test_a_login_is_tried_out(sandbox: Sandbox, oauth_mailbox: Mailbox, test: str) -> None:
    words = [f"--user={oauth_mailbox.user}", f"--access_token={oauth_mailbox.token}"]
    done = command(OAUTH2, sandbox, f"--test_{test}_authentication", *words)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
    assert "XOAUTH2 [redacted]" in done.stderr
    assert oauth_mailbox.token not in done.stderr


@pytest.mark.parametrize("test", ["imap", "smtp"])
def test_a_refused_login_is_said_to_be_refused(sandbox: Sandbox, oauth_mailbox: Mailbox, test: str) -> None:
    words = [f"--user={oauth_mailbox.user}", "--access_token=wrong"]
    done = command(OAUTH2, sandbox, f"--test_{test}_authentication", *words)
    assert done.returncode == 1
    assert "error: the server refused XOAUTH2" in done.stderr


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["--generate_oauth2_token"], "client_id client_secret"),
        (["--refresh_token=x", "--client_id=x"], "client_secret"),
        (["--generate_oauth2_string", "--user=me"], "access_token"),
        (["--test_smtp_authentication", "--access_token=x"], "user"),
    ],
)
def test_what_is_missing_is_named(sandbox: Sandbox, words: list[str], missing: str) -> None:
    done = command(OAUTH2, sandbox, *words, OAUTHMAIL_CLIENT_SECRET="")
    assert (done.returncode, done.stderr) == (255, f"Missing options: {missing}\n")


@pytest.mark.parametrize(("module", "words"), [(OAUTH2, []), (XOAUTH, ["--user=me@example.com"])])
def test_without_anything_to_do_the_options_are_shown(sandbox: Sandbox, module: str, words: list[str]) -> None:
    done = command(module, sandbox, *words)
    assert done.returncode == 0
    assert "_file=FILE" in done.stdout
    assert done.stdout.endswith("Nothing to do, exiting.\n")


@pytest.mark.parametrize("typed", ["", "early"], ids=["nothing", "Enter too early"])
def test_at_a_terminal_the_browser_answers_the_question(sandbox: Sandbox, oauth_mailbox: Mailbox, typed: str) -> None:
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*program(OAUTH2, sandbox), "--generate_oauth2_token", *client(sandbox)],
        stdin=theirs,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(sandbox),
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        process.stdout.readline()
        address = process.stdout.readline().strip()
        if typed:
            os.write(ours, b"\n")
        visit(sandbox, address, oauth_mailbox.user)
        rest = process.stdout.read()
    os.close(ours)
    assert re.findall("^([^:\n]+): ", rest, re.MULTILINE)[1:] == [
        "Refresh Token",
        "Access Token",
        "Access Token Expiration Seconds",
    ]


ELSEWHERE = """
import sys
import oauthmail.compat.google as oauth2
oauth2.GOOGLE_ACCOUNTS_BASE_URL, oauth2.REDIRECT_URI = sys.argv[1:3]
print(*oauth2.get_authorization(*sys.argv[3:5]))
"""


def test_at_a_terminal_the_code_is_awaited_where_the_browser_cannot_bring_it(
    sandbox: Sandbox, oauth_mailbox: Mailbox
) -> None:
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    ours, theirs = pty.openpty()
    elsewhere = "https://example.com/code"
    sandbox.web.allow_redirect(elsewhere)
    values = [str(sandbox.web.https_url), elsewhere, sandbox.web.client_id, sandbox.web.client_secret]
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", ELSEWHERE, *values],
        stdin=theirs,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(sandbox),
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        address = "https://" + process.stdout.readline().partition("https://")[2].strip()
        location = visit(sandbox, address, oauth_mailbox.user, follow=False).headers["Location"]
        os.write(ours, f"{location}\n".encode())
        rest = process.stdout.read()
    os.close(ours)
    assert re.fullmatch("Enter verification code: [\\w-]{43} [\\w-]{40} 3600\n", rest)


# --- xoauth.py ------------------------------------------------------------------------------------------------------


def consumer(sandbox: Sandbox) -> list[str]:
    web = sandbox.web
    return [f"--consumer_key={web.oauth1_client_key}", f"--consumer_secret={web.oauth1_client_secret}"]


def test_a_token_of_oauth_1_is_generated(sandbox: Sandbox, oauth_mailbox: Mailbox) -> None:
    with subprocess.Popen(
        [*program(XOAUTH, sandbox), "--generate_oauth_token", f"--user={oauth_mailbox.user}", *consumer(sandbox)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(sandbox),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("To authorize token, visit this url and follow the directions")
        code = verifier(sandbox, process.stdout.readline().strip(), oauth_mailbox.user)
        printed = answered(process, code)
    values = re.findall("(oauth_token|oauth_token_secret): (\\S+)$", printed, re.MULTILINE)
    assert [name for name, _ in values] == ["oauth_token", "oauth_token_secret"] * 2
    assert sandbox.state.oauth1_tokens[values[2][1]].secret == values[3][1]


def test_a_token_of_oauth_1_is_generated_in_two_runs(sandbox: Sandbox, oauth_mailbox: Mailbox, tmp_path: Path) -> None:
    start = ["--generate_oauth_token", f"--user={oauth_mailbox.user}", *consumer(sandbox)]
    first = command(XOAUTH, sandbox, *start).stdout
    address, token, secret = re.findall("(https://.*|(?<=token: ).*|(?<=secret: ).*)$", first, re.MULTILINE)
    (tmp_path / "secret").write_text(secret, "utf-8")
    words = [
        f"--oauth_request_token={token}",
        f"--oauth_request_token_secret_file={tmp_path / 'secret'}",
        f"--oauth_verifier={verifier(sandbox, address, oauth_mailbox.user)}",
    ]
    second = command(XOAUTH, sandbox, *start, *words)
    (key,) = re.findall("^oauth_token: (.*)$", second.stdout, re.MULTILINE)
    assert sandbox.state.oauth1_tokens[key].user == oauth_mailbox.user


def issued(sandbox: Sandbox, mailbox: Mailbox) -> list[str]:
    values = sandbox.issue_oauth1(mailbox.user)
    return [
        f"--user={mailbox.user}",
        f"--consumer_key={values.client_key}",
        f"--consumer_secret={values.client_secret}",
        f"--oauth_token={values.resource_owner_key}",
        f"--oauth_token_secret={values.resource_owner_secret}",
    ]


@pytest.mark.parametrize("test", ["imap", "smtp"])
def test_a_login_with_a_token_is_tried_out(sandbox: Sandbox, oauth_mailbox: Mailbox, test: str) -> None:
    done = command(XOAUTH, sandbox, f"--test_{test}_authentication", *issued(sandbox, oauth_mailbox))
    assert done.returncode == 0, done.stderr
    assert any("XOAUTH" in line for line in oauth_mailbox.received(test))


def test_a_login_to_smtp_is_signed_for_smtp(sandbox: Sandbox, oauth_mailbox: Mailbox) -> None:
    words = ["--test_smtp_authentication", "--generate_xoauth_string", "--quiet"]
    done = command(XOAUTH, sandbox, *words, *issued(sandbox, oauth_mailbox))
    message = base64.b64decode(done.stdout.split()[0]).decode()
    assert message.startswith(f"GET https://mail.google.com/mail/b/{oauth_mailbox.user}/smtp/ ")


@pytest.mark.parametrize("form", ["--xoauth_requestor_id", "--two_legged"])
def test_a_login_without_a_token_is_tried_out(
    sandbox: Sandbox, oauth_mailbox: Mailbox, form: str, tmp_path: Path
) -> None:
    values = sandbox.issue_oauth1(oauth_mailbox.user, two_legged=True)
    (tmp_path / "secret").write_text(values.client_secret, "utf-8")
    words = [f"--consumer_key={values.client_key}", f"--consumer_secret_file={tmp_path / 'secret'}"]
    words.append(form if form == "--two_legged" else f"{form}={oauth_mailbox.user}")
    done = command(XOAUTH, sandbox, "--test_imap_authentication", f"--user={oauth_mailbox.user}", *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "before"),
    [
        pytest.param([], "XOAUTH string (base64-encoded): ", id="in words"),
        pytest.param(["--quiet"], "", id="quiet"),
    ],
)
def test_a_signed_message_is_printed(sandbox: Sandbox, oauth_mailbox: Mailbox, words: list[str], before: str) -> None:
    fixed = ["--nonce=n", "--timestamp=1", "--proto=smtp", "--xoauth_request_url_base=https://mail.example.com/"]
    done = command(XOAUTH, sandbox, "--generate_xoauth_string", *issued(sandbox, oauth_mailbox), *fixed, *words)
    message = base64.b64decode(done.stdout.strip().removeprefix(before)).decode()
    assert message.startswith(f"GET https://mail.example.com/mail/b/{oauth_mailbox.user}/smtp/ oauth_consumer_key=")
    assert 'oauth_nonce="n"' in message
    assert 'oauth_timestamp="1"' in message


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param([], "ERROR: --user is required.", id="no user"),
        pytest.param(["--user=me", "--generate_xoauth_string"], "and --xoauth_requestor_id", id="anonymous, no token"),
        pytest.param(
            ["--user=me", "--generate_xoauth_string", "--oauth_token=x"], "and --xoauth_requestor_id", id="no secret"
        ),
        pytest.param(
            ["--user=me", "--generate_xoauth_string", "--two_legged"], "and --xoauth_requestor_id", id="anonymous"
        ),
    ],
)
def test_insufficient_options_are_refused(sandbox: Sandbox, words: list[str], why: str) -> None:
    done = command(XOAUTH, sandbox, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"{why}\n")


def test_googles_own_end_of_oauth_1_is_explained(sandbox: Sandbox) -> None:
    # Nothing goes out: there is no such proxy.
    words = ["--generate_oauth_token", "--user=me@gmail.com"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", XOAUTH, *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(sandbox, HTTPS_PROXY="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9"),
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 75
    assert "the proxy to www.google.com" in done.stderr
