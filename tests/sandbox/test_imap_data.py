"""The sandbox's IMAP server: mailboxes, messages, FETCH and SEARCH, held to what the email package says."""

from __future__ import annotations

import base64
import imaplib
import time
from collections.abc import Iterator
from datetime import date, datetime, timezone
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message as Parsed
from email.utils import getaddresses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imap_tools import AND, MailBox
from imapclient import IMAPClient
from imapclient.response_types import BodyData

from oauthmail.sandbox.imap_fetch import items, render
from oauthmail.sandbox.imap_search import Candidate, search_keys
from oauthmail.sandbox.imap_syntax import Parser
from oauthmail.sandbox.mailbox import Mailboxes, Message

from ..scripted import TIMEOUT, Certificates
from .mail_rig import HOST, USER, Rig, mail_rig
from .mail_samples import SAMPLES, numbered


@pytest.fixture(scope="module")
def running(certificates: Certificates) -> Iterator[Rig]:
    with mail_rig(certificates) as rig:
        yield rig


@pytest.fixture
def rig(running: Rig) -> Rig:
    # The servers ask for a mailbox at every command, so that each test may start with an empty store.
    running.mailboxes.__dict__.update(Mailboxes().__dict__)
    return running


@pytest.fixture
def client(rig: Rig) -> Iterator[imaplib.IMAP4]:
    connection = rig.logged_in(select=False)
    yield connection
    connection.logout()


@pytest.fixture
def known(rig: Rig) -> Iterator[IMAPClient]:
    """The messages of `SAMPLES` in imapclient's hands."""
    for sample in SAMPLES.values():
        rig.mailboxes.deliver(USER, sample)
    with IMAPClient(HOST, rig.ports["imap", True], ssl_context=rig.context, timeout=TIMEOUT) as connection:
        connection.oauth2_login(USER, rig.state.issue(USER))
        connection.select_folder("INBOX")
        yield connection


EACH = pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in SAMPLES])


def octets_of(message: Parsed) -> bytes:
    """Return a part's body as it stands in the message."""
    # get_payload() would decode octets beyond ASCII.
    payload = message._payload  # type: ignore[attr-defined]
    assert isinstance(payload, str)
    return payload.encode("ascii", "surrogateescape")


def fetched(known: IMAPClient, name: str, item: str) -> Any:
    uid = list(SAMPLES).index(name) + 1
    return next(
        value for key, value in known.fetch([uid], [item])[uid].items() if key not in (b"SEQ", b"UID", b"FLAGS")
    )


# --- FETCH --------------------------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("item", ["RFC822", "BODY[]", "BODY.PEEK[]"])
def test_a_message_is_read_octet_by_octet(known: IMAPClient, name: str, item: str) -> None:
    assert fetched(known, name, item) == SAMPLES[name]


@EACH
@pytest.mark.parametrize(
    ("header", "text"), [("RFC822.HEADER", "RFC822.TEXT"), ("BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]")]
)
def test_header_and_text_are_split_at_the_empty_line(known: IMAPClient, name: str, header: str, text: str) -> None:
    head, body = fetched(known, name, header), fetched(known, name, text)
    assert (head + body, head[-4:]) == (SAMPLES[name], b"\r\n\r\n")


@EACH
def test_every_part_is_what_the_email_package_finds(known: IMAPClient, name: str) -> None:
    for number, part in numbered(SAMPLES[name]).items():
        octets = fetched(known, name, f"BODY.PEEK[{number}]")
        if part.get_content_type() == "message/rfc822":
            inner = message_from_bytes(octets)
            assert inner.items() == part.get_payload()[0].items()  # type: ignore[index, union-attr]
        elif not part.is_multipart():
            assert octets == octets_of(part)


@EACH
def test_the_mime_header_of_every_part_is_its_own(known: IMAPClient, name: str) -> None:
    for number, part in numbered(SAMPLES[name]).items():
        found = message_from_bytes(fetched(known, name, f"BODY.PEEK[{number}.MIME]"))
        assert found.items() == part.items()


@pytest.mark.parametrize("number", ["2", "3"])
def test_a_message_in_a_message_has_header_and_text(known: IMAPClient, number: str) -> None:
    whole = fetched(known, "forwarded", f"BODY.PEEK[{number}]")
    header = fetched(known, "forwarded", f"BODY.PEEK[{number}.HEADER]")
    text = fetched(known, "forwarded", f"BODY.PEEK[{number}.TEXT]")
    fields = fetched(known, "forwarded", f"BODY.PEEK[{number}.HEADER.FIELDS (From)]")
    assert header + text == whole
    assert message_from_bytes(fields).items() == [("From", message_from_bytes(whole)["From"])]


@pytest.mark.parametrize("section", ["2", "1.1", "0", "1.HEADER", "1.TEXT", "1.2.3.4.5"])
def test_a_part_that_is_not_there_is_nil(known: IMAPClient, section: str) -> None:
    assert fetched(known, "plain", f"BODY.PEEK[{section}]") is None


@EACH
def test_some_fields_are_whole_lines(known: IMAPClient, name: str) -> None:
    wanted = fetched(known, name, "BODY.PEEK[HEADER.FIELDS (Subject fRoM)]")
    others = fetched(known, name, "BODY.PEEK[HEADER.FIELDS.NOT (Subject From)]")
    original = message_from_bytes(SAMPLES[name])
    assert message_from_bytes(wanted).items() == [
        item for item in original.items() if item[0].lower() in ("subject", "from")
    ]
    assert message_from_bytes(others).items() == [
        item for item in original.items() if item[0].lower() not in ("subject", "from")
    ]


@pytest.mark.parametrize(("first", "count"), [(0, 10), (5, 3), (340, 100), (9999, 5)])
def test_a_partial_fetch_is_a_slice(known: IMAPClient, first: int, count: int) -> None:
    found = known.fetch([1], [f"BODY.PEEK[]<{first}.{count}>"])[1][f"BODY[]<{first}>".encode()]
    assert found == SAMPLES["plain"][first : first + count]


@EACH
def test_the_size_is_that_of_the_message(known: IMAPClient, name: str) -> None:
    assert fetched(known, name, "RFC822.SIZE") == len(SAMPLES[name])


@EACH
def test_the_envelope_is_the_header(known: IMAPClient, name: str) -> None:
    found = fetched(known, name, "ENVELOPE")
    original = message_from_bytes(SAMPLES[name])

    def raw(field: str) -> list[tuple[str, str]]:
        values = [str(make_header(decode_header(str(value)))) for value in original.get_all(field, [])]
        return getaddresses(values)

    def told(addresses: Any) -> list[tuple[str, str]]:
        return [
            (
                str(make_header(decode_header((each.name or b"").decode()))),
                f"{each.mailbox.decode()}@{each.host.decode()}",
            )
            for each in addresses or ()
        ]

    if name != "8-bit":
        assert told(found.from_) == raw("From")
        assert (found.subject or b"").decode() == (original["Subject"] or "").replace("\r\n", "")
    assert told(found.sender) == (raw("Sender") or told(found.from_))
    assert told(found.reply_to) == (raw("Reply-To") or told(found.from_))
    assert [told(found.to), told(found.cc), told(found.bcc)] == [raw("To"), raw("Cc"), raw("Bcc")]
    assert found.message_id == (original["Message-ID"].encode() if original["Message-ID"] else None)
    assert found.in_reply_to == (original["In-Reply-To"].encode() if original["In-Reply-To"] else None)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        pytest.param(
            "undisclosed-recipients:;", '(NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)', id="empty group"
        ),
        pytest.param(
            '"A, B": c@d.example, E <f@g.example>; h@i.example',
            '(NIL NIL "A, B" NIL)(NIL NIL "c" "d.example")("E" NIL "f" "g.example")(NIL NIL NIL NIL)'
            '(NIL NIL "h" "i.example")',
            id="group",
        ),
        pytest.param('"q\\"uote" <a@b.example>', '("q\\"uote" NIL "a" "b.example")', id="quote"),
        pytest.param("local", '(NIL NIL "local" NIL)', id="no domain"),
    ],
)
def test_unusual_addresses(rig: Rig, client: imaplib.IMAP4, value: str, told: str) -> None:
    rig.mailboxes.deliver(USER, f"To: {value}\r\n\r\n".encode())
    client.select()
    assert client.fetch("1", "ENVELOPE")[1] == [f"1 (ENVELOPE (NIL NIL NIL NIL NIL ({told}) NIL NIL NIL NIL))".encode()]


@EACH
def test_the_structure_is_that_of_the_message(known: IMAPClient, name: str) -> None:
    def compare(body: Any, part: Any) -> None:
        if body.is_multipart:
            assert body[1].lower().decode() == part.get_content_subtype()
            payload = part.get_payload()
            assert len(body[0]) == len(payload)
            for inner, each in zip(body[0], payload, strict=True):
                compare(inner, each)
            return
        assert b"/".join(body[:2]).lower().decode() == part.get_content_type()
        if part.is_multipart():
            # message/rfc822: its envelope and structure follow the size.
            inner = part.get_payload()[0]
            assert (body[7][1] or b"").decode() == (inner["Subject"] or "").replace("\r\n", "")
            compare(BodyData.create(body[8]), inner)
            return
        octets = octets_of(part)
        assert body[6] == len(octets)
        assert body[5].decode().lower() == (part["Content-Transfer-Encoding"] or "7bit")
        if body[0].lower() == b"text":
            assert body[7] == len(octets.splitlines())

    for item in ("BODY", "BODYSTRUCTURE"):
        structure = fetched(known, name, item)
        original = message_from_bytes(SAMPLES[name])
        compare(structure, original)


def test_the_structure_names_attachments(known: IMAPClient) -> None:
    structure = fetched(known, "attachments", "BODYSTRUCTURE")
    assert [part[8] for part in structure[0][1:2]] == [(b"attachment", (b"filename", b"bild.png"))]


@pytest.mark.parametrize(
    ("macro", "same"),
    [
        ("FAST", "FLAGS INTERNALDATE RFC822.SIZE"),
        ("all", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE"),
        ("FULL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY"),
    ],
)
def test_macros_stand_for_items(rig: Rig, client: imaplib.IMAP4, macro: str, same: str) -> None:
    rig.mailboxes.deliver(USER, SAMPLES["plain"])
    client.select()
    assert client.fetch("1", macro) == client.fetch("1", f"({same})")


def test_the_internal_date_is_that_of_the_delivery(rig: Rig, client: imaplib.IMAP4) -> None:
    rig.mailboxes.deliver(USER, b"x", internaldate=datetime.fromtimestamp(1_770_000_000, timezone.utc))
    client.select()
    answer = client.fetch("1", "INTERNALDATE")[1][0]
    assert imaplib.Internaldate2tuple(answer) == time.localtime(1_770_000_000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("item", "seen"),
    [
        ("BODY[]", True),
        ("RFC822", True),
        ("RFC822.TEXT", True),
        ("BODY.PEEK[]", False),
        ("RFC822.HEADER", False),
        ("BODY", False),
    ],
)
def test_reading_marks_as_seen_and_says_so(rig: Rig, client: imaplib.IMAP4, item: str, seen: bool) -> None:
    rig.mailboxes.deliver(USER, b"x\r\n\r\n")
    client.select()
    answer = repr(client.fetch("1", item)[1])
    assert ("\\Seen" in rig.mailboxes.messages(USER)[0].flags, "Seen" in answer) == (seen, seen)


def test_examine_changes_nothing(rig: Rig, client: imaplib.IMAP4) -> None:
    rig.mailboxes.deliver(USER, b"x")
    client.select(readonly=True)
    client.fetch("1", "BODY[]")
    refused = [client.store("1", "+FLAGS", "\\Seen")[0], client.expunge()[0]]
    assert (refused, rig.mailboxes.messages(USER)[0].flags) == (["NO", "NO"], frozenset())


LINES = st.sampled_from(
    [
        *(line + b"\r\n" for sample in SAMPLES.values() for line in sample.split(b"\r\n")[:30]),
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b'Content-Type: message/rfc822; x="\\\r\n',
        b"Content-Type: multipart/mixed\r\n",
        b"Content-Type: /;=\r\n",
        b"Content-Disposition: ;\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: x-uuencode\r\n",
        b'To: "a\\, b: <c@>, (d;e@f\r\n',
        b"Date: 99 Foo 99999 99:99:99 +9999999\r\n",
        b"Subject: =?utf-8?b?x?= =?no-such?q?x?= =?utf-8?q?=ff?=\r\n",
        b"--b\r\n",
        b"--b--\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b": : \x00\xff",
    ]
)


@settings(max_examples=400, deadline=None)
@given(octets=st.lists(LINES, max_size=25).map(b"".join))
def test_no_message_ends_the_server(octets: bytes) -> None:
    message = Message(1, octets, datetime(2026, 1, 1, tzinfo=timezone.utc))
    wanted = items(Parser(b"(FLAGS ENVELOPE BODY BODYSTRUCTURE BODY[1.2.HEADER] BODY[2] BODY[1.MIME] BODY[]<1.9>)"))
    told = render(message, message.flags, wanted)
    key = search_keys(Parser(b"OR TEXT zzzz OR SENTON 1-Jan-2026 SUBJECT zzzz"))
    assert told.count(b"BODY[") == 4
    assert not key(Candidate(1, message, recent=False, largest=(1, 1)))


# --- SEARCH -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def searched(certificates: Certificates) -> Iterator[imaplib.IMAP4]:
    """The samples under numbers 1 to 9, with flags and dates."""
    with mail_rig(certificates) as rig:
        for number, sample in enumerate(SAMPLES.values(), 1):
            when = datetime(2026, number, 15, 23, 0, tzinfo=timezone.utc)
            rig.mailboxes.deliver(USER, sample, internaldate=when)
        inbox, messages = rig.mailboxes.folder(USER, "INBOX"), rig.mailboxes.messages(USER)
        for index, flags in enumerate(
            [["\\Seen"], ["\\Answered", "\\Seen"], ["\\Flagged", "$Junk"], ["\\Deleted"], ["\\Draft"]]
        ):
            rig.mailboxes.store(inbox, [messages[index]], "", flags)
        client = rig.logged_in()
        yield client
        client.logout()


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ("ALL", "1 2 3 4 5 6 7 8 9"),
        ("SEEN", "1 2"),
        ("UNSEEN", "3 4 5 6 7 8 9"),
        ("ANSWERED", "2"),
        ("UNANSWERED 1:3", "1 3"),
        ("FLAGGED", "3"),
        ("UNFLAGGED 2:4", "2 4"),
        ("DELETED", "4"),
        ("UNDELETED 4:5", "5"),
        ("DRAFT", "5"),
        ("UNDRAFT 5:6", "6"),
        ("KEYWORD $junk", "3"),
        ("UNKEYWORD $Junk 3:4", "4"),
        ("RECENT", "1 2 3 4 5 6 7 8 9"),
        ("NEW", "3 4 5 6 7 8 9"),
        ("OLD", ""),
        ("2,4:5,*", "2 4 5 9"),
        ("*:8", "8 9"),
        ("20:30", ""),
        ("UID 3:4", "3 4"),
        ("UID 30:*", "9"),
        ('SUBJECT "PLAIN"', "1"),
        ('SUBJECT "one two"', "5"),
        ('FROM "bob example"', "1"),
        ("FROM zoe@", "2"),
        ("TO carol", "1"),
        ("CC comma", "1"),
        ("BCC comma", ""),
        ('HEADER In-Reply-To "<plain"', "2"),
        ('HEADER X-Empty ""', "5"),
        ('BODY "last line"', "1 3"),
        ('BODY "GRÜSSE"', "2 3"),
        ("TEXT zoe@example.org", "2 3"),
        ('TEXT "see below"', "3"),
        ("SINCE 15-Mar-2026 BEFORE 15-May-2026", "3 4"),
        ("ON 15-Mar-2026", "3"),
        ('BEFORE "1-Feb-2026"', "1"),
        ("SENTON 3-Mar-2026", "2"),
        ("SENTSINCE 3-Mar-2026", "2 3"),
        ("SENTBEFORE 3-Mar-2026", "1"),
        ("LARGER 5000", "2 3"),
        ("SMALLER 50", "6 8"),
        ("NOT SEEN 1:3", "3"),
        ("NOT NOT SEEN", "1 2"),
        ("OR SEEN FLAGGED", "1 2 3"),
        ("OR OR SEEN FLAGGED DRAFT", "1 2 3 5"),
        ("(SEEN ANSWERED)", "2"),
        ("OR (SEEN NOT ANSWERED) (FLAGGED KEYWORD $Junk)", "1 3"),
        ("seen", "1 2"),
    ],
)
def test_search(searched: Any, criteria: str, found: str) -> None:
    searched.literal = None
    if criteria.isascii():
        assert searched.search(None, criteria) == ("OK", [found.encode()])
    else:
        key, text = criteria.split(" ", 1)
        searched.literal = text.strip('"').encode()
        assert searched.search("UTF-8", key) == ("OK", [found.encode()])


@pytest.mark.parametrize(
    ("criteria", "status"),
    [
        ("CHARSET KOI8-R ALL", "NO"),
        ("NONSENSE", "BAD"),
        ("", "BAD"),
        ("(ALL", "BAD"),
        ("OR ALL", "BAD"),
        ("SINCE 31-Feb-2026", "BAD"),
        ("SINCE 1-Foo-2026", "BAD"),
        ("UID 0", "BAD"),
        ("4294967296", "BAD"),
        ("(" * 60 + "ALL" + ")" * 60, "BAD"),
        ("NOT " * 1000 + "ALL", "BAD"),
    ],
)
def test_what_cannot_be_searched_is_an_error(searched: imaplib.IMAP4, criteria: str, status: str) -> None:
    if status == "NO":
        assert searched.search(None, criteria)[0] == "NO"
    else:
        with pytest.raises(imaplib.IMAP4.error, match="BAD"):
            searched.search(None, criteria)


def test_imapclient_searches_for_text_beyond_ascii(known: IMAPClient) -> None:
    assert known.search(["SUBJECT", "Füße"], charset="UTF-8") == [2]


def test_imap_tools_searches_by_its_own_criteria(rig: Rig) -> None:
    rig.mailboxes.deliver(USER, SAMPLES["plain"])
    rig.mailboxes.deliver(USER, SAMPLES["attachments"], flags=["\\Seen"])
    box = MailBox(HOST, rig.ports["imap", True], ssl_context=rig.context, timeout=TIMEOUT)
    with box.xoauth2(USER, rig.state.issue(USER)) as mailbox:
        criteria = AND(subject="Füße", sent_date_gte=date(2026, 3, 1), seen=True)
        assert [message.uid for message in mailbox.fetch(criteria, charset="UTF-8", mark_seen=False)] == ["2"]


# --- flags, copies, appended messages -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "flags", "result"),
    [
        ("FLAGS", "(\\Flagged new)", {"\\Flagged", "new"}),
        ("+FLAGS", "(\\flagged)", {"\\Seen", "old", "\\Flagged"}),
        ("-FLAGS", "\\SEEN", {"old"}),
        ("FLAGS", "()", set()),
        ("+FLAGS", "\\Deleted \\Draft", {"\\Seen", "old", "\\Deleted", "\\Draft"}),
    ],
)
def test_store_changes_flags_and_tells_them(
    rig: Rig, client: imaplib.IMAP4, command: str, flags: str, result: set[str]
) -> None:
    rig.mailboxes.deliver(USER, b"x", flags=["\\Seen", "old"])
    client.select()
    told = client.uid("STORE", "1", command, flags)[1][0]
    silent = client.store("1", f"{command}.SILENT", flags)[1]
    assert rig.mailboxes.messages(USER)[0].flags == result
    assert {flag.decode() for flag in imaplib.ParseFlags(told)} == result | {"\\Recent"}
    assert b"UID 1" in told
    assert silent == [None]


@pytest.mark.parametrize("flag", ["\\Recent", "\\Nonsense", "x" * 101, "a b(", "()"])
def test_flags_that_are_none_are_an_error(rig: Rig, client: imaplib.IMAP4, flag: str) -> None:
    rig.mailboxes.deliver(USER, b"x")
    client.select()
    with pytest.raises(imaplib.IMAP4.error, match="BAD"):
        client.store("1", "FLAGS", f"({flag})")


def test_append_keeps_message_flags_and_date(rig: Rig, client: imaplib.IMAP4) -> None:
    _, data = client.append("Sent", "(\\Seen)", '" 3-Feb-2026 04:05:06 -0500"', SAMPLES["attachments"])
    found = rig.mailboxes.messages(USER, "Sent")[0]
    validity = rig.mailboxes.folder(USER, "Sent").uid_validity
    assert data[0] == f"[APPENDUID {validity} 1] Append completed".encode()
    assert (found.octets, found.flags, found.internaldate.isoformat()) == (
        SAMPLES["attachments"],
        frozenset({"\\Seen"}),
        "2026-02-03T04:05:06-05:00",
    )


def test_what_is_appended_is_read_over_pop3(rig: Rig, client: imaplib.IMAP4) -> None:
    client.append("INBOX", "", "", SAMPLES["plain"])
    reader = rig.pop()
    payload = base64.b64encode(rig.payload("XOAUTH2", "pop")).decode()
    reader._shortcmd(f"AUTH XOAUTH2 {payload}")  # type: ignore[attr-defined]
    lines = reader.retr(1)[1]
    reader.quit()
    assert b"".join(line + b"\r\n" for line in lines) == SAMPLES["plain"]


@pytest.mark.parametrize("command", ["append", "copy", "move"])
def test_a_missing_target_may_be_created(rig: Rig, client: imaplib.IMAP4, command: str) -> None:
    rig.mailboxes.deliver(USER, b"x")
    client.select()
    appends = command == "append"
    status, data = client.append("nowhere", "", "", b"x") if appends else client.uid(command, "1", "nowhere")
    assert (status, data[0][:11]) == ("NO", b"[TRYCREATE]")


def test_copy_says_where_the_messages_are(rig: Rig, client: imaplib.IMAP4) -> None:
    for number in range(3):
        rig.mailboxes.deliver(USER, b"%d" % number, flags=["\\Flagged"])
    client.select()
    client.uid("COPY", "1,3", "Trash")
    validity = rig.mailboxes.folder(USER, "Trash").uid_validity
    assert client.response("COPYUID")[1] == [f"{validity} 1,3 1:2".encode()]
    found = rig.mailboxes.messages(USER, "Trash")
    assert [(each.octets, list(each.flags)) for each in found] == [(b"0", ["\\Flagged"]), (b"2", ["\\Flagged"])]


def test_move_takes_the_messages_away(rig: Rig, known: IMAPClient) -> None:
    known.move([2, 4], "Trash")
    left = known.search("ALL")
    assert left == [1, 3, 5, 6, 7, 8, 9]
    assert [each.octets for each in rig.mailboxes.messages(USER, "Trash")] == [SAMPLES["attachments"], SAMPLES["html"]]


def test_expunge_removes_what_is_deleted(rig: Rig, client: imaplib.IMAP4) -> None:
    for number in range(4):
        rig.mailboxes.deliver(USER, b"%d" % number)
    client.select()
    client.store("1,3", "+FLAGS", "\\Deleted")
    assert client.expunge() == ("OK", [b"1", b"2"])
    assert client.search(None, "ALL") == ("OK", [b"1 2"])


def test_uid_expunge_removes_only_the_named(rig: Rig, known: IMAPClient) -> None:
    known.delete_messages([1, 2, 3])
    known.uid_expunge([2])
    assert known.search("ALL") == [1, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(("command", "left"), [("close", 1), ("unselect", 2)])
def test_close_expunges_and_unselect_does_not(rig: Rig, client: imaplib.IMAP4, command: str, left: int) -> None:
    rig.mailboxes.deliver(USER, b"1", flags=["\\Deleted"])
    rig.mailboxes.deliver(USER, b"2")
    client.select()
    getattr(client, command)()
    assert len(rig.mailboxes.messages(USER)) == left


@pytest.mark.parametrize(
    "line", ["FETCH 2 (UID)", "FETCH 0 (UID)", "FETCH 1 (NONSENSE)", "FETCH 1 BODY[", "FETCH 1 BODY[MIME]"]
)
def test_what_cannot_be_fetched_is_an_error(rig: Rig, client: imaplib.IMAP4, line: str) -> None:
    rig.mailboxes.deliver(USER, b"x")
    client.select()
    name, *arguments = line.split(" ", 2)
    with pytest.raises(imaplib.IMAP4.error, match="BAD"):
        client._simple_command(name, *arguments)


def test_identifiers_that_no_message_has_are_no_error(rig: Rig, client: imaplib.IMAP4) -> None:
    client.select()
    assert client.uid("FETCH", "5:9", "(FLAGS)") == ("OK", [None])


# --- folders ------------------------------------------------------------------------------------------------------


def test_folders_come_and_go(rig: Rig, known: IMAPClient) -> None:
    known.create_folder("Wörk/2026")
    known.rename_folder("Wörk", "Home")
    known.subscribe_folder("Home")
    known.delete_folder("Home/2026")
    names = [name for _, _, name in known.list_folders()]
    subscribed = [name for _, _, name in known.list_sub_folders()]
    assert (names, subscribed) == (["Home", "INBOX", "Sent", "Trash"], ["Home", "INBOX", "Sent", "Trash"])
    known.unsubscribe_folder("Home")
    assert "Home" not in [name for _, _, name in known.list_sub_folders()]


def test_folders_for_sent_and_deleted_messages_are_marked(known: IMAPClient) -> None:
    assert [known.find_special_folder(mark) for mark in (b"\\Sent", b"\\Trash")] == ["Sent", "Trash"]


@pytest.mark.parametrize(
    ("reference", "pattern", "names"),
    [
        ('""', "*", ["INBOX", "Sent", "Trash", "a", "a/b", "a/b/c"]),
        ('""', "%", ["INBOX", "Sent", "Trash", "a"]),
        ('""', "a/%", ["a/b"]),
        ("a/", "*", ["a/b", "a/b/c"]),
        ('""', "*c", ["a/b/c"]),
        ('""', "inbox", ["INBOX"]),
        ('""', "%/%", ["a/b"]),
        ('""', '"*' + "*x" * 40 + '"', []),
        ('""', '""', [""]),
    ],
)
def test_list_knows_wildcards(rig: Rig, client: imaplib.IMAP4, reference: str, pattern: str, names: list[str]) -> None:
    rig.mailboxes.create(USER, "a/b/c")
    found = [line.split(b'"/" ')[1].strip(b'"').decode() for line in client.list(reference, pattern)[1] if line]  # type: ignore[union-attr]
    assert found == names


def test_status_counts(rig: Rig, client: imaplib.IMAP4) -> None:
    rig.mailboxes.deliver(USER, b"1", flags=["\\Seen"])
    rig.mailboxes.deliver(USER, b"2")
    validity = rig.mailboxes.folder(USER, "INBOX").uid_validity
    assert client.status("INBOX", "(MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)")[1] == [
        f'"INBOX" (MESSAGES 2 RECENT 2 UIDNEXT 3 UIDVALIDITY {validity} UNSEEN 1)'.encode()
    ]


def test_select_tells_what_a_program_needs(rig: Rig, known: IMAPClient) -> None:
    found = known.select_folder("INBOX")
    assert found[b"EXISTS"] == len(SAMPLES)
    assert found[b"UIDNEXT"] == len(SAMPLES) + 1
    assert found[b"UNSEEN"] == [b"1"]
    assert found[b"UIDVALIDITY"] == rig.mailboxes.folder(USER, "INBOX").uid_validity
    assert b"\\*" in found[b"PERMANENTFLAGS"]


def test_a_select_that_fails_leaves_nothing_selected(client: imaplib.IMAP4) -> None:
    client.select()
    assert client.select("nowhere") == ("NO", [b"[NONEXISTENT] No such mailbox"])
    # imaplib has noticed; the server is asked all the same.
    client.state = "SELECTED"
    with pytest.raises(imaplib.IMAP4.error, match="No mailbox is selected"):
        client.fetch("1", "UID")


def test_the_usual_extensions_answer(known: IMAPClient) -> None:
    for parameters in ({"name": "test", "version": "1"}, None):
        assert known.id_(parameters)[0] == (b"name", b"oauthmail sandbox")
    known.unselect_folder()
    assert known.enable("UTF8=ACCEPT") == []
