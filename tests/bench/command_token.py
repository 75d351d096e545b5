"""How long ``oauthmail token`` takes for a token that is kept: ``python -m tests.bench.command_token``.

Whole processes are measured, by the time of the processor, which tells more than the clock on a machine that does other
things as well. Each round starts one of every kind, so that whatever slows the machine down slows all of them; the
figures are medians. The bar is 1.5 times ``python -c 'import smtplib'``, which any program that sends mail pays.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from oauthmail import Application, FileStore, OAuth2Credentials
from oauthmail.records import Record

ROUNDS = 40
BAR = 1.5

_ADDRESS = "me@example.com"
_COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import smtplib'": ["-c", "import smtplib"],
    "oauthmail token ADDRESS": ["-m", "oauthmail", "token", _ADDRESS],
    "oauthmail token --json ADDRESS": ["-m", "oauthmail", "token", "--json", _ADDRESS],
}


def measured(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds of the processor and of the clock that a process takes."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    # The process has been waited for already.
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with status {process.returncode}")
    return used.ru_utime + used.ru_stime, seconds


def main() -> int:
    """Measure, print, and return 0 if the bar is kept."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        store = FileStore(home)
        held = OAuth2Credentials("x" * 1500, refresh_token="y" * 500, expires_at=time.time() + 86400)
        with store.lock(_ADDRESS):
            store.save(Record(_ADDRESS, "google", "authorization_code", Application("client"), held))
        environment = {**os.environ, "OAUTHMAIL_HOME": str(home)}
        # As after an installation, which compiles everything.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for arguments in _COMMANDS.values():
            measured(arguments, environment)
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in _COMMANDS}
        for _ in range(ROUNDS):
            for name, arguments in _COMMANDS.items():
                taken[name].append(measured(arguments, environment))
    medians = {name: tuple(map(statistics.median, zip(*times, strict=True))) for name, times in taken.items()}
    base = medians["python -c 'import smtplib'"]
    sys.stdout.write(f"{ROUNDS} rounds, Python {sys.version.split()[0]}; medians, and ratios to importing smtplib\n\n")
    for name, (cpu, clock) in medians.items():
        sys.stdout.write(f"  {name:<32} {1000 * cpu:6.1f} ms {cpu / base[0]:5.2f}    clock {1000 * clock:6.1f} ms\n")
    ratio = medians["oauthmail token ADDRESS"][0] / base[0]
    sys.stdout.write(f"\nThe bar is {BAR}: {'kept' if ratio <= BAR else 'MISSED'} with {ratio:.2f}.\n")
    return int(ratio > BAR)


if __name__ == "__main__":
    sys.exit(main())
