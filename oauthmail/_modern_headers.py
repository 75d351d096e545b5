"""Header fields under `email.policy.EmailPolicy`, as `_headers` has them under the older policy.

The values are header objects that hold a parse tree, or text from a parser. This module is loaded when a message has
that policy, which has loaded what is imported here.
"""

from __future__ import annotations

import email._header_value_parser
import email.headerregistry
import email.policy
import functools
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from ._generator import getter
from ._headers import KEPT, PLACE, Folded, Headers, keep

__all__ = ["ModernHeaders", "known"]

_CRLF = "\r\n"
# The length in characters up to which a header object is looked for among those that are kept: going through a longer
# one takes as long as folding it.
_KEPT_LENGTH = 250

# Much of this is not in typeshed.
_parser: Any = email._header_value_parser
_registry: Any = email.headerregistry
_policies: Any = email.policy

_of_policy = getter(_policies.EmailPolicy, "_fold", "fold_binary", "header_fetch_parse")
_of_base = getter(_registry.BaseHeader, "__new__", "fold", "name")
_of_tokens = getter(_parser.TokenList, "__str__", "fold")
_of_registry = getter(_registry.HeaderRegistry, "__call__", "__getitem__")
_of_parser = getter(_parser, "_refold_parse_tree", "get_unstructured")


def _state() -> tuple[object, ...]:
    """Return what a program may have changed."""
    return (
        _of_policy(_policies.EmailPolicy),
        _of_base(_registry.BaseHeader),
        _of_tokens(_parser.TokenList),
        _of_registry(_registry.HeaderRegistry),
        _of_parser(_parser),
    )


_WAS = _state()
_DEFAULT_MAP = dict(_registry._default_header_map)


class _Kind(NamedTuple):
    """What is known of a class of headers.

    Attributes:
        is_text: whether the value is the text of the parse tree, by construction.
        breaks: whether a long one is broken between the branches of its tree.
    """

    is_text: bool
    breaks: bool


# By the bases of a header's class.
_KINDS: dict[tuple[type, ...], _Kind] = {
    (kind, _registry.BaseHeader): _Kind(
        not issubclass(kind, _registry.AddressHeader),
        issubclass(kind, (_registry.AddressHeader, _registry.UnstructuredHeader)),
    )
    for kind in (_registry.UnstructuredHeader, *_DEFAULT_MAP.values())
}
_LISTS: Any = frozenset(
    kind for kind in vars(_parser).values() if isinstance(kind, type) and issubclass(kind, _parser.TokenList)
)
_JOINED = frozenset(kind for kind in _LISTS if kind.__str__ is _parser.TokenList.__str__)
_VALUE = _parser.ValueTerminal
_SPACE = _parser.WhiteSpaceTerminal

_fetched: dict[tuple[str, str], str] = {}


def known(policy: Any) -> bool:
    """Tell whether `ModernHeaders` knows such policies, and the standard library is as it was."""
    return type(policy) is _policies.EmailPolicy and _state() == _WAS


def _leaves(tokens: Any, append: Callable[[str], None]) -> None:
    for token in tokens:
        kind = token.__class__
        if kind is _VALUE or kind is _SPACE:
            append(token)
        elif kind in _JOINED:
            _leaves(token, append)
        else:
            append(str(token))


def _text(tree: Any) -> str:
    """Return the text of a parse tree, as ``str()`` does."""
    found: list[str] = []
    _leaves((tree,), found.append)
    return "".join(found)


def _parts(tokens: Any, append: Callable[[object], None], drawn: str) -> None:
    for token in tokens:
        if token.defects:
            # One kind of defect has a say in the choice of a character set.
            raise ValueError
        kind = token.__class__
        append(kind)
        if kind is _VALUE or kind is _SPACE:
            append(token.token_type)
            append(token.replace(drawn, PLACE) if drawn else str.__str__(token))
            continue
        own = token.__dict__
        if len(own) > 1:
            append(tuple([pair for pair in own.items() if pair[0] != "defects"]))
        if kind in _LISTS:
            append(len(token))
            _parts(token, append, drawn)
        else:
            append(str.__str__(token))


def _shape(tree: Any, drawn: str) -> Hashable | None:
    """Return a value that is equal for trees that are folded alike; None where that is not certain."""
    found: list[object] = []
    try:
        _parts((tree,), found.append, drawn)
        key = tuple(found)
        hash(key)
    except (TypeError, ValueError):
        return None
    return key


def _broken(name: str, tree: Any, text: str, limit: int) -> str | None:
    """Return a field in printable ASCII that does not fit one line, broken between the branches of its tree.

    Returns:
        None where a branch has to be broken as well.
    """
    if len(text) < limit:
        return f"{name}:{_CRLF} {text}"
    lines: list[str] = []
    line = f"{name}: "
    for branch in tree:
        text = branch if branch.__class__ in (_VALUE, _SPACE) else _text(branch)
        if len(line) + len(text) <= limit:
            line += text
            continue
        # The space before a break begins the next line.
        space = line[-1] if line[-1] == " " else ""
        if len(text) >= limit or not (space or branch.startswith_fws()) or not branch.syntactic_break:
            return None
        lines.append(line.removesuffix(space))
        line = space + text
    return _CRLF.join([*lines, line])


class ModernHeaders(Headers):
    """The same under `email.policy.EmailPolicy`, whose values are text from a parser or header objects."""

    def __init__(self, policy: Any) -> None:
        super().__init__(policy)
        # A parsed value that is not refolded is written as it was read.
        self._source_is_plain = policy.refold_source != "all"

    def _values(self) -> Hashable:
        return super()._values(), self.policy.utf8, self.policy.refold_source

    @functools.cached_property
    def _usual_factory(self) -> bool:
        factory = self.policy.header_factory
        return bool(
            type(factory) is _registry.HeaderRegistry
            and factory.registry == _DEFAULT_MAP
            and (factory.default_class, factory.base_class) in _KINDS
        )

    def fetched(self, name: str, value: Any) -> str:
        if hasattr(value, "name"):
            return str(value)
        if type(value) is not str or not self._usual_factory:
            return str(self.policy.header_fetch_parse(name, value))
        key = (name.lower(), value)
        if key not in _fetched:
            keep(_fetched, key, str(self.policy.header_fetch_parse(name, value)), KEPT)
        return _fetched[key]

    def _plain(self, name: str, value: Any) -> str | None:
        kind = type(value)
        if kind is str:
            return self._source(name, value) if self._source_is_plain and value.isascii() else None
        if kind is Folded:
            return super()._plain(name, value)
        known = _KINDS.get(kind.__bases__)
        # Only the registry makes classes that name its module as theirs; another one may fold as it likes.
        if known is None or kind.__module__ != _registry.__name__ or not value._parse_tree:
            return None
        text = value if known.is_text else _text(value._parse_tree)
        name = value.name
        line = f"{name}: {text}"
        if not line.isascii() or not line.isprintable():
            return None
        if len(line) <= self._limit:
            return line
        return _broken(name, value._parse_tree, text, self._limit) if known.breaks else None

    def _source(self, name: str, value: str) -> str | None:
        """Return the field of a value in ASCII as it was read, if it fits."""
        line = f"{name}: {value}"
        if line.isprintable():
            return line if len(line) <= self._limit and line.isascii() else None
        lines = value.splitlines()
        # Python's releases differ in what else ends a line.
        if len(lines) != value.count("\n") + 1 or not value[-1].isprintable() or not name.isprintable():
            return None
        limit = self._limit
        if len(name) + 2 + len(lines[0]) > limit or not name.isascii():
            return None
        for index in range(1, len(lines)):
            inner = lines[index]
            if len(inner) > limit or not inner.startswith((" ", "\t")):
                return None
        return f"{name}: {_CRLF.join(lines)}"

    def _key(self, name: str, value: Any, drawn: str = "") -> Hashable | None:
        # What a parser has read is folded by the policy's own factory, which may change from call to call.
        if not isinstance(value, str) or type(value) is str or len(value) > _KEPT_LENGTH:
            return None
        if type(value).__bases__ not in _KINDS or type(value).__module__ != _registry.__name__:
            return None
        header: Any = value
        shape = _shape(header._parse_tree, drawn)
        return None if shape is None else (header.name, shape)
