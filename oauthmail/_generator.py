"""What is known of `email.generator.BytesGenerator`, and of the messages that it writes.

`_flatten` does the generator's work where the result is certain, which it is for a generator and for messages that
nobody has changed.
"""

from __future__ import annotations

import copy
import email.generator
import email.message
import functools
import io
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from email.message import Message

__all__ = ["UTF8", "by_generator", "getter", "handlers", "telling", "unchanged", "usual"]

# A value that one kind of policy has, and the other refuses.
UTF8: dict[str, Any] = {"utf8": True}


def getter(owner: object, *names: str) -> Callable[[Any], Any]:
    """Return what gets those of *names* that *owner* has; a later Python may lack some."""
    return operator.attrgetter("__class__", *(name for name in names if hasattr(owner, name)))


# The standard library's own; those of email.mime are added when they are met, so that they need not be loaded.
_CLASSES: set[type] = {email.message.Message, email.message.MIMEPart, email.message.EmailMessage}
_MIME = "email.mime."

# What the generator asks of a message. Who answers otherwise than the standard library is left to the generator.
_ASKED = (
    "__delitem__",
    "__getattribute__",
    "__reduce_ex__",
    "__setattr__",
    "_get_params_preserve",
    "get",
    "get_boundary",
    "get_content_maintype",
    "get_content_subtype",
    "get_content_type",
    "get_default_type",
    "get_param",
    "get_payload",
    "is_multipart",
    "raw_items",
    "set_boundary",
)
_ANSWERS = frozenset({*_ASKED, "_write_headers"})
_of_message = getter(email.message.Message, *_ASKED)
_MESSAGE = _of_message(email.message.Message)

# What this module does instead of the generator; a program may have changed it.
_of_generator = getter(
    email.generator.BytesGenerator,
    "__init__",
    "_compile_re",
    "_dispatch",
    "_encode",
    "_handle_multipart",
    "_handle_text",
    "_make_boundary",
    "_new_buffer",
    "_write",
    "_writeBody",
    "_write_headers",
    "_write_lines",
    "clone",
    "flatten",
    "write",
)
_of_module = getter(email.generator, "BytesGenerator", "NLCRE", "_has_surrogates", "fcre")
_GENERATOR = _of_generator(email.generator.BytesGenerator)
_MODULE = _of_module(email.generator)
# Or it was changed before this module was imported.
_PRISTINE = {function.__module__ for function in _GENERATOR[1:]} == {email.generator.__name__}


def by_generator(message: Message, utf8: bool) -> bytes:
    """Do as `smtplib.SMTP.send_message` does."""
    duplicate = copy.copy(message)
    del duplicate["Bcc"]
    del duplicate["Resent-Bcc"]
    out = io.BytesIO()
    # The policy decides about "From " at the start of a line only where it is passed here; else it becomes ">From ".
    values: Any = {"policy": message.policy.clone(**UTF8)} if utf8 else {}
    email.generator.BytesGenerator(out, **values).flatten(duplicate, linesep="\r\n")
    return out.getvalue()


def usual(part: Any) -> bool:
    """Tell whether *part* answers the generator as the standard library's messages do."""
    kind = type(part)
    if kind not in _CLASSES:
        if not kind.__module__.startswith(_MIME):
            return False
        _CLASSES.add(kind)
    return _of_message(kind) == _MESSAGE and _ANSWERS.isdisjoint(part.__dict__) and not hasattr(kind, "_write_headers")


def unchanged() -> bool:
    """Tell whether the generator is the standard library's own."""
    generator = email.generator
    return _PRISTINE and _of_module(generator) == _MODULE and _of_generator(generator.BytesGenerator) == _GENERATOR


@functools.lru_cache(256)
def handlers(content_type: str) -> tuple[str, str]:
    """Return the names under which the generator looks for what writes such a part, by type and by main type."""
    content_type = content_type.strip().lower()
    main, sub = content_type.split("/") if content_type.count("/") == 1 else ("text", "plain")
    return f"_handle_{main}_{sub}".replace("-", "_"), f"_handle_{main}".replace("-", "_")


def telling(policy: Any) -> Message:
    """Return a message with something of everything that this module writes by itself."""
    message: Any = email.message.Message(policy)
    message["To"] = '"A, B" <a@example.com>, c (d) <e@example.com>'
    message["Cc"] = f"{'c' * 50}@example.com, d@example.com, {'e' * 40}@example.com"
    message["Subject"] = f"{'f' * 60} g  {'h' * 60} i {'j' * 70}"
    message["Comments"] = "b" * 77
    message["Date"] = "Mon, 01 Jan 2024 10:00:00 +0000"
    message["Message-ID"] = "<1@example.com>"
    message["Content-Type"] = 'multipart/mixed; boundary="b"'
    message.preamble, message.epilogue = "From\r1\n", "From 2"
    message._payload = []
    # The longest value that is not folded, the shortest that is, and odd ones.
    values = (f"a {'b' * 73}", f"a {'b' * 74}", "", " a  b ")
    texts = ("", None, "From 3\n\rFrom 4\r\n.\r\r\nFrom 5", "line\r\n", "octet \udce9\n\r")
    for text, value in zip(texts, (*values, "a\n b"), strict=True):
        part: Any = email.message.Message(policy)
        part._headers = [("X", value), ("Content-Transfer-Encoding", "8bit")]
        part._payload = text
        if "\n" not in value:
            part["X"] = value
        message._payload.append(part)
    return cast("Message", message)
