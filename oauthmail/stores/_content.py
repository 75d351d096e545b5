"""Whether what a store holds is a record, and what to say where it is not."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from .._redact import scrub
from ..errors import StoreError
from ..records import VERSION, Record, decode, encode, key

__all__ = ["LARGEST", "Damage", "private", "text_of", "understand"]

#: In bytes. No record is longer than some ten thousand; what is longer is something else.
LARGEST = 1 << 20

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Damage:
    """What is there in place of a record.

    Attributes:
        problem: what is wrong with it, without a word of it.
        later: whether it is nothing worse than the record of a later version, which nobody may touch.
    """

    problem: str
    later: bool = False

    def error(self, place: str, aside: str, filename: str | None = None) -> StoreError:
        """Return the exception that says so.

        Args:
            place: the file, or the entry of a keyring.
            aside: what it will be called when a new record takes its place.
            filename: for the exception, if it is a file.
        """
        if self.later:
            cure = "update oauthmail, or keep tokens in another folder (OAUTHMAIL_HOME) for this version"
            return StoreError(f"{place} cannot be used: {self.problem}: {cure}", filename=filename)
        cure = f"authorize the mailbox again, which keeps what is there now as {aside}"
        return StoreError(f"{place} is damaged: {self.problem}: {cure}", filename=filename)


def text_of(record: Record) -> str:
    """Return the record as stores keep it.

    Raises:
        StoreError: it is too long to be read again.
    """
    text = encode(record)
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise StoreError(f"the record of {key(record.address)} is longer than {LARGEST} bytes: it was not saved")
    return text


def understand(content: bytes, address: str) -> Record | Damage:
    """Return the record that *content* is, if it is this address's."""
    if len(content) > LARGEST:
        return Damage(f"it is longer than {LARGEST} bytes")
    try:
        record = decode(content)
    except (ValueError, RecursionError) as error:
        return Damage("it is nested too deeply" if isinstance(error, RecursionError) else str(error), _later(content))
    if key(record.address) != key(address):
        return Damage(f"it is the record of {key(record.address)}")
    return record


def _later(content: bytes) -> bool:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return False
    version = values.get("version") if isinstance(values, dict) else None
    return isinstance(version, int) and version > VERSION


def private(method: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Have the exceptions of a method, whatever they are, show no local variable of a frame that saw a record."""

    @functools.wraps(method)
    def guarded(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return method(*args, **kwargs)
        except BaseException as error:
            scrub(error, lambda value: value)
            raise

    return guarded
