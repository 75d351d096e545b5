"""A bar that shows how far a command has come, on a terminal only."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TextIO

__all__ = ["Progress"]

# Seconds between two pictures; more of them nobody sees.
_PACE = 0.1
_BAR = 24


class Progress:
    """Counts to a total; on a terminal it shows so, in one line that is drawn over and over.

    Args:
        total: what it counts to.
        unit: what is counted, in the plural.
        stream: where it is shown; standard error, as the data goes to standard output.
    """

    def __init__(self, total: int, unit: str, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._total = total
        self._unit = unit
        self._done = 0
        self._start = time.monotonic()
        self._drawn = 0.0
        self._width = 0
        self.shown = self._stream.isatty() and os.environ.get("TERM") != "dumb"

    def advance(self, note: str = "") -> None:
        """Count one more; *note* is shown beside the bar."""
        self._done += 1
        now = time.monotonic()
        if self.shown and (now - self._drawn >= _PACE or self._done == self._total):
            self._drawn = now
            self._draw(note, now)

    def _draw(self, note: str, now: float) -> None:
        filled = _BAR * self._done // max(self._total, 1)
        elapsed = now - self._start
        left = elapsed / self._done * (self._total - self._done)
        picture = f"[{'#' * filled}{'.' * (_BAR - filled)}] {self._done}/{self._total} {self._unit}"
        picture += f", {_duration(left)} left" if self._done < self._total else f" in {_duration(elapsed)}"
        line = f"{picture}  {note}"[: shutil.get_terminal_size().columns - 1]
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)

    def say(self, text: str) -> None:
        """Print a line above the bar, or simply a line."""
        self.clear()
        print(text, file=self._stream, flush=True)

    def clear(self) -> None:
        """Wipe the bar away."""
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0

    def end(self) -> None:
        """Leave the bar as it is and begin a new line."""
        if self._width:
            self._stream.write("\n")
            self._stream.flush()
            self._width = 0


def _duration(seconds: float) -> str:
    whole = int(seconds + 0.5)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60} s"
