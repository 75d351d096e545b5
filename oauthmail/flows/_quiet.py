"""Keeps secrets out of other libraries' logs and out of tracebacks, for as long as a flow uses them."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from .._redact import scrub

__all__ = ["private", "quiet"]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

# requests-oauthlib and oauthlib log whole requests and answers at DEBUG; urllib3 warns of headers that it cannot
# read, and where a server has left out the empty line, that is the answer's body.
_TALKATIVE = ("urllib3", "requests", "oauthlib", "requests_oauthlib", "charset_normalizer")

# The same libraries, and what they call with secrets in hand.
_HELPERS = frozenset({"requests", "urllib3", "http", "email", "oauthlib", "requests_oauthlib", "jwt", "cryptography"})

_silent: ContextVar[bool] = ContextVar("oauthmail_flow_silent", default=False)


class _Silence(logging.Filter):
    """Drops what is logged inside `quiet`; other threads and tasks have a context of their own."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _silent.get()


_SILENCE = _Silence()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let the HTTP and OAuth libraries log nothing of what happens inside, in this thread or task only."""
    # A logger's filters are not asked about the records of its children, so each has to have it. Adding it twice
    # does nothing, and outside of this block it lets everything pass.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _TALKATIVE:
            logging.getLogger(name).addFilter(_SILENCE)
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def private(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Have an exception leave *function* without secrets in the local variables of its traceback."""

    @functools.wraps(function)
    def guarded(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            scrub(error, _unchanged, _HELPERS)
            raise

    return guarded


def _unchanged(value: object) -> object:
    """Stand for a redaction: messages of ours are written without secrets."""
    return value
