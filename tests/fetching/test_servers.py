"""Messages from servers that are not like others, played by a script."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oauthmail import Account, MemoryStore, OAuth2Credentials, providers
from oauthmail.fetching.criteria import Criteria
from oauthmail.fetching.errors import FetchError
from oauthmail.fetching.imap import ImapSource
from oauthmail.fetching.message import Message, Source
from oauthmail.fetching.pop import PopSource
from oauthmail.fetching.run import batches, steadily
from oauthmail.records import Record

from ..scripted import Certificates, Line, Script, ScriptedServer, scripted

USER = "me@x.test"
#: By the beginning of a command, what is answered; ``%`` stands for the command's tag.
Answers = dict[str, bytes]

IMAP: Answers = {
    "AUTHENTICATE": b"% OK done\r\n",
    "EXAMINE": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n% OK [READ-ONLY] done\r\n",
    "UID SEARCH": b"* SEARCH 1 2 5\r\n% OK done\r\n",
    "LOGOUT": b"* BYE bye\r\n% OK done\r\n",
}


def imap(answers: Answers) -> Script:
    """Return a server that answers so; an empty answer hangs up."""

    def script(line: Line) -> None:
        line.send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] ready\r\n")
        while command := line.receive():
            tag, _, rest = command.partition(b" ")
            if rest.endswith(b"}"):
                line.send(b"+ go on\r\n")
                line.receive()
            text = rest.decode("utf-8")
            beginning = max((each for each in answers if text.startswith(each)), key=len, default="")
            answer = answers[beginning] if beginning else b"* CAPABILITY IMAP4rev1\r\n% OK done\r\n"
            if not answer:
                return
            line.send(answer.replace(b"%", tag))

    return script


def fetched(*answers: bytes) -> Answers:
    whole = b"".join(answers) + b"% OK done\r\n"
    return {**IMAP, "UID FETCH": whole}


@pytest.fixture
def account(certificates: Certificates, tmp_path: Path) -> Callable[[ScriptedServer], Account]:
    ca_file = tmp_path / "ca.pem"
    certificates.authority.cert_pem.write_to_path(ca_file)

    def make(server: ScriptedServer) -> Account:
        address = {"host": "localhost", "port": server.port, "security": "tls"}
        provider = providers.custom(id="x", imap=address, pop=address, ca_file=str(ca_file), scopes="mail")
        store = MemoryStore()
        credentials = OAuth2Credentials("good-token", expires_at=time.time() + 3600)
        store.save(Record(USER, "x", "imported", None, credentials, definition=provider.definition()))
        return Account(USER, store=store, timeout=10)

    return make


Serve = Callable[..., contextlib.AbstractContextManager[tuple[ScriptedServer, Account]]]


@pytest.fixture
def serve(certificates: Certificates, account: Callable[[ScriptedServer], Account]) -> Serve:
    @contextlib.contextmanager
    def serving(*scripts: Script) -> Iterator[tuple[ScriptedServer, Account]]:
        with scripted(*scripts, tls=certificates.server("localhost")) as server:
            yield server, account(server)

    return serving


def all_of(source: Source, newest: int | None = None) -> list[Message]:
    with contextlib.closing(source):
        source.connect()
        return list(steadily(source, source.ids(newest), sleep=lambda _: None))


# --- IMAP -------------------------------------------------------------------------------------------------------------


def of_folder(account: Account, criteria: Criteria | None = None) -> ImapSource:
    return ImapSource(account, "INBOX", criteria or Criteria())


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"* 2 FETCH (UID 2 FLAGS (\\Seen) BODY[] {4}\r\nA\r\nB)\r\n", id="attributes before"),
        pytest.param(b"* 2 FETCH (BODY[] {4}\r\nA\r\nB UID 2 FLAGS (\\Seen))\r\n", id="attributes behind"),
        pytest.param(
            b"* 9 FETCH (UID 9 FLAGS ())\r\n* 2 FETCH (FLAGS (\\Seen) BODY[] {4}\r\nA\r\nB UID 2)\r\n"
            b"* 3 FETCH (FLAGS (\\Deleted))\r\n* 4 EXISTS\r\n",
            id="answers that nobody asked for",
        ),
        pytest.param(
            b"* 2 FETCH (UID 2 FLAGS (\\Seen) BODY[] {4}\r\nA\r\nB)\r\n"
            b"* 2 FETCH (UID 2 FLAGS (\\Seen) BODY[] {4}\r\nA\r\nB)\r\n",
            id="twice",
        ),
    ],
)
def test_a_message_is_read_however_it_is_answered(serve: Serve, answer: bytes) -> None:
    with serve(imap(fetched(answer))) as (_, account):
        (message,) = all_of(of_folder(account))
    assert (message.id, message.octets, sorted(message.flags)) == ("7.2", b"A\r\nB", ["\\Seen"])


@pytest.mark.parametrize(
    ("value", "octets"), [(b'""', [b""]), (b'"a \\"b\\""', [b'a "b"']), (b"NIL", []), (b"{0}\r\n", [b""])]
)
def test_a_message_may_be_short_or_none(serve: Serve, value: bytes, octets: list[bytes]) -> None:
    with serve(imap(fetched(b"* 2 FETCH (UID 2 BODY[] " + value + b")\r\n"))) as (_, account):
        assert [message.octets for message in all_of(of_folder(account))] == octets


def test_messages_that_have_gone_are_left_out(serve: Serve) -> None:
    with serve(imap(fetched(b"* 1 FETCH (UID 5 BODY[] {1}\r\nA)\r\n"))) as (_, account):
        assert [message.id for message in all_of(of_folder(account))] == ["7.5"]


def test_a_message_is_neither_marked_as_read_nor_deleted(serve: Serve) -> None:
    with serve(imap(fetched())) as (server, account):
        all_of(of_folder(account))
    commands = [line.partition(b" ")[2].decode() for line in server.received][1:-1]
    assert commands == [
        'EXAMINE "INBOX"',
        "UID SEARCH 1:3",
        "UID FETCH 1:2,5 (UID RFC822.SIZE)",
        "UID FETCH 1:2,5 (UID FLAGS INTERNALDATE BODY.PEEK[])",
    ]


def test_large_messages_come_alone(serve: Serve) -> None:
    sizes = b"".join(b"* %d FETCH (UID %d RFC822.SIZE 1500000)\r\n" % (uid, uid) for uid in (1, 2, 5))
    with serve(imap(fetched(sizes))) as (server, account):
        all_of(of_folder(account))
    asked = [line.decode().split()[3] for line in server.received if b"BODY.PEEK" in line]
    assert asked == ["1", "2", "5"]


@pytest.mark.parametrize(("newest", "expected"), [(3, ["25001:45000"]), (4, ["25001:45000", "5001:25000", "1:5000"])])
def test_a_search_goes_backwards_and_stops_when_it_has_enough(serve: Serve, newest: int, expected: list[str]) -> None:
    answers = {**fetched(), "EXAMINE": b"* 45000 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n% OK done\r\n"}
    with serve(imap(answers)) as (server, account):
        all_of(of_folder(account), newest)
        searched = [line.decode().split()[3] for line in server.received if b"SEARCH" in line]
    assert searched == expected


def test_the_newest_are_those_with_the_largest_numbers(serve: Serve) -> None:
    with serve(imap(IMAP)) as (_, account), contextlib.closing(of_folder(account)) as source:
        source.connect()
        assert source.ids(2) == ["7.2", "7.5"]


def test_texts_outside_ascii_are_searched_one_by_one(serve: Serve) -> None:
    criteria = Criteria.of(sender="Jürgen", subject="Grüße", unseen=True)
    answers = {
        **IMAP,
        "UID SEARCH CHARSET UTF-8 1:3 UNSEEN FROM": b"* SEARCH 1 2\r\n% OK done\r\n",
        "UID SEARCH CHARSET UTF-8 1:3 UNSEEN SUBJECT": b"* SEARCH 2 5\r\n% OK done\r\n",
    }
    with serve(imap(answers)) as (server, account), contextlib.closing(of_folder(account, criteria)) as source:
        source.connect()
        assert source.ids(None) == ["7.2"]
    assert [line for line in server.received if b"\xc3" in line] == ["Jürgen".encode(), "Grüße".encode()]


@pytest.mark.parametrize("answer", [b"* SEARCH\r\n% OK done\r\n", b"% OK done\r\n"])
def test_a_search_may_find_nothing(serve: Serve, answer: bytes) -> None:
    with serve(imap({**IMAP, "UID SEARCH": answer})) as (_, account):
        assert all_of(of_folder(account)) == []


def test_an_empty_folder_is_not_searched(serve: Serve) -> None:
    answers = {**IMAP, "EXAMINE": b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n% OK done\r\n"}
    with serve(imap(answers)) as (server, account):
        assert all_of(of_folder(account)) == []
    assert [line for line in server.received if b"SEARCH" in line] == []


def test_a_search_that_is_refused_is_told_in_the_servers_words(serve: Serve) -> None:
    answers = {**IMAP, "UID SEARCH": b"% NO [CANNOT] Not that \x1b[2J\r\n"}
    with serve(imap(answers)) as (_, account), pytest.raises(FetchError, match=r"\[CANNOT\] Not that \\x1b\[2J"):
        all_of(of_folder(account))


@pytest.mark.parametrize("reply", [b"NO", b"BAD"])
def test_a_refusal_to_fetch_is_told_in_the_servers_words(serve: Serve, reply: bytes) -> None:
    answers = {**IMAP, "UID FETCH": b"% " + reply + b" [LIMIT] Too much\r\n"}
    with (
        serve(imap(answers)) as (_, account),
        pytest.raises(FetchError, match=r"refuses to fetch: .*\[LIMIT\] Too much"),
    ):
        all_of(of_folder(account))


def test_a_folder_that_is_not_there_is_told_with_those_that_are(serve: Serve) -> None:
    answers = {
        **IMAP,
        "EXAMINE": b"% NO no such folder\r\n",
        "LIST": b'* LIST (\\Noselect) "/" "a \\"b\\""\r\n* LIST () NIL Entw&APw-rfe\r\n% OK done\r\n',
    }
    with serve(imap(answers)) as (_, account), pytest.raises(FetchError, match=r'there are a "b", Entwürfe$'):
        all_of(of_folder(account))


# --- connections that are lost ----------------------------------------------------------------------------------------


def cut(script: Script) -> Script:
    """Return the script, which hangs up at the first command after BODY.PEEK was asked for."""

    def shortened(line: Line) -> None:
        receive = line.receive

        def watched() -> bytes:
            command = receive()
            if b"BODY.PEEK" in command:
                line.send(b"* 1 FETCH (UID 1 BODY[] {1}\r\nA)\r\n* 2 FETCH (UID 2 BODY[] {100}\r\nhalf")
                return b""
            return command

        line.receive = watched  # type: ignore[method-assign]
        script(line)

    return shortened


def test_a_connection_that_is_lost_is_made_anew_for_the_rest(serve: Serve) -> None:
    whole = fetched(*(b"* 1 FETCH (UID %d BODY[] {1}\r\nB)\r\n" % uid for uid in (1, 2, 5)))
    with serve(cut(imap(whole)), imap(whole)) as (server, account):
        found = all_of(of_folder(account))
    assert [(message.id, message.octets) for message in found] == [("7.1", b"B"), ("7.2", b"B"), ("7.5", b"B")]
    assert len(server.lines) == 2


def test_numbers_that_have_changed_meanwhile_are_told(serve: Serve) -> None:
    other = {**IMAP, "EXAMINE": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 8] ok\r\n% OK done\r\n"}
    with (
        serve(cut(imap(IMAP)), imap(other)) as (_, account),
        pytest.raises(FetchError, match="numbered the messages of INBOX anew"),
    ):
        all_of(of_folder(account))


def test_connections_that_are_lost_are_no_matter_as_long_as_messages_come(serve: Serve) -> None:
    names = [f"m{number}" for number in range(6)]
    listed = b"".join(b"%d %s\r\n" % (number, name.encode()) for number, name in enumerate(names, 1))
    answers: Answers = {**POP, "UIDL": b"+OK\r\n" + listed + b".\r\n"}

    def one(number: int) -> Script:
        # It tells of one message and then hangs up.
        return pop({**answers, f"RETR {number}": b"+OK\r\nA\r\n.\r\n", "RETR": b""})

    with serve(*map(one, range(1, 7))) as (_, account):
        assert [message.id for message in all_of(PopSource(account))] == names


def test_a_server_that_always_hangs_up_is_given_up(serve: Serve) -> None:
    with serve(*[cut(imap(IMAP))] * 3) as (server, account), pytest.raises(Exception, match="EOF"):
        all_of(of_folder(account))
    assert len(server.lines) == 3


def test_what_came_before_is_kept(serve: Serve) -> None:
    def messages() -> Iterator[Message]:
        yield Message("1", b"")
        raise ConnectionError

    kept: list[list[Message]] = []
    with pytest.raises(ConnectionError):
        kept.extend(batches(messages()))
    assert kept == [[Message("1", b"")]]


# --- POP3 -------------------------------------------------------------------------------------------------------------

POP: Answers = {
    "CAPA": b"+OK\r\nSASL XOAUTH2\r\n.\r\n",
    "AUTH": b"+OK\r\n",
    "UIDL": b"+OK\r\n1 first\r\n2 second\r\n.\r\n",
    "RETR 1": b"+OK\r\nA\r\n..\r\n..B\r\n.\r\n",
    "RETR 2": b"+OK\r\n" + b"x" * 200_000 + b"\r\n.\r\n",
    "QUIT": b"+OK\r\n",
}


def pop(answers: Answers) -> Script:
    def script(line: Line) -> None:
        line.send(b"+OK ready\r\n")
        while command := line.receive().decode():
            beginning = max((each for each in answers if command.startswith(each)), key=len)
            if not answers[beginning]:
                return
            line.send(answers[beginning])

    return script


def test_pop3s_messages_are_read_octet_for_octet(serve: Serve) -> None:
    with serve(pop(POP)) as (_, account):
        found = all_of(PopSource(account))
    assert [(each.id, each.octets) for each in found] == [
        ("first", b"A\r\n.\r\n.B\r\n"),
        ("second", b"x" * 200_000 + b"\r\n"),
    ]


def test_nothing_is_deleted_over_pop3(serve: Serve) -> None:
    with serve(pop(POP)) as (server, account):
        all_of(PopSource(account))
    assert [line.decode().split()[0] for line in server.received] == ["CAPA", "AUTH", "UIDL", "RETR", "RETR", "QUIT"]


def test_messages_that_have_gone_are_left_out_over_pop3(serve: Serve) -> None:
    with serve(pop({**POP, "RETR 1": b"-ERR no such message\r\n"})) as (_, account):
        assert [each.id for each in all_of(PopSource(account))] == ["second"]


def test_messages_on_their_way_over_pop3_are_not_waited_for_at_the_end(serve: Serve) -> None:
    with serve(pop({**POP, "CAPA": b"+OK\r\nSASL XOAUTH2\r\nPIPELINING\r\n.\r\n"})) as (server, account):
        source = PopSource(account)
        source.connect()
        assert next(source.fetch(source.ids(None))).id == "first"
        source.close()
    assert server.received[-1] == b"RETR 2"


def test_pop3_goes_on_where_it_was_under_other_numbers(serve: Serve) -> None:
    again = {**POP, "UIDL": b"+OK\r\n1 second\r\n.\r\n", "RETR 1": b"+OK\r\nB\r\n.\r\n"}
    with serve(pop({**POP, "RETR 2": b""}), pop(again)) as (_, account):
        found = all_of(PopSource(account))
    assert [(each.id, each.octets) for each in found] == [("first", b"A\r\n.\r\n.B\r\n"), ("second", b"B\r\n")]


def test_messages_that_have_gone_between_two_connections_are_left_out_over_pop3(serve: Serve) -> None:
    again = {**POP, "UIDL": b"+OK\r\n1 first\r\n.\r\n"}
    with serve(pop({**POP, "RETR 2": b""}), pop(again)) as (_, account):
        assert [each.id for each in all_of(PopSource(account))] == ["first"]


def test_a_pop3_server_without_names_for_messages_is_told(serve: Serve) -> None:
    with serve(pop({**POP, "UIDL": b"-ERR what\r\n"})) as (_, account), pytest.raises(FetchError, match="no UIDL"):
        all_of(PopSource(account))
