"""What stands in for the logins of ``smtplib``, ``imaplib`` and ``poplib``.

Each function has the parameters of the method it stands in for, and returns `LEFT` if that method is to be called.
"""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..account import Account
from ..errors import OAuthMailError
from ._deputies import DEPUTIES
from ._errors import known
from ._mailboxes import Mailboxes
from ._peer import address_of, verify

__all__ = ["LEFT", "METHODS", "active"]

#: What is not OAuth's.
LEFT: Final = object()

#: The `install` calls that are in effect, the latest first. It is replaced, never changed.
active: tuple[Mailboxes, ...] = ()

# Where a POP3 client keeps who is about to log in, between USER and PASS.
_PENDING = "_oauthmail_login"


@dataclass(frozen=True)
class _Login:
    """A login that is OAuth's."""

    account: Account
    protocol: str
    host: str
    port: int
    allow_insecure: bool

    def __call__(self, client: Any) -> Any:
        """Do it, and return what the client's own login returns."""
        try:
            return self._log_in(client)
        except OAuthMailError as error:
            # As if it had been raised so: the script's author has to see one exception, not two.
            raise known(error, self.protocol).with_traceback(error.__traceback__) from error.__cause__

    def _log_in(self, client: Any) -> Any:
        identity, credentials = self.account._identity(self.protocol), self.account.credentials
        deputy = DEPUTIES[self.protocol](client, self.host, self.port)
        if isinstance(deputy._oauth_ready(), ssl.SSLSocket) and not self.allow_insecure:
            verify(client, self.protocol, self.host, self.port, self.account.provider.ca_file)
        with deputy.discreet():
            return deputy.authenticate_oauth(identity, credentials, allow_insecure=self.allow_insecure)


def _find(client: Any, protocol: str, user: object) -> _Login | None:
    """Return how *user* logs in over this client, or None if that is as it always was."""
    installed = active
    if not installed:
        return None
    host, port = address_of(client, protocol)
    try:
        for mailboxes in installed:
            if (account := mailboxes.find(user, host)) is not None:
                return _Login(account, protocol, host, port, mailboxes.allow_insecure)
    except OAuthMailError as error:
        raise known(error, protocol).with_traceback(error.__traceback__) from error.__cause__
    return None


def _argument(args: Sequence[Any], kwargs: dict[str, Any], name: str) -> Any:
    """Return a method's first argument; None where it is missing, which the method itself complains about."""
    return args[0] if args else kwargs.get(name)


def _smtp_login(client: Any, *args: Any, **kwargs: Any) -> Any:
    login = _find(client, "smtp", _argument(args, kwargs, "user"))
    return LEFT if login is None else login(client)


def _imap_login(client: Any, *args: Any, **kwargs: Any) -> Any:
    login = _find(client, "imap", _unquoted(_argument(args, kwargs, "user")))
    return LEFT if login is None else login(client)


def _imap_command(client: Any, *args: Any, **kwargs: Any) -> Any:
    """Stand in for ``_simple_command``, by which imap_tools sends LOGIN itself."""
    if len(args) != 3 or args[0] != "LOGIN":
        return LEFT
    try:
        login = _find(client, "imap", _unquoted(args[1]))
        return LEFT if login is None else login(client)
    except OAuthMailError as error:
        # What a server says of a LOGIN that fails; whoever sends it looks at this.
        return "NO", [str(error).encode("utf-8", "replace")]


def _unquoted(user: object) -> object:
    """Return a user name without the quotes that IMAP has around some."""
    if isinstance(user, bytes | bytearray):
        user = user.decode("utf-8", "replace")
    if isinstance(user, str) and len(user) > 1 and user[0] == user[-1] == '"':
        return user[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return user


def _pop_user(client: Any, *args: Any, **kwargs: Any) -> Any:
    vars(client).pop(_PENDING, None)
    login = _find(client, "pop", _argument(args, kwargs, "user"))
    if login is None:
        return LEFT
    vars(client)[_PENDING] = login
    # The server is asked nothing before PASS.
    return b"+OK"


def _pop_pass(client: Any, *args: Any, **kwargs: Any) -> Any:
    login = vars(client).get(_PENDING)
    return LEFT if login is None else _pop(client, login)


def _pop_at_once(client: Any, *args: Any, **kwargs: Any) -> Any:
    """Stand in for ``apop`` and ``rpop``."""
    login = _find(client, "pop", _argument(args, kwargs, "user"))
    return LEFT if login is None else _pop(client, login)


def _pop(client: Any, login: _Login) -> bytes:
    reply: bytes = login(client)
    # After a refusal it stays: a script that tries again must not send the password.
    vars(client).pop(_PENDING, None)
    return reply


#: What is replaced in which class, and by what.
METHODS: tuple[tuple[type, str, Callable[..., Any]], ...] = (
    (smtplib.SMTP, "login", _smtp_login),
    (imaplib.IMAP4, "login", _imap_login),
    (imaplib.IMAP4, "login_cram_md5", _imap_login),
    (imaplib.IMAP4, "_simple_command", _imap_command),
    (poplib.POP3, "user", _pop_user),
    (poplib.POP3, "pass_", _pop_pass),
    (poplib.POP3, "apop", _pop_at_once),
    (poplib.POP3, "rpop", _pop_at_once),
)
