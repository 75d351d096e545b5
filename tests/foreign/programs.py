"""Starts programs of the system, in a home directory of their own and with nothing of the caller's settings."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PATIENCE = 30.0


def find(name: str) -> str:
    """Return a program's path, or skip the test; in continuous integration (CI is set) that would look like success."""
    path = shutil.which(name)
    if path is None:
        problem = f"{name} is not installed; `python -m tests.foreign.install` as root installs it on Debian"
        if os.environ.get("CI"):
            pytest.fail(problem)
        pytest.skip(problem)
    return path


def environment(home: Path) -> dict[str, str]:
    """Return what a program may know: proxies and settings of the caller's are not among it."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LC_ALL": "C.UTF-8", "TERM": "xterm"}


def run(command: list[str], home: Path, standard_input: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        command,
        input=standard_input,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=environment(home),
        cwd=home,
    )
