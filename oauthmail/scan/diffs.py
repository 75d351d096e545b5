"""Changes as people read them: a unified diff without secrets, and without anything that a terminal would obey."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from .edits import changed
from .findings import Replace
from .redaction import Span, hide, masks

__all__ = ["unified"]

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def unified(text: str, edits: Sequence[Replace], private: Iterable[Span], path: str) -> str:
    """Return the diff from *text* to what *edits* make of it.

    Args:
        text: the file.
        edits: replacements that do not overlap.
        private: where the text has what is not to be shown.
        path: for the headings.
    """
    spans = list(private)
    shown = [Replace(edit.start, edit.end, hide(edit.text)) for edit in edits]
    old = changed(text, masks(text, spans))
    new = changed(text, [*shown, *masks(text, spans, edits)])
    lines = difflib.unified_diff(_lines(old), _lines(new), _printable(path), _printable(path), lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _lines(text: str) -> list[str]:
    return [_printable(line.rstrip("\r\n")) for line in _LINE.findall(text)]


def _printable(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() or char == "\t" else repr(char)[1:-1] for char in line)
