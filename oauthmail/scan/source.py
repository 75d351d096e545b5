"""A source file as it is read: its bytes, its text, its syntax tree, and the way from one to the other."""

from __future__ import annotations

import ast
import codecs
import io
import re
import sys
import tokenize
import warnings
from functools import cached_property

from .python2 import readable

__all__ = ["Source", "parsed"]

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")

# Up to Python 3.10 the parser overflows the stack over a chain of some 100,000 operators, and takes the process along.
_CHAIN = re.compile(r"[-+*/%@|&^<>.(\[]")
_LONGEST_CHAIN = 30_000


class Source:
    """A source file.

    Attributes:
        raw: its bytes.
        text: its text without the byte order mark, line ends as they are; encodes to the same bytes again.
        encoding: what it is written in; ``"latin-1"`` stands for bytes that are text in no other way.
        python2: whether it could be read only as Python 2; known once the tree was asked for.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._mark = codecs.BOM_UTF8 if raw.startswith(codecs.BOM_UTF8) else b""
        self.encoding, self.text = _decoded(raw[len(self._mark) :], "utf-8" if self._mark else _declared(raw))
        self.lines: list[str] = _LINE.findall(self.text)
        self.python2 = False
        # The text that the tree's positions are in, where that is not the file's own.
        self._read = self.lines
        self._grown: dict[int, int] = {}

    @cached_property
    def tree(self) -> ast.Module | None:
        """The syntax tree, or None where the file is no Python that can be read."""
        tree = parsed(self.text)
        if tree is not None:
            return tree
        text, grown = readable(self.text)
        tree = parsed(text)
        if tree is not None:
            self.python2, self._read, self._grown = True, _LINE.findall(text), grown
        return tree

    @cached_property
    def starts(self) -> list[int]:
        """The offset at which each line begins."""
        starts, total = [], 0
        for line in self.lines:
            starts.append(total)
            total += len(line)
        return starts or [0]

    def offset(self, line: int, column: int) -> int:
        """Return the place in the text that the tree calls *line* (from 1) and *column* (in octets of UTF-8)."""
        if line > len(self.lines):
            return len(self.text)
        read: str = self._read[line - 1]
        if not read.isascii():
            column = len(read.encode("utf-8")[:column].decode("utf-8", "ignore"))
        return self.starts[line - 1] + max(column - self._grown.get(line, 0), 0)

    def span(self, node: ast.expr | ast.stmt | ast.alias | ast.keyword) -> tuple[int, int]:
        """Return where a node begins and ends in the text."""
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset
        start = self.offset(node.lineno, node.col_offset)
        return start, start if end_column is None else self.offset(end_line, end_column)

    def segment(self, node: ast.expr | ast.stmt | ast.alias | ast.keyword) -> str:
        """Return the text of a node as it is written."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_of(self, offset: int) -> int:
        """Return the line (from 1) that a place in the text is on."""
        low, high = 0, len(self.starts)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.starts[middle] <= offset else (low, middle)
        return low + 1

    def line_end(self, line: int) -> str:
        """Return the line end in use around *line* (from 1)."""
        for text in (self.lines[line - 1], *self.lines[:1]):
            if len(text) > len(text.rstrip("\r\n")):
                return text[len(text.rstrip("\r\n")) :]
        return "\n"

    def encode(self, text: str) -> bytes:
        """Return *text* as the bytes of a file like this one.

        Raises:
            UnicodeEncodeError: its encoding cannot express that.
        """
        return self._mark + text.encode(self.encoding)


def parsed(source: str | bytes) -> ast.Module | None:
    """Return the syntax tree, or None for what is no Python, or too deeply nested for the parser."""
    if sys.version_info < (3, 11):
        text = source.decode("latin-1") if isinstance(source, bytes) else source
        if len(text) > _LONGEST_CHAIN and len(_CHAIN.findall(text)) > _LONGEST_CHAIN:
            return None
    try:
        # The parser warns of unknown escapes, and where warnings are errors it refuses them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def _declared(raw: bytes) -> str:
    try:
        return tokenize.detect_encoding(io.BytesIO(raw).readline)[0]
    except (SyntaxError, UnicodeError):
        return "latin-1"


def _decoded(raw: bytes, encoding: str) -> tuple[str, str]:
    try:
        text = raw.decode(encoding)
        # Not every codec gives back what it took.
        if text.encode(encoding) == raw:
            return encoding, text
    except (UnicodeError, LookupError, ValueError):
        pass
    return "latin-1", raw.decode("latin-1")
