"""What all the servers share: free ports, a bounded wait, a clean end, and the tail of a log."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"

# A mail server must not outlive a test run that was killed. The kernel tells this shell of its parent's end
# (setpriv --pdeathsig) and the shell tells the server, which cannot ask for it: a process that changes its
# user, as Postfix's master does for a moment, loses the request. And that master does not wait for its own
# processes, which are in a group of its own.
GUARD = """\
trap 'kill -s TERM "$server"' TERM
"$@" &
server=$!
wait "$server"
status=$?
if [ "$status" -gt 128 ]; then wait "$server"; fi
kill -s KILL -- "-$server" 2>/dev/null
exit "$status"
"""


class StartError(Exception):
    """A server did not start; the message has the end of its log."""


class NotInstalledError(StartError):
    """A program is missing, or the user may not run it; the message says what to do."""


@dataclass(frozen=True)
class Address:
    """Where a service listens."""

    host: str
    port: int


@contextlib.contextmanager
def reserved_port(host: str) -> Iterator[int]:
    """Choose a free TCP port on *host* and keep it from all other programs while the context lasts.

    Linux lets a server with SO_REUSEADDR, as both mail servers have, listen on a port where another socket
    with SO_REUSEADDR is bound but does not listen. The kernel's own choice of free ports avoids it.
    """
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind((host, 0))
        yield keeper.getsockname()[1]


def find_program(name: str) -> str:
    """Return the path of a system program, also for a user whose PATH lacks /usr/sbin.

    Raises:
        NotInstalledError: it is not there.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
    if path is None:
        message = f"{name} is not installed; `python -m oauthmail.sandbox.live.install` as root installs it"
        raise NotInstalledError(message)
    return path


def eventually(probe: Callable[[], bool], timeout: float) -> bool:
    """Ask *probe* every 20 ms until it says yes, for at most *timeout* seconds; return its last word."""
    deadline = time.monotonic() + timeout
    while not probe():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def greets(address: Address) -> bool:
    """Tell whether the server at *address* accepts a connection and speaks first."""
    try:
        with socket.create_connection((address.host, address.port), timeout=2) as connection:
            return connection.recv(1024) != b""
    except OSError:
        return False


def accepts(address: Address) -> bool:
    """Tell whether the server at *address* accepts a connection."""
    try:
        socket.create_connection((address.host, address.port), timeout=2).close()
    except OSError:
        return False
    return True


def start_process(command: list[str], log_file: Path, ready: Iterable[Callable[[], bool]]) -> subprocess.Popen[bytes]:
    """Start a server that stays in the foreground and wait until it is ready.

    Args:
        command: program and arguments.
        log_file: where the server writes; its own output goes to the same file.
        ready: what must be true, asked in turn.

    Raises:
        StartError: the server ended, or was not ready within 15 seconds.
    """
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [find_program("setpriv"), "--pdeathsig", "TERM", "/bin/sh", "-c", GUARD, "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A group of its own, so that Ctrl-C reaches the tests only and these stop the servers in order.
            start_new_session=True,
        )
    started = False
    try:
        for probe in ready:
            if not eventually(lambda probe=probe: process.poll() is not None or probe(), 15):  # type: ignore[misc]  # a default as closure
                break
        else:
            started = process.poll() is None
    finally:
        if not started:
            stop_group(process)
    if not started:
        message = f"{command[0]} did not start (status {process.returncode}); its log ends:\n{tail(log_file)}"
        raise StartError(message)
    return process


def stop_process(process: subprocess.Popen[Any]) -> None:
    """End *process*, first with SIGTERM, after 10 seconds with SIGKILL."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def stop_group(process: subprocess.Popen[Any]) -> None:
    """End a process of `start_process` and all that it started."""
    stop_process(process)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def tail(log_file: Path, lines: int = 20) -> str:
    """Return the last lines of a log, or say that there is none."""
    if not log_file.exists():
        return f"({log_file.name} does not exist)"
    text = log_file.read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:]) or f"({log_file.name} is empty)"
