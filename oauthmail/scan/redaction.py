"""What a diff must not show.

Rather too much than too little: beside what the rules find, whatever is called a password or a token, follows a user
name, or has the looks of a key is hidden.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from .findings import Replace
from .literals import looks, named
from .logins import passwords
from .module import Module

__all__ = ["REDACTED", "hidden", "hide", "masks"]

REDACTED = "[redacted]"
Span = tuple[int, int]

_PRIVATE = re.compile(
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|(?:^|_)(?:pw|key|auth|creds?|credentials?)(?:$|_)", re.IGNORECASE
)
# Names that have such a word in them and mean something else.
_PUBLIC = re.compile(r"(?:ur[il]|file(?:name)?|path|endpoint|env|type|scopes?|host|prompt|field)$", re.IGNORECASE)
_USER = re.compile(r"user|mail|login|account|sender|from", re.IGNORECASE)
_COMMENT = re.compile(r"#[^\r\n]*")
_IN_A_COMMENT = re.compile(r"(?i)(?:pass(?:word|wd|phrase)?|pwd|secret|token)\s*[:=]\s*([^\s,;)]+)")
# The group of each is what is hidden, in code, comments and strings alike.
_TEXTS = (
    re.compile(r"(?i)(?:passw\w{0,9}|pwd|secret|_token)[\"']?\]?\s*[:=]\s*[bru]{0,2}([\"'][^\"'\r\n]+[\"'])"),
    re.compile(r"\b(?:login|pass_|apop)\s*\((?:[^,()\r\n]*,)?\s*[bru]{0,2}([\"'][^\"'\r\n]*[\"'])\s*\)"),
    re.compile(r"\b(?:XOAUTH2?|OAUTHBEARER|PLAIN|LOGIN) ([A-Za-z0-9+/=]{8,})"),
    re.compile(r"\bBearer ([A-Za-z0-9._~+/=-]{8,})"),
    re.compile(r"://[^\s/:@\"']{1,200}:([^\s/@\"']+)@"),
)
_RANDOM = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[^\s@/\\]{8,}")
_HOST_OR_FILE = re.compile(
    r"[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}|%?[\w.%-]*[%{].*|[\w-]+(?:-8859-\d+|-?\d{1,2})", re.IGNORECASE
)
# Their arguments name a secret, and are none.
_ASKING = frozenset({"get", "getenv", "get_password", "getpass", "input", "raw_input", "prompt", "getattr", "pop"})
_RECIPIENTS = frozenset(
    {"sendmail", "send_message", "replace", "format", "print", "add_header", "append", "startswith"}
)
# A value this long is hidden wherever else the file has it, too; there are never many.
_TELLING, _MOST = 6, 50
_STEPS, _LOOKS = 4, 1000


def hidden(text: str, module: Module | None) -> list[Span]:
    """Return where a file has anything that is not to be shown, in order and apart from each other."""
    spans = [match.span() for match in looks(text)]
    spans += [match.span(1) for pattern in _TEXTS for match in pattern.finditer(text)]
    for comment in _COMMENT.finditer(text):
        for match in _IN_A_COMMENT.finditer(text, *comment.span()):
            spans.append(match.span(1))
    if module is not None:
        secrets = list(dict.fromkeys(_literals(module)))
        spans += [module.source.span(node) for node in [*secrets, *_random(module)]]
        values = {str(getattr(node, "value", "")) for node in secrets if isinstance(node, ast.Constant)}
        for value in sorted(value for value in values if len(value.strip()) >= _TELLING)[:_MOST]:
            spans += [_word(text, *match.span()) for match in re.finditer(re.escape(value), text)]
    return _apart(spans)


def _word(text: str, start: int, end: int) -> Span:
    """Return the whole word that a piece is part of."""
    while start > 0 and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    return start, end


def masks(text: str, spans: Iterable[Span], edits: Iterable[Replace] = ()) -> list[Replace]:
    """Return what hides *spans*, as far as *edits* do not replace them anyhow; lines stay lines."""
    taken = sorted((edit.start, edit.end) for edit in edits if edit.end > edit.start)
    found: list[Replace] = []
    for start, end in spans:
        for part_start, part_end in _outside(start, end, taken):
            part = text[part_start:part_end]
            found.append(Replace(part_start, part_end, re.sub(r"[^\r\n]+", _mask, part)))
    return found


def hide(text: str) -> str:
    """Return a text that is not the whole file with what can be told by itself hidden."""
    pieces, end = [], 0
    for start, stop in hidden(text, None):
        pieces += [text[end:start], REDACTED]
        end = stop
    return "".join([*pieces, text[end:]])


def _mask(match: re.Match[str]) -> str:
    # Quotation marks stay, so that the line can still be read.
    opening = re.match(r"\s*\w{0,2}[\"']", match[0])
    closing = match[0][-1] if match[0][-1] in "\"'" else ""
    return (opening[0] if opening else "") + REDACTED + closing


def _apart(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _outside(start: int, end: int, taken: list[Span]) -> Iterator[Span]:
    for first, last in taken:
        if last <= start or first >= end:
            continue
        if first > start:
            yield start, first
        start = max(start, last)
    if start < end:
        yield start, end


# --- in the syntax tree -----------------------------------------------------------------------------------------------


def _literals(module: Module) -> Iterator[ast.expr]:
    """Return the texts in a file that may be secrets, by what they are called and what is done with them."""
    for expression in passwords(module, anywhere=True):
        yield from _texts(module, expression, _STEPS)
    for name, value in named(module):
        if _PRIVATE.search(name) and not _PUBLIC.search(name):
            yield from _texts(module, value, 0)
    for call in module.scopes.calls:
        yield from _after_user(call)


def _random(module: Module) -> Iterator[ast.expr]:
    """Return the texts in a file that look like keys."""
    for node in module.scopes.of_kind(ast.Constant):
        value = node.value
        if isinstance(value, str) and _RANDOM.fullmatch(value) and not _HOST_OR_FILE.fullmatch(value):
            yield node


def _texts(module: Module, expression: ast.expr, steps: int) -> Iterator[ast.expr]:
    """Return the texts that are part of a value, where it is put together and where its names come from."""
    waiting: list[tuple[ast.expr, int]] = [(expression, steps)]
    for _ in range(_LOOKS):
        if not waiting:
            return
        node, left = waiting.pop()
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)):
            yield node
        elif isinstance(node, ast.Name | ast.Attribute):
            bindings = (module.values.bindings(node) or []) if left > 0 else []
            waiting += [(binding.value, left - 1) for binding in bindings if binding.value is not None]
        elif isinstance(node, ast.Call):
            waiting += [(item, left) for item in _passed(node)]
        elif isinstance(node, ast.BinOp | ast.BoolOp | ast.IfExp | ast.Tuple | ast.List | ast.Dict | ast.Starred):
            waiting += [(child, left) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def _passed(call: ast.Call) -> list[ast.expr]:
    """Return what a call makes its result of; what only says where to look for it is left out."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    given = call.args[1:] if name in ("get", "getenv") else [] if name in _ASKING else call.args
    return [function.value, *given] if isinstance(function, ast.Attribute) else given


def _after_user(call: ast.Call) -> Iterator[ast.expr]:
    """Return an argument that follows a user name, as a password does."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _RECIPIENTS:
        return
    for user, follows in zip(call.args, call.args[1:], strict=False):
        said = user.value if isinstance(user, ast.Constant) else getattr(user, "attr", getattr(user, "id", ""))
        wanted = "@" in said if isinstance(user, ast.Constant) and isinstance(said, str) else _USER.search(str(said))
        if wanted and isinstance(follows, ast.Constant) and isinstance(follows.value, str):
            yield follows
