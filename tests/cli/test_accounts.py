"""``oauthmail accounts``, ``revoke``, ``remove`` and ``export``: what is kept, and how it goes."""

from __future__ import annotations

import json
import re
import stat
import time
from dataclasses import replace
from datetime import timezone
from pathlib import Path
from typing import Any

import pytest
from google.oauth2.credentials import Credentials

from oauthmail import Account, Application, FileStore, MemoryStore, OAuth1Credentials, OAuth2Credentials, ServiceAccount
from oauthmail.cli._accounts import as_object, look, show
from oauthmail.records import Record, decode
from oauthmail.sandbox import Sandbox

from .rig import oauthmail, provider, set_up
from .signing_in import Terminal

DAY = 86400.0
NOW = 1_800_000_000.0
ME = "me@example.com"
TOKENS = OAuth2Credentials("access-secret", refresh_token="refresh-secret", expires_at=NOW + 47 * 60, scope=("mail",))
GOOGLE = Record(
    *(ME, "google", "authorization_code", Application("client", "client-secret"), TOKENS),
    authorized_at=NOW - 12 * DAY,
    renewed_at=NOW - 3600,
)
MICROSOFT = replace(GOOGLE, provider="microsoft365", tenant="contoso.com")
KEY = "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"


def keep(home: Path, *records: Record) -> None:
    store = FileStore(home)
    for record in records:
        with store.lock(record.address):
            store.save(record)


def looked_at(record: Record) -> dict[str, Any]:
    """Return what there is to say of a record."""
    store = MemoryStore()
    with store.lock(record.address):
        store.save(record)
    return as_object(look(store, record.address, NOW))


def paragraph(record: Record, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return what people are told of a record, line by line."""
    store = MemoryStore()
    with store.lock(record.address):
        store.save(record)
    show(look(store, record.address, NOW), NOW)
    text = re.sub(r"\n {17}", " ", capsys.readouterr().out)
    return {line[2:17].strip(): line[17:] for line in text.splitlines()[1:-1]}


# --- accounts -----------------------------------------------------------------------------------------------------


def test_each_mailbox_has_a_paragraph(capsys: pytest.CaptureFixture[str]) -> None:
    told = paragraph(GOOGLE, capsys)
    assert told == {
        "provider": "google (Gmail and Google Workspace)",
        "sign-in": f"in a browser, 12 days ago ({time.strftime('%Y-%m-%d', time.localtime(NOW - 12 * DAY))})",
        "access token": "good for 47 minutes",
        "refresh token": "last used 60 minutes ago; unused, it ends on "
        + time.strftime("%Y-%m-%d", time.localtime(NOW - 3600 + 180 * DAY)),
        "scope": "mail",
    }


@pytest.mark.parametrize(
    ("record", "name", "told"),
    [
        pytest.param(MICROSOFT, "tenant", "contoso.com", id="tenant"),
        pytest.param(replace(GOOGLE, user="you@example.com"), "signs in", "you@example.com", id="another person"),
        pytest.param(replace(GOOGLE, flow="device"), "sign-in", "on another device, 12 days ago", id="device"),
        pytest.param(
            replace(GOOGLE, flow="imported", authorized_at=None), "sign-in", "imported from another", id="imported"
        ),
        pytest.param(
            replace(GOOGLE, flow="service_account", application=ServiceAccount("robot", KEY), authorized_at=None),
            *("sign-in", "a service account"),
            id="service account",
        ),
        pytest.param(
            replace(GOOGLE, credentials=replace(TOKENS, expires_at=NOW - 7200)),
            *("access token", "ended 2 hours ago; the next use renews it"),
            id="ended",
        ),
        pytest.param(
            replace(GOOGLE, credentials=replace(TOKENS, expires_at=None)), "access token", "not known", id="no end"
        ),
        pytest.param(
            replace(GOOGLE, credentials=replace(TOKENS, expires_at=0)), "access token", "none yet", id="none yet"
        ),
        pytest.param(
            replace(GOOGLE, credentials=OAuth1Credentials("k", "s", "t", "s")), "tokens", "OAuth 1.0a", id="OAuth 1.0a"
        ),
    ],
)
def test_a_paragraph_tells_what_is_particular(
    capsys: pytest.CaptureFixture[str], record: Record, name: str, told: str
) -> None:
    assert told in paragraph(record, capsys)[name]


@pytest.mark.parametrize(
    ("record", "told"),
    [
        pytest.param(replace(MICROSOFT, renewed_at=NOW - 75 * DAY), [], id="fifteen days left"),
        pytest.param(
            replace(MICROSOFT, renewed_at=NOW - 80 * DAY),
            [f"the sign-in ends in 10 days unless it is used before: oauthmail token {ME}"],
            id="ten days left",
        ),
        pytest.param(
            replace(MICROSOFT, renewed_at=NOW - 100 * DAY),
            [f"it was not used for 100 days: sign in again (oauthmail authorize {ME})"],
            id="over",
        ),
        pytest.param(
            replace(GOOGLE, renewed_at=NOW - 175 * DAY),
            [f"the sign-in ends in 5 days unless it is used before: oauthmail token {ME}"],
            id="Google's half year",
        ),
        pytest.param(
            replace(GOOGLE, credentials=replace(TOKENS, refresh_token=None)),
            [f"there is no refresh token: sign in again when that ends (oauthmail authorize {ME})"],
            id="no refresh token",
        ),
        pytest.param(
            replace(GOOGLE, credentials=None),
            [f"there are no tokens: sign in (oauthmail authorize {ME})"],
            id="no tokens",
        ),
        pytest.param(
            replace(MICROSOFT, flow="client_credentials", credentials=replace(TOKENS, refresh_token=None)),
            [],
            id="an application by itself",
        ),
        pytest.param(replace(GOOGLE, provider="yahoo", renewed_at=NOW - 900 * DAY), [], id="no end is known"),
    ],
)
def test_a_refresh_token_is_warned_of_before_it_is_known_to_end(record: Record, told: list[str]) -> None:
    assert looked_at(record)["warnings"] == told


@pytest.mark.parametrize(("days", "notes"), [(1, 1), (8, 0)])
def test_googles_week_for_applications_in_testing_is_noted_while_it_lasts(days: int, notes: int) -> None:
    assert len(looked_at(replace(GOOGLE, authorized_at=NOW - days * DAY))["notes"]) == notes


def test_json_has_every_mailbox_and_no_secret(home: Path) -> None:
    keep(home, GOOGLE, replace(MICROSOFT, address="other@example.com"))
    run = oauthmail("accounts", "--json", home=home)
    assert [found["address"] for found in json.loads(run.stdout)] == [ME, "other@example.com"]
    assert "secret" not in run.stdout


def test_the_list_shows_no_secret(home: Path) -> None:
    keep(home, GOOGLE)
    run = oauthmail("accounts", home=home)
    assert (run.returncode, "google (Gmail" in run.stdout, "secret" in run.stdout) == (0, True, False)


def test_addresses_alone_are_for_a_shells_loop(home: Path) -> None:
    keep(home, GOOGLE, replace(GOOGLE, address="m\u00e9@example.com"))
    assert oauthmail("accounts", "--addresses", home=home).stdout == "me@example.com\nm\u00e9@example.com\n"


@pytest.mark.parametrize(
    ("option", "shown"), [pytest.param([], "", id="text"), pytest.param(["--json"], "[]\n", id="JSON")]
)
def test_an_empty_list_is_no_failure(home: Path, option: list[str], shown: str) -> None:
    run = oauthmail("accounts", *option, home=home)
    assert (run.returncode, run.stdout) == (0, shown)


def test_what_cannot_be_read_is_told_and_the_list_goes_on(home: Path) -> None:
    keep(home, GOOGLE, replace(GOOGLE, address="damaged@x.test"), replace(GOOGLE, address="unsafe@x.test"))
    (home / "damaged@x.test.json").write_text("{")
    (home / "unsafe@x.test.json").chmod(0o644)
    run = oauthmail("accounts", home=home)
    assert (run.returncode, "2 of 3 cannot be used: damaged@x.test, unsafe@x.test" in run.stderr) == (1, True)
    text = re.sub(r"\s+", " ", run.stdout)
    assert [told in text for told in ("it is not JSON", "chmod 600", "google (Gmail")] == [True, True, True]


def test_a_provider_that_is_gone_from_the_table_is_told(home: Path) -> None:
    keep(home, replace(GOOGLE, provider="vanished"))
    (found,) = json.loads(oauthmail("accounts", "--json", home=home).stdout)
    assert "no provider has the id 'vanished'" in found["problem"]


# --- revoke -------------------------------------------------------------------------------------------------------


def test_revoked_tokens_are_invalid_and_the_application_is_kept(home: Path, oauth_sandbox: Sandbox) -> None:
    user, store = oauth_sandbox.new_user(), FileStore(home)
    account = Account(user, provider=oauth_sandbox.provider, application=oauth_sandbox.application, store=store)
    token = account.authorize(open_browser=oauth_sandbox.browser()).token()
    run = oauthmail("revoke", user, home=home)
    assert (run.returncode, run.stdout, oauth_sandbox.state.judge(token, user, "imap").user) == (0, "", None)
    kept = store.load(user)
    assert kept is not None
    assert (kept.credentials, kept.application) == (None, oauth_sandbox.application)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({}, "does not take tokens back from programs", id="no endpoint"),
        pytest.param({"credentials": OAuth1Credentials("k", "s", "t", "s")}, "OAuth 1.0a", id="OAuth 1.0a"),
    ],
)
def test_nothing_is_forgotten_that_cannot_be_revoked(
    home: Path, oauth_sandbox: Sandbox, changes: dict[str, Any], told: str
) -> None:
    user = oauth_sandbox.new_user()
    record = set_up(home, oauth_sandbox, user, definition=provider(oauth_sandbox, revocation_endpoint=None), **changes)
    run = oauthmail("revoke", user, home=home)
    assert (run.returncode, told in run.stderr) == (1, True), run.stderr
    assert FileStore(home).load(user) == record


def test_what_is_not_set_up_cannot_be_revoked(home: Path) -> None:
    run = oauthmail("revoke", ME, home=home)
    assert (run.returncode, "is not set up" in run.stderr) == (1, True)


# --- remove -------------------------------------------------------------------------------------------------------


def test_a_mailbox_is_forgotten_at_once_where_yes_was_said(home: Path) -> None:
    keep(home, GOOGLE)
    run = oauthmail("remove", ME, "--yes", home=home)
    assert (run.returncode, run.stdout, FileStore(home).addresses()) == (0, "", [])


def test_nothing_is_forgotten_where_nobody_can_be_asked(home: Path) -> None:
    keep(home, GOOGLE)
    run = oauthmail("remove", ME, home=home, text="y\n")
    assert (run.returncode, "pass --yes" in run.stderr, FileStore(home).addresses()) == (1, True, [ME])


@pytest.mark.parametrize(
    ("answer", "status", "left"),
    [
        pytest.param("y", 0, [], id="yes"),
        pytest.param("n", 1, [ME], id="no"),
        pytest.param("", 1, [ME], id="just Return"),
    ],
)
def test_somebody_is_asked_on_a_terminal(home: Path, answer: str, status: int, left: list[str]) -> None:
    keep(home, GOOGLE)
    with Terminal("remove", ME, home=home) as terminal:
        terminal.expect("[y/N] ")
        terminal.type(answer)
        assert terminal.end() == status
    assert FileStore(home).addresses() == left


def test_a_damaged_record_can_be_forgotten(home: Path) -> None:
    keep(home, GOOGLE)
    (home / f"{ME}.json").write_text("{")
    assert (oauthmail("remove", ME, "--yes", home=home).returncode, FileStore(home).addresses()) == (0, [])


def test_what_is_not_there_cannot_be_forgotten(home: Path) -> None:
    run = oauthmail("remove", ME, "--yes", home=home)
    assert (run.returncode, "is not set up" in run.stderr) == (1, True)


# --- export -------------------------------------------------------------------------------------------------------


def test_an_export_is_the_record_in_full(home: Path) -> None:
    record = replace(GOOGLE, address="m\u00e9@example.com")
    keep(home, record)
    assert decode(oauthmail("export", "m\u00e9@example.com", home=home, PYTHONIOENCODING="utf-8").stdout) == record


def test_an_export_into_a_file_is_for_this_user_alone(home: Path, tmp_path: Path) -> None:
    keep(home, GOOGLE)
    path = tmp_path / "me.json"
    run = oauthmail("export", ME, "--output", str(path), home=home)
    assert (run.returncode, run.stdout, stat.S_IMODE(path.stat().st_mode)) == (0, "", 0o600)
    assert decode(path.read_bytes()) == GOOGLE


def test_an_export_overwrites_nothing(home: Path, tmp_path: Path) -> None:
    keep(home, GOOGLE)
    (tmp_path / "me.json").write_text("other")
    run = oauthmail("export", ME, "--output", str(tmp_path / "me.json"), home=home)
    assert (run.returncode, (tmp_path / "me.json").read_text()) == (1, "other")


@pytest.mark.parametrize(("option", "shown"), [([], False), (["--yes"], True)])
def test_secrets_are_shown_on_a_terminal_only_where_yes_was_said(home: Path, option: list[str], shown: bool) -> None:
    keep(home, GOOGLE)
    with Terminal("export", ME, *option, home=home) as terminal:
        assert (terminal.end() == 0, "refresh-secret" in terminal.shown) == (shown, shown)


def test_an_export_for_google_is_what_google_auth_reads(home: Path) -> None:
    keep(home, GOOGLE)
    values = json.loads(oauthmail("export", ME, "--format", "google", home=home).stdout)
    read = Credentials.from_authorized_user_info(values)
    assert (read.token, read.refresh_token, read.client_id, read.client_secret, read.scopes, read.account) == (
        "access-secret",
        "refresh-secret",
        "client",
        "client-secret",
        ["mail"],
        ME,
    )
    # google-auth has it in UTC and without a zone.
    assert read.expiry.replace(tzinfo=timezone.utc).timestamp() == NOW + 47 * 60


@pytest.mark.parametrize(
    ("record", "told"),
    [
        pytest.param(MICROSOFT, "for Google alone", id="another provider"),
        pytest.param(replace(GOOGLE, credentials=None), "no tokens of the kind", id="no tokens"),
        pytest.param(
            replace(GOOGLE, credentials=replace(TOKENS, refresh_token=None)), "no refresh token", id="no refresh token"
        ),
        pytest.param(
            replace(GOOGLE, application=ServiceAccount("robot", KEY)), "no tokens of the kind", id="service account"
        ),
    ],
)
def test_what_google_auth_has_no_use_for_is_not_exported_for_it(home: Path, record: Record, told: str) -> None:
    keep(home, record)
    run = oauthmail("export", ME, "--format", "google", home=home)
    assert (run.returncode, run.stdout, told in run.stderr) == (1, "", True)


def test_what_is_not_set_up_cannot_be_exported(home: Path) -> None:
    run = oauthmail("export", ME, home=home)
    assert (run.returncode, "is not set up" in run.stderr) == (1, True)
