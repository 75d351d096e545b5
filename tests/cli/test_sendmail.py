"""``oauthmail sendmail`` as other programs call a system's sendmail."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from oauthmail.sandbox import Sandbox
from oauthmail.testing import Mailbox

from .rig import oauthmail, provider, set_up

# sysexits.h
EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_TEMPFAIL, EX_NOPERM = 64, 65, 67, 69, 75, 77

ADA = "ada@sendmail.test"
TEXT = f"From: a@x.test\nTo: Ada <{ADA}>\nSubject: Report\n\nIt works.\n"


@pytest.fixture
def user(oauth_mailbox: Mailbox, home: Path) -> str:
    """A mailbox that is set up."""
    set_up(home, oauth_mailbox.sandbox, oauth_mailbox.user)
    return oauth_mailbox.user


@pytest.fixture
def other(oauth_sandbox: Sandbox, home: Path) -> str:
    """Another one."""
    address = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, address)
    return address


@pytest.fixture
def to(oauth_sandbox: Sandbox) -> str:
    """An address of the test's own."""
    return oauth_sandbox.new_user()


def sendmail(*arguments: str, home: Path, text: str = TEXT, **environment: str) -> subprocess.CompletedProcess[str]:
    # Neither is to come from whoever runs the tests.
    settings = {"OAUTHMAIL_ACCOUNT": "", "OAUTHMAIL_POSTMASTER": "", **environment}
    return oauthmail("sendmail", *arguments, home=home, text=text, **settings)


def arrived(sandbox: Sandbox, address: str) -> list[bytes]:
    return [message.octets for message in sandbox.mailboxes.messages(address)]


def from_(line: str) -> str:
    return line.partition(":<")[2].partition(">")[0]


# --- as programs call it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-i"], id="git send-email"),
        pytest.param(["-oem", "-oi", "--"], id="mutt"),
        pytest.param(["-FCronDaemon", "-i", "-odi", "-oem"], id="cron"),
        pytest.param(["-bm", "-v", "-B8BITMIME", "-N", "never", "-O", "DeliveryMode=b", "-U"], id="the rest"),
        pytest.param(["-ti"], id="letters together"),
    ],
)
def test_a_message_is_sent_as_programs_ask_for_it(
    oauth_sandbox: Sandbox, user: str, home: Path, to: str, arguments: list[str]
) -> None:
    run = sendmail(*arguments, to, home=home)
    assert (run.returncode, run.stdout) == (0, "")
    assert arrived(oauth_sandbox, to)[0].endswith(TEXT.replace("\n", "\r\n").encode())


def test_php_names_nobody_but_in_the_header(oauth_sandbox: Sandbox, user: str, home: Path, to: str) -> None:
    text = f"To: {to}\r\nSubject: x\r\nBcc: bcc-{to}\r\n\r\ntext\r\n"
    assert sendmail("-t", "-i", home=home, text=text).returncode == 0
    assert [len(arrived(oauth_sandbox, address)) for address in (to, f"bcc-{to}")] == [1, 1]
    assert b"bcc" not in arrived(oauth_sandbox, to)[0].lower()


def test_recipients_on_the_command_line_come_to_those_of_the_header(
    oauth_sandbox: Sandbox, user: str, home: Path, to: str
) -> None:
    sendmail("-t", f"other-{to}", home=home, text=f"To: {to}\n\ntext\n")
    assert [len(arrived(oauth_sandbox, address)) for address in (to, f"other-{to}")] == [1, 1]


def test_missing_fields_are_added(oauth_sandbox: Sandbox, user: str, home: Path, to: str) -> None:
    sendmail("-F", "Ada Lovelace", to, home=home, text="only text\n")
    assert re.fullmatch(
        rf"From: Ada Lovelace <{user}>\r\nDate: .*\r\nMessage-ID: <\w+@sandbox\.test>\r\n\r\nonly text\r\n",
        arrived(oauth_sandbox, to)[0].decode(),
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], b"one\r\n"),
        (["-i"], b"one\r\n.\r\ntwo\r\n"),
        (["-oi"], b"one\r\n.\r\ntwo\r\n"),
    ],
)
def test_a_dot_ends_a_message_unless_told_otherwise(
    oauth_sandbox: Sandbox, user: str, home: Path, to: str, arguments: list[str], expected: bytes
) -> None:
    sendmail(*arguments, to, home=home, text="Subject: x\n\none\n.\ntwo\n")
    assert arrived(oauth_sandbox, to)[0].endswith(b"\r\n\r\n" + expected)


def test_it_says_what_the_server_said_on_request(user: str, home: Path, to: str) -> None:
    assert sendmail("-v", to, home=home).stderr == f"accepted for {to}: 250 2.0.0 OK\n"


def test_there_is_no_queue_to_run(user: str, home: Path) -> None:
    run = sendmail("-q", home=home)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


# --- who sends --------------------------------------------------------------------------------------------------------


def test_the_sender_on_the_command_line_sends(
    oauth_mailbox: Mailbox, user: str, other: str, home: Path, to: str
) -> None:
    assert sendmail("-f", user.upper(), to, home=home, text=f"From: {other}\n\nx\n").returncode == 0
    assert [from_(line) for line in oauth_mailbox.received("smtp") if line.startswith("mail ")] == [user.upper()]


@pytest.mark.parametrize(
    ("arguments", "text", "account", "status"),
    [
        pytest.param([], "From: Me <{user}>\n\nx\n", "", 0, id="header"),
        pytest.param(["-f", "nobody@x.test"], "From: {user}\n\nx\n", "", 0, id="header, as the other is not set up"),
        pytest.param([], "From: nobody@x.test\n\nx\n", "{user}", 0, id="environment"),
        pytest.param([], "From: nobody@x.test\n\nx\n", "", EX_NOPERM, id="nothing"),
    ],
)
def test_one_of_two_mailboxes_sends(
    oauth_mailbox: Mailbox,
    user: str,
    other: str,
    home: Path,
    to: str,
    arguments: list[str],
    text: str,
    account: str,
    status: int,
) -> None:
    account = account.format(user=user)
    run = sendmail(*arguments, to, home=home, text=text.format(user=user), OAUTHMAIL_ACCOUNT=account)
    logins = [line for line in oauth_mailbox.received("smtp") if line.startswith("AUTH")]
    assert (run.returncode, len(logins)) == (status, 0 if status else 1)
    if status:
        assert f"Set up are {user}, {other}: name one with -f" in run.stderr


def test_without_a_mailbox_it_says_how_to_set_one_up(home: Path) -> None:
    run = sendmail(ADA, home=home)
    assert (run.returncode, "oauthmail authorize ADDRESS" in run.stderr) == (EX_NOPERM, True)


# --- this machine's own users -----------------------------------------------------------------------------------------

CRON = "From: root (Cron Daemon)\nTo: root\nCc: ada@x.test\nSubject: Cron <root@host> true\n\noutput\n"


def test_a_user_of_this_machine_is_refused_with_the_cure(user: str, home: Path) -> None:
    run = sendmail("-t", home=home, text=CRON)
    assert (run.returncode, "root is a user of this machine" in run.stderr) == (EX_DATAERR, True)
    assert "OAUTHMAIL_POSTMASTER" in run.stderr


@pytest.mark.parametrize("way", ["option", "environment"])
def test_crons_mail_goes_to_whom_it_may_concern(
    oauth_sandbox: Sandbox, user: str, home: Path, to: str, way: str
) -> None:
    if way == "option":
        run = sendmail("-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "--root", to, home=home, text=CRON)
    else:
        run = sendmail("-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", home=home, text=CRON, OAUTHMAIL_POSTMASTER=to)
    assert (run.returncode, run.stderr) == (0, "")
    (message,) = arrived(oauth_sandbox, to)
    header = message.decode().split("\r\n")
    assert [line for line in header if line[:5] in ("From:", "To: r", "Cc: a")] == [
        f"From: Cron Daemon <{user}>",
        f"To: root <{to}>",
        "Cc: ada@x.test",
    ]


def test_a_local_sender_is_none(oauth_mailbox: Mailbox, user: str, home: Path, to: str) -> None:
    sendmail("-f", "www-data@localhost", to, home=home)
    assert [from_(line) for line in oauth_mailbox.received("smtp") if line.startswith("mail ")] == [user]


def test_the_sender_can_be_nobody(oauth_mailbox: Mailbox, user: str, home: Path, to: str) -> None:
    sendmail("-f", "<>", to, home=home)
    assert [from_(line) for line in oauth_mailbox.received("smtp") if line.startswith("mail ")] == [""]


# --- exit statuses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text", "status", "said"),
    [
        pytest.param(["-f"], TEXT, EX_USAGE, "expected one argument", id="usage"),
        pytest.param(["-bs"], TEXT, EX_USAGE, "-bs is not supported", id="another mode"),
        pytest.param([ADA], "", EX_DATAERR, "the message is empty", id="empty"),
        pytest.param([], TEXT, EX_DATAERR, "expected recipients on the command line, or -t", id="nobody"),
        pytest.param(
            ["-t"], "Subject: x\n\nx\n", EX_DATAERR, "in its fields To, Cc and Bcc", id="nobody in the header"
        ),
        pytest.param(["-t"], "To: a b c\n\nx\n", EX_DATAERR, "header field To is no", id="no address"),
        pytest.param([f"{ADA}\nRCPT TO:<x@y>"], TEXT, EX_DATAERR, "line end", id="injection"),
        pytest.param(["x@refused.test"], TEXT, EX_NOUSER, "was refused: 550 5.1.1 No such user", id="no such user"),
    ],
)
def test_the_exit_status_is_sendmails(
    user: str, home: Path, arguments: list[str], text: str, status: int, said: str
) -> None:
    run = sendmail(*arguments, home=home, text=text)
    assert (run.returncode, said in run.stderr, "Traceback" in run.stderr) == (status, True, False)


def test_a_server_that_is_not_there_is_a_temporary_failure(oauth_sandbox: Sandbox, user: str, home: Path) -> None:
    set_up(home, oauth_sandbox, user, definition=provider(oauth_sandbox, smtp="localhost:1"))
    assert sendmail(ADA, home=home).returncode == EX_TEMPFAIL


def test_a_login_that_fails_for_now_is_a_temporary_failure(oauth_mailbox: Mailbox, user: str, home: Path) -> None:
    oauth_mailbox.fault("temporary", service="smtp")
    assert sendmail(ADA, home=home).returncode == EX_TEMPFAIL


def test_a_login_that_is_refused_needs_somebody(oauth_mailbox: Mailbox, user: str, home: Path) -> None:
    oauth_mailbox.fault("smtp_disabled", service="smtp")
    run = sendmail(ADA, home=home)
    assert (run.returncode, "Sign in again" in run.stderr) == (EX_NOPERM, True)


@pytest.mark.parametrize(("arguments", "status"), [(["--unknown"], EX_USAGE), (["--help"], 0)])
def test_it_can_be_a_program_of_its_own(home: Path, arguments: list[str], status: int) -> None:
    program = "import sys; from oauthmail.cli.sendmail import main; sys.exit(main())"
    run = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, timeout=30, check=False)
    assert run.returncode == status
