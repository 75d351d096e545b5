"""The steps of a check, for people and for programs."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Sequence
from typing import TextIO

from ..doctor import NAMES, Step

__all__ = ["Screen", "as_json", "label"]

_LABELS = {"dns": "DNS", "tcp": "TCP", "tls": "TLS", "starttls": "STARTTLS", "command": "first command"}

# Columns of a step's name, and of everything before what was found.
_NAME = 13
_INDENT = 4 + _NAME + 12

# Where nobody looks on, as in a file.
_WIDTH = 100


def label(step: Step) -> str:
    """Return what people call a step."""
    return _LABELS.get(step.name, step.name)


class Screen:
    """Prints steps as they come.

    Args:
        stream: where to.
        address: the mailbox, for the first line.
    """

    def __init__(self, stream: TextIO, address: str) -> None:
        self._stream = stream
        self._marks = {"ok": "✓", "failed": "✗", "skipped": "–"}  # noqa: RUF001  # a dash is what is meant
        try:
            "".join(self._marks.values()).encode(stream.encoding or "ascii")
        except (UnicodeError, LookupError):
            self._marks = {"ok": "+", "failed": "x", "skipped": "-"}
        self._width = max(shutil.get_terminal_size().columns, 60) if stream.isatty() else _WIDTH
        self._protocol = ""
        self._skipped: list[str] = []
        self._failed = 0
        self._print(address)

    def show(self, step: Step) -> None:
        """Print a step; those that were skipped share a line."""
        if step.protocol != self._protocol:
            self._flush()
            self._protocol = step.protocol
            self._print(f"\n{NAMES[step.protocol]}")
        if step.state == "skipped":
            self._skipped.append(label(step))
            return
        self._flush()
        milliseconds = f"{1000 * (step.seconds or 0):.0f} ms"
        start = f"  {self._marks[step.state]} {label(step):<{_NAME}} {milliseconds:>9}"
        if step.finding is None:
            self._wrapped(f"{start}  ", step.detail, " " * _INDENT)
            return
        self._failed += 1
        self._print(start)
        finding = step.finding
        told = [("cause", finding.cause), ("cure", finding.cure)]
        if finding.reply and finding.reply not in finding.cause:
            told.insert(1, ("reply", finding.reply))
        for name, text in told:
            if text:
                self._wrapped(f"      {name:<7}", text, " " * 13)

    def end(self) -> None:
        """Print the last line."""
        self._flush()
        steps = "step" if self._failed == 1 else "steps"
        self._print(f"\n{self._failed} {steps} failed." if self._failed else "\nEverything works.")

    def _flush(self) -> None:
        if self._skipped:
            self._wrapped(f"  {self._marks['skipped']} ", f"{', '.join(self._skipped)}: skipped", "    ")
            self._skipped.clear()

    def _wrapped(self, start: str, text: str, indent: str) -> None:
        # Names of hosts, scopes and files stay whole, to be copied.
        self._print(
            textwrap.fill(
                text,
                self._width,
                initial_indent=start,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )

    def _print(self, text: str) -> None:
        # What a server says may have characters that the terminal has not.
        encoding = self._stream.encoding or "ascii"
        shown = text.encode(encoding, "backslashreplace").decode(encoding)
        print(shown.rstrip(" "), file=self._stream, flush=True)


def as_json(address: str, steps: Sequence[Step]) -> str:
    """Return the steps as one object."""
    return json.dumps(
        {
            "address": address,
            "ok": all(step.state != "failed" for step in steps),
            "steps": [_plain(step) for step in steps],
        },
        indent=1,
        ensure_ascii=False,
    )


def _plain(step: Step) -> dict[str, object]:
    plain: dict[str, object] = {"protocol": step.protocol or None, "step": step.name, "state": step.state}
    if step.seconds is not None:
        plain["milliseconds"] = round(1000 * step.seconds, 1)
    if step.finding is None:
        plain |= {"detail": step.detail} if step.detail else {}
    else:
        plain |= {name: value for name, value in vars(step.finding).items() if value}
    return plain
