"""Sets of message numbers as IMAP writes them (RFC 3501 section 9, ``sequence-set``), divided without listing them."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator

__all__ = ["HIGHEST", "LINE", "Numbers", "Run", "extend", "parse", "written"]

#: The first and the last of numbers that follow each other.
Run = tuple[int, int]

#: What ``*`` is as long as nobody knows the highest number; no number is as high (32 bits).
HIGHEST = 1 << 32

#: RFC 2683 section 3.2.1.5: servers have to take a command line of 8,000 octets. Half of that leaves room for what
#: else stands on it.
LINE = 4000

_SET = re.compile(r"(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?(?:,(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?)*", re.ASCII)


class Numbers:
    """Message numbers, each once and in ascending order, from which piece after piece is taken.

    Attributes:
        listed: they were given one by one, so that there is probably a message for each.
    """

    def __init__(self, runs: Iterable[Run], *, listed: bool = False) -> None:
        self.listed = listed
        self._runs = list(_merged(runs))
        # The next run is at the end.
        self._runs.reverse()

    def __bool__(self) -> bool:
        return bool(self._runs)

    @property
    def first(self) -> int:
        """The lowest; there has to be one."""
        return self._runs[-1][0]

    @property
    def last(self) -> int:
        """The highest; there has to be one."""
        return self._runs[0][1]

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(last - first + 1 for first, last in self._runs)

    def __contains__(self, number: int) -> bool:
        # What is below the first of "9:*" is in it, if it is the highest.
        return any(first <= number <= last or last == HIGHEST for first, last in self._runs)

    def below(self, highest: int) -> Numbers:
        """Return them with ``*`` replaced; ``9:*`` includes the highest number even where that is lower than 9."""
        runs = (
            (min(first, highest), highest) if last == HIGHEST else (first, last) for first, last in reversed(self._runs)
        )
        return Numbers(runs if highest else ())

    @property
    def runs(self) -> list[Run]:
        """All of them."""
        return self._runs[::-1]

    def put_back(self, numbers: Iterable[int]) -> None:
        """Have numbers that were taken be taken again."""
        self._runs = _merged([*self._runs, *((number, number) for number in numbers)])
        self._runs.reverse()

    def cut(self, highest: int) -> None:
        """Take out what is higher than *highest*."""
        while self._runs and self._runs[0][1] > highest:
            first, _ = self._runs[0]
            if first <= highest:
                self._runs[0] = first, highest
            else:
                del self._runs[0]

    def within(self, others: Numbers) -> Numbers:
        """Return those that are among others, too."""
        both: list[Run] = []
        found = others.runs
        place = 0
        for first, last in self.runs:
            while place < len(found) and found[place][1] < first:
                place += 1
            while place < len(found) and found[place][0] <= last:
                both.append((max(first, found[place][0]), min(last, found[place][1])))
                if found[place][1] > last:
                    break
                place += 1
        return Numbers(both)

    def take(self, most: int) -> list[Run]:
        """Remove and return the lowest numbers, at most *most*, and no more than fit a command line."""
        taken: list[Run] = []
        room = LINE
        while self._runs and most > 0 and room > 0:
            first, last = self._runs.pop()
            if last - first >= most:
                self._runs.append((first + most, last))
                last = first + most - 1
            taken.append((first, last))
            most -= last - first + 1
            room -= len(written([taken[-1]])) + 1
        return taken


def written(runs: Iterable[Run]) -> str:
    """Return numbers as IMAP writes them, such as ``7:9,12``."""

    def end(number: int) -> str:
        return "*" if number == HIGHEST else str(number)

    return ",".join(end(first) if first == last else f"{end(first)}:{end(last)}" for first, last in runs)


def parse(message_set: str | bytes | Iterable[int | str | bytes]) -> Numbers:
    """Read a set of message numbers.

    Args:
        message_set: as the standard library takes it, such as ``"1:100"``, ``"1,3,5:7"`` or ``"1:*"``; or the numbers
            one by one, as integers or as ``search`` returns them.

    Raises:
        ValueError: it is empty, or something in it is no message number.
        TypeError: it is neither.
    """
    if isinstance(message_set, str | bytes):
        return Numbers(_text_runs(message_set))
    if isinstance(message_set, range) and message_set.step == 1 and message_set:
        return Numbers([(_checked(message_set[0]), _checked(message_set[-1]))])
    runs: list[Run] = []
    for each in message_set:
        if isinstance(each, str | bytes):
            for first, last in _text_runs(each):
                extend(runs, first, last)
        else:
            number = _checked(operator.index(each))
            extend(runs, number, number)
    if not runs:
        raise ValueError("no message numbers")
    return Numbers(runs, listed=True)


def _text_runs(text: str | bytes) -> Iterator[Run]:
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    if not _SET.fullmatch(text):
        raise ValueError(f"not a set of message numbers: {text[:100]!r}")
    for part in text.split(","):
        ends = [HIGHEST if end == "*" else _checked(int(end)) for end in part.split(":")]
        yield min(ends), max(ends)


def _checked(number: int) -> int:
    if not 0 < number < HIGHEST:
        raise ValueError(f"not a message number: {number}")
    return number


def extend(runs: list[Run], first: int, last: int) -> None:
    """Add a run, to the one before where it follows on it."""
    if runs and runs[-1][0] <= first <= runs[-1][1] + 1:
        runs[-1] = runs[-1][0], max(last, runs[-1][1])
    else:
        runs.append((first, last))


def _merged(runs: Iterable[Run]) -> list[Run]:
    merged: list[Run] = []
    for first, last in sorted(runs):
        extend(merged, first, last)
    return merged
