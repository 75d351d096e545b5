"""XOAUTH2 put together by hand, as scripts did when no library had it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .findings import Edit, Finding, Replace
from .logins import repeatable
from .module import Module
from .texts import Texts

__all__ = ["scan"]

_COMMANDS = frozenset({"docmd", "auth", "authenticate", "_shortcmd", "_putcmd"})
_MECHANISM = re.compile(r"(AUTH )?\s*(XOAUTH2|OAUTHBEARER|XOAUTH|PLAIN|LOGIN|CRAM-MD5)\b", re.IGNORECASE)
_PASSWORDS = frozenset({"PLAIN", "LOGIN", "CRAM-MD5"})
_MESSAGES = {
    "docmd": "docmd() does not raise when the server refuses, and the reason for a refusal is lost",
    "_shortcmd": "the token goes into one line, which Exchange Online refuses, and the reason for a refusal is lost",
}
_REFUSAL = "the server's reason for a refusal is lost here, and an expired token is not renewed"
_XOAUTH = "XOAUTH is OAuth 1.0a, which Gmail does not take any more"
_OBSOLETE = "a password is sent here, and Gmail, Microsoft 365, Outlook.com and Yahoo refuse passwords by now"

# The texts of the two mechanisms; an expression of the script stands as its number between two \0.
_SHAPES = (
    re.compile(r"(?:AUTH )?(?:XOAUTH2 )?user=(.+?)\x01auth=Bearer (.+?)\x01\x01", re.DOTALL),
    re.compile(
        r"(?:AUTH )?(?:OAUTHBEARER )?n,a=(.+?),\x01"
        r"(?:host=[^\x01]*\x01)?(?:port=[^\x01]*\x01)?auth=Bearer (.+?)\x01\x01",
        re.DOTALL,
    ),
)
_HOLE = re.compile(r"\0(\d+)\0")


def scan(module: Module) -> Iterator[Finding]:
    """Find SASL exchanges that a script carries out itself."""
    for call in module.scopes.calls:
        function = call.func
        if not isinstance(function, ast.Attribute) or function.attr not in _COMMANDS or not call.args:
            continue
        mechanism = _mechanism(module, call, function.attr)
        if mechanism is None:
            continue
        clients = module.clients(function.value)
        if mechanism in _PASSWORDS:
            if clients:
                advice = "authenticate_oauth(ADDRESS, oauthmail.Account(ADDRESS)) with oauthmail's class"
                yield Finding(module.start(call), "password-login", _OBSOLETE, advice)
            continue
        advice, edits = _change(module, call, function, mechanism)
        message = _XOAUTH if mechanism == "XOAUTH" else _MESSAGES.get(function.attr, _REFUSAL)
        start = module.source.span(function)[1] - len(function.attr)
        yield Finding(start, "sasl-by-hand", message, advice, tuple(edits))


def _payload(call: ast.Call) -> ast.expr:
    """Return the argument that holds what is sent."""
    return next((item.value for item in call.keywords if item.arg in ("args", "authobject")), call.args[-1])


def _mechanism(module: Module, call: ast.Call, method: str) -> str | None:
    """Return the mechanism that a call names."""
    said = call.args[0]
    if method in ("auth", "authenticate"):
        if _payload(call) is said:
            return None
    elif [str(constant.value).upper() for constant in module.values.constants(said)] == ["AUTH"]:
        said = _payload(call)
    texts = [str(constant.value) for constant in module.values.constants(said)]
    texts += [way.parts[0] for way in Texts(module).ways(said) if way.parts and isinstance(way.parts[0], str)]
    for found in filter(None, map(_MECHANISM.match, texts)):
        # The command's name is part of the text where it is no argument of its own.
        if method in ("auth", "authenticate") or said is not call.args[0] or found[1]:
            return found[2].upper()
    return None


def _change(module: Module, call: ast.Call, function: ast.Attribute, mechanism: str) -> tuple[str, list[Edit]]:
    receiver = module.written(function.value)
    if mechanism == "XOAUTH":
        return f"{receiver}.authenticate_oauth(url, oauthmail.OAuth1Credentials(…)) where a server still takes it", []
    found = _user_and_token(module, call)
    if found is None:
        return f"{receiver}.authenticate_oauth(user, access_token) with oauthmail's class, in place of the exchange", []
    words = (
        f"{receiver}.authenticate_oauth({found[0]}, {found[1]}) with oauthmail's class; "
        f"oauthmail.Account({found[0]}) in place of {found[1]} renews it"
    )
    clients = module.clients(function.value)
    migration = module.migration(clients)
    if not module.surely(function.value) or not module.encrypted(clients) or migration is None:
        return words, []
    start, end = module.source.span(call)
    if "#" in module.source.text[start:end] or module.in_text(call):
        return words, []
    replacement = Replace(start, end, f"{receiver}.authenticate_oauth({found[0]}, {found[1]})")
    return words, [*migration, replacement]


def _user_and_token(module: Module, call: ast.Call) -> tuple[str, str] | None:
    """Return the expressions for user name and access token that a call sends, as text; None if not sure."""
    answers: set[tuple[str, str]] = set()
    ways = Texts(module).ways(_payload(call))
    for way in ways:
        holes = [part for part in way.parts if isinstance(part, ast.expr)]
        numbers = iter(range(len(holes)))
        text = "".join(part if isinstance(part, str) else f"\0{next(numbers)}\0" for part in way.parts)
        matches = [shape.fullmatch(text) for shape in _SHAPES]
        found = next((match for match in matches if match), None)
        if found is None:
            return None
        user, token = (_expression(module, call, said, holes) for said in found.groups())
        # A token that is written down is a finding of its own, and nothing to repeat.
        if user is None or token is None or not _HOLE.fullmatch(found[2]):
            return None
        answers.add((user, token))
    return answers.pop() if len(answers) == 1 else None


def _expression(module: Module, call: ast.Call, said: str, holes: list[ast.expr]) -> str | None:
    """Return what *said* is at the place of *call*."""
    hole = _HOLE.fullmatch(said)
    if hole is None:
        return None if "\0" in said else repr(said)
    node = holes[int(hole[1])]
    if isinstance(node, ast.FormattedValue):
        # "{token!r}" or "{token:>9}", which is another text.
        return None
    inside = node in _descendants(call)
    names = [found for found in ast.walk(node) if isinstance(found, ast.Name)]
    if (not inside and not repeatable(node)) or not all(_same_at(module, name, call) for name in names):
        return None
    written = module.written(node)
    return None if "\n" in written or "\r" in written else written


def _descendants(call: ast.Call) -> set[ast.AST]:
    return set(ast.walk(call))


def _same_at(module: Module, name: ast.Name, call: ast.Call) -> bool:
    """Tell whether a name means at *call* what it means where it stands."""
    scopes = module.scopes
    here, there = scopes.reaching(name.id, call), scopes.reaching(name.id, name)
    if here is None or there is None:
        # Not bound anywhere: a built-in, or a mistake of the script.
        return here is there
    return set(here) == set(there) and bool(here)
