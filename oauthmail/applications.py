"""Who asks for tokens: an application's registration at a provider, or a service account.

Both are frozen values that do not show their secrets. Files that providers hand out are recognised by what is in
them, and so are those that are often taken for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .credentials import _private, check_text
from .errors import CredentialsError

__all__ = ["Application", "ServiceAccount", "application_from", "load_application"]

# No key file is longer than a few kilobytes; what is longer is some other file.
_LARGEST = 1 << 20


@_private
@dataclass(frozen=True)
class Application:
    """A registered client (RFC 6749 section 2).

    Attributes:
        client_id: its name at the provider; the *client key* of OAuth 1.0a.
        client_secret: None for a public client.
        private_key: in PEM, to prove who it is by signing in place of a secret (``private_key_jwt``, RFC 7523).
        certificate: in PEM, the one that was uploaded for the key; Microsoft wants its fingerprint.
        key_id: the key's ``kid``, where the provider gave it one.
        redirect_uri: as registered, for those that have registered something other than a loopback address.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False, kw_only=True)
    certificate: str | None = field(default=None, repr=False, kw_only=True)
    key_id: str | None = field(default=None, kw_only=True)
    redirect_uri: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_text("client_id", self.client_id)
        for name in ("client_secret", "key_id", "redirect_uri"):
            if getattr(self, name) is not None:
                check_text(name, getattr(self, name))
        for name, what in (("private_key", "PRIVATE KEY"), ("certificate", "CERTIFICATE")):
            _check_pem(name, what, getattr(self, name))


@_private
@dataclass(frozen=True)
class ServiceAccount:
    """An account that belongs to an application, and may act for the users of a domain (RFC 7523).

    Attributes:
        client_email: its name.
        private_key: in PEM.
        private_key_id: the key's ``kid``, or None.
        token_uri: the token endpoint that its file names, or None for the provider's.
        client_id: the number that an administrator enters for domain-wide delegation, or None.
    """

    client_email: str
    private_key: str = field(repr=False)
    private_key_id: str | None = field(default=None, kw_only=True)
    token_uri: str | None = field(default=None, kw_only=True)
    client_id: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_text("client_email", self.client_email)
        for name in ("private_key_id", "token_uri", "client_id"):
            if getattr(self, name) is not None:
                check_text(name, getattr(self, name))
        if not self.private_key:
            raise CredentialsError("the private_key is empty")
        _check_pem("private_key", "PRIVATE KEY", self.private_key)


def _check_pem(name: str, what: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise CredentialsError(f"the {name} must be a str, not {type(value).__name__}")
    if "ENCRYPTED PRIVATE KEY" in value or "Proc-Type: 4,ENCRYPTED" in value:
        raise CredentialsError(f"the {name} is encrypted: decrypt it first (openssl pkey -in FILE -out FILE)")
    if f"{what}-----" not in value:
        raise CredentialsError(f"the {name} must be PEM, with a line like -----BEGIN {what}-----")


def load_application(path: str | Path) -> Application | ServiceAccount:
    """Read the file that a provider's console offers for download.

    Raises:
        CredentialsError: some other file; the message says which kind it is and what to do with it.
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        content = file.read(_LARGEST + 1)
    try:
        if len(content) > _LARGEST:
            raise ValueError
        values = json.loads(content)
    except ValueError as error:
        raise CredentialsError(f"{path} is not JSON: expected a client secret or service account file") from error
    try:
        return application_from(values)
    except CredentialsError as error:
        raise CredentialsError(f"{path}: {error}") from error


def application_from(values: object) -> Application | ServiceAccount:
    """Take what such a file holds: Google's ``{"installed": …}`` and ``{"web": …}``, service accounts, plain keywords.

    Raises:
        CredentialsError: none of these.
    """
    if not isinstance(values, Mapping):
        raise CredentialsError(f"expected a JSON object, not {type(values).__name__}")
    if values.get("type") == "service_account":
        return ServiceAccount(
            **_taken(values, "client_email", "private_key", "private_key_id", "token_uri", "client_id")
        )
    for form in ("installed", "web"):
        if isinstance(values.get(form), Mapping):
            return _google(values[form], web=form == "web")
    if values.get("type") == "authorized_user" or {"refresh_token", "client_id"} <= values.keys():
        raise CredentialsError("this file holds a user's token, not an application: import it as a mailbox's token")
    if "access_token" in values or "refresh_token" in values:
        raise CredentialsError("this is the answer of a token endpoint, not an application's registration")
    if values.get("type") == "external_account":
        raise CredentialsError(
            "workload identity files cannot open mailboxes: use a service account or a user's sign-in"
        )
    names = ("client_id", "client_secret", "private_key", "certificate", "key_id", "redirect_uri")
    if "client_id" not in values or not values.keys() <= set(names):
        raise CredentialsError(
            "expected a client secret file of Google's ('installed' or 'web' at its top), a service account file, or "
            f"an object with {', '.join(names)}"
        )
    return Application(**_taken(values, *names))


def _google(values: Mapping[str, Any], *, web: bool) -> Application:
    if "client_id" not in values:
        raise CredentialsError("the file has no client_id")
    redirect_uri = None
    if web:
        # A client of the web type has its addresses registered to the letter; only a loopback one can be served here.
        uris = [uri for uri in values.get("redirect_uris", ()) if isinstance(uri, str)]
        redirect_uri = next((uri for uri in uris if uri.startswith(("http://127.0.0.1", "http://localhost"))), None)
    return Application(values["client_id"], values.get("client_secret"), redirect_uri=redirect_uri)


def _taken(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if values.get(name) is not None}
