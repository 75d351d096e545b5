"""``oauthmail sendmail``: the mailer that other programs expect to find on a machine."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "main", "run"]

DESCRIPTION = """\
Sends one message from standard input, as sendmail does, for git send-email, cron, mutt, PHP
and others. Adds From, Date and Message-ID where they are missing. It keeps no queue: what
the server does not take at once is refused, in the exit status and on standard error.

The mailbox that sends is the one of -f if that is set up, else the one in the header field
From, else the one in the environment variable OAUTHMAIL_ACCOUNT, else the only one there is."""
EXAMPLES = """\
  oauthmail sendmail -t -i < message.eml
  oauthmail sendmail -f me@example.com ada@example.org < message.eml
  git send-email --sendmail-cmd='oauthmail sendmail' *.patch
"""

# Those of sysexits.h, which callers of sendmail know, in place of what the other commands have.
_EPILOG = """\
exit status:
  0    the server has taken the message for everybody
  64   the arguments cannot be used (EX_USAGE)
  65   the message cannot be sent as it is (EX_DATAERR)
  67   a recipient was refused; the others, if any, were not (EX_NOUSER)
  69   the message was refused, or cannot be sent this way (EX_UNAVAILABLE)
  75   refused for now, or no connection (EX_TEMPFAIL)
  77   no mailbox is set up, or somebody has to sign in again (EX_NOPERM)
"""
_USAGE = 64
# What sendmail has beyond these and what makes no difference here: with a value, and without.
_IGNORED_VALUES = "ABCDLMNORVXep"
_IGNORED_FLAGS = "EGIQTUmnsx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("-t", action="store_true", help="send to those whom the fields To, Cc and Bcc name, too")
    parser.add_argument("-i", action="store_true", help="do not end the message at a line with a single dot; also -oi")
    parser.add_argument("-f", "-r", metavar="ADDRESS", help="the envelope's sender")
    parser.add_argument("-F", metavar="NAME", default="", help="the sender's name, where the message has no From")
    parser.add_argument("-v", action="store_true", help="print what the server said")
    parser.add_argument(
        "-o", action="append", default=[], metavar="OPTION", help="-oi is -i; others, and other options, are ignored"
    )
    parser.add_argument(
        "--root",
        metavar="ADDRESS",
        help="who gets mail to this machine's own users, such as cron's root; otherwise the environment variable "
        "OAUTHMAIL_POSTMASTER says so, or they are refused",
    )
    parser.add_argument("-b", default="m", help=argparse.SUPPRESS)
    for letter in "qd":
        parser.add_argument(f"-{letter}", nargs="?", const="", help=argparse.SUPPRESS)
    for letter in _IGNORED_VALUES:
        parser.add_argument(f"-{letter}", dest=f"ignored_{letter}", help=argparse.SUPPRESS)
    for letter in _IGNORED_FLAGS:
        parser.add_argument(f"-{letter}", dest=f"ignored_{letter}", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("recipients", metavar="RECIPIENT", nargs="*", help="whom the message is for")

    def error(message: str) -> NoReturn:
        parser.print_usage(sys.stderr)
        parser.exit(_USAGE, f"{parser.prog}: error: {message}\n")

    parser.error = error  # type: ignore[method-assign]
    parser.epilog = f"examples:\n{EXAMPLES}\n{_EPILOG}"
    parser.set_defaults(usage_error=error)


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from . import _sendmail

    return _sendmail.run(arguments)


def main() -> int:
    """Be a program of its own, to be called sendmail."""
    from . import main as command

    try:
        return command(["sendmail", *sys.argv[1:]])
    except SystemExit as ended:
        # What argparse finds above the command, such as an option that nobody knows.
        raise SystemExit(_USAGE if ended.code == 2 else ended.code) from None
