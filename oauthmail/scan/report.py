"""One file scanned: its findings, and the change that they come to."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import legacy, lines, literals, logins, recipes, tls
from .diffs import unified
from .edits import changed
from .findings import Finding
from .module import Module
from .redaction import hidden, hide
from .source import Source

__all__ = ["FileReport", "Found", "scan_source"]

# Without one of these there is nothing to do with mail in a file.
_MAIL = re.compile(
    rb"smtplib|imaplib|poplib|imapclient|imap_tools|yagmail|[Xx]oauth|XOAUTH|oauthmail|OAUTHBEARER|mail\.google\.com"
    rb"|outlook\.office|[Oo][Aa]uth2_?[Ss]tring|(?:import|from)[ \t]+oauth2\b"
)
_IGNORE = re.compile(r"#[^\r\n]*\boauthmail:\s*ignore\b(?:\[([\w, -]*)\])?")
_PYTHON2 = "this is Python 2, and oauthmail needs Python 3.10 or newer: convert the script first; then "


@dataclass(frozen=True)
class Found:
    """A finding as it is reported.

    Attributes:
        line: in the file, from 1.
        column: from 1.
        rule: one of `oauthmail.scan.RULES`.
        message: what it means today.
        advice: what to do, in words.
        certain: whether the file's change takes care of it.
        diff: the change for this finding alone, secrets hidden; empty where it is not certain.
    """

    line: int
    column: int
    rule: str
    message: str
    advice: str
    certain: bool = False
    diff: str = ""


@dataclass(frozen=True)
class FileReport:
    """What was found in a file.

    Attributes:
        found: in the order of the file.
        diff: every change that is certain, together; secrets hidden.
        changed: the file with these changes, None where there are none.
    """

    found: tuple[Found, ...] = ()
    diff: str = ""
    changed: bytes | None = None


def scan_source(raw: bytes, path: str = "<source>") -> FileReport:
    """Scan the bytes of a Python file.

    Args:
        raw: any bytes; what is no Python is searched for what can be found without understanding it.
        path: for the headings of diffs.
    """
    mail = _MAIL.search(raw) is not None
    if not mail and not literals.worth_a_look(raw):
        return FileReport()
    source = Source(raw)
    if mail and source.tree is not None:
        try:
            return _examined(source, Module(source, source.tree), path)
        except RecursionError:
            # Expressions within expressions a thousand times over: no script, but no reason to stop either.
            pass
    return FileReport(tuple(_reported(source, finding) for finding in _findings(source, None, mail)))


def _examined(source: Source, module: Module, path: str) -> FileReport:
    """Return what is found in a file that can be understood, and the changes to it."""
    findings = _findings(source, module, True)
    chosen, edits = module.editor.choose(findings)
    private = hidden(source.text, module) if edits else []
    found: list[Found] = []
    for finding in findings:
        certain = finding in chosen
        own = module.editor.replacements(finding.edits) if certain else []
        found.append(_reported(source, finding, certain, unified(source.text, own, private, path) if own else ""))
    if not edits:
        return FileReport(tuple(found))
    return FileReport(
        tuple(found), unified(source.text, edits, private, path), source.encode(changed(source.text, edits))
    )


def _findings(source: Source, module: Module | None, mail: bool) -> list[Finding]:
    """Return what the rules find, in the order of the file."""
    found: list[Finding] = []
    if module is not None:
        found += logins.scan(module)
        found += recipes.scan(module)
        found += legacy.scan(module)
        found += tls.scan(module, _migrated(module, found))
    elif mail:
        found += lines.scan(source.text)
    found += literals.scan(source.text, module, any_token=mail)
    if source.python2:
        found = [_of_python2(finding) for finding in found]
    first = {(finding.start, finding.rule): finding for finding in reversed(found)}
    ordered = sorted(first.values(), key=lambda finding: (finding.start, finding.rule))
    return [finding for finding in ordered if not _ignored(source, finding)]


def _of_python2(finding: Finding) -> Finding:
    """Return a finding with what has to come first, where its advice is a call of oauthmail."""
    return replace(finding, advice=_PYTHON2 + finding.advice) if "oauth" in finding.advice else finding


def _migrated(module: Module, found: Sequence[Finding]) -> frozenset[ast.Call]:
    """Return the calls that make clients which the findings so far make oauthmail's."""
    edits = {edit for finding in found for edit in finding.edits}
    migrated: set[ast.Call] = set()
    for call in module.client_calls if edits else []:
        needed = module.migration(module.clients(call))
        if needed and edits.issuperset(needed):
            migrated.add(call)
    return frozenset(migrated)


def _ignored(source: Source, finding: Finding) -> bool:
    """Tell whether a comment on the line says that this is known."""
    match = _IGNORE.search(source.lines[source.line_of(finding.start) - 1])
    if match is None:
        return False
    return match[1] is None or finding.rule in re.split(r"[,\s]+", match[1])


def _reported(source: Source, finding: Finding, certain: bool = False, diff: str = "") -> Found:
    line = source.line_of(finding.start)
    column = finding.start - source.starts[line - 1] + 1
    return Found(line, column, finding.rule, finding.message, hide(finding.advice), certain, diff)
