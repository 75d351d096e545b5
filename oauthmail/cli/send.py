"""``oauthmail send``: one message or many, and only the rest of them the second time."""

from __future__ import annotations

import argparse

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Sends a message that is described by the arguments, or one that exists in a file; or many:
of an mbox, a maildir, or one for each row of a table. Of many it keeps in a journal what
the server has accepted: after an interruption, the same command sends only the rest, and
names the message of which nobody can tell whether it has gone."""
EXAMPLES = """\
  oauthmail send me@example.com --to ada@example.org --subject Report --text 'It works.' --attach report.pdf
  oauthmail send me@example.com --message - < message.eml
  oauthmail send me@example.com --csv people.csv --subject 'Hello {name}' --text-file letter.txt
  oauthmail send me@example.com --mbox outbox.mbox --verbose
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("mailbox", metavar="FROM", help="the mailbox that sends; it has to be set up")
    parser.add_argument(
        "--from",
        dest="sender",
        metavar="ADDRESS",
        help="whom the message says it is from, and where failures are reported to, such as 'Ada <info@example.com>' "
        "(default: the mailbox); most providers accept only addresses that belong to the mailbox",
    )
    _add_people(parser)
    _add_text(parser)
    _add_sources(parser)
    _add_journal(parser)
    parser.add_argument("--dry-run", action="store_true", help="name the messages that would be sent, and send none")
    parser.add_argument("--verbose", action="store_true", help="also print what became of each message that was sent")
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each message")
    parser.set_defaults(usage_error=parser.error)


def _add_people(parser: argparse.ArgumentParser) -> None:
    people = parser.add_argument_group("recipients")
    people.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="ADDRESSES",
        help="as in a header: 'Ada <ada@example.org>, bob@example.org'; can be given more than once. With --message, "
        "--mbox or --maildir it takes the place of the recipients in the header, which stays as it is",
    )
    people.add_argument("--cc", action="append", default=[], metavar="ADDRESSES", help="further recipients")
    people.add_argument(
        "--bcc", action="append", default=[], metavar="ADDRESSES", help="further recipients, whom nobody sees"
    )
    people.add_argument("--reply-to", action="append", default=[], metavar="ADDRESSES", help="where answers go")


def _add_text(parser: argparse.ArgumentParser) -> None:
    text = parser.add_argument_group("a new message")
    text.add_argument("--subject", metavar="TEXT", help="the subject")
    body = text.add_mutually_exclusive_group()
    body.add_argument("--text", metavar="TEXT", help="the message")
    body.add_argument("--text-file", metavar="FILE", help="the message, in UTF-8; - reads standard input")
    text.add_argument("--html-file", metavar="FILE", help="the message in HTML, in place of the text or beside it")
    text.add_argument(
        "--attach", action="append", default=[], metavar="FILE", help="a file; can be given more than once"
    )


def _add_sources(parser: argparse.ArgumentParser) -> None:
    sources = parser.add_argument_group("existing messages, and many").add_mutually_exclusive_group()
    sources.add_argument(
        "--message",
        metavar="FILE",
        help="a message with its header (RFC 5322), sent as it is but for Bcc; - reads standard input",
    )
    sources.add_argument("--mbox", metavar="FILE", help="every message of an mbox")
    sources.add_argument("--maildir", metavar="DIR", help="every message of a maildir")
    sources.add_argument(
        "--csv",
        metavar="FILE",
        help="a new message for each row of a table in UTF-8, whose first row names the columns: to, perhaps cc and "
        "bcc, and others that stand in subject and text as {column}",
    )


def _add_journal(parser: argparse.ArgumentParser) -> None:
    journal = parser.add_argument_group("a second run")
    journal.add_argument(
        "--journal",
        metavar="FILE",
        help="where to keep what was accepted (default for many messages: a file of the application's own for this "
        "mailbox and file; for one message: nowhere)",
    )
    journal.add_argument("--again", action="store_true", help="forget the journal and send everything anew")
    journal.add_argument(
        "--resend-doubtful",
        action="store_true",
        help="also send what may have gone already: these messages can arrive twice",
    )
    journal.add_argument(
        "--retry-refused", action="store_true", help="also try recipients again that were refused for good"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from . import _send

    return _send.run(arguments)
