"""Logs in over each protocol, to see that a mailbox is set up."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._terminal import marks, note, wrapped, write

if TYPE_CHECKING:
    from ..account import Account
    from ..doctor import Step

__all__ = ["Proof", "print_json", "prove"]


@dataclass(frozen=True)
class Proof:
    """What came of one protocol, or of what comes before all of them.

    Attributes:
        protocol: ``"smtp"``, ``"imap"`` or ``"pop"``; empty for what concerns the mailbox as a whole.
        ok: whether a login and a first command succeeded.
        text: where, or why not.
        cure: what to do about it, or empty.
    """

    protocol: str
    ok: bool
    text: str
    cure: str = ""


def prove(account: Account, protocols: Collection[str], *, shown: bool) -> list[Proof]:
    """Log in, and print a line for each protocol.

    Args:
        account: the mailbox.
        protocols: which; otherwise those that it was set up for.
        shown: whether to print.
    """
    from ..doctor import examine

    proofs: list[Proof] = []
    steps: list[Step] = []
    if shown:
        note("Trying them:")
    for step in examine(account, protocols):
        if steps and steps[-1].protocol != step.protocol:
            _add(proofs, account, steps, shown=shown)
            steps = []
        steps.append(step)
    _add(proofs, account, steps, shown=shown)
    return proofs


def _add(proofs: list[Proof], account: Account, steps: list[Step], *, shown: bool) -> None:
    """Add what the steps of one protocol come to; nothing for what was skipped, which has been explained before."""
    protocol = steps[0].protocol
    finding = next((step.finding for step in steps if step.finding is not None), None)
    if finding is not None:
        proof = Proof(protocol, False, finding.cause, finding.cure)
    elif protocol and any(step.state == "ok" and step.name == "command" for step in steps):
        server = account.provider.servers(protocol)[0]
        proof = Proof(protocol, True, f"logged in at {server.host}, port {server.port}")
    else:
        return
    proofs.append(proof)
    if shown:
        _show(proof)


def _show(proof: Proof) -> None:
    from ..doctor import NAMES

    good, bad, _ = marks(sys.stdout)
    start = f"  {good if proof.ok else bad} {NAMES.get(proof.protocol, 'mailbox'):<8} "
    write(wrapped(start, proof.text), sys.stdout)
    if proof.cure:
        write(wrapped(" " * len(start), proof.cure), sys.stdout)


def print_json(account: Account, proofs: Collection[Proof]) -> None:
    """Print what was set up, and what came of it; no secret is among it."""
    record = account.record
    if record is None:
        return
    print(
        json.dumps(
            {
                "address": account.address,
                "provider": record.provider,
                "flow": record.flow,
                "scope": list(record.scope),
                "ok": all(proof.ok for proof in proofs) if proofs else None,
                "logins": [vars(proof) for proof in proofs],
            }
        )
    )
