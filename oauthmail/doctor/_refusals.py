"""What it means that a token could not be had, or was refused.

The advice itself is that of `oauthmail.hints` and `oauthmail.endpoint_hints`; what is added is what a check knows and a
client does not: what the token says of itself, and whether it is fresh.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..credentials import OAuth2Credentials
from ..errors import AuthenticationError, CredentialsError, FlowError, StoreError
from ..signin import ALONE
from ._claims import Claims, foreign_audience, missing_scope, read
from ._network import days
from ._problems import TroubleError, trouble

if TYPE_CHECKING:
    from ._mailbox import Mailbox

__all__ = ["login_trouble", "no_token"]

# Characters of a token above which a line with it may be too long for a server (RFC 2449 and 4954 have 255 and 512
# for the whole line; servers in use take some thousand).
_LONG = 1000


def no_token(address: str, error: FlowError) -> TroubleError:
    """Return what it means that the provider gave no token."""
    said = _said(error)
    if error.temporary:
        return trouble("token_later", what=said)
    problem = "authorize_again" if error.authorize_again else "token"
    return trouble(problem, what=said, hint=_cure(address, error))


def _said(error: FlowError) -> str:
    return f"{error.error}: {error.error_description}" if error.error_description else error.error


def _cure(address: str, error: FlowError) -> str:
    command = f"oauthmail authorize {address}"
    if not error.authorize_again or command in error.hint:
        return error.hint
    return f"{error.hint or 'Sign in again'} ({command})"


def login_trouble(
    mailbox: Mailbox, error: Exception, protocol: str, values: Mapping[str, object]
) -> TroubleError | None:
    """Return what a failed login means; None where it was the connection that failed.

    Args:
        mailbox: whose login it was.
        error: what the client raised.
        protocol: ``"smtp"``, ``"imap"`` or ``"pop"``.
        values: what the texts of problems are filled with.
    """
    mailbox.look_again()
    refusal = _refusal(error)
    if refusal is not None:
        return _refused(mailbox, refusal, error, protocol, values)
    if isinstance(error, FlowError):
        return no_token(mailbox.address, error)
    if isinstance(error, CredentialsError | StoreError):
        return trouble("token", what=str(error), hint="")
    return _too_long(mailbox, values)


def _refusal(error: BaseException | None) -> AuthenticationError | None:
    """Return the server's refusal: the exception itself, or what a renewal that failed came upon."""
    while error is not None and not isinstance(error, AuthenticationError):
        error = error.__context__
    return error


def _refused(
    mailbox: Mailbox, refusal: AuthenticationError, error: Exception, protocol: str, values: Mapping[str, object]
) -> TroubleError:
    reply = refusal.server_reply
    if refusal.token_refused or refusal.status in ("403", "insufficient_scope"):
        told = _by_its_own_words(mailbox, protocol)
        if told is not None:
            return trouble(told[0], reply=reply, **{**values, **told[1]})
    if isinstance(error, FlowError):
        return trouble("not_renewed", reply=reply, what=_said(error), hint=_cure(mailbox.address, error))
    # RFC 4954 section 6 and what servers make of it: 500 and 501 are about the line, not about what is in it.
    if (reply.startswith(("500", "501")) or "too long" in reply.lower()) and (long := _too_long(mailbox, values)):
        return long
    if refusal.token_refused and mailbox.fresh:
        return _fresh_refused(mailbox, reply, protocol, values)
    return trouble("refused", reply=reply, hint=refusal.hint)


def _by_its_own_words(mailbox: Mailbox, protocol: str) -> tuple[str, dict[str, object]] | None:
    """Return the problem that a refused token tells of itself, and what fills its texts."""
    held = mailbox.credentials
    if not isinstance(held, OAuth2Credentials):
        return None
    claims, now, wanted = read(held.access_token) or Claims(), time.time(), mailbox.wanted(protocol)
    if claims.expires_at is not None and claims.expires_at <= now:
        return "token_expired", {"ago": days(now - claims.expires_at)}
    if expected := foreign_audience(claims.audience, wanted):
        return "wrong_audience", {"audience": ", ".join(claims.audience), "expected": expected}
    granted = claims.scope or held.scope
    if missing := missing_scope(granted, wanted):
        return "missing_scope", {"missing": " ".join(missing), "granted": " ".join(granted)}
    owner = claims.owner or (read(held.id_token) or Claims()).owner
    if owner is not None and owner.lower() != mailbox.user.lower():
        return "wrong_user", {"owner": owner, "user": mailbox.user}
    return None


def _fresh_refused(mailbox: Mailbox, reply: str, protocol: str, values: Mapping[str, object]) -> TroubleError:
    if mailbox.record is not None and mailbox.record.flow in ALONE:
        permissions = mailbox.provider.application_permissions if mailbox.provider is not None else {}
        permission = permissions.get(protocol) or "for service accounts, the domain-wide delegation"
        return trouble("application_refused", reply=reply, permission=permission, **values)
    return trouble("fresh_token_refused", reply=reply, user=mailbox.user, **values)


def _too_long(mailbox: Mailbox, values: Mapping[str, object]) -> TroubleError | None:
    length = len(mailbox.access_token or "")
    return trouble("token_too_long", length=length, **values) if length > _LONG else None
