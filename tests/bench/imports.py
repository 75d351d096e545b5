"""What importing the clients costs, beside their parents and other libraries: ``python -m tests.bench.imports``.

Whole processes are measured, by the time of the processor, in an interpreter that begins without ``site``. A ratio is
the time above that of an empty program, divided by the same for ``import smtplib, imaplib, poplib, ssl``; "whole" is
the ratio of the processes as they are. Each round starts one of every kind; figures are medians, or the best of all
rounds, which other work on the machine disturbs least; on a busy one both are off by a few hundredths.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
from pathlib import Path

import oauthmail

from ..scripted import Line, scripted
from .command_token import measured

ROUNDS = 60

NOTHING = "pass"
PARENTS = "import smtplib, imaplib, poplib, ssl"
BARE = "import oauthmail"
ONE = "from oauthmail import SMTP"
ALL = "from oauthmail import SMTP, SMTP_SSL, IMAP4, IMAP4_SSL, POP3, POP3_SSL"
#: What each may cost at most.
BARS = {BARE: 0.05, ONE: 0.92, ALL: 1.03}
PEERS = ("aiosmtplib", "imapclient", "msal", "yagmail")

_CONNECT = "{}; client = SMTP('127.0.0.1', {}, timeout=10); client.ehlo()"
_LOG_IN = "client.authenticate_oauth('me@example.com', 'token', allow_insecure=True)"


def program(statement: str) -> list[str]:
    """Return the arguments of an interpreter that runs *statement*."""
    path = [str(Path(oauthmail.__file__).parent.parent), *sys.path]
    return ["-I", "-S", "-c", f"import sys; sys.path[:] = {path!r}; {statement}"]


def accept(line: Line) -> None:
    """Let a client log in, if it wants to."""
    line.send(b"220 \r\n")
    line.answer(b"250-test\r\n250 AUTH XOAUTH2\r\n")
    if line.receive():
        line.send(b"235 \r\n")


def compare(programs: dict[str, list[str]]) -> dict[str, list[float]]:
    """Return the seconds of the processor that each program takes, round by round."""
    for arguments in programs.values():
        # The first one may have to compile.
        measured(arguments, {})
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS):
        for name, arguments in programs.items():
            taken[name].append(measured(arguments, {})[0])
    return taken


def main() -> None:
    """Measure and print."""
    peers = {f"import {name}": name for name in PEERS}
    missing = [statement for statement, name in peers.items() if importlib.util.find_spec(name) is None]
    statements = [NOTHING, PARENTS, BARE, ONE, ALL, *(each for each in peers if each not in missing)]
    programs = {statement: program(statement) for statement in statements}
    with scripted(*[accept] * 2 * (ROUNDS + 1)) as server:
        connect = _CONNECT.format(ONE, server.port)
        programs[connect] = program(connect)
        programs["login"] = program(f"{connect}; {_LOG_IN}")
        taken = compare(programs)
    median = {name: statistics.median(seconds) for name, seconds in taken.items()}
    best = {name: min(seconds) for name, seconds in taken.items()}
    sys.stdout.write(f"{ROUNDS} rounds, Python {sys.version.split()[0]}; ratios of medians and of the best\n\n")
    sys.stdout.write(f"  {'':<72} {'above':>8}    ratio   best  whole\n")
    for statement in statements:
        above, least = ((of[statement] - of[NOTHING]) / (of[PARENTS] - of[NOTHING]) for of in (median, best))
        figures = f"{1000 * (median[statement] - median[NOTHING]):5.1f} ms {above:8.2f} {least:6.2f}"
        bar = f"    bar {BARS[statement]}" if statement in BARS else ""
        sys.stdout.write(f"  {statement:<72} {figures} {best[statement] / best[PARENTS]:6.2f}{bar}\n")
    above, least = ((of["login"] - of[connect]) / (of[PARENTS] - of[NOTHING]) for of in (median, best))
    figures = f"{1000 * (median['login'] - median[connect]):5.1f} ms {above:8.2f} {least:6.2f}"
    sys.stdout.write(f"  {'the first login with an access token, exchange included':<72} {figures}\n")
    for statement in missing:
        sys.stdout.write(f"  {statement:<72} not installed\n")


if __name__ == "__main__":
    main()
