"""A run through the wanted messages, over as many connections as it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from .message import Message, Source

__all__ = ["batches", "steadily"]

#: Seconds before each attempt to go on after a connection was lost; what comes in between starts anew.
_PAUSES = (0.0, 2.0)
# Messages and octets that are kept together.
_BATCH = 50
_OCTETS = 4 << 20


def steadily(source: Source, ids: Sequence[str], *, sleep: Callable[[float], None] = time.sleep) -> Iterator[Message]:
    """Return messages of a source that is connected, and connect again where the connection is lost.

    Raises:
        OSError, imaplib.IMAP4.error, poplib.error_proto: it is lost time and again.
    """
    left = dict.fromkeys(ids)
    failures = 0
    while left:
        try:
            if failures:
                source.connect()
            for message in source.fetch(list(left)):
                failures = 0
                left.pop(message.id, None)
                yield message
        except Exception as error:
            if not source.lost(error) or failures == len(_PAUSES):
                raise
            sleep(_PAUSES[failures])
            failures += 1
        else:
            # What has not come has gone.
            return


def batches(messages: Iterator[Message]) -> Iterator[list[Message]]:
    """Return messages in handfuls, which never are many nor large."""
    batch: list[Message] = []
    octets = 0
    try:
        for message in messages:
            batch.append(message)
            octets += len(message.octets)
            if len(batch) == _BATCH or octets >= _OCTETS:
                yield batch
                batch, octets = [], 0
    except Exception:
        # What has come before a connection was lost for good need not come again.
        if batch:
            yield batch
        raise
    if batch:
        yield batch
