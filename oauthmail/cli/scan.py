"""``oauthmail scan``: finds mail logins in Python sources that stopped working, or soon will."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..scan import FileReport

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Reads Python sources, of Python 2 too, and finds mail clients that log in with a password,
XOAUTH2 that is put together by hand, python-oauth2 and Google's scripts, TLS that verifies
nothing, and secrets. Nothing is imported or run. Of each it says what it means today and
what to do; where the change is certain, it shows it as a diff, without secrets.

The exit status is made for continuous integration: 0 if there is nothing to do (left), 1 if
there is, 2 if something could not be read or written. A line with the comment
"# oauthmail: ignore" or "# oauthmail: ignore[RULE]" is left out."""
EXAMPLES = """\
  oauthmail scan report.py
  oauthmail scan --apply report.py
  oauthmail scan --json src tools > findings.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="+",
        type=Path,
        help="a Python file, or a folder: its *.py and scripts with python in their first line, except for version "
        "control, virtual environments and caches in it",
    )
    parser.add_argument(
        "--apply",
        action="store_true",
        help="write the changes that are certain, and keep each file as it was beside it, as FILE.orig",
    )
    parser.add_argument("--json", action="store_true", help="print one object of JSON, for other programs")


def run(arguments: argparse.Namespace) -> int:
    """Scan and report, and return the exit status."""
    from ..scan import python_files

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File names and sources may hold what the terminal cannot show.
            stream.reconfigure(errors="backslashreplace")
    scan = _Scan(apply=arguments.apply, quiet=arguments.json)
    there = [path for path in arguments.paths if scan.is_there(path)]
    for path in python_files(there, scan.failed):
        scan.file(path)
    if arguments.json:
        print(json.dumps(scan.facts(), indent=1))
    else:
        scan.summary()
    if scan.errors:
        return 2
    return 1 if scan.left else 0


class _Scan:
    """The files of one run, reported as they are read."""

    def __init__(self, *, apply: bool, quiet: bool) -> None:
        self._apply = apply
        self._quiet = quiet
        self._files = 0
        self._findings: list[dict[str, Any]] = []
        self._changes: list[dict[str, Any]] = []
        self.errors: list[str] = []

    @property
    def left(self) -> int:
        """The number of findings that are still there."""
        applied = {change["path"] for change in self._changes if change["backup"]}
        return sum(not (finding["certain"] and finding["path"] in applied) for finding in self._findings)

    def is_there(self, path: Path) -> bool:
        """Tell whether a path can be scanned, and note the failure if not."""
        try:
            path.stat()
        except OSError as error:
            self.failed(error)
            return False
        return True

    def failed(self, error: OSError) -> None:
        """Note what cannot be read or written."""
        name = "" if error.filename is None else f"{_shown(str(error.filename))}: "
        said = f"{name}{error.strerror or error}"
        self.errors.append(said)
        print(f"oauthmail scan: {said}", file=sys.stderr)

    def file(self, path: Path) -> None:
        """Scan a file, report what is found, and change it if that was asked for."""
        from ..scan import scan_source

        try:
            raw = path.read_bytes()
        except OSError as error:
            self.failed(error)
            return
        self._files += 1
        report = scan_source(raw, str(path))
        backup = self._written(path, raw, report)
        shown = _shown(str(path))
        for found in report.found:
            self._findings.append({"path": str(path), **dataclasses.asdict(found)})
            self._print(f"{shown}:{found.line}: {found.rule}: {found.message}")
            self._print(f"    {'change' if found.certain else 'by hand'}: {found.advice}")
        if report.diff:
            self._changes.append({"path": str(path), "diff": report.diff, "backup": backup and str(backup)})
            self._print(report.diff.rstrip("\n"))
        if backup is not None:
            self._print(f"{shown} is changed; as it was, it is kept as {_shown(str(backup))}")
        if report.found:
            self._print("")

    def _written(self, path: Path, raw: bytes, report: FileReport) -> Path | None:
        if not self._apply or report.changed is None:
            return None
        from ..scan import write

        try:
            return write(path, raw, report.changed)
        except OSError as error:
            self.failed(error)
            return None

    def facts(self) -> dict[str, Any]:
        """Return everything, for other programs."""
        return {
            "files": self._files,
            "findings": self._findings,
            "changes": self._changes,
            "errors": self.errors,
        }

    def summary(self) -> None:
        """Print how much there was."""
        certain = sum(finding["certain"] for finding in self._findings)
        self._print(
            f"{_count(self._files, 'file')} read, {_count(len(self._findings), 'finding')}"
            + (f", {certain} of them with a change that is certain" if certain else "")
            + ("; --apply writes it" if certain and not self._apply else "")
        )

    def _print(self, text: str) -> None:
        if not self._quiet:
            print(text)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _shown(path: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in path)
