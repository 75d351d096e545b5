"""One step of an examination, and how it is taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ._problems import Finding, TroubleError

__all__ = ["Step", "skipped", "take"]


@dataclass(frozen=True)
class Step:
    """What came of one thing that was tried.

    Attributes:
        protocol: ``"smtp"``, ``"imap"`` or ``"pop"``; empty for what concerns the mailbox as a whole.
        name: what was tried, such as ``"dns"`` or ``"login"``.
        state: ``"ok"``, ``"failed"``, or ``"skipped"`` where a step before it has failed that it depends on.
        detail: what was found, in one line, or empty.
        seconds: how long it took; None for a step that was skipped.
        finding: why it failed, or None.
    """

    protocol: str
    name: str
    state: str
    detail: str = ""
    seconds: float | None = None
    finding: Finding | None = None


def skipped(protocol: str, name: str) -> Step:
    """Return a step that was not taken."""
    return Step(protocol, name, "skipped")


def take(protocol: str, name: str, action: Callable[[], str]) -> Step:
    """Take a step.

    Args:
        protocol: as in `Step`.
        name: as in `Step`.
        action: does it, and returns the detail.
    """
    begun = time.perf_counter()
    finding = None
    try:
        detail = action()
    except TroubleError as error:
        detail, finding = "", error.finding
    return Step(protocol, name, "failed" if finding else "ok", detail, time.perf_counter() - begun, finding)
