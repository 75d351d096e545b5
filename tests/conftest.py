"""Fixtures that several test modules share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from .run_parent_suite import RUNS
from .scripted import Certificates


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """One throw-away authority for the whole run: making keys takes longer than most tests."""
    return Certificates()


@pytest.fixture(scope="session", autouse=True)
def parent_suites(request: pytest.FixtureRequest) -> Iterator[Mapping[tuple[str, ...], subprocess.Popen[str]]]:
    """Run the parents' own tests beside ours: they spend a minute waiting for timeouts, which costs nothing."""
    wanted = any(item.path.name == "test_parents.py" for item in request.session.items)
    running = {
        run: subprocess.Popen(
            [sys.executable, "-m", "tests.run_parent_suite", *run],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        for run in (RUNS if wanted else ())
    }
    try:
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.communicate()
