"""What ``oauthmail fetch`` does with its arguments."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from .. import Account
from ..fetching import maildir
from ..fetching.criteria import Criteria
from ..fetching.imap import ImapSource
from ..fetching.maildir import Maildir
from ..fetching.mbox import Mbox, block
from ..fetching.message import Message, Source
from ..fetching.pop import PopSource
from ..fetching.run import batches, steadily
from ..fetching.target import Target, open_record
from ._progress import Progress

__all__ = ["run"]

_SEARCHES = ("search", "sender", "subject", "since", "unseen")


def run(arguments: argparse.Namespace) -> int:
    """Fetch what the arguments say and return the exit status."""
    account = Account(arguments.mailbox)
    # What is not set up is told before anything else is looked at.
    _ = account.credentials
    searching = any(getattr(arguments, name) for name in _SEARCHES)
    to_output = arguments.to_mbox is None and arguments.to_maildir is None
    if to_output and arguments.json:
        arguments.usage_error("--json goes with --to-mbox and --to-maildir")
    source = _source(arguments, account, searching=searching)
    newest = 1 if to_output and arguments.newest is None and not searching else arguments.newest
    with closing(source):
        if to_output:
            source.connect()
            return _print(source, source.ids(newest), single=newest == 1)
        with _target(arguments, source.name) as target:
            source.connect()
            return _keep(arguments, source, source.ids(newest), target)


def _source(arguments: argparse.Namespace, account: Account, *, searching: bool) -> Source:
    protocol = arguments.protocol or ("imap" if account.provider.servers("imap") else "pop")
    if protocol == "pop":
        if searching or arguments.folder.upper() != "INBOX":
            arguments.usage_error("POP3 has neither folders nor a search: leave these out, or use --protocol imap")
        return PopSource(account)
    criteria = Criteria.of(
        raw=arguments.search,
        sender=arguments.sender,
        subject=arguments.subject,
        since=arguments.since,
        unseen=arguments.unseen,
    )
    return ImapSource(account, arguments.folder, criteria)


@contextmanager
def _target(arguments: argparse.Namespace, source: str) -> Iterator[Target]:
    if arguments.to_mbox is not None:
        path = Path(arguments.to_mbox)
        with open_record(Path(f"{path}.fetched")) as record:
            yield Mbox(path, record, source)
    else:
        path = Path(arguments.to_maildir)
        maildir.prepare(path)
        with open_record(path / "oauthmail.fetched") as record:
            yield Maildir(path, record, source)


def _counted(messages: Iterator[Message], progress: Progress) -> Iterator[Message]:
    for message in messages:
        progress.advance()
        yield message


def _print(source: Source, ids: Sequence[str], *, single: bool) -> int:
    """Print messages as an mbox, or the one that was asked for as it is."""
    progress = Progress(len(ids), "messages")
    found = 0
    for message in steadily(source, ids):
        progress.clear()
        sys.stdout.buffer.write(message.octets if single else block(message))
        sys.stdout.buffer.flush()
        found += 1
        progress.advance()
    progress.end()
    if not found:
        print("oauthmail: no such message", file=sys.stderr)
    return 0 if found else 1


def _keep(arguments: argparse.Namespace, source: Source, ids: Sequence[str], target: Target) -> int:
    wanted = [each for each in ids if not target.has(each)]
    progress = Progress(len(wanted), "messages")
    kept = 0
    try:
        for batch in batches(_counted(steadily(source, wanted), progress)):
            target.add(batch)
            kept += len(batch)
    except BaseException:
        progress.end()
        print(f"stopped: {kept} of {len(wanted)} messages were fetched; the rest is next time's", file=sys.stderr)
        raise
    progress.end()
    if arguments.json:
        result = {"fetched": kept, "there_before": len(ids) - len(wanted), "gone": len(wanted) - kept}
        print(json.dumps(result))
    elif progress.shown:
        print(f"{kept} messages fetched, {len(ids) - len(wanted)} were there before", file=sys.stderr)
    return 0
