"""TLS as it should be by default: verified, and without plaintext slipped in behind STARTTLS."""

from __future__ import annotations

import socket
import ssl
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import io
    from collections.abc import Callable
    from typing import Any

__all__ = ["Upgrade", "plaintext_waiting", "verified"]

# inspect.CO_VARARGS, without loading inspect.
_VARIADIC = 0x04


def verified(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: str = "context"
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call, with a verifying TLS context where the caller passed none.

    The standard library's own default verifies nothing (``ssl._create_stdlib_context``), in every version.

    Args:
        function: the bound method that will be called; its parameters differ between versions.
        args: positional arguments after ``self``.
        kwargs: keyword arguments.
        name: what the method calls its context.

    Raises:
        TypeError: more positional arguments than the method takes, or one given twice.
    """
    method: Any = function
    code = method.__func__.__code__
    if code.co_flags & _VARIADIC:
        # A class that somebody put in between passes on whatever it gets; from Python 3.12 on that is enough, as the
        # context can be passed by name only.
        return args, kwargs if kwargs.get(name) is not None else {**kwargs, name: ssl.create_default_context()}
    names = code.co_varnames[1 : code.co_argcount]
    if len(args) > len(names):
        raise TypeError(f"{code.co_name}() takes at most {len(names)} positional arguments ({len(args)} given)")
    by_name = dict(zip(names, args, strict=False))
    if twice := by_name.keys() & kwargs.keys():
        raise TypeError(f"{code.co_name}() got multiple values for argument {min(twice)!r}")
    by_name |= kwargs
    if by_name.get(name) is None:
        context = ssl.create_default_context()
        # Python 3.10 and 3.11 still take a client certificate here, and no context beside it.
        if "certfile" in names and by_name.get("certfile") is not None:
            warnings.warn(
                "keyfile and certfile are deprecated, use a context instead", DeprecationWarning, stacklevel=4
            )
            context.load_cert_chain(by_name.pop("certfile"), by_name.pop("keyfile", None))
        by_name[name] = context
    return (), by_name


def plaintext_waiting(sock: socket.socket, reader: io.BufferedReader | None) -> bool:
    """Tell whether the server has sent anything that was not read yet.

    Behind the answer to STARTTLS it is the client's turn, so whatever waits there was put in by somebody on the way
    (CVE-2011-0411).
    """
    timeout = sock.gettimeout()
    sock.settimeout(0)
    try:
        return bool(reader.peek(1) if reader is not None else sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        sock.settimeout(timeout)


class Upgrade:
    """Stands in for an `ssl.SSLContext` in the standard library's STARTTLS, to act at the moment of wrapping.

    Every version calls ``wrap_socket(sock, server_hostname=…)`` between reading the server's answer and reading on,
    which is exactly when injected plaintext can be seen.
    """

    def __init__(self, context: Any, check: Callable[[], None], drop: Callable[[], None]) -> None:
        self.context = context
        self._check = check
        self._drop = drop

    def wrap_socket(self, sock: Any, server_hostname: str | None = None) -> ssl.SSLSocket:
        """Check, then hand over to the real context; a failure leaves no connection behind."""
        try:
            self._check()
            wrapped: ssl.SSLSocket = self.context.wrap_socket(sock, server_hostname=server_hostname)
            return wrapped
        except BaseException:
            self._drop()
            raise
