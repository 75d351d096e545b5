"""python-oauth2's names: values by its rules, messages by printed vectors, old scripts against the sandbox."""

from __future__ import annotations

import base64
import imaplib
import json
import os
import re
import smtplib
import subprocess
import sys
import textwrap
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import oauthlib.oauth1
import pytest

import oauthmail
import oauthmail.compat.oauth2 as oauth2
from oauthmail import InsecureConnectionError, OAuth1Credentials, OAuth2Credentials
from oauthmail.compat.oauth2.clients.imap import IMAP4_SSL
from oauthmail.compat.oauth2.clients.smtp import SMTP
from oauthmail.testing import Mailbox

from ..scripted import Certificates, Line, scripted

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 10.0
CONSUMER = oauth2.Consumer("client key", "client/secret+=")
TOKEN = oauth2.Token("1/token key", "tokenSecret/+=")
VECTORS = [
    pytest.param(vector, id=vector["id"])
    for vector in json.loads((ROOT / "tests" / "vectors" / "xoauth_vectors.json").read_text("utf-8"))["xoauth"]
    # python-oauth2 always states the version.
    if vector["oauth_version"] == "1.0"
]


def unconnected() -> SMTP:
    # Without a name of its own the client would ask the network for one.
    return SMTP(local_hostname="client.example")


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [oauth2.Consumer, oauth2.Token])
@pytest.mark.parametrize(("key", "secret"), [(None, None), ("key", None), (None, "secret")])
def test_a_value_without_key_or_secret_is_refused(kind: Any, key: object, secret: object) -> None:
    with pytest.raises(ValueError, match=r"^Key and secret must be set\.$"):
        kind(key, secret)


def test_a_consumer_as_text_is_form_encoded() -> None:
    assert str(CONSUMER) == "oauth_consumer_key=client+key&oauth_consumer_secret=client%2Fsecret%2B%3D"


def test_a_token_as_text_is_form_encoded() -> None:
    assert str(TOKEN) == TOKEN.to_string() == "oauth_token=1%2Ftoken+key&oauth_token_secret=tokenSecret%2F%2B%3D"


def test_a_confirmed_callback_is_part_of_the_text() -> None:
    token = oauth2.Token("key", "secret")
    token.set_callback("https://example.com/back")
    assert token.to_string() == "oauth_token=key&oauth_token_secret=secret&oauth_callback_confirmed=true"


@pytest.mark.parametrize("secret", ["secret", "a b/+=&%é", ""], ids=["plain", "reserved", "empty"])
def test_a_token_comes_back_from_its_text(secret: str) -> None:
    token = oauth2.Token("1/key", secret)
    token.set_callback("https://example.com/back")
    found = oauth2.Token.from_string(token.to_string())
    assert (found.key, found.secret, found.callback_confirmed) == ("1/key", secret, "true")


def test_a_servers_answer_may_say_more_than_the_token() -> None:
    token = oauth2.Token.from_string("oauth_token=key&user_id=7&oauth_token_secret=secret")
    assert (token.key, token.secret, token.callback_confirmed) == ("key", "secret", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", r"Invalid parameter string\.", id="empty"),
        pytest.param("nonsense", r"Invalid parameter string\.", id="no parameter"),
        pytest.param("oauth_token=&oauth_token_secret=", r"Invalid parameter string\.", id="both empty"),
        pytest.param("a=b", "'oauth_token' not found in OAuth request", id="others"),
        pytest.param("oauth_token_secret=secret", "'oauth_token' not found in OAuth request", id="no token"),
        pytest.param("oauth_token=key", "'oauth_token_secret' not found in OAuth request", id="no secret"),
        pytest.param("oauth_token=key%26oauth_token_secret=secret", "'oauth_token_secret' not found", id="encoded &"),
    ],
)
def test_text_that_is_no_token_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        oauth2.Token.from_string(text)


@pytest.mark.parametrize(
    ("callback", "verifier", "expected"),
    [
        pytest.param(None, "123", None, id="no callback"),
        pytest.param("https://example.com/back", None, "https://example.com/back", id="no verifier"),
        pytest.param("https://example.com/back", "123", "https://example.com/back?oauth_verifier=123", id="both"),
        pytest.param("https://a.test/b?c=d#e", "123", "https://a.test/b?c=d&oauth_verifier=123#e", id="query"),
        pytest.param("https://a.test/b", "1&c", "https://a.test/b?oauth_verifier=1%26c", id="reserved"),
    ],
)
def test_a_callback_url_carries_the_verifier(callback: str | None, verifier: str | None, expected: str | None) -> None:
    token = oauth2.Token("key", "secret")
    if callback is not None:
        token.set_callback(callback)
    if verifier is not None:
        token.set_verifier(verifier)
    assert token.get_callback_url() == expected


def test_a_verifier_that_is_not_given_is_eight_digits() -> None:
    token = oauth2.Token("key", "secret")
    token.set_verifier()
    assert re.fullmatch("[0-9]{8}", token.verifier or "")


@pytest.mark.parametrize("value", [CONSUMER, TOKEN], ids=["consumer", "token"])
def test_a_value_does_not_show_its_secret_by_repr(value: Any) -> None:
    assert value.secret not in repr(value)
    assert value.key not in repr(value)


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(lambda secret: oauth2.Consumer(None, secret()), id="consumer"),  # type: ignore[arg-type]  # on purpose
        pytest.param(lambda secret: oauth2.Token.from_string(f"oauth_token_secret={secret()}"), id="from_string"),
        pytest.param(lambda secret: oauth2.credentials(secret(), TOKEN), id="consumer of another kind"),
        pytest.param(lambda secret: oauth2.credentials(CONSUMER, secret()), id="token of another kind"),
        pytest.param(lambda secret: oauth2.build_xoauth_string("https://a.test/", CONSUMER, secret()), id="string"),
        pytest.param(lambda secret: unconnected().authenticate("me@example.com", secret()), id="SMTP"),
        pytest.param(
            lambda secret: unconnected().authenticate("me@example.com", secret(), TOKEN), id="SMTP, another kind"
        ),
    ],
)
def test_a_refusal_leaves_no_secret_in_its_traceback(refused: Callable[[Callable[[], str]], object]) -> None:
    with pytest.raises((ValueError, OSError)) as caught:
        # From a function, so that no frame of the test holds it.
        refused(lambda: "-".join(["very", "secret"]))
    lines = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    assert "very-secret" not in "".join(lines)


def test_what_was_for_http_is_said_to_be_elsewhere() -> None:
    with pytest.raises(AttributeError, match="requests_oauthlib"):
        oauth2.Client  # noqa: B018  # the look-up is the point


# --- the message ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS)
def test_the_xoauth_string_is_the_printed_one(vector: dict[str, Any]) -> None:
    consumer = oauth2.Consumer(vector["consumer_key"], vector["consumer_secret"])
    token = None if vector["token"] is None else oauth2.Token(vector["token"], vector["token_secret"])
    found = oauth2.build_xoauth_string(
        vector["url"], consumer, token, nonce=vector["nonce"], timestamp=vector["timestamp"]
    )
    assert found == vector["xoauth_string"]


def test_the_xoauth_string_of_the_moment_is_what_oauthlib_signs() -> None:
    url = "https://mail.google.com/mail/b/me@example.com/imap/"
    message = oauth2.build_xoauth_string(url, CONSUMER, TOKEN)
    said = {name: urllib.parse.unquote(value) for name, value in re.findall(r'(oauth_\w+)="([^"]*)"', message)}
    signer = oauthlib.oauth1.Client(
        CONSUMER.key, CONSUMER.secret, TOKEN.key, TOKEN.secret, nonce=said["oauth_nonce"],
        timestamp=said["oauth_timestamp"],
    )  # fmt: skip
    header = signer.sign(url)[1]["Authorization"]
    signature = re.findall('oauth_signature="([^"]+)"', header)[0]
    assert message.startswith(f"GET {url} oauth_consumer_key=")
    assert said["oauth_signature"] == urllib.parse.unquote(signature)


@pytest.mark.parametrize(
    ("consumer", "token", "message"),
    [
        pytest.param(None, None, "Invalid consumer. .*not NoneType", id="no consumer"),
        pytest.param("client key", TOKEN, "Invalid consumer. .*not str", id="text for a consumer"),
        pytest.param(TOKEN, CONSUMER, "Invalid consumer. .*not Token", id="swapped"),
        pytest.param(TOKEN, None, "Invalid consumer. .*not Token", id="token alone"),
        pytest.param(CONSUMER, "token key", "Invalid token. .*not str", id="text for a token"),
        pytest.param(CONSUMER, CONSUMER, "Invalid token. .*not Consumer", id="consumer twice"),
    ],
)
@pytest.mark.parametrize("function", [oauth2.build_xoauth_string, unconnected().authenticate], ids=["string", "SMTP"])
def test_a_value_of_another_kind_is_refused(function: Any, consumer: object, token: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        function("https://mail.google.com/mail/b/me@example.com/imap/", consumer, token)


# --- clients --------------------------------------------------------------------------------------------------------


def url_of(user: str, protocol: str) -> str:
    return f"https://mail.google.com/mail/b/{user}/{protocol}/"


def old_values(mailbox: Mailbox) -> tuple[oauth2.Consumer, oauth2.Token]:
    """Return python-oauth2's objects for a three-legged login to the mailbox."""
    issued = mailbox.sandbox.issue_oauth1(mailbox.user)
    assert issued.resource_owner_key is not None
    return (
        oauth2.Consumer(issued.client_key, issued.client_secret),
        oauth2.Token(issued.resource_owner_key, issued.resource_owner_secret),
    )


@pytest.fixture
def smtp(oauth_mailbox: Mailbox) -> Iterator[SMTP]:
    sandbox = oauth_mailbox.sandbox
    with SMTP(sandbox.smtp.host, sandbox.smtp.port, timeout=TIMEOUT) as client:
        client.starttls(context=sandbox.ssl_context())
        yield client


@pytest.fixture
def imap(oauth_mailbox: Mailbox) -> Iterator[IMAP4_SSL]:
    sandbox = oauth_mailbox.sandbox
    with IMAP4_SSL(
        sandbox.imaps.host, sandbox.imaps.port, ssl_context=sandbox.ssl_context(), timeout=TIMEOUT
    ) as client:
        yield client


def test_smtp_logs_in_with_consumer_and_token(oauth_mailbox: Mailbox, smtp: SMTP) -> None:
    assert smtp.authenticate(url_of(oauth_mailbox.user, "smtp"), *old_values(oauth_mailbox))[0] == 235


def test_imap_logs_in_with_consumer_and_token(oauth_mailbox: Mailbox, imap: IMAP4_SSL) -> None:
    assert imap.authenticate(url_of(oauth_mailbox.user, "imap"), *old_values(oauth_mailbox))[0] == "OK"
    assert imap.select("INBOX") == ("OK", [b"0"])


def test_the_ordinary_classes_take_the_same_values(oauth_mailbox: Mailbox) -> None:
    sandbox = oauth_mailbox.sandbox
    with oauthmail.IMAP4_SSL(
        sandbox.imaps.host, sandbox.imaps.port, ssl_context=sandbox.ssl_context(), timeout=TIMEOUT
    ) as client:
        url = url_of(oauth_mailbox.user, "imap")
        assert client.authenticate_oauth(url, *old_values(oauth_mailbox))[0] == "OK"


def test_a_consumer_alone_logs_in_by_the_requestor_in_the_url(oauth_mailbox: Mailbox, imap: IMAP4_SSL) -> None:
    user = oauth_mailbox.user
    issued = oauth_mailbox.sandbox.issue_oauth1(user, two_legged=True)
    url = f"{url_of(user, 'imap')}?xoauth_requestor_id={urllib.parse.quote(user)}"
    assert imap.authenticate(url, oauth2.Consumer(issued.client_key, issued.client_secret), None)[0] == "OK"


def test_smtp_raises_what_python_oauth2_passed_over(oauth_mailbox: Mailbox, smtp: SMTP) -> None:
    consumer, token = old_values(oauth_mailbox)
    with pytest.raises(smtplib.SMTPAuthenticationError):
        smtp.authenticate(url_of(oauth_mailbox.user, "smtp"), consumer, oauth2.Token(token.key, "wrong"))


def test_imap_raises_a_refusal_and_can_try_again(oauth_mailbox: Mailbox, imap: IMAP4_SSL) -> None:
    consumer, token = old_values(oauth_mailbox)
    with pytest.raises(imaplib.IMAP4.error):
        imap.authenticate(url_of(oauth_mailbox.user, "imap"), consumer, oauth2.Token(token.key, "wrong"))
    assert imap.authenticate(url_of(oauth_mailbox.user, "imap"), consumer, token)[0] == "OK"


def test_nothing_is_sent_without_tls(oauth_mailbox: Mailbox) -> None:
    address = oauth_mailbox.sandbox.smtp
    with SMTP(address.host, address.port, timeout=TIMEOUT) as client:
        client.ehlo("test")
        with pytest.raises(InsecureConnectionError):
            client.authenticate(url_of(oauth_mailbox.user, "smtp"), *old_values(oauth_mailbox))
    assert [line for line in oauth_mailbox.received("smtp") if line.upper().startswith("AUTH")] == []


class Renewing:
    """A `TokenSource` whose first token is refused."""

    def __init__(self, good: str) -> None:
        self._good = good

    def token(self, *, rejected: str | None = None) -> str:
        return self._good if rejected == "stale" else "stale"


MODERN = [
    pytest.param(lambda token: token, id="str"),
    pytest.param(OAuth2Credentials, id="OAuth2Credentials"),
    pytest.param(lambda token: {"access_token": token}, id="token response"),
    pytest.param(lambda token: lambda: token, id="callable"),
    pytest.param(Renewing, id="TokenSource"),
]


@pytest.mark.parametrize("made", MODERN)
def test_smtp_takes_an_address_and_oauth_2_by_the_same_call(
    oauth_mailbox: Mailbox, smtp: SMTP, made: Callable[[str], object]
) -> None:
    assert smtp.authenticate(oauth_mailbox.user, made(oauth_mailbox.token))[0] == 235


@pytest.mark.parametrize("made", MODERN)
def test_imap_takes_an_address_and_oauth_2_by_the_same_call(
    oauth_mailbox: Mailbox, imap: IMAP4_SSL, made: Callable[[str], object]
) -> None:
    assert imap.authenticate(oauth_mailbox.user, made(oauth_mailbox.token), None)[0] == "OK"


def test_imap_takes_the_packages_own_oauth_1_values(oauth_mailbox: Mailbox, imap: IMAP4_SSL) -> None:
    issued: OAuth1Credentials = oauth_mailbox.sandbox.issue_oauth1(oauth_mailbox.user)
    assert imap.authenticate(url_of(oauth_mailbox.user, "imap"), issued)[0] == "OK"


@pytest.mark.parametrize("junk", [7, b"token", ["token"], object()], ids=lambda value: type(value).__name__)
def test_imap_refuses_what_is_no_credential_before_any_byte(
    oauth_mailbox: Mailbox, imap: IMAP4_SSL, junk: object
) -> None:
    with pytest.raises(ValueError, match=f"cannot log in with {type(junk).__name__}"):
        imap.authenticate(oauth_mailbox.user, junk)
    assert [line for line in oauth_mailbox.received("imap") if "AUTHENTICATE" in line] == []


def test_a_token_with_the_old_url_is_told_what_to_pass(oauth_mailbox: Mailbox, smtp: SMTP) -> None:
    with pytest.raises(ValueError, match="the mailbox address, not a request URL"):
        smtp.authenticate(url_of(oauth_mailbox.user, "smtp"), oauth_mailbox.token)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "xoauth2"])
def test_imap_takes_a_mechanism_and_a_callable_as_the_standard_library_does(
    oauth_mailbox: Mailbox, imap: IMAP4_SSL, mechanism: str
) -> None:
    message = f"user={oauth_mailbox.user}\x01auth=Bearer {oauth_mailbox.token}\x01\x01"
    assert imap.authenticate(mechanism, lambda challenge: message)[0] == "OK"


def test_imap_takes_a_token_source_that_can_be_called_for_no_such_callable(imap: IMAP4_SSL) -> None:
    class Both(Renewing):
        def __call__(self, challenge: bytes) -> bytes:
            raise AssertionError("taken for the standard library's authobject")

    with pytest.raises(imaplib.IMAP4.error, match="the server refused XOAUTH2"):
        imap.authenticate("alice", Both("refused-too"))


def test_imaps_refusal_leaves_no_token_in_its_traceback(imap: IMAP4_SSL) -> None:
    def log_in(token: Callable[[], str]) -> None:
        imap.authenticate("me@example.com", token())

    with pytest.raises(imaplib.IMAP4.error) as caught:
        log_in(lambda: "-".join(["very", "secret"]))
    lines = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    assert "very-secret" not in "".join(lines)


def test_imaplibs_own_use_of_authenticate_works(certificates: Certificates) -> None:
    def cram_md5(line: Line) -> None:
        line.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] ready\r\n")
        tag = line.answer(b"+ PDEuMkBleGFtcGxlPg==\r\n").split()[0]
        line.answer(tag + b" OK in\r\n")
        line.drain()

    with scripted(cram_md5, tls=certificates.server("127.0.0.1")) as server:
        client = IMAP4_SSL("127.0.0.1", server.port, ssl_context=certificates.client(), timeout=TIMEOUT)
        assert client.login_cram_md5("me", "password") == ("OK", [b"in"])
        client.shutdown()
    assert base64.b64decode(server.received[1]).startswith(b"me ")


def test_the_standard_librarys_modules_are_reached_through_the_clients() -> None:
    import oauthmail.compat.oauth2.clients.imap as imap_module
    import oauthmail.compat.oauth2.clients.smtp as smtp_module

    assert (imap_module.imaplib, smtp_module.smtplib) == (imaplib, smtplib)


# --- scripts as they were written -----------------------------------------------------------------------------------

START = """
import sys
import oauth2 as oauth
import oauth2.clients.smtp as smtplib
import oauth2.clients.imap as imaplib

host, smtp_port, imap_port, user = sys.argv[1:5]
consumer = oauth.Consumer(sys.argv[5], sys.argv[6])
token = oauth.Token(*sys.argv[7:9]) if len(sys.argv) > 7 else None
"""
SCRIPTS = {
    "SMTP": """
        url = "https://mail.google.com/mail/b/%s/smtp/" % user
        conn = smtplib.SMTP(host, int(smtp_port))
        conn.set_debuglevel(True)
        conn.ehlo('test')
        conn.starttls()
        conn.authenticate(url, consumer, token)

        header = 'To:' + user + '\\n' + 'From: ' + user + '\\n' + 'Subject:testing \\n'
        conn.sendmail(user, user, header + '\\n this is test msg \\n\\n')
        conn.quit()
        """,
    "SMTP, many messages": """
        from email.mime.text import MIMEText

        conn = smtplib.SMTP(host, int(smtp_port))
        conn.ehlo()
        conn.starttls()
        conn.ehlo()
        conn.authenticate('https://mail.google.com/mail/b/' + user + '/smtp/', consumer, token)
        sent = 0
        for i in range(60):
            msg = MIMEText('Dear customer number %d' % i)
            msg['Subject'] = 'Newsletter %d' % i
            msg['From'] = user
            msg['To'] = user
            try:
                conn.sendmail(user, [user], msg.as_string())
                sent += 1
            except smtplib.smtplib.SMTPException as e:
                print('could not send', i, e)
        conn.close()
        print('sent', sent)
        """,
    "IMAP": """
        url = "https://mail.google.com/mail/b/%s/imap/" % user
        conn = imaplib.IMAP4_SSL(host, int(imap_port))
        conn.debug = 4
        conn.authenticate(url, consumer, token)
        conn.select('INBOX')
        print(conn.list())
        """,
    "IMAP, search and fetch": """
        import email

        class Gmail:
            def __init__(self, user):
                self.url = 'https://mail.google.com/mail/b/%s/imap/' % user
                self.server = imaplib.IMAP4_SSL(host, int(imap_port))

            def login(self):
                self.server.authenticate(self.url, consumer, token)

            def subjects(self, *criteria):
                self.server.select('INBOX', readonly=True)
                typ, data = self.server.search(None, *criteria)
                for num in data[0].split():
                    typ, parts = self.server.fetch(num, '(RFC822)')
                    yield email.message_from_bytes(parts[0][1])['Subject']
                typ, data = self.server.uid('search', None, 'ALL')
                typ, parts = self.server.uid('fetch', b','.join(data[0].split()), '(RFC822.HEADER)')
                yield len([part for part in parts if isinstance(part, tuple)])

            def logout(self):
                self.server.close()
                self.server.logout()

        gmail = Gmail(user)
        gmail.login()
        print(list(gmail.subjects('SUBJECT', '"Order"')))
        gmail.logout()
        """,
    "IMAP, two-legged": """
        import urllib.parse
        url = 'https://mail.google.com/mail/b/%s/imap/?xoauth_requestor_id=%s' % (user, urllib.parse.quote(user))
        conn = imaplib.IMAP4_SSL(host, int(imap_port))
        conn.authenticate(url, consumer, None)
        resp, count = conn.select()
        print(resp, int(count[0]))
        conn.logout()
        """,
}


def run(mailbox: Mailbox, name: str, *, two_legged: bool = False) -> subprocess.CompletedProcess[str]:
    """Run an old script with nothing changed but the names that it imports."""
    script = START + textwrap.dedent(SCRIPTS[name])
    script = script.replace("import oauth2", "import oauthmail.compat.oauth2")
    sandbox, user = mailbox.sandbox, mailbox.user
    issued = sandbox.issue_oauth1(user, two_legged=two_legged)
    values = [issued.client_key, issued.client_secret, issued.resource_owner_key, issued.resource_owner_secret]
    ports = [str(sandbox.smtp.port), str(sandbox.imaps.port)]
    done = subprocess.run(
        [sys.executable, "-", sandbox.smtp.host, *ports, user, *filter(None, values)],
        input=script,
        capture_output=True,
        text=True,
        cwd=ROOT,
        # The scripts know nothing of an authority of their own: it is the system's that they trust.
        env={**os.environ, "SSL_CERT_FILE": str(sandbox.ca_file)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_old_smtp_script_sends(oauth_mailbox: Mailbox) -> None:
    run(oauth_mailbox, "SMTP")
    (message,) = oauth_mailbox.messages()
    assert b"Subject:testing" in message


@pytest.mark.parametrize(("name", "command"), [("SMTP", "'AUTH XOAUTH"), ("IMAP", "AUTHENTICATE XOAUTH")])
def test_the_debug_output_that_old_scripts_ask_for_shows_no_signature(
    oauth_mailbox: Mailbox, name: str, command: str
) -> None:
    shown = run(oauth_mailbox, name).stderr
    assert command in shown
    assert base64.b64encode(b"GET https://mail").decode().rstrip("=") not in shown


def test_the_old_bulk_script_sends_all_over_one_connection(oauth_mailbox: Mailbox) -> None:
    assert run(oauth_mailbox, "SMTP, many messages").stdout == "sent 60\n"
    logins = [line for line in oauth_mailbox.received("smtp") if line.startswith("AUTH XOAUTH")]
    assert (len(oauth_mailbox.messages()), len(logins)) == (60, 1)


def test_the_old_imap_script_lists(oauth_mailbox: Mailbox) -> None:
    done = run(oauth_mailbox, "IMAP")
    assert done.stdout.startswith("('OK', [")
    assert "INBOX" in done.stdout


def test_the_old_search_and_fetch_script_reads(oauth_mailbox: Mailbox) -> None:
    for subject in ("Order 1", "Greetings", "Order 2"):
        oauth_mailbox.sandbox.deliver(oauth_mailbox.user, f"Subject: {subject}\r\n\r\nText\r\n".encode())
    assert run(oauth_mailbox, "IMAP, search and fetch").stdout == "['Order 1', 'Order 2', 3]\n"


def test_the_old_two_legged_script_counts(oauth_mailbox: Mailbox) -> None:
    oauth_mailbox.sandbox.deliver(oauth_mailbox.user, b"Subject: One\r\n\r\nText\r\n")
    assert run(oauth_mailbox, "IMAP, two-legged", two_legged=True).stdout == "OK 1\n"


# --- the guide ------------------------------------------------------------------------------------------------------

GUIDE = (ROOT / "docs" / "from-python-oauth2.rst").read_text("utf-8")
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"code-block:: python\n\n((?: {4}.*\n|\n)+)", GUIDE)]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_code_of_the_guide_runs(
    oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], block: str
) -> None:
    sandbox, user = oauth_mailbox.sandbox, oauth_mailbox.user
    oauth_mailbox.sandbox.deliver(user, b"Subject: One\r\n\r\nText\r\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(sandbox.ca_file))
    consumer, token = old_values(oauth_mailbox)
    for written, meant in {
        '"smtp.example.com", 587': f'"{sandbox.smtp.host}", {sandbox.smtp.port}',
        '"imap.example.com"': f'"{sandbox.imaps.host}", {sandbox.imaps.port}',
        "me@example.com": user,
        "you@example.com": user,
        '"consumer key", "consumer secret"': f"{consumer.key!r}, {consumer.secret!r}",
        '"token key", "token secret"': f"{token.key!r}, {token.secret!r}",
    }.items():
        block = block.replace(written, meant)
    exec(block, {"access_token": oauth_mailbox.token, "message": "Subject: Two\r\n\r\nText\r\n"})  # noqa: S102  # our own
    assert len(oauth_mailbox.messages()) == 2 or capsys.readouterr().out == "('OK', [b'1'])\n"


def test_the_guide_has_code() -> None:
    assert len(BLOCKS) == 3


def test_the_guides_message_for_other_clients_is_the_one_that_is_sent() -> None:
    from oauthmail import sasl

    exchange = sasl.build("XOAUTH2", "me@example.com", "token")
    assert exchange.initial_response == b"user=me@example.com\x01auth=Bearer token\x01\x01"
