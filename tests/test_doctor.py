"""The doctor: every step by itself, what its failure means, and what it reads of certificates and tokens."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme

from oauthmail import Account, Application, CredentialsError, FileStore, OAuth2Credentials, providers
from oauthmail.doctor import PROBLEMS, Step, examine
from oauthmail.doctor._certificate import Certificate, parse
from oauthmail.doctor._claims import Claims, foreign_audience, missing_scope, read
from oauthmail.sandbox import Sandbox

from .cli.rig import provider, refresh_token, set_up
from .scripted import Certificates, Line, Script, scripted

PROTOCOLS = providers.PROTOCOLS
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)

BYE = {"smtp": b"221 bye\r\n", "imap": b"* BYE bye\r\n", "pop": b"+OK bye\r\n"}
GREETING = {"smtp": b"220 hello\r\n", "imap": b"* OK [CAPABILITY IMAP4rev1] hello\r\n", "pop": b"+OK hello\r\n"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of the store; not there yet."""
    return tmp_path / "home"


@pytest.fixture
def ca_file(certificates: Certificates, tmp_path: Path) -> Path:
    """The scripted servers' authority."""
    path = tmp_path / "scripted.pem"
    certificates.authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(autouse=True)
def no_faults(oauth_sandbox: Sandbox) -> Iterator[None]:
    """End faults with the test."""
    yield
    oauth_sandbox.clear_faults()


def examined(home: Path, user: str, *protocols: str, timeout: float = 10) -> list[Step]:
    return list(examine(Account(user, store=FileStore(home), timeout=timeout), protocols))


def found(
    home: Path,
    sandbox: Sandbox,
    protocol: str,
    server: object,
    *,
    timeout: float = 10,
    ca_file: Path | None = None,
) -> Step:
    """Return the step that fails where *server* is the one for *protocol*."""
    user = sandbox.new_user()
    changes: dict[str, Any] = {protocol: server, "ca_file": str(ca_file or sandbox.ca_file)}
    set_up(home, sandbox, user, definition=provider(sandbox, **changes))
    (failed,) = (step for step in examined(home, user, protocol, timeout=timeout) if step.state == "failed")
    return failed


def problem(step: Step) -> tuple[str, str]:
    assert step.finding is not None
    return step.name, step.finding.problem


def at(port: int, security: str) -> dict[str, object]:
    return {"host": "localhost", "port": port, "security": security}


def saying(*replies: bytes) -> Script:
    """Return a script that says the first reply at once and the others each in answer to a line."""

    def play(line: Line) -> None:
        line.send(replies[0])
        for reply in replies[1:]:
            line.answer(reply)
        line.drain()

    return play


# --- the steps --------------------------------------------------------------------------------------------------------


def test_the_steps_come_in_their_order(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user)
    names: dict[str, list[str]] = {}
    for step in examined(home, user):
        names.setdefault(step.protocol, []).append(step.name)
    at_once = ["dns", "tcp", "tls", "greeting", "capabilities", "login", "command"]
    assert names == {
        "": ["store", "provider", "token"],
        "smtp": ["dns", "tcp", "greeting", "starttls", "tls", "capabilities", "login", "command"],
        "imap": at_once,
        "pop": at_once,
    }


def test_nothing_is_sent_and_nothing_is_changed(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user)
    before = len(oauth_sandbox.received())
    examined(home, user)
    lines = [line.lower() for line in oauth_sandbox.received()[before:]]
    logins = [number for number, line in enumerate(lines) if "auth" in line]
    assert lines[logins[0] + 1 : logins[0] + 4] == [f"mail from:<{user}>", "rset", "quit"]
    assert [line.partition(" ")[2] for line in lines[logins[1] + 1 : logins[1] + 3]] == ["examine inbox", "logout"]
    assert lines[logins[2] + 1 :] == ["stat", "quit"]


@each_protocol
def test_starttls_works_with_every_protocol(oauth_sandbox: Sandbox, home: Path, protocol: str) -> None:
    user = oauth_sandbox.new_user()
    ports = {"smtp": oauth_sandbox.smtp.port, "imap": oauth_sandbox.imap.port, "pop": oauth_sandbox.pop3.port}
    servers: dict[str, Any] = {protocol: at(ports[protocol], "starttls")}
    set_up(home, oauth_sandbox, user, definition=provider(oauth_sandbox, **servers))
    assert {step.state for step in examined(home, user, protocol)} == {"ok"}


def test_one_protocol_that_fails_leaves_the_others_alone(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user, definition=provider(oauth_sandbox, imap="mail..example.org"))
    states = {step.protocol: step.state for step in examined(home, user)}
    assert states == {"": "ok", "smtp": "ok", "imap": "skipped", "pop": "ok"}


def test_a_mailbox_with_oauth_1_is_checked_too(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    definition = provider(oauth_sandbox, xoauth_url="https://localhost/mail/b/{user}/{protocol}/")
    credentials = oauth_sandbox.issue_oauth1(user)
    set_up(home, oauth_sandbox, user, definition=definition, flow="oauth1", credentials=credentials, scope=())
    details = {step.name: step.detail for step in examined(home, user, "imap")}
    assert (details["token"], details["login"]) == (
        "OAuth 1.0a: logins are signed, there is no token",
        f"XOAUTH as {user}",
    )


def test_a_protocol_that_the_mailbox_was_not_set_up_for_is_left_out(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    definition = provider(oauth_sandbox, scopes={each: each for each in PROTOCOLS})
    token = OAuth2Credentials(oauth_sandbox.issue_token(user, scope=("imap",)), scope=("imap",))
    set_up(home, oauth_sandbox, user, definition=definition, scope=("imap",), credentials=token)
    assert {step.protocol for step in examined(home, user)} == {"", "imap"}


def test_a_protocol_that_the_provider_has_no_server_for_is_a_failure(oauth_sandbox: Sandbox, home: Path) -> None:
    failed = found(home, oauth_sandbox, "pop", ())
    assert problem(failed) == ("server", "no_server")


def test_a_protocol_that_is_none_is_refused(oauth_sandbox: Sandbox) -> None:
    with pytest.raises(CredentialsError, match="smtp, imap, pop"):
        list(examine(Account("me@example.org"), ["http"]))


def test_a_certificate_file_that_is_not_there_is_a_failure(oauth_sandbox: Sandbox, home: Path, tmp_path: Path) -> None:
    failed = found(home, oauth_sandbox, "imap", at(1, "tls"), ca_file=tmp_path / "missing.pem")
    assert problem(failed) == ("provider", "ca_file")


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_that_is_due_is_renewed(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    old = OAuth2Credentials("old", refresh_token=refresh_token(oauth_sandbox, user), expires_at=1.0)
    set_up(home, oauth_sandbox, user, credentials=old)
    token = next(step for step in examined(home, user, "imap") if step.name == "token")
    assert token.detail == "renewed now, good for 60 minutes; scope mail"


def test_a_token_that_is_renewed_after_a_refusal_is_no_failure(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    held = OAuth2Credentials("stale", refresh_token=refresh_token(oauth_sandbox, user), expires_at=time.time() + 3600)
    set_up(home, oauth_sandbox, user, credentials=held)
    logins = [step.detail for step in examined(home, user, "imap", "pop") if step.name == "login"]
    assert logins == [
        f"XOAUTH2 as {user}, with a new token, as the server refused the stored one",
        f"XOAUTH2 as {user}",
    ]


def test_a_jwt_shows_what_it_is_for(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    claims = {"aud": "https://outlook.office.com", "scp": "IMAP.AccessAsUser.All", "upn": user, "exp": 1}
    token = jwt.encode(claims, "k" * 32, algorithm="HS256")
    set_up(home, oauth_sandbox, user, credentials=OAuth2Credentials(token))
    shown = next(step for step in examined(home, user, "imap") if step.name == "token")
    assert shown.detail.startswith(
        f"kept; for https://outlook.office.com; scope IMAP.AccessAsUser.All; of {user}; ended "
    )


def test_a_token_that_has_ended_by_its_own_words_is_named(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    token = jwt.encode({"exp": int(time.time()) - 7300}, "k" * 32, algorithm="HS256")
    set_up(home, oauth_sandbox, user, application=None, credentials=OAuth2Credentials(token))
    failed = next(step for step in examined(home, user, "imap") if step.state == "failed")
    assert (problem(failed), failed.finding and failed.finding.cause) == (
        ("login", "token_expired"),
        "The token ended 2 hours ago, though the provider's answer promised more",
    )


def test_an_outage_is_not_blamed_on_a_token_that_was_renewed_before(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    old = OAuth2Credentials("old", refresh_token=refresh_token(oauth_sandbox, user), expires_at=1.0)
    set_up(home, oauth_sandbox, user, credentials=old)
    oauth_sandbox.fault("temporary")
    failed = next(step for step in examined(home, user, "imap") if step.state == "failed")
    assert problem(failed) == ("login", "refused")


def test_an_address_in_other_letters_is_the_same_account(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    token = jwt.encode({"upn": user.upper()}, "k" * 32, algorithm="HS256")
    set_up(home, oauth_sandbox, user, application=None, credentials=OAuth2Credentials(token))
    failed = next(step for step in examined(home, user, "imap") if step.state == "failed")
    assert problem(failed) == ("login", "not_renewed")


def test_an_application_without_access_is_told_from_a_person(oauth_sandbox: Sandbox, home: Path) -> None:
    user, web = oauth_sandbox.new_user(), oauth_sandbox.web
    # The token that an application gets for itself opens another mailbox.
    set_up(
        home,
        oauth_sandbox,
        user,
        flow="client_credentials",
        application=Application(web.client_id, web.client_secret),
        credentials=None,
        scope=("mail",),
        definition=provider(
            oauth_sandbox, client_credentials=True, application_permissions={"imap": "IMAP.AccessAsApp"}
        ),
    )
    failed = next(step for step in examined(home, user, "imap") if step.state == "failed")
    assert (problem(failed), failed.finding and failed.finding.cure) == (
        ("login", "application_refused"),
        "Have the administrator give it access to this mailbox (IMAP.AccessAsApp)",
    )


def test_a_server_that_repeats_the_token_does_not_have_it_shown(
    certificates: Certificates, ca_file: Path, oauth_sandbox: Sandbox, home: Path
) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user, application=None)
    record = FileStore(home).load(user)
    held = record.credentials if record is not None else None
    assert isinstance(held, OAuth2Credentials)
    token = held.access_token.encode()
    first_command = [b"+OK hello\r\n", b"+OK\r\nSASL XOAUTH2\r\n.\r\n", b"+OK\r\n", b"-ERR not with " + token + b"\r\n"]
    with scripted(saying(*first_command, BYE["pop"]), tls=certificates.server("localhost")) as server:
        definition = provider(oauth_sandbox, pop=at(server.port, "tls"), ca_file=str(ca_file))
        set_up(home, oauth_sandbox, user, application=None, credentials=held, definition=definition)
        steps = examined(home, user, "pop")
    assert problem(steps[-1])[0] == "command"
    assert held.access_token not in repr(steps)


# --- the way to the server --------------------------------------------------------------------------------------------


def test_a_name_that_nobody_knows_fails_at_the_look_up(oauth_sandbox: Sandbox, home: Path) -> None:
    failed = found(home, oauth_sandbox, "imap", "no-such-host.invalid")
    # Without a name server nobody can tell whether there is such a host.
    assert failed.name == "dns"
    assert problem(failed)[1] in ("no_such_host", "no_name_server")


def test_a_port_that_swallows_everything(oauth_sandbox: Sandbox, home: Path) -> None:
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        # A queue that is full drops what comes, as a firewall does.
        for _ in range(4):
            sock = waiting.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        server = {"host": "127.0.0.1", "port": port, "security": "tls"}
        assert problem(found(home, oauth_sandbox, "imap", server, timeout=0.3)) == ("tcp", "port_silent")


# --- TLS --------------------------------------------------------------------------------------------------------------


def self_signed() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = trustme.CA()
    # The authority's own certificate in the place of one that it has signed.
    with authority.private_key_pem.tempfile() as key, authority.cert_pem.tempfile() as certificate:
        context.load_cert_chain(certificate, key)
    return context


def without_common_ciphers(certificates: Certificates) -> ssl.SSLContext:
    context = certificates.server("localhost")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:@SECLEVEL=0")
    return context


@pytest.mark.parametrize("authority", [True, False], ids=["of an authority", "of a server"])
def test_a_certificate_that_signs_itself(oauth_sandbox: Sandbox, home: Path, tmp_path: Path, authority: bool) -> None:
    tls = self_signed() if authority else chain(tmp_path, 2999)[0]
    with scripted(Line.drain, Line.drain, tls=tls) as server:
        failed = found(home, oauth_sandbox, "imap", at(server.port, "tls"))
    assert problem(failed) == ("tls", "self_signed")


def test_a_certificate_that_is_not_valid_yet(
    certificates: Certificates, ca_file: Path, oauth_sandbox: Sandbox, home: Path
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begins = datetime.datetime(2999, 1, 1, tzinfo=datetime.timezone.utc)
    certificates.authority.issue_cert(
        "localhost", not_before=begins, not_after=begins + datetime.timedelta(1)
    ).configure_cert(tls)
    with scripted(Line.drain, Line.drain, tls=tls) as server:
        failed = found(home, oauth_sandbox, "imap", at(server.port, "tls"), ca_file=ca_file)
    assert (problem(failed), failed.finding and failed.finding.cause) == (
        ("tls", "certificate_early"),
        "The certificate is not valid before 2999-01-01",
    )


def chain(folder: Path, *years: int, strict: bool = True) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context and the file of the authority that stands above it.

    Args:
        folder: for the files.
        years: in which each certificate ends, from the authority's own down to the server's.
        strict: whether the certificates name each other's keys, as RFC 5280 wants it.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem, keys = serialization.Encoding.PEM, [ec.generate_private_key(ec.SECP256R1()) for _ in years]
    names = [
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"link {number}")]) for number in range(len(years))
    ]
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    made = []
    for number, year in enumerate(years):
        signer, signs = max(number - 1, 0), number < len(years) - 1
        builder = (
            x509.CertificateBuilder(names[signer], names[number], keys[number].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime(2010, 1, 1, tzinfo=datetime.timezone.utc))
            .not_valid_after(datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc))
            .add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(
                x509.KeyUsage(digital_signature=True, key_cert_sign=signs, crl_sign=signs, **usage), critical=True
            )
        )
        if strict:
            of, by = keys[number].public_key(), keys[signer].public_key()
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(of), critical=False)
            builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by), critical=False)
        made.append(builder.sign(keys[signer], hashes.SHA256()).public_bytes(pem))
    key = keys[-1].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "root.pem").write_bytes(made[0])
    (folder / "chain.pem").write_bytes(key + b"".join(reversed(made[1:] or made)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem")
    return context, folder / "root.pem"


def test_a_chain_with_an_expired_link_is_told_from_a_certificate_that_is(
    oauth_sandbox: Sandbox, home: Path, tmp_path: Path
) -> None:
    tls, root = chain(tmp_path, 2999, 2020, 2999)
    with scripted(Line.drain, Line.drain, tls=tls) as server:
        failed = found(home, oauth_sandbox, "imap", at(server.port, "tls"), ca_file=root)
    assert (problem(failed), failed.finding and "issuer link 1" in failed.finding.cause) == (
        ("tls", "chain_expired"),
        True,
    )


@pytest.mark.skipif(sys.version_info < (3, 13), reason="only strict verification minds")
def test_a_certificate_that_only_newer_versions_refuse_is_told(
    oauth_sandbox: Sandbox, home: Path, tmp_path: Path
) -> None:
    tls, root = chain(tmp_path, 2999, 2999, strict=False)
    with scripted(Line.drain, Line.drain, tls=tls) as server:
        failed = found(home, oauth_sandbox, "imap", at(server.port, "tls"), ca_file=root)
    assert problem(failed) == ("tls", "certificate_form")


def test_a_refused_certificate_is_looked_at_without_a_word_more(oauth_sandbox: Sandbox, home: Path) -> None:
    with scripted(Line.drain, Line.drain, tls=self_signed()) as server:
        found(home, oauth_sandbox, "imap", at(server.port, "tls"))
        assert server.received == []


def test_no_cipher_in_common(certificates: Certificates, ca_file: Path, oauth_sandbox: Sandbox, home: Path) -> None:
    with scripted(Line.drain, tls=without_common_ciphers(certificates)) as server:
        failed = found(home, oauth_sandbox, "imap", at(server.port, "tls"), ca_file=ca_file)
    assert problem(failed) == ("tls", "tls_version")


@each_protocol
def test_a_port_without_tls_is_told(oauth_sandbox: Sandbox, home: Path, protocol: str) -> None:
    ports = {"smtp": oauth_sandbox.smtp.port, "imap": oauth_sandbox.imap.port, "pop": oauth_sandbox.pop3.port}
    assert problem(found(home, oauth_sandbox, protocol, at(ports[protocol], "tls"))) == ("tls", "not_tls")


def test_a_connection_that_is_cut_off_at_the_handshake(oauth_sandbox: Sandbox, home: Path) -> None:
    with scripted(lambda line: None) as server:
        failed = found(home, oauth_sandbox, "imap", at(server.port, "tls"))
    assert problem(failed) == ("tls", "tls_broken")


def test_a_handshake_that_is_not_answered(oauth_sandbox: Sandbox, home: Path) -> None:
    def mute(line: Line) -> None:
        while line.sock.recv(4096):
            pass

    with scripted(mute) as server:
        failed = found(home, oauth_sandbox, "imap", at(server.port, "tls"), timeout=0.3)
    assert problem(failed) == ("tls", "silent")


# --- the server's first words -----------------------------------------------------------------------------------------


@each_protocol
def test_a_port_that_waits_for_tls_is_silent(oauth_sandbox: Sandbox, home: Path, protocol: str) -> None:
    ports = {"smtp": oauth_sandbox.smtps.port, "imap": oauth_sandbox.imaps.port, "pop": oauth_sandbox.pop3s.port}
    failed = found(home, oauth_sandbox, protocol, at(ports[protocol], "starttls"), timeout=0.3)
    assert problem(failed) == ("greeting", "silent")


@pytest.mark.parametrize(
    ("protocol", "greeting"),
    [
        pytest.param("smtp", b"554 5.7.1 go away\r\n", id="smtp"),
        pytest.param("imap", b"* BYE go away\r\n", id="imap"),
        pytest.param("pop", b"-ERR go away\r\n", id="pop"),
    ],
)
def test_a_server_that_turns_everybody_away_is_quoted(
    oauth_sandbox: Sandbox, home: Path, protocol: str, greeting: bytes
) -> None:
    with scripted(saying(greeting)) as server:
        failed = found(home, oauth_sandbox, protocol, at(server.port, "starttls"), timeout=1)
    assert (problem(failed), failed.finding and "go away" in failed.finding.reply) == (
        ("greeting", "greeting_refused"),
        True,
    )


@each_protocol
def test_a_server_of_another_kind_is_told(oauth_sandbox: Sandbox, home: Path, protocol: str) -> None:
    with scripted(saying(b"SSH-2.0-OpenSSH_9.7\r\n")) as server:
        failed = found(home, oauth_sandbox, protocol, at(server.port, "starttls"), timeout=1)
    assert problem(failed) == ("greeting", "other_protocol")


@each_protocol
def test_a_server_that_hangs_up_is_told(oauth_sandbox: Sandbox, home: Path, protocol: str) -> None:
    with scripted(lambda line: None) as server:
        failed = found(home, oauth_sandbox, protocol, at(server.port, "starttls"))
    assert problem(failed) == ("greeting", "closed")


def test_a_server_that_has_fallen_silent_is_not_waited_for_twice(oauth_sandbox: Sandbox, home: Path) -> None:
    with scripted(saying(GREETING["pop"])) as server:
        failed = found(home, oauth_sandbox, "pop", at(server.port, "starttls"), timeout=0.3)
    assert (problem(failed), server.received) == (("starttls", "silent"), [b"CAPA"])


@pytest.mark.parametrize(
    ("protocol", "replies"),
    [
        pytest.param("imap", [], id="imap"),
        pytest.param("pop", [b"+OK\r\nSASL XOAUTH2\r\n.\r\n"], id="pop"),
        pytest.param("pop", [b"-ERR what\r\n"], id="pop without CAPA"),
    ],
)
def test_a_server_without_starttls_is_told(
    oauth_sandbox: Sandbox, home: Path, protocol: str, replies: list[bytes]
) -> None:
    with scripted(saying(GREETING[protocol], *replies, BYE[protocol])) as server:
        failed = found(home, oauth_sandbox, protocol, at(server.port, "starttls"))
    assert problem(failed) == ("starttls", "no_starttls")


@pytest.mark.parametrize(
    ("protocol", "replies"),
    [
        pytest.param("smtp", [b"250-hello\r\n250 STARTTLS\r\n", b"454 not now\r\n"], id="smtp"),
        pytest.param("pop", [b"+OK\r\nSTLS\r\n.\r\n"] * 3 + [b"-ERR not now\r\n"], id="pop"),
    ],
)
def test_a_server_that_offers_tls_and_refuses_it_is_told(
    oauth_sandbox: Sandbox, home: Path, protocol: str, replies: list[bytes]
) -> None:
    with scripted(saying(GREETING[protocol], *replies, BYE[protocol])) as server:
        failed = found(home, oauth_sandbox, protocol, at(server.port, "starttls"))
    assert (problem(failed), failed.finding and "not now" in failed.finding.cause) == (
        ("tls", "starttls_refused"),
        True,
    )


# --- the first command ------------------------------------------------------------------------------------------------


def test_a_sender_that_is_refused_is_told(
    certificates: Certificates, ca_file: Path, oauth_sandbox: Sandbox, home: Path
) -> None:
    replies = [b"250-hello\r\n250 AUTH XOAUTH2\r\n", b"235 ok\r\n", b"550 5.7.60 not allowed\r\n", BYE["smtp"]]
    with scripted(saying(GREETING["smtp"], *replies), tls=certificates.server("localhost")) as server:
        failed = found(home, oauth_sandbox, "smtp", at(server.port, "tls"), ca_file=ca_file)
    assert (problem(failed), failed.finding and failed.finding.cause) == (
        ("command", "command_refused"),
        "The login is good, but the server refused MAIL FROM: 550 5.7.60 not allowed",
    )


@pytest.mark.parametrize(
    ("protocol", "replies", "expected"),
    [
        pytest.param("pop", [b"-ERR [SYS/TEMP] later\r\n"], "command_later", id="temporary"),
        pytest.param("pop", [b"-ERR [SYS/PERM] no\r\n"], "command_refused", id="permanent"),
        pytest.param("pop", [b"+OK 1 2\r\n"], None, id="accepted"),
    ],
)
def test_what_is_over_soon_is_told_from_what_is_not(
    certificates: Certificates,
    ca_file: Path,
    oauth_sandbox: Sandbox,
    home: Path,
    protocol: str,
    replies: list[bytes],
    expected: str | None,
) -> None:
    login = [b"+OK\r\nSASL XOAUTH2\r\n.\r\n", b"+OK in\r\n"]
    user = oauth_sandbox.new_user()
    with scripted(
        saying(GREETING["pop"], *login, *replies, BYE["pop"]), tls=certificates.server("localhost")
    ) as server:
        definition = provider(oauth_sandbox, pop=at(server.port, "tls"), ca_file=str(ca_file))
        set_up(home, oauth_sandbox, user, definition=definition)
        last = examined(home, user, protocol)[-1]
    assert (last.name, last.finding and last.finding.problem) == ("command", expected)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(b"NO [NONEXISTENT] no INBOX", "command_refused", id="NO"),
        pytest.param(b"BAD not now", "command_refused", id="BAD"),
        pytest.param(b"NO [UNAVAILABLE] later", "command_later", id="temporary"),
    ],
)
def test_an_inbox_that_cannot_be_opened_is_told(
    certificates: Certificates, ca_file: Path, oauth_sandbox: Sandbox, home: Path, reply: bytes, expected: str
) -> None:
    def play(line: Line) -> None:
        line.send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] hello\r\n")
        for answer in (b"OK [CAPABILITY IMAP4rev1] in", reply):
            line.send(line.receive().split()[0] + b" " + answer + b"\r\n")
        line.answer(BYE["imap"])

    with scripted(play, tls=certificates.server("localhost")) as server:
        failed = found(home, oauth_sandbox, "imap", at(server.port, "tls"), ca_file=ca_file)
    assert problem(failed) == ("command", expected)


@each_protocol
def test_a_server_that_hangs_up_at_the_login_is_told(oauth_sandbox: Sandbox, home: Path, protocol: str) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user)
    steps = examine(Account(user, store=FileStore(home)), [protocol])
    for step in steps:
        if step.name == "capabilities":
            oauth_sandbox.fault("drop")
        if step.name == "login":
            assert problem(step) == ("login", "closed")


def test_a_refusal_that_no_renewal_can_mend_has_both_answers(oauth_sandbox: Sandbox, home: Path) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user, credentials=OAuth2Credentials("stale", refresh_token="revoked"))
    failed = next(step for step in examined(home, user, "imap") if step.state == "failed")
    assert (problem(failed), failed.finding and failed.finding.reply) == (
        ("login", "not_renewed"),
        "NO [AUTHENTICATIONFAILED] Authentication failed.",
    )


# --- the table of problems --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROBLEMS)
def test_causes_and_cures_are_sentences_without_a_full_stop(name: str) -> None:
    texts = [text for text in PROBLEMS[name] if text and not text.startswith("{")]
    assert [text for text in texts if not text[0].isupper() or text.endswith(".")] == []


# --- certificates -----------------------------------------------------------------------------------------------------


def certificate(*names: str, **arguments: Any) -> bytes:
    issued = trustme.CA(organization_name="Prüfstelle").issue_cert(*names, **arguments)
    return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())


def test_a_certificate_is_read_without_trusting_it() -> None:
    ends = datetime.datetime(2055, 1, 1, tzinfo=datetime.timezone.utc)
    begins = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)
    octets = certificate("mail.example.org", "192.0.2.1", "::1", not_before=begins, not_after=ends)
    assert parse(octets) == Certificate(
        ("mail.example.org", "192.0.2.1", "::1"), "Prüfstelle", begins.timestamp(), ends.timestamp()
    )


def test_what_is_read_of_a_certificate_is_what_openssl_reads() -> None:
    for octets in ssl.create_default_context().get_ca_certs(binary_form=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=octets)
        (known,) = context.get_ca_certs()
        read_here = parse(octets)
        assert (
            ssl.cert_time_to_seconds(str(known["notBefore"])),
            ssl.cert_time_to_seconds(str(known["notAfter"])),
        ) == (
            read_here.begins,
            read_here.ends,
        )


def test_a_certificate_cut_off_anywhere_is_an_error_and_nothing_else() -> None:
    octets = certificate("mail.example.org")
    for end in range(0, len(octets), 7):
        with pytest.raises(ValueError, match="not a certificate"):
            parse(octets[:end])


@pytest.mark.parametrize("octets", [b"", b"\x30", b"\x30\x00", b"\x30\x80", b"0" * 50, b"\x30\x84\xff\xff\xff\xff"])
def test_what_is_no_certificate_is_an_error(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"certificate|unpack"):
        parse(octets)


# --- tokens' own words ------------------------------------------------------------------------------------------------


def token(content: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(token({"aud": "a", "scp": "x y"}), Claims(("a",), ("x", "y")), id="a person's, of Microsoft"),
        pytest.param(token({"aud": ["a", "b"], "roles": ["r"]}), Claims(("a", "b"), ("r",)), id="an application's"),
        pytest.param(token({"scope": "x", "exp": 7}), Claims((), ("x",), 7), id="RFC 9068"),
        pytest.param(token({"email": "e", "upn": "u"}), Claims(owner="u"), id="the most telling name"),
        pytest.param(
            token({"aud": "00000003-0000-0000-c000-000000000000"}), Claims(("https://graph.microsoft.com",)), id="id"
        ),
        pytest.param(token({"aud": 1, "scp": None, "exp": "soon", "upn": ""}), Claims(), id="other kinds of values"),
        pytest.param(token({"upn": "a\x1b[2Jb"}), Claims(owner="a\\x1b[2Jb"), id="nothing for a terminal"),
        pytest.param(token([1]), None, id="no object"),
        pytest.param("a.b.c", None, id="no base64"),
        pytest.param("ya29.a0AfB_x", None, id="opaque"),
        pytest.param("a.b.c.d.e", None, id="encrypted"),
        pytest.param(f"a.{'[' * 9000}.c", None, id="no JSON"),
        pytest.param(None, None, id="none"),
    ],
)
def test_a_token_is_read_as_far_as_it_can_be(text: str | None, expected: Claims | None) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("audience", "scope", "expected"),
    [
        pytest.param(
            "https://graph.microsoft.com", "https://outlook.office.com/x", "https://outlook.office.com", id="Graph"
        ),
        pytest.param("https://outlook.office365.com", "https://outlook.office.com/x", None, id="another name of it"),
        pytest.param(
            "https://outlook.office.com", "https://outlook.office365.us/x", "https://outlook.office365.us", id="cloud"
        ),
        pytest.param("some-client", "https://outlook.office.com/x", None, id="no address"),
        pytest.param("https://api.example.org", "https://example.org/mail", None, id="another provider"),
        pytest.param("https://graph.microsoft.com", "mail", None, id="a scope without an address"),
    ],
)
def test_an_audience_is_judged_where_scopes_tell_it(audience: str, scope: str, expected: str | None) -> None:
    assert foreign_audience([audience], [scope]) == expected


@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        pytest.param(["https://outlook.office.com/SMTP.Send"], [], id="the same"),
        pytest.param(["SMTP.Send"], [], id="its name"),
        pytest.param(["https://outlook.office365.com/smtp.send"], [], id="another spelling"),
        pytest.param(["https://outlook.office365.com/.default"], [], id="all that there is"),
        pytest.param([], [], id="not said"),
        pytest.param(["IMAP.AccessAsUser.All"], ["https://outlook.office.com/SMTP.Send"], id="missing"),
    ],
)
def test_a_scope_is_missing_where_others_are_named(granted: list[str], expected: list[str]) -> None:
    assert missing_scope(granted, ["https://outlook.office.com/SMTP.Send", "offline_access"]) == expected
