"""A check's report for a bug tracker: all that helps, and nothing that tells who asks."""

from __future__ import annotations

import ipaddress
import os
import platform
import re
import ssl
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from ..account import Account
from ..doctor import NAMES, Step
from ..errors import OAuthMailError
from ._check_screen import label

__all__ = ["expect_new", "report", "write"]

_MASK = "***"

# A local part that is shorter than this is not looked for by itself: it would be found in the middle of everything.
_SHORTEST = 3

_ADDRESS = re.compile(r"[^\s<>\"'(),;:=/\\]+(?=@[\w-])")
_MARKS = {"ok": "+", "failed": "x", "skipped": "-"}

# Steps that tell of the server's addresses; in all others an IP address is this machine's, as servers like to say it.
_OF_SERVER = ("dns", "tcp", "tls")


def expect_new(path: str) -> None:
    """Refuse a file that is there already.

    Raises:
        FileExistsError: it is.
    """
    if os.path.lexists(path):
        raise FileExistsError(f"{path} is there already, and is not overwritten: name another file")


def write(path: str, text: str) -> None:
    """Write a new file that this user alone can read.

    Raises:
        FileExistsError: it is there already.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        expect_new(path)
        raise
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def report(account: Account, steps: Sequence[Step]) -> str:
    """Return the report."""
    lines = [
        "oauthmail check: report",
        "",
        f"oauthmail   {version('oauthmail')}",
        f"Python      {platform.python_implementation()} {sys.version.split()[0]}",
        f"TLS         {ssl.OPENSSL_VERSION}",
        f"system      {platform.system()} {platform.release()} {platform.machine()}",
        *_about(account),
    ]
    protocol = None
    for step in steps:
        if step.protocol != protocol:
            lines += ["", NAMES.get(step.protocol, "mailbox")]
            protocol = step.protocol
        lines += _shown(step)
    mask = _Mask(account)
    return "\n".join(map(mask, lines)) + "\n"


def _about(account: Account) -> list[str]:
    """Return who provides the mailbox, and how it is set up."""
    lines = [f"mailbox     {account.address}"]
    try:
        record = account.record
        lines.append(f"provider    {account.provider.id}")
    except OAuthMailError:
        # The steps say why.
        return lines
    if record is None:
        return lines
    lines.append(f"flow        {record.flow}")
    if record.tenant is not None:
        lines.append(f"tenant      {_shortened(record.tenant)}")
    if record.application is not None:
        client_id = getattr(record.application, "client_id", None)
        lines.append(f"client id   {_shortened(client_id or 'none')}")
    if record.scope:
        lines.append(f"scope       {' '.join(record.scope)}")
    return lines


def _shortened(identifier: str) -> str:
    """Return the beginning of what identifies somebody: enough to tell two of them apart."""
    return identifier if identifier.isalpha() else f"{identifier[:6]}…"


def _shown(step: Step) -> list[str]:
    time = "" if step.seconds is None else f"{1000 * step.seconds:.0f} ms"
    lines = [f"  {_MARKS[step.state]} {label(step):<13} {time:>9}  {_private(step, step.detail)}".rstrip()]
    if step.finding is not None:
        found = step.finding
        for name, text in (("problem", found.problem), ("cause", found.cause), ("reply", found.reply)):
            if text:
                lines.append(f"      {name:<8} {_private(step, text)}")
    return lines


def _private(step: Step, text: str) -> str:
    return text if step.name in _OF_SERVER else re.sub(r"[0-9A-Fa-f:.]{3,}", _without_ip, text)


def _without_ip(found: re.Match[str]) -> str:
    word = found[0].rstrip(".:")
    # Alone, or with a port.
    for candidate in (word, word.rpartition(":")[0]):
        try:
            ipaddress.ip_address(candidate)
        except ValueError:
            continue
        return f"[IP address]{found[0][len(candidate) :]}"
    return found[0]


class _Mask:
    """Takes out what names a person: local parts of addresses, wherever they stand, and the home folder."""

    def __init__(self, account: Account) -> None:
        self._home = str(Path.home())
        local = account.address.rpartition("@")[0]
        self._local = (
            re.compile(rf"(?<![^\W_]){re.escape(local)}(?![^\W_])", re.IGNORECASE) if len(local) >= _SHORTEST else None
        )

    def __call__(self, line: str) -> str:
        line = _ADDRESS.sub(_MASK, line)
        if self._local is not None:
            line = self._local.sub(_MASK, line)
        return line.replace(self._home, "~") if len(self._home) > 1 else line
