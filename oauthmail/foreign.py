"""Credentials objects of other libraries as `TokenSource`.

They are known by their shape; the library itself is imported only when one of its objects is asked for a fresh token.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from .applications import Application
from .credentials import OAuth2Credentials, access_token_in, check_text
from .errors import CredentialsError
from .providers import get, providers

__all__ = ["Authlib", "AuthorizedUser", "GoogleAuth", "Msal", "OAuth2Session", "application_scope"]

_MICROSOFT = "microsoft365"


class GoogleAuth:
    """``google.auth.credentials.Credentials``: user, service account and all others."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def token(self, *, rejected: str | None = None) -> str:
        # The object may be shared: another thread can have renewed it since the token was refused.
        if not self._credentials.valid or self._credentials.token == rejected:
            from google.auth.transport.requests import Request

            self._credentials.refresh(Request())
        return access_token_in(self._credentials.token)


class AuthorizedUser:
    """What Google's tools keep as ``token.json``; renewed in memory only."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._application = Application(values["client_id"], values.get("client_secret") or None)
        self._provider = get("google")
        if values.get("token_uri"):
            self._provider = replace(self._provider, token_endpoint=values["token_uri"])
        self._refresh_token = check_text("refresh_token", values["refresh_token"])
        self._lock = threading.Lock()
        self._held: OAuth2Credentials | None = None
        if isinstance(access_token := values.get("token") or values.get("access_token"), str):
            self._held = OAuth2Credentials(
                access_token, refresh_token=self._refresh_token, expires_at=_epoch(values.get("expiry"))
            )

    def token(self, *, rejected: str | None = None) -> str:
        from .flows import refresh

        with self._lock:
            if self._held is None or self._held.access_token == rejected or self._held.expired(time.time()):
                # The refresh request looks at nothing but the refresh token.
                held = self._held or OAuth2Credentials("unknown", refresh_token=self._refresh_token)
                self._held = refresh(self._provider, self._application, held)
            return self._held.access_token


def _epoch(expiry: object) -> float:
    """Return the seconds since the epoch of google-auth's ``expiry``, which is UTC; 0 where there is none."""
    try:
        return datetime.fromisoformat(str(expiry).rstrip("Z")).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return 0.0


def _cloud_of(application: Any) -> str:
    """Return the id of the Microsoft cloud that an MSAL application signs in to."""
    host = getattr(getattr(application, "authority", None), "instance", None)
    for provider in providers():
        if provider.tenants and provider.smtp and host == urlsplit(provider.token_endpoint or "").hostname:
            return provider.id
    return _MICROSOFT


def application_scope(cloud: str = _MICROSOFT) -> str:
    """Return what an application asks for to open mailboxes of a Microsoft cloud."""
    return get(cloud).client_credentials_scope or ""


class Msal:
    """An MSAL application; the account is looked up by the mailbox address."""

    def __init__(self, application: Any, user: str, protocol: str) -> None:
        self._application = application
        self._user = user
        self._cloud = _cloud_of(application)
        self._scopes = list(get(self._cloud).scopes[protocol])

    def token(self, *, rejected: str | None = None) -> str:
        accounts = self._application.get_accounts(username=self._user) or self._application.get_accounts()
        if len(accounts) == 1:
            result = self._application.acquire_token_silent_with_error(
                self._scopes, account=accounts[0], force_refresh=rejected is not None
            )
        elif accounts:
            raise CredentialsError("the MSAL cache holds several accounts and none of them is this mailbox")
        elif hasattr(self._application, "acquire_token_for_client"):
            result = self._application.acquire_token_for_client(scopes=[application_scope(self._cloud)])
        else:
            result = None
        if result is None:
            raise CredentialsError(
                f"the MSAL cache has no token for this mailbox: sign in with {self._scopes[0]} first"
            )
        return access_token_in(result)


class OAuth2Session:
    """requests-oauthlib's ``OAuth2Session``, with its own settings for renewal."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def token(self, *, rejected: str | None = None) -> str:
        session = self._session
        if rejected is not None and session.token.get("access_token") == rejected and session.auto_refresh_url:
            renewed = session.refresh_token(session.auto_refresh_url, **session.auto_refresh_kwargs)
            if session.token_updater:
                session.token_updater(renewed)
        return access_token_in(session.token)


class Authlib:
    """Authlib's ``OAuth2Session`` for requests, with its own settings for renewal."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def token(self, *, rejected: str | None = None) -> str:
        session = self._session
        if rejected is not None and (session.token or {}).get("access_token") == rejected:
            held = session.token.get("refresh_token")
            if held and session.metadata.get("token_endpoint"):
                session.refresh_token(session.metadata["token_endpoint"], refresh_token=held)
        elif session.token:
            session.ensure_active_token(session.token)
        return access_token_in(session.token)
