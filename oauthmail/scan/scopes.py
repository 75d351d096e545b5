"""Which assignments a name may come from, at the place where it is used.

No control flow graph: an assignment surely reaches what follows it in the same block, others between the two may do.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .bindings import Binding, Bindings, Scope

__all__ = ["Scopes"]

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_WITH = (ast.With, ast.AsyncWith)


class Scopes(Bindings):
    """The bindings of a module, and which of them a use of a name may see."""

    def __init__(self, tree: ast.Module) -> None:
        super().__init__(tree)
        self._chains: dict[ast.AST, list[ast.AST]] = {}
        self._comprehended = frozenset(
            name.id
            for generator in self.of_kind(ast.comprehension)
            for name in ast.walk(generator.target)
            if isinstance(name, ast.Name)
        )

    def reaching(self, key: str, use: ast.AST) -> list[Binding] | None:
        """Return the bindings that may give a name its value at *use*; None where the module has none of it."""
        base, dot, rest = key.partition(".")
        if base in self._comprehended and any(self._in_comprehension(node, base) for node in self._around(use)):
            return []
        scope: Scope = self._scopes[use]
        if dot and (owner := self.class_of(scope, base)) is not None:
            found = self._of_class(owner, "." + rest)
            own = [binding for binding in found if binding.scope is scope]
            return self._flowing(own, use) if self._last_sure(own, use) else found or None
        innermost = True
        while True:
            found = self.bindings.get((scope, key), [])
            if found and (scope, base) not in self._global:
                here = innermost and all(binding.scope is scope for binding in found)
                return self._flowing(found, use) if here else found
            if scope is self.tree:
                return found or None
            # A lambda sees what the code around it sees at that moment; it is called at once more often than not.
            innermost = innermost and isinstance(scope, ast.Lambda)
            scope = self._scopes[scope]
            while isinstance(scope, ast.ClassDef) and not innermost:
                scope = self._scopes[scope]

    def _of_class(self, owner: ast.ClassDef, key: str) -> list[Binding]:
        """Return the bindings of an attribute: on ``self``, in the class's own body, or in a base of this module."""
        found = [*self.bindings.get((owner, key), []), *self.bindings.get((owner, key[1:]), [])]
        for base in owner.bases:
            if found or not isinstance(base, ast.Name) or base.id == owner.name:
                continue
            for binding in self.bindings.get((self.tree, base.id), []):
                if isinstance(binding.at, ast.ClassDef):
                    found = [*self.bindings.get((binding.at, key), []), *self.bindings.get((binding.at, key[1:]), [])]
        return found

    def method(self, owner: ast.ClassDef, name: str) -> list[Binding]:
        """Return the definitions of a method."""
        return self._of_class(owner, "." + name)

    def _around(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.parents and not isinstance(node, ast.stmt):
            yield node
            node = self.parents[node]

    @staticmethod
    def _in_comprehension(node: ast.AST, name: str) -> bool:
        if not isinstance(node, _COMPREHENSIONS):
            return False
        targets = [target for generator in node.generators for target in ast.walk(generator.target)]
        return any(isinstance(target, ast.Name) and target.id == name for target in targets)

    def _flowing(self, bindings: list[Binding], use: ast.AST) -> list[Binding]:
        chain = self._chain(use)
        here = self._order[chain[0]]
        sure = self._last_sure(bindings, use)
        first = self._order[sure.at] if sure is not None else -1
        loops = [node for node in chain if isinstance(node, _LOOPS)]
        found = [] if sure is None else [sure]
        for binding in bindings:
            order = self._order[binding.at]
            if binding is sure:
                continue
            before = first <= order < here and not self._other_branch(binding.at, chain)
            # What comes later in a loop comes before in its next turn.
            again = [loop for loop in loops if order >= here and self._inside(binding.at, loop)]
            if before or any(sure is None or not self._inside(sure.at, loop) for loop in again):
                found.append(binding)
        # A walrus in the same statement comes before its use.
        return found or [binding for binding in bindings if binding.at is chain[0]]

    def _last_sure(self, bindings: list[Binding], use: ast.AST) -> Binding | None:
        """Return the last binding that every way to *use* passes."""
        chain = self._chain(use)
        sure = [binding for binding in bindings if self._surely_before(binding, chain)]
        return max(sure, key=lambda binding: self._order[binding.at], default=None)

    def _surely_before(self, binding: Binding, chain: list[ast.AST]) -> bool:
        at = binding.at
        if at in chain[1:] or (at is chain[0] and isinstance(at, _WITH)):
            return True
        if isinstance(at, ast.For | ast.AsyncFor | ast.While | ast.If | ast.Match | ast.Try):
            return False
        if at not in self._places:
            return False
        owner, name, index = self._places[at]
        return any(
            self._places[node][:2] == (owner, name) and self._places[node][2] > index
            for node in chain
            if node in self._places
        )

    def _chain(self, node: ast.AST) -> list[ast.AST]:
        """Return the statements around *node* in its function, the innermost first."""
        while node in self.parents and not isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            node = self.parents[node]
        if node not in self._chains:
            self._chains[node] = self._chain_from(node)
        return self._chains[node]

    def _chain_from(self, node: ast.AST) -> list[ast.AST]:
        found: list[ast.AST] = []
        while node in self.parents:
            # The scope of a lambda is part of the statement that it stands in.
            if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
                found.append(node)
            node = self.parents[node]
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and found:
                break
        return found

    def _inside(self, node: ast.AST, outer: ast.AST) -> bool:
        while node in self.parents:
            if node is outer:
                return True
            node = self.parents[node]
        return False

    def _other_branch(self, node: ast.AST, chain: list[ast.AST]) -> bool:
        """Tell whether *node* is in the other branch of an ``if`` (or ``match``) that encloses the use."""
        branches = {
            self._places[inner][0]: self._places[inner]
            for inner in chain
            if inner in self._places and isinstance(self._places[inner][0], ast.If | ast.Match)
        }
        while node in self.parents:
            place = self._places.get(node)
            if place is not None and place[0] in branches:
                mine = branches[place[0]]
                if place[1] != mine[1] or (isinstance(place[0], ast.Match) and place[2] != mine[2]):
                    return True
            node = self.parents[node]
        return False
