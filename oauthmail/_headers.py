"""Header fields as `email.generator.BytesGenerator` writes them with CRLF, in less time.

A field in printable ASCII that fits its line is written as it stands under every policy of the standard library that is
modelled here. Everything else is folded by the standard library; what it made of a field is kept for the next message
that has the same one, as mail to many people has.
"""

from __future__ import annotations

import contextlib
import email.generator
import email.header
import functools
import operator
import re
import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from email._policybase import Compat32
from typing import Any, NamedTuple

__all__ = ["Headers", "getter", "headers_for", "is_known"]

_CRLF = "\r\n"
# What the standard library takes for "no limit", and enough for both of its ways to fold.
_NO_LIMIT = 1_000_000
# How many folded fields are kept for each set of policy values, and the length in characters up to which they are.
_KEPT = 256
_KEPT_LENGTH = 1000
# After as many fields of a message that had to be folded, all others are: looking for another way does not pay.
_HARD = 16

# A boundary that the standard library drew. Whatever its digits are, the field is folded alike.
_DIGITS = len(repr(sys.maxsize - 1))
_DRAWN = re.compile(rf"={{15}}[0-9]{{{_DIGITS}}}==")
_PLACE = f"{'=' * 15}{'0' * _DIGITS}=="

_folded: dict[Hashable, dict[Hashable, str]] = {}
_fetched: dict[tuple[str, str], str] = {}


def getter(owner: object, *names: str) -> Callable[[Any], Any]:
    """Return what gets those of *names* that *owner* has; a later Python may lack some."""
    return operator.attrgetter("__class__", *(name for name in names if hasattr(owner, name)))


_of_compat32 = getter(Compat32, "_fold", "_sanitize_header", "fold_binary", "header_fetch_parse")
_of_header = getter(email.header.Header, "__init__", "append", "encode")
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
        """Return the field, without its line end, if it can be told without folding it; else None."""
        kind = type(value)
        if kind is not str:
            return value.line if kind is _Folded else None
        if not value.isascii():
            return None
        line = f"{name}: {value}"
        return line if len(line) <= self._limit and line.isascii() and line.isprintable() else None

    def _key(self, name: str, value: Any, drawn: str = "") -> Hashable | None:
        """Return what the folded form depends on beside the policy's values; None where that is not known.

        Args:
            name: of the field.
            value: of the field.
            drawn: a boundary within it, instead of which any other may stand.
        """
        if type(value) is not str or len(value) > _KEPT_LENGTH:
            return None
        # A program may change how text that is not ASCII is encoded.
        utf8 = email.header.UTF8  # type: ignore[attr-defined]  # not in typeshed
        text = value.replace(drawn, _PLACE) if drawn else value
        return name, text, utf8.header_encoding, utf8.output_codec

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

    def set_boundary(self, message: Any, boundary: str) -> None:
        """Do as ``message.set_boundary`` does, to a message of which only `write` will see the fields."""
        places = [index for index, (name, _) in enumerate(message._headers) if name.lower() == "content-type"]
        key = None
        if len(places) == 1 and len(boundary) == len(_PLACE):
            key = self._key(*message._headers[places[0]])
        if key is None:
            message.set_boundary(boundary)
            return
        (index,) = places
        key = "boundary", key
        if key not in self._kept:
            message.set_boundary(boundary)
            with contextlib.suppress(Exception):
                # Whatever is wrong with the field is told when it is written.
                folded = self.write(message._headers[index : index + 1])
                self._keep_folded(key, folded.removesuffix(b"\r\n"), boundary)
        kept = self._kept.get(key)
        if kept is not None:
            line = kept.replace(_PLACE, boundary).removesuffix(_CRLF)
            message._headers[index] = message._headers[index][0], _Folded(line)

    def _fold(self, items: Sequence[tuple[str, Any]]) -> bytes:
        """Let the generator write the fields that have to be folded; the others are put in between."""
        chunks: list[bytes] = []
        generator = email.generator.BytesGenerator(_Sink(chunks.append), policy=self.policy)
        generator._NL = _CRLF  # type: ignore[attr-defined]  # not in typeshed; flatten() sets it
        generator._write_headers(_Fields(self._hard(items, chunks)))  # type: ignore[attr-defined]  # not in typeshed
        return b"".join(chunks)

    def _hard(self, items: Sequence[tuple[str, Any]], chunks: list[bytes]) -> Iterator[tuple[str, Any]]:
        """Yield the fields that have to be folded, and add the others to *chunks*."""
        hard = 0
        for index, (name, value) in enumerate(items):
            line = self._plain(name, value)
            if line is not None:
                chunks.append(f"{line}{_CRLF}".encode("ascii"))
                continue
            hard += 1
            if hard == _HARD and not any(type(value) is _Folded for _, value in items[index:]):
                yield from items[index:]
                return
            drawn = ""
            if isinstance(value, str) and "===" in value:
                found = _DRAWN.findall(value)
                drawn = found[0] if len(found) == 1 else ""
            key = self._key(name, value, drawn)
            kept = self._kept.get(key)
            if kept is not None:
                chunks.append((kept.replace(_PLACE, drawn) if drawn else kept).encode("ascii"))
                continue
            count = len(chunks)
            yield name, value
            # Reached when the generator asks for the next one, having written this one.
            if len(chunks) == count:
                raise NotImplementedError("this generator writes its fields in another order")
            if key is not None:
                self._keep_folded(key, b"".join(chunks[count:]), drawn)

    def _keep_folded(self, key: Hashable, folded: bytes, drawn: str) -> None:
        if folded.isascii() and (not drawn or folded.count(drawn.encode("ascii")) == 1):
            text = folded.decode("ascii")
            _keep(self._kept, key, text.replace(drawn, _PLACE) if drawn else text, _KEPT)


class _Folded(NamedTuple):
    """A value with the whole field as it is written, without its line end."""

    line: str


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
    #: Returns the text of a parse tree, as ``str()`` does.
    text: Callable[[Any], str]
    #: Returns a value that is equal for trees that are folded alike; None where that is not certain.
    shape: Callable[[Any, str], Hashable | None]
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

    of_policy = getter(policies.EmailPolicy, "_fold", "fold_binary", "header_fetch_parse")
    of_base = getter(registry.BaseHeader, "__new__", "fold", "name")
    of_tokens = getter(parser.TokenList, "__str__", "fold")
    of_registry = getter(registry.HeaderRegistry, "__call__", "__getitem__")
    of_parser = getter(parser, "_refold_parse_tree", "get_unstructured")

    def state() -> tuple[object, ...]:
        return (
            of_policy(policies.EmailPolicy),
            of_base(registry.BaseHeader),
            of_tokens(parser.TokenList),
            of_registry(registry.HeaderRegistry),
            of_parser(parser),
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
        *_of_trees(parser),
        state,
        state(),
    )


def _of_trees(parser: Any) -> tuple[Callable[[Any], str], Callable[[Any, str], Hashable | None]]:
    """Return the functions ``text`` and ``shape`` of `_Modern`."""
    lists: Any = parser.TokenList
    kinds = {kind for kind in vars(parser).values() if isinstance(kind, type) and issubclass(kind, lists)}
    joined = frozenset(kind for kind in kinds if kind.__str__ is lists.__str__)
    terminals = (parser.ValueTerminal, parser.WhiteSpaceTerminal)
    value, space = terminals

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

    def parts(tokens: Any, append: Callable[[object], None], drawn: str) -> None:
        for token in tokens:
            if token.defects:
                # One kind of defect has a say in the choice of a character set.
                raise ValueError
            kind = token.__class__
            append(kind)
            if kind is value or kind is space:
                append(token.token_type)
                append(token.replace(drawn, _PLACE) if drawn else str.__str__(token))
                continue
            own = token.__dict__
            if len(own) > 1:
                append(tuple([pair for pair in own.items() if pair[0] != "defects"]))
            if kind in kinds:
                append(len(token))
                parts(token, append, drawn)
            else:
                append(str.__str__(token))

    def shape(tree: Any, drawn: str) -> Hashable | None:
        found: list[object] = []
        try:
            parts((tree,), found.append, drawn)
            key = tuple(found)
            hash(key)
        except (TypeError, ValueError):
            return None
        return key

    return text, shape


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
            return self._source(name, value) if self._source_is_plain and value.isascii() else None
        if kind is _Folded:
            return super()._plain(name, value)
        known = self._modern.classes.get(kind.__bases__)
        # Only the registry makes classes that name its module as theirs; another one may fold as it likes.
        if known is None or kind.__module__ != "email.headerregistry" or not value._parse_tree:
            return None
        text = value if known else self._modern.text(value._parse_tree)
        line = f"{value.name}: {text}"
        return line if len(line) <= self._limit and line.isascii() and line.isprintable() else None

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
        if type(value).__bases__ not in self._modern.classes or type(value).__module__ != "email.headerregistry":
            return None
        header: Any = value
        shape = self._modern.shape(header._parse_tree, drawn)
        return None if shape is None else (header.name, shape)


def is_known(policy: Any) -> bool:
    """Tell whether `headers_for` knows such policies, and the standard library is as it was."""
    if type(policy) is Compat32:
        return _of_compat32(Compat32) == _COMPAT32 and _of_header(email.header.Header) == _HEADER
    modern = _modern()
    return bool(type(policy) is modern.policy and modern.state() == modern.was)


def headers_for(policy: Any) -> Headers:
    """Return what writes the fields under *policy*, which is known, and has CRLF as its line separator."""
    return Headers(policy) if type(policy) is Compat32 else _ModernHeaders(policy)
