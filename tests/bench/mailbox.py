"""A real Dovecot with a mailbox full of messages, for the benchmarks of reading."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from oauthmail.sandbox.live.certificates import make_certificates
from oauthmail.sandbox.live.dovecot import Dovecot, running_dovecot
from oauthmail.sandbox.live.process import StartError
from oauthmail.sandbox.live.servers import state_directory
from oauthmail.sandbox.state import State
from oauthmail.sandbox.web import Web

from .letters import READER, received

USER = READER
#: Octets of a message, and of one in every `LARGE_EVERY`.
SIZE, LARGE = 4_000, 200_000
LARGE_EVERY = 50


@dataclass(frozen=True)
class Mailbox:
    """Where the mailbox is, and what opens it.

    Attributes:
        imap: port on 127.0.0.1, without TLS, which Dovecot allows to its own machine.
        pop3: the same for POP3.
        token: `USER`'s access token.
        sizes: octets of the messages, in order, their lines ending in CRLF.
    """

    imap: int
    pop3: int
    token: str
    sizes: tuple[int, ...]


@contextlib.contextmanager
def filled(count: int) -> Iterator[Mailbox]:
    """Run Dovecot with *count* messages in the inbox of `USER`."""
    with contextlib.ExitStack() as stack:
        try:
            directory = stack.enter_context(state_directory())
            (directory / "tls").mkdir()
            (directory / "dovecot").mkdir()
            certificates = make_certificates(directory / "tls")
            state = State()
            web = stack.enter_context(Web(state, tls=certificates.server_context()))
            dovecot: Dovecot = stack.enter_context(
                running_dovecot(directory / "dovecot", web, certificates, "mail.test")
            )
        except (StartError, PermissionError) as error:
            raise SystemExit(f"Dovecot is needed, and root to run it: {error}") from error
        sizes = _fill(directory / "dovecot" / "mail" / USER, count)
        state.users.add(USER)
        yield Mailbox(dovecot.imap.port, dovecot.pop3.port, state.issue(USER, scope=("mail",)), sizes)


def _fill(home: Path, count: int) -> tuple[int, ...]:
    sizes = []
    for folder in ("cur", "new", "tmp"):
        (home / "Maildir" / folder).mkdir(parents=True)
    for number in range(1, count + 1):
        octets = received(number, LARGE if number % LARGE_EVERY == 0 else SIZE)
        sizes.append(len(octets))
        # S and W are the sizes with and without CRs, so that Dovecot need not read a message to tell them.
        name = f"{1_700_000_000 + number}.M{number:06}P1.bench,S={len(octets)},W={len(octets)}:2,S"
        (home / "Maildir" / "cur" / name).write_bytes(octets)
    for path in (home, *home.rglob("*")):
        shutil.chown(path, "nobody", "nogroup")
    return tuple(sizes)
