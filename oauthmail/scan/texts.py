"""What a text is put together from: constants, and the expressions of the script between them."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass

from .module import Module

__all__ = ["Texts", "Way"]

_FORMAT = re.compile(r"%(?:(%)|s)")
# A text with none of these is no SASL exchange, and stays the expression that it is.
_TELLING = ("auth=Bearer ", "XOAUTH2 ", "user=")
# What changes the form of a text, not what it says.
_FORMS = frozenset({"encode", "decode", "strip", "rstrip"})
_ENCODERS = frozenset({"b64encode", "standard_b64encode", "encodestring", "encodebytes", "str", "bytes", "unicode"})
# Google's functions and the best known copies of them: user name and access token come first.
_KNOWN = frozenset({"GenerateOAuth2String", "generate_oauth2_string"})
# How far names are followed, how many texts an expression may be, and how many looks that may take.
_STEPS, _WAYS, _LOOKS = 24, 16, 500


@dataclass(frozen=True)
class Way:
    """One text that an expression may be.

    Attributes:
        parts: constants, and the expressions between them.
    """

    parts: tuple[str | ast.expr, ...]

    def __add__(self, other: Way) -> Way:
        return Way(self.parts + other.parts)


class Texts:
    """Reads what a text is put together from."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._looks = 0

    def ways(self, node: ast.expr, given: Mapping[str, ast.expr] | None = None, steps: int = _STEPS) -> list[Way]:
        """Return the texts that *node* may be.

        Args:
            node: an expression.
            given: what the parameters of the function around it stand for.
            steps: how far to follow names.
        """
        self._looks += 1
        if steps <= 0 or self._looks > _LOOKS:
            return [Way((node,))]
        given = given or {}
        found = self._found(node, given, steps - 1)
        return found[:_WAYS] if found is not None else [Way((self._outer(node, given),))]

    def _outer(self, node: ast.expr, given: Mapping[str, ast.expr]) -> ast.expr:
        """Return what was passed for a parameter that is still as it was passed."""
        if not isinstance(node, ast.Name) or node.id not in given:
            return node
        bindings = self._module.values.bindings(node) or []
        return given[node.id] if all(binding.kind == "parameter" for binding in bindings) else node

    def _found(self, node: ast.expr, given: Mapping[str, ast.expr], steps: int) -> list[Way] | None:
        if isinstance(node, ast.Constant):
            return [Way((node.value,))] if isinstance(node.value, str) else None
        if isinstance(node, ast.Lambda):
            return self.ways(node.body, given, steps)
        if isinstance(node, ast.IfExp):
            return self.ways(node.body, given, steps) + self.ways(node.orelse, given, steps)
        if isinstance(node, ast.JoinedStr):
            return self._joined(node.values, given, steps)
        if isinstance(node, ast.FormattedValue):
            return None if node.format_spec or node.conversion not in (-1, 115) else self.ways(node.value, given, steps)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._joined([node.left, node.right], given, steps)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            return self._formatted(node, given, steps)
        if isinstance(node, ast.Call):
            return self._called(node, given, steps)
        return self._named(node, given, steps) if isinstance(node, ast.Name | ast.Attribute) else None

    def _joined(self, nodes: list[ast.expr], given: Mapping[str, ast.expr], steps: int) -> list[Way]:
        found = [Way(())]
        for node in nodes:
            found = [way + more for way in found for more in self.ways(node, given, steps)][:_WAYS]
        return found

    def _formatted(self, node: ast.BinOp, given: Mapping[str, ast.expr], steps: int) -> list[Way] | None:
        if not isinstance(node.left, ast.Constant) or not isinstance(node.left.value, str):
            return None
        values = iter(node.right.elts if isinstance(node.right, ast.Tuple) else [node.right])
        pieces: list[ast.expr] = []
        end = 0
        for match in _FORMAT.finditer(node.left.value):
            value = ast.Constant("%") if match[1] else next(values, None)
            if value is None:
                return None
            pieces += [ast.Constant(node.left.value[end : match.start()]), value]
            end = match.end()
        if next(values, None) is not None:
            return None
        pieces.append(ast.Constant(node.left.value[end:]))
        return self._joined(pieces, given, steps)

    def _format(self, text: str, call: ast.Call, given: Mapping[str, ast.expr], steps: int) -> list[Way] | None:
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        pieces: list[ast.expr] = []
        count = 0
        try:
            for literal, field, spec, conversion in string.Formatter().parse(text):
                pieces.append(ast.Constant(literal))
                if field is None:
                    continue
                value = named.get(field)
                if field == "" or field.isdigit():
                    number = count if field == "" else int(field)
                    count += 1
                    value = call.args[number] if number < len(call.args) else None
                if value is None or spec or conversion:
                    return None
                pieces.append(value)
        except ValueError:
            return None
        return self._joined(pieces, given, steps)

    def _called(self, node: ast.Call, given: Mapping[str, ast.expr], steps: int) -> list[Way] | None:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if isinstance(function, ast.Attribute):
            if name in _FORMS or (name == "replace" and len(node.args) == 2):
                return self._whole(function.value, given, steps)
            if name == "format" and isinstance(function.value, ast.Constant) and isinstance(function.value.value, str):
                return self._format(function.value.value, node, given, steps)
        if name in _ENCODERS and node.args:
            return self._whole(node.args[0], given, steps)
        local = self._module.values.local_function(function)
        if local is not None:
            return self._returned(local, node, given, steps)
        if name in _KNOWN and len(node.args) >= 2:
            user, token = (self._outer(item, given) for item in node.args[:2])
            return [Way(("user=", user, "\x01auth=Bearer ", token, "\x01\x01"))]
        return None

    def _returned(
        self, function: ast.FunctionDef, call: ast.Call, given: Mapping[str, ast.expr], steps: int
    ) -> list[Way] | None:
        leaving = self._module.scopes.returns.get(function, [])
        returned = [node.value for node in leaving if isinstance(node, ast.Return) and node.value is not None]
        parameters = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
        if isinstance(call.func, ast.Attribute):
            parameters = parameters[1:]
        if len(returned) != len(leaving) or any(isinstance(item, ast.Starred) for item in call.args):
            return None
        passed = dict(zip(parameters, call.args, strict=False))
        passed |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        inner = {name: self._outer(value, given) for name, value in passed.items()}
        return self._telling([way for expression in returned for way in self.ways(expression, inner, steps)])

    def _named(self, node: ast.Name | ast.Attribute, given: Mapping[str, ast.expr], steps: int) -> list[Way] | None:
        bindings = self._module.values.bindings(node) or []
        # A callback is given by its name.
        functions = [binding.at for binding in bindings if isinstance(binding.at, ast.FunctionDef)]
        if functions and len(bindings) == 1 and bindings[0].kind == "definition":
            return self._returned(functions[0], ast.Call(node, [], []), given, steps)
        values = [binding.value for binding in bindings if binding.kind == "value" and binding.value is not None]
        if not values or len(values) != len(bindings):
            return None
        # A name for anything smaller than the whole text stays a name.
        return self._telling([way for value in values for way in self.ways(value, given, steps)])

    def _whole(self, node: ast.expr, given: Mapping[str, ast.expr], steps: int) -> list[Way] | None:
        """Return the texts in another form, base64 for example; what is no whole text stays an expression."""
        return self._telling(self.ways(node, given, steps))

    @staticmethod
    def _telling(ways: list[Way]) -> list[Way] | None:
        texts = [part for way in ways for part in way.parts if isinstance(part, str)]
        return ways if any(word in text for text in texts for word in _TELLING) else None
