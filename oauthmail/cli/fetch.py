"""``oauthmail fetch``: messages of a mailbox, to standard output or into an mbox or maildir."""

from __future__ import annotations

import argparse
from datetime import date

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Fetches messages over IMAP or POP3: the newest one to standard output, those that are asked
for, or all of them into an mbox or a maildir. The same command again fetches only what has
not been fetched into that file or folder before, even if it was interrupted. Nothing is
deleted on the server, or marked as read."""
EXAMPLES = """\
  oauthmail fetch me@example.com
  oauthmail fetch me@example.com --newest 10 --unseen --from boss@example.com
  oauthmail fetch me@example.com --folder Archive --since 2024-01-31 --to-mbox archive.mbox
  oauthmail fetch me@example.com --protocol pop --to-maildir ~/Maildir
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("mailbox", metavar="ADDRESS", help="the mailbox; it has to be set up")
    parser.add_argument(
        "--protocol", choices=("imap", "pop"), help="how to fetch (default: imap, where the provider has it)"
    )
    parser.add_argument("--folder", default="INBOX", metavar="NAME", help="an IMAP folder (default: %(default)s)")
    wanted = parser.add_argument_group("which messages", "All of these together; without any, all messages.")
    wanted.add_argument(
        "--newest",
        type=number,
        metavar="N",
        help="the last N (default: all; to standard output, without --search, "
        "--from, --subject, --since and --unseen: 1)",
    )
    wanted.add_argument("--search", metavar="KEYS", help="what IMAP's SEARCH takes, such as 'LARGER 100000 UNSEEN'")
    wanted.add_argument("--from", dest="sender", metavar="TEXT", help="the sender has this text in name or address")
    wanted.add_argument("--subject", metavar="TEXT", help="the subject has this text in it")
    wanted.add_argument("--since", type=day, metavar="YYYY-MM-DD", help="received on this day or later")
    wanted.add_argument("--unseen", action="store_true", help="not read yet")
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--to-mbox", metavar="FILE", help="append to this mbox; what has been fetched is listed in FILE.fetched"
    )
    target.add_argument(
        "--to-maildir",
        metavar="DIR",
        help="add to this maildir; what has been fetched is listed in DIR/oauthmail.fetched",
    )
    parser.add_argument("--json", action="store_true", help="print what was done as an object of JSON")
    parser.set_defaults(usage_error=parser.error)


def number(text: str) -> int:
    """Return how many; argparse names this function where it is none."""
    found = int(text)
    if found < 1:
        raise ValueError
    return found


def day(text: str) -> date:
    """Return a day; argparse names this function where it is none."""
    return date.fromisoformat(text)


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from . import _fetch

    return _fetch.run(arguments)
