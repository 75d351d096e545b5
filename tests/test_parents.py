"""The interpreter's own tests of the parent classes, with our classes in their place."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("parent", ["smtplib", "imaplib", "poplib"])
def test_everything_the_parent_promises_holds(parent: str) -> None:
    if importlib.util.find_spec(f"test.test_{parent}") is None:
        pytest.skip("this Python came without its tests: install libpython3-testsuite on Debian")
    run = subprocess.run(
        [sys.executable, "-m", "tests.run_parent_suite", parent],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    assert run.returncode == 0, run.stderr[-5000:]
