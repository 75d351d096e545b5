"""The end of an authorization (RFC 7009)."""

from __future__ import annotations

import time

from ..applications import Application
from ..credentials import OAuth2Credentials
from ..errors import FlowError
from ..providers import Provider
from ._client import prove
from ._http import HTTP, using
from ._quiet import private
from ._tokens import refusal

__all__ = ["revoke"]

# Where a person takes access away, for providers of the table whose page is known.
_PAGES = {"google": "https://myaccount.google.com/permissions"}

# The server does not take back this kind of token, or the token was dead already: Google says so with invalid_token.
_UNSUPPORTED = "unsupported_token_type"
_DEAD = "invalid_token"


@private
def revoke(
    provider: Provider,
    application: Application | None,
    credentials: OAuth2Credentials,
    *,
    http: HTTP | None = None,
) -> None:
    """Have the provider forget the tokens: the refresh token first, which ends its access tokens, too.

        C: POST /revoke, token=...&token_type_hint=refresh_token&client_id=...
        S: 200

    A token that the provider does not know any more is no error.

    Args:
        provider: who issued them.
        application: to whom; None where nobody knows any more, which some providers take.
        credentials: the tokens.
        http: see the package.

    Raises:
        CredentialsError: the endpoint's address cannot be used; nothing was sent.
        FlowError: ``revocation_not_supported`` where the provider has no endpoint for it (nothing was sent) or takes
            back neither kind of token; the hint says where a person does it. Else the server's refusal.
    """
    if provider.revocation_endpoint is None:
        raise _by_hand(provider)
    revoked = False
    with using(http, provider.ca_file) as client:
        for hint, token in (("refresh_token", credentials.refresh_token), ("access_token", credentials.access_token)):
            if token is not None:
                revoked |= _revoke(client, provider, application, token, hint)
    if not revoked:
        raise _by_hand(provider)


def _revoke(http: HTTP, provider: Provider, application: Application | None, token: str, hint: str) -> bool:
    """Return False when the server does not take back this kind of token."""
    url = http.check(provider.revocation_endpoint, "revocation endpoint")
    fields = {"token": token, "token_type_hint": hint}
    if application is None:
        answer = http.post(url, fields, secrets=(token,))
    else:
        proof = prove(provider, application, provider.token_endpoint or url, time.time())
        answer = http.post(url, {**fields, **proof.fields}, auth=proof.auth, secrets=(token, *proof.secrets))
    if answer.ok:
        # Section 2.2: the content of the answer is ignored.
        return True
    content = answer.json()
    if content.get("error") == _UNSUPPORTED:
        return False
    if content.get("error") == _DEAD:
        return True
    raise refusal(answer, content, provider=provider.id)


def _by_hand(provider: Provider) -> FlowError:
    page = _PAGES.get(provider.id)
    where = f"at {page}" if page else "in the account's security settings"
    return FlowError(
        "revocation_not_supported",
        f"{provider.name or provider.id} does not take tokens back from programs",
        hint=f"Remove the application's access {where}",
    )
