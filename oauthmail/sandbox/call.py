"""A web request as the endpoints see it, its form for oauthlib, and the answers that are not pages."""

from __future__ import annotations

import json
import urllib.parse
from dataclasses import dataclass
from typing import Any

from oauthlib.oauth2 import OAuth2Error

from .pages import Answer

__all__ = [
    "LARGEST_BODY",
    "Call",
    "error_answer",
    "json_answer",
    "oauthlib_uri",
    "redirect",
    "reencoded",
    "refusal",
]

# Octets of a request's body; a JWT with a long scope has a few thousand.
LARGEST_BODY = 65536


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        issuer: the base URL of the listener that it came to.
        base: scheme and host as the client wrote them.
        path: without the query.
        query: parameters in the URL, as they came.
        body: of a POST.
        headers: by name as sent.
        cookie: name and value of the session's cookie.
    """

    method: str
    issuer: str
    base: str
    path: str
    query: str
    body: str
    headers: dict[str, str]
    cookie: tuple[str, str]

    @property
    def parameters(self) -> dict[str, str]:
        """The query's parameters; what has no value counts as omitted (RFC 6749 section 3.1)."""
        return dict(urllib.parse.parse_qsl(self.query))

    @property
    def form(self) -> dict[str, str] | None:
        """The fields of a posted form, or None."""
        return dict(urllib.parse.parse_qsl(self.body)) if self.method == "POST" else None


def oauthlib_uri(call: Call) -> str:
    """Return the https form of the request's address, for oauthlib's OAuth 2 endpoints.

    They refuse plain http, loopback included, unless OAUTHLIB_INSECURE_TRANSPORT is set, and that would take the
    check from the whole process: the sandbox runs inside the user's, where their own client is to stay strict. On
    loopback nobody listens in, so the sandbox answers for the transport itself. The query is encoded anew, as
    oauthlib raises ValueError for one that is not encoded well; ``response_mode`` is left out, see
    `authorization.metadata`.
    """
    pairs = [pair for pair in urllib.parse.parse_qsl(call.query) if pair[0] != "response_mode"]
    query = "?" + urllib.parse.urlencode(pairs) if pairs else ""
    return f"https://{call.base.partition('://')[2]}{call.path}{query}"


def reencoded(call: Call) -> str:
    """Return a form body that oauthlib can read; empty values count as omitted (RFC 6749 section 3.2)."""
    return urllib.parse.urlencode(urllib.parse.parse_qsl(call.body))


def json_answer(status: int, content: dict[str, Any]) -> Answer:
    """Answer with JSON that no cache keeps (RFC 6749 section 5.1)."""
    return Answer(status, {"Content-Type": "application/json", "Cache-Control": "no-store"}, json.dumps(content))


def error_answer(status: int, error: str, description: str = "") -> Answer:
    """Answer with an error in the form of RFC 6749 section 5.2."""
    return json_answer(status, {"error": error, **({"error_description": description} if description else {})})


def redirect(location: str) -> Answer:
    """Send the browser on, by GET also after a form (RFC 9700 section 4.12)."""
    return Answer(303, {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}, "")


def refusal(error: OAuth2Error) -> Answer:
    """Answer with what oauthlib raised; a 401 names the scheme to use (RFC 6749 section 5.2)."""
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    if error.status_code == 401:
        headers["WWW-Authenticate"] = 'Basic realm="oauthmail sandbox"'
    return Answer(error.status_code, headers, error.json)
