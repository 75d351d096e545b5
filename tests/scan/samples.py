"""The corpus: small scripts as they are found, and what a scan is to say of each.

A script in ``corpus/found`` marks its lines with ``#: RULE``, and with ``#: RULE!`` where the change is certain; the
marks are taken off before it is scanned. Those in ``corpus/clean`` only look similar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from oauthmail.scan import FileReport, scan_source

__all__ = ["CLEAN", "FOUND", "Sample", "migrated", "rules", "sample"]

_CORPUS = Path(__file__).parent / "corpus"
_MARK = re.compile(r"[ \t]*#: ((?:[a-z0-9-]+!?[ ]?)+)$", re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """One script.

    Attributes:
        name: of its file.
        text: without the marks.
        expected: line, rule and whether the change is certain, of each finding.
    """

    name: str
    text: str
    expected: frozenset[tuple[int, str, bool]]

    def scan(self) -> FileReport:
        """Scan it as it is."""
        return scan_source(self.text.encode(), f"{self.name}.py")


def _read(path: Path) -> Sample:
    marked = path.read_text("utf-8")
    expected = frozenset(
        (number, rule.rstrip("!"), rule.endswith("!"))
        for number, line in enumerate(marked.splitlines(), 1)
        if (mark := _MARK.search(line))
        for rule in mark[1].split()
    )
    return Sample(path.name.removesuffix(".py.txt"), _MARK.sub("", marked), expected)


FOUND = [_read(path) for path in sorted((_CORPUS / "found").glob("*.py.txt"))]
CLEAN = [_read(path) for path in sorted((_CORPUS / "clean").glob("*.py.txt"))]


def sample(number: int) -> Sample:
    """Return the script of the corpus with that number, of those where something is found."""
    return next(found for found in FOUND if found.name.startswith(f"{number:02}_"))


def rules(text: str) -> list[str]:
    """Return the rules of what is found in a text, in order."""
    return [found.rule for found in scan_source(text.encode()).found]


def migrated(text: str) -> str:
    """Return a text with every change that is certain; the text itself where there is none."""
    changed = scan_source(text.encode()).changed
    return text if changed is None else changed.decode()
