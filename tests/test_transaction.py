"""The octets of a message's commands and of the message, held against RFC 5321, 2920, 3030 and smtplib itself."""

from __future__ import annotations

import email.message
import re
import smtplib
import string
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oauthmail import SMTP
from oauthmail._outgoing import envelope
from oauthmail._transaction import ADDRESS, CHUNK, Transaction, canonical

from .conversation import Rules
from .wire import Wire, connected

ALL = {"pipelining": "", "chunking": "", "size": "", "binarymime": "", "smtputf8": "", "8bitmime": ""}
SENDER = "ada@example.org"
OK = (250, b"2.0.0 ok")

# RFC 5322 section 3.2.3, what a domain can have of it at the end.
ATOM = "!#$%&'*+/=?^_`{|}~-" + string.digits + string.ascii_letters

#: Text in which what matters to SMTP is frequent.
octets = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"..", b"a", b"\0", b"\xff"]), max_size=30).map(
    b"".join
)
addresses = st.one_of(
    st.text(max_size=12),
    st.text("a.@<>\"'()[],:;\\ -_\té=?+", max_size=14),
    st.sampled_from(
        [
            "ada@example.org",
            "Ada <ada@example.org>",
            '"Ada, L." <ada@example.org>',
            "<ada@example.org>",
            " <ada@example.org>",
            "<>",
            "",
            "ada",
            "ada@example.org (Ada)",
            '"a b"@example.org',
            "ada@[127.0.0.1]",
            "a..b@example.org",
            ".a@example.org",
            "=?utf-8?q?a?=@example.org",
            "bób@example.org",
            "a@b@c",
            "a@b, c@d",
            "@relay:ada@example.org",
            "group: a@b, c@d;",
        ]
    ),
)


def transaction(
    message: bytes = b"x\r\n", features: Mapping[str, str] = ALL, *options: str, recipients: Sequence[str] = (SENDER,)
) -> Transaction:
    return Transaction(features, SENDER, recipients, message, options)


def content(found: Transaction) -> list[tuple[bytes, bytes]]:
    """Return the BDAT commands of a message: the line, and the octets behind it."""
    return [(pieces[0], b"".join(pieces[1:])) for pieces in found.chunks()]


# --- commands -----------------------------------------------------------------------------------------------------


def test_the_commands_are_those_of_rfc_2920() -> None:
    # Section 3.1's example, but for the case of verbs, which is smtplib's, and the addresses of RFC 5321 appendix D.1.
    found = Transaction({"pipelining": ""}, "mrose@dbc.mtview.ca.us", ["ned@innosoft.com", "dan@innosoft.com"], b"x")

    assert [line.upper() for line in found.commands] == [
        b"MAIL FROM:<MROSE@DBC.MTVIEW.CA.US>\r\n",
        b"RCPT TO:<NED@INNOSOFT.COM>\r\n",
        b"RCPT TO:<DAN@INNOSOFT.COM>\r\n",
    ]


def test_the_chunk_is_that_of_rfc_3030() -> None:
    # Section 4.2's last chunk is of 86 octets, LAST behind the size.
    found = transaction(b"x" * 84 + b"\r\n", {"chunking": ""})

    assert content(found) == [(b"BDAT 86 LAST\r\n", b"x" * 84 + b"\r\n")]


@pytest.mark.parametrize(
    ("features", "options", "expected"),
    [
        pytest.param({}, (), b"", id="none"),
        pytest.param({"size": "1000"}, (), b" size=3", id="SIZE (RFC 1870)"),
        pytest.param({"size": ""}, ("body=8bitmime",), b" size=3 body=8bitmime", id="8BITMIME (RFC 6152)"),
        pytest.param({"smtputf8": ""}, ("SMTPUTF8", "BODY=8BITMIME"), b" SMTPUTF8 BODY=8BITMIME", id="RFC 6531"),
        pytest.param({}, ("RET=HDRS", "ENVID=QQ314159"), b" RET=HDRS ENVID=QQ314159", id="RFC 3461"),
        pytest.param({}, ["AUTH=<>"], b" AUTH=<>", id="a list"),
    ],
)
def test_options_follow_the_sender(features: Mapping[str, str], options: Sequence[str], expected: bytes) -> None:
    found = Transaction(features, SENDER, [SENDER], b"x\r\n", options)
    assert found.commands[0] == b"mail from:<ada@example.org>" + expected + b"\r\n"


def test_options_follow_every_recipient() -> None:
    found = Transaction({}, SENDER, ["a@b", "c@d"], b"x", (), ("NOTIFY=NEVER", "ORCPT=rfc822;a@b"))
    assert found.commands[1:] == [
        b"rcpt to:<a@b> NOTIFY=NEVER ORCPT=rfc822;a@b\r\n",
        b"rcpt to:<c@d> NOTIFY=NEVER ORCPT=rfc822;a@b\r\n",
    ]


@settings(max_examples=600)
@given(address=addresses)
def test_addresses_are_quoted_as_smtplib_quotes_them(address: str) -> None:
    wanted = f"rcpt to:{smtplib.quoteaddr(address)}"
    try:
        found = Transaction({"smtputf8": ""}, SENDER, [address], b"x", ("SMTPUTF8",)).commands[1].decode()
    except ValueError:
        assert re.search(r"[\r\n\ud800-\udfff]", wanted)
    else:
        assert found == f"{wanted}\r\n"


@settings(max_examples=300)
@given(
    local=st.lists(st.text(ATOM, min_size=1, max_size=4), min_size=1, max_size=3).map(".".join),
    domain=st.lists(st.text(ATOM[-63:], min_size=1, max_size=4), min_size=1, max_size=3).map(".".join),
)
def test_addresses_that_are_not_parsed_need_no_parser(local: str, domain: str) -> None:
    address = f"{local}@{domain}"
    assert re.fullmatch(ADDRESS, address)
    assert smtplib.quoteaddr(address) == f"<{address}>"


@settings(max_examples=600)
@given(
    fields=st.lists(
        addresses.filter(lambda text: text.isascii() and not re.search(r"[\r\n]", text)), min_size=1, max_size=3
    )
)
@example(fields=["Ada Lovelace <ada@example.org>, bob@example.org"])
@example(fields=["a@b,c@d"])
@example(fields=["a@b, c@d e"])
def test_the_envelope_of_a_message_is_smtplibs(fields: list[str]) -> None:
    asked: list[Any] = []

    class Asked(smtplib.SMTP):
        def sendmail(self, *args: Any, **kwargs: Any) -> dict[str, tuple[int, bytes]]:
            asked.extend(args[:2])
            return {}

    message = email.message.Message()
    message["From"] = fields[-1]
    for name, field in zip(("To", "Cc", "Bcc"), fields, strict=False):
        message[name] = field
    with connected(Asked, Wire(Rules(("SMTPUTF8",)))) as client:
        try:
            client.send_message(message)
        except IndexError as error:
            asked.append(type(error))
    found: list[Any] = []
    try:
        found += envelope(message, None, None, True)[:2]
    except IndexError as error:
        found.append(type(error))

    assert found == asked


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize(
    ("sender", "recipients", "mail_options", "rcpt_options"),
    [
        pytest.param("@{}", ["a@b"], (), (), id="sender"),
        pytest.param("a@b", ["c@d", "@{}"], (), (), id="recipient"),
        pytest.param("a@b", ["c@d"], ("RET=HDRS{}DATA",), (), id="option of MAIL"),
        pytest.param("a@b", ["c@d"], (), ("NOTIFY=NEVER{}DATA",), id="option of RCPT"),
    ],
)
@pytest.mark.parametrize("features", [("PIPELINING",), ("CHUNKING",), ("PIPELINING", "CHUNKING")], ids=" ".join)
def test_a_line_end_in_a_command_is_refused_before_anything_is_sent(
    features: Sequence[str],
    sender: str,
    recipients: Sequence[str],
    mail_options: Sequence[str],
    rcpt_options: Sequence[str],
    end: str,
) -> None:
    rules = Rules(features)
    with connected(SMTP, Wire(rules)) as client:
        client.ehlo()
        with pytest.raises(ValueError, match=r"prohibited newline characters: .*\\[rn]"):
            client.sendmail(
                sender.format(end),
                [each.format(end) for each in recipients],
                b"x",
                [each.format(end) for each in mail_options],
                [each.format(end) for each in rcpt_options],
            )
        assert client.noop() == OK
    assert rules.lines == [b"ehlo client.example", b"noop"]


@pytest.mark.parametrize(
    ("sender", "recipient", "options"),
    [("bób@b", "a@b", ()), ("a@b", "bób@b", ()), ("a@b", "a@b", ("ENVID=é",))],
    ids=["sender", "recipient", "option"],
)
def test_text_outside_ascii_is_refused_before_anything_is_sent(
    sender: str, recipient: str, options: Sequence[str]
) -> None:
    rules = Rules()
    with connected(SMTP, Wire(rules)) as client:
        client.ehlo()
        with pytest.raises(UnicodeEncodeError):
            client.sendmail(sender, ["first@example.org", recipient], b"x", options)
        with pytest.raises(UnicodeEncodeError):
            client.sendmail("a@b", ["c@d"], "é", options)
        assert client.noop() == OK
    assert rules.lines == [b"ehlo client.example", b"noop"]


@pytest.mark.parametrize("features", [("PIPELINING",), ("CHUNKING",)], ids=" ".join)
def test_smtputf8_is_refused_where_it_is_not_offered_before_anything_is_sent(features: Sequence[str]) -> None:
    rules = Rules(features)
    with connected(SMTP, Wire(rules)) as client:
        client.ehlo()
        with pytest.raises(smtplib.SMTPNotSupportedError, match="SMTPUTF8 not supported by server"):
            client.sendmail("a@b", ["c@d"], b"x", ("smtputf8",))
    assert rules.lines == [b"ehlo client.example"]


def test_commands_are_utf8_with_smtputf8() -> None:
    found = transaction(b"x", ALL, "smtpUTF8", recipients=["bób@example.org"])
    assert (found.commands[1], found.encoding) == ("rcpt to:<bób@example.org>\r\n".encode(), "utf-8")


# --- the message by DATA ------------------------------------------------------------------------------------------


def by_smtplib(message: bytes | str) -> bytes:
    """Return what smtplib's own method writes for a message."""
    rules = Rules((), lambda line: b"354 \r\n" if line == b"data" else None)
    written: list[bytes] = []

    class Written(smtplib.SMTP):
        def send(self, s: Any) -> None:
            written.append(s)
            super().send(s)

    with connected(Written, Wire(rules)) as client:
        client.data(message)
    return written[-1]


@settings(max_examples=500, deadline=None)
@given(message=octets)
def test_a_message_by_data_is_written_as_smtplib_writes_it(message: bytes) -> None:
    assert b"".join(transaction(message).quoted()) == by_smtplib(message)


@settings(max_examples=300, deadline=None)
@given(message=st.text("\r\n.a", max_size=20))
def test_text_is_written_as_smtplib_writes_it(message: str) -> None:
    parent, ours = Rules(()), Rules(("PIPELINING",))
    for kind, rules in ((smtplib.SMTP, parent), (SMTP, ours)):
        with connected(kind, Wire(rules)) as client:
            client.sendmail("a@b", ["c@d"], message)

    assert ours.delivered == parent.delivered


# --- the message by BDAT ------------------------------------------------------------------------------------------


@settings(max_examples=500)
@given(message=octets)
def test_a_message_by_bdat_is_the_message_and_a_line_end(message: bytes) -> None:
    [(line, text)] = content(transaction(message, {"chunking": ""}))

    assert line == b"BDAT %d LAST\r\n" % len(text)
    assert text == message + (b"" if message.endswith(b"\r\n") else b"\r\n")


@pytest.mark.parametrize("body", ["BODY=BINARYMIME", "body=binarymime"])
@given(message=octets)
def test_a_binary_message_is_not_touched(body: str, message: bytes) -> None:
    found = transaction(message, ALL, body)

    assert content(found) == [(b"BDAT %d LAST\r\n" % len(message), message)]
    assert found.chunked


@pytest.mark.parametrize("over", [-3, -2, -1, 0, 1, 2])
@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("end", [b"", b"\r\n"], ids=["no end", "end"])
def test_a_large_message_goes_in_chunks_that_make_the_whole(over: int, chunks: int, end: bytes) -> None:
    message = b"x" * (chunks * CHUNK + over - len(end)) + end
    found = transaction(message, {"chunking": ""})
    parts = []
    committed = []
    for line, text in ((pieces[0], b"".join(pieces[1:])) for pieces in found.chunks()):
        parts.append((line, text))
        committed.append(found.committed)

    assert b"".join(text for _, text in parts) == message + (b"" if end else b"\r\n")
    assert [line for line, _ in parts] == [
        *(b"BDAT %d\r\n" % CHUNK for _ in parts[1:]),
        b"BDAT %d LAST\r\n" % len(parts[-1][1]),
    ]
    assert all(0 < len(text) <= CHUNK for _, text in parts)
    assert committed == [False] * (len(parts) - 1) + [True]


@pytest.mark.parametrize(
    ("message", "binary"),
    [
        pytest.param(b"x\r\n", False, id="plain"),
        pytest.param(b"\xff\r\n", False, id="8 bits"),
        pytest.param(b"a\0b\r\n", True, id="NUL"),
        pytest.param(b"x" * 998 + b"\r\n", False, id="998"),
        pytest.param(b"x" * 999 + b"\r\n", True, id="999"),
        pytest.param(b"x" * 998, False, id="998 without an end"),
        pytest.param(b"x" * 999, True, id="999 without an end"),
        pytest.param((b"x" * 998 + b"\r\n") * 3, False, id="998 thrice"),
        pytest.param(b"a\r\n" + b"x" * 999 + b"\r\nb\r\n", True, id="999 in the middle"),
        pytest.param(b"a\r\nb\r\n" + b"x" * 998 + b"\r\n" + b"y" * 999, True, id="999 behind 998"),
    ],
)
def test_a_message_that_is_no_text_is_declared_binary(message: bytes, binary: bool) -> None:
    assert (b"BODY=BINARYMIME" in transaction(message).commands[0]) == binary
    assert b"BINARYMIME" not in transaction(message, {"chunking": ""}).commands[0]
    assert b"BINARYMIME" not in transaction(message, ALL, "BODY=8BITMIME").commands[0]
    assert b"BINARYMIME" not in transaction(message, {"pipelining": "", "binarymime": ""}).commands[0]


@pytest.mark.parametrize(
    ("message", "chunked"),
    [
        (b"", True),
        (b"x", True),
        (b"x\r\n", True),
        (b"x\n", False),
        (b"\n", False),
        (b"\r\n", True),
        (b"a\nb\r\n", False),
        (b"a\r\nb\n", False),
        (b"a\r\nb\nc\r\nd", True),
        (b"\nb\r\n", False),
    ],
)
def test_a_message_with_the_line_ends_of_files_goes_by_data(message: bytes, chunked: bool) -> None:
    # A server mends them there, and takes them as they are in chunks.
    assert transaction(message, {"chunking": ""}).chunked == chunked
    assert not transaction(message, {"pipelining": ""}).chunked


@given(message=octets)
def test_what_is_made_canonical_has_only_line_ends_of_mail_or_is_left_alone(message: bytes) -> None:
    found = canonical(message)

    assert found == message or not re.search(rb"(?<!\r)\n", found)
    assert found.replace(b"\r\n", b"\n") == message.replace(b"\r\n", b"\n")


# --- replies ------------------------------------------------------------------------------------------------------


def test_of_several_chunks_the_first_that_is_refused_decides() -> None:
    found = transaction(b"x" * (2 * CHUNK), {"chunking": ""})
    found.asked = 2 + len(content(found))
    for code in (250, 250, 250, 552, 503):
        found.take(code, b"%d" % code)

    failure = found.failure()
    assert (type(failure), failure and failure.args) == (smtplib.SMTPDataError, (552, b"552"))


def test_nothing_is_accepted_before_all_of_it_is_sent_and_answered() -> None:
    found = transaction(b"x" * CHUNK, {"chunking": ""})
    told = [found.accepted]
    chunks = found.chunks()
    for _ in chunks:
        found.asked = 4
        told.append(found.accepted)
    for _ in range(4):
        found.take(*OK)
        told.append(found.accepted)

    assert told == [False] * (len(told) - 1) + [True]


@settings(max_examples=200, deadline=None)
@given(
    runs=st.lists(
        st.tuples(st.sampled_from([0, 3, 76, 997, 998, 999, 1200]), st.sampled_from([1, 2, 12, 1200])), max_size=6
    )
)
def test_lines_that_are_too_long_are_found_among_any_others(runs: list[tuple[int, int]]) -> None:
    message = b"".join((b"x" * width + b"\r\n") * count for width, count in runs)

    found = transaction(message, {"chunking": "", "binarymime": ""})

    assert (b"BODY=BINARYMIME" in found.commands[0]) == any(width > 998 for width, _ in runs)


class Interrupting(list[str]):
    """Recipients whom Ctrl-C keeps from being counted."""

    def __len__(self) -> int:
        raise KeyboardInterrupt


def test_a_reply_that_ctrl_c_keeps_from_being_taken_accepts_nothing() -> None:
    found = transaction(b"x\r\n", {"chunking": ""})
    content(found)
    found.take(*OK)
    found.take(*OK)
    recipients, found.recipients = found.recipients, Interrupting()
    with pytest.raises(KeyboardInterrupt):
        found.take(550, b"no")
    found.recipients = recipients

    assert not found.accepted
