"""Who may import whom: a module imports only from rows below its own, never sideways."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "oauthmail"

#: From the ground up. A package stands in one row as a whole.
ROWS = [
    {"errors", "hints", "endpoint_hints", "_deadline", "_fetch_data", "_generator", "_numbers", "_pace", "_redact"},
    {"_imap_numbers", "_outbox", "_replies", "_tls", "_transaction"},
    {"_checks", "_handover", "_headers", "_lines", "bulk", "smtp_errors", "imap_errors", "pop_errors"},
    {"_imap_reading", "_modern_headers", "_pop_reading"},
    {"_flatten"},
    {"_outgoing"},
    {"_items"},
    {"_pipeline"},
    {"credentials"},
    {"signing", "providers", "applications"},
    {"sasl", "flows", "records"},
    {"foreign"},
    {"sources"},
    {"_login"},
    {"_client"},
    {"smtp", "imap", "pop", "stores"},
    {"connections", "signin"},
    {"account"},
    {"installed"},
    {"__init__"},
    {"doctor", "fetching", "importing", "sending"},
]
#: What stands beside the rows and uses the package as a stranger would: by its public names.
APART = {"__main__", "testing"}
#: Packages beside the rows.
APART_PACKAGES = {"cli", "compat", "contrib", "sandbox", "scan"}
#: What a module knows of one above it by its type only, as it is handed over.
BY_TYPE = {("_login", "_client")}
ROW_OF = {module: number for number, row in enumerate(ROWS) for module in row}

#: Modules that know neither clock nor random source nor socket, and must stay so.
PURE = {
    "_checks",
    "_fetch_data",
    "_imap_numbers",
    "_numbers",
    "_pace",
    "applications",
    "credentials",
    "endpoint_hints",
    "errors",
    "hints",
    "providers",
    "records",
    "sasl",
}
IMPURE = {"time", "datetime", "secrets", "random", "socket", "ssl", "os", "smtplib", "imaplib", "poplib", "requests"}


def sources(module: str) -> list[Path]:
    """Return the files of a module or package."""
    return sorted((PACKAGE / module).rglob("*.py")) or [PACKAGE / f"{module}.py"]


def imports(module: str) -> tuple[set[str], set[str]]:
    """Return the modules of the package that *module* imports, and the others."""
    own: set[str] = set()
    others: set[str] = set()
    for path in sources(module):
        # As many dots as lead from the file to the package; fewer stay within a package of its own.
        dots = len(path.relative_to(PACKAGE).parts)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == dots:
                own |= {node.module.partition(".")[0]} if node.module else {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                others.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                others |= {name.name.partition(".")[0] for name in node.names}
    return own, others


def test_every_module_has_its_row() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - APART
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - APART_PACKAGES
    assert modules | packages == set(ROW_OF)


@pytest.mark.parametrize("module", sorted(ROW_OF))
def test_a_module_imports_only_from_rows_below_its_own(module: str) -> None:
    above = {found for found in imports(module)[0] if ROW_OF.get(found, ROW_OF["__init__"]) >= ROW_OF[module]}
    assert {(module, found) for found in above} - BY_TYPE == set()


@pytest.mark.parametrize(
    ("module", "foreign"), [("stores", {"requests", "urllib3", "socket"}), ("flows", {"filelock"})]
)
def test_flows_know_no_files_and_stores_no_network(module: str, foreign: set[str]) -> None:
    assert imports(module)[1] & foreign == set()


def relative_imports(path: Path, level: int) -> list[ast.ImportFrom]:
    """Return the imports of *path* from *level* dots up."""
    tree = ast.walk(ast.parse(path.read_text("utf-8")))
    return [node for node in tree if isinstance(node, ast.ImportFrom) and node.level == level]


@pytest.mark.parametrize(
    "path",
    sorted((PACKAGE / "sandbox").rglob("*.py")),
    ids=lambda path: ".".join(path.relative_to(PACKAGE / "sandbox").with_suffix("").parts),
)
def test_the_sandbox_uses_public_names_only(path: Path) -> None:
    # As many dots as lead from the module to the package.
    above = relative_imports(path, len(path.relative_to(PACKAGE).parts))
    assert [node.module for node in above if node.module is not None] == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "sandbox").glob("*.py")), ids=lambda path: path.stem)
def test_the_sandbox_runs_without_the_real_servers(path: Path) -> None:
    imported = [node.module or name.name for node in relative_imports(path, 1) for name in node.names]
    assert [module for module in imported if module.partition(".")[0] == "live"] == []


@pytest.mark.parametrize("module", sorted(PURE))
def test_pure_modules_know_no_clock_no_randomness_and_no_socket(module: str) -> None:
    assert imports(module)[1] & IMPURE == set()
