"""A run through many messages: what was accepted in a run before is left out, what is in doubt is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .delivery import Delivery
from .journal import Entry, Journal
from .letters import Letter, Source
from .transaction import Outcome

__all__ = ["Options", "Plan", "Result", "plan", "run"]


@dataclass(frozen=True)
class Result:
    """What is known of a message at the end of a run.

    Attributes:
        letter: the message.
        message_id: as it was, or would have been, sent.
        outcome: what became of it in this run; of recipients in doubt, in the run before, too.
        before: recipients for whom it was accepted in an earlier run.
    """

    letter: Letter
    message_id: str
    outcome: Outcome
    before: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """The gravest thing that happened to it, in one word; ``accepted before`` where nothing had to be done."""
        for state in ("doubtful", "refused", "deferred", "accepted"):
            if getattr(self.outcome, state):
                return state
        return "accepted before"


@dataclass
class Plan:
    """What a run would do.

    Attributes:
        total: messages there are.
        left: messages that have not been settled in an earlier run.
        known: keys of all of them.
    """

    total: int = 0
    left: int = 0
    known: set[str] = field(default_factory=set, repr=False)


@dataclass(frozen=True)
class Options:
    """What to do with messages that a run before has left.

    Attributes:
        resend_doubtful: send those in doubt again.
        retry_refused: try recipients again that were refused for good.
    """

    resend_doubtful: bool = False
    retry_refused: bool = False

    def split(self, letter: Letter, entry: Entry) -> tuple[list[str], Outcome]:
        """Return for whom a message is to be sent now, and what is settled or in doubt already."""
        outcome = Outcome()
        left = []
        for each in letter.recipients:
            if each in entry.accepted:
                continue
            if each in entry.doubtful and not self.resend_doubtful:
                outcome.doubtful.append(each)
            elif each in entry.refused and not self.retry_refused:
                outcome.refused[each] = entry.refused[each]
            else:
                left.append(each)
        return left, outcome


def plan(source: Source, journal: Journal, options: Options) -> Plan:
    """Go through the messages without sending any, so that one that cannot be sent stops the run before it begins.

    Raises:
        MessageError: one of them cannot be sent as it is.
    """
    result = Plan()
    for letter in source():
        result.total += 1
        key = letter.key
        result.known.add(key)
        if options.split(letter, journal.entry(key))[0]:
            result.left += 1
    return result


def run(source: Source, journal: Journal, delivery: Delivery, options: Options) -> Iterator[Result]:
    """Send what is left of the messages and return what became of each, one after the other.

    Raises:
        StoppedError: the server takes nothing more.
        JournalError: what becomes of messages cannot be noted.
        AuthenticationError, OSError: there is no way to the server.
    """
    for letter in source():
        entry = journal.entry(letter.key)
        before = tuple(each for each in letter.recipients if each in entry.accepted)
        left, outcome = options.split(letter, entry)
        if left:
            outcome.add(delivery.send(letter, left))
        yield Result(letter, letter.identify(journal.nonce), outcome, before)
