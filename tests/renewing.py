"""Processes that renew a token: many at once, or one that is killed half-way.

``race ADDRESS`` prints ``ready``, waits for a line, and prints the token's fingerprint. ``kill POINT ADDRESS…`` renews
each mailbox's token in a process of its own that is killed at POINT.
"""

from __future__ import annotations

import http.client
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import filelock

from oauthmail import Account
from oauthmail.sandbox.state import fingerprint


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str) -> None:
    """Have the process killed when it is about to call a function of Python's or of another library."""
    setattr(owner, name, lambda *args, **kwargs: die())


def after(owner: Any, name: str) -> None:
    """Have the process killed when it has just called it."""
    called = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        called(*args, **kwargs)
        die()

    setattr(owner, name, call)


POINTS: dict[str, Callable[[], None]] = {
    "before the lock": lambda: before(filelock.FileLock, "acquire"),
    "with the lock": lambda: after(filelock.FileLock, "acquire"),
    "before the request": lambda: before(http.client.HTTPConnection, "putrequest"),
    "before the answer": lambda: before(http.client.HTTPConnection, "getresponse"),
    "before the write": lambda: before(os, "write"),
    "before the flush": lambda: before(os, "fsync"),
    "before the rename": lambda: before(os, "replace"),
    "after the rename": lambda: after(os, "replace"),
}


def race(address: str) -> None:
    account = Account(address, timeout=30)
    say("ready")
    sys.stdin.readline()
    say(fingerprint(account.token()))


def kill(point: str, *addresses: str) -> None:
    from oauthmail import flows, stores

    # Loaded once, here, and not in each of the processes below.
    assert {flows.refresh, stores.FileStore}
    for address in addresses:
        process = os.fork()
        if not process:
            account = Account(address, timeout=30)
            rejected = account.token()
            POINTS[point]()
            account.token(rejected=rejected)
            os._exit(0)
        status = os.waitpid(process, 0)[1]
        say(str(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else f"exit={os.WEXITSTATUS(status)}")


if __name__ == "__main__":
    if sys.argv[1] == "race":
        race(sys.argv[2])
    else:
        kill(*sys.argv[2:])
