"""Reads a file, whichever it is."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import CredentialsError
from ..flows._quiet import private
from ._forms import FORMATS, FORMS
from ._found import Found

__all__ = ["read"]


@private
def read(content: bytes, form: str | None = None) -> Found:
    """Return what a file says.

    Args:
        content: of the file.
        form: the key of `FORMATS` that it is to be; otherwise it is recognised.

    Raises:
        CredentialsError: it is something else, which the message names, or it lacks something.
    """
    values = _values(_text(content))
    if form is None:
        _refuse_others(values)
        form = next((name for name, known in FORMS.items() if known.recognise(values)), None)
    if form is None:
        raise CredentialsError(
            f"this is of no kind that is known; these can be imported: {', '.join(FORMATS)} (--format names one)"
        )
    found = FORMS[form].read(values)
    if found.record is None and not found.refresh_token and not found.access_token:
        raise CredentialsError(f"this is the file of {FORMATS[form]}, but there are no tokens in it yet")
    return replace(found, format=form)


def _text(content: bytes) -> str:
    if content.startswith((b"-----BEGIN PGP MESSAGE", b"\x84", b"\x85", b"\x8c")):
        raise CredentialsError("this is encrypted: decrypt it first, as with  gpg --decrypt FILE | oauthmail import -")
    if content.startswith(b"\x80"):
        raise CredentialsError(
            "this is a pickle, which would run whatever is in it: load it in the program that wrote it, and write "
            "credentials.to_json() to a file"
        )
    if content.startswith((b"SQLite format 3", b"\x00", b"PK")):
        raise CredentialsError("this is no text: a database or archive cannot be imported")
    try:
        text: str | None = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # The exception holds all of it.
        text = None
    if text is None:
        raise CredentialsError("this is no text; it may be encrypted")
    if not text.strip():
        raise CredentialsError("this is empty")
    return text


def _values(text: str) -> Mapping[str, Any]:
    """Return the object that a text is, in JSON, as Python prints it, or as ``Name: value`` lines."""
    found: object = None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        # A token response that somebody has printed in Python.
        if text.lstrip().startswith(("{", "OAuth2Token")):
            inner = text.strip().removeprefix("OAuth2Token(").removesuffix(")")
            try:
                found = ast.literal_eval(inner)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                found = None
        else:
            found = dict(re.findall(r"^([A-Z][A-Za-z ]+): (\S+)\s*$", text, re.MULTILINE))
    if not isinstance(found, dict) or not found or not all(isinstance(name, str) for name in found):
        raise CredentialsError("this is neither JSON nor the output of a program that is known")
    return found


def _refuse_others(values: Mapping[str, Any]) -> None:
    """Say what to do with what is often taken for somebody's tokens."""
    if "installed" in values or "web" in values:
        raise CredentialsError(
            "this is an application, not somebody's tokens: oauthmail authorize ADDRESS --client-secrets FILE"
        )
    if values.get("type") == "service_account":
        raise CredentialsError(
            "this is a service account, not somebody's tokens: oauthmail authorize ADDRESS --provider google "
            "--client-secrets FILE"
        )
    if values.get("type") in ("external_account", "impersonated_service_account", "gdch_service_account"):
        raise CredentialsError("this is the identity of a workload, which cannot open a mailbox")
    if isinstance(values.get("AccessToken"), dict) and isinstance(values.get("RefreshToken"), dict):
        raise CredentialsError(
            "this is the token cache of MSAL; oauthmail takes an MSAL application as it is (see docs/quickstart.rst), "
            "or sign in again: oauthmail authorize ADDRESS --provider microsoft365 --client-id ID"
        )
    if "error" in values and "access_token" not in values:
        raise CredentialsError("this is the refusal of a token endpoint, not a token")
    if values.keys() <= {"client_id", "client_secret", "redirect_uri", "private_key", "certificate", "key_id"}:
        raise CredentialsError(
            "this is an application without tokens: oauthmail authorize ADDRESS --client-secrets FILE"
        )
