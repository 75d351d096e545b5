"""Quick sending over a real Postfix, held against smtplib's way and against what Dovecot has in the end."""

from __future__ import annotations

import re
import smtplib
import stat
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from oauthmail import IMAP4_SSL, SMTP, SMTP_SSL, SendInterrupted
from oauthmail._transaction import CHUNK
from oauthmail.sandbox.live.process import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from oauthmail import SendResult
    from oauthmail.sandbox.live.postfix import Postfix

    from .conftest import LiveServers

    Connect = Callable[[LiveServers, Postfix], SMTP]
    Way = Callable[[SMTP], None]

TIMEOUT = 10
NAME = "client.example"

# What the refusing servers say to whom.
REFUSALS = "inline:{ {refused.test=550 5.1.1 Nobody} {later.test=450 4.2.0 Not now} {goodbye.test=421 4.7.0 Bye} }"
RULES = {
    "smtpd_delay_reject": "no",
    "smtpd_sender_restrictions": f"check_sender_access {REFUSALS}",
    "smtpd_recipient_restrictions": f"check_recipient_access {REFUSALS}, permit_sasl_authenticated, reject",
    "smtpd_data_restrictions": "check_sender_access inline:{ {no-data.test=550 5.7.1 No DATA} }",
    "smtpd_end_of_data_restrictions": "check_sender_access inline:{ {no-end.test=550 5.7.1 No message} }",
    "message_size_limit": "3000000",
}
# Postfix's own defaults, but for the second that it waits with each reply when there were ten errors.
PATIENCE = {
    "smtpd_soft_error_limit": "10",
    "smtpd_hard_error_limit": "20",
    "smtpd_junk_command_limit": "100",
    "smtpd_error_sleep_time": "0",
}


# --- clients ----------------------------------------------------------------------------------------------------------


def starttls(servers: LiveServers, postfix: Postfix) -> SMTP:
    client = SMTP(postfix.submission.host, postfix.submission.port, NAME, timeout=TIMEOUT)
    client.starttls(context=servers.ssl_context())
    return client


def implicit_tls(servers: LiveServers, postfix: Postfix) -> SMTP:
    address = postfix.submissions
    return SMTP_SSL(address.host, address.port, NAME, timeout=TIMEOUT, context=servers.ssl_context())


def bdat(client: SMTP) -> None:
    assert {"pipelining", "chunking"} <= set(client.esmtp_features)


def data(client: SMTP) -> None:
    del client.esmtp_features["chunking"]


def one_by_one(client: SMTP) -> None:
    del client.esmtp_features["chunking"], client.esmtp_features["pipelining"]


def smtplibs(client: SMTP) -> None:
    client.pipelining = False


CONNECTIONS = pytest.mark.parametrize("connect", [starttls, implicit_tls])
QUICK = pytest.mark.parametrize("way", [bdat, data])
RUNS = pytest.mark.parametrize(
    ("connect", "way"),
    [
        pytest.param(starttls, bdat, id="starttls-bdat"),
        pytest.param(implicit_tls, data, id="implicit_tls-data"),
        pytest.param(starttls, one_by_one, id="starttls-one_by_one"),
    ],
)


class User:
    """Somebody with a token, who sends over one Postfix and reads at Dovecot."""

    def __init__(self, servers: LiveServers, postfix: Postfix) -> None:
        self.servers, self.postfix = servers, postfix
        self.address = servers.new_user()
        self.token = servers.authorization.issue(self.address)

    def client(self, connect: Connect, way: Way) -> SMTP:
        client = connect(self.servers, self.postfix)
        client.authenticate_oauth(self.address, self.token)
        way(client)
        return client

    def mailbox(self, parts: str) -> list[bytes]:
        """Return parts of every message, once all mail that Postfix has is delivered."""
        assert eventually(lambda: not queued(self.postfix), TIMEOUT)
        address = self.servers.imaps
        context = self.servers.ssl_context()
        with IMAP4_SSL(address.host, address.port, ssl_context=context, timeout=TIMEOUT) as imap:
            imap.authenticate_oauth(self.address, self.token)
            if imap.select()[1] == [b"0"]:
                return []
            return [part[1] for part in imap.fetch("1:*", parts)[1] if isinstance(part, tuple)]

    def numbers(self) -> list[int]:
        """Return the numbers of the `numbered` messages that have arrived."""
        return sorted(int(header.split()[1]) for header in self.mailbox("(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))


def queued(postfix: Postfix) -> bool:
    """Tell whether there is mail on its way."""
    # In the order in which a message wanders.
    folders = [postfix.directory / "queue" / name for name in ("incoming", "active", "deferred")]
    return any(is_message(path) for folder in folders for path in folder.iterdir())


def is_message(path: Path) -> bool:
    """Tell whether it is mail; a file that was not written to its end is not executable, and stays where it is."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        # It wanders on.
        return True
    return stat.S_ISREG(mode) and bool(mode & stat.S_IXUSR)


@pytest.fixture
def user(servers: LiveServers) -> User:
    return User(servers, servers.postfix)


@pytest.fixture(scope="module")
def refusing(running_servers: LiveServers) -> Iterator[Postfix]:
    """Run a Postfix that refuses a lot, as often as it is asked."""
    with running_servers.another_postfix("refusing", **RULES) as postfix:
        yield postfix


@pytest.fixture(scope="module")
def impatient(running_servers: LiveServers) -> Iterator[Postfix]:
    """Run a Postfix that refuses a lot, and as long as Postfix does by itself."""
    with running_servers.another_postfix("impatient", **RULES, **PATIENCE) as postfix:
        yield postfix


# --- what arrives -----------------------------------------------------------------------------------------------------

HEADER = (
    b"From: <ada@mail.test>\r\nDate: Mon, 05 Jan 2026 10:00:00 +0000\r\nMessage-ID: <1@mail.test>\r\nSubject: test\r\n"
)
LINES = b"0123456789" * 7 + b"\r\n.\r\n"

EIGHT_BIT = ("BODY=8BITMIME",)
UNTOUCHED: dict[str, tuple[bytes, Sequence[str]]] = {
    "dots": (HEADER + b"\r\n.\r\n..\r\n.a\r\na.\r\n\r\n.\r\n", ()),
    "longest line": (HEADER + b"\r\n" + b"x" * 998 + b"\r\n", ()),
    "8bit": (HEADER + "\r\nGrüße\r\n".encode(), EIGHT_BIT),
    "8bit, not declared": (HEADER + "\r\nGrüße\r\n".encode(), ()),
    "SMTPUTF8": (HEADER + "\r\nGrüße\r\n".encode(), ("SMTPUTF8", *EIGHT_BIT)),
    "empty body": (HEADER + b"\r\n", ()),
    "header only": (HEADER, ()),
    "5 MB": (HEADER + b"\r\n" + LINES * (5_000_000 // len(LINES)), ()),
}
# Postfix, or the way to Dovecot, changes something about these.
MENDED: dict[str, tuple[bytes, Sequence[str]]] = {
    "long line": (HEADER + b"\r\n." + b"x" * 5000 + b"\r\nend\r\n", ()),
    "long line of dots": (HEADER + b"\r\n" + b"." * 5000 + b"\r\nend\r\n", ()),
    "LF only": (HEADER.replace(b"\r\n", b"\n") + b"\nHello\n.\nworld\n", ()),
    "mixed line ends": (HEADER + b"\r\nHello\n.\r\n.\nworld\r\n", ()),
    "no line end": (HEADER + b"\r\nHello", ()),
    "dot without line end": (HEADER + b"\r\nHello\r\n.", ()),
    "CR at the end": (HEADER + b"\r\nHello\r", ()),
    "bare CR": (HEADER + b"\r\nHello\rworld\r\n", ()),
    "NUL": (HEADER + b"\r\nHello\0world\r\n", ()),
}


def message_object(text: str, attachment: bytes = b"") -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Ada <ada@mail.test>"
    made["Date"] = "Mon, 05 Jan 2026 10:00:00 +0000"
    made["Message-ID"] = "<1@mail.test>"
    made["Subject"] = "Grüße"
    made.set_content(text)
    if attachment:
        made.add_attachment(attachment, "application", "octet-stream", filename="a.bin")
        made.set_boundary("=====1=====")
    return made


OBJECTS = {
    "text": message_object("Hello\n.\nworld\n"),
    "text outside ASCII": message_object("Grüße\n.\n" + "ü" * 300),
    "attachment": message_object("Hello\n", bytes(range(256)) * 1000),
}
SENT_AS = {"bdat": bdat, "data": data, "smtplib": smtplibs}


@pytest.fixture(scope="module", params=[starttls, implicit_tls], ids=["starttls", "implicit_tls"])
def arrived(request: pytest.FixtureRequest, running_servers: LiveServers) -> dict[tuple[str, str], bytes]:
    """Send everything in every way over one kind of TLS, and return what Dovecot has, by name and way."""
    user = User(running_servers, running_servers.postfix)
    for kind, way in SENT_AS.items():
        with user.client(request.param, way) as client:
            for name, (octets, options) in {**UNTOUCHED, **MENDED}.items():
                mark = f"X-Sample: {name}/{kind}".encode() + (b"\n" if name == "LF only" else b"\r\n")
                assert client.sendmail(user.address, [user.address], mark + octets, options) == {}
            for name, message in OBJECTS.items():
                del message["X-Sample"]
                message["X-Sample"] = f"{name}/{kind}"
                assert client.send_message(message, user.address, [user.address]) == {}
    found = {}
    for octets in user.mailbox("(BODY.PEEK[])"):
        # Postfix and Dovecot put a few lines on top.
        octets = octets[min(octets.index(b"X-Sample"), octets.index(b"From: ")) :]
        sample = re.search(rb"X-Sample: (.*)/(.*)\r\n", octets)
        assert sample is not None
        found[sample[1].decode(), sample[2].decode()] = re.sub(rb"X-Sample: .*\r\n", b"", octets, count=1)
    return found


@pytest.mark.parametrize("kind", ["bdat", "data"])
@pytest.mark.parametrize("name", [*UNTOUCHED, *MENDED, *OBJECTS])
def test_what_arrives_is_what_smtplib_would_have_sent(
    arrived: dict[tuple[str, str], bytes], name: str, kind: str
) -> None:
    assert arrived[name, kind] == arrived[name, "smtplib"]


@pytest.mark.parametrize("kind", SENT_AS)
@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_needs_no_mending_arrives_as_it_was(arrived: dict[tuple[str, str], bytes], name: str, kind: str) -> None:
    assert arrived[name, kind] == UNTOUCHED[name][0]


def counts(postfix: Postfix) -> list[str]:
    """Return the lines in which Postfix counts the commands of each connection with a login."""
    return re.findall(r"disconnect from .* auth=1 (.*)", postfix.log)


@CONNECTIONS
@pytest.mark.parametrize(
    ("way", "commands"),
    [
        pytest.param(bdat, "mail=1 rcpt=1 bdat=1 quit=1", id="bdat"),
        pytest.param(data, "mail=1 rcpt=1 data=1 quit=1", id="data"),
    ],
)
def test_the_server_counts_the_commands_of_the_way(
    servers: LiveServers, refusing: Postfix, connect: Connect, way: Way, commands: str
) -> None:
    user = User(servers, refusing)
    before = len(counts(refusing))
    with user.client(connect, way) as client:
        client.sendmail(user.address, [user.address], HEADER)
    assert eventually(lambda: len(counts(refusing)) > before, TIMEOUT)
    assert commands in counts(refusing)[-1]


@CONNECTIONS
@QUICK
def test_an_address_outside_ascii_is_accepted_as_by_smtplib(user: User, connect: Connect, way: Way) -> None:
    with user.client(connect, way) as client:
        assert "smtputf8" in client.esmtp_features
        assert client.send_message(message_object("Hello\n"), user.address, ["bücher@mail.test"]) == {}


# --- refusals ---------------------------------------------------------------------------------------------------------

GOOD = "good@mail.test"
TOO_LARGE = HEADER + b"\r\n" + LINES * (3_500_000 // len(LINES))


def outcome(client: SMTP, sender: str, recipients: Sequence[str], octets: bytes) -> tuple[Any, ...]:
    """Return what sending returns or raises, and whether the client is still connected."""
    try:
        told: tuple[Any, ...] = ("sent", client.sendmail(sender, recipients, octets))
    except smtplib.SMTPException as error:
        told = (type(error), *error.args)
    return (*told, client.sock is not None)


REFUSED = pytest.mark.parametrize(
    ("sender", "recipients", "octets"),
    [
        pytest.param("a@refused.test", [GOOD], HEADER, id="sender"),
        pytest.param("a@later.test", [GOOD], HEADER, id="sender for now"),
        pytest.param("a@goodbye.test", [GOOD], HEADER, id="sender with 421"),
        pytest.param(GOOD, ["a@refused.test"], HEADER, id="the only recipient"),
        pytest.param(GOOD, ["a@refused.test", GOOD, "b@later.test"], HEADER, id="two of three recipients"),
        pytest.param(GOOD, [f"{number}@refused.test" for number in range(300)], HEADER, id="300 of 300 recipients"),
        pytest.param(GOOD, ["a@goodbye.test", GOOD], HEADER, id="the first recipient with 421"),
        pytest.param(GOOD, [GOOD, "a@goodbye.test"], HEADER, id="the last recipient with 421"),
        pytest.param("a@no-data.test", [GOOD], HEADER, id="the message, before it is sent"),
        pytest.param("a@no-end.test", [GOOD], HEADER, id="the message"),
        pytest.param(GOOD, [GOOD], TOO_LARGE, id="the size"),
    ],
)


@CONNECTIONS
@QUICK
@REFUSED
def test_a_refusal_is_what_smtplib_makes_of_it(
    servers: LiveServers,
    refusing: Postfix,
    connect: Connect,
    way: Way,
    sender: str,
    recipients: Sequence[str],
    octets: bytes,
) -> None:
    user = User(servers, refusing)
    ours, parents = user.client(connect, way), user.client(connect, smtplibs)
    try:
        assert outcome(ours, sender, recipients, octets) == outcome(parents, sender, recipients, octets)
        if ours.sock is not None:
            assert ours.sendmail(user.address, [user.address], HEADER) == {}
    finally:
        ours.close()
        parents.close()


@pytest.mark.parametrize(
    ("way", "text"),
    [
        pytest.param(bdat, b"5.3.4 Chunk exceeds message size limit", id="bdat"),
        pytest.param(data, b"5.3.4 Error: message file too big", id="data"),
        pytest.param(smtplibs, b"5.3.4 Error: message file too big", id="smtplib"),
    ],
)
@CONNECTIONS
def test_a_size_that_was_not_told_is_refused_with_the_message(
    servers: LiveServers, refusing: Postfix, connect: Connect, way: Way, text: bytes
) -> None:
    user = User(servers, refusing)
    with user.client(connect, way) as client:
        del client.esmtp_features["size"]
        with pytest.raises(smtplib.SMTPDataError) as caught:
            client.sendmail(user.address, [user.address], TOO_LARGE)
        assert (caught.value.smtp_code, caught.value.smtp_error) == (552, text)
        assert client.sendmail(user.address, [user.address], HEADER) == {}


@CONNECTIONS
def test_a_refused_chunk_keeps_the_others_from_being_sent(
    servers: LiveServers, refusing: Postfix, connect: Connect
) -> None:
    user = User(servers, refusing)
    before = len(counts(refusing))
    with user.client(connect, bdat) as client:
        del client.esmtp_features["size"]
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail(user.address, [user.address], TOO_LARGE.ljust(12 * CHUNK, b"x"))
    assert eventually(lambda: len(counts(refusing)) > before, TIMEOUT)
    asked = re.search(r"bdat=\d+/(\d+) ", counts(refusing)[-1])
    assert asked is not None
    assert int(asked[1]) <= 8


@CONNECTIONS
@QUICK
def test_300_recipients_get_the_message_but_for_those_that_are_refused(
    servers: LiveServers, refusing: Postfix, connect: Connect, way: Way
) -> None:
    user = User(servers, refusing)
    recipients = [user.address if number % 10 else f"{number}@refused.test" for number in range(300)]
    with user.client(connect, way) as client:
        refused = client.sendmail(user.address, recipients, HEADER)
    assert list(refused) == [f"{number}@refused.test" for number in range(0, 300, 10)]
    assert len(user.mailbox("(BODY.PEEK[HEADER])")) == 1


# --- many messages ----------------------------------------------------------------------------------------------------


def numbered(user: User, numbers: Iterable[int], refused: Callable[[int], bool] = lambda number: False) -> list[Any]:
    return [
        (
            user.address,
            ["nobody@refused.test" if refused(number) else user.address],
            HEADER.replace(b"Subject: test", b"Subject: %d" % number) + b"\r\nHello\r\n.\r\nworld\r\n",
        )
        for number in numbers
    ]


@RUNS
def test_300_messages_arrive_once(servers: LiveServers, user: User, connect: Connect, way: Way) -> None:
    with user.client(connect, way) as client:
        results = list(client.send_messages(numbered(user, range(300))))
    assert [each.index for each in results if each.accepted] == list(range(300))
    assert user.numbers() == list(range(300))


@RUNS
def test_every_tenth_refused_leaves_the_others_as_they_were(
    servers: LiveServers, impatient: Postfix, connect: Connect, way: Way
) -> None:
    user = User(servers, impatient)
    with user.client(connect, way) as client:
        results = list(client.send_messages(numbered(user, range(300), lambda number: number % 10 == 0)))
    refused = [each.index for each in results if isinstance(each.error, smtplib.SMTPRecipientsRefused)]
    others = [number for number in range(300) if number % 10]
    assert (refused, [each.index for each in results if each.accepted]) == (list(range(0, 300, 10)), others)
    assert user.numbers() == others


@RUNS
def test_resets_in_front_of_250_messages_are_not_junk_while_messages_are_accepted(
    servers: LiveServers, impatient: Postfix, connect: Connect, way: Way
) -> None:
    user = User(servers, impatient)
    with user.client(connect, way) as client:
        results = list(client.send_messages(numbered(user, range(250), lambda number: number % 5 != 0)))
    assert [each.index for each in results if each.accepted] == list(range(0, 250, 5))
    assert user.numbers() == list(range(0, 250, 5))


@pytest.mark.parametrize(
    ("connect", "way", "reason"),
    [
        pytest.param(implicit_tls, data, r"421 4\.7\.0 .* too many errors", id="implicit_tls-data"),
        # As in smtplib, nobody looks at the reply to the RSET after a refusal.
        pytest.param(starttls, one_by_one, "the connection was lost", id="starttls-one_by_one"),
    ],
)
def test_a_server_that_has_had_enough_leaves_no_message_in_doubt(
    servers: LiveServers, impatient: Postfix, connect: Connect, way: Way, reason: str
) -> None:
    user = User(servers, impatient)
    client = user.client(connect, way)
    source = iter(numbered(user, range(250), lambda number: number >= 100))
    results: list[SendResult] = []
    with pytest.raises(SendInterrupted, match=reason) as caught:
        results += client.send_messages(source)
    stop = caught.value
    indexes = [*(each.index for each in results), *(each.index for each in stop.unsent)]
    assert (sum(each.accepted for each in results), stop.in_doubt) == (100, ())
    assert indexes == list(range(250 - len(list(source))))
    assert user.numbers() == list(range(100))


def test_a_server_that_has_had_enough_has_what_the_client_says(servers: LiveServers, impatient: Postfix) -> None:
    # With messages behind on their way to it, closing the connection takes replies along that were not read yet.
    user = User(servers, impatient)
    source = iter(numbered(user, range(250), lambda number: number >= 100))
    results: list[SendResult] = []
    with pytest.raises(SendInterrupted) as caught:
        results += user.client(starttls, bdat).send_messages(source)
    accepted = {each.index for each in results if each.accepted}
    in_doubt = {each.index for each in caught.value.in_doubt}
    told = [*(each.index for each in results), *in_doubt, *(each.index for each in caught.value.unsent)]
    assert sorted(told) == list(range(250 - len(list(source))))
    arrived = user.numbers()
    assert arrived == list(range(100))
    assert accepted <= {*arrived} <= accepted | in_doubt


@RUNS
@pytest.mark.parametrize("results", [1, 60])
def test_a_server_that_is_killed_has_what_the_client_says(
    servers: LiveServers, connect: Connect, way: Way, results: int, request: pytest.FixtureRequest
) -> None:
    name = re.sub(r"\W", "-", request.node.name)[-40:]
    accepted: list[int] = []

    def send() -> None:
        for result in user.client(connect, way).send_messages(source, window=64):
            accepted.extend([result.index] * result.accepted)
            if result.index + 1 == results:
                postfix.kill()

    # Without a queue manager everything stays where it is until the next start, and is delivered once then.
    with servers.another_postfix(name, master_service_disable="qmgr.unix", in_flow_delay="0") as postfix:
        user = User(servers, postfix)
        source = iter(numbered(user, range(150)))
        with pytest.raises(SendInterrupted) as caught:
            send()
    stop = caught.value
    in_doubt, unsent = ([each.index for each in some] for some in (stop.in_doubt, stop.unsent))
    assert [*accepted, *in_doubt, *unsent] == list(range(150 - len(list(source))))
    with servers.another_postfix(name) as postfix:
        user.postfix = postfix
        arrived = user.numbers()
    assert set(accepted) <= set(arrived) <= {*accepted, *in_doubt}
    assert len(arrived) == len(set(arrived))
