"""Servers of the benchmarks in processes of their own, so that no client shares an interpreter with its server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


class Child:
    """A module of this folder, run as a program that says its port and then answers each line with a line of JSON.

    Attributes:
        port: where it listens on 127.0.0.1.
    """

    def __init__(self, module: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"tests.bench.{module}", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.port: int = self._read()["port"]

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args!r} ended with status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, question: str = "") -> dict[str, Any]:
        """Return what the program has counted since it was asked last."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()
        return self._read()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        # The end of its input ends it, also when this process is killed.
        self.process.communicate(timeout=10)


def serve(port: int, answer: Callable[[str], dict[str, Any]]) -> None:
    """Be such a program: say *port*, answer every line of the input, and end with it."""
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(line.strip())) + "\n")
        sys.stdout.flush()
    # Threads that wait for clients would keep the interpreter.
    os._exit(0)
