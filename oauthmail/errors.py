"""The exceptions that need no client class.

Everything the package raises on purpose descends from `OAuthMailError`. What a server or the network does to a
connection (a dropped line, a timeout, a bad certificate) stays an exception of the standard library.
"""

from __future__ import annotations

__all__ = [
    "AuthenticationError",
    "CredentialsError",
    "FlowError",
    "InsecureConnectionError",
    "MechanismError",
    "OAuthMailError",
    "StoreError",
]


class OAuthMailError(Exception):
    """Root of every exception that oauthmail raises on purpose."""


class CredentialsError(OAuthMailError, ValueError):
    """What was passed in cannot be used; nothing of the login was sent.

    The message names the argument and what is accepted, never the value.
    """


class InsecureConnectionError(OAuthMailError):
    """The connection has no TLS; no credential was sent.

    Call ``starttls()`` (``stls()`` for POP3) first or use the ``_SSL`` class. ``allow_insecure=True`` sends the
    credential all the same, readable by everyone on the way.
    """


class MechanismError(OAuthMailError):
    """The server offers no mechanism that these credentials can use; no credential was sent.

    Each protocol raises a subclass that is an exception of its standard-library module too.
    """


class AuthenticationError(OAuthMailError):
    """The server refused the login.

    Each protocol raises a subclass (`SMTPOAuthError`, `IMAPOAuthError`, `POPOAuthError`) whose ``args`` are those of
    the standard library's exception.

    Attributes:
        mechanism: the SASL mechanism that was used, such as ``"XOAUTH2"``.
        status: the server's JSON ``status`` (``"400"``, ``"invalid_token"``, …), or None when it sent none.
        scope: the scope the server asks for, or None.
        schemes: the token types the server takes, or None.
        server_reply: the server's last words as text; secrets are cut out, control characters escaped.
        hint: one line of plain advice.
        token_refused: whether the token itself was refused, so that a fresh one may help; False when the refusal is
            temporary, or about permissions or the connection.
    """

    def __init__(
        self,
        *args: object,
        mechanism: str = "",
        status: str | None = None,
        scope: str | None = None,
        schemes: str | None = None,
        server_reply: str = "",
        hint: str = "",
        token_refused: bool = False,
    ) -> None:
        # The next class in line is the standard library's, which sets what its users read: smtp_code and the like.
        super().__init__(*args)
        self.mechanism = mechanism
        self.status = status
        self.scope = scope
        self.schemes = schemes
        self.server_reply = server_reply
        self.hint = hint
        self.token_refused = token_refused

    def __str__(self) -> str:
        told = [f"{name} {value}" for name, value in (("status", self.status), ("scope", self.scope)) if value]
        said = f"{self.server_reply} ({', '.join(told)})" if told else self.server_reply
        # Unknown refusals have the server's own words for advice: say them once.
        advice = f". {self.hint}" if self.hint and self.hint != self.server_reply else ""
        return f"the server refused {self.mechanism or 'the login'}: {said}{advice}"


class FlowError(OAuthMailError):
    """A token could not be obtained, renewed or revoked.

    Attributes:
        error: the code of RFC 6749 sections 4.1.2.1 and 5.2 and its relatives (``"invalid_grant"``), or one of the
            same kind for what happened on this side (``"timeout"``, ``"state_mismatch"``).
        error_description: the server's own words, secrets cut out and control characters escaped, or empty.
        hint: one line of plain advice.
        temporary: whether the same request may succeed later (an outage, a timeout, too many requests); nothing that
            is stored is invalid then.
        authorize_again: whether the stored authorization is dead, so that somebody has to sign in again.
    """

    def __init__(
        self,
        error: str,
        error_description: str = "",
        *,
        hint: str = "",
        temporary: bool = False,
        authorize_again: bool = False,
    ) -> None:
        super().__init__(error, error_description)
        self.error = error
        self.error_description = error_description
        self.hint = hint
        self.temporary = temporary
        self.authorize_again = authorize_again

    def __str__(self) -> str:
        said = f"{self.error}: {self.error_description}" if self.error_description else self.error
        return f"{said.rstrip('.')}. {self.hint}" if self.hint else said


class StoreError(OAuthMailError, OSError):
    """A store cannot be read or written as safely as it has to be; what is in it is untouched.

    The message names the file or keyring, and the cure.

    Attributes:
        errno: the system's number for what went wrong (`errno.ENOSPC`, …); None where the store itself refused.
        filename: the file or folder in question, or None.
    """

    def __init__(self, message: str, *, errno: int | None = None, filename: str | None = None) -> None:
        super().__init__(message)
        self.errno = errno
        self.filename = filename

    def __reduce__(self) -> tuple[object, ...]:
        # OSError's own would leave out what was not among its arguments.
        return type(self), self.args, {**vars(self), "errno": self.errno, "filename": self.filename}

    def __str__(self) -> str:
        # OSError's own would print the number and the file name in place of the sentence.
        return str(self.args[0]) if self.args else ""
