"""What ``oauthmail send`` does with its arguments."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from .. import Account
from .._redact import printable
from ..sending import letters
from ..sending.addresses import Address, parse, parse_one
from ..sending.compose import Draft, attachment
from ..sending.delivery import Delivery
from ..sending.errors import StoppedError
from ..sending.interruption import Interruption
from ..sending.journal import Journal, journal_path, open_journal
from ..sending.run import Options, Plan, Result, plan
from ..sending.run import run as send_all
from ._progress import Progress

__all__ = ["run"]

_SOURCES = ("message", "mbox", "maildir", "csv")
_NEW = ("subject", "text", "text_file", "html_file", "attach", "reply_to")
_TEMPORARY = 75


def run(arguments: argparse.Namespace) -> int:
    """Send what the arguments say and return the exit status."""
    _check_usage(arguments)
    account = Account(parse_one("the mailbox", arguments.mailbox).address)
    sender = parse_one("--from", arguments.sender) if arguments.sender else Address("", account.address)
    # What is not set up is told before anything else is looked at.
    _ = account.credentials
    source = _source(arguments, sender)
    options = Options(resend_doubtful=arguments.resend_doubtful, retry_refused=arguments.retry_refused)
    path = _journal_path(arguments, sender)
    with ExitStack() as stack:
        if path is not None and arguments.again and not arguments.dry_run:
            _forget(path)
        unknown = path is None or (arguments.dry_run and not path.exists())
        journal = Journal() if path is None or unknown else stack.enter_context(open_journal(path))
        planned = plan(source, journal, options)
        if arguments.dry_run:
            return _show(source, journal, options)
        _tell_before(planned, journal)
        return _send(arguments, account, source, journal, options, planned)


# --- what the arguments mean ------------------------------------------------------------------------------------------


def _check_usage(arguments: argparse.Namespace) -> None:
    chosen = next((name for name in _SOURCES if getattr(arguments, name) is not None), None)
    if chosen in ("message", "mbox", "maildir"):
        given = [name for name in _NEW if getattr(arguments, name)]
        if given:
            arguments.usage_error(
                f"--{given[0].replace('_', '-')} is for new messages, and --{chosen} is about existing ones"
            )
    elif arguments.text is None and not (arguments.text_file or arguments.html_file or arguments.attach):
        arguments.usage_error("there is nothing to send: --text, --text-file, --html-file, --attach, --message, …")
    if chosen in (None, "message") and arguments.journal is None:
        for name in ("again", "resend_doubtful", "retry_refused"):
            if getattr(arguments, name):
                arguments.usage_error(f"--{name.replace('_', '-')} needs --journal where there is but one message")


def _people(arguments: argparse.Namespace, name: str) -> tuple[Address, ...]:
    option = f"--{name.replace('_', '-')}"
    return tuple(each for text in getattr(arguments, name) for each in parse(option, text))


def _source(arguments: argparse.Namespace, sender: Address) -> letters.Source:
    to, cc, bcc = (_people(arguments, name) for name in ("to", "cc", "bcc"))
    if arguments.message is not None:
        return letters.from_octets(_octets(arguments.message), sender, sender.address, to + cc + bcc)
    if arguments.mbox is not None:
        return letters.from_mbox(arguments.mbox, sender, sender.address, to + cc + bcc)
    if arguments.maildir is not None:
        return letters.from_maildir(arguments.maildir, sender, sender.address, to + cc + bcc)
    text = arguments.text if arguments.text_file is None else _text(arguments.text_file)
    draft = Draft(
        sender,
        to,
        cc,
        bcc,
        _people(arguments, "reply_to"),
        arguments.subject or "",
        text,
        None if arguments.html_file is None else _text(arguments.html_file),
        tuple(attachment(path) for path in arguments.attach),
    )
    if arguments.csv is not None:
        return letters.from_table(arguments.csv, draft, sender.address)
    return letters.drafted(draft, sender.address)


def _octets(path: str) -> bytes:
    return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()


def _text(path: str) -> str:
    from ..sending.errors import MessageError

    try:
        # A byte order mark is no text.
        return _octets(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MessageError(f"{path} is not in UTF-8: {error.reason} at octet {error.start}") from error


def _journal_path(arguments: argparse.Namespace, sender: Address) -> Path | None:
    if arguments.journal is not None:
        return Path(arguments.journal)
    for name in ("mbox", "maildir", "csv"):
        path = getattr(arguments, name)
        if path is not None:
            return journal_path(arguments.mailbox, sender.address, name, str(Path(path).resolve()))
    return None


def _forget(path: Path) -> None:
    """Remove a journal, unless another run is at work on it."""
    if path.exists():
        with open_journal(path):
            path.unlink()


# --- what people and programs are told --------------------------------------------------------------------------------


def _tell_before(planned: Plan, journal: Journal) -> None:
    settled = planned.total - planned.left
    if settled:
        left = f"the other {planned.left} are sent now" if planned.left else "nothing is left to be sent"
        print(f"{settled} of {_messages(planned.total)} settled by an earlier run: {left}", file=sys.stderr)
        print(f"(journal {_shown(journal.path)}; --again sends everything anew)", file=sys.stderr)
    others = sum(1 for key, entry in journal.entries.items() if entry.accepted and key not in planned.known)
    if others:
        print(
            f"{_messages(others)} of an earlier run not among these {planned.total}: what was changed since is sent as "
            "new",
            file=sys.stderr,
        )


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def _shown(path: Path | None) -> str:
    home = f"{Path.home()}{os.sep}"
    return str(path).replace(home, f"~{os.sep}", 1) if str(path).startswith(home) else str(path)


def _show(source: letters.Source, journal: Journal, options: Options) -> int:
    for letter in source():
        left, _ = options.split(letter, journal.entry(letter.key))
        print(f"{letter.index}\t{letter.name}\t{', '.join(left) or 'settled by an earlier run'}")
    return 0


def _send(
    arguments: argparse.Namespace,
    account: Account,
    source: letters.Source,
    journal: Journal,
    options: Options,
    planned: Plan,
) -> int:
    progress = Progress(planned.total, "messages")
    counts: Counter[str] = Counter()

    def waiting() -> None:
        progress.say("stopping as soon as the server has answered; once more to stop at once")

    try:
        with (
            Interruption(waiting) as interruption,
            Delivery(account, journal, shield=interruption.shield) as delivery,
        ):
            for result in send_all(source, journal, delivery, options):
                counts[result.state] += 1
                _report(arguments, result, progress, journal)
                progress.advance(_counted(counts))
                interruption.check()
    except StoppedError as error:
        progress.end()
        print(f"oauthmail: {error}", file=sys.stderr)
        _tell_stopped(counts, planned, journal)
        return _TEMPORARY if error.temporary else 1
    except BaseException:
        progress.end()
        _tell_stopped(counts, planned, journal)
        raise
    progress.end()
    if arguments.verbose:
        print(f"{_messages(planned.total)}: {_counted(counts)}", file=sys.stderr)
    if counts["doubtful"] or counts["refused"]:
        return 1
    return _TEMPORARY if counts["deferred"] else 0


def _counted(counts: Counter[str]) -> str:
    order = ("accepted", "accepted before", "refused", "deferred", "doubtful")
    return ", ".join(f"{counts[state]} {state}" for state in order if counts[state])


def _tell_stopped(counts: Counter[str], planned: Plan, journal: Journal) -> None:
    said = _counted(counts) or "none was sent"
    again = "; the same command again sends the rest" if journal.path is not None else ""
    print(f"stopped before the end of {_messages(planned.total)}: {said}{again}", file=sys.stderr)


def _report(arguments: argparse.Namespace, result: Result, progress: Progress, journal: Journal) -> None:
    if arguments.json:
        progress.clear()
        print(json.dumps(_as_json(result)), flush=True)
    name = f"{printable(result.letter.name)} {result.message_id}"
    outcome = result.outcome
    if arguments.verbose and outcome.accepted:
        progress.say(f"{name}: accepted for {', '.join(outcome.accepted)}: {outcome.reply}")
    for each, words in outcome.refused.items():
        progress.say(f"{name}: refused for {each}: {words}")
    for each, words in outcome.deferred.items():
        progress.say(f"{name}: refused for now for {each}: {words}; the next run tries again")
    if outcome.doubtful:
        why = outcome.reply or "an earlier run ended before the server's answer"
        cure = "ask there" if journal.path is None else "ask there, or send it again with --resend-doubtful"
        progress.say(f"{name}: may or may not have gone to {', '.join(outcome.doubtful)}: {why}; {cure}")


def _as_json(result: Result) -> dict[str, object]:
    outcome = result.outcome
    refused = [(each, words, False) for each, words in outcome.refused.items()]
    refused += [(each, words, True) for each, words in outcome.deferred.items()]
    return {
        "index": result.letter.index,
        "name": result.letter.name,
        "message_id": result.message_id,
        "state": result.state,
        "accepted": outcome.accepted,
        "accepted_before": list(result.before),
        "refused": [{"address": each, "reply": words, "temporary": temporary} for each, words, temporary in refused],
        "doubtful": outcome.doubtful,
        "reply": outcome.reply,
    }
