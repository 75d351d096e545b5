"""Header fields as `email.generator.BytesGenerator` writes them with CRLF, in less time.

A field in printable ASCII that fits its line is written as it stands under every policy of the standard library that is
modelled here. Everything else is folded by the standard library; what it made of a field is kept for the next message
that has the same one, as mail to many people has.
"""

from __future__ import annotations

import email.generator
import email.header
import functools
import operator
from collections.abc import Callable, Hashable, Iterator, Sequence
from email._policybase import Compat32
from typing import Any, NamedTuple

__all__ = ["Headers", "headers_for"]

_CRLF = "\r\n"
# What the standard library takes for "no limit", and enough for both of its ways to fold.
_NO_LIMIT = 1_000_000
# How many folded fields are kept for each set of policy values, and the length in characters up to which they are.
_KEPT = 256
_KEPT_LENGTH = 1000

_folded: dict[Hashable, dict[Hashable, bytes]] = {}
_fetched: dict[tuple[str, str], str] = {}

_of_compat32 = operator.attrgetter("_fold", "_sanitize_header", "fold_binary", "header_fetch_parse")
_of_header = operator.attrgetter("__init__", "append", "encode")
_COMPAT32 = _of_compat32(Compat32)
_HEADER = _of_header(email.header.Header)


class Headers:
    """Writes the fields of one message under `email.policy.compat32`, whose values are text or `email.header.Header`.

    Attributes:
        policy: the message's own with CRLF as its line separator.
    """

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self._limit: int = policy.max_line_length or _NO_LIMIT
        self._kept = _keep(_folded, self._values(), {}, 16)

    def _values(self) -> Hashable:
        """Return all values of the policy that folding depends on."""
        policy = self.policy
        checked = getattr(policy, "verify_generated_headers", None)
        return type(policy), policy.max_line_length, policy.cte_type, checked

    def fetched(self, name: str, value: Any) -> str:
        """Return the value that `email.message.Message.get` finds, as text."""
        if type(value) is str and value.isascii():
            return value
        return str(self.policy.header_fetch_parse(name, value))

    def _plain(self, name: str, value: Any) -> str | None:
        """Return the line, without its end, if it is the field as it stands; None if it has to be folded."""
        if type(value) is not str:
            return None
        line = f"{name}: {value}"
        return line if len(line) <= self._limit and line.isascii() and line.isprintable() else None

    def _key(self, name: str, value: Any) -> Hashable | None:
        """Return what the folded form depends on beside the policy's values; None where that is not known."""
        if type(value) is not str or len(value) > _KEPT_LENGTH:
            return None
        # A program may change how text that is not ASCII is encoded.
        utf8 = email.header.UTF8  # type: ignore[attr-defined]  # not in typeshed
        return name, value, utf8.header_encoding, utf8.output_codec

    def write(self, items: Sequence[tuple[str, Any]]) -> bytes:
        """Return the fields and the empty line after them.

        Raises:
            Exception: whatever the standard library raises for a field.
        """
        lines: list[str] = []
        for index, (name, value) in enumerate(items):
            line = self._plain(name, value)
            if line is None:
                return _CRLF.join([*lines, ""]).encode("ascii") + self._fold(items[index:])
            lines.append(line)
        lines += ("", "")
        return _CRLF.join(lines).encode("ascii")

    def _fold(self, items: Sequence[tuple[str, Any]]) -> bytes:
        """Let the generator write the fields that are not plain; the others are put in between."""
        chunks: list[bytes] = []
        generator = email.generator.BytesGenerator(_Sink(chunks.append), policy=self.policy)
        generator._NL = _CRLF  # type: ignore[attr-defined]  # not in typeshed; flatten() sets it
        generator._write_headers(_Fields(self._hard(items, chunks)))  # type: ignore[attr-defined]  # not in typeshed
        return b"".join(chunks)

    def _hard(self, items: Sequence[tuple[str, Any]], chunks: list[bytes]) -> Iterator[tuple[str, Any]]:
        for name, value in items:
            line = self._plain(name, value)
            if line is not None:
                chunks.append(f"{line}{_CRLF}".encode("ascii"))
                continue
            key = self._key(name, value)
            kept = self._kept.get(key)
            if kept is not None:
                chunks.append(kept)
                continue
            count = len(chunks)
            yield name, value
            # Reached when the generator asks for the next one, having written this one.
            if len(chunks) == count:
                raise NotImplementedError("this generator writes its fields in another order")
            if key is not None:
                _keep(self._kept, key, b"".join(chunks[count:]), _KEPT)


class _Sink(NamedTuple):
    """A file to write to."""

    write: Callable[[bytes], None]


class _Fields(NamedTuple):
    """A message of which only the fields are asked for."""

    items: Iterator[tuple[str, Any]]

    def raw_items(self) -> Iterator[tuple[str, Any]]:
        return self.items


def _keep(kept: dict[Any, Any], key: Hashable, value: Any, most: int) -> Any:
    """Return the value for *key*, which is *value* unless there is one; forget everything when it becomes too much."""
    if key not in kept and len(kept) >= most:
        kept.clear()
    return kept.setdefault(key, value)


class _Modern(NamedTuple):
    """What the headers of `email.policy.EmailPolicy` are made of; loaded when a message has that policy."""

    policy: Any
    registry: Any
    default_map: dict[str, type]
    #: By the bases of a header's class: whether its text is that of its parse tree, by construction.
    classes: dict[tuple[type, ...], bool]
    tokens: type
    #: Returns the text of a parse tree, as ``str()`` does.
    text: Callable[[Any], str]
    state: Callable[[], tuple[object, ...]]
    was: tuple[object, ...]


@functools.cache
def _modern() -> _Modern:
    import email._header_value_parser
    import email.headerregistry
    import email.policy

    # Much of this is not in typeshed.
    parser: Any = email._header_value_parser
    registry: Any = email.headerregistry
    policies: Any = email.policy
    of_policy = operator.attrgetter("_fold", "fold_binary", "header_fetch_parse")
    of_base = operator.attrgetter("__new__", "fold", "name")
    of_tokens = operator.attrgetter("__str__", "fold")
    of_registry = operator.attrgetter("__call__", "__getitem__")

    def state() -> tuple[object, ...]:
        return (
            of_policy(policies.EmailPolicy),
            of_base(registry.BaseHeader),
            of_tokens(parser.TokenList),
            of_registry(registry.HeaderRegistry),
            parser._refold_parse_tree,
        )

    classes: dict[tuple[type, ...], bool] = {
        (kind, registry.BaseHeader): not issubclass(kind, registry.AddressHeader)
        for kind in (registry.UnstructuredHeader, *registry._default_header_map.values())
    }
    return _Modern(
        policies.EmailPolicy,
        registry.HeaderRegistry,
        dict(registry._default_header_map),
        classes,
        parser.TokenList,
        _text_of_trees(parser),
        state,
        state(),
    )


def _text_of_trees(parser: Any) -> Callable[[Any], str]:
    joins = parser.TokenList.__str__
    tokens = {kind for kind in vars(parser).values() if isinstance(kind, type) and issubclass(kind, parser.TokenList)}
    joined = frozenset(kind for kind in tokens if kind.__str__ is joins)
    value, space = parser.ValueTerminal, parser.WhiteSpaceTerminal

    def leaves(tokens: Any, append: Callable[[str], None]) -> None:
        for token in tokens:
            kind = token.__class__
            if kind is value or kind is space:
                append(token)
            elif kind in joined:
                leaves(token, append)
            else:
                append(str(token))

    def text(tree: Any) -> str:
        found: list[str] = []
        leaves((tree,), found.append)
        return "".join(found)

    return text


class _ModernHeaders(Headers):
    """The same under `email.policy.EmailPolicy`, whose values are text from a parser or header objects."""

    def __init__(self, policy: Any) -> None:
        super().__init__(policy)
        self._modern = _modern()
        # A parsed value that is not refolded is written as it was read.
        self._source_is_plain = policy.refold_source != "all"

    def _values(self) -> Hashable:
        return super()._values(), self.policy.utf8, self.policy.refold_source

    @functools.cached_property
    def _usual_factory(self) -> bool:
        factory, modern = self.policy.header_factory, self._modern
        return (
            type(factory) is modern.registry
            and factory.registry == modern.default_map
            and (factory.default_class, factory.base_class) in modern.classes
        )

    def fetched(self, name: str, value: Any) -> str:
        if hasattr(value, "name"):
            return str(value)
        if type(value) is not str or not self._usual_factory:
            return str(self.policy.header_fetch_parse(name, value))
        key = (name.lower(), value)
        if key not in _fetched:
            _keep(_fetched, key, str(self.policy.header_fetch_parse(name, value)), _KEPT)
        return _fetched[key]

    def _plain(self, name: str, value: Any) -> str | None:
        kind = type(value)
        if kind is str:
            return super()._plain(name, value) if self._source_is_plain else None
        known = self._modern.classes.get(kind.__bases__)
        # Only the registry makes classes that name its module as theirs; another one may fold as it likes.
        if known is None or kind.__module__ != "email.headerregistry" or not value._parse_tree:
            return None
        text = value if known else self._modern.text(value._parse_tree)
        line = f"{value.name}: {text}"
        return line if len(line) <= self._limit and line.isascii() and line.isprintable() else None

    def _key(self, name: str, value: Any) -> Hashable | None:
        # What a parser has read is folded by the policy's own factory, which may change from call to call.
        if not isinstance(value, str) or type(value) is str or len(value) > _KEPT_LENGTH:
            return None
        if type(value).__bases__ not in self._modern.classes or type(value).__module__ != "email.headerregistry":
            return None
        shape = self._shape(value._parse_tree)  # type: ignore[attr-defined]  # of email.headerregistry.BaseHeader
        return None if shape is None else (value.name, shape)  # type: ignore[attr-defined]  # as above

    def _shape(self, token: Any) -> Hashable | None:
        """Return a value that is equal for trees that are folded alike; None where that is not certain."""
        if token.defects:
            # One kind of defect has a say in the choice of a character set.
            return None
        kind = token.__class__
        own = [pair for pair in token.__dict__.items() if pair[0] != "defects"]
        if not issubclass(kind, self._modern.tokens):
            return kind, str.__str__(token), *own
        shapes = [self._shape(child) for child in token]
        return None if None in shapes else (kind, *own, *shapes)


def headers_for(policy: Any) -> Headers | None:
    """Return what writes the fields under *policy*, or None for a policy that is left to the standard library.

    Args:
        policy: with CRLF as its line separator.
    """
    if type(policy) is Compat32:
        known = _of_compat32(Compat32) == _COMPAT32 and _of_header(email.header.Header) == _HEADER
        return Headers(policy) if known else None
    modern = _modern()
    return _ModernHeaders(policy) if type(policy) is modern.policy and modern.state() == modern.was else None
