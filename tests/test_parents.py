"""The interpreter's own tests of the parent classes, with our classes in their place."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Mapping

import pytest

from .run_parent_suite import RUNS


@pytest.mark.parametrize("run", RUNS, ids=" ".join)
def test_everything_the_parent_promises_holds(
    run: tuple[str, ...], parent_suites: Mapping[tuple[str, ...], subprocess.Popen[str]]
) -> None:
    if importlib.util.find_spec(f"test.test_{run[0]}") is None:
        pytest.skip("this Python came without its tests: install libpython3-testsuite on Debian")
    _, output = parent_suites[run].communicate(timeout=300)
    assert parent_suites[run].returncode == 0, output[-5000:]
