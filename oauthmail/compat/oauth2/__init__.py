"""What python-oauth2 had for mail, for Python 3.

>>> import oauthmail.compat.oauth2 as oauth2

in place of ``import oauth2``, and ``oauthmail.compat.oauth2.clients`` in place of ``oauth2.clients``, is all that a
script has to change. Its requests over HTTP were another matter: those are requests-oauthlib's.
"""

from __future__ import annotations

import secrets
import urllib.parse

from ... import OAuth1Credentials, signing

__all__ = ["Consumer", "Token", "build_xoauth_string", "credentials"]

# The rest of python-oauth2's public names, which did nothing for mail.
_OVER_HTTP = frozenset(
    {
        "Client",
        "Request",
        "Server",
        "SignatureMethod",
        "SignatureMethod_HMAC_SHA1",
        "SignatureMethod_PLAINTEXT",
        "build_authenticate_header",
    }
)


def __getattr__(name: str) -> object:
    if name in _OVER_HTTP:
        raise AttributeError(
            f"{__name__} has no {name}: here is what python-oauth2 had for mail, and requests_oauthlib.OAuth1Session "
            "signs requests over HTTP"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Pair:
    def __init__(self, key: str, secret: str) -> None:
        if any(value is None for value in (key, secret)):
            # The other one would stay readable in the traceback.
            del key, secret
            raise ValueError("Key and secret must be set.")
        self.key = key
        self.secret = secret


class Consumer(_Pair):
    """Who asks: the client credentials of OAuth 1.0a.

    ``str()`` of it is form-encoded and shows the secret, as it always did; ``repr()`` does not.

    Attributes:
        key: identifies the client.
        secret: shared with the server.

    Raises:
        ValueError: one of them is None.
    """

    def __str__(self) -> str:
        return urllib.parse.urlencode({"oauth_consumer_key": self.key, "oauth_consumer_secret": self.secret})


class Token(_Pair):
    """What opens the mailbox: the token credentials of OAuth 1.0a.

    ``str()`` of it is `to_string` and shows the secret, as it always did; ``repr()`` does not.

    Attributes:
        key: names the token.
        secret: signs with it; may be empty.
        callback: where the server sends the person's browser, or None.
        callback_confirmed: ``"true"`` once there was a callback, or None.
        verifier: what the server gave the person, or None.

    Raises:
        ValueError: key or secret is None.
    """

    callback: str | None = None
    callback_confirmed: str | None = None
    verifier: str | None = None

    def set_callback(self, callback: str | None) -> None:
        """Set where the browser is sent; this confirms the callback."""
        self.callback = callback
        self.callback_confirmed = "true"

    def set_verifier(self, verifier: str | None = None) -> None:
        """Set the verifier, eight random digits where none is given."""
        self.verifier = f"{secrets.randbelow(10**8):08}" if verifier is None else verifier

    def get_callback_url(self) -> str | None:
        """Return the callback, with the verifier in its query when there is one."""
        if not self.callback or not self.verifier:
            return self.callback
        parts = urllib.parse.urlsplit(self.callback)
        verifier = f"oauth_verifier={signing.percent_encode(self.verifier)}"
        return parts._replace(query=f"{parts.query}&{verifier}" if parts.query else verifier).geturl()

    def to_string(self) -> str:
        """Return the token form-encoded, to be kept where nobody else can read it: the secret is in it."""
        fields = {"oauth_token": self.key, "oauth_token_secret": self.secret}
        if self.callback_confirmed is not None:
            fields["oauth_callback_confirmed"] = self.callback_confirmed
        return urllib.parse.urlencode(fields)

    @classmethod
    def from_string(cls, s: str) -> Token:
        """Return the token in what `to_string` or a server wrote.

        An empty secret counts, other than in python-oauth2, which could not read such a token of its own again.

        Raises:
            ValueError: no ``oauth_token``, or no ``oauth_token_secret``.
        """
        found = {name: values[0] for name, values in urllib.parse.parse_qs(s, keep_blank_values=True).items()}
        key, secret = found.get("oauth_token"), found.get("oauth_token_secret")
        confirmed, empty = found.get("oauth_callback_confirmed"), not any(found.values())
        if not key or secret is None:
            missing = "oauth_token_secret" if key else "oauth_token"
            # Nothing of what was read stays in the traceback.
            del s, found, key, secret
            raise ValueError("Invalid parameter string." if empty else f"'{missing}' not found in OAuth request.")
        token = cls(key, secret)
        token.callback_confirmed = confirmed
        return token

    def __str__(self) -> str:
        return self.to_string()


def credentials(consumer: object, token: object = None) -> object:
    """Return what ``authenticate_oauth`` takes for the two arguments of ``authenticate``.

    Args:
        consumer: a `Consumer`; or anything that `authenticate_oauth` takes as credentials, with no *token*.
        token: a `Token`; None for two-legged OAuth.

    Raises:
        ValueError: another kind of consumer or token.
    """
    if token is None and consumer is not None and not (hasattr(consumer, "key") and hasattr(consumer, "secret")):
        return consumer
    try:
        return _signed_by(consumer, token)
    finally:
        # What came instead of a consumer or token may well be a secret, and would stay readable in the traceback.
        del consumer, token


def build_xoauth_string(
    url: str,
    consumer: Consumer,
    token: Token | None = None,
    *,
    nonce: str | None = None,
    timestamp: int | str | None = None,
) -> str:
    """Return the SASL XOAUTH message, not yet in base64: ``GET <url> oauth_consumer_key="…",…``.

    Other than python-oauth2's it has no ``oauth_body_hash``: there is no body, and Google's own sample had none.

    Args:
        url: the request URL, such as ``https://mail.google.com/mail/b/me@example.com/imap/``.
        consumer: who asks.
        token: None for two-legged OAuth, with ``xoauth_requestor_id`` in the URL.
        nonce: drawn at random when None.
        timestamp: whole seconds since the epoch; the clock's when None.

    Raises:
        ValueError: another kind of consumer or token, or a URL that cannot be signed.
    """
    try:
        values = _signed_by(consumer, token)
    finally:
        # As in `credentials`.
        del consumer, token
    return signing.xoauth_string(url, values, nonce=nonce, timestamp=timestamp)


def _signed_by(consumer: object, token: object) -> OAuth1Credentials:
    """Return the two as values of OAuth 1.0a, by class: a token is no consumer, though it looks like one."""
    if isinstance(consumer, Consumer) and token is None:
        return OAuth1Credentials(consumer.key, consumer.secret)
    if isinstance(consumer, Consumer) and isinstance(token, Token):
        return OAuth1Credentials(consumer.key, consumer.secret, token.key, token.secret)
    wrong: tuple[type, object] = (Token, token) if isinstance(consumer, Consumer) else (Consumer, consumer)
    expected, found = wrong[0].__name__, type(wrong[1]).__name__
    # As in `credentials`.
    del consumer, token, wrong
    raise ValueError(f"Invalid {expected.lower()}. Expected {__name__}.{expected}, not {found}")
