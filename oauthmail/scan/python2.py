"""Python 2 made readable for `ast`, with everything left where it stands.

Each word that Python 3 does not know is replaced by one of the same length, so that the line and column of every
finding are those of the file. What comes out is for reading only: it does not do what the script does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Token", "readable", "tokens"]

_TOKEN = re.compile(
    r"""
    (?P<string>(?i:[bfru]{0,3})
        (?:\"{3}[^\\"]*(?:(?:\\.|"(?!""))[^\\"]*)*\"{3}
          |'{3}[^\\']*(?:(?:\\.|'(?!''))[^\\']*)*'{3}
          |"[^\\"\r\n]*(?:\\.[^\\"\r\n]*)*"
          |'[^\\'\r\n]*(?:\\.[^\\'\r\n]*)*'))
    |(?P<comment>\#[^\r\n]*)
    |(?P<newline>\r\n|\r|\n)
    |(?P<space>(?:[ \t\f]|\\(?:\r\n|\r|\n))+)
    |(?P<number>0[xX][0-9a-fA-F]+[lL]?|0[oObB][0-7]+[lL]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[jJlL]?)
    |(?P<name>[^\W\d]\w*)
    |(?P<operator><>|>>|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_SILENT = frozenset({"space", "comment"})
# Names of Python 2 that later versions took for themselves, and what may follow them only there.
_TAKEN = {"async": "asinc", "await": "awayt", "nonlocal": "nonlokal"}
_AFTER_A_NAME = frozenset("=.,)]")
# "\U" and the like mean nothing in a Python 2 byte string, such as "C:\Users".
_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?=[uUNx])")


@dataclass
class Token:
    """A piece of source text.

    Attributes:
        kind: ``"string"``, ``"comment"``, ``"newline"``, ``"space"``, ``"number"``, ``"name"`` or ``"operator"``.
        text: the piece itself; what is put in its place has the same length.
        depth: how many brackets are open around it.
        begins: whether a statement begins with it.
        start: offset in the source text.
    """

    kind: str
    text: str
    depth: int
    begins: bool
    start: int


def tokens(text: str) -> list[Token]:
    """Return the pieces of a source text, which together are the text; any text has some."""
    found: list[Token] = []
    depth, begins = 0, True
    for match in _TOKEN.finditer(text):
        kind, piece = str(match.lastgroup), match[0]
        if piece in _CLOSING:
            depth = max(depth - 1, 0)
        found.append(Token(kind, piece, depth, begins and kind not in _SILENT and kind != "newline", match.start()))
        if piece in _OPENING:
            depth += 1
        if depth == 0 and (kind == "newline" or piece in (";", ":")):
            begins = True
        elif kind not in _SILENT and kind != "newline":
            begins = False
    return found


def readable(text: str) -> tuple[str, dict[int, int]]:
    """Return *text* with the words of Python 2 replaced, and by how much a line's indentation grew.

    Returns:
        the text, of the same lines; and for each line (from 1) whose tabs were expanded, the number of columns added.
    """
    found = tokens(text)
    for index, token in enumerate(found):
        if token.kind == "name":
            _name(found, index)
        elif token.kind == "number":
            token.text = _number(token.text)
        elif token.kind == "string":
            token.text = _string(token)
        elif token.text == "<>":
            token.text = "!="
    _backticks(found)
    return _expanded(found)


def _after(found: list[Token], index: int) -> Iterator[Token]:
    """Return what follows in the same statement, without blanks."""
    for place in range(index + 1, len(found)):
        token = found[place]
        if token.depth == 0 and (token.kind == "newline" or token.text == ";"):
            return
        if token.kind not in _SILENT and token.kind != "newline":
            yield token


def _name(found: list[Token], index: int) -> None:
    token = found[index]
    following = next(_after(found, index), None)
    said = following.text if following else ""
    if token.text in _TAKEN and said in _AFTER_A_NAME and said:
        token.text = _TAKEN[token.text]
    if not token.begins:
        return
    if token.text in ("print", "exec") and following and said not in ("(", "=", ".", ","):
        # A statement becomes an assignment, which takes any list of expressions.
        token.text = "_" + "=".rjust(len(token.text) - 1)
        if said == ">>":
            following.text = "  "
    elif token.text == "raise" and any(later.text == "," and later.depth == 0 for later in _after(found, index)):
        token.text = "_   ="
    elif token.text == "except":
        _except(list(_after(found, index)))
    elif token.text == "def":
        _parameters(found, index)


def _except(clause: list[Token]) -> None:
    """Take the name out of ``except Class, name:``."""
    for place, token in enumerate(clause):
        if token.depth == 0 and token.text == ":":
            return
        if token.depth == 0 and token.text == ",":
            for name in clause[place:]:
                if name.text == ":":
                    return
                name.text = " " * len(name.text)


def _parameters(found: list[Token], index: int) -> None:
    """Take the inner brackets out of ``def function(a, (b, c)):``."""
    previous = ""
    hidden: list[int] = []
    for token in _after(found, index):
        if token.text == ":" and token.depth == 0:
            return
        if token.text == "(" and (previous == "," or previous == "("):
            hidden.append(token.depth)
            token.text = " "
        elif token.text == ")" and hidden and hidden[-1] == token.depth:
            hidden.pop()
            token.text = " "
        else:
            previous = token.text


def _number(text: str) -> str:
    if text[-1] in "lL":
        text = text[:-1] + " "
    octal = text.rstrip()
    if len(octal) > 2 and octal[0] == "0" and octal.isdigit() and set(octal) <= set("01234567"):
        return "0o" + text[2:]
    return " " + text[1:] if len(octal) == 2 and octal[0] == "0" and octal[1] in "1234567" else text


def _string(token: Token) -> str:
    text = token.text
    prefix = text[: len(text) - len(text.lstrip("bBfFrRuU"))].lower()
    if prefix == "ur" and not token.begins:
        return " r" + text[2:]
    return _ESCAPE.sub(r"\1/", text) if prefix == "" else text


def _backticks(found: list[Token]) -> None:
    ticks = [token for token in found if token.text == "`"]
    for number, token in enumerate(ticks):
        token.text = ")" if number % 2 else "("


def _expanded(found: list[Token]) -> tuple[str, dict[int, int]]:
    """Put the text together, with tabs before a statement as wide as Python 2 took them for."""
    pieces: list[str] = []
    grown: dict[int, int] = {}
    line, fresh = 1, True
    for token in found:
        text = token.text
        if fresh and token.depth == 0 and token.kind == "space" and "\t" in text and "\\" not in text:
            text = text.expandtabs(8)
            grown[line] = len(text) - len(token.text)
        pieces.append(text)
        breaks = text.count("\n") + len(re.findall(r"\r(?!\n)", text))
        line += breaks
        fresh = token.kind == "newline"
    return "".join(pieces), grown
