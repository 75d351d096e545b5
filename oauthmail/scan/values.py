"""What an expression stands for: a name of a module, or a client that such a name was called for."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace

from .bindings import Binding
from .scopes import Scopes

__all__ = ["CLIENTS", "UNKNOWN", "Value", "Values"]

_PARENTS = {"smtplib": ("SMTP", "SMTP_SSL"), "imaplib": ("IMAP4", "IMAP4_SSL"), "poplib": ("POP3", "POP3_SSL")}
_PROTOCOLS = {"smtplib": "smtp", "imaplib": "imap", "poplib": "pop"}

#: Protocol of each client class, by where it is imported from.
CLIENTS = {
    f"{module}.{name}": _PROTOCOLS[parent]
    for parent, names in _PARENTS.items()
    for name in names
    for module in (parent, "oauthmail")
}

# How many steps are followed from a name to what it was first, and how many looks that may take in all: a file may be
# made to have no end of ways.
_STEPS = 12
_LOOKS = 1000
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PROPERTIES = (["property"], ["cached_property"])
_PASSING_ON = frozenset({"contextlib.closing", "closing"})


@dataclass(frozen=True)
class Value:
    """What is known of an expression.

    Attributes:
        name: dotted name, such as ``"smtplib.SMTP"``; empty where nothing is known.
        made: whether it is an object of that class, rather than the class.
        reference: the expression that names the class.
        call: the call that made the object.
        importing: the import that the name came by.
        plain: whether the class is used as it is, so that another one can be put in its place.
    """

    name: str
    made: bool = False
    reference: ast.expr | None = None
    call: ast.Call | None = None
    importing: Binding | None = None
    plain: bool = True

    @property
    def protocol(self) -> str | None:
        """The protocol of a client; None for anything else."""
        return CLIENTS.get(self.name) if self.made else None


UNKNOWN = Value("")


class Values:
    """What the expressions of a module stand for."""

    def __init__(self, scopes: Scopes) -> None:
        self.scopes = scopes
        self._known: dict[ast.AST, tuple[Value, ...]] = {}
        self._looks = 0
        self._stars = {
            node.module: Binding("from", node, scopes.scope_of(node), alias=node.names[0])
            for node in scopes.of_kind(ast.ImportFrom)
            if node.names[0].name == "*" and node.module and not node.level
        }

    def of(self, node: ast.expr, steps: int = _STEPS) -> tuple[Value, ...]:
        """Return everything that *node* may stand for, `UNKNOWN` among it; None is left out."""
        if node in self._known:
            return self._known[node]
        self._looks = 0 if steps == _STEPS else self._looks + 1
        if steps <= 0 or self._looks > _LOOKS:
            return (UNKNOWN,)
        # A name that depends on itself is met again here.
        self._known[node] = (UNKNOWN,)
        found = tuple(dict.fromkeys(self._found(node, steps - 1)))
        if steps == _STEPS:
            self._known[node] = found
        else:
            del self._known[node]
        return found

    def dotted(self, node: ast.expr) -> str:
        """Return the dotted name that *node* surely is, such as ``"ssl.CERT_NONE"``; otherwise empty."""
        found = self.of(node)
        return found[0].name if len(found) == 1 and not found[0].made else ""

    def constants(self, node: ast.expr, *, only: bool = False, steps: int = _STEPS) -> list[ast.Constant]:
        """Return the texts that *node* may be, as they are written in the module.

        Args:
            node: an expression.
            only: return nothing where it may be anything else.
            steps: how far to follow names.
        """
        if isinstance(node, ast.Constant):
            return [node] if isinstance(node.value, str) else []
        self._looks = 0 if steps == _STEPS else self._looks + 1
        if steps <= 0 or self._looks > _LOOKS:
            return []
        inner: list[ast.expr | None] = []
        if isinstance(node, ast.BoolOp | ast.IfExp):
            inner += node.values if isinstance(node, ast.BoolOp) else [node.body, node.orelse]
        elif isinstance(node, ast.Call):
            if self.dotted(node.func) in ("os.environ.get", "os.getenv"):
                # The variable itself, and what stands in for it.
                inner += [None, *node.args[1:2]]
        else:
            inner += [item.value if item.kind == "value" else None for item in self.bindings(node) or []]
        found = [[] if item is None else self.constants(item, only=only, steps=steps - 1) for item in inner]
        return [] if only and [] in found else [constant for constants in found for constant in constants]

    def bindings(self, node: ast.expr) -> list[Binding] | None:
        """Return where a name, such as ``a`` or ``self.a``, may have its value from; None for another expression."""
        key = self.scopes.key(node)
        return None if key is None else self.scopes.reaching(key, node)

    # --- by kind of expression ------------------------------------------------------------------------------------

    def _found(self, node: ast.expr, steps: int) -> list[Value]:
        if isinstance(node, ast.Name | ast.Attribute):
            return self._named(node, steps)
        if isinstance(node, ast.Call):
            return self._called(node, steps)
        if isinstance(node, ast.IfExp):
            return [*self.of(node.body, steps), *self.of(node.orelse, steps)]
        if isinstance(node, ast.BoolOp):
            return [value for item in node.values for value in self.of(item, steps)]
        if isinstance(node, ast.NamedExpr):
            return list(self.of(node.value, steps))
        return [] if isinstance(node, ast.Constant) and node.value is None else [UNKNOWN]

    def _named(self, node: ast.Name | ast.Attribute, steps: int) -> list[Value]:
        bindings = self.bindings(node)
        if bindings is not None:
            return [value for binding in bindings for value in self._bound(node, binding, steps)] or [UNKNOWN]
        if isinstance(node, ast.Name):
            return self._starred(node)
        found = [
            # Only modules and classes of modules are known by their attributes.
            UNKNOWN if base.made or not base.name else replace(base, name=f"{base.name}.{node.attr}", reference=node)
            for base in self.of(node.value, steps)
        ]
        return found or [UNKNOWN]

    def _starred(self, node: ast.Name) -> list[Value]:
        for module, binding in self._stars.items():
            if f"{module}.{node.id}" in CLIENTS:
                return [Value(f"{module}.{node.id}", reference=node, importing=binding, plain=False)]
        return [UNKNOWN]

    def _bound(self, node: ast.Name | ast.Attribute, binding: Binding, steps: int) -> list[Value]:
        at, alias = binding.at, binding.alias
        if binding.kind == "import" and alias is not None:
            name = alias.name if alias.asname else alias.name.partition(".")[0]
            return [Value(name, reference=node, importing=binding)]
        if isinstance(at, ast.ImportFrom) and alias is not None:
            module = "." * at.level + (at.module or "")
            return [Value(f"{module}.{alias.name}", reference=node, importing=binding)]
        if isinstance(at, ast.ClassDef):
            return self._derived(at, steps)
        if isinstance(at, ast.FunctionDef) and isinstance(node, ast.Attribute) and binding.kind == "definition":
            return self._given(at, steps) if self._decorators(at) in _PROPERTIES else [UNKNOWN]
        found = list(self.of(binding.value, steps)) if binding.value is not None else [UNKNOWN]
        if found != [UNKNOWN]:
            return found
        if binding.annotation is not None:
            return self._annotated(binding.annotation, steps)
        if binding.kind == "parameter" and isinstance(node, ast.Name):
            # In a class of its own that derives from a client, ``self`` is one.
            owner = self.scopes.class_of(binding.scope, node.id)
            return [replace(value, made=True) for value in self._derived(owner, steps)] if owner else [UNKNOWN]
        return [UNKNOWN]

    def _derived(self, node: ast.ClassDef, steps: int) -> list[Value]:
        for base in node.bases:
            for value in self.of(base, steps):
                if value.name in CLIENTS and not value.made:
                    return [replace(value, plain=False, reference=None)]
        return [UNKNOWN]

    def _annotated(self, annotation: ast.expr, steps: int) -> list[Value]:
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                annotation = ast.parse(annotation.value, mode="eval").body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return [UNKNOWN]
            names = [node for node in ast.walk(annotation) if isinstance(node, ast.Attribute)]
            found = [UNKNOWN] if not names else [Value(self.scopes.key(names[0]) or "")]
        else:
            found = [value for node in self._alternatives(annotation) for value in self.of(node, steps)]
        clients = [replace(value, made=True, plain=False) for value in found if value.name in CLIENTS]
        return clients or [UNKNOWN]

    @staticmethod
    def _alternatives(annotation: ast.expr) -> list[ast.expr]:
        """Return the members of ``A | None`` and ``Optional[A]``."""
        if isinstance(annotation, ast.BinOp):
            return [annotation.left, annotation.right]
        if isinstance(annotation, ast.Subscript):
            inner = annotation.slice
            return list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
        return [annotation]

    def _called(self, node: ast.Call, steps: int) -> list[Value]:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in ("enter_context", "__enter__"):
            passed = node.args[0] if node.args else function.value
            return list(self.of(passed, steps))
        local = self._local(function)
        if local is not None:
            return self._returned(local, steps)
        found: list[Value] = []
        for value in self.of(function, steps):
            if value.name in _PASSING_ON and node.args:
                found += self.of(node.args[0], steps)
            elif value.name in CLIENTS and not value.made:
                found.append(replace(value, made=True, call=node))
            else:
                found.append(UNKNOWN)
        return found

    def local_function(self, function: ast.expr) -> ast.FunctionDef | None:
        """Return the function of this module that is surely meant, by its name or as a method of ``self``."""
        found = self._local(function)
        return found if isinstance(found, ast.FunctionDef) else None

    def _local(self, function: ast.expr) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        bindings: list[Binding] | None = None
        if isinstance(function, ast.Name):
            bindings = self.bindings(function)
        elif isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            owner = self.scopes.class_of(self.scopes.scope_of(function), function.value.id)
            bindings = self.scopes.method(owner, function.attr) if owner is not None else None
        if not bindings or len(bindings) != 1:
            return None
        at = bindings[0].at
        return at if isinstance(at, _FUNCTIONS) and bindings[0].kind == "definition" else None

    def _returned(self, function: ast.FunctionDef | ast.AsyncFunctionDef, steps: int) -> list[Value]:
        """Return what a call of *function* gives, or the ``as`` of a ``with`` where it is a context manager."""
        decorators = self._decorators(function)
        if isinstance(function, ast.AsyncFunctionDef) or decorators not in ([], ["contextmanager"]):
            return [UNKNOWN]
        return self._given(function, steps, yields=bool(decorators))

    def _decorators(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
        return [(self.scopes.key(node) or "?").rpartition(".")[2] for node in function.decorator_list]

    def _given(self, function: ast.FunctionDef, steps: int, *, yields: bool = False) -> list[Value]:
        """Return what a function returns or yields."""
        leaving = self.scopes.returns.get(function, [])
        yielding = [node for node in leaving if not isinstance(node, ast.Return)]
        if bool(yielding) != yields:
            return [UNKNOWN]
        given = [node.value for node in (yielding or leaving) if node.value is not None]
        return [value for expression in given for value in self.of(expression, steps)] or [UNKNOWN]
