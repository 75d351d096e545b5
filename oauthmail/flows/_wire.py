"""urllib3 with an end to everything: one moment at which a call is over, and a most that a server may send.

A socket's timeout starts anew with every octet, so a server that drips one octet a second would hold a client for
ever; and what reads an answer to its end reads whatever a server likes to send. Both are bounded where octets come
in, below headers, redirects, proxies and retries.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.exceptions import InvalidHeader, MaxRetryError, ResponseError, SSLError
from urllib3.util.retry import Retry

from ..errors import FlowError

__all__ = ["LARGEST", "RETRIED", "Adapter", "Exchange", "current", "is_final", "reasons"]

#: Octets of an answer; no token answer has a hundredth of it.
LARGEST = 1 << 20

#: Statuses after which the same request may succeed.
RETRIED = frozenset({429, 500, 502, 503, 504})

# What the headers may add to an answer.
_HEADERS = 1 << 18

# Seconds that a server may have us wait with Retry-After.
_LONGEST_WAIT = 30.0


@dataclass(frozen=True)
class Exchange:
    """One call of the user's, with all its attempts.

    Attributes:
        host: for messages.
        end: when it is over, on the monotonic clock.
        retry: whether there is more than one attempt.
    """

    host: str
    end: float
    retry: bool

    def left(self) -> float:
        """Return how many seconds there are left, perhaps none."""
        return self.end - time.monotonic()

    def within(self, timeout: float | None) -> float:
        """Return the nearer of *timeout* and the end.

        Raises:
            TimeoutError: the end has come.
        """
        left = self.left()
        if left <= 0:
            raise TimeoutError("timed out")
        return left if timeout is None else min(timeout, left)


current: ContextVar[Exchange] = ContextVar("oauthmail_flow_exchange")


class _Stream(io.RawIOBase):
    """What a connection sends in answer to one request."""

    def __init__(self, raw: Any, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._timeout = sock.gettimeout()
        self._exchange = current.get()
        self._left = LARGEST + _HEADERS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._exchange.within(self._timeout))
        count: int | None = self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            # Not an OSError: urllib3 would take that for a broken connection, and try again.
            raise FlowError("invalid_response", f"{self._exchange.host} sent more than {LARGEST} octets")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Stream(self.fp.detach(), sock))


class _Connection:
    """Comes before the connection classes of urllib3, plain, TLS and SOCKS."""

    # A program that has switched http.client's debug output on gets none of ours: it prints requests as they are.
    debuglevel = 0
    response_class = _Response
    timeout: Any

    def connect(self) -> None:
        self.timeout = current.get().within(self.timeout)
        super().connect()  # type: ignore[misc]  # of the class that stands behind


def _bounded(manager: Any) -> Any:
    """Have a pool manager of urllib3's make connections of ours."""
    pools = manager.pool_classes_by_scheme
    if not any(issubclass(pool.ConnectionCls, _Connection) for pool in pools.values()):
        manager.pool_classes_by_scheme = {
            scheme: type(
                pool.__name__,
                (pool,),
                {"ConnectionCls": type(pool.ConnectionCls.__name__, (_Connection, pool.ConnectionCls), {})},
            )
            for scheme, pool in pools.items()
        }
    return manager


class Adapter(HTTPAdapter):  # type: ignore[misc]  # requests is untyped
    """Connects requests with urllib3, bounded and with retries."""

    def __init__(self, retries: int, backoff: float) -> None:
        super().__init__(
            max_retries=_Retry(
                total=retries,
                # POST, too: a token request that was cut off has to be made again anyway.
                allowed_methods=None,
                status_forcelist=RETRIED,
                backoff_factor=backoff,
                # The last answer says more than an exception of urllib3's.
                raise_on_status=False,
            )
        )

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _bounded(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return _bounded(super().proxy_manager_for(*args, **kwargs))


class _Retry(Retry):
    """Gives up when the exchange would be over before the next attempt, and where another one changes nothing."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> _Retry:
        exchange = current.get()
        if exchange.retry and not (error and is_final(error)):
            following: _Retry = super().increment(method, url, response, error, _pool, _stacktrace)
            asked = (response is not None and self.get_retry_after(response)) or 0
            if max(asked, following.get_backoff_time()) < exchange.left():
                return following
        raise MaxRetryError(_pool, url or "", error or ResponseError("no further attempt"))

    def get_retry_after(self, response: Any) -> float | None:
        try:
            asked = super().get_retry_after(response)
        except (InvalidHeader, ValueError, OverflowError, TypeError):
            return None
        return None if asked is None else min(asked, _LONGEST_WAIT)


def is_final(error: BaseException) -> bool:
    """Tell whether a connection failed over TLS in a way that the next one will, too."""
    found = list(reasons(error))
    cut = any(isinstance(reason, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError) for reason in found)
    # Older versions of urllib3 compare the name in the certificate themselves, and raise nothing of Python's.
    return not cut and any(isinstance(reason, ssl.SSLError | SSLError) for reason in found)


def reasons(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that it wraps, as requests, urllib3 and Python each do in their own way."""
    queue: list[object] = [error]
    seen: set[int] = set()
    while queue:
        found = queue.pop(0)
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        queue += [getattr(found, "reason", None), getattr(found, "original_error", None), *found.args]
        queue += [found.__cause__, found.__context__]
