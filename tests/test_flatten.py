"""A message is written out octet for octet as the standard library writes it, and in fewer steps."""

from __future__ import annotations

import functools
from email.message import EmailMessage, Message
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oauthmail._flatten import flatten

from .flattening import POLICIES, Maker, assert_alike, corpus, generated, parents_way, parsing
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
