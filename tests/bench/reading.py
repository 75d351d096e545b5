"""Messages read per second, beside the standard library and others: ``python -m tests.bench.reading [--quick]``.

The mailbox has 1,000 messages of 4 KB, every fiftieth of 200 KB, in a real Dovecot, without TLS. Every figure is a
ratio to the standard library's loop that reads one message after the other, in the same run, turn by turn; above 1 is
faster. At 0 ms client and server share one processor; see `one_processor`. Slow loops read some of the messages, in
the same mixture. Nothing passes or fails.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping

from . import readers
from .children import Child
from .mailbox import LARGE_EVERY, Mailbox, filled
from .measuring import Measured, arguments, one_processor, progress, side_by_side, table
from .readers import Reader
from .senders import NotThereError

COUNT = 1000
DELAYS = (0, 20, 100)

IMAP: Mapping[str, Callable[[int, str], Reader]] = {
    "loop": readers.Parent,
    "oauthmail": readers.Ours,
    "floor": readers.Floor,
    "imaplib, one FETCH": readers.ParentAtOnce,
    "imapclient": readers.Imapclient,
    "imap_tools": readers.ImapTools,
    "imap_tools, bulk": readers.ImapToolsBulk,
}
POP: Mapping[str, Callable[[int, str], Reader]] = {
    "loop": readers.PopParent,
    "oauthmail": readers.PopOurs,
    "floor": readers.PopFloor,
}
#: They wait for each message before they ask for the next.
ONE_BY_ONE = (readers.Parent, readers.ImapTools, readers.PopParent)


def measured(
    makers: Mapping[str, Callable[[int, str], Reader]], port: int, mailbox: Mailbox, delay: int, rounds: int
) -> dict[str, Measured]:
    """Return the seconds for each message that the readers take."""
    with contextlib.ExitStack() as stack:
        contestants: dict[str, Callable[[int], object]] = {}
        counts = {}
        for name, maker in makers.items():
            with contextlib.suppress(NotThereError):
                reader = maker(port, mailbox.token)
                stack.callback(reader.close)
                counts[name] = LARGE_EVERY if delay and maker in ONE_BY_ONE else COUNT
                expected = sum(mailbox.sizes[: counts[name]])
                contestants[name] = functools.partial(_read, name, reader, counts[name], expected)
        found = side_by_side(contestants, rounds=rounds, seconds=0.0, most=1)
    return {name: Measured(tuple(seconds / counts[name] for seconds in turns.seconds)) for name, turns in found.items()}


def _read(name: str, reader: Reader, count: int, expected: int, times: int) -> None:
    for _ in range(times):
        octets = reader.read(count)
        # Not everybody can tell.
        if octets and octets != expected:
            raise SystemExit(f"{name}: {octets} octets read instead of {expected}")


def lines(
    near: Mailbox, far: Mailbox, makers: Mapping[str, Callable[[int, str], Reader]], protocol: str, quick: bool
) -> list[list[str]]:
    """Measure at all distances and return what is printed."""
    printed = []
    for delay in DELAYS[:2] if quick else DELAYS:
        progress(f"{protocol}, {delay} ms")
        mailbox = far if delay else near
        port = mailbox.imap if protocol == "IMAP" else mailbox.pop3
        rounds = 2 if quick or delay > 20 else 7
        with contextlib.ExitStack() as stack:
            if delay:
                port = stack.enter_context(Child("delay", port, delay)).port
            else:
                stack.enter_context(one_processor())
            found = measured(makers, port, mailbox, delay, rounds)
        base = found["loop"]
        ours = found.get("oauthmail")
        shown = ["not there", ""]
        if ours is not None:
            shown = [f"{ours.faster_than(base):.3g}", f"{100 * ours.spread(base):.0f}%"]
        others = [f"{found[name].faster_than(base):.3g}" for name in makers if name not in ("loop", "oauthmail")]
        printed.append([f"{protocol}, {delay} ms", f"{1 / base.median:.4g}", *shown, *others])
    return printed


def main() -> None:
    """Print two tables."""
    options = arguments(__doc__)
    with contextlib.ExitStack() as stack:
        far = stack.enter_context(filled(COUNT))
        with one_processor():
            near = stack.enter_context(filled(COUNT))
        for protocol, makers, loop in (("IMAP", IMAP, "imaplib/s"), ("POP3", POP, "poplib/s")):
            if options.only not in protocol:
                continue
            printed = lines(near, far, makers, protocol, options.quick)
            progress("")
            others = [name for name in makers if name not in ("loop", "oauthmail")]
            table(
                f"Messages a second as ratios to {loop.partition('/')[0]}, one after the other",
                ["", loop, "oauthmail", "±", *others],
                printed,
            )


if __name__ == "__main__":
    main()
