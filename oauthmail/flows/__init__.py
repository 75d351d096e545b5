"""How tokens are obtained, renewed and revoked: one function for each way, all of them over HTTPS.

The functions keep nothing: what they return is for a store, or for `oauthmail.Account`, which does both. Every one
takes ``http=``, an `HTTP` of the caller's own; without it one is made and closed for the call. What goes wrong at a
server is a `FlowError`; what was wrong before anything was sent, a `CredentialsError`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._code import authorization_code
    from ._device import DeviceCode, device_authorization
    from ._discovery import discover
    from ._grants import client_credentials, refresh, service_account
    from ._http import HTTP
    from ._oauth1 import authorize_oauth1
    from ._revocation import revoke
    from ._tokens import ScopeWarning, check_scope

__all__ = [
    "HTTP",
    "DeviceCode",
    "ScopeWarning",
    "authorization_code",
    "authorize_oauth1",
    "check_scope",
    "client_credentials",
    "device_authorization",
    "discover",
    "refresh",
    "revoke",
    "service_account",
]

_MODULES = {
    "_code": ("authorization_code",),
    "_device": ("DeviceCode", "device_authorization"),
    "_discovery": ("discover",),
    "_grants": ("client_credentials", "refresh", "service_account"),
    "_http": ("HTTP",),
    "_oauth1": ("authorize_oauth1",),
    "_revocation": ("revoke",),
    "_tokens": ("ScopeWarning", "check_scope"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
