"""`oauthmail.install`: programs that log in with a password log in with OAuth, and know nothing of it."""

from __future__ import annotations

import contextlib
import imaplib
import pickle
import poplib
import smtplib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import oauthmail
from oauthmail import (
    Account,
    Application,
    AuthenticationError,
    CredentialsError,
    FileStore,
    FlowError,
    InsecureConnectionError,
    MemoryStore,
    StoreError,
)
from oauthmail.installed import install, uninstall
from oauthmail.sandbox import Sandbox
from oauthmail.testing import Mailbox

from .installing import (
    HOST,
    PASSWORD,
    PROTOCOLS,
    TIMEOUT,
    TOKEN,
    USER,
    Client,
    Server,
    close,
    connected,
    keep,
    log_in,
    logins,
    made,
)
from .scripted import Line, scripted

METHODS = [
    (smtplib.SMTP, "login"),
    (imaplib.IMAP4, "login"),
    (imaplib.IMAP4, "login_cram_md5"),
    (imaplib.IMAP4, "_simple_command"),
    (poplib.POP3, "user"),
    (poplib.POP3, "pass_"),
    (poplib.POP3, "apop"),
    (poplib.POP3, "rpop"),
]
#: The functions of the standard library, before anything was installed.
ORIGINALS = [vars(owner)[name] for owner, name in METHODS]
ERRORS: dict[str, type[Exception]] = {
    "smtp": smtplib.SMTPAuthenticationError,
    "imap": imaplib.IMAP4.error,
    "pop": poplib.error_proto,
}
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


@pytest.fixture(autouse=True)
def nothing_stays_installed() -> Iterator[None]:
    yield
    left = [vars(owner)[name] for owner, name in METHODS]
    for _ in range(10):
        uninstall()
    assert left == ORIGINALS


@pytest.fixture
def mailbox(oauth_mailbox: Mailbox) -> Mailbox:
    return oauth_mailbox


@pytest.fixture
def store(mailbox: Mailbox) -> MemoryStore:
    """A store in which the mailbox is set up."""
    store = MemoryStore()
    keep(store, mailbox.user, mailbox.token, ca_file=str(mailbox.sandbox.ca_file))
    return store


# --- what logs in ---------------------------------------------------------------------------------------------------


def open_smtp(client: smtplib.SMTP, user: str) -> tuple[int, bytes]:
    return client.login(user, PASSWORD)


def open_smtp_after_ehlo(client: smtplib.SMTP, user: str) -> tuple[int, bytes]:
    client.ehlo()
    return client.login(user=user, password=PASSWORD, initial_response_ok=False)


def open_imap(client: imaplib.IMAP4, user: str) -> tuple[str, list[Any]]:
    return client.login(user, PASSWORD)


def open_imap_in_quotes(client: imaplib.IMAP4, user: str) -> tuple[str, list[Any]]:
    return client.login(f'"{user}"', PASSWORD)


def open_imap_in_capitals(client: Any, user: str) -> Any:
    return client.LOGIN(user, PASSWORD)


def open_imap_by_cram_md5(client: imaplib.IMAP4, user: str) -> tuple[str, list[Any]]:
    return client.login_cram_md5(user, PASSWORD)


def open_imap_by_the_command(client: Any, user: str) -> Any:
    return client._simple_command("LOGIN", client._quote(user), client._quote(PASSWORD))


def open_pop(client: poplib.POP3, user: str) -> bytes:
    assert client.user(user).startswith(b"+OK")
    return client.pass_(PASSWORD)


def open_pop_by_apop(client: poplib.POP3, user: str) -> bytes:
    return client.apop(user, PASSWORD)


def open_pop_by_rpop(client: poplib.POP3, user: str) -> bytes:
    return client.rpop(user)


WAYS = [
    pytest.param("smtp", open_smtp, id="smtp"),
    pytest.param("smtp", open_smtp_after_ehlo, id="smtp after ehlo"),
    pytest.param("imap", open_imap, id="imap"),
    pytest.param("imap", open_imap_in_quotes, id="imap in quotes"),
    pytest.param("imap", open_imap_in_capitals, id="imap in capitals"),
    pytest.param("imap", open_imap_by_cram_md5, id="imap cram-md5"),
    pytest.param("imap", open_imap_by_the_command, id="imap command"),
    pytest.param("pop", open_pop, id="pop"),
    pytest.param("pop", open_pop_by_apop, id="pop apop"),
    pytest.param("pop", open_pop_by_rpop, id="pop rpop"),
]
PORTS = {
    ("smtp", "starttls"): "smtp",
    ("smtp", "tls"): "smtps",
    ("imap", "starttls"): "imap",
    ("imap", "tls"): "imaps",
    ("pop", "starttls"): "pop3",
    ("pop", "tls"): "pop3s",
}


def at(sandbox: Sandbox, protocol: str, way: str) -> Client:
    """Return a client that is connected to the sandbox as old scripts connect: without looking at a certificate."""
    return connected(protocol, getattr(sandbox, PORTS[protocol, way]).port, way)


def works(client: Client) -> bool:
    """Tell whether the mailbox is open."""
    if isinstance(client, smtplib.SMTP):
        return client.mail("from@sandbox.test")[0] == 250
    if isinstance(client, imaplib.IMAP4):
        return client.select()[0] == "OK"
    return bool(client.stat()[0] >= 0)


@pytest.mark.parametrize("way", ["starttls", "tls"])
@pytest.mark.parametrize(("protocol", "open_it"), WAYS)
def test_a_mailbox_that_is_set_up_is_opened_with_its_token(
    mailbox: Mailbox, store: MemoryStore, protocol: str, open_it: Callable[[Client, str], object], way: str
) -> None:
    with install(store=store):
        client = at(mailbox.sandbox, protocol, way)
        reply = open_it(client, mailbox.user)
    with contextlib.closing(Closing(protocol, client)):
        code = reply[0] if isinstance(reply, tuple) else reply[:3] if isinstance(reply, bytes) else None
        assert (code, works(client)) == ({"smtp": 235, "imap": "OK", "pop": b"+OK"}[protocol], True)
    sent = logins([line.encode() for line in mailbox.received()])
    assert [line.split()[:2] for line in sent] == [
        [b"AUTHENTICATE" if protocol == "imap" else b"AUTH", b"XOAUTH2"],
    ]


class Closing:
    def __init__(self, protocol: str, client: Client) -> None:
        self.close = lambda: close(protocol, client)


@each_protocol
def test_after_the_login_the_client_is_what_it_was(mailbox: Mailbox, store: MemoryStore, protocol: str) -> None:
    client = at(mailbox.sandbox, protocol, "tls")
    before = type(client), vars(client).keys() | {"file", "mo"}
    with install(store=store):
        log_in(protocol, client, mailbox.user)
    with contextlib.closing(Closing(protocol, client)):
        # smtplib's login sets the first five; imaplib's any command the last.
        expected = {"helo_resp", "ehlo_resp", "esmtp_features", "does_esmtp", "ehlo_msg", "mo"}
        assert type(client) is before[0]
        assert vars(client).keys() - before[1] <= expected


class OfTheProgram(smtplib.SMTP_SSL):
    """A class of a program, which was made before anything was installed."""

    def login(self, user: str, password: str, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
        self.wanted = user
        return super().login(user, password, initial_response_ok=initial_response_ok)

    def getreply(self) -> tuple[int, bytes]:
        self.code, text = super().getreply()
        return self.code, text


def test_classes_that_were_made_earlier_log_in_by_their_own_methods(mailbox: Mailbox, store: MemoryStore) -> None:
    with install(store=store), OfTheProgram(HOST, mailbox.sandbox.smtps.port, timeout=TIMEOUT) as client:
        client.login(mailbox.user, PASSWORD)
        assert (client.wanted, client.code) == (mailbox.user, 235)


class WithSlots(poplib.POP3_SSL):
    __slots__ = ("extra",)


def test_a_class_with_slots_logs_in(mailbox: Mailbox, store: MemoryStore) -> None:
    client = WithSlots(HOST, mailbox.sandbox.pop3s.port, timeout=TIMEOUT)
    with install(store=store), contextlib.closing(client):
        assert log_in("pop", client, mailbox.user) == b"+OK Logged in."


def test_a_login_of_a_programs_own_stays_its_own(store: MemoryStore, mailbox: Mailbox) -> None:
    class Own(smtplib.SMTP_SSL):
        def login(self, user: str, password: str, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
            return 235, b"mine"

    with install(store=store), Own(HOST, mailbox.sandbox.smtps.port, timeout=TIMEOUT) as client:
        assert client.login(mailbox.user, PASSWORD) == (235, b"mine")


@each_protocol
def test_the_login_of_our_own_classes_is_the_parents_and_opens_it_too(
    mailbox: Mailbox, store: MemoryStore, protocol: str
) -> None:
    kind: Any = {"smtp": oauthmail.SMTP_SSL, "imap": oauthmail.IMAP4_SSL, "pop": oauthmail.POP3_SSL}[protocol]
    context = {"ssl_context" if protocol == "imap" else "context": mailbox.sandbox.ssl_context()}
    client = kind(HOST, getattr(mailbox.sandbox, PORTS[protocol, "tls"]).port, timeout=TIMEOUT, **context)
    with install(store=store), contextlib.closing(Closing(protocol, client)):
        log_in(protocol, client, mailbox.user)
        assert works(client)


def test_a_token_that_is_refused_is_renewed(oauth_sandbox: Sandbox) -> None:
    account = Account(
        oauth_sandbox.new_user(),
        provider=oauth_sandbox.provider,
        application=oauth_sandbox.application,
        store=MemoryStore(),
    ).authorize(open_browser=oauth_sandbox.browser())
    oauth_sandbox.expire_token(account.token())
    client = at(oauth_sandbox, "smtp", "starttls")
    with install(store=account.store), client:
        assert client.login(account.address, PASSWORD)[0] == 235


def test_a_mailbox_of_oauth_1_logs_in(oauth_sandbox: Sandbox) -> None:
    web = oauth_sandbox.web
    account = Account(
        oauth_sandbox.new_user(),
        provider=oauth_sandbox.provider,
        application=Application(web.oauth1_client_key, web.oauth1_client_secret),
        store=MemoryStore(),
    ).authorize(flow="oauth1", open_browser=oauth_sandbox.browser())
    client = at(oauth_sandbox, "imap", "tls")
    with install(store=account.store), client:
        assert client.login(account.address, PASSWORD)[0] == "OK"


def test_the_usual_store_is_the_one_that_the_environment_names(
    mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path / "home"))
    keep(FileStore(), mailbox.user, mailbox.token, ca_file=str(mailbox.sandbox.ca_file))
    with install(), at(mailbox.sandbox, "imap", "tls") as client:
        assert client.login(mailbox.user.upper(), PASSWORD)[0] == "OK"


# --- what is refused ------------------------------------------------------------------------------------------------


@each_protocol
def test_a_refusal_is_the_modules_own_exception_with_advice(
    mailbox: Mailbox, store: MemoryStore, protocol: str
) -> None:
    keep(store, mailbox.user, "a-wrong-token", ca_file=str(mailbox.sandbox.ca_file))
    client = at(mailbox.sandbox, protocol, "tls")
    with (
        install(store=store),
        contextlib.closing(Closing(protocol, client)),
        # Nobody can renew this one.
        pytest.raises(ERRORS[protocol]) as caught,
    ):
        log_in(protocol, client, mailbox.user)
    assert isinstance(caught.value, AuthenticationError | FlowError)


def test_who_sends_the_command_itself_is_told_no() -> None:
    with (
        scripted(Server("imap", accept=False)) as server,
        install(store=made(), allow_insecure=True),
        connected("imap", server.port, "plain") as client,
    ):
        typ, data = client._simple_command("LOGIN", f'"{USER}"', '"x"')
    assert (typ, b"Sign in again" in data[0]) == ("NO", True)


@each_protocol
def test_a_mailbox_that_was_revoked_sends_no_password(mailbox: Mailbox, store: MemoryStore, protocol: str) -> None:
    keep(store, mailbox.user, None, ca_file=str(mailbox.sandbox.ca_file))
    client = at(mailbox.sandbox, protocol, "tls")
    with (
        install(store=store),
        contextlib.closing(Closing(protocol, client)),
        pytest.raises(ERRORS[protocol]) as caught,
    ):
        log_in(protocol, client, mailbox.user)
    assert isinstance(caught.value, FlowError | CredentialsError)
    assert logins([line.encode() for line in mailbox.received()]) == []


class Unreadable(MemoryStore):
    def stamp(self, address: str) -> object:
        raise StoreError("the folder is open to others")


class Damaged(MemoryStore):
    def stamp(self, address: str) -> object:
        return 1

    def load(self, address: str) -> Any:
        raise StoreError("the file is damaged", filename="me.json")


@pytest.mark.parametrize(
    ("store", "error"),
    [
        pytest.param(Unreadable(), StoreError, id="unreadable"),
        pytest.param(Damaged(), StoreError, id="damaged"),
        pytest.param(made(), InsecureConnectionError, id="no TLS"),
    ],
)
@each_protocol
def test_what_fails_before_the_login_is_a_failed_login_too(protocol: str, store: MemoryStore, error: Any) -> None:
    with scripted(Server(protocol)) as server:
        client = connected(protocol, server.port, "plain")
        with (
            install(store=store),
            contextlib.closing(Closing(protocol, client)),
            pytest.raises(ERRORS[protocol]) as caught,
        ):
            log_in(protocol, client)
    assert isinstance(caught.value, error)
    assert logins(server.received) == []


def test_an_exception_says_what_it_says_elsewhere_and_can_be_pickled() -> None:
    with scripted(Server("smtp")) as server:
        client = connected("smtp", server.port, "plain")
        with (
            install(store=Damaged()),
            contextlib.closing(client),
            pytest.raises(smtplib.SMTPAuthenticationError) as caught,
        ):
            client.login(USER, PASSWORD)
    found = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(found, StoreError)
    assert (str(found), found.filename, found.smtp_code, found.smtp_error) == (  # type: ignore[attr-defined]
        "the file is damaged",
        "me.json",
        535,
        b"the file is damaged",
    )


def test_an_outage_of_the_authorization_server_is_a_temporary_failure(oauth_sandbox: Sandbox) -> None:
    store = MemoryStore()
    # Nothing listens at this address, and the token has run out.
    account = Account(USER, store=store)
    keep(store, ca_file=str(oauth_sandbox.ca_file), token_endpoint="https://127.0.0.1:9/token")
    record = account.record
    assert record is not None
    credentials = oauthmail.OAuth2Credentials("old", refresh_token="good", expires_at=1.0)
    store.save(type(record)(**{**vars(record), "credentials": credentials}))
    client = at(oauth_sandbox, "smtp", "tls")
    with install(store=store), client, pytest.raises(smtplib.SMTPAuthenticationError) as caught:
        client.login(USER, PASSWORD)
    assert isinstance(caught.value, FlowError)
    assert (caught.value.smtp_code, caught.value.temporary) == (454, True)


def test_after_a_refusal_another_attempt_sends_no_password() -> None:
    with scripted(Server("pop", accept=False)) as server, install(store=made(), allow_insecure=True):
        client = connected("pop", server.port, "plain")
        client.user(USER)
        for _ in range(2):
            with pytest.raises(poplib.error_proto):
                client.pass_(PASSWORD)
        client.close()
    assert {line.split()[0] for line in logins(server.received)} == {b"AUTH"}


def test_a_server_without_oauth_is_told_as_elsewhere() -> None:
    with scripted(Server("smtp", auth="PLAIN")) as server, install(store=made(), allow_insecure=True):
        client = connected("smtp", server.port, "plain")
        with contextlib.closing(client), pytest.raises(smtplib.SMTPNotSupportedError) as caught:
            client.login(USER, PASSWORD)
    assert (type(caught.value), logins(server.received)) == (oauthmail.SMTPMechanismError, [])


def test_who_changes_the_user_gives_the_new_ones_password() -> None:
    with scripted(Server("pop")) as server, install(store=made(), allow_insecure=True):
        client = connected("pop", server.port, "plain")
        client.user(USER)
        client.user("another@example.com")
        client.pass_(PASSWORD)
        client.close()
    assert logins(server.received) == [b"USER another@example.com", b"PASS the-old-password"]


def test_a_literal_of_impossible_size_ends_the_connection() -> None:
    def script(line: Line) -> None:
        line.send(b"* OK IMAP4rev1 ready\r\n")
        tag = line.receive().split()[0]
        line.send(b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2\r\n" + tag + b" OK done\r\n")
        # More digits than Python makes a number of.
        line.answer(b"* 1 FETCH {" + b"9" * 5000 + b"}\r\n")

    with scripted(script) as server, install(store=made(), allow_insecure=True):
        client = connected("imap", server.port, "plain")
        with pytest.raises(imaplib.IMAP4.abort):
            client.login(USER, PASSWORD)
    # Which is what "with" looks at.
    assert client.state == "LOGOUT"


def test_a_server_is_told_its_name_where_the_mechanism_has_a_place_for_it() -> None:
    import base64

    with scripted(Server("smtp", auth="OAUTHBEARER")) as server, install(store=made(), allow_insecure=True):
        client = connected("smtp", server.port, "plain")
        client.login(USER, PASSWORD)
        client.close()
    said = base64.b64decode(logins(server.received)[0].split()[2])
    assert f"\x01host=localhost\x01port={server.port}\x01".encode() in said


def test_the_mailbox_is_named_as_it_was_set_up() -> None:
    import base64

    with scripted(Server("smtp")) as server, install(store=made("Me@Example.com"), allow_insecure=True):
        client = connected("smtp", server.port, "plain")
        client.login("ME@example.com", PASSWORD)
        client.close()
    assert base64.b64decode(logins(server.received)[0].split()[2]).startswith(b"user=Me@Example.com\x01")


# --- what counts as set up ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kept", "host"),
    [
        pytest.param({}, [], HOST, id="no mailbox"),
        pytest.param({}, ["another@example.com"], HOST, id="another mailbox"),
        pytest.param({"only": ["another@example.com"]}, [USER], HOST, id="not meant"),
        pytest.param({}, [USER], "mail.example.com", id="the same name at another service"),
    ],
)
@each_protocol
def test_other_logins_are_left_alone(protocol: str, options: dict[str, Any], kept: list[str], host: str) -> None:
    store = MemoryStore()
    for address in kept:
        keep(store, address, host=host)
    with scripted(Server(protocol, auth="PLAIN XOAUTH2")) as server, install(store=store, **options):
        client = connected(protocol, server.port, "plain")
        log_in(protocol, client)
        close(protocol, client)
    sent = b" ".join(logins(server.received))
    assert (b"XOAUTH2" in sent, b"AUTH" in sent.upper() or b"USER" in sent or b"LOGIN" in sent) == (False, True)


@pytest.mark.parametrize("only", [USER, [USER.upper()]], ids=["text", "list"])
def test_a_mailbox_that_is_meant_logs_in(only: Any) -> None:
    with scripted(Server("imap")) as server, install(store=made(), allow_insecure=True, only=only):
        client = connected("imap", server.port, "plain")
        client.login(USER, PASSWORD)
        client.logout()
    assert logins(server.received)[0].startswith(b"AUTHENTICATE XOAUTH2 ")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"hosts": ["LOCALHOST"]}, id="list"),
        pytest.param({"hosts": "localhost."}, id="text"),
    ],
)
def test_a_server_that_is_named_is_trusted_with_tokens(options: dict[str, Any]) -> None:
    store = made(host="mail.example.com")
    with scripted(Server("imap")) as server, install(store=store, allow_insecure=True, **options):
        client = connected("imap", server.port, "plain")
        client.login(USER, PASSWORD)
        client.logout()
    assert logins(server.received)[0].startswith(b"AUTHENTICATE XOAUTH2 ")


@pytest.mark.parametrize(
    ("provider", "host", "expected"),
    [
        pytest.param("google", "smtp.gmail.com", True, id="named"),
        pytest.param("google", "imap.googlemail.com", True, id="older name"),
        pytest.param("google", "smtp-relay.gmail.com", True, id="relative"),
        pytest.param("google", "smtp.office365.com", False, id="another provider"),
        pytest.param("google", "smtp.gmail.com.example.net", False, id="looks alike"),
        pytest.param("google", "notgmail.com", False, id="ends alike"),
        pytest.param("google", "com", False, id="top"),
        pytest.param("microsoft365", "smtp-mail.outlook.com", True, id="the same login server"),
        pytest.param("outlook_com", "smtp.office365.com", True, id="the same the other way round"),
        pytest.param("microsoft365", "smtp.gmail.com", False, id="not the same"),
        pytest.param("yahoo", "smtp.aol.com", False, id="sisters"),
    ],
)
def test_a_provider_has_the_servers_of_its_domains(provider: str, host: str, expected: bool) -> None:
    from oauthmail import providers
    from oauthmail.installed._mailboxes import serves
    from oauthmail.records import Record

    record = Record(USER, provider, "imported", tenant="contoso.com" if provider == "microsoft365" else None)
    assert serves(providers.get(provider).with_tenant(record.tenant), record, host) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param("mail.example.co.uk", True, id="named"),
        pytest.param("smtp.example.org", True, id="of its domain"),
        pytest.param("other.example.co.uk", False, id="of the same domain as its server"),
        pytest.param("other.co.uk", False, id="of somebody else"),
        pytest.param("example.net", False, id="of the same top"),
    ],
)
def test_a_provider_of_ones_own_has_the_servers_that_are_described(host: str, expected: bool) -> None:
    from oauthmail import providers
    from oauthmail.installed._mailboxes import serves
    from oauthmail.records import Record

    definition = {"id": "own", "smtp": "Mail.example.co.uk", "domains": ["example.org"]}
    record = Record(USER, "own", "imported", definition=definition)
    assert serves(providers.custom(**definition), record, host) is expected


def test_a_server_that_is_named_like_its_domain_has_no_relatives() -> None:
    from oauthmail import providers
    from oauthmail.installed._mailboxes import serves
    from oauthmail.records import Record

    # As if it were in the table.
    assert not serves(providers.custom(smtp="example.com"), Record(USER, "own", "imported"), "other.com")


@pytest.mark.parametrize(
    "user",
    [
        pytest.param(None, id="None"),
        pytest.param("", id="empty"),
        pytest.param("me", id="no address"),
        pytest.param("me\n@example.com", id="control character"),
        pytest.param(b"\xff", id="octets"),
        pytest.param(("me",), id="tuple"),
    ],
)
def test_what_is_no_address_is_not_looked_up(user: object) -> None:
    from oauthmail.installed._mailboxes import Mailboxes

    assert Mailboxes(made("me@example.com")).find(user, HOST) is None


def test_what_becomes_of_a_login_is_reported_once() -> None:
    told: list[str] = []
    with install(store=made(), allow_insecure=True, report=told.append):
        for user in (USER, USER, "\x1b[1mother@example.com", "other@example.com"):
            with scripted(Server("pop")) as server:
                client = connected("pop", server.port, "plain")
                log_in("pop", client, user)
                close("pop", client)
    assert told == [
        "me@example.com at localhost: logs in with OAuth; the password is not used",
        "other@example.com at localhost: not set up here, so its login was left as it is",
    ]


# --- in place and back ----------------------------------------------------------------------------------------------


def in_place() -> list[bool]:
    return [vars(owner)[name] is not original for (owner, name), original in zip(METHODS, ORIGINALS, strict=True)]


def test_uninstalling_puts_the_very_functions_back() -> None:
    install(store=MemoryStore())
    assert all(in_place())
    uninstall()
    assert not any(in_place())


def test_installations_are_counted() -> None:
    install(store=MemoryStore())
    install(store=MemoryStore())
    uninstall()
    assert all(in_place())
    uninstall()
    assert not any(in_place())
    uninstall()


def test_an_installation_ends_itself_and_no_other() -> None:
    first = install(store=MemoryStore())
    with install(store=MemoryStore()):
        first.uninstall()
        first.uninstall()
        assert all(in_place())
    assert not any(in_place())


def test_of_two_that_know_a_mailbox_the_latest_counts_and_the_others_stay_known() -> None:
    told: list[str] = []
    second = "second@example.com"
    with (
        install(store=made(USER, second), allow_insecure=True, report=lambda text: told.append(f"first: {text}")),
        install(store=made(USER), allow_insecure=True, report=lambda text: told.append(f"latest: {text}")),
    ):
        for user in (USER, second):
            with scripted(Server("pop")) as server:
                client = connected("pop", server.port, "plain")
                log_in("pop", client, user)
                close("pop", client)
    assert [text.partition(";")[0] for text in told] == [
        "latest: me@example.com at localhost: logs in with OAuth",
        "latest: second@example.com at localhost: not set up here, so its login was left as it is",
        "first: second@example.com at localhost: logs in with OAuth",
    ]


def test_who_replaced_a_method_meanwhile_keeps_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    import functools

    installation = install(store=made(), allow_insecure=True)
    ours = smtplib.SMTP.login
    called: list[str] = []

    # It takes over the attributes of what it wraps, as most do.
    @functools.wraps(ours)
    def theirs(self: smtplib.SMTP, user: str, password: str) -> tuple[int, bytes]:
        called.append(user)
        return ours(self, user, password)

    with monkeypatch.context() as patched:
        patched.setattr(smtplib.SMTP, "login", theirs)
        installation.uninstall()
        assert vars(smtplib.SMTP)["login"] is theirs
        # And it goes through to the standard library's.
        with scripted(Server("smtp", auth="PLAIN XOAUTH2")) as server:
            client = connected("smtp", server.port, "plain")
            client.login(USER, PASSWORD)
            client.close()
        # Installed again, it is beneath a new one.
        with install(store=made(), allow_insecure=True), scripted(Server("smtp", auth="XOAUTH2")) as again:
            client = connected("smtp", again.port, "plain")
            client.login(USER, PASSWORD)
            client.close()
        assert vars(smtplib.SMTP)["login"] is theirs
    found = [line.split()[1] for line in logins(server.received + again.received)]
    assert (called, found) == ([USER], [b"PLAIN", b"XOAUTH2"])
    # What was found when they came is put back; it does nothing, and goes with the next installation.
    assert vars(smtplib.SMTP)["login"] is ours
    install(store=MemoryStore()).uninstall()


def test_a_mock_that_ends_after_us_leaves_nothing_that_acts() -> None:
    installation = install(store=made(), allow_insecure=True)
    with mock.patch("smtplib.SMTP.login"):
        installation.uninstall()
    with scripted(Server("smtp", auth="PLAIN XOAUTH2")) as server:
        client = connected("smtp", server.port, "plain")
        client.login(USER, PASSWORD)
        client.close()
    assert logins(server.received)[0].split()[1] == b"PLAIN"
    install(store=MemoryStore()).uninstall()


def test_methods_look_like_the_ones_they_stand_in_for() -> None:
    import inspect

    before = [(inspect.signature(found), found.__doc__, found.__name__) for found in ORIGINALS]
    with install(store=MemoryStore()):
        now = [vars(owner)[name] for owner, name in METHODS]
    assert [(inspect.signature(found), found.__doc__, found.__name__) for found in now] == before


def test_an_exception_ends_the_installation_as_well() -> None:
    with pytest.raises(ZeroDivisionError), install(store=MemoryStore()):
        raise ZeroDivisionError
    assert not any(in_place())


def test_a_wrong_address_is_told_at_once() -> None:
    with pytest.raises(CredentialsError):
        install(store=MemoryStore(), only=[""])
    assert not any(in_place())


def test_many_threads_log_in_while_others_install(mailbox: Mailbox, store: MemoryStore) -> None:
    sandbox, failures = mailbox.sandbox, []
    context = sandbox.ssl_context()
    start = threading.Barrier(12)

    def logging_in() -> None:
        try:
            start.wait(TIMEOUT)
            for _ in range(3):
                client = connected("imap", sandbox.imaps.port, "tls", context)
                with contextlib.closing(Closing("imap", client)):
                    client.login(mailbox.user, PASSWORD)
        except BaseException as error:
            failures.append(error)

    def installing() -> None:
        start.wait(TIMEOUT)
        for _ in range(200):
            with install(store=store):
                pass

    with install(store=store):
        threads = [threading.Thread(target=target) for target in [logging_in] * 8 + [installing] * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert not any(in_place())


# --- what is shown --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [1, 5])
@each_protocol
def test_no_debug_output_shows_a_token_that_the_server_repeats(
    protocol: str, level: int, capfd: pytest.CaptureFixture[str]
) -> None:
    import base64

    with (
        scripted(Server(protocol, echo=True)) as server,
        install(store=made(), allow_insecure=True),
    ):
        client = connected(protocol, server.port, "plain")
        if protocol == "imap":
            client.debug = level
        else:
            client.set_debuglevel(level)
        log_in(protocol, client)
        kept = repr(getattr(client, "untagged_responses", "")) + repr(getattr(client, "_cmd_log", ""))
        close(protocol, client)
    shown = "".join(capfd.readouterr())
    secret = base64.b64encode(TOKEN.encode()).decode()[4:20]
    encoded = base64.b64encode(f"user={USER}\x01auth=Bearer {TOKEN}\x01\x01".encode()).decode()
    assert "[redacted]" in shown + kept
    for piece in (TOKEN[:10], secret, encoded[40:60]):
        assert piece not in shown + kept
    assert PASSWORD not in shown


def test_a_program_that_listens_to_imaplib_hears_no_token() -> None:
    heard: list[str] = []
    with scripted(Server("imap", echo=True)) as server, install(store=made(), allow_insecure=True):
        client = connected("imap", server.port, "plain")
        client.debug = 5
        client._mesg = lambda text, *rest: heard.append(text)
        listener = client._mesg
        client.login(USER, PASSWORD)
        assert client._mesg is listener
        close("imap", client)
    import base64

    encoded = base64.b64encode(f"user={USER}\x01auth=Bearer {TOKEN}\x01\x01".encode()).decode()
    assert (encoded[40:60] in "".join(heard), "[redacted]" in "".join(heard)) == (False, True)


def test_no_local_variable_of_a_traceback_shows_a_token() -> None:
    import traceback

    with scripted(Server("smtp", accept=False, echo=True)) as server, install(store=made(), allow_insecure=True):
        client = connected("smtp", server.port, "plain")
        with contextlib.closing(client), pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            client.login(USER, PASSWORD)
    text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert (TOKEN[:12] in text, "Sign in again" in text) == (False, True)
