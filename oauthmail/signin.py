"""Which flow gives a mailbox its tokens, and which one renews them.

The one place that knows the flows by name: `obtain` is called when somebody sets a mailbox up, `renew` ever after.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import flows
from .applications import Application, ServiceAccount
from .credentials import OAuth1Credentials, OAuth2Credentials
from .errors import CredentialsError, FlowError
from .records import Record

if TYPE_CHECKING:
    from .providers import Provider

__all__ = ["ALONE", "Person", "completed", "flow_for", "obtain", "renew", "scope_for"]

#: Flows that ask nobody: their tokens are obtained anew rather than refreshed.
ALONE = ("client_credentials", "service_account")


@dataclass(frozen=True)
class Person:
    """How the person who signs in is reached.

    Attributes:
        login_hint: the address that the provider's page is to show.
        open_browser: shows an address; None for the system's browser.
        show: is told the address when no browser could be opened; None to print it.
        paste: is given the address and returns the one that the browser ended at, or a verification code; then no
            browser is opened and nothing listens.
        show_device: is told what to type where (RFC 8628); None to print it.
        timeout: seconds that the person may take.
    """

    login_hint: str | None = None
    open_browser: Callable[[str], object] | None = None
    show: Callable[[str], None] | None = None
    paste: Callable[[str], str] | None = None
    show_device: Callable[[flows.DeviceCode], None] | None = None
    timeout: float = 300.0
    now: Callable[[], float] = field(default=time.time, repr=False)


def completed(provider: Provider, http: flows.HTTP) -> Provider:
    """Return the provider with the endpoints that its issuer tells, where it names an issuer and none of them."""
    if provider.issuer is None or provider.token_endpoint is not None or provider.oauth1_token_endpoint is not None:
        return provider
    known = {name: value for name, value in provider.definition().items() if name != "issuer"}
    return flows.discover(provider.issuer, http=http, **known)


def flow_for(provider: Provider, application: Application | ServiceAccount) -> str:
    """Return the flow that fits, where none was named."""
    if isinstance(application, ServiceAccount):
        return "service_account"
    if provider.token_endpoint is None and provider.oauth1_token_endpoint is not None:
        return "oauth1"
    return "authorization_code"


def scope_for(provider: Provider, flow: str, protocols: Collection[str]) -> tuple[str, ...]:
    """Return the scopes to ask for."""
    if flow == "oauth1":
        return ()
    if flow == "client_credentials" and provider.client_credentials_scope is not None:
        return (provider.client_credentials_scope,)
    scope = provider.scope(protocols)
    # Nobody has to be asked again for these tokens, so there is nothing to be offline for.
    return tuple(name for name in scope if name != provider.offline_scope) if flow in ALONE else scope


def obtain(
    flow: str,
    provider: Provider,
    application: Application | ServiceAccount,
    *,
    address: str,
    scope: tuple[str, ...],
    person: Person,
    http: flows.HTTP,
) -> OAuth2Credentials | OAuth1Credentials:
    """Go through *flow* and return what it gives.

    Raises:
        CredentialsError: the flow is not known, or not for this application or provider.
        FlowError: refused, or nobody answered.
    """
    if flow == "service_account":
        if not isinstance(application, ServiceAccount):
            raise CredentialsError("the service account flow needs a ServiceAccount, such as load_application() reads")
        return flows.service_account(provider, application, subject=address, scope=scope, http=http, now=person.now)
    if isinstance(application, ServiceAccount):
        raise CredentialsError(f"a service account cannot go through the {flow} flow: leave flow out")
    if flow == "client_credentials":
        return flows.client_credentials(provider, application, scope=scope, http=http, now=person.now)
    if flow == "device":
        return flows.device_authorization(
            provider, application, scope=scope, show=person.show_device or _print_device, http=http, now=person.now
        )
    browser = {} if person.open_browser is None else {"open_browser": person.open_browser}
    if flow == "oauth1":
        return flows.authorize_oauth1(
            provider,
            application,
            show=person.show or _print_address,
            verifier=person.paste,
            login_hint=person.login_hint,
            timeout=person.timeout,
            http=http,
            **browser,
        )
    if flow != "authorization_code":
        raise CredentialsError(
            "the flow must be authorization_code, device, client_credentials, service_account or oauth1"
        )
    return flows.authorization_code(
        provider,
        application,
        scope=scope,
        login_hint=person.login_hint,
        show=person.show or _print_address,
        paste=person.paste,
        timeout=person.timeout,
        http=http,
        now=person.now,
        **browser,
    )


def renew(
    record: Record, provider: Provider, *, http: flows.HTTP, now: Callable[[], float] = time.time
) -> OAuth2Credentials:
    """Return the next tokens of a mailbox; whoever calls keeps them at once.

    Raises:
        FlowError: refused; ``authorize_again`` where somebody has to sign in.
    """
    application, held = record.application, record.credentials
    if isinstance(application, ServiceAccount):
        return flows.service_account(
            provider, application, subject=record.address, scope=record.scope, http=http, now=now
        )
    if application is not None and record.flow == "client_credentials":
        return flows.client_credentials(provider, application, scope=record.scope or None, http=http, now=now)
    if application is None or not isinstance(held, OAuth2Credentials):
        raise FlowError(
            "authorization_required",
            hint=f"Sign in again: oauthmail authorize {record.address}",
            authorize_again=True,
        )
    return flows.refresh(provider, application, held, http=http, now=now)


def _print_address(address: str) -> None:
    print(f"Open this address in a browser:\n\n  {address}\n", file=sys.stderr, flush=True)


def _print_device(code: flows.DeviceCode) -> None:
    print(f"Open {code.verification_uri} in a browser and type the code {code.user_code}", file=sys.stderr, flush=True)
