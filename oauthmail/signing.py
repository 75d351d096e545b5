"""OAuth 1.0a signatures (RFC 5849 section 3.4) and what SASL makes of them.

`xoauth_string` gives the SASL XOAUTH message, `oauth10a_header` the ``Authorization`` value inside OAUTH10A
(RFC 7628 section 3.1). Given a nonce and a timestamp every function is pure; the two that send something draw what
was left out from `secrets` and the clock.
"""

from __future__ import annotations

import base64
import hmac
import re
import string
import urllib.parse

from .errors import CredentialsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .credentials import OAuth1Credentials

__all__ = [
    "base_string_uri",
    "normalized_parameters",
    "oauth10a_header",
    "percent_encode",
    "request_url",
    "sign_hmac_sha1",
    "signature_base_string",
    "xoauth_string",
]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(r"[\x21-\x7e]+")

# RFC 5849 section 3.6, which, unlike urllib, has no exception for "/".
_UNRESERVED = string.ascii_letters + string.digits + "-._~"
#: What stands for each octet.
_ENCODED = [chr(octet) if chr(octet) in _UNRESERVED else f"%{octet:02X}" for octet in range(256)]


def percent_encode(text: str) -> str:
    """Encode everything but unreserved characters as ``%XX`` of the UTF-8 octets (RFC 5849 section 3.6)."""
    # Octets of a query that are not UTF-8 arrive here as lone surrogates and leave as the octets they were. Latin-1
    # has a character for each octet.
    return text.encode("utf-8", "surrogateescape").decode("latin-1").translate(_ENCODED)


def _split(url: str) -> tuple[str, str]:
    """Return base string URI and query of a request URL, refusing what cannot be signed or would break the message."""
    # A blank ends the URL inside "GET <url> <parameters>", and urlsplit drops tabs and line ends without a word.
    if not _VISIBLE.fullmatch(url):
        raise CredentialsError("the request URL must be a str of visible ASCII characters, others percent-encoded")
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise CredentialsError("the request URL has a malformed host or port") from error
    if parts.scheme not in _DEFAULT_PORTS or not host or port == 0:
        raise CredentialsError("the request URL must be absolute: https://host/path")
    if "@" in parts.netloc:
        raise CredentialsError("the request URL must not carry a user name or password before its host")
    authority = f"[{host}]" if ":" in host else host
    if port not in (None, _DEFAULT_PORTS[parts.scheme]):
        authority = f"{authority}:{port}"
    return f"{parts.scheme}://{authority}{parts.path or '/'}", parts.query


def base_string_uri(url: str) -> str:
    """Return scheme, authority and path of *url* as they are signed (RFC 5849 section 3.4.1.2).

    Scheme and host are lower-cased, the scheme's default port, query and fragment are dropped, an empty path becomes
    ``/``; the path keeps its case and its ``%XX``.

    Raises:
        CredentialsError: not an absolute http or https URL of visible ASCII.
    """
    return _split(url)[0]


def normalized_parameters(parameters: Iterable[tuple[str, str]]) -> str:
    """Return decoded name-value pairs encoded, sorted and joined (RFC 5849 section 3.4.1.3.2)."""
    return _normalized(_encoded(parameters))


def _encoded(parameters: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(percent_encode(name), percent_encode(value)) for name, value in parameters]


def _normalized(encoded: Iterable[tuple[str, str]]) -> str:
    # Encoding comes before sorting: "{" sorts after "a", but "%7B" before it.
    return "&".join([f"{name}={value}" for name, value in sorted(encoded)])


def signature_base_string(method: str, url: str, oauth_parameters: Iterable[tuple[str, str]] = ()) -> str:
    """Return the text that is signed (RFC 5849 section 3.4.1.1).

    Args:
        method: the HTTP method; it is upper-cased.
        url: the request URL; the parameters of its query are signed too.
        oauth_parameters: decoded ``oauth_…`` pairs; ``realm`` and ``oauth_signature`` are left out.
    """
    signed = [(name, value) for name, value in oauth_parameters if name not in ("realm", "oauth_signature")]
    return _base_string(method, url, _encoded(signed))


def _base_string(method: str, url: str, encoded: list[tuple[str, str]]) -> str:
    uri, query = _split(url)
    if query:
        # Form decoding (RFC 5849 section 3.4.1.3.1): "+" is a space, empty values and repeated names count.
        decoded = urllib.parse.parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
        encoded = [*_encoded(decoded), *encoded]
    return f"{percent_encode(method.upper())}&{percent_encode(uri)}&{percent_encode(_normalized(encoded))}"


def sign_hmac_sha1(base_string: str, client_secret: str, resource_owner_secret: str = "") -> str:
    """Return the HMAC-SHA1 signature in base64 (RFC 5849 section 3.4.2), not yet percent-encoded."""
    key = f"{percent_encode(client_secret)}&{percent_encode(resource_owner_secret)}"
    return base64.b64encode(hmac.digest(key.encode("ascii"), base_string.encode("ascii"), "sha1")).decode("ascii")


def request_url(url: str, requestor_id: str | None) -> str:
    """Return *url* with ``xoauth_requestor_id`` in its query; one that is there already is kept."""
    _, query = _split(url)
    names = [name for name, _ in urllib.parse.parse_qsl(query, keep_blank_values=True)]
    if requestor_id is None or "xoauth_requestor_id" in names:
        return url
    parameter = f"xoauth_requestor_id={percent_encode(requestor_id)}"
    head, hash_mark, fragment = url.partition("#")
    return f"{head}{'&' if query else '?' if '?' not in head else ''}{parameter}{hash_mark}{fragment}"


def _signed(
    method: str,
    url: str,
    credentials: OAuth1Credentials,
    nonce: str | None,
    timestamp: int | str | None,
    version: str | None,
) -> dict[str, str]:
    """Return the protocol parameters of RFC 5849 section 3.1, ``oauth_signature`` included, their values encoded."""
    if nonce is None:
        import secrets

        nonce = secrets.token_hex(16)
    if timestamp is None:
        import time

        timestamp = int(time.time())
    values = {
        "oauth_consumer_key": credentials.client_key,
        "oauth_nonce": nonce,
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(timestamp),
        "oauth_token": credentials.resource_owner_key,
        "oauth_version": version,
    }
    encoded = {name: percent_encode(value) for name, value in values.items() if value is not None}
    base_string = _base_string(method, url, [*encoded.items()])
    signature = sign_hmac_sha1(base_string, credentials.client_secret, credentials.resource_owner_secret)
    encoded["oauth_signature"] = percent_encode(signature)
    return encoded


def _quoted(encoded: Iterable[tuple[str, str]]) -> str:
    return ",".join([f'{name}="{value}"' for name, value in encoded])


def xoauth_string(
    url: str,
    credentials: OAuth1Credentials,
    *,
    method: str = "GET",
    nonce: str | None = None,
    timestamp: int | str | None = None,
    oauth_version: str | None = "1.0",
) -> str:
    """Return the SASL XOAUTH message, not yet in base64.

    Args:
        url: the request URL, such as ``https://mail.google.com/mail/b/me@example.com/imap/``.
        credentials: without a resource owner the request is two-legged; a ``requestor_id`` joins the URL.
        method: the HTTP method that is signed and stands in front.
        nonce: never used before with this timestamp; drawn from `secrets` when None.
        timestamp: whole seconds since the epoch; the clock's when None.
        oauth_version: left out of the message and of the signature when None.

    Returns:
        ``GET <url> oauth_consumer_key="…",…``, the parameters sorted by name.

    Raises:
        CredentialsError: a URL that cannot be signed.
    """
    if credentials.requestor_id is not None:
        url = request_url(url, credentials.requestor_id)
    parameters = _signed(method, url, credentials, nonce, timestamp, oauth_version)
    return f"{method.upper()} {url} {_quoted(sorted(parameters.items()))}"


def oauth10a_header(
    host: str,
    port: int,
    credentials: OAuth1Credentials,
    *,
    nonce: str | None = None,
    timestamp: int | str | None = None,
    realm: str | None = None,
    oauth_version: str | None = "1.0",
) -> str:
    """Return the ``Authorization`` value that OAUTH10A carries (RFC 7628 section 3.1).

    The signed request is ``POST http://host:port/``, also over TLS; *realm* is sent but never signed.

    Args:
        host: the mail server as the client named it.
        port: the port of the mail connection; part of what is signed.
        credentials: client and token credentials.
        nonce: as for `xoauth_string`.
        timestamp: as for `xoauth_string`.
        realm: left out when None.
        oauth_version: left out when None.
    """
    authority = f"[{host}]" if ":" in host else host
    signed = _signed("POST", f"http://{authority}:{port}/", credentials, nonce, timestamp, oauth_version)
    order = ("consumer_key", "token", "signature_method", "timestamp", "nonce", "version", "signature")
    sent = [(name, signed[name]) for name in (f"oauth_{word}" for word in order) if name in signed]
    if realm is not None:
        sent = [("realm", percent_encode(realm)), *sent]
    return f"OAuth {_quoted(sent)}"
