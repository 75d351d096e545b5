r"""Which messages there are in an IMAP folder, where a set of unique identifiers does not say it.

::

    C: A1 UID SEARCH 1:50000 UID 100:4000000000
    S: * SEARCH 101 102 250
    C: A2 UID SEARCH 50001:* UID 100:4000000000
"""

from __future__ import annotations

import re
from typing import Any

from ._numbers import Numbers, Run, extend, written

__all__ = ["Unseen", "existing"]

# Messages that one SEARCH looks through: its answer is one line, of which the standard library takes a million octets.
_SEARCHED = 50_000

_NUMBER = re.compile(rb"\d{1,10}")


class Unseen:
    """In place of a set of numbers, where there are too many to list: those of a wide range that have not come.

    Args:
        numbers: the range.
        most: how many may come; or a server could go on for ever.
    """

    def __init__(self, numbers: Numbers, most: int) -> None:
        self._numbers = numbers
        self._most = most
        self._seen: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return number not in self._seen and number in self._numbers and len(self._seen) < self._most

    def discard(self, number: int) -> None:
        """Have a number come no more."""
        self._seen.add(number)

    def update(self, numbers: range) -> None:
        """Do nothing: the numbers are in the range."""

    def difference_update(self, numbers: range) -> None:
        """Do nothing: there is one command for the range, after which nothing more is read."""

    def __len__(self) -> int:
        return 0


def existing(client: Any, numbers: Numbers) -> Numbers:
    """Return the unique identifiers within the set that messages have; there may be few in a wide range.

    Args:
        client: an `oauthmail.IMAP4`.
        numbers: the set; there has to be one.

    Raises:
        imaplib.IMAP4.error: the server refuses to search.
    """
    span = written([(numbers.first, numbers.last)])
    found: list[Run] = []
    start = 1
    while start <= client._oauth_exists:
        expunged = len(client.untagged_responses.get("EXPUNGE", ()))
        end = start + _SEARCHED - 1
        within = f"{start}:{end}" if end < client._oauth_exists else f"{start}:*"
        typ, data = client.uid("SEARCH", within, "UID", span)
        if typ != "OK":
            raise client.error(f"UID command error: {typ} {data}")
        for line in data:
            for number in _NUMBER.finditer(line or b""):
                extend(found, int(number[0]), int(number[0]))
        # Messages behind those that are gone have moved up.
        start = end + 1 - (len(client.untagged_responses.get("EXPUNGE", ())) - expunged)
    there = Numbers(found)
    return numbers.below(there.last if there else 0).within(there)
