"""OAuth 1.0a signatures (RFC 5849 section 3.4) and what SASL makes of them.

`xoauth_string` gives the SASL XOAUTH message, `oauth10a_header` the ``Authorization`` value inside OAUTH10A
(RFC 7628 section 3.1). Given a nonce and a timestamp every function is pure; the two that send something draw what
was left out from `secrets` and the clock.
"""

from __future__ import annotations

import base64
import hmac
import re
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


def percent_encode(text: str) -> str:
    """Encode everything but unreserved characters as ``%XX`` of the UTF-8 octets (RFC 5849 section 3.6)."""
    # urllib's default also leaves "/" alone, which RFC 5849 section 3.6 forbids. Octets of a query that are not
    # UTF-8 arrive here as lone surrogates and leave as the octets they were.
    return urllib.parse.quote(text, safe="~", errors="surrogateescape")


def _split(url: str) -> urllib.parse.SplitResult:
    """Take a request URL apart, refusing what cannot be signed or would break the XOAUTH message."""
    # A blank ends the URL inside "GET <url> <parameters>", and urlsplit drops tabs and line ends without a word.
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        raise CredentialsError("the request URL must be a str of visible ASCII characters, others percent-encoded")
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise CredentialsError("the request URL has a malformed host or port") from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == 0:
        raise CredentialsError("the request URL must be absolute: https://host/path")
    if "@" in parts.netloc:
        raise CredentialsError("the request URL must not carry a user name or password before its host")
    return parts


def base_string_uri(url: str) -> str:
    """Return scheme, authority and path of *url* as they are signed (RFC 5849 section 3.4.1.2).

    Scheme and host are lower-cased, the scheme's default port, query and fragment are dropped, an empty path becomes
    ``/``; the path keeps its case and its ``%XX``.

    Raises:
        CredentialsError: not an absolute http or https URL of visible ASCII.
    """
    parts = _split(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    authority = host if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{parts.port}"
    return f"{parts.scheme}://{authority}{parts.path or '/'}"


def normalized_parameters(parameters: Iterable[tuple[str, str]]) -> str:
    """Return decoded name-value pairs encoded, sorted and joined (RFC 5849 section 3.4.1.3.2)."""
    # Encoding comes before sorting: "{" sorts after "a", but "%7B" before it.
    encoded = sorted((percent_encode(name), percent_encode(value)) for name, value in parameters)
    return "&".join(f"{name}={value}" for name, value in encoded)


def signature_base_string(method: str, url: str, oauth_parameters: Iterable[tuple[str, str]] = ()) -> str:
    """Return the text that is signed (RFC 5849 section 3.4.1.1).

    Args:
        method: the HTTP method; it is upper-cased.
        url: the request URL; the parameters of its query are signed too.
        oauth_parameters: decoded ``oauth_…`` pairs; ``realm`` and ``oauth_signature`` are left out.
    """
    # Form decoding (RFC 5849 section 3.4.1.3.1): "+" is a space, empty values and repeated names count.
    query = urllib.parse.parse_qsl(_split(url).query, keep_blank_values=True, errors="surrogateescape")
    signed = [(name, value) for name, value in oauth_parameters if name not in ("realm", "oauth_signature")]
    parts = (method.upper(), base_string_uri(url), normalized_parameters([*query, *signed]))
    return "&".join(map(percent_encode, parts))


def sign_hmac_sha1(base_string: str, client_secret: str, resource_owner_secret: str = "") -> str:
    """Return the HMAC-SHA1 signature in base64 (RFC 5849 section 3.4.2), not yet percent-encoded."""
    key = f"{percent_encode(client_secret)}&{percent_encode(resource_owner_secret)}"
    return base64.b64encode(hmac.digest(key.encode("ascii"), base_string.encode("ascii"), "sha1")).decode("ascii")


def request_url(url: str, requestor_id: str | None) -> str:
    """Return *url* with ``xoauth_requestor_id`` in its query; one that is there already is kept."""
    parts = _split(url)
    names = [name for name, _ in urllib.parse.parse_qsl(parts.query, keep_blank_values=True)]
    if requestor_id is None or "xoauth_requestor_id" in names:
        return url
    parameter = f"xoauth_requestor_id={percent_encode(requestor_id)}"
    head, hash_mark, fragment = url.partition("#")
    return f"{head}{'&' if parts.query else '?' if '?' not in head else ''}{parameter}{hash_mark}{fragment}"


def _signed(
    method: str,
    url: str,
    credentials: OAuth1Credentials,
    nonce: str | None,
    timestamp: int | str | None,
    version: str | None,
) -> dict[str, str]:
    """Return the protocol parameters of RFC 5849 section 3.1, ``oauth_signature`` included."""
    if nonce is None:
        import secrets

        nonce = secrets.token_hex(16)
    if timestamp is None:
        import time

        timestamp = int(time.time())
    optional = {"oauth_token": credentials.resource_owner_key, "oauth_version": version}
    parameters = {
        "oauth_consumer_key": credentials.client_key,
        "oauth_nonce": nonce,
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(timestamp),
        **{name: value for name, value in optional.items() if value is not None},
    }
    base_string = signature_base_string(method, url, parameters.items())
    parameters["oauth_signature"] = sign_hmac_sha1(
        base_string, credentials.client_secret, credentials.resource_owner_secret
    )
    return parameters


def _quoted(parameters: Iterable[tuple[str, str]]) -> str:
    return ",".join(f'{percent_encode(name)}="{percent_encode(value)}"' for name, value in parameters)


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
    return f"OAuth {_quoted([('realm', realm), *sent] if realm is not None else sent)}"
