"""Memory and processor time for 100,000 messages: ``python -m tests.bench.memory [--quick]``.

Each client is a process of its own, which sends to a sink or reads from a server that makes messages up, on loopback.
Its peak of memory is looked at after the first thousand messages and at the end: what grew in between is kept for every
message. The processor's time, the system's share included, is that of the client alone. Slow clients do part of the
work, as their memory says nothing new. Nothing passes or fails.
"""

from __future__ import annotations

import argparse
import contextlib
import imaplib
import json
import poplib
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import oauthmail

from .children import ROOT, Child
from .letters import letter
from .measuring import progress, say, table
from .producer import MESSAGE
from .senders import WINDOW, Aiosmtplib, NotThereError, Ours, OursMany, Parent, Sender, Smtpproto, Yagmail

FIRST = 1000


@dataclass(frozen=True)
class Work:
    """What a process does.

    Attributes:
        server: "sink", "imap" or "pop".
        client: what does it: given a port, returns a function that handles so many messages.
        share: the part of all messages that it handles.
    """

    server: str
    client: Callable[[int], Callable[[int], object]]
    share: float = 1.0


def sending(maker: Callable[..., Sender], *, octets: bool) -> Callable[[int], Callable[[int], object]]:
    """Return a client that sends in lists of one window, so that the list does not count."""

    def client(port: int) -> Callable[[int], object]:
        letters = [letter(number) for number in range(WINDOW)]
        sender = maker(port, octets=octets)

        def work(count: int) -> None:
            for start in range(0, count, WINDOW):
                sender.send(letters[: count - start])

        return work

    return client


def sending_many(*, octets: bool) -> Callable[[int], Callable[[int], object]]:
    """Return a client that gives `SMTP.send_messages` all messages at once, from a generator."""

    def client(port: int) -> Callable[[int], object]:
        letters = [letter(number) for number in range(WINDOW)]
        sender = OursMany(port, octets=octets)

        def work(count: int) -> None:
            accepted = sender.send_lazily(letters[number % WINDOW] for number in range(count))
            if accepted != count:
                raise SystemExit(f"send_messages: {accepted} of {count} accepted")

        return work

    return client


# --- reading ----------------------------------------------------------------------------------------------------------


def check(octets: int, count: int) -> None:
    """Stop if not all was read."""
    if octets != count * len(MESSAGE):
        raise SystemExit(f"{octets} octets read instead of {count * len(MESSAGE)}")


def fetch_messages(port: int) -> Callable[[int], object]:
    client: Any = oauthmail.IMAP4("127.0.0.1", port)
    if not hasattr(client, "fetch_messages"):
        raise NotThereError("IMAP4.fetch_messages")
    client.select(readonly=True)
    return lambda count: check(sum(len(message.octets) for message in client.fetch_messages(f"1:{count}")), count)


def imaplib_loop(port: int) -> Callable[[int], object]:
    client = imaplib.IMAP4("127.0.0.1", port)
    client.select(readonly=True)

    def work(count: int) -> None:
        numbers = range(1, count + 1)
        check(sum(_literals(client.fetch(str(number), "(BODY.PEEK[])")[1]) for number in numbers), count)

    return work


def imaplib_at_once(port: int) -> Callable[[int], object]:
    client = imaplib.IMAP4("127.0.0.1", port)
    client.select(readonly=True)
    return lambda count: check(_literals(client.fetch(f"1:{count}", "(BODY.PEEK[])")[1]), count)


def _literals(data: list[Any]) -> int:
    return sum(len(item[1]) for item in data if isinstance(item, tuple))


def imapclient_at_once(port: int) -> Callable[[int], object]:
    from imapclient import IMAPClient

    client: Any = IMAPClient("127.0.0.1", port, ssl=False, use_uid=False)
    client.select_folder("INBOX", readonly=True)

    def work(count: int) -> None:
        found = client.fetch(range(1, count + 1), ["BODY.PEEK[]"])
        check(sum(len(items[b"BODY[]"]) for items in found.values()), count)

    return work


def retrieve(port: int) -> Callable[[int], object]:
    client: Any = oauthmail.POP3("127.0.0.1", port)
    if not hasattr(client, "retrieve"):
        raise NotThereError("POP3.retrieve")
    return lambda count: check(sum(len(message.octets) for message in client.retrieve(range(1, count + 1))), count)


def poplib_loop(port: int) -> Callable[[int], object]:
    client = poplib.POP3("127.0.0.1", port)

    def size(number: int) -> int:
        lines = client.retr(number)[1]
        return sum(map(len, lines)) + 2 * len(lines)

    return lambda count: check(sum(map(size, range(1, count + 1))), count)


#: The first of each group is what the others are compared with.
GROUPS: Mapping[str, Mapping[str, Work]] = {
    "sending bytes": {
        "smtplib": Work("sink", sending(Parent, octets=True), 0.2),
        "oauthmail sendmail": Work("sink", sending(Ours, octets=True), 0.5),
        "oauthmail send_messages": Work("sink", sending_many(octets=True)),
        "aiosmtplib": Work("sink", sending(Aiosmtplib, octets=True), 0.1),
    },
    "sending EmailMessage": {
        "smtplib": Work("sink", sending(Parent, octets=False), 0.1),
        "oauthmail send_message": Work("sink", sending(Ours, octets=False), 0.2),
        "oauthmail send_messages": Work("sink", sending_many(octets=False)),
        "aiosmtplib": Work("sink", sending(Aiosmtplib, octets=False), 0.05),
        "smtpproto": Work("sink", sending(Smtpproto, octets=False), 0.05),
        "yagmail": Work("sink", sending(Yagmail, octets=False), 0.01),
    },
    "reading over IMAP": {
        "imaplib, one by one": Work("imap", imaplib_loop, 0.2),
        "imaplib, one FETCH": Work("imap", imaplib_at_once),
        "oauthmail fetch_messages": Work("imap", fetch_messages),
        "imapclient, one FETCH": Work("imap", imapclient_at_once, 0.5),
    },
    "reading over POP3": {
        "poplib": Work("pop", poplib_loop, 0.5),
        "oauthmail retrieve": Work("pop", retrieve),
    },
}


# --- measuring --------------------------------------------------------------------------------------------------------


def peak() -> float:
    """Return the most memory that this process has had, in megabytes."""
    units = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * units / 1e6


def processor() -> float:
    """Return the seconds of the processor that this process has had."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def worker(group: str, name: str, port: int, count: int) -> None:
    """Do the work and print what it took."""
    try:
        work = GROUPS[group][name].client(port)
    except NotThereError:
        say("{}\n")
        return
    work(FIRST)
    early, before = peak(), processor()
    work(count)
    say(json.dumps({"seconds": processor() - before, "early": early, "late": peak()}) + "\n")


def run(group: str, name: str, server: Child, count: int) -> dict[str, float]:
    """Run such a process and return what it says; nothing for what is not there."""
    command = [sys.executable, "-m", "tests.bench.memory", "--worker", group, name, str(server.port), str(count)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    if ended.returncode:
        raise SystemExit(f"{group}, {name}: ended with status {ended.returncode}")
    counted = server.ask()
    found: dict[str, float] = json.loads(ended.stdout)
    if found and "messages" in counted and counted["messages"] != count + FIRST:
        raise SystemExit(f"{group}, {name}: the sink has {counted['messages']} messages instead of {count + FIRST}")
    return found


def lines(servers: Mapping[str, Child], total: int) -> Iterator[list[str]]:
    """Measure everything and yield what is printed."""
    for group, works in GROUPS.items():
        base = 0.0
        for name, work in works.items():
            progress(f"{group}: {name}")
            count = max(FIRST, int(total * work.share))
            found = run(group, name, servers[work.server], count)
            if not found:
                yield [f"{group}: {name}", "not there", "", "", "", "", ""]
                continue
            cost = 1e6 * found["seconds"] / count
            base = base or cost
            grown = found["late"] - found["early"]
            memory = (f"{found['early']:.1f}", f"{found['late']:.1f}", f"{grown:.1f}")
            yield [f"{group}: {name}", f"{count:,}", *memory, f"{cost:.1f}", f"{cost / base:.2f}"]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        group, name, port, count = options.worker
        worker(group, name, int(port), int(count))
        return
    total = 10_000 if options.quick else 100_000
    with contextlib.ExitStack() as stack:
        servers = {
            "sink": stack.enter_context(Child("sink")),
            "imap": stack.enter_context(Child("producer", "imap", total)),
            "pop": stack.enter_context(Child("producer", "pop", total)),
        }
        printed = list(lines(servers, total))
    progress("")
    heads = ["", "messages", f"MB after {FIRST:,}", "at the end", "grown", "µs of processor each", "ratio"]
    notes = [f"Messages have about 1 KB; the sink knows CHUNKING. send_messages has {WINDOW} under way."]
    table("Memory and processor time of the client", heads, printed, notes=notes)


if __name__ == "__main__":
    main()
