"""What is kept of a mailbox: who asked for its tokens, where, and the tokens.

A record is a frozen value; stores keep it as a JSON object. Nothing here reads a file or a clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .applications import Application, ServiceAccount
from .credentials import OAuth1Credentials, OAuth2Credentials, check_text
from .errors import CredentialsError

__all__ = ["FLOWS", "VERSION", "Record", "decode", "encode", "key"]

#: How tokens were obtained, which decides how they are renewed.
FLOWS = ("authorization_code", "device", "client_credentials", "service_account", "oauth1", "imported")

#: Of the JSON form; a later one is left alone.
VERSION = 1
_CLASSES: dict[str, type[Any]] = {"application": Application, "service_account": ServiceAccount}
_TOKENS: dict[str, type[Any]] = {"oauth1": OAuth1Credentials, "oauth2": OAuth2Credentials}


@dataclass(frozen=True)
class Record:
    """One mailbox that has been set up.

    Attributes:
        address: the mailbox.
        provider: id in the provider table, or ``definition`` describes it.
        flow: one of `FLOWS`.
        application: who asks for tokens; None where nobody can any more (an imported access token).
        credentials: the tokens; None before the first token of a flow that needs no person.
        user: whose sign-in it was, where that is somebody else than the mailbox (shared mailboxes); or None.
        tenant: Microsoft's tenant, or None.
        scope: what was asked for.
        definition: the provider's own definition where it is not in the table (`Provider.definition`), or None.
        renew_ahead: seconds before its end at which the token is renewed.
        authorized_at: when somebody signed in, in seconds since the epoch; None where nobody had to.
        renewed_at: when the token was last obtained or renewed.
    """

    address: str
    provider: str
    flow: str
    application: Application | ServiceAccount | None = None
    credentials: OAuth2Credentials | OAuth1Credentials | None = None
    user: str | None = None
    tenant: str | None = None
    scope: tuple[str, ...] = ()
    definition: Mapping[str, object] | None = field(default=None, repr=False)
    renew_ahead: float = 60
    authorized_at: float | None = None
    renewed_at: float | None = None

    def __post_init__(self) -> None:
        check_text("address", self.address)
        check_text("provider", self.provider)
        for name in ("user", "tenant"):
            if getattr(self, name) is not None:
                check_text(name, getattr(self, name))
        if self.flow not in FLOWS:
            raise CredentialsError(f"the flow must be one of {', '.join(FLOWS)}")


def key(address: str) -> str:
    """Return what stores file a mailbox under: the address in lower case, as people write it either way."""
    return check_text("address", address).lower()


def encode(record: Record) -> str:
    """Return *record* as JSON, for people to read, with every secret in it."""
    values: dict[str, object] = {"version": VERSION}
    for known in fields(record):
        value = getattr(record, known.name)
        if value is None or value == ():
            continue
        values[known.name] = _encoded(value)
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _encoded(value: object) -> object:
    for kind, cls in (*_CLASSES.items(), *_TOKENS.items()):
        if isinstance(value, cls):
            held = {known.name: getattr(value, known.name) for known in fields(cls)}
            return {"kind": kind, **{name: item for name, item in held.items() if item not in (None, ())}}
    return value


def decode(text: str | bytes) -> Record:
    """Return the record that `encode` made *text* of.

    Raises:
        ValueError: it is something else; the message says what, and holds nothing of the text.
    """
    try:
        values = json.loads(text)
    except ValueError:
        # json's exception carries the whole document with it.
        raise ValueError("it is not JSON") from None
    if not isinstance(values, dict) or "version" not in values:
        raise ValueError("it is JSON, but no record of a mailbox")
    if values.pop("version") != VERSION:
        raise ValueError("it was written by a later version of oauthmail")
    known = {item.name for item in fields(Record)}
    # What a later version adds is not understood here, and would be lost at the next renewal.
    if not values.keys() <= known or not {"address", "provider", "flow"} <= values.keys():
        raise ValueError("it is JSON, but not the record of a mailbox that this version understands")
    for name, classes in (("application", _CLASSES), ("credentials", _TOKENS)):
        if name in values:
            values[name] = _decoded(name, values[name], classes)
    values["scope"] = _texts(values.get("scope", []))
    for name in ("renew_ahead", "authorized_at", "renewed_at"):
        if name in values and (isinstance(values[name], bool) or not isinstance(values[name], int | float)):
            raise ValueError(f"{name} is not a number")
    if not isinstance(values.get("definition", {}), dict):
        raise ValueError("definition is not an object")
    return Record(**values)


def _decoded(name: str, value: object, classes: Mapping[str, type[Any]]) -> Any:
    held = dict(value) if isinstance(value, dict) else {}
    cls = classes.get(str(held.pop("kind", "")))
    if cls is None or not held.keys() <= {item.name for item in fields(cls)}:
        raise ValueError(f"{name} is of no kind that this version understands")
    if "scope" in held:
        held["scope"] = _texts(held["scope"])
    if cls is OAuth2Credentials and not isinstance(held.get("expires_at", 0), int | float):
        raise ValueError("expires_at is not a number")
    try:
        return cls(**held)
    except TypeError:
        raise ValueError(f"{name} lacks a member") from None


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("scope is not a list of texts")
    return tuple(value)
