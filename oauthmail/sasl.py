"""The SASL mechanisms that carry OAuth, as exchanges without a socket (RFC 4422, RFC 7628).

An exchange gives its ``initial_response`` and answers challenges, in octets before base64; it knows no protocol. The
clients carry the octets and know no mechanism.
"""

from __future__ import annotations

import re
from collections import namedtuple

from ._checks import check_text, check_token
from .errors import CredentialsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from .credentials import OAuth1Credentials

__all__ = ["MECHANISMS", "Exchange", "ServerError", "build", "candidates", "choose"]

#: Every mechanism, in order of preference within its family.
MECHANISMS = {"OAuth 2": ("XOAUTH2", "OAUTHBEARER"), "OAuth 1.0a": ("XOAUTH", "OAUTH10A")}


# No dataclass, and not typing's NamedTuple: either takes longer to load than all that a login with a token needs.
_Said = namedtuple("_Said", ("status", "scope", "schemes", "openid_configuration"), defaults=(None, None, None, None))


class ServerError(_Said):
    """What a server says in the challenge that precedes a refusal (RFC 7628 section 3.2.2, Google's XOAUTH2 page).

    Attributes:
        status: ``"invalid_token"``, ``"insufficient_scope"``, or an HTTP-like code as text; None when not said.
        scope: the scope that would do, or None.
        schemes: the token types that would do, or None.
        openid_configuration: address of a discovery document, or None.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, challenge: bytes) -> ServerError:
        """Read the JSON of a refusal; whatever is not readable is simply not said."""
        import json

        try:
            said = json.loads(challenge)
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(said, dict):
            return cls()
        text = {
            name.replace("-", "_"): str(value)
            for name, value in said.items()
            if isinstance(value, str | int) and not isinstance(value, bool) and value != ""
        }
        return cls(**{name: text[name] for name in cls._fields if name in text})


class Exchange:
    """One attempt to authenticate.

    Attributes:
        mechanism: the name that goes on the wire.
        initial_response: the client's first message, in octets before base64.
        secrets: what of it must never be shown: the access token, or a signature and its token.
        server_error: what the server's refusal challenge said; None until one came.
    """

    def __init__(
        self, mechanism: str, initial_response: bytes, acknowledgement: bytes, secrets: tuple[str, ...] = ()
    ) -> None:
        self.mechanism = mechanism
        self.initial_response = initial_response
        self.secrets = secrets
        self.server_error: ServerError | None = None
        self._acknowledgement = acknowledgement

    def __repr__(self) -> str:
        return f"<Exchange {self.mechanism}>"

    def respond(self, challenge: bytes) -> bytes | None:
        """Answer a challenge that follows the initial response: it is always the reason of a refusal.

        Args:
            challenge: the octets after base64 decoding.

        Returns:
            The octets to send, empty for an empty line; None to cancel, when the server goes on challenging.
        """
        if self.server_error is not None:
            return None
        self.server_error = ServerError.parse(challenge)
        return self._acknowledgement


def candidates(credentials: OAuth1Credentials | None, identity: str, mechanism: str | None = None) -> tuple[str, ...]:
    """Return the mechanisms that can be used, best first.

    Args:
        credentials: OAuth 1.0a credentials, or None for OAuth 2.
        identity: the request URL or the mailbox address.
        mechanism: the one the caller asks for by name, or None.

    Raises:
        CredentialsError: *mechanism* is unknown or of the other family, or XOAUTH is asked for without a URL.
    """
    family = "OAuth 2" if credentials is None else "OAuth 1.0a"
    names: tuple[str, ...] = MECHANISMS[family]
    asked = None if mechanism is None else check_text("mechanism", mechanism).upper()
    if family == "OAuth 1.0a" and "://" not in identity:
        # Only the request URL can be signed for XOAUTH; OAUTH10A signs the server's own address.
        names = names[1:]
        if asked == "XOAUTH":
            raise CredentialsError("XOAUTH signs a request URL: pass https://…/ instead of the mailbox address")
    if asked is None:
        return names
    if asked not in names:
        raise CredentialsError(f"with {family} credentials the mechanism must be one of {', '.join(names)}")
    return (asked,)


def choose(names: tuple[str, ...], offered: Collection[str]) -> str | None:
    """Return the first of *names* that the server offers (upper case), or None."""
    return next((name for name in names if name in offered), None)


def build(
    mechanism: str,
    identity: str,
    credential: OAuth1Credentials | str,
    *,
    host: str = "",
    port: int = 0,
    nonce: str | None = None,
    timestamp: int | str | None = None,
) -> Exchange:
    """Return a fresh exchange.

    Args:
        mechanism: one of `MECHANISMS`, upper case.
        identity: the mailbox address, or the request URL for OAuth 1.0a.
        credential: OAuth 1.0a credentials, or an OAuth 2 access token.
        host: the server as the user named it; sent by OAUTHBEARER and OAUTH10A.
        port: the port of the connection; left out by OAUTHBEARER when 0.
        nonce: for signed mechanisms.
        timestamp: for signed mechanisms, seconds since the epoch.

    Raises:
        CredentialsError: a value that would break the message.
    """
    if host:
        check_text("host name", host)
    if mechanism in MECHANISMS["OAuth 1.0a"] and not isinstance(credential, str):
        from .signing import oauth10a_header, xoauth_string

        if mechanism == "XOAUTH":
            message = xoauth_string(identity, credential, nonce=nonce, timestamp=timestamp)
            return Exchange(mechanism, message.encode("ascii"), b"", _signed_secrets(message))
        # The URL says nothing of the user in a way that can be relied on; the token does (RFC 7628 section 3.1).
        authzid = credential.requestor_id or ("" if "://" in identity else check_text("user name", identity))
        header = oauth10a_header(host, port, credential, nonce=nonce, timestamp=timestamp)
        return Exchange(mechanism, _rfc7628(authzid, host, port, header), b"\x01", _signed_secrets(header))
    check_text("user name", identity)
    credential = check_token(credential)
    if mechanism == "XOAUTH2":
        # Google's format: no escaping, "user" is the mailbox; a refusal is acknowledged with an empty line.
        return Exchange(mechanism, f"user={identity}\x01auth=Bearer {credential}\x01\x01".encode(), b"", (credential,))
    return Exchange(mechanism, _rfc7628(identity, host, port, f"Bearer {credential}"), b"\x01", (credential,))


def _signed_secrets(message: str) -> tuple[str, ...]:
    """Return the values of a signed message that would let somebody else use it, as they stand there and decoded."""
    from urllib.parse import unquote

    encoded = re.findall(r'oauth_(?:signature|token)="([^"]+)"', message)
    return (*encoded, *map(unquote, encoded))


def _rfc7628(authzid: str, host: str, port: int, authorization: str) -> bytes:
    """Return the client's message of RFC 7628 section 3.1."""
    # saslname (RFC 5801 section 4): "=" is escaped first, as escaping "," brings a new one in.
    name = f"a={authzid.replace('=', '=3D').replace(',', '=2C')}" if authzid else ""
    pairs = [f"host={host}" if host else "", f"port={port}" if port else "", f"auth={authorization}"]
    return "\x01".join([f"n,{name},", *filter(None, pairs), "", ""]).encode()
