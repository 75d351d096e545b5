"""Messages that nobody would write, made by hypothesis: the value is a recipe that gives the same one at every call."""

from __future__ import annotations

import contextlib
import functools
from email.header import Header
from email.message import EmailMessage, Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any, NamedTuple, cast

from hypothesis import strategies as st

from .flattening import POLICIES

#: Line ends of every kind, white space, what is escaped, octets as a parser keeps them, and what cannot be encoded.
ODD = ' \t\r\n\x0b\x0c\x1c\x85\u2028=?_;,:"<>@()\\-.éß€😀\udc80\udcff\ud800\x00\x7fabcF'
PIECES = (
    "From ",
    "\nFrom ",
    "\r\n",
    "\n ",
    "\r",
    "\n",
    "--b",
    "\n--b\n",
    "\n--b--\n",
    "===============",
    "=?utf-8?q?caf=C3=A9?=",
    "=?us-ascii?q?a_b?=",
    "a" * 40,
    "x" * 76,
    "word ",
    ", ",
    "é",
    "\udce9",
)
NAMES = (
    *("From", "To", "Cc", "Bcc", "bCC", "Resent-Bcc", "Resent-Date", "Subject", "subject", "Date", "Message-ID"),
    *("Reply-To", "Sender", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition"),
    *("X-Odd", "X", "Received", "References", "x y", "Ü", "a:b", "", "X-" + "n" * 76),
)
VALUES = (
    "me@example.com",
    "Me Myself <me@example.com>, =?utf-8?q?caf=C3=A9?= <you@example.org>",
    '"A, B" <a@example.com> (comment), friends: a@b.c, d@e.f;, <x@[127.0.0.1]>, "q\\"uoted"@example.com',
    "Élodie <e@example.com>",
    "e@exämple.com",
    "Mon, 01 Jan 2024 10:00:00 +0000",
    "no date at all",
    "<1@example.com>",
    "1.0",
    "text/plain",
    'text/plain; charset="utf-8"',
    "text/plain; charset=unknown-8bit",
    "TEXT/HTML ; charset=iso-8859-1",
    "text/plain; charset=nosuchcharset",
    "text",
    "/",
    "multipart/mixed",
    'multipart/alternative; boundary="b"',
    "multipart/signed; boundary=b",
    "multipart/digest; boundary=b",
    "multipart/mixed; boundary*=utf-8''b%C3%A9",
    "multipart/mixed; boundary=é",
    'multipart/mixed; boundary="' + "b" * 60 + '"',
    "multipart-signed/x",
    "message/rfc822",
    "message/partial",
    "message/delivery-status",
    "application/octet-stream; name=a.bin",
    "application/pdf; name*=utf-8''%C3%A9.pdf; x*0=a; x*1=b",
    "7bit",
    "8bit",
    "base64",
    "Quoted-Printable",
    "x-uuencode",
    "binary ;",
    'attachment; filename="a b.txt"',
    "attachment; filename=é.txt",
    "",
    " ",
    "two\n lines",
    "two\r\n\tlines",
    "an\ninjected: field",
)
CONTAINERS = (EmailMessage, Message, MIMEMultipart)
CLASSES = (*CONTAINERS, functools.partial(MIMEBase, "application", "x"), MIMEText)


class Recipe(NamedTuple):
    """What a message is made of."""

    kind: Any
    policy: str
    fields: list[tuple[str, str, str]]
    payload: Any
    preamble: str | None
    epilogue: str | None


def texts(*, writable: bool) -> st.SearchStrategy[str]:
    """Return texts of odd pieces; *writable* ones have nothing that cannot be written in the body of a message."""
    pieces, odd = ([piece for piece in PIECES if is_octets(piece)], "".join(filter(is_octets, ODD)))
    if not writable:
        pieces, odd = list(PIECES), ODD
    return st.lists(st.one_of(st.sampled_from(pieces), st.text(odd, max_size=12)), max_size=8).map("".join)


def is_octets(text: str) -> bool:
    with contextlib.suppress(UnicodeEncodeError):
        return bool(text.encode("ascii", "surrogateescape"))
    return False


text = st.one_of(*[texts(writable=True)] * 9, texts(writable=False))
fields = st.tuples(
    st.sampled_from(("set", "set", "raw", "source", "header")),
    st.sampled_from(NAMES),
    st.one_of(st.sampled_from(VALUES), st.sampled_from(VALUES), text),
)
contents = st.one_of(
    st.none(),
    *[text] * 8,
    st.sampled_from(("", "a" * 76 + "\n", "line\nline\n", "line\r\nline\r\n", "no end", b"octets")),
)


@st.composite
def recipes(draw: Any, depth: int = 2) -> Recipe:
    """Draw a message, with up to *depth* levels of messages in it."""
    found = draw(st.lists(fields, max_size=6))
    kind = draw(st.sampled_from(range(len(CLASSES))))
    payload = draw(contents)
    if depth and draw(st.booleans()):
        payload = draw(st.lists(recipes(depth - 1), max_size=3))
        if draw(st.sampled_from((True, True, True, False))):
            # The first one counts.
            found = [field for field in found if field[1] != "Content-Type"]
            kind %= len(CONTAINERS)
            kinds = ("multipart/mixed", 'multipart/mixed; boundary="b"', "multipart/signed", "message/rfc822")
            found.append(("set", "Content-Type", draw(st.sampled_from(kinds))))
    extra = st.one_of(st.none(), st.none(), text)
    return Recipe(kind, draw(st.sampled_from(sorted(POLICIES))), found, payload, draw(extra), draw(extra))


def cooked(recipe: Recipe) -> Message:
    """Return the message of *recipe*; what the message does not let itself be given is left out."""
    policy = POLICIES[recipe.policy]
    kind: Any = CLASSES[recipe.kind]
    message: Any = kind("text\n", policy=policy) if kind is MIMEText else kind(policy=policy)
    for how, name, value in recipe.fields:
        with contextlib.suppress(Exception):
            add(message, how, name, value)
    payload = recipe.payload
    if kind is not MIMEText or payload is not None:
        message._payload = list(map(cooked, payload)) if isinstance(payload, list) else payload
    message.preamble, message.epilogue = recipe.preamble, recipe.epilogue
    return cast("Message", message)


def add(message: Any, how: str, name: str, value: str) -> None:
    if how == "set":
        message[name] = value
    elif how == "header" and message.policy in (POLICIES["compat32"], POLICIES["compat32, 7bit"]):
        message[name] = Header(value, "utf-8", header_name=name)
    elif how == "source":
        # As a parser keeps it.
        message.set_raw(*message.policy.header_source_parse([f"{name}: {value}\r\n"]))
    else:
        message._headers.append((name, value))
