"""The token request (RFC 6749 section 3.2) and what comes of it; every OAuth 2 flow ends here."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ..applications import Application
from ..credentials import OAuth2Credentials
from ..endpoint_hints import LATER, advise
from ..errors import CredentialsError, FlowError
from ..providers import Provider
from ._client import Proof, prove
from ._http import HTTP, Answer

__all__ = ["ScopeWarning", "check_scope", "credentials_from", "lifetime", "refusal", "token_request"]

# What a token request may hold that opens something.
_SECRET_FIELDS = ("code", "code_verifier", "refresh_token", "device_code", "assertion", "token")

# No access token lives for ten years: a server that says so means something else, such as milliseconds.
_LONGEST_LIFE = 10 * 366 * 86400

# What does not show in the scope of a token, as it is about the sign-in, and stands for whatever was granted.
_NEVER_MISSING = ("offline_access", "openid", "profile", "email", "address", "phone")


class ScopeWarning(UserWarning):
    """Less was granted than was asked for, so that some of the mail servers may refuse the token."""


def token_request(
    http: HTTP,
    provider: Provider,
    application: Application | None,
    fields: Mapping[str, str],
    *,
    asked: Collection[str] = (),
    secrets: Collection[str] = (),
    now: Callable[[], float] = time.time,
    retry: bool = True,
) -> OAuth2Credentials:
    """Ask the provider's token endpoint for tokens.

        C: POST /token, grant_type=refresh_token&refresh_token=...&client_id=...
        S: 200, {"access_token": ..., "token_type": "Bearer", "expires_in": 3600, ...}

    Args:
        http: what carries the request.
        provider: its ``token_endpoint`` and ``token_endpoint_auth_method`` are used.
        application: who asks; None where *fields* prove it, as a service account's do.
        fields: of the form, ``grant_type`` among them; what the application adds is not.
        asked: the scopes that were asked for; they are what is granted when the answer does not say (section 5.1).
        secrets: further texts that the server's words must not show.
        now: the clock, in seconds since the epoch.
        retry: whether temporary failures are tried again at once; a flow that polls does that itself.

    Returns:
        What was issued. That less was granted than asked is no error here, and nothing is warned of: what has been
        issued must be stored first. `check_scope` tells.

    Raises:
        CredentialsError: there is no endpoint to ask, or no way to prove who asks; nothing was sent.
        FlowError: the server refused, or answered with something else than tokens.
    """
    url = http.check(provider.token_endpoint, "token endpoint")
    proof = Proof({}, None, ()) if application is None else prove(provider, application, url, now())
    hidden = [*secrets, *proof.secrets, *(fields[name] for name in _SECRET_FIELDS if name in fields)]
    answer = http.post(url, {**fields, **proof.fields}, auth=proof.auth, secrets=hidden, retry=retry)
    content = answer.json()
    if not answer.ok or "error" in content:
        raise refusal(answer, content, provider=provider.id, grant_type=fields.get("grant_type", ""))
    return credentials_from(answer, content, asked=asked, now=now())


def refusal(answer: Answer, content: Mapping[str, Any], *, provider: str = "", grant_type: str = "") -> FlowError:
    """Return the exception for an answer of the form of RFC 6749 section 5.2.

    Args:
        answer: with the server's status.
        content: its JSON.
        provider: id in the table of providers, for the advice.
        grant_type: of the request, for the advice.
    """
    error = answer.words(content.get("error"), 100)
    if not error:
        return answer.unusable("an error without a name")
    codes = content.get("error_codes")
    advice = advise(
        error,
        description := answer.words(content.get("error_description")),
        codes=[code for code in codes if isinstance(code, int)] if isinstance(codes, list) else (),
        subtype=answer.words(content.get("error_subtype"), 100),
        provider=provider,
        grant_type=grant_type,
    )
    temporary = advice.temporary or (answer.temporary and not advice.authorize_again)
    return FlowError(
        error,
        description,
        hint=advice.hint or (LATER if temporary else ""),
        temporary=temporary,
        authorize_again=advice.authorize_again,
    )


def credentials_from(
    answer: Answer, content: Mapping[str, Any], *, asked: Collection[str] = (), now: float
) -> OAuth2Credentials:
    """Return the tokens in a successful answer (RFC 6749 section 5.1).

    Only the access token and its type have to be right. Everything else that cannot be used counts as not there: a
    refresh token that works once is lost if the answer is thrown away for the sake of its other members.
    """
    token_type = content.get("token_type", "Bearer")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        shown = answer.words(token_type, 50) or type(token_type).__name__
        raise FlowError(
            "invalid_response", f"{answer.host} issued a token of type {shown}; mail servers take Bearer tokens only"
        )
    life = lifetime(content.get("expires_in"))
    scope = _scope(content.get("scope"))
    credentials = None
    try:
        credentials = OAuth2Credentials(
            content.get("access_token"),  # type: ignore[arg-type]  # it is checked there
            refresh_token=_text(content.get("refresh_token")),
            expires_at=None if life is None else now + life,
            scope=tuple(asked) if scope is None else scope,
            id_token=_text(content.get("id_token")),
        )
    except CredentialsError as error:
        problem = str(error)
    if credentials is None:
        raise FlowError("invalid_response", f"{answer.host} issued no token that can be used: {problem}")
    return credentials


def _text(value: object) -> str | None:
    """Return a text that can be sent and stored."""
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        return None
    return value or None


def lifetime(value: object) -> float | None:
    """Return a number of seconds such as ``expires_in``, or None where it says nothing that can be meant."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", value.strip(), re.ASCII):
        value = float(value)
    # NaN is not between any two numbers; of True and False, Python thinks that they are 1 and 0.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST_LIFE:
        return None
    return float(value)


def _scope(value: object) -> tuple[str, ...] | None:
    """Return the scopes that were granted, or None where the answer does not say; some servers send a list."""
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, list):
        return None
    return tuple(dict.fromkeys(scope for item in value if (scope := _text(item)))) or None


def check_scope(asked: Iterable[str], credentials: OAuth2Credentials, *, stacklevel: int = 2) -> None:
    """Warn (`ScopeWarning`) when *credentials* were granted less than was asked for.

    Call it when the credentials are stored: a program may have turned warnings into errors.

    Args:
        asked: the scopes of the request.
        credentials: what came of it.
        stacklevel: as of `warnings.warn`.
    """
    granted = {_comparable(scope) for scope in credentials.scope}
    missing = [scope for scope in dict.fromkeys(asked) if not _implied(scope) and _comparable(scope) not in granted]
    if missing and granted:
        warnings.warn(
            f"not everything was granted that was asked for; missing is {', '.join(missing)}: sign in again and agree "
            "to all of it, or ask for less",
            ScopeWarning,
            stacklevel=stacklevel,
        )


def _implied(scope: str) -> bool:
    # ".default" is Microsoft's word for all that the registration has.
    return scope in _NEVER_MISSING or scope.endswith("/.default")


def _comparable(scope: str) -> str:
    """Return a scope in one spelling: of names for one resource, of case and of a last slash."""
    return scope.lower().rstrip("/").replace("//outlook.office365.com/", "//outlook.office.com/")
