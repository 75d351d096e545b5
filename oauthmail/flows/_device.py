"""The device flow (RFC 8628): a person enters a code in a browser anywhere, while the program keeps asking."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..applications import Application
from ..credentials import OAuth2Credentials
from ..errors import CredentialsError, FlowError
from ..providers import Provider
from ._client import prove
from ._grants import joined
from ._http import HTTP, Answer, using
from ._quiet import private
from ._tokens import lifetime, refusal, token_request

__all__ = ["DeviceCode", "device_authorization"]

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

# Seconds, where the server names none that can be meant (RFC 8628 section 3.2 for the interval).
_INTERVAL = 5.0
_LIFE = 900.0

# Seconds; nobody waits longer in front of a code.
_LONGEST_LIFE = 86400.0
_LONGEST_INTERVAL = 300.0

# RFC 8628 section 3.5: what slow_down adds for good.
_SLOW_DOWN = 5.0


@dataclass(frozen=True)
class DeviceCode:
    """What the person has to be shown.

    Attributes:
        user_code: to be entered there.
        verification_uri: the address to open, anywhere.
        verification_uri_complete: the same with the code in it, as for a QR code, or None.
        expires_at: when the code is no good any more, in seconds since the epoch.
        interval: seconds between two questions of the program to the server.
        message: all of it in a sentence; the provider's, where it has one.
    """

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_at: float
    interval: float
    message: str


@private
def device_authorization(
    provider: Provider,
    application: Application,
    *,
    scope: Collection[str],
    show: Callable[[DeviceCode], None],
    http: HTTP | None = None,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
) -> OAuth2Credentials:
    """Sign somebody in who has a browser elsewhere (RFC 8628).

        C: POST /device_authorization, client_id=...&scope=...
        S: 200, {"device_code": ..., "user_code": "WDJB-MJHT", "verification_uri": ..., "interval": 5, ...}
        C: POST /token, grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=...&client_id=...
        S: 400, {"error": "authorization_pending"}, until the person has decided

    It ends when the person has decided or the code has expired; Ctrl-C ends it earlier.

    Args:
        provider: one whose device flow gives scopes for mail.
        application: a client that may use it.
        scope: what to ask for.
        show: is given what the person has to see, once.
        http: see the package.
        now: the clock, in seconds since the epoch.
        sleep: waits for so many seconds.

    Raises:
        CredentialsError: the provider does not give scopes for mail in this way; nothing was sent.
        FlowError: the person said no (``access_denied``), the code has expired (``expired_token``), or the server
            refused.
    """
    if provider.device_flow_for_mail is False:
        raise CredentialsError(
            f"the device flow of {provider.name or provider.id} gives no access to mail: sign in with a browser "
            "(authorization code) instead"
        )
    with using(http, provider.ca_file) as client:
        # Said before somebody takes the trouble to enter a code.
        client.check(provider.token_endpoint, "token endpoint")
        device_code, shown = _request(client, provider, application, scope, now)
        show(shown)
        return _poll(client, provider, application, device_code, shown, scope, now, sleep)


def _request(
    http: HTTP, provider: Provider, application: Application, scope: Collection[str], now: Callable[[], float]
) -> tuple[str, DeviceCode]:
    url = http.check(provider.device_authorization_endpoint, "device authorization endpoint")
    proof = prove(provider, application, provider.token_endpoint or url, now())
    # Section 3.1 wants the client_id in the form also where the client proves itself in a header.
    fields = {"client_id": application.client_id, **proof.fields, **({"scope": joined(scope)} if scope else {})}
    answer = http.post(url, fields, auth=proof.auth, secrets=proof.secrets)
    content = answer.json()
    if not answer.ok or "error" in content:
        raise refusal(answer, content, provider=provider.id, grant_type=DEVICE_CODE)
    return _shown(answer, content, now())


def _shown(answer: Answer, content: Mapping[str, Any], now: float) -> tuple[str, DeviceCode]:
    """Take the answer of RFC 8628 section 3.2 apart."""
    device_code, user_code = content.get("device_code"), content.get("user_code")
    # Google's name for it is older than the RFC.
    address = _address(content.get("verification_uri", content.get("verification_url")))
    if not (isinstance(device_code, str) and device_code.isprintable() and device_code):
        raise answer.unusable("no device_code")
    if not (isinstance(user_code, str) and re.fullmatch(r"[\x21-\x7e ]{1,100}", user_code)) or address is None:
        raise answer.unusable("no user_code and verification_uri that can be shown")
    life = lifetime(content.get("expires_in")) or _LIFE
    interval = lifetime(content.get("interval")) or _INTERVAL
    return device_code, DeviceCode(
        user_code,
        address,
        _address(content.get("verification_uri_complete", content.get("verification_url_complete"))),
        now + min(life, _LONGEST_LIFE),
        min(interval, _LONGEST_INTERVAL),
        answer.words(content.get("message")) or f"Open {address} in a browser and enter the code {user_code}",
    )


def _address(value: object) -> str | None:
    """Return an address that a person can be sent to: a terminal shows it, and somebody may click on it."""
    usable = isinstance(value, str) and re.fullmatch(r"(?i:https?)://[\x21-\x7e]{1,2000}", value)
    return str(value) if usable else None


def _poll(
    http: HTTP,
    provider: Provider,
    application: Application,
    device_code: str,
    shown: DeviceCode,
    scope: Collection[str],
    now: Callable[[], float],
    sleep: Callable[[float], object],
) -> OAuth2Credentials:
    """Ask until the person has decided (section 3.5)."""
    fields = {"grant_type": DEVICE_CODE, "device_code": device_code}
    interval = wait = shown.interval
    while (left := shown.expires_at - now()) > 0:
        # The last question may come when the code has expired by our clock: the server's is the one that counts.
        sleep(min(wait, max(left, interval)))
        try:
            return token_request(http, provider, application, fields, asked=scope, now=now, retry=False)
        except FlowError as error:
            if error.error == "slow_down":
                interval += _SLOW_DOWN
            elif error.error != "authorization_pending" and not error.temporary:
                raise
            # "exponential backoff, such as doubling the polling interval on each such connection timeout"
            pending = error.error in ("slow_down", "authorization_pending")
            wait = interval if pending else min(2 * wait, _LONGEST_INTERVAL)
    raise FlowError(
        "expired_token", "the code was not entered in time", hint="Start again, and enter the new code sooner"
    )
