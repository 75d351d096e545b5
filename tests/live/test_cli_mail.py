"""``oauthmail send``, ``sendmail`` and ``fetch`` as processes of their own, over Dovecot and Postfix."""

from __future__ import annotations

import contextlib
import json
import mailbox
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oauthmail import IMAP4_SSL, Application, FileStore, OAuth2Credentials
from oauthmail.records import Record
from oauthmail.sandbox.live.process import eventually

from ..cli.rig import oauthmail

if TYPE_CHECKING:
    from .conftest import LiveServers

TIMEOUT = 20


class Post:
    """A mailbox that is set up, and the commands for it."""

    def __init__(self, servers: LiveServers, home: Path) -> None:
        self.servers, self.home = servers, home
        self.user = servers.new_user()
        token = servers.authorization.sign_in(self.user, scope="mail offline_access")
        credentials = OAuth2Credentials(
            token["access_token"],
            refresh_token=token["refresh_token"],
            expires_at=time.time() + token["expires_in"],
            scope=("mail", "offline_access"),
        )
        self.token = credentials.access_token
        record = Record(
            self.user,
            servers.provider.id,
            "authorization_code",
            Application(servers.web.public_client_id),
            credentials,
            scope=("mail", "offline_access"),
            definition=servers.provider.definition(),
        )
        store = FileStore(home)
        with store.lock(self.user):
            store.save(record)

    def run(self, command: str, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return oauthmail(
            command,
            *arguments,
            home=self.home,
            text=text,
            SSL_CERT_FILE=str(self.servers.ca_file),
            OAUTHMAIL_ACCOUNT="",
        )

    def arrived(self, user: str) -> int:
        """Count what is in somebody's mailbox."""
        address = self.servers.imaps
        context = self.servers.ssl_context()
        with IMAP4_SSL(address.host, address.port, ssl_context=context, timeout=TIMEOUT) as imap:
            imap.authenticate_oauth(user, self.servers.authorization.issue(user))
            return int(imap.select(readonly=True)[1][0] or 0)

    def wait_for(self, user: str, count: int) -> bool:
        """Wait until as many messages are there: Postfix delivers some time after it has accepted."""
        return bool(eventually(lambda: self.arrived(user) >= count, TIMEOUT))


@pytest.fixture
def post(servers: LiveServers, tmp_path: Path) -> Post:
    return Post(servers, tmp_path / "home")


def test_what_is_sent_is_fetched(post: Post) -> None:
    sent = post.run("send", post.user, "--to", post.user, "--subject", "Grüße", "--text", "It works.\n.\n", "--json")
    assert (sent.returncode, sent.stderr) == (0, "")
    assert json.loads(sent.stdout)["reply"].startswith("250 2.0.0 Ok: queued")
    assert post.wait_for(post.user, 1)
    for protocol in ("imap", "pop"):
        run = post.run("fetch", post.user, "--protocol", protocol)
        assert (run.returncode, run.stderr) == (0, "")
        assert "\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\n" in run.stdout
        assert run.stdout.endswith("\n\nIt works.\n.\n")


def test_a_table_is_sent_once_however_often_it_is_run(post: Post, tmp_path: Path) -> None:
    other = post.servers.new_user()
    table = tmp_path / "people.csv"
    table.write_text("to,number\n" + "".join(f"{other},{number}\n" for number in range(5)))
    command = ["send", post.user, "--csv", str(table), "--subject", "{number}", "--text", "{number}"]
    assert [post.run(*command).returncode for _ in range(2)] == [0, 0]
    # One more, behind all others in the queue.
    post.run("send", post.user, "--to", other, "--text", "last")
    assert (post.wait_for(other, 6), post.arrived(other)) == (True, 6)


def test_a_token_that_has_ended_is_renewed_on_the_way(post: Post) -> None:
    post.servers.authorization.expire(post.token)
    run = post.run("send", post.user, "--to", post.user, "--text", "x")
    assert (run.returncode, run.stderr) == (0, "")


def test_sendmail_sends_what_a_program_hands_it(post: Post) -> None:
    other = post.servers.new_user()
    text = f"To: {other}\nBcc: {post.user}\nSubject: Report\n\nIt works.\n"
    run = post.run("sendmail", "-t", "-i", "-f", post.user, text=text)
    assert (run.returncode, run.stderr) == (0, "")
    assert (post.wait_for(other, 1), post.wait_for(post.user, 1)) == (True, True)


@pytest.mark.parametrize("protocol", ["imap", "pop"])
@pytest.mark.parametrize("target", ["mbox", "maildir"])
def test_messages_are_fetched_once(post: Post, tmp_path: Path, protocol: str, target: str) -> None:
    for number in range(3):
        post.run("send", post.user, "--to", post.user, "--subject", str(number), "--text", "From me\n" + "x" * 5000)
    assert post.wait_for(post.user, 3)
    path = tmp_path / "box"
    command = ["fetch", post.user, "--protocol", protocol, f"--to-{target}", str(path), "--json"]
    runs = [post.run(*command) for _ in range(2)]
    assert [run.stderr for run in runs] == ["", ""]
    assert [json.loads(run.stdout)["fetched"] for run in runs] == [3, 0]
    with contextlib.closing(mailbox.Maildir(path) if path.is_dir() else mailbox.mbox(path)) as box:
        assert sorted(str(found["Subject"]) for found in box) == ["0", "1", "2"]


def test_messages_are_found(post: Post) -> None:
    for subject in ("Grüße", "Report"):
        post.run("send", post.user, "--to", post.user, "--subject", subject, "--text", "x")
    assert post.wait_for(post.user, 2)
    run = post.run("fetch", post.user, "--subject", "Grüße", "--from", post.user, "--since", "2024-01-31", "--unseen")
    assert (run.returncode, run.stderr, run.stdout.count("\nSubject: ")) == (0, "", 1)


def test_a_folder_that_is_not_there_is_told(post: Post) -> None:
    run = post.run("fetch", post.user, "--folder", "Entwürfe")
    assert (run.returncode, "there are INBOX" in run.stderr) == (1, True)
