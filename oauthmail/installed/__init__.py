"""OAuth for programs that log in with a password, and know nothing of it: ``oauthmail.install()``."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from ..records import key
from ..stores import FileStore, Store
from . import _logins
from ._mailboxes import Mailboxes

__all__ = ["Installation", "install", "uninstall"]

_lock = threading.Lock()
#: What each replacement stands in for. An attribute of the function would not do: whoever wraps it copies those.
_originals: dict[Callable[..., Any], Callable[..., Any]] = {}


class Installation:
    """What `install` has put in place; a context manager that takes it away again at the end."""

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes

    def __enter__(self) -> Installation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.uninstall()

    def uninstall(self) -> None:
        """Take it away; other installations stay. Doing so twice changes nothing."""
        with _lock:
            _set(tuple(found for found in _logins.active if found is not self._mailboxes))


def install(
    *,
    store: Store | None = None,
    only: Iterable[str] | None = None,
    hosts: Iterable[str] = (),
    allow_insecure: bool = False,
    report: Callable[[str], object] | None = None,
) -> Installation:
    """Have the standard library's clients log in with OAuth wherever a mailbox is set up, in the whole process.

    From now on ``login`` of `smtplib.SMTP` and `imaplib.IMAP4` (and ``login_cram_md5``), and ``user`` with ``pass_``,
    ``apop`` and ``rpop`` of `poplib.POP3`, open a mailbox that is set up with its token. The password is ignored, and
    never sent. So do all classes that inherit these methods, whenever they were imported, and all objects that exist
    already. What is returned and raised is what scripts expect of these methods.

    Every other login is the standard library's own, and so is everything else. Installations may be nested; of two
    that know a mailbox the latest counts.

    Args:
        store: where mailboxes are set up; otherwise a `FileStore` in its usual folder.
        only: the mailboxes that are meant; otherwise all that are set up.
        hosts: servers that are trusted with tokens, beside those of the mailbox's provider.
        allow_insecure: let tokens go to servers that cannot be verified, or without TLS.
        report: is called once for each mailbox and server with a sentence on what becomes of its logins.

    Returns:
        A context manager; ``uninstall()`` of it does the same as the end of its ``with`` block.

    Raises:
        StoreError: this user has no home where mailboxes could be set up.
        CredentialsError: a text in *only* that is no address.
    """
    if isinstance(only, str):
        only = [only]
    mailboxes = Mailboxes(
        FileStore() if store is None else store,
        None if only is None else frozenset(map(key, only)),
        frozenset(host.lower().rstrip(".") for host in ([hosts] if isinstance(hosts, str) else hosts)),
        allow_insecure,
        report,
    )
    with _lock:
        _set((mailboxes, *_logins.active))
    return Installation(mailboxes)


def uninstall() -> None:
    """Take the latest `install` away; without one, do nothing.

    After the last one the standard library's classes have their own methods again. Where somebody else has replaced
    such a method meanwhile, theirs stays, and goes through to the standard library's.
    """
    with _lock:
        _set(_logins.active[1:])


def _set(active: tuple[Mailboxes, ...]) -> None:
    """Put *active* in effect, and the methods in place or back."""
    # Methods come before what they look up, and go after it.
    if active:
        _replace()
    _logins.active = active
    if not active:
        _restore()


def _replace() -> None:
    for owner, name, instead in _logins.METHODS:
        current = vars(owner)[name]
        # Somebody who puts back what he found may have put back one of these.
        if current not in _originals:
            setattr(owner, name, _replacement(current, instead))


def _restore() -> None:
    for owner, name, _ in _logins.METHODS:
        current = vars(owner)[name]
        if current in _originals:
            setattr(owner, name, _originals[current])


@functools.cache
def _replacement(original: Callable[..., Any], instead: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = instead(self, *args, **kwargs)
        return original(self, *args, **kwargs) if result is _logins.LEFT else result

    _originals[replacement] = original
    return replacement
