"""``oauthmail authorize`` and ``token`` against Dovecot and Postfix."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from oauthmail import IMAP4_SSL, POP3_SSL, SMTP, FileStore, OAuth2Credentials

from ..cli.rig import oauthmail
from ..cli.signing_in import browser, toml_of
from .conftest import TIMEOUT

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from .conftest import LiveServers


def authorize(servers: LiveServers, user: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Set a mailbox up, with somebody in front of the browser who agrees."""
    return oauthmail(
        *("authorize", user, "--provider", toml_of(servers.provider, folder)),
        *("--client-id", servers.web.public_client_id, *options),
        home=folder / "home",
        BROWSER=browser(folder, servers.ca_file),
    )


def token(user: str, folder: Path) -> str:
    run = oauthmail("token", user, home=folder / "home")
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.removesuffix("\n")


def test_authorize_proves_itself_by_logging_in(servers: LiveServers, tmp_path: Path) -> None:
    run = authorize(servers, servers.new_user(), tmp_path)
    assert (run.returncode, re.findall(r"^  ✓ (\w+)", run.stdout, re.MULTILINE)) == (0, ["SMTP", "IMAP", "POP3"])


def test_a_printed_token_opens_every_server(servers: LiveServers, tmp_path: Path) -> None:
    user = servers.new_user()
    authorize(servers, user, tmp_path, "--no-check")
    printed, context = token(user, tmp_path), servers.ssl_context()
    with SMTP(servers.submission.host, servers.submission.port, timeout=TIMEOUT) as smtp:
        smtp.starttls(context=context)
        assert smtp.authenticate_oauth(user, printed)[0] == 235
    with IMAP4_SSL(servers.imaps.host, servers.imaps.port, ssl_context=context, timeout=TIMEOUT) as imap:
        assert imap.authenticate_oauth(user, printed)[0] == "OK"
    pop = POP3_SSL(servers.pop3s.host, servers.pop3s.port, context=context, timeout=TIMEOUT)
    assert pop.authenticate_oauth(user, printed).startswith(b"+OK")
    pop.quit()


def test_a_token_that_has_ended_is_renewed_before_it_is_printed(servers: LiveServers, tmp_path: Path) -> None:
    user, store = servers.new_user(), FileStore(tmp_path / "home")
    authorize(servers, user, tmp_path, "--no-check")
    ended = token(user, tmp_path)
    servers.expire_token(ended)
    with store.lock(user):
        record = store.load(user)
        assert record is not None
        assert isinstance(record.credentials, OAuth2Credentials)
        store.save(replace(record, credentials=replace(record.credentials, expires_at=1)))
    printed = token(user, tmp_path)
    with IMAP4_SSL(servers.imaps.host, servers.imaps.port, ssl_context=servers.ssl_context(), timeout=TIMEOUT) as imap:
        assert (printed != ended, imap.authenticate_oauth(user, printed)[0]) == (True, "OK")


def test_a_mailbox_that_may_not_be_opened_fails_the_proof_and_keeps_the_tokens(
    servers: LiveServers, tmp_path: Path
) -> None:
    user, other = servers.new_user(), servers.new_user()
    run = authorize(servers, user, tmp_path, "--user", other, "--protocol", "imap")
    assert (run.returncode, re.findall(r"^  ([✓✗]) (\w+)", run.stdout, re.MULTILINE)) == (1, [("✗", "IMAP")])
    assert token(user, tmp_path)
