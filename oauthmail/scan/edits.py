"""From what is to be changed to the changed text, with everything else left as it is."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Sequence

from .findings import AddImport, Edit, Finding, MoveNames, Replace
from .scopes import Scopes
from .source import Source, parsed

__all__ = ["CannotEditError", "Editor", "changed"]

_REST_OF_LINE = re.compile(r"[ \t]*;?[ \t]*(?:#[^\r\n]*)?")
_MODULE = re.compile(r"(from\s+)(\w+)(\s+import\b)")


class CannotEditError(Exception):
    """The change cannot be made without touching what is none of its business."""


def changed(text: str, replacements: Iterable[Replace]) -> str:
    """Return *text* with all replacements made, which must not overlap."""
    pieces, end = [], 0
    for item in sorted(replacements, key=lambda item: (item.start, item.end)):
        pieces += [text[end : item.start], item.text]
        end = item.end
    return "".join([*pieces, text[end:]])


class Editor:
    """Plans the changes of one file.

    Args:
        source: the file.
        scopes: its bindings.
    """

    def __init__(self, source: Source, scopes: Scopes) -> None:
        self._source = source
        self._scopes = scopes

    def choose(self, findings: Sequence[Finding]) -> tuple[list[Finding], list[Replace]]:
        """Return the findings whose edits make a file that compiles, together, and the replacements they come to."""
        chosen = [finding for finding in findings if finding.edits]
        if not chosen or self._source.python2:
            return [], []
        try:
            return chosen, self._checked(chosen)
        except CannotEditError:
            pass
        # One of them is in the way: take them one by one.
        accepted: list[Finding] = []
        replacements: list[Replace] = []
        for finding in chosen:
            try:
                replacements = self._checked([*accepted, finding])
            except CannotEditError:
                continue
            accepted.append(finding)
        return accepted, replacements

    def replacements(self, edits: Iterable[Edit]) -> list[Replace]:
        """Return what *edits* come to in the text.

        Raises:
            CannotEditError: two of them are about the same text, or an import cannot be changed by itself.
        """
        wanted = list(dict.fromkeys(edits))
        found = [edit for edit in wanted if isinstance(edit, Replace)]
        for statement in dict.fromkeys(edit.statement for edit in wanted if isinstance(edit, MoveNames)):
            moves = [edit for edit in wanted if isinstance(edit, MoveNames) and edit.statement is statement]
            names = frozenset().union(*(move.names for move in moves))
            found += self._moved(statement, names, frozenset().union(*(move.further for move in moves)))
        lines = dict.fromkeys((edit.line, edit.after) for edit in wanted if isinstance(edit, AddImport))
        found += self._added(list(lines))
        return _disjoint(found)

    def _checked(self, findings: Sequence[Finding]) -> list[Replace]:
        replacements = self.replacements(edit for finding in findings for edit in finding.edits)
        try:
            raw = self._source.encode(changed(self._source.text, replacements))
        except UnicodeEncodeError:
            raise CannotEditError from None
        # As bytes, so that the encoding is what the file declares.
        if parsed(raw) is None:
            raise CannotEditError
        return replacements

    # --- imports --------------------------------------------------------------------------------------------------

    def free(self, name: str, module: str) -> bool:
        """Tell whether nothing but an import of *module*, or from it, is called *name* anywhere in the file."""
        for (_, key), bindings in self._scopes.bindings.items():
            if key != name:
                continue
            for binding in bindings:
                at = binding.at
                imported = isinstance(at, ast.Import) and binding.alias is not None and binding.alias.name == module
                named = isinstance(at, ast.ImportFrom) and at.module == module and not at.level
                if not imported and not named:
                    return False
        return True

    def _added(self, lines: list[tuple[str, ast.stmt]]) -> list[Replace]:
        found: list[Replace] = []
        done: set[tuple[str, ast.AST, str]] = set()
        # What is in no block of its own comes first: it happens in any case, and one import is enough then.
        for line, after in sorted(lines, key=lambda item: self._conditional(item[1])):
            module = line.removeprefix("import ")
            if not self.free(module, module):
                raise CannotEditError
            owner, name, _ = self._scopes.place(after)
            always = (line, self._scopes.scope_of(after), "body")
            if {always, (line, owner, name)} & done or self._imported(module, after):
                continue
            done.add((line, owner, name))
            place, before = self._behind(after)
            found.append(Replace(place, place, before + line))
        return found

    def _conditional(self, statement: ast.stmt) -> bool:
        return self._scopes.place(statement)[0] is not self._scopes.scope_of(statement)

    def _imported(self, module: str, after: ast.stmt) -> bool:
        """Tell whether *module* is imported where *after* is, or at the top of the file."""
        for scope in (self._scopes.scope_of(after), self._scopes.tree):
            for binding in self._scopes.bindings.get((scope, module), []):
                # Elsewhere than in the block of the module itself it may not have happened.
                at = binding.at
                if isinstance(at, ast.Import) and self._scopes.place(at)[0] is scope:
                    return True
        return False

    def _behind(self, statement: ast.stmt) -> tuple[int, str]:
        """Return where another statement may follow, and what comes before it there."""
        source = self._source
        line = [other for other in self._scopes.block(statement) if self._shares_line(other, statement)]
        first, last = source.span(line[0])[0], source.span(line[-1])[1]
        start = source.starts[source.line_of(first) - 1]
        rest = _REST_OF_LINE.match(source.text, last)
        end = last if rest is None else rest.end()
        later = line[line.index(statement) + 1 :]
        alone = not source.text[start:first].strip() and source.text[end : end + 1] in ("", "\r", "\n")
        if not alone or not all(isinstance(other, ast.Import | ast.ImportFrom) for other in later):
            # What comes later on the line may need it.
            return source.span(statement)[1], "; "
        return end, source.line_end(source.line_of(max(end - 1, 0))) + source.text[start:first]

    @staticmethod
    def _shares_line(other: ast.stmt, statement: ast.stmt) -> bool:
        ends = other.end_lineno or other.lineno
        return other.lineno <= (statement.end_lineno or statement.lineno) and ends >= statement.lineno

    def _moved(self, statement: ast.ImportFrom, names: frozenset[ast.alias], further: frozenset[str]) -> list[Replace]:
        more = [name for name in sorted(further) if name not in [alias.name for alias in statement.names]]
        if any(not self.free(name, "oauthmail") for name in more):
            raise CannotEditError
        start, end = self._source.span(statement)
        if names == frozenset(statement.names) or statement.module == "oauthmail":
            found = _MODULE.match(self._source.text, start, end)
            if found is None:
                raise CannotEditError
            last = self._source.span(statement.names[-1])[1]
            module = Replace(*found.span(2), "oauthmail")
            return [module] + ([Replace(last, last, "".join(f", {name}" for name in more))] if more else [])
        removals = [self._without(statement, index, names) for index in range(len(statement.names))]
        listed = [self._source.segment(alias) for alias in statement.names if alias in names]
        place, before = self._behind(statement)
        return [*removals, Replace(place, place, f"{before}from oauthmail import {', '.join([*listed, *more])}")]

    def _without(self, statement: ast.ImportFrom, index: int, names: frozenset[ast.alias]) -> Replace:
        """Return what takes one name out of a list of names, if it is to go, with the comma that is too many then."""
        listed = statement.names
        start, end = self._source.span(listed[index])
        if listed[index] not in names:
            return Replace(start, start, "")
        if all(alias in names for alias in listed[:index]):
            end = self._source.span(listed[index + 1])[0]
        else:
            start = self._source.span(listed[index - 1])[1]
        if "#" in self._source.text[start:end] or "\\" in self._source.text[start:end]:
            raise CannotEditError
        return Replace(start, end, "")


def _disjoint(replacements: list[Replace]) -> list[Replace]:
    found = sorted(dict.fromkeys(replacements), key=lambda item: (item.start, item.end))
    for former, latter in itertools.pairwise(found):
        if latter.start < former.end:
            raise CannotEditError
    return found
