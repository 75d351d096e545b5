"""What the documentation shows of a scan is what a scan prints."""

from __future__ import annotations

import argparse
import re
import textwrap
from pathlib import Path

import pytest

from oauthmail.cli import scan
from oauthmail.scan import RULES

PAGE = (Path(__file__).parent.parent.parent / "docs" / "scan.rst").read_text("utf-8")


def block(language: str) -> str:
    """Return the page's first block of a language."""
    found = re.search(rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", PAGE, re.MULTILINE)
    assert found is not None
    return textwrap.dedent(found[1]).rstrip() + "\n"


def test_the_screen_of_the_documentation_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("report.py").write_text(block("python"), "utf-8")
    parser = argparse.ArgumentParser()
    scan.add_arguments(parser)
    scan.run(parser.parse_args(["report.py"]))
    # The page has no blanks at the ends of lines.
    assert "".join(f"{line.rstrip()}\n" for line in capsys.readouterr().out.splitlines()) == block("text")


def test_the_documentation_has_every_rule() -> None:
    assert re.findall(r"^``([\w-]+)``\n   ", PAGE, re.MULTILINE) == list(RULES)
