"""What became of each message, kept in a file so that a second run sends only the rest.

The file grows by one line at a time, each one on the disk before anything else happens::

    {"journal": "oauthmail send", "version": 1, "nonce": "…"}
    {"key": "…", "sending": ["bob@example.org"], "message_id": "<…>", "name": "line 2 of people.csv"}
    {"key": "…", "accepted": ["bob@example.org"], "refused": {}, "deferred": {}, "reply": "250 2.0.0 OK"}

``sending`` is written before the last octets of a message, and the line with its outcome after the server's answer.
What was being sent when a run was killed has the one and not the other: nobody can tell whether it has gone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._lines import Lines, open_lines
from .errors import JournalError

__all__ = ["Entry", "Journal", "journal_path", "open_journal"]

_KIND = {"journal": "oauthmail send", "version": 1}
_OUTCOMES = ("accepted", "refused", "deferred")


def journal_path(*identity: str) -> Path:
    """Return where the journal of one undertaking is kept by default.

    It is in the folder ``journals`` of what the environment variable ``OAUTHMAIL_HOME`` names, and otherwise of the
    platform's folder for an application's state.

    Args:
        identity: what tells the undertaking from others; the first is the mailbox.
    """
    home = os.environ.get("OAUTHMAIL_HOME")
    if home:
        folder = Path(home).expanduser()
    else:
        import platformdirs

        folder = Path(platformdirs.user_state_dir("oauthmail", appauthor=False))
    readable = re.sub(r"[^\w@.+-]", "_", identity[0].lower(), flags=re.ASCII)[:80]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    return folder / "journals" / f"{readable}-{digest}.jsonl"


@dataclass
class Entry:
    """What is known of one message.

    Attributes:
        name: where it came from, for people.
        message_id: as it was sent.
        accepted: recipients for whom the server took it.
        refused: recipients that the server refused for good, and its words.
        doubtful: recipients for whom it may or may not have been taken.
    """

    name: str = ""
    message_id: str = ""
    accepted: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)

    def settle(self, recipients: Iterable[str]) -> None:
        """Forget what was said of *recipients*."""
        for each in recipients:
            self.accepted.discard(each)
            self.refused.pop(each, None)
            self.doubtful.discard(each)


class Journal:
    """What became of each message; without a file, for as long as the process lasts.

    Attributes:
        path: of the file, or None.
        nonce: random, but the same as long as the file is: Message-IDs are made of it.
        entries: by the messages' keys.
    """

    def __init__(self, lines: Lines | None = None) -> None:
        self.path = None if lines is None else lines.path
        self.nonce = secrets.token_hex(16)
        self.entries: dict[str, Entry] = {}
        self._lines = lines
        if lines is not None:
            self.nonce = str(lines.load(_KIND, {"nonce": self.nonce}, self._learn).get("nonce"))

    def entry(self, key: str) -> Entry:
        """Return what is known of a message."""
        return self.entries.get(key) or Entry()

    def sending(self, key: str, recipients: Iterable[str], message_id: str, name: str) -> None:
        """Note that a message is about to be handed over; from here on it may have gone.

        Raises:
            JournalError: it cannot be noted, so the message must not be sent.
        """
        self._note({"key": key, "sending": list(recipients), "message_id": message_id, "name": name})

    def outcome(
        self, key: str, accepted: Iterable[str], refused: Mapping[str, str], deferred: Mapping[str, str], reply: str
    ) -> None:
        """Note what the server said of a message.

        Raises:
            JournalError: it cannot be noted, so the next run will be in doubt.
        """
        self._note(
            {
                "key": key,
                "accepted": list(accepted),
                "refused": dict(refused),
                "deferred": dict(deferred),
                "reply": reply,
            }
        )

    def _note(self, line: Mapping[str, Any]) -> None:
        if self._lines is not None:
            self._lines.append(line)
        self._learn(line)

    def _learn(self, line: Mapping[str, Any]) -> None:
        entry = self.entries.setdefault(line["key"], Entry())
        if "sending" in line:
            entry.settle(line["sending"])
            entry.doubtful.update(line["sending"])
            entry.name, entry.message_id = line["name"], line["message_id"]
            return
        for outcome in _OUTCOMES:
            entry.settle(line[outcome])
        entry.accepted.update(line["accepted"])
        entry.refused.update(line["refused"])


def _failed(what: str) -> JournalError:
    return JournalError(f"{what}; nothing is sent without a journal: another file can be named with --journal")


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Have a journal to oneself for a ``with`` block; it is made, for this user alone, where it is missing.

    Raises:
        JournalError: another run has it, or it cannot be used.
    """
    busy = "another oauthmail send is at work on the same messages"
    with open_lines(path, _failed, busy, folders=True) as lines:
        yield Journal(lines)
