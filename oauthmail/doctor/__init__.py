"""Finds out why a mailbox does not work: every step from the stored sign-in to the first command, each by itself.

>>> for step in examine(Account("me@example.com")):
...     print(step.protocol, step.name, step.state, step.finding)

Nothing is sent or changed in the mailbox; a token that is due for it is renewed, as any login would do.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import cast

from ..account import Account
from ..errors import CredentialsError
from ..providers import PROTOCOLS
from ._mailbox import Mailbox
from ._problems import PROBLEMS, Finding, Problem, trouble
from ._steps import Step, skipped, take
from ._visit import NAMES, Visit, plan

__all__ = ["NAMES", "PROBLEMS", "Finding", "Problem", "Step", "examine"]

_SETUP = ("store", "provider", "token")


def examine(account: Account, protocols: Collection[str] = ()) -> Iterator[Step]:
    """Check a mailbox, and yield each step when it is done.

    The account's ``timeout`` is for each answer. A step that fails has the ones that depend on it skipped; the other
    protocols are checked all the same.

    Args:
        account: the mailbox.
        protocols: which of ``"smtp"``, ``"imap"`` and ``"pop"``; otherwise those that the mailbox was set up for.

    Yields:
        The steps ``store``, ``provider`` and ``token`` of the mailbox as a whole; then for each protocol ``dns``,
        ``tcp``, ``tls``, ``greeting``, ``capabilities``, ``login`` and ``command``, with ``starttls`` before ``tls``
        and both after ``greeting`` where TLS starts in that way.

    Raises:
        CredentialsError: a protocol that is none.
    """
    for protocol in protocols:
        if protocol not in PROTOCOLS:
            raise CredentialsError(f"the protocol must be one of {', '.join(PROTOCOLS)}")
    mailbox = Mailbox(account)
    for step in _steps(mailbox, protocols):
        yield _redacted(step, mailbox)


def _steps(mailbox: Mailbox, protocols: Collection[str]) -> Iterator[Step]:
    store = take("", "store", mailbox.look_into_store)
    yield store
    # A record that is damaged does not tell the provider.
    if store.finding is not None and store.finding.problem == "store":
        provider = skipped("", "provider")
    else:
        provider = take("", "provider", mailbox.look_up_provider)
    yield provider
    ready = store.state == provider.state == "ok"
    token = take("", "token", mailbox.obtain_token) if ready else skipped("", "token")
    yield token
    for protocol in protocols or mailbox.protocols():
        if provider.state != "ok":
            yield from (skipped(protocol, name) for name in plan("tls"))
        else:
            yield from _visit(mailbox, protocol, may_log_in=token.state == "ok")


def _visit(mailbox: Mailbox, protocol: str, *, may_log_in: bool) -> Iterator[Step]:
    servers = mailbox.servers(protocol)
    if not servers:
        yield take(protocol, "server", lambda: _no_server(mailbox, protocol))
        return
    good = True
    with Visit(protocol, servers[0], mailbox, cast(ssl.SSLContext, mailbox.context)) as visit:
        for name in plan(servers[0].security):
            if not good or (name in ("login", "command") and not may_log_in):
                yield skipped(protocol, name)
                continue
            step = take(protocol, name, functools.partial(visit.take, name))
            good = step.state == "ok"
            yield step


def _no_server(mailbox: Mailbox, protocol: str) -> str:
    name = mailbox.provider.name or mailbox.provider.id if mailbox.provider is not None else ""
    raise trouble("no_server", protocol=NAMES[protocol], word=protocol, provider=name)


def _redacted(step: Step, mailbox: Mailbox) -> Step:
    finding = step.finding
    if finding is not None:
        finding = replace(
            finding,
            cause=mailbox.redact(finding.cause),
            cure=mailbox.redact(finding.cure),
            reply=mailbox.redact(finding.reply),
        )
    return replace(step, detail=mailbox.redact(step.detail), finding=finding)
