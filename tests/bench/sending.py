"""Messages per second, beside smtplib and others: ``python -m tests.bench.sending [--quick]``.

Every figure is a ratio to smtplib against the same server in the same run, turn by turn; above 1 is faster. The floor
is a socket used by hand. At 0 ms client and server share one processor; see `one_processor`. "<" marks what misses its
target, which is 0.98 where there is no other; "±" is half the distance between the quartiles of the ratio, over the
rounds. Nothing passes or fails.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oauthmail.sandbox.live.process import StartError

from .children import Child
from .letters import MEGABYTE, letter
from .measuring import Measured, arguments, one_processor, progress, side_by_side, table
from .postfix import postfix, smtp_sink
from .senders import Aiosmtplib, Floor, NotThereError, Ours, OursMany, Parent, Sender, Smtpproto, Yagmail, repeated

BAR = 0.98
#: Servers that are not ours.
REAL = ("smtp-sink", "Postfix")
SERVERS = """\
DATA       the sink of tests.bench.sink with PIPELINING and without CHUNKING
CHUNKING   the same with both; smtplib sends DATA here, too, as it knows nothing else, and so would the peers
smtp-sink  Postfix's, with PIPELINING; it looks at every octet, and so hides the clients where messages are large
Postfix    its smtpd with PIPELINING and CHUNKING, which writes each message to the disk before it says so; the
           message is discarded after that"""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        title: what is sent.
        delay: milliseconds added to a round trip.
        octets: whether programs pass bytes, not an `EmailMessage`.
        many: whether several messages may be under way.
        attachment: octets of it.
        recipients: of each message.
        refused: recipients that are refused, of each message.
        targets: by server; `BAR` where there is none.
        real: whether the servers of `REAL` are asked, too, which a short run does not do.
        quick: whether a short run has it.
    """

    title: str
    delay: int
    octets: bool = True
    many: bool = False
    attachment: int = 0
    recipients: int = 1
    refused: int = 0
    targets: Mapping[str, float] = field(default_factory=dict)
    real: bool = False
    quick: bool = False


def targets(data: float, chunking: float) -> dict[str, float]:
    """Return the targets by server."""
    return {"DATA": data, "CHUNKING": chunking}


ROWS = (
    Row("20 ms, small, one at a time", 20, targets=targets(1.95, 3.9), real=True, quick=True),
    Row("20 ms, 1 MB, one at a time", 20, attachment=MEGABYTE, targets=targets(2.2, 4.2)),
    Row("20 ms, send_messages, bytes", 20, many=True, targets=targets(3.8, 300), real=True, quick=True),
    Row("20 ms, send_messages, EmailMessage", 20, octets=False, many=True, targets=targets(3.8, 300)),
    Row("0 ms, small, EmailMessage", 0, octets=False, targets=targets(1.4, 1.7), real=True, quick=True),
    Row("0 ms, small, bytes", 0, targets=targets(1.8, 3.0), real=True, quick=True),
    Row(
        "0 ms, 1 MB, EmailMessage", 0, octets=False, attachment=MEGABYTE, targets=targets(6, 11), real=True, quick=True
    ),
    Row("0 ms, 1 MB, bytes", 0, attachment=MEGABYTE, targets=targets(3.8, 14), real=True, quick=True),
    Row("0 ms, send_messages, bytes", 0, many=True),
    Row("100 ms, small, one at a time", 100, targets=targets(1.95, 3.9)),
    Row("100 ms, send_messages, bytes", 100, many=True),
    Row("0 ms, small, 10 recipients", 0, recipients=10),
    Row("0 ms, small, 100 recipients", 0, recipients=100),
    Row("20 ms, small, 10 recipients", 20, recipients=10),
    Row("20 ms, small, 100 recipients", 20, recipients=100),
    Row("0 ms, 10 MB, bytes", 0, attachment=10 * MEGABYTE),
    Row("0 ms, small, 1 of 3 refused", 0, recipients=2, refused=1),
    Row("20 ms, small, 1 of 3 refused", 20, recipients=2, refused=1),
)
PEERS: dict[str, Callable[..., Sender]] = {"aiosmtplib": Aiosmtplib, "smtpproto": Smtpproto, "yagmail": Yagmail}


class Servers:
    """The sinks, started in the context *stack*; those of `REAL` not for a short run.

    Attributes:
        ports: by name.
    """

    def __init__(self, stack: contextlib.ExitStack, *, quick: bool) -> None:
        self._stack = stack
        self._proxies: dict[tuple[str, int], int] = {}
        self.ports = {
            "DATA": stack.enter_context(Child("sink", "--no-chunking")).port,
            "CHUNKING": stack.enter_context(Child("sink")).port,
        }
        if quick:
            return
        for name, server in (("smtp-sink", smtp_sink), ("Postfix", postfix)):
            try:
                self.ports[name] = stack.enter_context(server())
            except (StartError, PermissionError) as error:
                sys.stderr.write(f"No figures for {name} (Postfix's smtpd needs root): {error}\n")

    def port(self, name: str, delay: int) -> int:
        """Return where that server is *delay* milliseconds away."""
        if not delay:
            return self.ports[name]
        if (name, delay) not in self._proxies:
            self._proxies[name, delay] = self._stack.enter_context(Child("delay", self.ports[name], delay)).port
        return self._proxies[name, delay]


def measured(row: Row, port: int, *, chunking: bool, peers: bool, rounds: int, seconds: float) -> dict[str, Measured]:
    """Return what each contestant takes for a message of *row*; those that cannot send it are left out."""
    letters = [
        letter(number, attachment=row.attachment, recipients=row.recipients, refused=row.refused)
        for number in range(1 if row.attachment > MEGABYTE else 5)
    ]
    floor = functools.partial(Floor, chunking=chunking, many=row.many)
    makers: dict[str, Callable[..., Sender]] = {
        "smtplib": Parent,
        "oauthmail": OursMany if row.many else Ours,
        "floor": floor,
    }
    if peers:
        makers |= PEERS
    if row.refused:
        # These two stop at a refused recipient, so that there is nothing to compare.
        makers.pop("smtpproto", None)
        makers.pop("yagmail", None)
    with contextlib.ExitStack() as stack:
        contestants: dict[str, Callable[[int], Any]] = {}
        for name, maker in makers.items():
            with contextlib.suppress(NotThereError):
                # Where the way is long, the time to write a message out is nothing: a peer that takes no octets may
                # compare itself by the message that they are of.
                octets = row.octets and not (row.delay and name in ("smtpproto", "yagmail"))
                sender = maker(port, octets=octets)
                stack.callback(sender.close)
                contestants[name] = functools.partial(_send, sender, letters)
        return side_by_side(contestants, rounds=rounds, seconds=seconds, most=20000)


def _send(sender: Sender, letters: Sequence[Any], count: int) -> None:
    sender.send(repeated(letters, count))


def lines(row: Row, servers: Servers, quick: bool) -> Iterator[list[str]]:
    """Measure a row at the servers and yield what is printed: a line for each."""
    # Where nothing but this machine takes time, many short turns even out what else it does.
    rounds, seconds = (3, 0.4) if row.delay else (9, 0.2 if row.attachment else 0.12)
    if quick:
        rounds, seconds = (3, 0.2) if row.delay else (5, 0.06)
    if row.delay and row.recipients >= 100:
        rounds = 1
    if row.many:
        # Until the way is full of messages nothing is gained.
        seconds *= 3
    title = row.title
    for name in servers.ports:
        if name in REAL and not row.real:
            continue
        found = measured(
            row,
            servers.port(name, row.delay),
            chunking=name in ("CHUNKING", "Postfix"),
            # They have one message under way at a time, always.
            peers=name == "DATA" and not row.many,
            rounds=rounds,
            seconds=seconds,
        )
        target = row.targets.get(name, BAR)
        peers = [_ratio(found, peer) for peer in ("floor", *PEERS)]
        yield [title, name, f"{1 / found['smtplib'].median:.4g}", *_ours(found, target), f"{target:g}", *peers]
        title = ""


def _ours(found: dict[str, Measured], target: float) -> list[str]:
    if "oauthmail" not in found:
        return ["not there", ""]
    ours, base = found["oauthmail"], found["smtplib"]
    ratio = ours.faster_than(base)
    mark = "" if ratio >= target else "< "
    return [f"{mark}{ratio:.3g}", f"{100 * ours.spread(base):.0f}%"]


def _ratio(found: dict[str, Measured], name: str) -> str:
    return f"{found[name].faster_than(found['smtplib']):.3g}" if name in found else "-"


def main() -> None:
    """Print a table."""
    options = arguments(__doc__)
    rows = [row for row in ROWS if (row.quick or not options.quick) and options.only in row.title]
    printed: list[list[str]] = []
    with contextlib.ExitStack() as stack:
        far = Servers(stack, quick=options.quick)
        with one_processor():
            near = Servers(stack, quick=options.quick)
        for number, row in enumerate(rows, 1):
            progress(f"{number} of {len(rows)}: {row.title}")
            with contextlib.nullcontext() if row.delay else one_processor():
                printed += lines(row, far if row.delay else near, options.quick)
    progress("")
    heads = ["", "server", "smtplib/s", "oauthmail", "±", "target", "floor", *PEERS]
    table("Messages a second as ratios to smtplib", heads, printed, notes=[SERVERS])


if __name__ == "__main__":
    main()
