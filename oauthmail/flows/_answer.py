"""What a server answered, or why there is no answer."""

from __future__ import annotations

import json
import re
import ssl
import urllib.parse
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
import urllib3

from .._redact import REDACTED, Redactor, printable
from ..endpoint_hints import CHECK_ENDPOINT, LATER
from ..errors import CredentialsError, FlowError
from ._wire import LARGEST, RETRIED, is_final, reasons

__all__ = ["Answer", "decoded", "failure", "read", "redirected"]

_PIECE = 1 << 16

_TLS = (
    "The server's certificate must be signed by a known authority for this very name. Where an organisation's proxy "
    "signs in its stead, name its certificates in REQUESTS_CA_BUNDLE; and is this machine's clock right?"
)
_PROXY = "Check HTTPS_PROXY and ALL_PROXY; for a SOCKS proxy: python -m pip install 'requests[socks]'"
_UNUSABLE_PROXY = (
    requests.exceptions.InvalidProxyURL,
    # For the lack of a package, too.
    requests.exceptions.InvalidSchema,
    urllib3.exceptions.ProxySchemeUnknown,
)
_CONNECTION = "Check the network, and the address of the endpoint, and try again"

# What a server puts into its words of its own accord: a JWT, or anything as long as a token. What was sent to it is
# known to the letter; what it made and never handed over is not. Trace ids (36 characters) and addresses stay.
_UNKNOWN = re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*)*|[A-Za-z0-9_~+/-]{64,}={0,2}")


@dataclass(frozen=True)
class Answer:
    """What a server answered, whatever its status; redirects never get here.

    Attributes:
        status: HTTP status code.
        headers: by name, whose case does not matter.
        body: at most 1 MiB.
        host: who answered, for messages.
        redact: cuts what was sent out of what the server says.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    host: str
    redact: Redactor = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300

    @property
    def temporary(self) -> bool:
        """Whether the status says that the same request may succeed later."""
        return self.status in RETRIED

    def json(self) -> Mapping[str, Any]:
        """Return the JSON object in the body.

        Raises:
            FlowError: there is none; ``temporarily_unavailable`` where the status explains it, else
                ``invalid_response``.
        """
        content = _parsed(self.body)
        if not isinstance(content, dict):
            raise self.unusable("no JSON object")
        return content

    def unusable(self, what: str) -> FlowError:
        """Return the exception for an answer that says nothing, as *what* describes it."""
        kind = printable(self.redact(self.headers.get("Content-Type", "").partition(";")[0]), 100)
        sent = (kind or "no content type") if self.body else "an empty body"
        said = f"{self.host} answered with status {self.status} and {sent}: {what}"
        if self.temporary:
            return FlowError("temporarily_unavailable", said, hint=LATER, temporary=True)
        return FlowError("invalid_response", said, hint=CHECK_ENDPOINT)

    def words(self, value: object, limit: int = 500) -> str:
        """Return a text out of the answer as it may be shown; empty for what is no text."""
        return printable(_UNKNOWN.sub(REDACTED, self.redact(value)), limit) if isinstance(value, str) else ""


def _parsed(body: bytes) -> object:
    # Raised from here, the exception for it does not carry json's, which has the whole body in it.
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def failure(error: BaseException, host: str, redact: Redactor) -> CredentialsError | FlowError:
    """Say in plain words why there is no answer."""
    found = list(reasons(error))
    if _among(found, *_UNUSABLE_PROXY):
        return FlowError("connection_error", f"no way to {host}: the proxy cannot be used", hint=_PROXY)
    if _among(found, requests.exceptions.InvalidURL, UnicodeError):
        return CredentialsError("the address has a host that cannot be one")
    # requests says with a bare OSError, before it connects, that it has no certificates.
    if is_final(error) or type(error) is OSError:
        untrusted = _among(found, ssl.SSLCertVerificationError)
        why = untrusted.verify_message if untrusted is not None else str(found[-1])
        return FlowError("tls_error", f"{host} is not trusted: {printable(redact(why), 300)}", hint=_TLS)
    # Of urllib3's timeouts a connection that was refused is one, too.
    timed_out = _among(found, TimeoutError, urllib3.exceptions.TimeoutError)
    if timed_out and not _among(found, urllib3.exceptions.NewConnectionError):
        return FlowError("timeout", f"{host} did not answer in time", hint=LATER, temporary=True)
    who = host
    why = next((str(reason.strerror) for reason in found if isinstance(reason, OSError) and reason.strerror), "")
    if _among(found, requests.exceptions.ProxyError):
        # What a proxy answers to CONNECT: "Tunnel connection failed: 407 Proxy Authentication Required".
        who, why = f"the proxy to {host}", why or str(found[-1])
    why = printable(redact(why or "the connection was cut"), 300)
    return FlowError("connection_error", f"{who}: {why}", hint=_CONNECTION, temporary=True)


def _among(found: Iterable[BaseException], *kinds: type[BaseException]) -> Any:
    """Return the first of the exceptions that is of one of the kinds, or None."""
    return next((reason for reason in found if isinstance(reason, kinds)), None)


def redirected(response: Any, url: str, host: str) -> FlowError:
    try:
        target = urllib.parse.urlsplit(urllib.parse.urljoin(url, response.headers.get("Location", ""))).hostname
    except ValueError:
        target = None
    where = f" to {printable(target, 253)}" if target else ""
    return FlowError(
        "redirect",
        f"{host} answered with status {response.status_code}{where}; redirects are not followed",
        hint=CHECK_ENDPOINT,
    )


def read(response: Any) -> bytes:
    """Return the body as it was sent; `_wire` ends it if it is too long."""
    content = bytearray()
    while piece := response.raw.read(_PIECE, decode_content=False):
        content += piece
    announced = response.headers.get("Content-Length", "")
    # Older versions of urllib3 do not mind.
    if re.fullmatch("[0-9]{1,9}", announced) and len(content) < int(announced):
        raise ConnectionResetError(None, "the connection was cut in the middle of the answer")
    return bytes(content)


def decoded(content: bytes, encoding: str, host: str) -> bytes:
    """Undo a compression that was not asked for, without making more of it than is allowed."""
    if encoding.strip().lower() in ("", "identity"):
        result = content
    elif encoding.strip().lower() in ("gzip", "x-gzip", "deflate"):
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            result = inflate.decompress(content, LARGEST + 1)
        except zlib.error:
            raise FlowError("invalid_response", f"{host} sent a damaged answer", hint=CHECK_ENDPOINT) from None
    else:
        raise FlowError("invalid_response", f"{host} sent an answer in an encoding that was not asked for")
    if len(result) > LARGEST:
        raise FlowError("invalid_response", f"{host} sent more than {LARGEST} octets")
    return result
