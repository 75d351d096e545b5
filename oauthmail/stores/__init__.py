"""Where the tokens of mailboxes are kept: in memory, in files, or in the system's keyring.

All of them do the same (`Store`), so that whoever renews tokens need not know which one it is. Names are loaded when
first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._file import FileStore
    from ._keyring import KeyringStore
    from ._memory import MemoryStore
    from ._protocol import Store

__all__ = ["FileStore", "KeyringStore", "MemoryStore", "Store"]

_HOMES = {"FileStore": "_file", "KeyringStore": "_keyring", "MemoryStore": "_memory", "Store": "_protocol"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
