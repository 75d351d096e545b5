"""What a browser sends to the loopback address, and what it is shown: HTTP in as few words as a redirect needs.

Pure: octets in, a request or a refusal out. Anybody on this machine can send something, and any web page can have a
browser do so, hence nothing is taken that a redirect would not look like.
"""

from __future__ import annotations

import html
import http
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Place", "Refusal", "page", "parse"]

# Microsoft's codes have two thousand characters. Cookies know no ports, so those of every program that was ever served
# from this host come along.
_LONGEST_LINE = 16384
_LARGEST_HEAD = 65536

_MOST_PARAMETERS = 50

# Browsers percent-encode whatever is not visible ASCII.
_JUNK = re.compile(rb"[^\x20-\x7e]")
_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) (/[^ ]*) HTTP/1\.[01]")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_HOST = re.compile(rb"^host:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    # The page's address has the code in it.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Connection": "close",
}


@dataclass(frozen=True)
class Place:
    """Where a redirect is expected.

    Attributes:
        host: as a browser writes it into ``Host``, with the port where it is not 80.
        path: as in the redirect URI; ``/`` for none.
    """

    host: str
    path: str


@dataclass(frozen=True)
class Refusal:
    """Why a request is none of ours.

    Attributes:
        status: of the answer.
        headers: more of them.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


def parse(received: bytes, place: Place) -> dict[str, str] | Refusal | None:
    """Return the parameters of a request to *place*, a refusal, or None as long as the request is not complete.

    A refusal comes as soon as it is certain; a client that goes on sending has to be read to its end all the same, or
    it never sees the answer.
    """
    # RFC 9112 section 2.2 lets empty lines in front pass.
    line, ended, rest = received.lstrip(b"\r\n").partition(b"\n")
    line = line.removesuffix(b"\r")
    if len(line) > _LONGEST_LINE:
        return Refusal(414)
    if _JUNK.search(line):
        # TLS, or another protocol altogether, which may be waiting for an answer without ever ending its line.
        return Refusal(400)
    if not ended:
        return None if len(received) <= _LARGEST_HEAD else Refusal(431)
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        return Refusal(400)
    end = _END_OF_HEAD.search(b"\n" + rest)
    if (len(rest) if end is None else end.start()) > _LARGEST_HEAD:
        return Refusal(431)
    if end is None:
        return None
    return _judge(found[1].decode(), found[2].decode(), _HOST.findall(rest[: end.start()]), place)


def _judge(method: str, target: str, hosts: list[bytes], place: Place) -> dict[str, str] | Refusal:
    if len(hosts) != 1:
        return Refusal(400)
    if hosts[0].lower() != place.host.lower().encode():
        # A page elsewhere may have its own name point here (DNS rebinding).
        return Refusal(421)
    path, _, query = target.partition("?")
    if path != place.path:
        return Refusal(404)
    if method != "GET":
        return Refusal(405, {"Allow": "GET"})
    try:
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return Refusal(400)
    parameters = dict(pairs)
    # RFC 6749 section 3.1: a parameter comes once. Of two states or codes one was put in by somebody else.
    return parameters if len(parameters) == len(pairs) else Refusal(400)


def page(status: int, text: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Return an answer whose page says *text* and that it may be closed, without script or style."""
    reason = http.HTTPStatus(status).phrase
    content = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>oauthmail</title>\n'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"></head>\n'
        f"<body><h1>{html.escape(text)}</h1>\n<p>You may close this window.</p></body></html>\n"
    ).encode()
    lines = {**_HEADERS, **(headers or {}), "Content-Length": str(len(content))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode() + content
