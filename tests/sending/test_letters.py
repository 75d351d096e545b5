"""Messages that exist, and many of them: what is sent of a file, an mbox, a maildir and a table."""

from __future__ import annotations

import mailbox
from datetime import datetime, timezone
from pathlib import Path

import pytest

from oauthmail.sending.addresses import Address
from oauthmail.sending.compose import Draft
from oauthmail.sending.errors import MessageError
from oauthmail.sending.letters import Letter, Source, drafted, from_maildir, from_mbox, from_octets, from_table
from oauthmail.sending.raw import read
from oauthmail.sending.table import fill

ME = Address("", "me@x.test")
DAY = datetime(2024, 1, 31, 12, tzinfo=timezone.utc)
WHOLE = (
    b"From: a@x.test\r\nTo: b@x.test\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <own@x.test>\r\n\r\n"
    b"Text\r\n"
)


def existing(octets: bytes, *to: str) -> Letter:
    return next(from_octets(octets, ME, ME.address, [Address("", each) for each in to])())


def sent(letter: Letter) -> bytes:
    return letter.build(letter.identify("nonce"), DAY)


def all_of(source: Source) -> list[Letter]:
    return list(source())


# --- a message that exists --------------------------------------------------------------------------------------------


def test_a_message_is_sent_as_it_is() -> None:
    odd = WHOLE.replace(b"Text", b"T\xe9xt\t \r\n.\r\nX: y").replace(b"From: ", b"FROM :  ")
    assert sent(existing(odd)) == odd


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CRLF"])
def test_line_ends_become_crlf(end: bytes) -> None:
    assert sent(existing(WHOLE.replace(b"\r\n", end))) == WHOLE


def test_a_last_line_is_ended() -> None:
    assert sent(existing(WHOLE.rstrip())) == WHOLE


def test_blind_copies_are_sent_and_not_named() -> None:
    letter = existing(b"Bcc: eve@x.test,\r\n mallory@x.test\r\nResent-Bcc: z@x.test\r\n" + WHOLE)
    assert sent(letter) == WHOLE
    letter = existing(b"Bcc: eve@x.test,\r\n mallory@x.test\r\n" + WHOLE)
    assert letter.recipients == ("b@x.test", "eve@x.test", "mallory@x.test")


def test_a_message_that_was_sent_on_goes_where_it_is_sent_on_to() -> None:
    letter = existing(b"Resent-To: c@x.test\r\nResent-Cc: d@x.test\r\n" + WHOLE)
    assert letter.recipients == ("c@x.test", "d@x.test")


def test_recipients_that_are_named_take_the_place_of_the_headers() -> None:
    letter = existing(WHOLE, "c@x.test")
    assert (letter.recipients, sent(letter)) == (("c@x.test",), WHOLE)


def test_missing_fields_are_added() -> None:
    letter = existing(b"To: b@x.test\n\nText\n")
    identity = letter.identify("nonce").encode()
    assert sent(letter) == (
        b"From: me@x.test\r\nDate: Wed, 31 Jan 2024 12:00:00 +0000\r\nMessage-ID: "
        + identity
        + b"\r\nTo: b@x.test\r\n\r\nText\r\n"
    )
    assert identity.endswith(b"@x.test>")


@pytest.mark.parametrize(
    ("octets", "fields", "body"),
    [
        pytest.param(b"A: 1\n\nText\n", ["a"], b"Text\r\n", id="usual"),
        pytest.param(b"From me Mon Jan 1\nA: 1\n\nText\n", ["a"], b"Text\r\n", id="line of an mbox"),
        pytest.param(b"A: 1\nno field\nB: 2\n", ["a"], b"no field\r\nB: 2\r\n", id="no blank line"),
        pytest.param(b"only text\n", [], b"only text\r\n", id="no header"),
        pytest.param(b"\nA: 1\n", [], b"A: 1\r\n", id="blank line first"),
        pytest.param(b"A: 1\n folded\n\tmore\nB:2", ["a", "b"], b"", id="folded, no body"),
        pytest.param(b" folded\nA: 1\n", [], b" folded\r\nA: 1\r\n", id="folding of nothing"),
    ],
)
def test_a_message_is_taken_apart(octets: bytes, fields: list[str], body: bytes) -> None:
    message = read(octets)
    assert ([name for name, _ in message.fields], message.body) == (fields, body)


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "the message is empty"),
        (b" \r\n", "the message is empty"),
        (b"Subject: x\n\nText\n", "names no recipient"),
        (b"To: root\n\nText\n", "the header field To is no address of the form name@domain: 'root'"),
        (b"To: undisclosed-recipients:;\n\nText\n", "names no recipient"),
    ],
)
def test_a_message_for_nobody_is_refused(octets: bytes, said: str) -> None:
    with pytest.raises(MessageError, match=said):
        existing(octets)


# --- identity ---------------------------------------------------------------------------------------------------------


def letter(to: str = "ada@x.test", text: str = "x", nonce: str = "1") -> tuple[str, str]:
    made = next(drafted(Draft(ME, (Address("", to),), text=text), ME.address)())
    return made.key, made.identify(nonce)


def test_the_same_message_is_the_same_in_every_run() -> None:
    assert letter() == letter()


@pytest.mark.parametrize("other", [{"to": "bob@x.test"}, {"text": "y"}])
def test_another_message_is_another(other: dict[str, str]) -> None:
    assert letter(**other)[0] != letter()[0]


def test_an_undertaking_that_begins_anew_has_other_message_ids() -> None:
    assert letter(nonce="2")[1] != letter()[1]


# --- many -------------------------------------------------------------------------------------------------------------


def test_an_mbox_is_sent_message_by_message(tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "box")
    for text in ("one", "From here\n>From there", "one"):
        box.add(f"To: b@x.test\nMessage-ID: <{len(box)}@x.test>\n\n{text}\n")
    box.close()
    letters = all_of(from_mbox(tmp_path / "box", ME, ME.address))
    assert [each.build("", DAY).partition(b"\r\n\r\n")[2] for each in letters] == [
        b"one\r\n",
        b"From here\r\nFrom there\r\n",
        b"one\r\n",
    ]


def test_messages_that_do_not_differ_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(b"From a Mon\nTo: b@x.test\n\none\n\n" * 3)
    letters = all_of(from_mbox(tmp_path / "box", ME, ME.address))
    assert (len({each.key for each in letters}), len({each.identify("") for each in letters})) == (3, 3)


def test_a_maildir_is_sent_in_the_order_of_its_names(tmp_path: Path) -> None:
    mailbox.Maildir(tmp_path / "box", create=True)
    for name in ("cur/3.c:2,S", "new/1.a", "cur/2.b:2,"):
        (tmp_path / "box" / name).write_bytes(f"To: {name[4]}@x.test\n\nText\n".encode())
    assert [each.recipients for each in all_of(from_maildir(tmp_path / "box", ME, ME.address))] == [
        ("1@x.test",),
        ("2@x.test",),
        ("3@x.test",),
    ]


@pytest.mark.parametrize("source", [from_mbox, from_maildir])
def test_what_is_no_mailbox_is_refused(tmp_path: Path, source: object) -> None:
    (tmp_path / "x").write_text("text")
    assert callable(source)
    with pytest.raises(MessageError, match=r"mbox|maildir"):
        list(source(tmp_path / "x", ME, ME.address)())


DRAFT = Draft(ME, subject="Hello {name}", text="Dear {name}, {{name}} p { color: red }", html="<b>{name}</b>")


def table(tmp_path: Path, text: str, encoding: str = "utf-8") -> Source:
    (tmp_path / "people.csv").write_text(text, encoding=encoding)
    return from_table(tmp_path / "people.csv", DRAFT, ME.address)


def test_each_row_makes_a_message(tmp_path: Path) -> None:
    source = table(tmp_path, 'to,name\nAda <ada@x.test>,Ada & Co\n"bob@x.test, eve@x.test",Bob\n\n')
    letters = all_of(source)
    assert [each.recipients for each in letters] == [("ada@x.test",), ("bob@x.test", "eve@x.test")]
    octets = sent(letters[0])
    assert b"Subject: Hello Ada & Co\r\n" in octets
    assert b"\r\nDear Ada & Co, {name} p { color: red }\r\n" in octets
    assert b"<b>Ada &amp; Co</b>" in octets


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        pytest.param("to;name\na@x.test;Ä, Ö\n", "utf-8-sig", id="semicolon and byte order mark"),
        pytest.param("name\tto\nÄ, Ö\ta@x.test\n", "utf-8", id="tab"),
        pytest.param(' to , name \r\na@x.test,"Ä, Ö"\r\n', "utf-8", id="blanks and CRLF"),
    ],
)
def test_tables_of_any_spreadsheet_are_read(tmp_path: Path, text: str, encoding: str) -> None:
    (made,) = all_of(table(tmp_path, text, encoding))
    assert (made.recipients, b"=C3=84, =C3=96" in sent(made)) == (("a@x.test",), True)


def test_a_table_names_who_else_gets_a_message(tmp_path: Path) -> None:
    (made,) = all_of(table(tmp_path, "to,cc,bcc,name\na@x.test,b@x.test,eve@secret.test,A\n"))
    assert (made.recipients, b"secret" in sent(made)) == (("a@x.test", "b@x.test", "eve@secret.test"), False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,mail\nAda,ada@x.test\n", "has no column called to"),
        ("to,to\na@x.test,b\n", "each its own"),
        ("to,\na@x.test,b\n", "need names"),
        ("to\na@x.test\n", "line 2 of .*: the subject has the placeholder {name}, but the table has no such column"),
        ("to,name\n,Ada\n", "line 2 of .*: it goes to nobody"),
        ("to,name\na@x.test,Ada\nb@x.test\n", "line 3: 1 values for 2 columns"),
        ("to,name\nada,Ada\n", "line 2 of .*: the column to is no address"),
        ('to,name\na@x.test,"A\nBcc: eve@x.test"\n', "line 3 of .*: the subject has a line end"),
        ('to,name\na@x.test,"A', "line 2: unexpected end of data"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_by_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MessageError, match=said):
        all_of(table(tmp_path, text))


def test_a_table_in_another_encoding_is_told(tmp_path: Path) -> None:
    with pytest.raises(MessageError, match="not in UTF-8"):
        all_of(table(tmp_path, "to,name\na@x.test,Ä\n", "latin-1"))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{a} {b c}", "1 2"),
        ("{{a}} {{{a}}}", "{a} {{a}}"),
        ("p{margin:0} q {} { a }", "p{margin:0} q {} { a }"),
        ("{a.__class__}", None),
        ("{a!r}", "{a!r}"),
    ],
)
def test_only_columns_are_filled_in(template: str, expected: str | None) -> None:
    row = {"a": "1", "b c": "2"}
    if expected is None:
        with pytest.raises(MessageError):
            fill("the text", template, row)
    else:
        assert fill("the text", template, row) == expected
