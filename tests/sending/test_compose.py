"""New messages: what a receiver's parser makes of them is what was meant, and every server can take them."""

from __future__ import annotations

import email
import email.policy
from datetime import datetime, timezone
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oauthmail.sending.addresses import Address, ascii_domain, parse, parse_one, unique, written
from oauthmail.sending.compose import Draft, attachment
from oauthmail.sending.errors import MessageError

ME = Address("", "me@x.test")
ADA = Address("", "ada@x.test")
DAY = datetime(2024, 1, 31, 12, tzinfo=timezone.utc)


def octets(draft: Draft) -> bytes:
    return draft.octets("<1@x.test>", DAY)


def parsed(draft: Draft) -> EmailMessage:
    return email.message_from_bytes(octets(draft), policy=email.policy.default)


def words(text: str) -> str:
    """Return *text* without blanks: folding may change them, and the parser puts some between encoded words."""
    return "".join(text.split())


LINES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=200)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=500)


@settings(max_examples=150, deadline=None)
@given(LINES, LINES, TEXTS)
def test_what_was_written_is_read(subject: str, name: str, text: str) -> None:
    draft = Draft(ME, (Address(name, "ada@x.test"), Address("", "bob@x.test")), subject=subject, text=text)
    message = parsed(draft)
    people = message["to"].addresses
    assert words(message["subject"] or "") == words(subject)
    assert [each.addr_spec for each in people] == ["ada@x.test", "bob@x.test"]
    assert words(people[0].display_name) == words(name)
    assert message.get_content().splitlines() == text.splitlines() or words(message.get_content()) == words(text)


@settings(max_examples=100, deadline=None)
@given(LINES, LINES, TEXTS, TEXTS)
def test_every_server_can_take_it(subject: str, name: str, text: str, html: str) -> None:
    draft = Draft(Address(name, "me@x.test"), (ADA,), subject=subject, text=text, html=html)
    lines = octets(draft).split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert [line for line in lines if b"\r" in line or b"\n" in line or not line.isascii()] == []


def test_the_fields_of_a_message() -> None:
    draft = Draft(ME, (ADA,), (Address("Bob", "bob@x.test"),), reply_to=(ME,), subject="Report", text="It works.")
    assert octets(draft).decode().split("\r\n") == [
        "From: me@x.test",
        "To: ada@x.test",
        "Cc: Bob <bob@x.test>",
        "Reply-To: me@x.test",
        "Subject: Report",
        "Date: Wed, 31 Jan 2024 12:00:00 +0000",
        "Message-ID: <1@x.test>",
        'Content-Type: text/plain; charset="utf-8"',
        "Content-Transfer-Encoding: 7bit",
        "MIME-Version: 1.0",
        "",
        "It works.",
        "",
    ]


def test_nobody_sees_who_gets_a_blind_copy() -> None:
    draft = Draft(ME, (ADA,), bcc=(Address("Eve", "eve@secret.test"),), text="x")
    assert b"eve" not in octets(draft).lower()
    assert draft.recipients[-1].address == "eve@secret.test"


def test_text_and_html_are_alternatives_and_files_come_after(tmp_path: Path) -> None:
    (tmp_path / "Übersicht.pdf").write_bytes(b"%PDF")
    message = parsed(
        Draft(ME, (ADA,), text="text", html="<p>html", attachments=(attachment(tmp_path / "Übersicht.pdf"),))
    )
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "application/pdf",
    ]
    assert [part.get_filename() for part in message.iter_attachments()] == ["Übersicht.pdf"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "image/png"),
        ("a.txt", "text/plain"),
        ("a.txt.gz", "application/octet-stream"),
        ("a.eml", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_a_files_type_is_told_from_its_name(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / name).write_bytes(b"\r\n.\r\n\xff")
    (part,) = parsed(Draft(ME, (ADA,), attachments=(attachment(tmp_path / name),))).iter_attachments()
    assert (part.get_content_type(), part.get_payload(decode=True)) == (expected, b"\r\n.\r\n\xff")


@pytest.mark.parametrize("text", ["x\r\nBcc: eve@x.test", "x\ny", "x\ry", "x\0y", "x\x85y", "x\u2028y"])
def test_a_subject_cannot_begin_another_field(text: str) -> None:
    with pytest.raises(MessageError, match="the subject has a line end"):
        Draft(ME, (ADA,), subject=text)


def test_a_file_name_cannot_begin_another_field(tmp_path: Path) -> None:
    (tmp_path / "a\nb").write_bytes(b"")
    with pytest.raises(MessageError, match="which no header may have"):
        attachment(tmp_path / "a\nb")


@pytest.mark.parametrize("text", ["a\ud800b"])
def test_half_a_character_is_refused(text: str) -> None:
    with pytest.raises(MessageError, match="half a character"):
        Draft(ME, (ADA,), text=text)


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ada@x.test", [("", "ada@x.test")]),
        ("Ada <ada@x.test>, bob@x.test", [("Ada", "ada@x.test"), ("", "bob@x.test")]),
        ('"Lovelace, Ada" <ada@x.test>', [("Lovelace, Ada", "ada@x.test")]),
        ("Ada Q. Lovelace <ada@x.test>", [("Ada Q. Lovelace", "ada@x.test")]),
        ("Team: ada@x.test, bob@x.test;", [("", "ada@x.test"), ("", "bob@x.test")]),
        ("=?utf-8?q?J=C3=BCrgen?= <j@x.test>", [("Jürgen", "j@x.test")]),
        ('"a b"@x.test', [("", '"a b"@x.test')]),
        ("ädä@x.test", [("", "ädä@x.test")]),
        ("undisclosed-recipients:;", []),
        ("", []),
    ],
)
def test_addresses_are_read_as_in_a_header(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(each.name, each.address) for each in parse("--to", text)] == expected


@pytest.mark.parametrize(
    "text",
    ["ada", "ada@", "@x.test", "<ada@x.test", "a b@x.test", "a@x.test b@x.test", "a@@b", "a@x.test\r\nBcc: b@x.test"],
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(MessageError, match=r"^--to "):
        parse("--to", text)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('ab@<>,;:"\\()[] .=?é\t'), max_size=30))
def test_any_text_is_addresses_or_refused(text: str) -> None:
    try:
        found = parse("--to", text)
    except MessageError:
        return
    assert all(each.address.count("@") for each in found)


def test_one_address_is_one() -> None:
    with pytest.raises(MessageError, match="must be one address"):
        parse_one("--from", "a@x.test, b@x.test")


def test_a_mailbox_that_is_named_twice_is_one() -> None:
    people = parse("--to", "Ada <ada@x.test>, ada@X.TEST, Ada@x.test")
    assert unique(people) == ("ada@x.test", "Ada@x.test")


@pytest.mark.parametrize(
    ("address", "expected"),
    [("me@Example.com", "example.com"), ("me@grün.test", "xn--grn-ioa.test"), ("", "invalid"), ("a@..", "invalid")],
)
def test_a_message_id_has_the_domain_of_the_mailbox(address: str, expected: str) -> None:
    assert ascii_domain(address) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ada", b"To: Ada <a@x.test>\r\n"),
        ("Lovelace, Ada", b'To: "Lovelace, Ada" <a@x.test>\r\n'),
        ('A "B" C', b'To: "A \\"B\\" C" <a@x.test>\r\n'),
        ("=?utf-8?q?x?=", b"To: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <a@x.test>\r\n"),
        ("Müller, J", b"To: =?utf-8?q?M=C3=BCller=2C_J?= <a@x.test>\r\n"),
    ],
)
def test_a_name_is_written_so_that_it_stays_one(name: str, expected: bytes) -> None:
    assert written("To", [Address(name, "a@x.test")]) == expected
