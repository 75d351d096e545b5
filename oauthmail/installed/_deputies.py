"""The login of our clients, carried out on a client of the standard library.

The client stays what it is: an object of its own class, with its own methods, which are the ones that are called. A
deputy has the methods of a login, hands every other attribute through, and is gone after the login.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from .._client import OAuthClient
from ..imap import IMAP4
from ..pop import POP3
from ..smtp import SMTP

__all__ = ["DEPUTIES", "Deputy"]


class Deputy(OAuthClient[Any]):
    """Logs in for a client of the standard library.

    Args:
        client: connected.
        host: its server, as the user named it.
        port: its server's port.
    """

    _oauth_client: Any
    _oauth_server: tuple[str, int]
    #: Methods of the client that show, or keep, what comes from the server.
    _oauth_shows: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, *, of: type[OAuthClient[Any]]) -> None:
        super().__init_subclass__()
        for name, value in vars(of).items():
            if name.startswith("_oauth_") and name not in {*vars(cls), *vars(Deputy)}:
                setattr(cls, name, value)

    def __init__(self, client: object, host: str, port: int) -> None:
        self._oauth_client = client
        self._oauth_server = host, port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._oauth_client, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_oauth_"):
            super().__setattr__(name, value)
        else:
            setattr(self._oauth_client, name, value)

    def _oauth_address(self) -> tuple[str, int]:
        return self._oauth_server

    @contextlib.contextmanager
    def discreet(self) -> Iterator[None]:
        """Have the client show nothing of the credentials, which a server may repeat, for a ``with`` block."""
        own = vars(self._oauth_client)
        before = {name: own[name] for name in self._oauth_shows if name in own}
        for name in self._oauth_shows:
            # Some are missing under "python -O".
            if (shows := getattr(self._oauth_client, name, None)) is not None:
                own[name] = self._oauth_discreetly(shows)
        try:
            yield
        finally:
            for name in self._oauth_shows:
                own.pop(name, None)
            own.update(before)

    def _oauth_discreetly(self, shows: Callable[..., Any]) -> Callable[..., Any]:
        def shown(*args: Any) -> Any:
            return shows(*map(self._oauth_clean, args))

        return shown

    def _oauth_clean(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(self._oauth_redact, value))
        return self._oauth_redact(value)


class _SMTP(Deputy, of=SMTP):
    _oauth_shows = ("_print_debug",)


class _IMAP(Deputy, of=IMAP4):
    _oauth_shows = ("_mesg", "_log", "_append_untagged")

    def _get_response(self) -> Any:
        try:
            return self._oauth_client._get_response()
        except (ValueError, OverflowError, MemoryError) as error:
            raise self.abort("a literal of impossible size") from error

    def _oauth_finish(self, typ: str, data: list[Any]) -> tuple[None, bool, tuple[str, list[Any]]]:
        # The client's capabilities stay as they were, which is what its own login does.
        self.mo = None
        if typ == "OK":
            self.state = "AUTH"
        return None, typ == "OK", (typ, data)

    def _oauth_drop(self) -> None:
        self.state = "LOGOUT"
        with contextlib.suppress(OSError):
            self.shutdown()


class _POP(Deputy, of=POP3):
    capa = POP3.capa


#: By protocol.
DEPUTIES: dict[str, type[Deputy]] = {"smtp": _SMTP, "imap": _IMAP, "pop": _POP}
