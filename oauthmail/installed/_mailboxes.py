"""Which logins are OAuth's: those of mailboxes that are set up, at the servers of whoever provides them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .. import providers
from ..account import Account
from ..errors import CredentialsError
from ..providers import Provider
from ..records import Record, key
from ..stores import Store

__all__ = ["Mailboxes", "serves"]


@dataclass
class Mailboxes:
    """The mailboxes of one `install`.

    Attributes:
        store: where they are set up.
        only: their addresses in lower case; None for all that are set up.
        hosts: servers that are trusted with tokens beside the providers' own, in lower case.
        allow_insecure: whether tokens may go to servers that nobody has verified.
        report: is told what becomes of each login, once.
    """

    store: Store
    only: frozenset[str] | None = None
    hosts: frozenset[str] = frozenset()
    allow_insecure: bool = False
    report: Callable[[str], object] | None = None
    _accounts: dict[str, Account] = field(default_factory=dict, init=False, repr=False)
    _told: set[str] = field(default_factory=set, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def find(self, user: object, host: str) -> Account | None:
        """Return the mailbox that logs in as *user* at *host*; None if that login is none of OAuth's.

        Args:
            user: what the script passed.
            host: of the server; empty if not known.

        Raises:
            StoreError: it cannot be told whether the mailbox is set up.
            CredentialsError: it is, but nobody knows its provider any more.
        """
        address = _address(user)
        if address is None or (self.only is not None and address not in self.only):
            return None
        if self.store.stamp(address) is None:
            self.tell(address, host, "not set up here, so its login was left as it is")
            return None
        account = self._accounts.get(address)
        if account is None:
            kept = self.store.load(address)
            # In upper and lower case as it was set up.
            account = self._accounts.setdefault(address, Account(kept.address if kept else address, store=self.store))
        record = account.record
        if record is None:
            return None
        if host and host not in self.hosts and not serves(account.provider, record, host):
            provider = account.provider
            self.tell(
                address,
                host,
                f"that is no server of {provider.name or provider.id}, where the mailbox is set up, so its login was "
                "left as it is",
            )
            return None
        self.tell(address, host, "logs in with OAuth; the password is not used")
        return account

    def tell(self, address: str, host: str, what: str) -> None:
        """Report, unless that was reported before."""
        if self.report is None:
            return
        text = f"{address} at {host or 'a server of unknown name'}: {what}"
        with self._lock:
            if text in self._told:
                return
            self._told.add(text)
        self.report(text)


def _address(user: object) -> str | None:
    """Return what a store may know *user* by; None for what is no address."""
    if isinstance(user, bytes | bytearray):
        user = user.decode("utf-8", "replace")
    if not isinstance(user, str):
        return None
    try:
        return key(user)
    except CredentialsError:
        return None


def serves(provider: Provider, record: Record, host: str) -> bool:
    """Tell whether *host* is a server of the provider.

    A user name can be the same at two services, such as Gmail and a company that sends newsletters; the second must not
    be given the token of the first.

    Args:
        provider: of the mailbox.
        record: the mailbox.
        host: in lower case.
    """
    kin: Iterable[Provider] = [provider]
    if record.definition is None:
        # Whoever issues the tokens runs these servers too: Microsoft has several entries in the table.
        issuer = _issuer(provider)
        kin = [known for known in providers.providers() if _issuer(known) == issuer] if issuer else kin
    hosts = {server.host.lower() for each in kin for name in providers.PROTOCOLS for server in each.servers(name)}
    domains = {domain for each in kin for domain in each.domains}
    if record.definition is None:
        # smtp.gmail.com has relatives; of servers that somebody described, nobody knows.
        domains |= {parent for known in hosts if "." in (parent := known.partition(".")[2])}
    return host in hosts or _below(host, domains)


def _issuer(provider: Provider) -> str | None:
    return urlsplit(provider.token_endpoint or "").hostname


def _below(host: str, domains: Collection[str]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)
