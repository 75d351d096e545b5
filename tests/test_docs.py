"""What the documentation says of the tests is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]
NAMED = [
    pytest.param(path, name, id=f"{page.stem}-{name}")
    for page in PAGES
    for path, name in re.findall(r"``(tests/[\w/]+\.py)::(\w+)``", page.read_text("utf-8"))
]


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_is_named_exists(path: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)


def test_a_page_that_the_readme_names_exists() -> None:
    named = re.findall(r"``(docs/\w+\.rst)``", PAGES[0].read_text("utf-8"))
    assert [page for page in named if not (ROOT / page).exists()] == []


def test_the_readme_is_short() -> None:
    assert len(PAGES[0].read_text("utf-8").splitlines()) < 120
