"""The items of a FETCH response (RFC 3501 section 7.4.2), in the shape in which the standard library returns it.

What a sender wrote, such as the subject in an ENVELOPE, must not pass for an item: only names at the first level count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["PLAIN", "Facts", "Item", "facts"]

#: Octets, and a literal with the octets before it.
Item = bytes | tuple[bytes, bytes]

# What most answers consist of; whatever else there is, is taken apart token by token.
_PLAIN = (
    rb'(?:UID (\d{1,10})|FLAGS \([^()"]*\)|MODSEQ \(\d+\)|INTERNALDATE "[^"\\]*"|RFC822\.SIZE \d+'
    rb"|X-GM-(?:MSGID|THRID) \d+)"
)
_TEXT_NAME = rb"(?:BODY\[[^]\"]*\](?:<\d+>)?|RFC822(?:\.HEADER|\.TEXT)?)"
_BEFORE = re.compile(rb"\d+ \((?:" + _PLAIN + rb" )*" + _TEXT_NAME + rb" \{\d+\}").fullmatch
#: The first line of an answer of the usual form: number, items, UID, and size of the literal.
PLAIN = re.compile(rb"\* (\d{1,10}) FETCH (\((?:" + _PLAIN + rb" )*" + _TEXT_NAME + rb" \{(\d+)\})\r\n").fullmatch
_BEHIND = re.compile(rb"(?: " + _PLAIN + rb")*\)").fullmatch
_ALONE = re.compile(rb"\d+ \(" + _PLAIN + rb"(?: " + _PLAIN + rb")*\)").fullmatch
_FLAGS = re.compile(rb"\d+ \((?:(?:FLAGS \([^()\"]*\)|UID \d+|MODSEQ \(\d+\))(?: |(?=\))))*\)").fullmatch

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[()]|[^\s()"\[]+(?:\[[^\]]*\](?:<\d+>)?)?|\S', re.DOTALL)
_TEXT = re.compile(rb"(?:BODY|BINARY)\[.*|RFC822(?:\.HEADER|\.TEXT)?", re.DOTALL).fullmatch
_SIZE = re.compile(rb"~?\{\d+\}").fullmatch


class Facts(NamedTuple):
    """What is known of a message from one response.

    Attributes:
        uid: None where it is not said.
        octets: the first text among the items, or ``b""``.
        only_flags: nothing but flags is said, as when another client has changed them.
    """

    uid: int | None
    octets: bytes
    only_flags: bool


def facts(data: list[Item]) -> Facts:
    """Find what is known of a message in the items of a response."""
    first = data[0]
    if len(data) == 1 and isinstance(first, bytes):
        if found := _ALONE(first):
            uid = found[1] or found[2]
            return Facts(int(uid) if uid else None, b"", _FLAGS(first) is not None)
    elif len(data) == 2 and isinstance(first, tuple) and isinstance(data[1], bytes):
        before = _BEFORE(first[0])
        behind = _BEHIND(data[1])
        if before and behind:
            uid = before[1] or behind[1]
            return Facts(int(uid) if uid else None, first[1], False)
    return _taken_apart(data)


def _taken_apart(data: list[Item]) -> Facts:
    uid: int | None = None
    octets: bytes | None = None
    names = set()
    for name, value in _items(data):
        names.add(name)
        if name == b"UID" and value.isdigit() and len(value) <= 10:
            uid = int(value)
        elif octets is None and _TEXT(name):
            octets = value
    return Facts(uid, octets or b"", names <= {b"FLAGS", b"UID", b"MODSEQ"})


def _items(data: list[Item]) -> Iterator[tuple[bytes, bytes]]:
    """Return the names of a response and, where it is no list, what follows each."""
    depth = 0
    name: bytes | None = None
    for token, value in _tokens(data):
        if token == b")":
            depth -= 1
            if depth == 1:
                name = None
        elif token == b"(":
            if depth == 1 and name is not None:
                yield name, b""
            depth += 1
        elif depth == 1 and name is None:
            name = token.upper()
        elif depth == 1 and name is not None:
            yield name, value
            name = None


def _tokens(data: list[Item]) -> Iterator[tuple[bytes, bytes]]:
    """Return each token as it is written, and what it stands for."""
    for item in data:
        head, literal = item if isinstance(item, tuple) else (item, b"")
        # Before the first parenthesis there is the message's number, at level 0.
        tokens = _TOKEN.findall(head)
        for place, token in enumerate(tokens, 1):
            if isinstance(item, tuple) and place == len(tokens) and _SIZE(token):
                yield token, literal
            elif token[:1] == b'"':
                yield token, re.sub(rb"\\(.)", rb"\1", token[1:-1], flags=re.DOTALL)
            else:
                yield token, b"" if token.upper() == b"NIL" else token
