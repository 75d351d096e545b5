"""Every place where a name gets a value, and where it stands."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Binding", "Bindings", "Scope"]

Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_SCOPES = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
# Load, Store, Add and the like: one object each for the whole tree, and nothing to know of them.
_SIGNS = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)
# More than half of all nodes, and nothing below them but such signs.
_LEAVES = frozenset({ast.Name, ast.Constant, ast.alias})
_BINDING = frozenset(
    {
        ast.Name,
        ast.Attribute,
        ast.Import,
        ast.ImportFrom,
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.arg,
        ast.ExceptHandler,
        ast.MatchAs,
        ast.MatchStar,
        ast.MatchMapping,
    }
)
Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True, eq=False)
class Binding:
    """One place where a name gets its value.

    Attributes:
        kind: ``"value"``, ``"import"``, ``"from"``, ``"parameter"``, ``"definition"`` or ``"other"``.
        at: the statement, or the function for a parameter.
        scope: where the code stands that binds.
        value: the expression that is assigned, where there is one of its own for this name.
        alias: what is imported.
        annotation: the annotation, where there is one.
    """

    kind: str
    at: ast.stmt | ast.Lambda | ast.ExceptHandler | ast.match_case
    scope: Scope
    value: ast.expr | None = None
    alias: ast.alias | None = None
    annotation: ast.expr | None = None


class Bindings:
    """Every binding of a module.

    Attributes:
        nodes: every node, outer before inner, earlier before later.
        parents: the node around each node.
        bindings: every binding, by scope and name.
        returns: the statements and expressions that leave a function with a value, by function.
        calls: every call.
        attributes: every attribute that is read, such as ``client.login``.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.parents: dict[ast.AST, ast.AST] = {}
        self.nodes: list[ast.AST] = []
        self.bindings: dict[tuple[Scope, str], list[Binding]] = defaultdict(list)
        self.returns: dict[Scope, list[ast.Return | ast.Yield | ast.YieldFrom]] = defaultdict(list)
        self._global: set[tuple[Scope, str]] = set()
        self._nonlocal: set[tuple[Scope, str]] = set()
        self._scopes: dict[ast.AST, Scope] = {}
        # Block (owner and its field) and place in it of each statement.
        self._places: dict[ast.AST, tuple[ast.AST, str, int]] = {}
        self._order: dict[ast.AST, int] = {}
        self._kinds: dict[type[ast.AST], list[ast.AST]] = defaultdict(list)
        self._parameters: dict[ast.AST, frozenset[str]] = {}
        self._walk()
        self.calls = self.of_kind(ast.Call)
        self.attributes = [node for node in self.of_kind(ast.Attribute) if isinstance(node.ctx, ast.Load)]
        for node in self.nodes:
            if type(node) in _BINDING:
                self._bind(node)

    def of_kind(self, kind: type[Node]) -> list[Node]:
        """Return every node of one class, in the order of the file."""
        return self._kinds[kind]  # type: ignore[return-value]  # filled by class

    def _walk(self) -> None:
        stack: list[tuple[ast.AST, ast.AST | None, Scope]] = [(self.tree, None, self.tree)]
        while stack:
            node, parent, scope = stack.pop()
            self._order[node] = len(self.nodes)
            self.nodes.append(node)
            self._kinds[type(node)].append(node)
            self._scopes[node] = scope
            if parent is not None:
                self.parents[node] = parent
            if type(node) in _LEAVES:
                continue
            if isinstance(node, ast.Global):
                self._global |= {(scope, name) for name in node.names}
            elif isinstance(node, ast.Nonlocal):
                self._nonlocal |= {(scope, name) for name in node.names}
            elif isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)):
                self.returns[scope].append(node)
            inner = node if isinstance(node, _SCOPES) else scope
            children: list[tuple[ast.AST, ast.AST | None, Scope]] = []
            for name in node._fields:
                value = getattr(node, name, None)
                if isinstance(value, ast.AST):
                    if not isinstance(value, _SIGNS):
                        children.append((value, node, inner))
                elif isinstance(value, list):
                    for index, item in enumerate(value):
                        if isinstance(item, ast.AST) and not isinstance(item, _SIGNS):
                            self._places[item] = (node, name, index)
                            # Decorators and bases are outside, as are defaults, which ast.arguments holds.
                            outside = name in ("decorator_list", "bases", "keywords")
                            children.append((item, node, scope if outside else inner))
            stack += reversed(children)

    # --- bindings -------------------------------------------------------------------------------------------------

    def _bind(self, node: ast.AST) -> None:
        scope = self._scopes[node]
        if isinstance(node, ast.Name | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            self._assigned(node, scope)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                self._add(scope, name, Binding("import", node, scope, alias=alias))
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                self._add(scope, alias.asname or alias.name, Binding("from", node, scope, alias=alias))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._add(scope, node.name, Binding("definition", node, scope))
        elif isinstance(node, ast.arg):
            self._parameter(node, scope)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self._add(scope, node.name, Binding("other", node, scope))
        elif isinstance(node, ast.MatchAs | ast.MatchStar | ast.MatchMapping):
            captured = node.rest if isinstance(node, ast.MatchMapping) else node.name
            if captured is not None:
                self._add(scope, captured, Binding("other", self._case(node), scope))

    def _case(self, node: ast.AST) -> ast.match_case | ast.stmt:
        while not isinstance(node, ast.match_case | ast.stmt):
            node = self.parents[node]
        return node

    def _parameter(self, node: ast.arg, scope: Scope) -> None:
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            self._add(scope, node.arg, Binding("parameter", scope, scope, annotation=node.annotation))

    def _assigned(self, target: ast.Name | ast.Attribute, scope: Scope) -> None:
        key = self.key(target)
        if key is None or isinstance(target.ctx, ast.Del):
            return
        parent = self.parents[target]
        value = annotation = None
        kind = "value"
        if isinstance(parent, ast.Assign | ast.NamedExpr):
            value = parent.value
        elif isinstance(parent, ast.AnnAssign):
            value, annotation = parent.value, parent.annotation
        elif isinstance(parent, ast.withitem):
            value = parent.context_expr
        elif isinstance(parent, ast.comprehension):
            return
        elif (paired := self._paired(target, parent)) is not None:
            value = paired
        else:
            if any(isinstance(node, ast.comprehension) for node in self._up(target)):
                return
            kind = "other"
        self._add(scope, key, Binding(kind, self.statement(target), scope, value=value, annotation=annotation))

    def _paired(self, target: ast.AST, parent: ast.AST) -> ast.expr | None:
        """Return the value of a name in ``a, b = x, y``."""
        above = self.parents.get(parent)
        if not isinstance(parent, ast.Tuple | ast.List) or not isinstance(above, ast.Assign):
            return None
        if not isinstance(above.value, ast.Tuple | ast.List) or len(above.value.elts) != len(parent.elts):
            return None
        if any(isinstance(item, ast.Starred) for item in [*parent.elts, *above.value.elts]):
            return None
        return above.value.elts[self._places[target][2]]

    def _add(self, scope: Scope, key: str, binding: Binding) -> None:
        base = key.partition(".")[0]
        while (scope, base) in self._nonlocal and scope is not self.tree:
            scope = self._scopes[scope]
        if (scope, base) in self._global:
            scope = self.tree
        elif "." in key and (owner := self.class_of(scope, base)) is not None:
            scope, key = owner, "." + key.partition(".")[2]
        self.bindings[scope, key].append(binding)

    # --- where something stands -----------------------------------------------------------------------------------

    def _up(self, node: ast.AST) -> Iterator[ast.AST]:
        """Return what is around *node*, inside its statement."""
        while node in self.parents and not isinstance(node, ast.stmt):
            node = self.parents[node]
            yield node

    def statement(self, node: ast.AST) -> ast.stmt:
        """Return the statement that *node* stands in."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def scope_of(self, node: ast.AST) -> Scope:
        """Return the function, class or module that *node* stands in."""
        return self._scopes[node]

    def place(self, statement: ast.stmt) -> tuple[ast.AST, str, int]:
        """Return what a statement is part of, in which of its fields, and at which place."""
        return self._places[statement]

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """Return the statements of the block that a statement is in."""
        owner, name, _ = self._places[statement]
        found: list[ast.stmt] = getattr(owner, name)
        return found

    @staticmethod
    def key(node: ast.AST) -> str | None:
        """Return ``a.b.c`` for that expression, None for one that is no plain name."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else None

    def class_of(self, scope: Scope, name: str) -> ast.ClassDef | None:
        """Return the class whose instance (or which itself) *name* is in a method, its first parameter."""
        function: ast.AST | None = scope
        while isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = function.args
            if function not in self._parameters:
                taken = [item.arg for item in ast.walk(arguments) if isinstance(item, ast.arg)]
                self._parameters[function] = frozenset(taken)
            if name in self._parameters[function]:
                first = [*arguments.posonlyargs, *arguments.args][:1]
                outer = self._scopes[function]
                found = bool(first) and first[0].arg == name and isinstance(outer, ast.ClassDef)
                return outer if found and isinstance(outer, ast.ClassDef) else None
            function = self._scopes.get(function)
        return None
