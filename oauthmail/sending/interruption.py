"""Ctrl-C and its like during a run: at once, but not between a message and the server's word on it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interruption", "TerminatedError"]


class TerminatedError(SystemExit):
    """A signal came that ends programs; the exit status is the shell's for it."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class Interruption:
    """Takes SIGINT, SIGTERM and SIGHUP for a ``with`` block, in the main thread; those that are ignored stay so.

    They end the block with `KeyboardInterrupt` or `TerminatedError`. One that comes within `shield` waits for the next
    `check`, but a second one does not.

    Args:
        waiting: is called when a signal has to wait, to say so.
    """

    def __init__(self, waiting: Callable[[], None] = lambda: None) -> None:
        self._waiting = waiting
        self._shielded = False
        self._pending: BaseException | None = None
        self._previous: list[tuple[int, Any]] = []

    def __enter__(self) -> Interruption:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            # Windows has no SIGHUP; nohup, and a shell for what runs in the background, have signals ignored.
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._previous.append((number, signal.signal(number, self._come)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous:
            signal.signal(number, handler)

    def _come(self, number: int, frame: FrameType | None) -> None:
        error = KeyboardInterrupt() if number == signal.SIGINT else TerminatedError(number)
        if self._shielded and self._pending is None:
            self._pending = error
            self._waiting()
        else:
            raise error

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Let a signal wait that comes within a ``with`` block."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False

    def check(self) -> None:
        """End the block if a signal has been waiting for it."""
        if self._pending is not None:
            raise self._pending
