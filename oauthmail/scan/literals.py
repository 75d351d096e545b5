"""Secrets in the source: by their looks, by their names, and by what is done with them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .findings import Finding
from .logins import passwords
from .module import Module
from .scopes import Scopes

__all__ = ["looks", "named", "scan", "tokens", "worth_a_look"]

_B64URL = r"[A-Za-z0-9_-]"
_ANY_SERVICE = "a token (JWT)"
# What tells a secret by its looks; long enough that a word about it does not.
_TOKENS = (
    ("a Google access token", rf"ya29\.{_B64URL}[A-Za-z0-9._-]{{19,}}"),
    ("a Google refresh token", rf"(?<![\w:/.])1//?0?{_B64URL}{{35,}}"),
    ("a Google client secret", rf"GOCSPX-{_B64URL}{{16,}}"),
    ("a Microsoft token", r"(?<!\w)Ew[A-D][A-Za-z0-9+/=]{60,}"),
    ("a Microsoft refresh token", rf"(?<![\w.])(?:[01]\.A{_B64URL}{{60,}}|M\.[CR]\d\w*[.!*A-Za-z0-9_-]{{40,}})"),
    ("a Microsoft client secret", r"(?<![\w~.-])[A-Za-z0-9_.~-]{3}\dQ~[A-Za-z0-9_.~-]{31,34}"),
    (_ANY_SERVICE, rf"(?<!{_B64URL})eyJ{_B64URL}{{8,}}\.eyJ{_B64URL}{{8,}}\.{_B64URL}*"),
)
_ANY_TOKEN = re.compile("|".join(f"(?P<t{number}>{pattern})" for number, (_, pattern) in enumerate(_TOKENS)))
# A little wider, and quick: most files have nothing of it, and need not be looked at further.
_WIDE = re.compile(
    r"ya29\.[\w.-]{20}|1//?[\w-]{35}|GOCSPX-[\w-]{16}|Ew[A-D][\w+/=]{60}|[01]\.A[\w-]{60}|M\.[CR]\d[\w.!*-]{40}"
    r"|\dQ~[\w.~-]{31}|eyJ[\w-]{8,}\.eyJ"
)
_BYTES = re.compile(_WIDE.pattern.encode("ascii"))

_NAMED = re.compile(
    r"(?:^|_|\b)(?:client_?secret|consumer_?secret|refresh_?token|access_?token|token_?secret|passw(?:or)?d|passphrase|pwd)$",
    re.IGNORECASE,
)
# Whatever is called so is not shown, a placeholder or not.
_NAME = re.compile(r"[\w.-]+")
_PLACEHOLDER = re.compile(
    r"your|example|change.?me|x{3,}|\*{3,}|\.{3}|…|placeholder|dummy|redacted|insert|replace|todo|fixme|fake|sample"
    r"|^[<\[{(%$].*|here$|^\W*$|^(?:my|the|a|an)?[ _-]?(?:pass(?:word|wd|code)?|pwd?|secret|token|refresh.?token"
    r"|access.?token|anonymous|client.?secret|consumer.?secret|app.?password|test(?:ing)?|none|null|foo|bar|string|key)$",
    re.IGNORECASE,
)
# A password of fewer characters is none, and one that is known by its name only has a few more.
_SHORTEST, _SHORTEST_NAMED = 4, 6
# Their second argument is a secret.
_PAIRS = frozenset({"Consumer", "Token", "OAuth1Credentials"})

_MESSAGE = "in the source: whoever can read this file, or its history, can use it"
_ADVICE = "take it out, and make it invalid where it was issued: it stays in backups and version control"


def scan(text: str, module: Module | None, *, any_token: bool = True) -> Iterator[Finding]:
    """Find secrets that are written down: by their looks, by their names, and passwords of logins.

    Args:
        text: the file's text.
        module: the file, where it can be read and has to do with mail; otherwise only looks count.
        any_token: whether tokens of any service count; otherwise those of Google and Microsoft.
    """
    seen: set[int] = set()
    found = [(start, what) for start, _, what in tokens(text) if any_token or what != _ANY_SERVICE]
    found += [(module.start(node), what) for node, what in _written_down(module)] if module is not None else []
    for start, what in found:
        # A token may be found by its name, too, and then from its quotation mark on.
        if not {start - 2, start - 1, start, start + 1, start + 2} & seen:
            seen.add(start)
            yield Finding(start, "secret-in-source", f"{what} {_MESSAGE}", _ADVICE)


def tokens(text: str) -> Iterator[tuple[int, int, str]]:
    """Return where a text has secrets that tell themselves by their looks, and what they are."""
    for match in looks(text):
        value = match[0]
        # Filled up with one letter, or with words, it is an example.
        if len(set(value)) > 10 and not re.search(r"(?i)your|example|xxxx|placeholder|redacted|-here|_here", value):
            yield *match.span(), _TOKENS[int(str(match.lastgroup)[1:])][0]


def looks(text: str) -> Iterator[re.Match[str]]:
    """Return whatever looks like a token, examples among it."""
    # The narrow pattern is slow, and most files have nothing that even the wide one takes.
    return _ANY_TOKEN.finditer(text) if _WIDE.search(text) else iter(())


def worth_a_look(raw: bytes) -> bool:
    """Tell quickly whether there may be a token in a file."""
    return _BYTES.search(raw) is not None


def _written_down(module: Module) -> Iterator[tuple[ast.expr, str]]:
    for expression in passwords(module, anywhere=False):
        for constant in module.values.constants(expression):
            if len(str(constant.value)) >= _SHORTEST and not _PLACEHOLDER.search(str(constant.value)):
                yield constant, "a password"
    for call in module.scopes.calls:
        if len(call.args) > 1 and _is_secret(call.args[1]):
            module_name, _, name = module.values.dotted(call.func).rpartition(".")
            if name in _PAIRS and "oauth" in module_name:
                yield call.args[1], "a secret of OAuth 1.0a"
    for name, node in named(module):
        if _NAME.fullmatch(name) and _NAMED.search(name) and _is_secret(node):
            yield node, f"the value of {name.rpartition('.')[2]}"


def _is_secret(node: ast.expr) -> bool:
    """Tell whether a value is written down, and no placeholder."""
    value = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(value, str) or len(value) < _SHORTEST_NAMED or re.search(r"\s|://", value):
        return False
    return not _PLACEHOLDER.search(value)


def named(module: Module) -> Iterator[tuple[str, ast.expr]]:
    """Return every value that has a name where it stands: assigned, passed by keyword, or in a dict."""
    scopes = module.scopes
    for assignment in scopes.of_kind(ast.Assign):
        yield from ((_name(target), assignment.value) for target in assignment.targets)
    for annotated in scopes.of_kind(ast.AnnAssign):
        if annotated.value is not None:
            yield _name(annotated.target), annotated.value
    for walrus in scopes.of_kind(ast.NamedExpr):
        yield walrus.target.id, walrus.value
    for keyword in scopes.of_kind(ast.keyword):
        yield keyword.arg or "", keyword.value
    for entries in scopes.of_kind(ast.Dict):
        for key, value in zip(entries.keys, entries.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value
    for taken in scopes.of_kind(ast.arguments):
        names = [item.arg for item in (*taken.posonlyargs, *taken.args)]
        yield from zip(names[len(names) - len(taken.defaults) :], taken.defaults, strict=False)


def _name(target: ast.expr) -> str:
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return str(target.slice.value)
    return Scopes.key(target) or ""
