"""What a scan finds, and what would change it."""

from __future__ import annotations

import ast
from dataclasses import dataclass

__all__ = ["RULES", "AddImport", "Edit", "Finding", "MoveNames", "Replace"]

#: Every rule, with what it is about.
RULES = {
    "password-login": "a mail client logs in with a password",
    "sasl-by-hand": "XOAUTH2, OAUTHBEARER or XOAUTH put together by the script itself",
    "python-oauth2": "python-oauth2's XOAUTH for mail is in use",
    "google-script": "Google's oauth2.py or xoauth.py, or a copy of it, is in use",
    "unverified-tls": "TLS that does not check whom it talks to",
    "secret-in-source": "a password, token or client secret stands in the source",
}


@dataclass(frozen=True)
class Replace:
    """Put *text* in the place of what stands between two offsets."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class AddImport:
    """Put a line such as ``import oauthmail`` behind a statement, unless the module has it."""

    after: ast.stmt
    line: str


@dataclass(frozen=True)
class MoveNames:
    """Import names of a ``from … import …`` statement from ``oauthmail``, and further ones with them."""

    statement: ast.ImportFrom
    names: frozenset[ast.alias]
    further: frozenset[str] = frozenset()


Edit = Replace | AddImport | MoveNames


@dataclass(frozen=True)
class Finding:
    """One place in a file that needs attention.

    Attributes:
        start: offset in the file's text.
        rule: one of `RULES`.
        message: what it means today, in a sentence.
        advice: what to do, in words.
        edits: what to change, where that is certain; together with those of other findings it is made one change.
    """

    start: int
    rule: str
    message: str
    advice: str
    edits: tuple[Edit, ...] = ()
