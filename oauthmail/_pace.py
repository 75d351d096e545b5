"""How many messages a client asks for before the first of them has arrived."""

from __future__ import annotations

__all__ = ["Pace"]

# Octets under way: what a fast line holds at 100 ms of round trip, and what a client may have to keep.
_OCTETS = 4 << 20
# Messages under way, before their size is known.
_FIRST = 1024


class Pace:
    """Learns how large messages are, so that as much is under way as keeps the line busy, and no more.

    Args:
        most: messages under way, however small they are.

    Attributes:
        under_way: how many messages may be asked for and not yet with the caller.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._average = 0.0
        self.under_way = min(_FIRST, most)

    @property
    def window(self) -> int:
        """How many messages to ask for at a time; a quarter, so that three more are under way when one is done."""
        return max(self.under_way // 4, 1)

    def count(self, messages: int, octets: int) -> None:
        """Take note of messages that came together, and of their octets."""
        if messages:
            # Messages are alike, but not so much alike that the larger ones were to be forgotten at once.
            self._average = max(octets / messages, (self._average + octets / messages) / 2)
            fitting = int(_OCTETS / max(self._average, 1.0))
            self.under_way = max(min(fitting, self._most), 1)
