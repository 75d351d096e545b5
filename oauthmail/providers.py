"""Providers of mail: their servers, endpoints and scopes, as a table that is looked up by id or mail domain.

The table is ``providers.json`` beside this module, where other programs can read it, too. It names no client ids:
every application registers its own.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from .credentials import check_text
from .errors import CredentialsError

__all__ = ["PROTOCOLS", "Provider", "Server", "custom", "for_address", "get", "load", "providers"]

PROTOCOLS = ("smtp", "imap", "pop")

_SECURITY = ("tls", "starttls")
_PORTS = {("smtp", "tls"): 465, ("smtp", "starttls"): 587, ("imap", "tls"): 993, ("imap", "starttls"): 143}
_PORTS |= {("pop", "tls"): 995, ("pop", "starttls"): 110}
_ENDPOINTS = (
    "issuer",
    "discovery",
    "authorization_endpoint",
    "token_endpoint",
    "device_authorization_endpoint",
    "revocation_endpoint",
    "oauth1_request_endpoint",
    "oauth1_authorization_endpoint",
    "oauth1_token_endpoint",
)


@dataclass(frozen=True)
class Server:
    """A mail server.

    Attributes:
        host: its name, as TLS verifies it.
        port: TCP port.
        security: ``"tls"`` from the start, or ``"starttls"``.
    """

    host: str
    port: int
    security: str = "tls"


@dataclass(frozen=True)
class Provider:
    """One entry of the table, or a provider of the user's own.

    ``{tenant}`` in an address stands for Microsoft's tenant; see `with_tenant`.

    Attributes:
        id: short name, such as ``"google"``.
        name: for people.
        domains: mail domains that are surely this provider's.
        oauth: False where no OAuth for mail is known; `note` then says what there is instead.
        note: a sentence for people, or empty.
        smtp: servers for sending, the preferred one first.
        imap: servers for reading.
        pop: the same, for POP3.
        mechanisms: SASL mechanisms by protocol.
        issuer: the issuer identifier (RFC 8414), or None.
        discovery: address of the discovery document, or None.
        authorization_endpoint: where the browser goes (RFC 6749 section 3.1).
        token_endpoint: where tokens come from (section 3.2).
        device_authorization_endpoint: RFC 8628 section 3.1.
        revocation_endpoint: RFC 7009 section 2.
        oauth1_request_endpoint: temporary credentials (RFC 5849 section 2.1).
        oauth1_authorization_endpoint: RFC 5849 section 2.2.
        oauth1_token_endpoint: RFC 5849 section 2.3.
        xoauth_url: request URL of the XOAUTH login, with ``{user}`` and ``{protocol}`` to be filled in, or None.
        scopes: what to ask for, by protocol.
        extra_scopes: further scopes that are worth knowing.
        offline_parameters: added to the authorization request to be given a refresh token.
        offline_scope: added to the scopes for the same purpose, or None.
        client_credentials: whether the client credentials grant opens mailboxes.
        client_credentials_scope: what is asked for then, or None.
        application_permissions: what an administrator grants for it, by protocol.
        jwt_bearer: whether service accounts open mailboxes (RFC 7523).
        device_flow_for_mail: whether the device flow gives mail scopes; None where that is not known.
        tenants: what ``{tenant}`` may be; empty where addresses have none.
        token_endpoint_auth_method: how the client's secret travels (RFC 7591 section 2).
        redirect_uri_on_refresh: whether a refresh request repeats the redirect URI.
        loopback_host: host of the loopback redirect URI, as it is registered.
        redirect_path: path of it.
        renew_ahead: seconds before its end at which a token is renewed.
        refresh_token_days: days unused after which a refresh token is known to be dead, or None.
        pop_two_step_required: whether POP3's AUTH must be sent without its initial response.
        ca_file: certificates of the authorities that the provider's servers are checked with, in place of the
            system's; for mail servers of one's own.
        details: what else the table holds, such as lifetimes in words.
        unverified: which of all this nobody has confirmed.
        sources: where it comes from.
    """

    id: str
    name: str = ""
    domains: tuple[str, ...] = ()
    oauth: bool = True
    note: str = ""
    smtp: tuple[Server, ...] = ()
    imap: tuple[Server, ...] = ()
    pop: tuple[Server, ...] = ()
    mechanisms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    issuer: str | None = None
    discovery: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    device_authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None
    oauth1_request_endpoint: str | None = None
    oauth1_authorization_endpoint: str | None = None
    oauth1_token_endpoint: str | None = None
    xoauth_url: str | None = None
    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    extra_scopes: Mapping[str, str] = field(default_factory=dict)
    offline_parameters: Mapping[str, str] = field(default_factory=dict)
    offline_scope: str | None = None
    client_credentials: bool = False
    client_credentials_scope: str | None = None
    application_permissions: Mapping[str, str] = field(default_factory=dict)
    jwt_bearer: bool = False
    device_flow_for_mail: bool | None = None
    tenants: tuple[str, ...] = ()
    token_endpoint_auth_method: str = "client_secret_post"  # noqa: S105  # a name of RFC 7591
    redirect_uri_on_refresh: bool = False
    loopback_host: str = "127.0.0.1"
    redirect_path: str = "/"
    renew_ahead: float = 60
    refresh_token_days: int | None = None
    pop_two_step_required: bool = False
    ca_file: str | None = None
    details: Mapping[str, object] = field(default_factory=dict, repr=False)
    unverified: tuple[str, ...] = field(default=(), repr=False)
    sources: tuple[str, ...] = field(default=(), repr=False)

    def scope(self, protocols: Iterable[str] = PROTOCOLS) -> tuple[str, ...]:
        """Return the scopes to ask for to use *protocols*, and what makes the provider issue a refresh token.

        Raises:
            CredentialsError: none of the protocols can be used with OAuth here.
        """
        wanted = dict.fromkeys(scope for protocol in protocols for scope in self.scopes.get(protocol, ()))
        if not wanted:
            raise CredentialsError(f"{self.name or self.id} has no OAuth scope for {', '.join(protocols)}")
        return (*wanted, *((self.offline_scope,) if self.offline_scope and self.offline_scope not in wanted else ()))

    def servers(self, protocol: str) -> tuple[Server, ...]:
        """Return the servers of ``"smtp"``, ``"imap"`` or ``"pop"``, the preferred one first."""
        found: tuple[Server, ...] = {"smtp": self.smtp, "imap": self.imap, "pop": self.pop}[protocol]
        return found

    def with_tenant(self, tenant: str | None) -> Provider:
        """Return the provider with ``{tenant}`` filled in by *tenant*, or by ``common`` where that is None.

        Raises:
            CredentialsError: a tenant that is no name or id of one, or a provider that has none.
        """
        if not self.tenants:
            if tenant is not None:
                raise CredentialsError(f"{self.name or self.id} has no tenants: leave tenant out")
            return self
        chosen = self.tenants[0] if tenant is None else tenant
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", chosen):
            raise CredentialsError("a tenant is common, organizations, consumers, a tenant id or its domain")
        filled = {
            name: value.replace("{tenant}", chosen)
            for name in _ENDPOINTS
            if isinstance(value := getattr(self, name), str)
        }
        return replace(self, **filled)  # type: ignore[arg-type]  # every one of them is text

    def definition(self) -> dict[str, object]:
        """Return what `custom` takes to make this provider again, as JSON can hold it; defaults are left out."""
        result: dict[str, object] = {}
        for known in fields(self):
            value = getattr(self, known.name)
            default = known.default_factory() if known.default_factory is not MISSING else known.default
            if value != default:
                result[known.name] = _plain(value)
        return result


def _plain(value: object) -> object:
    if isinstance(value, Server):
        return {"host": value.host, "port": value.port, "security": value.security}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


@functools.cache
def providers() -> tuple[Provider, ...]:
    """Return the whole table."""
    table = json.loads(Path(__file__).with_name("providers.json").read_text("utf-8"))
    return tuple(_from_table(entry) for entry in table["providers"])


def _from_table(entry: Mapping[str, Any]) -> Provider:
    known = {item.name for item in fields(Provider)}
    return custom(
        **{name: value for name, value in entry.items() if name in known},
        details={name: value for name, value in entry.items() if name not in known},
    )


def get(provider_id: str) -> Provider:
    """Return the provider of that id.

    Raises:
        CredentialsError: there is none; the message lists those that are there.
    """
    for provider in providers():
        if provider.id == provider_id:
            return provider
    known = ", ".join(provider.id for provider in providers())
    raise CredentialsError(
        f"no provider has the id {provider_id!r}; there are {known}; describe any other one in a TOML file"
    )


def for_address(address: str) -> Provider | None:
    """Return the provider of a mail address by its domain (and its subdomains), or None.

    Domains of companies say nothing about who hosts their mail: None is the usual answer for them.
    """
    domain = address.rpartition("@")[2].lower().rstrip(".")
    for provider in providers():
        if any(domain == known or domain.endswith(f".{known}") for known in provider.domains):
            return provider
    return None


def custom(**definition: Any) -> Provider:
    """Return a provider of the user's own.

    Args:
        definition: the attributes of `Provider`; a server may be ``"host"``, ``"host:port"``, a mapping with
            ``host``, ``port``, ``security``, or a list of these; scopes by protocol may be a text with blanks or a
            list, and one text or list stands for all three protocols.

    Raises:
        CredentialsError: an attribute that is not known, or a value of the wrong kind.
    """
    known = {item.name: item for item in fields(Provider)}
    for name in definition:
        if name not in known:
            raise CredentialsError(f"a provider has no {name!r}; it has {', '.join(known)}")
    values: dict[str, Any] = {"id": "custom", **definition}
    check_text("provider's id", values["id"])
    for name in PROTOCOLS:
        values[name] = _servers(name, values.get(name, ()))
    values["scopes"] = _scopes(values.get("scopes", {}))
    values["mechanisms"] = {key: tuple(found) for key, found in dict(values.get("mechanisms", {})).items()}
    for name in ("domains", "tenants", "unverified", "sources"):
        values[name] = _texts(name, values.get(name, ()))
    for name in (*_ENDPOINTS, "xoauth_url", "ca_file"):
        if values.get(name) is not None:
            check_text(name, values[name])
    for name in ("oauth", "client_credentials", "jwt_bearer", "redirect_uri_on_refresh", "pop_two_step_required"):
        if not isinstance(values.get(name, False), bool):
            raise CredentialsError(f"{name} must be true or false")
    ahead = values.get("renew_ahead", 0)
    if isinstance(ahead, bool) or not isinstance(ahead, int | float) or not 0 <= ahead < 86400:
        raise CredentialsError("renew_ahead must be a number of seconds")
    return Provider(**values)


def load(path: str | Path) -> Provider:
    """Return the provider that a TOML file describes, with the attributes of `Provider` as its keys.

    A file like this is enough::

        id = "example"
        domains = ["example.org"]
        smtp = "mail.example.org:587"
        imap = "mail.example.org"
        issuer = "https://auth.example.org"
        scopes = "mail offline_access"

    Raises:
        CredentialsError: no TOML, or not a provider.
        OSError: the file cannot be read.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        definition = tomllib.loads(Path(path).read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CredentialsError(f"{path} is not a TOML file: {error}") from error
    return custom(**{"id": Path(path).stem, **definition})


def _servers(protocol: str, given: object) -> tuple[Server, ...]:
    if isinstance(given, str | Mapping | Server):
        given = [given]
    if not isinstance(given, list | tuple):
        raise CredentialsError(f"{protocol} must be a server or a list of servers")
    return tuple(_server(protocol, item) for item in given)


def _server(protocol: str, given: object) -> Server:
    if isinstance(given, Server):
        return given
    if isinstance(given, str):
        host, colon, digits = given.rpartition(":")
        with_port = colon and digits.isascii() and digits.isdigit()
        given = {"host": host, "port": int(digits)} if with_port else {"host": given}
    if not isinstance(given, Mapping) or not given.keys() <= {"host", "port", "security"}:
        raise CredentialsError(f"a server of {protocol} has host, port and security")
    port: object = given.get("port")
    security: object = given.get("security")
    if security is None:
        security = "starttls" if port in (_PORTS[protocol, "starttls"], 25) else "tls"
    if not isinstance(security, str) or security not in _SECURITY:
        raise CredentialsError(f"the security of a server of {protocol} is tls or starttls")
    port = _PORTS[protocol, security] if port is None else port
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        raise CredentialsError(f"the port of a server of {protocol} must be a number up to 65535")
    return Server(check_text(f"host of {protocol}", given.get("host")), port, security)


def _scopes(given: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, Mapping):
        given = dict.fromkeys(PROTOCOLS, given)
    if not given.keys() <= set(PROTOCOLS):
        raise CredentialsError(f"scopes are given by protocol: {', '.join(PROTOCOLS)}")
    return {protocol: _texts("scopes", scopes) for protocol, scopes in given.items()}


def _texts(name: str, given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        given = given.split()
    if not isinstance(given, list | tuple) or not all(isinstance(item, str) for item in given):
        raise CredentialsError(f"{name} must be text or a list of texts")
    return tuple(given)
