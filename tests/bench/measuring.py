"""Measuring contestants side by side, and printing tables."""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

say = sys.stdout.write


@dataclass(frozen=True)
class Measured:
    """What one contestant took, in seconds for one message, in each round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def faster_than(self, other: Measured) -> float:
        """Return how many times as fast as *other* this was: the median over the rounds."""
        return statistics.median(self._ratios(other))

    def spread(self, other: Measured) -> float:
        """Return half the distance between the quartiles of that ratio, as a part of its median."""
        ratios = self._ratios(other)
        if len(ratios) < 3:
            return 0.0
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return (high - low) / 2 / middle

    def _ratios(self, other: Measured) -> list[float]:
        # Rounds are compared with themselves: what slows the machine down for a while slows all contestants.
        return [theirs / mine for mine, theirs in zip(self.seconds, other.seconds, strict=True)]


def side_by_side(
    contestants: Mapping[str, Callable[[int], object]], *, rounds: int, seconds: float, most: int
) -> dict[str, Measured]:
    """Have contestants work in turns (A B C A B C …) and return what each took.

    Args:
        contestants: by name, functions that do their work a number of times.
        rounds: how often each has its turn, after a first one that is not counted.
        seconds: about how long one turn is.
        most: how often the work is done at most in a turn.
    """
    counts = {name: _turn(work, seconds, most) for name, work in contestants.items()}
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, work in contestants.items():
            begun = time.perf_counter()
            work(counts[name])
            taken[name].append((time.perf_counter() - begun) / counts[name])
    return {name: Measured(tuple(times)) for name, times in taken.items()}


def _turn(work: Callable[[int], object], seconds: float, most: int) -> int:
    """Return how often *work* is to be done so that it takes about *seconds*."""
    # The first time something may have to be imported or filled; not for long.
    begun = time.perf_counter()
    work(1)
    if time.perf_counter() - begun > seconds:
        return 1
    count = 1
    while True:
        begun = time.perf_counter()
        work(count)
        taken = time.perf_counter() - begun
        # What is done with much under way takes as long once as many times: a short turn says nothing of a long one.
        if taken >= seconds / 2 or count >= most:
            return max(1, min(most, round(count * seconds / taken)))
        count = min(most, count * max(2, int(seconds / taken)))


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """Keep this process, and those that it starts meanwhile, on one processor where the system lets it.

    To wake a process on another processor takes longer than a server needs for a reply, and whether one has to be woken
    is a matter of luck: without this the figures of two runs differ by half, with it by a few percent.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, notes: Sequence[str] = ()) -> None:
    """Print a plain table: the first column to the left, the others to the right."""
    columns = list(zip(heads, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    say(f"{title}\n\n")
    for cells in (heads, ["-" * width for width in widths], *rows):
        first, *others = (
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        say("  ".join([first, *others]).rstrip() + "\n")
    say("".join(f"\n{note}" for note in notes) + "\n\n")


def progress(text: str) -> None:
    """Say on standard error what is under way, in the place of what was said before."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def arguments(description: str | None) -> argparse.Namespace:
    """Read the command line of a benchmark: ``--quick``, and ``--only`` for some of its rows."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short run, for a first look")
    parser.add_argument("--only", default="", metavar="TEXT", help="the rows whose titles contain TEXT")
    return parser.parse_args()
