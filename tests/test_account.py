"""A mailbox from its set-up to its end, against the sandbox's authorization and mail servers."""

from __future__ import annotations

import asyncio
import http.client
import imaplib
import logging
import smtplib
import ssl
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from oauthmail import (
    Account,
    Application,
    AuthenticationError,
    CredentialsError,
    FileStore,
    FlowError,
    MemoryStore,
    OAuth1Credentials,
    OAuth2Credentials,
    ServiceAccount,
    StoreError,
)
from oauthmail.account import _definition
from oauthmail.flows import ScopeWarning
from oauthmail.providers import custom
from oauthmail.records import Record
from oauthmail.sandbox import Sandbox


class Counting(MemoryStore):
    """A store that notes what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def load(self, address: str) -> Record | None:
        self.asked.append("load")
        return super().load(address)

    def lock(self, address: str):  # type: ignore[no-untyped-def]  # noqa: ANN201  # as the parent's
        self.asked.append("lock")
        return super().lock(address)

    def stamp(self, address: str) -> object:
        self.asked.append("stamp")
        return super().stamp(address)


@pytest.fixture(autouse=True)
def faults_end(oauth_sandbox: Sandbox) -> Iterator[None]:
    store = oauth_sandbox.web.store
    before = store.expires_in
    yield
    store.expires_in = before
    oauth_sandbox.clear_faults()


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def account(oauth_sandbox: Sandbox, store: Counting) -> Account:
    """A mailbox that is not set up yet."""
    return Account(
        oauth_sandbox.new_user(),
        provider=oauth_sandbox.provider,
        application=oauth_sandbox.application,
        store=store,
        timeout=10,
    )


@pytest.fixture
def ready(account: Account, oauth_sandbox: Sandbox) -> Account:
    """The same, set up."""
    return account.authorize(open_browser=oauth_sandbox.browser())


def held(account: Account) -> OAuth2Credentials:
    assert account.record is not None
    assert isinstance(account.record.credentials, OAuth2Credentials)
    return account.record.credentials


def change(account: Account, **changes: object) -> None:
    """Change what is stored of a mailbox, as another process might."""
    assert account.record is not None
    with account.store.lock(account.address):
        account.store.save(replace(account.record, **changes))  # type: ignore[arg-type]  # of every kind


def message(user: str) -> EmailMessage:
    made = EmailMessage()
    made["From"] = made["To"] = user
    made["Subject"] = "Hello"
    made.set_content("It works.\n")
    return made


# --- setting up -------------------------------------------------------------------------------------------------------


def test_a_mailbox_that_is_set_up_sends_in_three_lines(ready: Account, oauth_sandbox: Sandbox) -> None:
    with ready.smtp() as smtp:
        smtp.send_message(message(ready.address))
    assert [found.octets.count(b"It works.") for found in oauth_sandbox.mailboxes.messages(ready.address)] == [1]


def test_imap_and_pop3_are_connected_and_logged_in(ready: Account, oauth_sandbox: Sandbox) -> None:
    oauth_sandbox.deliver(ready.address, b"Subject: one\r\n\r\n")
    with ready.imap() as imap, ready.pop() as pop:
        assert (imap.select()[1], pop.stat()[0]) == ([b"1"], 1)


def test_what_was_set_up_is_found_by_another_process(ready: Account, store: Counting) -> None:
    assert Account(ready.address.upper(), store=store).token() == ready.token()


def test_a_provider_that_names_its_issuer_only_is_asked_for_the_rest(oauth_sandbox: Sandbox, store: Counting) -> None:
    known = ("id", "name", "smtp", "imap", "pop", "issuer", "scopes", "ca_file")
    described = custom(**{name: getattr(oauth_sandbox.provider, name) for name in known})
    account = Account(
        oauth_sandbox.new_user(), provider=described, application=oauth_sandbox.application, store=store
    ).authorize(open_browser=oauth_sandbox.browser())
    # What was found is kept: the next renewal asks the token endpoint and nobody else.
    assert account.record is not None
    assert account.record.definition is not None
    assert account.record.definition["token_endpoint"] == oauth_sandbox.provider.token_endpoint


def test_what_is_asked_for_is_kept(ready: Account) -> None:
    assert ready.record is not None
    assert (ready.record.flow, ready.record.scope) == ("authorization_code", ("mail", "offline_access"))


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop"])
def test_every_server_is_reached_over_tls(
    oauth_sandbox: Sandbox, store: Counting, ready: Account, protocol: str, security: str
) -> None:
    names = {"smtp": ("smtps", "smtp"), "imap": ("imaps", "imap"), "pop": ("pop3s", "pop3")}
    address = getattr(oauth_sandbox, names[protocol][security == "starttls"])
    server = type(oauth_sandbox.provider.smtp[0])(address.host, address.port, security)
    found = Account(
        ready.address,
        provider=replace(oauth_sandbox.provider, **{protocol: (server,)}),  # type: ignore[arg-type]
        store=store,
        timeout=10,
    )
    with getattr(found, protocol)() as client:
        assert client.noop()


def test_a_person_without_a_browser_pastes_the_address(account: Account, oauth_sandbox: Sandbox) -> None:
    import requests

    def paste(address: str) -> str:
        with requests.Session() as browser:
            browser.trust_env, browser.verify = False, str(oauth_sandbox.ca_file)
            answer = browser.get(f"{address}&sandbox_consent=allow", allow_redirects=False, timeout=10)
        return str(answer.headers["Location"])

    assert account.authorize(paste=paste).token()


def test_a_device_without_a_browser_is_connected(account: Account, oauth_sandbox: Sandbox) -> None:
    oauth_sandbox.web.store.device_interval = 1
    browser = oauth_sandbox.browser(user=account.address)

    def connect(code: object) -> None:
        browser(str(getattr(code, "verification_uri_complete")))  # noqa: B009  # a DeviceCode

    assert account.authorize(flow="device", show_device=connect).token()


def test_an_application_opens_a_mailbox_by_itself(oauth_sandbox: Sandbox, store: Counting) -> None:
    web = oauth_sandbox.web
    account = Account(
        web.store.application_user,
        provider=oauth_sandbox.provider,
        application=Application(web.client_id, web.client_secret),
        store=store,
    ).authorize(flow="client_credentials")
    first = account.token()
    assert account.token(rejected=first) != first


def test_an_application_asks_for_the_same_again_and_for_no_refresh_token(
    oauth_sandbox: Sandbox, store: Counting
) -> None:
    web = oauth_sandbox.web
    provider = replace(oauth_sandbox.provider, client_credentials_scope=None)
    account = Account(
        web.store.application_user,
        provider=provider,
        application=Application(web.client_id, web.client_secret),
        store=store,
    ).authorize(flow="client_credentials", protocols=["imap"])
    assert account.record is not None
    assert account.record.scope == ("mail",)
    change(account, scope=("imap",))
    account.token(rejected=account.token())
    assert held(account).scope == ("imap",)


def test_a_service_account_opens_a_users_mailbox(oauth_sandbox: Sandbox, store: Counting) -> None:
    robot = ServiceAccount(oauth_sandbox.web.service_account_email, oauth_sandbox.web.service_account_key)
    account = Account(
        oauth_sandbox.new_user(), provider=oauth_sandbox.provider, application=robot, store=store, timeout=10
    ).authorize()
    with account.imap() as imap:
        assert imap.select()[0] == "OK"


def test_oauth_1_is_authorized_and_logs_in(oauth_sandbox: Sandbox, store: Counting) -> None:
    web = oauth_sandbox.web
    account = Account(
        oauth_sandbox.new_user(),
        provider=oauth_sandbox.provider,
        application=Application(web.oauth1_client_key, web.oauth1_client_secret),
        store=store,
        timeout=10,
    ).authorize(flow="oauth1", open_browser=oauth_sandbox.browser())
    with account.imap() as imap:
        assert isinstance(account.credentials, OAuth1Credentials)
        assert imap.select()[0] == "OK"


def test_a_shared_mailbox_is_opened_with_the_sign_in_of_somebody_else(
    oauth_sandbox: Sandbox, account: Account, store: Counting
) -> None:
    asked: list[str] = []
    browser = oauth_sandbox.browser()

    def open_browser(address: str) -> bool:
        asked.append(address)
        return browser(address)

    shared = Account(
        "shared@sandbox.test",
        user=account.address,
        provider=oauth_sandbox.provider,
        application=oauth_sandbox.application,
        store=store,
    ).authorize(open_browser=open_browser)
    assert ("login_hint=user-" in asked[0], shared.record and shared.record.user) == (True, account.address)


def test_the_day_of_the_sign_in_is_kept(account: Account, oauth_sandbox: Sandbox) -> None:
    account._now = lambda: 1000.0
    account.authorize(open_browser=oauth_sandbox.browser())
    assert account.record is not None
    assert (account.record.authorized_at, account.record.renewed_at) == (1000.0, 1000.0)


def test_a_record_that_cannot_be_read_is_no_hindrance_where_nothing_of_it_is_needed(
    oauth_sandbox: Sandbox, tmp_path: Path
) -> None:
    user, store = oauth_sandbox.new_user(), FileStore(tmp_path / "home")
    with store.lock(user):
        Path(store.path(user)).write_bytes(b"junk")
        Path(store.path(user)).chmod(0o600)
    with pytest.raises(StoreError, match="damaged"):
        Account(user, store=store).authorize()
    account = Account(user, provider=oauth_sandbox.provider, application=oauth_sandbox.application, store=store)
    account.authorize(open_browser=oauth_sandbox.browser())
    assert (account.token() != "", Path(f"{store.path(user)}.corrupt-1").read_bytes()) == (True, b"junk")


@pytest.mark.parametrize(
    ("provider", "tenant", "stored"),
    [
        pytest.param("google", None, ("google", None, None), id="of the table"),
        pytest.param("microsoft365", "contoso.com", ("microsoft365", "contoso.com", None), id="with a tenant"),
    ],
)
def test_a_provider_of_the_table_is_kept_by_its_name(
    store: Counting, provider: str, tenant: str | None, stored: tuple[str, str | None, None]
) -> None:
    account = Account("me@example.com", provider=provider, tenant=tenant, store=store)
    assert (account.provider.id, tenant, _definition(account.provider, tenant)) == stored


def test_a_tenant_that_is_given_goes_before_the_one_that_is_stored(store: Counting) -> None:
    store.save(Record("me@b.example", "microsoft365", "imported", None, tenant="old.example"))
    found = Account("me@b.example", tenant="new.example", store=store).provider.token_endpoint
    assert found == "https://login.microsoftonline.com/new.example/oauth2/v2.0/token"


def test_a_tenant_is_kept_when_somebody_signs_in_again(oauth_sandbox: Sandbox, store: Counting) -> None:
    definition = replace(oauth_sandbox.provider, tenants=("common",)).definition()
    record = Record("me@b.example", "sandbox", "imported", oauth_sandbox.application, definition=definition, tenant="t")
    store.save(record)
    account = Account("me@b.example", store=store).authorize(open_browser=oauth_sandbox.browser())
    assert account.record is not None
    assert account.record.tenant == "t"


def test_consent_that_is_denied_leaves_what_was_there(ready: Account, oauth_sandbox: Sandbox) -> None:
    before = ready.record
    with pytest.raises(FlowError) as caught:
        ready.authorize(open_browser=oauth_sandbox.browser(allow=False))
    assert (caught.value.error, ready.record) == ("access_denied", before)


@pytest.mark.parametrize(
    ("account", "message"),
    [
        pytest.param(Account("me@example.org", store=MemoryStore()), "name the provider", id="unknown domain"),
        pytest.param(Account("me@icloud.com", store=MemoryStore()), "no OAuth for mail.*app-specific", id="no OAuth"),
        pytest.param(Account("me@gmail.com", store=MemoryStore()), "nobody is registered", id="no application"),
    ],
)
def test_what_is_missing_is_told_before_anybody_signs_in(account: Account, message: str) -> None:
    with pytest.raises(CredentialsError, match=message):
        account.authorize()


def test_a_store_that_cannot_be_written_is_told_before_anybody_signs_in(account: Account, tmp_path: object) -> None:
    class Broken(MemoryStore):
        def lock(self, address: str):  # type: ignore[no-untyped-def]  # noqa: ANN202  # as the parent's
            raise StoreError("the folder is read-only")

    account._store = Broken()
    with pytest.raises(StoreError, match="read-only"):
        account.authorize(open_browser=lambda address: pytest.fail("the browser was opened"))


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_mailbox_that_is_not_set_up_says_how_to(store: Counting) -> None:
    with pytest.raises(CredentialsError, match=r"oauthmail authorize me@gmail\.com"):
        Account("me@gmail.com", store=store).token()


def test_a_good_token_costs_no_lock_and_one_look_at_the_stamp(ready: Account, store: Counting) -> None:
    ready.token()
    store.asked.clear()
    ready.token()
    assert store.asked == ["stamp"]


def test_a_token_is_renewed_ahead_of_its_end(ready: Account) -> None:
    first = ready.token()
    expires_at = held(ready).expires_at
    assert expires_at is not None
    ready._now = lambda: expires_at - 59
    assert ready.token() != first


def test_a_provider_that_demands_it_has_its_tokens_renewed_earlier(ready: Account) -> None:
    change(ready, renew_ahead=600)
    first = ready.token()
    expires_at = held(ready).expires_at
    assert expires_at is not None
    ready._now = lambda: expires_at - 599
    assert ready.token() != first


def test_a_token_that_is_good_for_longer_is_kept(ready: Account) -> None:
    first = ready.token()
    expires_at = held(ready).expires_at
    assert expires_at is not None
    ready._now = lambda: expires_at - 61
    assert ready.token() == first


def test_a_rejected_token_is_renewed_at_once(ready: Account) -> None:
    first = ready.token()
    assert ready.token(rejected=first) != first


def test_a_token_that_another_process_has_renewed_is_taken(ready: Account, store: Counting) -> None:
    first = ready.token()
    renewed = Account(ready.address, store=store).token(rejected=first)
    store.asked.clear()
    assert (ready.token(rejected=first), "lock" in store.asked) == (renewed, False)


def test_a_rotated_refresh_token_is_kept(ready: Account) -> None:
    before = held(ready).refresh_token
    ready.token(rejected=ready.token())
    after = held(ready).refresh_token
    assert (after is not None, after != before) == (True, True)


def test_an_outage_does_no_harm_to_a_token_that_is_still_good(ready: Account, oauth_sandbox: Sandbox) -> None:
    first = ready.token()
    expires_at = held(ready).expires_at
    assert expires_at is not None
    change(ready, definition={**oauth_sandbox.provider.definition(), "token_endpoint": "https://127.0.0.1:1/token"})
    ready.timeout = 0.3
    ready._now = lambda: expires_at - 30
    assert ready.token() == first


def test_an_outage_is_told_when_the_token_has_expired(ready: Account, oauth_sandbox: Sandbox) -> None:
    expires_at = held(ready).expires_at
    assert expires_at is not None
    change(ready, definition={**oauth_sandbox.provider.definition(), "token_endpoint": "https://127.0.0.1:1/token"})
    ready.timeout = 0.3
    ready._now = lambda: expires_at
    with pytest.raises(FlowError) as caught:
        ready.token()
    assert caught.value.temporary


def test_an_outage_is_told_from_the_end_of_the_authorization(ready: Account, oauth_sandbox: Sandbox) -> None:
    change(ready, definition={**oauth_sandbox.provider.definition(), "token_endpoint": "https://127.0.0.1:1/token"})
    ready.timeout = 0.3
    with pytest.raises(FlowError) as caught:
        ready.token(rejected=ready.token())
    assert (caught.value.temporary, caught.value.authorize_again) == (True, False)


def test_an_authorization_that_has_ended_says_to_sign_in_again(ready: Account, oauth_sandbox: Sandbox) -> None:
    first = ready.token()
    refresh_token = held(ready).refresh_token
    assert refresh_token is not None
    oauth_sandbox.web.store.end_grant(oauth_sandbox.web.store.refresh_tokens[refresh_token].grant)
    with pytest.raises(FlowError) as caught:
        ready.token(rejected=first)
    assert (caught.value.error, caught.value.authorize_again) == ("invalid_grant", True)


def test_a_refused_renewal_loses_nothing(ready: Account, oauth_sandbox: Sandbox) -> None:
    before = ready.record
    refresh_token = held(ready).refresh_token
    assert refresh_token is not None
    oauth_sandbox.web.store.end_grant(oauth_sandbox.web.store.refresh_tokens[refresh_token].grant)
    with pytest.raises(FlowError):
        ready.token(rejected=ready.token())
    assert ready.record == before


def test_a_mailbox_without_a_refresh_token_says_so(ready: Account) -> None:
    change(ready, credentials=replace(held(ready), refresh_token=None))
    with pytest.raises(FlowError) as caught:
        ready.token(rejected=ready.token())
    assert caught.value.authorize_again


def test_oauth_1_has_no_tokens_of_this_kind(store: Counting) -> None:
    record = Record("a@b.example", "sandbox", "oauth1", None, OAuth1Credentials("k", "s", "t", "ts"))
    store.save(record)
    with pytest.raises(CredentialsError, match=r"OAuth 1\.0a"):
        Account("a@b.example", store=store).token()


def test_an_awaited_token_is_the_same(ready: Account) -> None:
    assert asyncio.run(ready.token_async()) == ready.token()


def test_less_than_was_asked_for_is_warned_of_when_it_is_kept(ready: Account) -> None:
    change(ready, scope=("mail", "contacts"))
    first = ready.token()
    with pytest.warns(ScopeWarning, match="missing is contacts"):
        renewed = ready.token(rejected=first)
    assert held(ready).access_token == renewed


def test_a_token_is_kept_though_the_program_makes_errors_of_warnings(ready: Account) -> None:
    change(ready, scope=("mail", "contacts"))
    first = ready.token()
    with pytest.raises(ScopeWarning):
        ready.token(rejected=first)
    assert held(ready).access_token != first


def test_an_authorization_that_has_ended_is_told_though_the_token_is_good_for_a_moment(
    ready: Account, oauth_sandbox: Sandbox
) -> None:
    expires_at, refresh_token = held(ready).expires_at, held(ready).refresh_token
    assert expires_at is not None
    assert refresh_token is not None
    oauth_sandbox.web.store.end_grant(oauth_sandbox.web.store.refresh_tokens[refresh_token].grant)
    ready._now = lambda: expires_at - 30
    with pytest.raises(FlowError):
        ready.token()


# --- while mail goes on -----------------------------------------------------------------------------------------------


def test_a_token_that_the_server_refuses_is_renewed_within_the_login(ready: Account, oauth_sandbox: Sandbox) -> None:
    first = ready.token()
    oauth_sandbox.revoke_token(first)
    with ready.imap() as imap:
        imap.select()
    assert held(ready).access_token != first


def test_a_revoked_authorization_is_told_by_the_login(ready: Account, oauth_sandbox: Sandbox) -> None:
    first = ready.token()
    refresh_token = held(ready).refresh_token
    assert refresh_token is not None
    oauth_sandbox.web.store.end_grant(oauth_sandbox.web.store.refresh_tokens[refresh_token].grant)
    oauth_sandbox.revoke_token(first)
    with pytest.raises(FlowError, match=r"[Ss]ign in again"), ready.smtp():
        pytest.fail("logged in")


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop"])
def test_what_ends_the_block_is_told_though_the_line_is_gone(ready: Account, protocol: str) -> None:
    with pytest.raises(ZeroDivisionError), getattr(ready, protocol)() as client:  # noqa: PT012  # the line goes first
        client.sock.close()
        raise ZeroDivisionError


def test_what_was_deleted_over_pop3_is_gone_after_the_block(ready: Account, oauth_sandbox: Sandbox) -> None:
    oauth_sandbox.deliver(ready.address, b"Subject: one\r\n\r\n")
    with ready.pop() as pop:
        pop.dele(1)
    assert oauth_sandbox.mailboxes.messages(ready.address) == []


def test_what_was_deleted_over_pop3_stays_where_the_block_fails(ready: Account, oauth_sandbox: Sandbox) -> None:
    oauth_sandbox.deliver(ready.address, b"Subject: one\r\n\r\n")
    with pytest.raises(ZeroDivisionError), ready.pop() as pop:  # noqa: PT012  # the mark goes first
        pop.dele(1)
        raise ZeroDivisionError
    assert len(oauth_sandbox.mailboxes.messages(ready.address)) == 1


def test_a_message_that_was_accepted_stays_accepted_whatever_quit_says(ready: Account, oauth_sandbox: Sandbox) -> None:
    with ready.smtp() as smtp:
        smtp.send_message(message(ready.address))
        smtp.sock.close()  # type: ignore[union-attr]  # it is open
    assert len(oauth_sandbox.mailboxes.messages(ready.address)) == 1


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop"])
def test_a_login_that_fails_leaves_no_connection_open(ready: Account, oauth_sandbox: Sandbox, protocol: str) -> None:
    oauth_sandbox.fault("temporary", service=protocol)
    with (
        warnings.catch_warnings(record=True) as unclosed,
        pytest.raises(AuthenticationError),
        getattr(ready, protocol)(),
    ):
        pytest.fail("logged in")
    assert unclosed == []


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop"])
def test_a_server_of_an_unknown_authority_is_refused(
    ready: Account, oauth_sandbox: Sandbox, store: Counting, protocol: str
) -> None:
    stranger = Account(ready.address, provider=replace(oauth_sandbox.provider, ca_file=None), store=store)
    with pytest.raises(ssl.SSLCertVerificationError), getattr(stranger, protocol)():
        pytest.fail("connected")


def test_a_server_with_a_certificate_of_somebody_else_is_refused(ready: Account, oauth_sandbox: Sandbox) -> None:
    with pytest.raises(ssl.SSLCertVerificationError), ready.smtp(context=ssl.create_default_context()):
        pytest.fail("connected")


def test_no_secret_is_logged_by_any_library_in_a_whole_life(
    oauth_sandbox: Sandbox, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    web, store = oauth_sandbox.web, FileStore(tmp_path / "home")
    known = set(web.store.codes) | set(web.store.refresh_tokens) | set(oauth_sandbox.state.tokens)
    caplog.set_level(logging.DEBUG)
    application = Application(web.client_id, web.client_secret)
    account = Account(oauth_sandbox.new_user(), provider=oauth_sandbox.provider, application=application, store=store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http.client.HTTPConnection, "debuglevel", 1)
        patch.setattr(imaplib, "Debug", 5)
        account.authorize(open_browser=oauth_sandbox.browser())
        account.token(rejected=account.token())
        with account.smtp() as smtp, account.imap(), account.pop():
            smtp.set_debuglevel(2)
            smtp.send_message(message(account.address))
        issued = set(web.store.codes) | set(web.store.refresh_tokens) | set(oauth_sandbox.state.tokens)
        account.revoke()
    secrets = {*(issued - known), web.client_secret}
    # The sandbox's own threads, which are the provider's in this test, may log what a provider logs.
    ours = [record for record in caplog.records if record.thread == threading.get_ident()]
    said = "".join([*map(logging.Formatter().format, ours), *capfd.readouterr()])
    assert (len(secrets) >= 4, [secret for secret in secrets if secret in said]) == (True, [])


# --- the end ----------------------------------------------------------------------------------------------------------


def test_a_revoked_mailbox_keeps_who_asks_and_no_token(ready: Account, oauth_sandbox: Sandbox) -> None:
    token = ready.token()
    ready.revoke()
    assert ready.record is not None
    assert (ready.record.credentials, ready.record.application) == (None, oauth_sandbox.application)
    with pytest.raises(AuthenticationError), smtplib_login(oauth_sandbox, ready.address, token):
        pytest.fail("the token still opens the mailbox")


def smtplib_login(sandbox: Sandbox, user: str, token: str) -> smtplib.SMTP:
    from oauthmail import SMTP_SSL

    client = SMTP_SSL(sandbox.smtps.host, sandbox.smtps.port, context=sandbox.ssl_context(), timeout=10)
    try:
        client.authenticate_oauth(user, token)
    except BaseException:
        client.close()
        raise
    return client


def test_a_revoked_mailbox_is_set_up_again_with_what_was_kept(
    ready: Account, oauth_sandbox: Sandbox, store: Counting
) -> None:
    ready.revoke()
    again = Account(ready.address, store=store).authorize(open_browser=oauth_sandbox.browser())
    with again.imap() as imap:
        assert imap.select()[0] == "OK"


def test_a_revoked_mailbox_says_to_sign_in(ready: Account) -> None:
    ready.revoke()
    with pytest.raises(FlowError) as caught:
        ready.token()
    assert caught.value.authorize_again


def test_a_removed_mailbox_is_gone(ready: Account, store: Counting) -> None:
    assert (ready.remove(), ready.remove(), store.addresses()) == (True, False, [])


def test_repr_shows_no_secret(ready: Account) -> None:
    assert ready.token() not in repr(ready)


def test_the_usual_store_is_a_folder(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path))
    assert isinstance(Account("me@gmail.com").store, FileStore)
