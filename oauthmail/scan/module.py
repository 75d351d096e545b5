"""A file that was read, and what the rules ask of it."""

from __future__ import annotations

import ast
from functools import cached_property

from .bindings import Binding
from .edits import Editor
from .findings import AddImport, Edit, MoveNames, Replace
from .scopes import Scopes
from .source import Source
from .values import CLIENTS, Value, Values

__all__ = ["Module"]

_TLS_STARTERS = frozenset({"starttls", "stls"})


class Module:
    """A Python file with its bindings.

    Args:
        source: the file.
        tree: its syntax tree.
    """

    def __init__(self, source: Source, tree: ast.Module) -> None:
        self.source = source
        self.scopes = Scopes(tree)
        self.values = Values(self.scopes)
        self.editor = Editor(source, self.scopes)

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Return the offset at which a node begins."""
        return self.source.span(node)[0]

    def written(self, node: ast.expr) -> str:
        """Return an expression as it is written in the file."""
        own = node in self.scopes.parents and not self.in_text(node)
        return self.source.segment(node) if own else ast.unparse(node)

    # --- clients --------------------------------------------------------------------------------------------------

    def clients(self, receiver: ast.expr) -> list[Value]:
        """Return the mail clients that an expression may be."""
        return [value for value in self.values.of(receiver) if value.protocol is not None]

    @cached_property
    def client_calls(self) -> list[ast.Call]:
        """The calls that make mail clients themselves, rather than by a function."""
        names = {client.rpartition(".")[2] for client in CLIENTS}
        # What else the classes are called: most calls are of something else, and need not be followed.
        for (_, key), bindings in self.scopes.bindings.items():
            for binding in bindings:
                renamed = binding.alias is not None and binding.alias.name in names
                if renamed or (binding.value is not None and not isinstance(binding.value, ast.Call | ast.Constant)):
                    names.add(key.rpartition(".")[2])
        return [
            call
            for call in self.scopes.calls
            if isinstance(call.func, ast.Attribute | ast.Name)
            and (call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id) in names
            and any(client.call is call for client in self.clients(call))
        ]

    def surely(self, receiver: ast.expr) -> bool:
        """Tell whether an expression is always a mail client, and of one protocol."""
        found = self.values.of(receiver)
        return bool(found) and None not in {v.protocol for v in found} and len({v.protocol for v in found}) == 1

    def hosts(self, client: Value, receiver: ast.expr, *, only: bool = False) -> set[str]:
        """Return the servers that a client may be connected to, as far as the file tells.

        Args:
            client: what *receiver* stands for.
            receiver: the expression, on which ``connect`` may be called.
            only: return nothing where it may be any other.
        """
        given: list[ast.expr] = []
        if client.call is not None:
            given += client.call.args[:1]
            given += [keyword.value for keyword in client.call.keywords if keyword.arg == "host"]
        key = self.scopes.key(receiver)
        for call in self.scopes.calls:
            function = call.func
            if isinstance(function, ast.Attribute) and function.attr == "connect" and call.args:
                given += call.args[:1] if self.scopes.key(function.value) == key is not None else []
        found = [self.values.constants(item, only=only) for item in given]
        return set() if only and [] in found else {str(item.value) for items in found for item in items if item.value}

    def in_text(self, node: ast.AST) -> bool:
        """Tell whether a node is part of an f-string, where places are not to be relied on up to Python 3.11."""
        around: ast.AST | None = node
        while around is not None and not isinstance(around, ast.stmt):
            if isinstance(around, ast.JoinedStr):
                return True
            around = self.scopes.parents.get(around)
        return False

    @cached_property
    def _upgraded(self) -> frozenset[ast.Call | None]:
        """The calls that make clients which start TLS somewhere; None among them for clients nobody knows."""
        receivers = [node.value for node in self.scopes.attributes if node.attr in _TLS_STARTERS]
        return frozenset(value.call for receiver in receivers for value in self.values.of(receiver))

    def encrypted(self, clients: list[Value]) -> bool | None:
        """Tell whether clients use TLS; None where the file does not tell."""
        plain = [client for client in clients if not client.name.endswith("_SSL")]
        if all(client.call in self._upgraded for client in plain if client.call is not None):
            return None if any(client.call is None for client in plain) else True
        return None if None in self._upgraded else False

    # --- edits ----------------------------------------------------------------------------------------------------

    def migration(self, clients: list[Value]) -> list[Edit] | None:
        """Return what makes *clients* instances of oauthmail's classes; None where that is not certain."""
        edits: list[Edit] = []
        for client in clients:
            if client.name.startswith("oauthmail."):
                continue
            importing, reference = client.importing, client.reference
            if not client.plain or importing is None or reference is None or self.in_text(reference):
                return None
            if isinstance(importing.at, ast.ImportFrom) and importing.alias is not None:
                edits.append(MoveNames(importing.at, frozenset({importing.alias})))
            elif isinstance(reference, ast.Attribute) and isinstance(importing.at, ast.Import):
                name = client.name.partition(".")[2]
                edits.append(Replace(*self.source.span(reference), f"oauthmail.{name}"))
                edits.append(AddImport(importing.at, "import oauthmail"))
            else:
                return None
        return edits

    def account(self, clients: list[Value], use: ast.AST) -> tuple[str, list[Edit]] | None:
        """Return how ``Account`` is called at *use*, and the import that it takes; None where that is not certain."""
        for client in clients:
            importing = client.importing
            if importing is None or not self._visible(importing, use):
                continue
            at = importing.at
            if isinstance(at, ast.Import) or not self.editor.free("Account", "oauthmail"):
                return "oauthmail.Account", [AddImport(self._statement(importing), "import oauthmail")]
            if isinstance(at, ast.ImportFrom):
                return "Account", [MoveNames(at, frozenset(), frozenset({"Account"}))]
        return None

    def _visible(self, importing: Binding, use: ast.AST) -> bool:
        """Tell whether what is imported there can be seen at *use*."""
        scope = self.scopes.scope_of(use)
        while scope is not importing.scope:
            if scope is self.scopes.tree:
                return False
            scope = self.scopes.scope_of(scope)
        return not isinstance(scope, ast.ClassDef)

    def _statement(self, binding: Binding) -> ast.stmt:
        return self.scopes.statement(binding.at)
