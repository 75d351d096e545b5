"""A sign-in that begins in one call and ends in another, as it does in Google's script.

``GeneratePermissionUrl`` gives the address away, and the script asks for a code by itself, in whatever way. Meanwhile
the answer is received on this machine, so that nothing has to be copied; what is copied all the same, the code or the
whole address that the browser ended at, is taken as well.
"""

from __future__ import annotations

import atexit
import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...errors import CredentialsError, FlowError
from ...flows._addresses import is_loopback
from ...flows._code import _Request
from ...flows._consent import THANKS, pasted, redirect_uri_of
from ...flows._loopback import Loopback

if TYPE_CHECKING:
    from ... import Application, Provider

__all__ = ["SignIn", "begin", "finish", "pending"]

#: Seconds that the person may take.
PATIENCE = 600.0

# Seconds for the page that the browser is shown at the end.
_GRACE = 5.0

# A wait for a thread cannot be interrupted by Ctrl-C on Windows, so none is longer than this.
_SLICE = 0.5

_PAGE = "The program has the answer. If it still asks for a verification code, press Enter there."


class _EndedError(Exception):
    """Nobody waits any more."""


class SignIn:
    """One of them, from the address to the code.

    Args:
        provider: where the person goes.
        application: who asks. Nothing is received at a redirect URI of its own that is not on this machine.
        scope: what for, separated by blanks.

    Attributes:
        provider: as given.
        asked: all that was given.
        address: where the person goes.
        redirect_uri: where the browser is sent afterwards.
        code_verifier: what proves that the code is ours (RFC 7636).
    """

    def __init__(self, provider: Provider, application: Application, scope: str) -> None:
        self.provider = provider
        self.asked = (provider, application, scope)
        self._request = _Request(str(provider.authorization_endpoint), provider, application, scope.split(), None)
        self.redirect_uri = redirect_uri_of(provider, application, listen=False)
        self._loopback = Loopback(self.redirect_uri) if is_loopback(self.redirect_uri) else None
        if self._loopback is not None:
            self.redirect_uri = self._loopback.redirect_uri
        self.address = self._request.address(self.redirect_uri)
        self.code_verifier = self._request.code_verifier
        self._answer: dict[str, str] | None = None
        self._answered = False
        self._over = threading.Event()
        self._ends = time.monotonic() + PATIENCE
        self._bell, self._rope = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, name="oauthmail-sign-in", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """Return what `select.select` finds readable once there is nothing to wait for any more."""
        return self._bell.fileno()

    @property
    def listening(self) -> bool:
        """Whether the browser can bring the answer."""
        return self._loopback is not None

    @property
    def open(self) -> bool:
        """Whether it can still come to a good end."""
        return self._answered or (time.monotonic() < self._ends and not self._over.is_set())

    def code(self, typed: str) -> str:
        """Return the code that the person typed or pasted or, where that is nothing, that the browser brought.

        Raises:
            CredentialsError: nothing was typed, and no browser can bring anything.
            FlowError: a refusal, the answer to another sign-in, or none in time.
        """
        if typed:
            return self._request.code(pasted(typed, self.address))
        while self._thread.is_alive():
            self._thread.join(_SLICE)
        if self._loopback is None:
            raise CredentialsError("the authorization_code is empty: nothing is received at this REDIRECT_URI")
        if self._answer is None:
            raise FlowError(
                "timeout",
                "the browser brought no answer to this machine",
                hint="Try again; where the browser runs on another machine, paste the address that it ends at",
                temporary=True,
            )
        return self._request.code(self._answer)

    def end(self) -> None:
        """Stop listening."""
        self._over.set()
        self._thread.join()
        self._bell.close()

    # --- in a thread of its own -----------------------------------------------------------------------------------

    def _listen(self) -> None:
        with self._rope, self._loopback or contextlib.nullcontext(), contextlib.suppress(_EndedError, FlowError):
            if self._loopback is not None:
                self._answer = self._loopback.receive(self._judge, self._wait, PATIENCE + _GRACE)

    def _wait(self) -> None:
        """Hold up `Loopback.receive` until the answer is there, which it then returns, or nobody wants it any more."""
        self._over.wait(max(0.0, self._ends - time.monotonic()))
        if not self._answered:
            raise _EndedError

    def _judge(self, parameters: Mapping[str, str]) -> str | None:
        text = self._request.judge(parameters)
        if text is not None:
            self._answered = True
            self._over.set()
        return _PAGE if text == THANKS else text


_sign_ins: dict[str, SignIn] = {}
_lock = threading.Lock()


def begin(provider: Provider, application: Application, scope: str) -> SignIn:
    """Return the sign-in that an application has under way for just this, or a new one in place of any other."""
    with _lock:
        known = _sign_ins.get(application.client_id)
        if known is not None:
            if known.open and known.asked == (provider, application, scope):
                return known
            known.end()
        found = _sign_ins[application.client_id] = SignIn(provider, application, scope)
        return found


def pending(client_id: str) -> SignIn:
    """Return the sign-in that an application has under way.

    Raises:
        CredentialsError: none in this process.
    """
    with _lock:
        found = _sign_ins.get(client_id)
    if found is None:
        raise CredentialsError(
            "no sign-in of this client_id is under way in this program: call GeneratePermissionUrl() first, and have "
            "the person go to the address that it returns"
        )
    return found


def finish(sign_in: SignIn) -> None:
    """Forget a sign-in that has come to its end."""
    with _lock:
        for client_id in [name for name, known in _sign_ins.items() if known is sign_in]:
            del _sign_ins[client_id]
            sign_in.end()


@atexit.register
def _end_all() -> None:
    # Sockets that are closed in no order at the interpreter's end would be warned of.
    for sign_in in list(_sign_ins.values()):
        finish(sign_in)
