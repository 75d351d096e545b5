"""Messages to write out, and what the standard library makes of them."""

from __future__ import annotations

import ast
import copy
import email
import email.generator
import email.message
import email.policy
import functools
import io
import random
import sys
import textwrap
from collections.abc import Callable, Iterator
from email.generator import BytesGenerator
from email.message import Message
from pathlib import Path
from typing import Any

from oauthmail._flatten import flatten

POLICIES: dict[str, Any] = {
    "compat32": email.policy.compat32,
    "compat32, 7bit": email.policy.compat32.clone(cte_type="7bit"),
    "compat32, no limit": email.policy.compat32.clone(max_line_length=0),
    "default": email.policy.default,
    "default, 7bit": email.policy.default.clone(cte_type="7bit"),
    "default, mangled": email.policy.default.clone(mangle_from_=True),
    "SMTP": email.policy.SMTP,
    "SMTPUTF8": email.policy.SMTPUTF8,
    "HTTP": email.policy.HTTP,
    "strict": email.policy.strict,
    "short": email.policy.SMTP.clone(max_line_length=30),
    "all refolded": email.policy.default.clone(refold_source="all"),
    "none refolded": email.policy.default.clone(refold_source="none"),
    "a factory of its own": email.policy.EmailPolicy(),
}

#: A message, or what makes the same one at every call.
Maker = Callable[[], Message]


def parents_way(message: Message, *, utf8: bool = False) -> bytes:
    """Write *message* as `smtplib.SMTP.send_message` does."""
    duplicate = copy.copy(message)
    del duplicate["Bcc"]
    del duplicate["Resent-Bcc"]
    with io.BytesIO() as out:
        policy: Any = message.policy
        generator = BytesGenerator(out, policy=policy.clone(utf8=True)) if utf8 else BytesGenerator(out)
        generator.flatten(duplicate, linesep="\r\n")
        return out.getvalue()


def state(message: Any) -> Any:
    """Return all that a caller could see of a message, and of all that is in it."""
    if not isinstance(message, Message):
        return message
    inner = message.__dict__.copy()
    payload = inner.pop("_payload", None)
    fields = [
        (name, type(value).__name__, value if isinstance(value, str) else repr(vars(value)))
        for name, value in inner.pop("_headers", [])
    ]
    inner["policy"] = id(inner.get("policy"))
    inner["defects"] = list(map(repr, inner.get("defects", [])))
    return fields, inner, list(map(state, payload)) if isinstance(payload, list) else payload


def outcome(write: Callable[..., bytes], make: Maker, utf8: bool, seed: int = 1) -> Any:
    """Return what was written, or the exception, with what then is of the message and of the random numbers."""
    message = make()
    random.seed(seed)
    try:
        written: Any = write(message, utf8=utf8)
    except Exception as error:
        # What was drawn before it failed is of no use to anybody.
        return type(error), error.args, state(message)
    return written, state(message), random.getstate()


def assert_alike(make: Maker, *, utf8: bool = False, seed: int = 1) -> None:
    ours, theirs = outcome(flatten, make, utf8, seed), outcome(parents_way, make, utf8, seed)
    assert ours[0] == theirs[0]
    assert ours == theirs


def corpus() -> tuple[list[bytes], list[str]]:
    """Return the messages in CPython's own tests: the files, and the literals that look like messages.

    Raises:
        ImportError: this Python was installed without its tests.
    """
    import test.test_email as suite

    folder = Path(suite.__file__).parent
    files = [path.read_bytes() for path in sorted((folder / "data").iterdir()) if path.is_file()]
    literals: dict[str, None] = {}
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                literals.update(dict.fromkeys(as_messages(node.value)))
    return files, list(literals)


def parsing(source: bytes | str, policy: Any) -> Maker | None:
    """Return what parses *source*; None if the parser has an exception for it, so that there is no message."""
    parse: Any = email.message_from_bytes if isinstance(source, bytes) else email.message_from_string
    make = functools.partial(parse, source, policy=policy)
    try:
        make()
    except Exception:
        return None
    return make


def as_messages(literal: str | bytes) -> Iterator[str]:
    text = literal.decode("ascii", "surrogateescape") if isinstance(literal, bytes) else literal
    if (":" in text and "\n" in text) or ": " in text:
        yield textwrap.dedent(text).removeprefix("\\\n")


#: The functions of the generator that go over a message; one that only folds a field is not among them.
_STEPS = frozenset({"_write", "_dispatch", "_handle_text", "_handle_multipart", "_handle_message", "_write_lines"})


def generated(call: Callable[[], object]) -> list[str]:
    """Return the names of the generator's functions that *call* went through, in order."""
    found: list[str] = []

    def note(frame: Any, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_name in _STEPS and code.co_filename == email.generator.__file__:
            found.append(code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return found
