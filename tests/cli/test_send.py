"""``oauthmail send`` as a process of its own, to the sandbox."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oauthmail import FileStore
from oauthmail.credentials import OAuth2Credentials
from oauthmail.sending.journal import open_journal
from oauthmail.testing import Mailbox

from ..scripted import Certificates
from ..sending.post_office import USER, PostOffice, record, serving
from .rig import oauthmail, refresh_token, set_up
from .send_docs import SCREEN, normalised, on_a_terminal, screen

MESSAGE = "From: a@x.test\nTo: {}\nSubject: Report\n\n.dots\n..and more\n"


@pytest.fixture
def mailbox(oauth_mailbox: Mailbox, home: Path) -> Mailbox:
    """A mailbox that is set up."""
    set_up(home, oauth_mailbox.sandbox, oauth_mailbox.user)
    return oauth_mailbox


class Sender:
    """Runs ``oauthmail send`` for a mailbox."""

    def __init__(self, mailbox: Mailbox, home: Path, folder: Path) -> None:
        self.mailbox, self.home, self.folder = mailbox, home, folder
        # Addresses of this test's own, as all tests share a sandbox.
        self.domain = mailbox.user.partition("@")[0] + ".test"

    def __call__(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return oauthmail("send", self.mailbox.user, *arguments, home=self.home, text=text)

    def address(self, name: str) -> str:
        return f"{name}@{self.domain}"

    def arrived(self, name: str) -> list[bytes]:
        """Return what has arrived at an address."""
        return [found.octets for found in self.mailbox.sandbox.mailboxes.messages(self.address(name))]

    def table(self, *names: str) -> list[str]:
        """Write a table of people and return the arguments that send to them."""
        path = self.folder / "people.csv"
        path.write_text("to,name\n" + "".join(f"{self.address(name)},{name}\n" for name in names))
        return ["--csv", str(path), "--subject", "Hello {name}", "--text", "Dear {name}"]

    def write(self, name: str, content: str) -> str:
        path = self.folder / name
        path.write_text(content)
        return str(path)


@pytest.fixture
def send(mailbox: Mailbox, home: Path, tmp_path: Path) -> Sender:
    return Sender(mailbox, home, tmp_path)


def lines(run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.stdout.splitlines()]


# --- one message ------------------------------------------------------------------------------------------------------


def test_a_message_is_sent_and_nothing_said(send: Sender) -> None:
    run = send("--to", send.address("ada"), "--subject", "Grüße", "--text", "It works.")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    (message,) = send.arrived("ada")
    assert b"Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n" in message
    assert message.endswith(b"\r\n\r\nIt works.\r\n")


def test_a_message_id_tells_nothing_of_this_machine(send: Sender) -> None:
    send("--to", send.address("ada"), "--text", "x")
    assert re.search(rb"^Message-ID: <[0-9a-f]{32}@sandbox\.test>\r$", send.arrived("ada")[0], re.MULTILINE)


def test_everybody_gets_one_copy(send: Sender) -> None:
    ada, bob, eve = map(send.address, ("ada", "bob", "eve"))
    run = send("--to", f"Ada <{ada}>, {bob}", "--cc", ada, "--bcc", eve, "--text", "x", "--json")
    assert lines(run)[0]["accepted"] == [ada, bob, eve]
    assert [len(send.arrived(name)) for name in ("ada", "bob", "eve")] == [1, 1, 1]
    assert b"eve@" not in send.arrived("eve")[0]


def test_files_and_standard_input_make_a_message(send: Sender) -> None:
    html, attached = send.write("a.html", "<p>"), send.write("b.txt", "attached")
    run = send(
        "--to", send.address("ada"), "--text-file", "-", "--html-file", html, "--attach", attached, text="typed in"
    )
    assert run.returncode == 0
    (message,) = send.arrived("ada")
    assert [part in message for part in (b"typed in", b"<p>", b'filename="b.txt"')] == [True, True, True]


def test_a_message_that_exists_is_sent_as_it_is(send: Sender) -> None:
    run = send("--message", "-", text=MESSAGE.format(send.address("ada")))
    assert run.returncode == 0
    assert send.arrived("ada")[0].endswith(
        f"From: a@x.test\r\nTo: {send.address('ada')}\r\nSubject: Report\r\n\r\n.dots\r\n..and more\r\n".encode()
    )


def test_another_sender_can_be_named(send: Sender) -> None:
    send("--from", "Info <info@x.test>", "--to", send.address("ada"), "--text", "x")
    assert b"From: Info <info@x.test>\r\n" in send.arrived("ada")[0]
    assert any(line.lower().startswith("mail from:<info@x.test>") for line in send.mailbox.received("smtp"))


def test_a_refused_recipient_is_named_and_the_others_get_the_message(send: Sender) -> None:
    run = send("--to", f"nobody@refused.test, {send.address('ada')}", "--text", "x", "--json")
    assert (run.returncode, len(send.arrived("ada"))) == (1, 1)
    assert "refused for nobody@refused.test: 550 5.1.1 No such user here" in run.stderr
    (line,) = lines(run)
    assert line["refused"] == [
        {"address": "nobody@refused.test", "reply": "550 5.1.1 No such user here", "temporary": False}
    ]
    assert (line["index"], line["state"], line["reply"]) == (1, "refused", "250 2.0.0 OK")


def test_a_token_that_ends_is_renewed(send: Sender, home: Path) -> None:
    sandbox, user = send.mailbox.sandbox, send.mailbox.user
    credentials = OAuth2Credentials(send.mailbox.token, refresh_token=refresh_token(sandbox, user))
    set_up(home, sandbox, user, credentials=credentials)
    sandbox.expire_token(send.mailbox.token)
    assert send("--to", send.address("ada"), "--text", "x").returncode == 0
    assert len(send.arrived("ada")) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param(["--text", "x"], 1, "it goes to nobody", id="nobody"),
        pytest.param(["--to", "ada", "--text", "x"], 1, "--to is no address", id="no address"),
        pytest.param(["--to", "a@x.test"], 2, "nothing to send", id="nothing"),
        pytest.param(
            ["--to", "a@x.test", "--text", "x", "--subject", "a\nBcc: e@x.test"], 1, "line end", id="injection"
        ),
        pytest.param(["--to", "a@x.test", "--text", "x", "--attach", "missing"], 1, "missing", id="no such file"),
        pytest.param(["--message", "x", "--text", "x"], 2, "--text is for new messages", id="two kinds"),
        pytest.param(["--message", "x", "--mbox", "x"], 2, "not allowed with argument", id="two sources"),
        pytest.param(["--text", "x", "--resend-doubtful"], 2, "needs --journal", id="no journal"),
    ],
)
def test_what_cannot_be_sent_is_told(send: Sender, arguments: list[str], status: int, said: str) -> None:
    run = send(*arguments)
    assert (run.returncode, said in run.stderr, "Traceback" in run.stderr) == (status, True, False)
    assert send.mailbox.received("smtp") == []


def test_a_mailbox_that_is_not_set_up_is_told_first(home: Path) -> None:
    run = oauthmail("send", "nobody@x.test", "--csv", "missing", "--text", "x", home=home)
    assert (run.returncode, "oauthmail authorize nobody@x.test" in run.stderr, home.exists()) == (1, True, False)


# --- many -------------------------------------------------------------------------------------------------------------


def test_a_second_run_sends_only_the_rest(send: Sender) -> None:
    send(*send.table("ada", "bob"))
    run = send(*send.table("ada", "bob", "eve"), "--json")
    assert [line["state"] for line in lines(run)] == ["accepted before", "accepted before", "accepted"]
    assert "2 of 3 messages settled by an earlier run: the other 1 are sent now\n(journal " in run.stderr
    assert [len(send.arrived(name)) for name in ("ada", "bob", "eve")] == [1, 1, 1]


def test_a_run_with_nothing_left_says_so(send: Sender) -> None:
    send(*send.table("ada"))
    run = send(*send.table("ada"))
    assert (run.returncode, "nothing is left to be sent" in run.stderr, "--again" in run.stderr) == (0, True, True)


def test_everything_is_sent_again_on_request(send: Sender) -> None:
    send(*send.table("ada"))
    assert send(*send.table("ada"), "--again").returncode == 0
    identities = {re.findall(rb"Message-ID: (.*)", message)[0] for message in send.arrived("ada")}
    # Providers keep one of two messages that are called the same.
    assert len(identities) == 2


def test_a_changed_text_is_another_message_and_that_is_said(send: Sender) -> None:
    send(*send.table("ada"))
    run = send(*send.table("ada")[:-1], "Dear {name}, it is me again")
    assert (len(send.arrived("ada")), "1 message of an earlier run not among these 1" in run.stderr) == (
        2,
        True,
    )


def test_what_was_refused_for_good_is_not_tried_again(send: Sender) -> None:
    path = send.write("people.csv", f"to\n{send.address('ada')}\nnobody@refused.test\n")
    send("--csv", path, "--text", "x")
    run = send("--csv", path, "--text", "x")
    assert (run.returncode, "refused for nobody@refused.test: 550 5.1.1 No such user here" in run.stderr) == (1, True)
    assert sum(line.lower().startswith("rcpt to:<nobody@") for line in send.mailbox.received("smtp")) == 1


def test_what_was_refused_for_good_is_tried_again_on_request(send: Sender) -> None:
    path = send.write("people.csv", "to\nnobody@refused.test\n")
    send("--csv", path, "--text", "x")
    send("--csv", path, "--text", "x", "--retry-refused")
    assert sum(line.lower().startswith("rcpt to:<nobody@") for line in send.mailbox.received("smtp")) == 2


def test_what_was_refused_for_now_is_tried_again_next_time(
    certificates: Certificates, home: Path, tmp_path: Path
) -> None:
    certificates.authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "people.csv").write_text("to\nada@x.test\n")
    store, statuses = FileStore(home), []
    office = PostOffice({"RCPT": ["450 4.2.1 Busy"]})
    for _ in range(2):
        with serving(office, certificates) as server:
            with store.lock(USER):
                store.save(record(server.port, str(tmp_path / "ca.pem")))
            run = oauthmail("send", USER, "--csv", str(tmp_path / "people.csv"), "--text", "x", home=home)
        statuses.append((run.returncode, "refused for now for ada@x.test: 450 4.2.1 Busy" in run.stderr))
    assert (statuses, len(office.messages)) == ([(75, True), (0, False)], 1)


def in_doubt(send: Sender) -> tuple[list[str], str]:
    """Leave a journal as a run that was killed in the middle of the second of two messages would have."""
    journal, arguments = send.folder / "journal", send.table("ada", "bob")
    send(*arguments, "--journal", str(journal))
    noted = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(noted[:-1]))
    return [*arguments, "--journal", str(journal)], json.loads(noted[-2])["message_id"]


def test_what_is_in_doubt_is_named_and_not_sent(send: Sender) -> None:
    arguments, message_id = in_doubt(send)
    run = send(*arguments)
    assert (run.returncode, len(send.arrived("bob"))) == (1, 1)
    assert f"line 3 of {send.folder}/people.csv {message_id}: may or may not have gone to" in run.stderr


def test_what_is_in_doubt_is_sent_on_request_as_the_same_message(send: Sender) -> None:
    arguments, message_id = in_doubt(send)
    assert send(*arguments, "--resend-doubtful").returncode == 0
    assert [message_id.encode() in message for message in send.arrived("bob")] == [True, True]
    assert send(*arguments).returncode == 0


def test_two_runs_at_once_are_one_too_many(send: Sender) -> None:
    journal = send.folder / "journal"
    with open_journal(journal):
        run = send(*send.table("ada"), "--journal", str(journal))
    assert (run.returncode, "another oauthmail send is at work" in run.stderr) == (1, True)


def test_a_row_that_cannot_be_sent_stops_everything_before_it_begins(send: Sender) -> None:
    path = send.write("people.csv", f"to\n{send.address('ada')}\nbob\n")
    run = send("--csv", path, "--text", "x")
    assert (run.returncode, f"line 3 of {path}: the column to is no address" in run.stderr) == (1, True)
    assert send.arrived("ada") == []


@pytest.mark.parametrize("kind", ["mbox", "maildir"])
def test_messages_of_a_mailbox_are_sent(send: Sender, kind: str) -> None:
    message = MESSAGE.format(send.address("ada"))
    if kind == "mbox":
        path = send.write("box", f"From a Mon Jan 1\n{message}\nFrom a Mon Jan 1\n{message}\n")
    else:
        for part in ("cur", "new", "tmp"):
            (send.folder / "box" / part).mkdir(parents=True)
        path = str(send.folder / "box")
        send.write("box/new/1.a", message)
        send.write("box/cur/2.b:2,S", message)
    first, second = (send(f"--{kind}", path, "--json") for _ in range(2))
    assert [line["state"] for line in lines(first)] == ["accepted", "accepted"]
    assert [line["state"] for line in lines(second)] == ["accepted before", "accepted before"]
    assert len(send.arrived("ada")) == 2


def test_a_dry_run_names_the_messages_and_sends_none(send: Sender) -> None:
    run = send(*send.table("ada", "bob"), "--dry-run")
    assert [line.split("\t")[::2] for line in run.stdout.splitlines()] == [
        ["1", send.address("ada")],
        ["2", send.address("bob")],
    ]
    assert (send.arrived("ada"), (send.home / "journals").exists()) == ([], False)


def test_what_became_of_each_is_told_on_request(send: Sender) -> None:
    run = send(*send.table("ada"), "--verbose")
    assert re.search(r"line 2 of .*: accepted for ada@.*: 250 2\.0\.0 OK\n1 message: 1 accepted\n$", run.stderr)


# --- what is shown where ----------------------------------------------------------------------------------------------


def test_a_terminal_shows_how_far_it_is(send: Sender) -> None:
    command = ["oauthmail", "send", send.mailbox.user, *send.table("ada", "bob")]
    shown = on_a_terminal(command, send.home, send.folder)
    assert re.fullmatch(r"\[#{24}\] 2/2 messages in \d+ s  2 accepted\n", shown)


def test_the_documentation_shows_what_is_printed() -> None:
    assert normalised(SCREEN.read_text("utf-8")) == normalised(screen())


def test_nothing_is_shown_where_nobody_looks(send: Sender) -> None:
    assert send(*send.table("ada", "bob")).stderr == ""


def test_ctrl_c_says_what_was_sent(send: Sender) -> None:
    names = [f"n{number}" for number in range(300)]
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "oauthmail", "send", send.mailbox.user, *send.table(*names)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OAUTHMAIL_HOME": str(send.home)},
    ) as process:
        assert send.mailbox.sandbox.mailboxes.wait(send.address("n10"), timeout=30)
        process.send_signal(signal.SIGINT)
        shown = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert re.search(r"stopped before the end of 300 messages: \d+ accepted; the same command again sends", shown)


def test_the_help_has_examples(home: Path) -> None:
    run = oauthmail("send", "--help", home=home)
    assert (run.returncode, "oauthmail send me@example.com --csv people.csv" in run.stdout) == (0, True)
