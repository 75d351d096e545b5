"""What tests have done by other processes: ``python -m tests.stores.program TASK ARGUMENT...``.

The answer is JSON on standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from oauthmail import StoreError
from oauthmail.stores import FileStore, KeyringStore, Store

from .samples import ADDRESS, mode_of, number_of, record_number

# What can go wrong between a save and the disk, in the order of the alphabet.
CALLS = ("close", "fsync", "open", "replace", "unlink", "utime", "write")


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start this program."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.stores.program", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
        env={**os.environ, **environment},
    )


def ready(process: subprocess.Popen[str]) -> None:
    """Wait until it says that it is at work."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def answer_of(process: subprocess.Popen[str]) -> Any:
    """Return what it answers."""
    with process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return json.loads(said.splitlines()[-1])


def store_of(kind: str, folder: str) -> Store:
    """Return a store that has its files in *folder*."""
    return FileStore(folder) if kind == "file" else KeyringStore(folder=folder)


def files_in(folder: str | Path) -> list[str]:
    """Return the names of all files in a folder."""
    return sorted(path.name for path in Path(folder).iterdir())


def save(kind: str, folder: str, number: str) -> None:
    """Save a record."""
    store = store_of(kind, folder)
    with store.lock(ADDRESS):
        store.save(record_number(int(number)))


def save_without_umask(folder: str) -> dict[str, str]:
    """Return the modes of everything after a save that no umask made safer."""
    os.umask(0)
    save("file", folder, "1")
    return {path.name: oct(mode_of(path)) for path in [Path(folder), *Path(folder).iterdir()]}


def save_with_a_limit(folder: str, limit: str) -> dict[str, object]:
    """Save to a disk on which files end early."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    return _refusal(lambda: save("file", folder, "2"))


def save_as(folder: str, user: str) -> dict[str, object]:
    """Save as another user."""
    # Loaded now, from where that user may have no access.
    import filelock  # noqa: F401

    if os.geteuid() == 0:
        os.seteuid(int(user))
    return _refusal(lambda: save("file", folder, "2"))


def try_keyring(folder: str) -> dict[str, object]:
    """Use a keyring that cannot be used."""
    return _refusal(KeyringStore(folder=folder).addresses)


def _refusal(action: Callable[[], object]) -> dict[str, object]:
    try:
        action()
    except StoreError as error:
        return {"said": str(error), "errno": error.errno}
    return {}


def count(kind: str, folder: str, times: str) -> None:
    """Count up in the record, as many renewals would, once somebody says go."""
    store = store_of(kind, folder)
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    for _ in range(int(times)):
        with store.lock(ADDRESS):
            store.save(record_number(number_of(store.load(ADDRESS)) + 1))


def hold(kind: str, folder: str) -> None:
    """Hold the lock, say so, and go on until killed."""
    with store_of(kind, folder).lock(ADDRESS):
        print("ready", flush=True)  # noqa: T201
        sys.stdin.read()


def die_everywhere(kind: str, folder: str, old: str) -> list[dict[str, object]]:
    """Be killed at each step of saving number 2 over the old one, and say what each time left behind.

    An old one of 0 is none.
    """
    store = store_of(kind, folder)
    found: list[dict[str, object]] = []
    for step in range(1, 1000):
        # Would wait for ever, were the one before still holding the lock.
        save(kind, folder, "1")
        left = files_in(folder)
        if old == "0":
            store.delete(ADDRESS)
        stamp = store.stamp(ADDRESS)
        child = os.fork()
        if child == 0:
            with _dying_at(step, keyring=kind == "keyring"):
                save(kind, folder, "2")
            os._exit(0)
        survived = os.waitpid(child, 0)[1] == 0
        announced = store.stamp(ADDRESS) != stamp
        record = store.load(ADDRESS)
        number = 0 if record is None else number_of(record)
        found.append({"number": number, "listed": store.addresses(), "announced": announced, "left": left})
        if survived:
            return found
    raise AssertionError("there is no end to it")


@contextlib.contextmanager
def _dying_at(step: int, *, keyring: bool) -> Iterator[None]:
    """Have the system kill this process before the call that has this number."""
    left = [step]

    def before(call: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **kwargs: object) -> object:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return counted

    if keyring:
        from .backends import Limited

        for name in ("set_password", "delete_password"):
            setattr(Limited, name, before(getattr(Limited, name)))
    else:
        for name in CALLS:
            setattr(os, name, before(getattr(os, name)))
    yield


def look(kind: str, folder: str) -> int:
    """Watch the record while others change it, until told to stop, and say how often it was seen."""
    import select

    store = store_of(kind, folder)
    times = 0
    print("ready", flush=True)  # noqa: T201
    while not select.select([sys.stdin], [], [], 0)[0]:
        number_of(store.load(ADDRESS))
        times += 1
    return times


if __name__ == "__main__":
    result = globals()[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(result))  # noqa: T201
