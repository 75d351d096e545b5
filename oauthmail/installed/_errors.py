"""What `oauthmail` raises, in the form that scripts written for the standard library expect."""

from __future__ import annotations

import functools
import imaplib
import poplib
import smtplib

from ..errors import FlowError, OAuthMailError

__all__ = ["known"]

#: By protocol: what every failure of the module is, and what a failed login is.
_FAMILIES: dict[str, type[Exception]] = {
    "smtp": smtplib.SMTPException,
    "imap": imaplib.IMAP4.error,
    "pop": poplib.error_proto,
}
_LOGINS: dict[str, type[Exception]] = {**_FAMILIES, "smtp": smtplib.SMTPAuthenticationError}


class _KnownError(Exception):
    """Puts the sentence and the pickle of the original in front of the standard library's."""

    _oauth_told: tuple[OAuthMailError, str]

    def __str__(self) -> str:
        return str(self._oauth_told[0])

    def __reduce__(self) -> tuple[object, ...]:
        return known, self._oauth_told


@functools.cache
def _joined(kind: type[OAuthMailError], parent: type[Exception]) -> type[_KnownError]:
    return type(kind.__name__, (_KnownError, kind, parent), {"__module__": kind.__module__, "__doc__": kind.__doc__})


def known(error: OAuthMailError, protocol: str) -> Exception:
    """Return an exception that is of the class of *error* and of the class of a failed login in the module.

    A loop around ``smtplib`` that lives on after a failed login would not live on after a `FlowError`, of which its
    author could not know.

    Args:
        error: as it was raised; returned as it is if the module's users see it already.
        protocol: ``"smtp"``, ``"imap"`` or ``"pop"``.
    """
    if isinstance(error, _FAMILIES[protocol]):
        return error
    kind = _joined(type(error), _LOGINS[protocol])  # type: ignore[arg-type]  # classes are hashable, whatever mypy says
    made = kind.__new__(kind)
    vars(made).update(vars(error))
    made._oauth_told = (error, protocol)
    text = str(error)
    if isinstance(made, smtplib.SMTPAuthenticationError):
        # RFC 4954 section 6: a temporary failure of the login, and any other.
        made.smtp_code = 454 if isinstance(error, FlowError) and error.temporary else 535
        made.smtp_error = text.encode("utf-8", "replace")
        made.args = (made.smtp_code, made.smtp_error)
    else:
        made.args = (text,) if protocol == "imap" else (b"-ERR " + text.encode("utf-8", "replace"),)
    if isinstance(error, OSError) and isinstance(made, OSError):
        made.errno, made.filename = error.errno, error.filename
    return made
