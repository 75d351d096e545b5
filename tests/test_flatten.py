"""A message is written out octet for octet as the standard library writes it, and in fewer steps."""

from __future__ import annotations

import contextlib
import email
import email.charset
import email.headerregistry
import email.policy
import functools
import random
import re
import subprocess
import sys
from email.generator import BytesGenerator
from email.message import EmailMessage, Message
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oauthmail._flatten import flatten

from .flattening import POLICIES, Maker, assert_alike, corpus, generated, parents_way, parsing, state
from .flattening_generated import Recipe, cooked, recipes


@functools.cache
def messages() -> list[bytes | str]:
    try:
        files, literals = corpus()
    except ImportError:
        pytest.skip("this Python was installed without its tests, whose messages are written here")
    assert len(files) > 40
    assert len(literals) > 200
    return [*files, *literals]


def small() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Me Myself <me@example.com>"
    message["To"] = "You <you@example.org>, they@example.net"
    message["Bcc"] = "secret@example.org"
    message["Subject"] = "Lunch (on Monday)"
    message["Date"] = "Mon, 01 Jan 2024 10:00:00 +0000"
    message["Message-ID"] = "<1234567890@example.com>"
    message.set_content("At noon.\nFrom there we go on.\n")
    return message


def with_attachment() -> EmailMessage:
    message = small()
    message.add_alternative("<p>At noon.</p>\n", subtype="html")
    message.add_attachment(bytes(range(256)) * 40, maintype="application", subtype="octet-stream", filename="a.bin")
    return message


def compat32_tree() -> Message:
    message = MIMEMultipart()
    message["From"] = "me@example.com"
    message["To"] = "you@example.org"
    message["Subject"] = "Lunch"
    message["Bcc"] = "secret@example.org"
    message.attach(MIMEText("At noon.\n"))
    message.attach(MIMEText("À midi.\n", "plain", "utf-8"))
    message.attach(MIMEApplication(bytes(range(256)), Name="a.bin"))
    return message


USUAL: dict[str, Maker] = {"small": small, "with attachment": with_attachment, "compat32 tree": compat32_tree}


# --- the same octets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("utf8", [False, True], ids=["ascii", "utf8"])
@pytest.mark.parametrize("policy", POLICIES)
def test_cpythons_messages_are_written_as_cpython_writes_them(policy: str, utf8: bool) -> None:
    for source in messages():
        make = parsing(source, POLICIES[policy])
        if make is not None:
            assert_alike(make, utf8=utf8)


def test_what_cpythons_tests_build_is_written_as_cpython_writes_it() -> None:
    messages()
    # In a process of its own, where nothing minds that those tests run.
    command = [sys.executable, "-W", "ignore", "-m", "tests.harvested_messages"]
    ran = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("utf8", [False, True], ids=["ascii", "utf8"])
@pytest.mark.parametrize("make", USUAL.values(), ids=USUAL)
def test_usual_messages_are_written_as_cpython_writes_them(make: Maker, utf8: bool) -> None:
    assert_alike(make, utf8=utf8)


# --- in fewer steps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", USUAL.values(), ids=USUAL)
def test_a_usual_message_is_written_without_the_generator(make: Maker) -> None:
    flatten(make())
    assert generated(functools.partial(flatten, make())) == []


def test_what_counts_the_generators_steps_sees_them() -> None:
    assert "_handle_multipart" in generated(functools.partial(parents_way, with_attachment()))


@settings(deadline=None)
@given(recipe=recipes(), utf8=st.booleans())
def test_odd_messages_are_written_as_cpython_writes_them(recipe: Recipe, utf8: bool) -> None:
    assert_alike(functools.partial(cooked, recipe), utf8=utf8)


# --- long texts -------------------------------------------------------------------------------------------------------

#: More than is changed in one go, and no multiple of it.
LENGTH = 3 * (1 << 16) + 7


@pytest.mark.parametrize(
    "piece",
    ["a", "\n", "\r", "\r\n", "\r\r\n", "line\n", "line\r\n", "line\r", "From x\n", "octet \udce9\r\n", "é\n", "-\n"],
    ids=ascii,
)
@pytest.mark.parametrize("before", ["", "a", "aa"])
def test_long_texts_are_written_as_cpython_writes_them(before: str, piece: str) -> None:
    def make() -> Message:
        message = EmailMessage()
        message["Subject"] = "Long"
        message.set_payload(before + piece * (LENGTH // len(piece)))
        return message

    assert_alike(make)


# --- header fields ----------------------------------------------------------------------------------------------------

#: Cut off at each length.
LONG_VALUES = {
    "words": "word " * 40,
    "letters": "w" * 200,
    "two spaces": "some  words " * 20,
    "tabs": "some\twords " * 20,
    "words that fill a line": f"{'a' * 69} {'b' * 77} {'c' * 76}  {'d' * 78} e",
    "addresses": ", ".join(f"<user{number}@example.org>" for number in range(10)),
    "names": ", ".join(f'"Name {number}" <user@example.org>' for number in range(9)),
    "no spaces": ",".join(f"<user{number}@example.org>" for number in range(10)),
    "groups": "friends: a@example.com, b@example.org (c d); " * 5,
    "an address that fills a line": f"<a@example.org>, <{'b' * 60}@example.org>, <{'c' * 64}@example.org>,<d@e.org>",
}


@pytest.mark.parametrize("policy", ["compat32", "default", "short"])
@pytest.mark.parametrize("name", ["Subject", "To"])
@pytest.mark.parametrize("value", LONG_VALUES.values(), ids=LONG_VALUES)
def test_fields_of_every_length_are_written_as_cpython_writes_them(value: str, name: str, policy: str) -> None:
    for length in range(60, len(value) + 1):

        def make(value: str = value[:length]) -> Message:
            message = Message(POLICIES[policy])
            with contextlib.suppress(Exception):
                # Some Pythons cannot parse half of an address.
                message[name] = value
            return message

        assert_alike(make)


@pytest.mark.parametrize("policy", ["compat32", "default", "short", "none refolded", "all refolded"])
@pytest.mark.parametrize(
    "value",
    [
        "a\n b",
        "a\r\n\tb",
        "a\n\n b",
        "a\n b\n",
        "a\n b\r",
        "a\n b\x0b",
        "a\x0bb\n",
        "a\x0b b",
        "a\r b",
        "a\nb: c",
        "a\n  \n b",
        "a\tb",
        "a\x00b",
        "\n a",
        "a\n " + "b" * 77,
        "a\n " + "b" * 78,
        "a" * 71 + "\n b",
        "a" * 72 + "\n b",
        "a \x1c\n b",
        "a\n b\x85",
        "a\n b\udce9",
        "é\n b",
    ],
    ids=ascii,
)
def test_fields_as_they_were_read_are_written_as_cpython_writes_them(value: str, policy: str) -> None:
    def make() -> Message:
        message = Message(POLICIES[policy])
        message.set_raw("X-Odd", value)
        return message

    assert_alike(make)


def test_octets_in_a_field_are_not_taken_from_a_policy_with_another_way_to_write_them() -> None:
    for policy in ("compat32", "compat32, 7bit", "compat32"):
        assert_alike(functools.partial(email.message_from_bytes, b"Subject: gr\xfc\n\n", policy=POLICIES[policy]))


# --- boundaries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "--", "\n", "\r\n", "x"], ids=ascii)
@pytest.mark.parametrize("start", ["", "a\n", "\n"], ids=ascii)
@pytest.mark.parametrize("length", [0, LENGTH])
def test_a_boundary_is_not_one_that_a_part_has(length: int, start: str, end: str) -> None:
    # What `outcome` lets be drawn.
    random.seed(1)
    drawn = BytesGenerator._make_boundary()  # type: ignore[attr-defined]  # not in typeshed

    def make() -> Message:
        message = MIMEMultipart()
        message.attach(MIMEText(f"--{drawn}.0"))
        message.attach(MIMEText("a" * length + f"{start}--{drawn}{end}"))
        return message

    assert_alike(make)


@pytest.mark.parametrize("policy", ["compat32", "default", "short", "SMTPUTF8"])
@pytest.mark.parametrize(
    "value", ["multipart/mixed", "Multipart/Mixed; x=é", 'multipart/related; type="text/html"; x=1']
)
def test_a_new_boundary_is_written_as_cpython_writes_it_again_and_again(value: str, policy: str) -> None:
    def make() -> Message:
        message = Message(POLICIES[policy])
        message["content-Type"] = value
        message.attach(MIMEText("a\n"))
        return message

    for seed in range(3):
        assert_alike(make, seed=seed)


@pytest.mark.parametrize("more", [0, 20])
@pytest.mark.parametrize("epilogue", [None, "é"])
@pytest.mark.parametrize("types", [1, 2])
def test_a_new_boundary_does_not_stay_behind(types: int, epilogue: str | None, more: int) -> None:
    def make() -> Message:
        message: Any = Message(POLICIES["default"])
        for number in range(more):
            message[f"X-{number}"] = "Grüße"
        message["Content-Type"] = "multipart/mixed"
        # The first one counts; all are given a boundary.
        message._headers *= types
        message.attach(MIMEText("a\n"))
        message.epilogue = epilogue
        return cast("Message", message)

    assert_alike(make)


def test_parts_keep_the_boundary_they_were_given_and_the_message_stays_as_it_is() -> None:
    inner, message = MIMEMultipart(), MIMEMultipart()
    inner.attach(MIMEText("a\n"))
    message.attach(inner)
    flatten(message)
    assert (inner.get_boundary() is None, message.get_boundary()) == (False, None)


# --- the caller's message ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", USUAL.values(), ids=USUAL)
def test_the_message_is_left_as_it_is(make: Maker) -> None:
    message = make()
    # Both set boundaries.
    message.as_bytes()
    before = state(message), message.as_bytes()
    flatten(message)
    assert (state(message), message.as_bytes()) == before


# --- what is kept of other messages -----------------------------------------------------------------------------------

SUBJECTS = (
    "Grüße",
    "=?utf-8?q?Gr=C3=BC=C3=9Fe?=",
    "=?utf-8?q?Gr?= =?utf-8?q?=C3=BC=C3=9Fe?=",
    "=?iso-8859-1?q?Gr=FC=DFe?=",
    "Grüße  an alle",
    "Grüße =?utf-8?q?an?= alle",
    '"Grüße"',
)


@pytest.mark.parametrize("policy", ["compat32", "default", "short", "SMTPUTF8", "default, 7bit"])
@pytest.mark.parametrize("name", ["Subject", "From", "Content-Type", "Comments"])
def test_fields_that_look_alike_are_not_taken_for_each_other(name: str, policy: str) -> None:
    ends = {"From": " <me@example.com>", "Content-Type": "; name=x"}
    for _ in range(2):
        for subject in SUBJECTS:

            def make(value: str = subject + ends.get(name, "")) -> Message:
                message = EmailMessage(POLICIES[policy])
                message[name] = value
                return message

            assert_alike(make)


def test_more_fields_than_are_kept_are_written_as_cpython_writes_them() -> None:
    for number in range(600):

        def make(value: str = f"Grüße {number % 300}") -> Message:
            message = EmailMessage()
            message["Subject"] = value
            return message

        assert_alike(make)


def test_another_encoding_for_utf8_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> Message:
        message = MIMEText("a\n")
        message["Subject"] = "Grüße"
        return message

    before = flatten(make())
    monkeypatch.setattr("email.header.UTF8.header_encoding", email.charset.QP)
    assert_alike(make)
    assert flatten(make()) != before


# --- what is left to the generator ------------------------------------------------------------------------------------


class Shouting(EmailMessage):
    def raw_items(self) -> Any:
        return [(name.upper(), value) for name, value in super().raw_items()]


class OwnPolicy(email.policy.EmailPolicy):
    def fold_binary(self, name: str, value: Any) -> bytes:
        return super().fold_binary(name, value).upper()


class OwnHeader(str):
    name = "Subject"

    def fold(self, *, policy: Any) -> str:
        return f"Subject: folded by itself{policy.linesep}"


class OwnType(email.headerregistry.UniqueUnstructuredHeader):
    @classmethod
    def parse(cls, value: str, kwds: Any) -> None:
        super().parse("message/rfc822", kwds)


def refuse_an_encoding(name: str, value: str) -> Any:
    if name == "Content-Transfer-Encoding":
        raise ValueError("there is no such encoding")
    return OwnHeader(value)


OWN_POLICY = OwnPolicy()
OWN_FACTORY = email.policy.EmailPolicy(header_factory=lambda name, value: OwnHeader(value))
REGISTRY: Any = email.headerregistry.HeaderRegistry()
REGISTRY.map_to_type("content-type", OwnType)
REFUSING_FACTORY = email.policy.EmailPolicy(header_factory=refuse_an_encoding)
OWN_REGISTRY = email.policy.EmailPolicy(header_factory=REGISTRY)


def shouting() -> Message:
    message = small()
    message.__class__ = Shouting
    return message


def with_a_method_of_its_own() -> Message:
    message: Any = small()
    message.get_content_maintype = "message".lower
    return cast("Message", message)


def with_a_policy_of_its_own() -> Message:
    message = small()
    message.policy = OWN_POLICY
    return message


def with_a_header_of_its_own() -> Message:
    message: Any = small()
    message.replace_header("Subject", OwnHeader("x"))
    return cast("Message", message)


def with_a_header_class_of_its_own() -> Message:
    bases = (email.headerregistry.UniqueUnstructuredHeader, email.headerregistry.BaseHeader)
    own: Any = type("Own", bases, {"fold": lambda self, policy: "Subject: folded by itself\r\n"})
    message: Any = small()
    message.replace_header("Subject", own("Subject", "x"))
    return cast("Message", message)


def with_a_header_of_another_name() -> Message:
    message, other = small(), EmailMessage()
    other["SUBJECT"] = "Dinner"
    message.replace_header("Subject", other["SUBJECT"])
    return message


def with_a_date_that_is_none() -> Message:
    message = small()
    message.replace_header("Date", "tomorrow")
    return message


def with_an_encoding_that_cannot_be_parsed() -> Message:
    return email.message_from_string("Content-Transfer-Encoding: 9bit\n\na\n", policy=REFUSING_FACTORY)


def with_a_preamble() -> Message:
    message = MIMEMultipart(boundary="b")
    message.preamble = message.epilogue = "From here\rFrom\nFrom there"
    return message


def with_a_factory_of_its_own() -> Message:
    text = f"Subject: {'x ' * 80}\nContent-Type: multipart/mixed\n\na\n"
    return email.message_from_string(text, policy=OWN_FACTORY)


def with_a_registry_of_its_own() -> Message:
    # What the usual one makes of the same value is a text.
    flatten(email.message_from_string("Content-Type: text/plain\n\na\n", policy=POLICIES["default"]))
    message = Message(OWN_REGISTRY)
    message.set_raw("Content-Type", "text/plain")
    message.set_payload("a\n")
    return message


def forwarded() -> Message:
    message = small()
    message.add_attachment(with_attachment())
    return message


def signed() -> Message:
    message = MIMEMultipart("signed", boundary="b")
    message["Subject"] = "a " * 60
    message.attach(MIMEText("a\n"))
    return message


def report() -> Message:
    return email.message_from_string(
        'Content-Type: multipart/report; boundary="b"\n\n--b\nContent-Type: message/delivery-status\n\n'
        "A: 1\n\nB: 2\n\n--b--\n"
    )


def without_a_boundary_under_another_policy() -> Message:
    message: Any = with_attachment()
    inner = Message(POLICIES["compat32"])
    inner["Content-Type"] = "multipart/mixed; x=y"
    inner.attach(MIMEText("a\n"))
    message.attach(inner)
    return cast("Message", message)


def forwarded_by_default() -> Message:
    message, inner = MIMEMultipart("digest", boundary="b"), Message()
    # As a parser has it that reads header fields only.
    inner.set_default_type("message/rfc822")
    inner.set_payload("Subject: a\n\nb\n")
    message.attach(inner)
    return message


def with_octets_after_from() -> Message:
    message, inner = MIMEMultipart(boundary="b"), Message()
    inner.set_payload("From \udce9\n")
    message.attach(inner)
    return message


def endless() -> Message:
    message = MIMEMultipart(boundary="b")
    message.attach(message)
    return message


@pytest.mark.parametrize(
    "make",
    [
        shouting,
        with_a_method_of_its_own,
        with_a_policy_of_its_own,
        with_a_header_of_its_own,
        with_a_header_class_of_its_own,
        with_a_header_of_another_name,
        with_a_date_that_is_none,
        with_an_encoding_that_cannot_be_parsed,
        with_a_preamble,
        with_a_factory_of_its_own,
        with_a_registry_of_its_own,
        without_a_boundary_under_another_policy,
        forwarded,
        forwarded_by_default,
        with_octets_after_from,
        signed,
        report,
    ],
)
def test_unusual_messages_are_written_as_cpython_writes_them(make: Maker) -> None:
    assert_alike(make)


def test_an_endless_message_ends_as_it_does_in_cpython() -> None:
    with pytest.raises(RecursionError):
        flatten(endless())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email.generator.BytesGenerator._handle_text", lambda self, message: self.write("changed")),
        ("email.generator.Generator._make_boundary", classmethod(lambda cls, text=None: "changed")),
        ("email.generator.BytesGenerator._handle_text_plain", lambda self, message: self.write("changed")),
        ("email.generator.fcre", re.compile("^At")),
        ("email.message.Message.get_content_maintype", lambda self: "message"),
        ("email.message.Message._write_headers", lambda self, generator: generator.write("changed")),
        ("email.policy.EmailPolicy.fold_binary", lambda self, name, value: b"changed\r\n"),
        ("email.headerregistry.BaseHeader.fold", lambda self, policy: "changed\r\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_standard_library_is_obeyed(name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = flatten(with_attachment())
    monkeypatch.setattr(name, value, raising=False)
    assert_alike(with_attachment)
    assert flatten(with_attachment()) != before


@pytest.mark.parametrize(("utf8", "policy"), [(True, "compat32"), (False, "compat32"), (False, "default")])
def test_what_cannot_be_written_ends_as_it_does_in_cpython(utf8: bool, policy: str) -> None:
    def make() -> Message:
        message = Message(POLICIES[policy])
        message["Bcc"] = "secret@example.com"
        message.set_payload("é")
        return message

    with pytest.raises((TypeError, UnicodeEncodeError)):
        flatten(make(), utf8=utf8)
    assert_alike(make, utf8=utf8)


def test_a_part_that_cannot_be_written_is_tried_once() -> None:
    message: Message = Message()
    message.set_payload("é")
    for number in range(9):
        outer = MIMEMultipart(boundary=str(number))
        outer.attach(message)
        message = outer

    def fail() -> None:
        with pytest.raises(UnicodeEncodeError):
            flatten(message)

    assert generated(fail).count("_handle_multipart") == 0


@pytest.mark.parametrize("make", [small, shouting])
def test_blind_copies_are_left_out(make: Maker) -> None:
    message = make()
    message["Resent-bcc"] = "another@example.org"
    assert b"cc:" not in flatten(message).lower()
