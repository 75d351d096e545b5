"""``oauthmail check``: why a mailbox does not work."""

from __future__ import annotations

import argparse
import sys

from ._options import add_provider, provider

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Tries every step from the stored sign-in to the first command after the login, each by
itself, over each protocol that the mailbox was set up for, and says of the one that fails
what the cause is and what the cure. Nothing is sent or changed in the mailbox. A token
that is due for it is renewed, as any login would do; none is ever shown."""
EXAMPLES = """\
  oauthmail check me@example.com
  oauthmail check me@example.com --protocol smtp --timeout 60
  oauthmail check me@example.com --json
  oauthmail check me@example.com --report report.txt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("address", metavar="ADDRESS", help="the mailbox")
    parser.add_argument(
        "--protocol",
        action="append",
        choices=("smtp", "imap", "pop"),
        help="check this one; can be given more than once (default: those that the mailbox was set up for)",
    )
    add_provider(parser)
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=10.0,
        help="how long each answer may take (default: %(default)g)",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one object of JSON, for other programs")
    output.add_argument(
        "--report",
        metavar="FILE",
        help="also write a report for a bug tracker, without secrets and without the address, to a new file; - prints "
        "it in place of the steps",
    )


def seconds(text: str) -> float:
    """Return a number of seconds that can be waited; argparse names this function where it is none."""
    number = float(text)
    if not 0 < number <= 86400:
        raise ValueError
    return number


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from .. import Account
    from ..doctor import examine
    from . import _check_report as report
    from ._check_screen import Screen, as_json

    if arguments.report not in (None, "-"):
        # Before the check and not after it, which may take minutes.
        report.expect_new(arguments.report)
    account = Account(
        arguments.address,
        provider=provider(arguments.provider),
        tenant=arguments.tenant,
        timeout=arguments.timeout,
    )
    steps = []
    screen = None if arguments.json or arguments.report == "-" else Screen(sys.stdout, arguments.address)
    for step in examine(account, arguments.protocol or ()):
        steps.append(step)
        if screen is not None:
            screen.show(step)
    if screen is not None:
        screen.end()
    if arguments.json:
        print(as_json(arguments.address, steps))
    elif arguments.report == "-":
        print(report.report(account, steps), end="")
    elif arguments.report is not None:
        report.write(arguments.report, report.report(account, steps))
        print(f"The report is in {arguments.report}; look through it before you show it.", file=sys.stderr)
    return int(any(step.state == "failed" for step in steps))
