"""Django's SMTP backend, logged in with OAuth: ``EMAIL_BACKEND = "oauthmail.contrib.django.EmailBackend"``."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.smtp import EmailBackend as _EmailBackend
from django.utils.module_loading import import_string

from .. import SMTP, SMTP_SSL, OAuthMailError

__all__ = ["EmailBackend"]

_DOTTED_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


class EmailBackend(_EmailBackend):  # type: ignore[misc]  # Django has no type information
    """`django.core.mail.backends.smtp.EmailBackend` with OAuth in place of the password.

    It takes all settings and options of Django's: ``EMAIL_HOST_USER`` names the mailbox, ``EMAIL_USE_TLS`` or
    ``EMAIL_USE_SSL`` has to be set, ``EMAIL_HOST_PASSWORD`` is not used and never sent.

    Args:
        *args: as Django's.
        credentials: what opens the mailbox, or the dotted path to it; otherwise the setting
            ``OAUTHMAIL_CREDENTIALS``, and without that, what is stored for the mailbox (`oauthmail.Account`).
        alias: as Django's, from 6.1 on.
        **kwargs: as Django's.
    """

    def __init__(self, *args: Any, credentials: object = None, alias: str | None = None, **kwargs: Any) -> None:
        # Said even where it is None: without it, Django 6.1 takes this class for somebody who calls its own by hand.
        super().__init__(*args, alias=alias, **kwargs)
        self._credentials = credentials

    @property
    def connection_class(self) -> type[SMTP]:
        """The client that is logged in with OAuth by ``login``, which is what Django calls."""
        return _SMTP_SSL if self.use_ssl else _SMTP

    def open(self) -> bool | None:
        """Connect and log in, unless that is done already.

        Returns:
            Whether a new connection was made; None when that failed silently.

        Raises:
            ImproperlyConfigured: no mailbox, no TLS, or credentials of the wrong kind; also with ``fail_silently``.
            OAuthMailError: the server refused, or no token could be had.
            OSError: the connection failed.
        """
        opened: bool | None = None
        try:
            if not self.connection:
                self.password = _Password(self._found())
            opened = super().open()
        except OAuthMailError:
            if not self.fail_silently:
                raise
        finally:
            if opened is None:
                # Django 4.2 would send over the connection that is not logged in, later ones leave it open.
                with contextlib.suppress(OSError):
                    self.close()
        return opened

    def _found(self) -> object:
        """Return what `authenticate_oauth` takes for this mailbox."""
        if not self.username:
            raise ImproperlyConfigured("no mailbox to log in to: set EMAIL_HOST_USER, or the mailer's option username")
        if not (self.use_tls or self.use_ssl):
            raise ImproperlyConfigured(
                "a token is sent over TLS only: set EMAIL_USE_TLS (mostly with port 587) or EMAIL_USE_SSL (with 465), "
                "or the mailer's option use_tls or use_ssl"
            )
        given = getattr(settings, "OAUTHMAIL_CREDENTIALS", None) if self._credentials is None else self._credentials
        if given is None:
            from .. import Account

            return Account(self.username).credentials
        return _imported(given) if isinstance(given, str) else given


class _Password:
    """Credentials on their way through Django, which leaves the login out where the password is empty."""

    def __init__(self, credentials: object) -> None:
        self.credentials = credentials


class _SMTP(SMTP):
    def login(self, user: str, password: Any, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
        return self.authenticate_oauth(user, password.credentials)


class _SMTP_SSL(_SMTP, SMTP_SSL):
    pass


def _imported(path: str) -> object:
    """Return what is at a dotted path."""
    if not _DOTTED_PATH.fullmatch(path):
        # A token in its place stays out of the traceback.
        del path
        raise ImproperlyConfigured(
            "OAUTHMAIL_CREDENTIALS as text has to be a dotted path, such as 'project.mail.token'; an access token by "
            "itself is of no use there, as it lasts for an hour"
        )
    return import_string(path)
