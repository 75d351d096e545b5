"""What ``oauthmail sendmail`` does with its arguments, and what its exit statuses say."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from .. import Account, AuthenticationError, CredentialsError, FileStore, FlowError, OAuthMailError, StoreError
from .._redact import printable
from ..sending import mailer
from ..sending.addresses import parse
from ..sending.delivery import Delivery
from ..sending.errors import MessageError, StoppedError
from ..sending.journal import Journal
from ..sending.raw import read
from ..sending.transaction import Outcome

__all__ = ["run"]

# sysexits.h
_DATAERR, _NOUSER, _UNAVAILABLE, _TEMPFAIL, _NOPERM = 65, 67, 69, 75, 77


def run(arguments: argparse.Namespace) -> int:
    """Send the message on standard input and return the exit status."""
    if arguments.q is not None:
        # There is no queue to run.
        return 0
    if arguments.b != "m":
        arguments.usage_error(f"-b{arguments.b} is not supported: this only sends a message from standard input")
    try:
        return _send(arguments)
    except (OAuthMailError, OSError) as error:
        print(f"oauthmail sendmail: {str(error) or type(error).__name__}", file=sys.stderr)
        return _status(error)


def _send(arguments: argparse.Namespace) -> int:
    octets = sys.stdin.buffer.read()
    message = read(octets if arguments.i or "i" in arguments.o else mailer.until_dot(octets))
    envelope = None if arguments.f is None else _envelope(arguments.f)
    mailbox = _mailbox(lambda known: mailer.choose(known, envelope, message, _named("OAUTHMAIL_ACCOUNT")))
    letter = mailer.letter(
        message,
        mailbox,
        envelope=envelope,
        name=arguments.F,
        recipients=arguments.recipients,
        from_header=arguments.t,
        root=arguments.root or _named("OAUTHMAIL_POSTMASTER"),
    )
    with Delivery(Account(mailbox), Journal()) as delivery:
        outcome = delivery.send(letter, letter.recipients)
    return _tell(outcome, verbose=arguments.v)


def _envelope(given: str) -> str:
    """Return the envelope's sender; an empty one, for messages that nobody is to answer, can be written ``<>``."""
    found = [] if given.strip() in ("", "<>") else parse("-f", given, unqualified=True)
    return found[0].address if found else ""


def _named(variable: str) -> str | None:
    return os.environ.get(variable, "").strip() or None


def _mailbox(choose: Callable[[list[str]], str | None]) -> str:
    store = FileStore()
    known = store.addresses()
    chosen = choose(known)
    if chosen is None:
        if not known:
            raise CredentialsError("no mailbox is set up: run  oauthmail authorize ADDRESS")
        raise CredentialsError(
            f"which mailbox is to send? Set up are {', '.join(known)}: name one with -f, or in the environment "
            "variable OAUTHMAIL_ACCOUNT"
        )
    record = store.load(chosen)
    # The store has addresses in lower case, a server may know them otherwise.
    return chosen if record is None else record.address


def _tell(outcome: Outcome, *, verbose: bool) -> int:
    for each, words in (outcome.refused | outcome.deferred).items():
        print(f"oauthmail sendmail: {printable(each)} was refused: {words}", file=sys.stderr)
    if outcome.doubtful:
        print(
            f"oauthmail sendmail: the message may or may not have gone to {', '.join(outcome.doubtful)}: "
            f"{outcome.reply}",
            file=sys.stderr,
        )
    elif verbose and outcome.accepted:
        print(f"accepted for {', '.join(outcome.accepted)}: {outcome.reply}", file=sys.stderr)
    if outcome.refused:
        return _UNAVAILABLE if outcome.reply.startswith("5") else _NOUSER
    return _TEMPFAIL if outcome.deferred or outcome.doubtful else 0


def _status(error: Exception) -> int:
    """Return the exit status for what went wrong."""
    if isinstance(error, MessageError):
        return _DATAERR
    if isinstance(error, StoppedError):
        return _TEMPFAIL if error.temporary else _UNAVAILABLE
    if isinstance(error, FlowError):
        return _NOPERM if error.authorize_again else _TEMPFAIL if error.temporary else _UNAVAILABLE
    if isinstance(error, AuthenticationError):
        return _TEMPFAIL if error.server_reply.startswith("4") else _NOPERM
    if isinstance(error, CredentialsError):
        return _NOPERM
    # What is left of ours will not be better later; the network may.
    return _UNAVAILABLE if isinstance(error, OAuthMailError) and not isinstance(error, StoreError) else _TEMPFAIL
