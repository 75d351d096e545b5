"""Compares both ways to write every message that CPython's own tests build: ``python -m tests.harvested_messages``.

Those tests run in this process, where the generator keeps a copy of each message that it is given. Prints how many
messages were compared; ends with status 1, and tells which, if one was written in another way.
"""

from __future__ import annotations

import copy
import functools
import io
import pickle
import sys
import unittest
from email.generator import Generator
from email.message import Message
from typing import Any

from oauthmail._flatten import flatten

from .flattening import POLICIES, outcome, parents_way

MODULES = ("test_asian_codecs", "test_contentmanager", "test_email", "test_generator", "test_inversion", "test_message")


def harvested() -> list[Message]:
    """Run CPython's tests of its email package, and return the messages that were written in them."""
    found: dict[bytes, Message] = {}
    generator: Any = Generator
    original = generator.flatten

    def recording(self: Any, message: Any, *args: Any, **kwargs: Any) -> None:
        # What cannot be copied cannot be compared.
        try:
            duplicate = copy.deepcopy(message)
            found.setdefault(pickle.dumps(duplicate), duplicate)
        except Exception:
            pass
        original(self, message, *args, **kwargs)

    generator.flatten = recording
    try:
        suite = unittest.TestLoader().loadTestsFromNames([f"test.test_email.{module}" for module in MODULES])
        unittest.TextTestRunner(io.StringIO()).run(suite)
    finally:
        generator.flatten = original
    return list(found.values())


def with_policy(message: Message, policy: Any) -> Message:
    duplicate = copy.deepcopy(message)
    duplicate.policy = policy or duplicate.policy
    return duplicate


def main() -> int:
    messages = harvested()
    compared, different = 0, 0
    for message in messages:
        for policy in (None, *map(POLICIES.get, ("compat32", "default", "short", "SMTPUTF8"))):
            for utf8 in (False, True):
                make = functools.partial(with_policy, message, policy)
                theirs, ours = outcome(parents_way, make, utf8), outcome(flatten, make, utf8)
                compared += 1
                if ours[0] != theirs[0]:
                    different += 1
                    sys.stderr.write(f"{policy}, {utf8}:\n{theirs[0]!r}\n{ours[0]!r}\n\n")
    sys.stdout.write(f"{len(messages)} messages, {compared} comparisons, {different} differences\n")
    return int(bool(different) or len(messages) < 100)


if __name__ == "__main__":
    sys.exit(main())
