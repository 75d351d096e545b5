"""How many messages a client asks for before the first of them has arrived."""

from __future__ import annotations

__all__ = ["Pace"]

# Octets under way: what a fast line holds at 100 ms of round trip, and what a client may have to keep.
_OCTETS = 4 << 20
# Messages under way, before their size is known.
_FIRST = 128


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
        self._messages = 0
        self._octets = 0
        self.under_way = min(_FIRST, most)

    @property
    def window(self) -> int:
        """How many messages to ask for at a time; a quarter, so that three more are under way when one is done."""
        return max(self.under_way // 4, 1)

    def count(self, octets: int) -> None:
        """Take note of a message that came; a window's worth of them changes the pace."""
        self._messages += 1
        self._octets += octets
        if self._messages >= self.window:
            average = self._octets / self._messages
            # The larger half of what was and what is: messages are alike, but not so much alike.
            self._average = max(average, (self._average + average) / 2)
            self._messages = self._octets = 0
            fitting = int(_OCTETS / max(self._average, 1.0))
            self.under_way = max(min(fitting, self.under_way * 4, self._most), 1)
