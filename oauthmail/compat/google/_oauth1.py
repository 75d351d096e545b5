"""The two requests for tokens of OAuth 1.0a (RFC 5849 section 2), apart from each other, as the script has them."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

from ... import signing
from ...flows import HTTP
from ...flows._oauth1 import _content, _pair
from .xoauth import FillInCommonOauthParams, OAuthEntity

__all__ = ["access_token", "request_token"]

_GONE = (
    "Google has ended OAuth 1.0: sign in with  python -m oauthmail.compat.google --generate_oauth2_token  and log in "
    "with XOAUTH2"
)
_CHECK = "Check the consumer's key and secret, the verification code, and this machine's clock"


def request_token(consumer: OAuthEntity, scope: str, nonce: str | None, timestamp: str | None, url: str) -> OAuthEntity:
    """Ask for temporary credentials, for a person who will be shown a verification code."""
    # The scope is Google's own addition, and signed with all the rest of the query.
    asking = f"{url}{'&' if '?' in url else '?'}scope={signing.percent_encode(scope)}" if scope else url
    return _ask(asking, consumer, OAuthEntity(None, ""), {"oauth_callback": "oob"}, nonce, timestamp)


def access_token(
    consumer: OAuthEntity, token: OAuthEntity, verifier: str, nonce: str | None, timestamp: str | None, url: str
) -> OAuthEntity:
    """Exchange temporary credentials and verification code for a token."""
    more = {"oauth_token": str(token.key), "oauth_verifier": verifier.strip()}
    return _ask(url, consumer, token, more, nonce, timestamp)


def _ask(
    url: str,
    consumer: OAuthEntity,
    token: OAuthEntity,
    more: Mapping[str, str],
    nonce: str | None,
    timestamp: str | None,
) -> OAuthEntity:
    parameters = dict(more)
    FillInCommonOauthParams(parameters, consumer, nonce, timestamp)
    hint = _GONE if urllib.parse.urlsplit(url).hostname == "www.google.com" else _CHECK
    with HTTP() as http:
        base_string = signing.signature_base_string("POST", url, parameters.items())
        signature = signing.sign_hmac_sha1(base_string, consumer.secret, token.secret)
        hidden = [consumer.secret, signature, *more.values(), *filter(None, (token.key, token.secret))]
        parameters["oauth_signature"] = signature
        header = ", ".join(f'{name}="{signing.percent_encode(value)}"' for name, value in sorted(parameters.items()))
        # A nonce is good for one attempt only.
        answer = http.post(
            url, {}, headers={"Authorization": f"OAuth {header}", "Accept": "*/*"}, secrets=hidden, retry=False
        )
    content = _content(answer, hint)
    key, secret = _pair(answer, content)
    rest = {name: value for name, value in content.items() if name not in ("oauth_token", "oauth_token_secret")}
    return OAuthEntity(key, secret, **rest)
