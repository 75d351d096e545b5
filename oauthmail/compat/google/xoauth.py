"""Google's ``xoauth.py``: XOAUTH, which is OAuth 1.0a for mail, for the servers that still take it.

Google's own take it no longer, and issue no such tokens: there, ``oauth2`` beside this module is what to use.

Where the tokens come from is a parameter of the functions that get them, an object with three methods; or, for
`GoogleAccountsUrlGenerator` and the command line, these settings: ``REQUEST_TOKEN_URL``, ``AUTHORIZE_TOKEN_URL`` and
``ACCESS_TOKEN_URL``. ``XOAUTH_REQUEST_URL_BASE`` is what the signed addresses begin with.
"""

# The functions are called as they always were, and print where they have to.
# ruff: noqa: N802, T201

from __future__ import annotations

import base64
import hmac
import secrets
import sys
import time
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ... import CredentialsError, OAuth1Credentials, signing
from ...flows._quiet import private
from .oauth2 import FormatUrlParams, UrlEscape, UrlUnescape, _no_test

if TYPE_CHECKING:
    import optparse

# As of the package.
__all__ = [
    "EscapeAndJoin",
    "FillInCommonOauthParams",
    "FormatUrlParams",
    "GenerateHmacSha1Signature",
    "GenerateOauthSignature",
    "GenerateRequestToken",
    "GenerateSignatureBaseString",
    "GenerateXOauthString",
    "GetAccessToken",
    "GoogleAccountsUrlGenerator",
    "OAuthEntity",
    "ParseUrlParamString",
    "TestImapAuthentication",
    "TestSmtpAuthentication",
    "UrlEscape",
    "UrlUnescape",
]

REQUEST_TOKEN_URL = "https://www.google.com/accounts/OAuthGetRequestToken"  # noqa: S105  # an address
AUTHORIZE_TOKEN_URL: str | None = None
ACCESS_TOKEN_URL = "https://www.google.com/accounts/OAuthGetAccessToken"  # noqa: S105  # an address
XOAUTH_REQUEST_URL_BASE = "https://mail.google.com/"

# What may stand in a path as it is (RFC 3986 section 3.3): the scripts encoded nothing there.
_IN_PATH = "!$&'()*+,;=:@~"


class OAuthEntity:
    """A key and its secret: a consumer, or a token.

    Attributes:
        key: names it.
        secret: signs with it.

    Whatever else a server said of a token is an attribute, too. ``repr()`` shows none of it.
    """

    def __init__(self, key: str | None, secret: str, **rest: str) -> None:
        self.key = key
        self.secret = secret
        vars(self).update(rest)


class _Addresses(Protocol):
    def GetRequestTokenUrl(self) -> str: ...
    def GetAuthorizeTokenUrl(self) -> str: ...
    def GetAccessTokenUrl(self) -> str: ...


class GoogleAccountsUrlGenerator:
    """The addresses of Google Accounts for a user, or those of the settings above.

    Args:
        user: the mailbox address; people of a domain of their own were sent to a page of their own.
    """

    def __init__(self, user: str) -> None:
        domain = user.partition("@")[2].lower()
        self._apps_domain = domain if domain not in ("", "gmail.com", "googlemail.com") else ""

    def GetRequestTokenUrl(self) -> str:
        """Return where temporary credentials come from."""
        return REQUEST_TOKEN_URL

    def GetAuthorizeTokenUrl(self) -> str:
        """Return where the person goes."""
        if AUTHORIZE_TOKEN_URL is not None:
            return AUTHORIZE_TOKEN_URL
        where = f"a/{self._apps_domain}" if self._apps_domain else "accounts"
        return f"https://www.google.com/{where}/OAuthAuthorizeToken"

    def GetAccessTokenUrl(self) -> str:
        """Return where tokens come from."""
        return ACCESS_TOKEN_URL


# --- signing --------------------------------------------------------------------------------------------------------


def EscapeAndJoin(elems: Iterable[str]) -> str:
    """Encode each and put ``&`` between them."""
    return "&".join(map(UrlEscape, elems))


def GenerateSignatureBaseString(method: str, request_url_base: str, params: Mapping[str, str]) -> str:
    """Return the text that is signed (RFC 5849 section 3.4.1).

    Args:
        method: the HTTP method, in upper case.
        request_url_base: the request URL without its query.
        params: the ``oauth_…`` parameters, and those of the query.
    """
    return EscapeAndJoin([method, request_url_base, FormatUrlParams(params)])


@private
def GenerateHmacSha1Signature(text: str, key: str) -> str:
    """Return the HMAC-SHA1 of *text* in base64."""
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), "sha1")).decode()


@private
def GenerateOauthSignature(base_string: str, consumer_secret: str, token_secret: str) -> str:
    """Return the signature of a base string (RFC 5849 section 3.4.2)."""
    return GenerateHmacSha1Signature(base_string, EscapeAndJoin([consumer_secret, token_secret]))


def ParseUrlParamString(param_string: str) -> dict[str, str]:
    """Return the parameters of a form-encoded answer."""
    pairs = (pair.partition("=") for pair in param_string.split("&") if pair)
    return {name: UrlUnescape(value) for name, _, value in pairs}


def FillInCommonOauthParams(
    params: dict[str, str], consumer: OAuthEntity, nonce: str | None = None, timestamp: str | None = None
) -> None:
    """Add to *params* what every signed request has, its time and a number that is used once."""
    params["oauth_consumer_key"] = _key(consumer)
    params["oauth_nonce"] = str(nonce or secrets.randbelow(2**64))
    params["oauth_signature_method"] = "HMAC-SHA1"
    params["oauth_timestamp"] = str(timestamp or int(time.time()))
    params["oauth_version"] = "1.0"


def _key(consumer: OAuthEntity) -> str:
    if not consumer.key:
        raise CredentialsError("the consumer has no key")
    return consumer.key


@private
def GenerateXOauthString(
    consumer: OAuthEntity,
    access_token: OAuthEntity | None,
    user: str,
    proto: str,
    xoauth_requestor_id: str | None = None,
    nonce: str | None = None,
    timestamp: str | None = None,
) -> str:
    """Return the SASL XOAUTH message, not yet in base64. Nothing is printed; Google's script showed all of it.

    Args:
        consumer: who asks.
        access_token: opens the mailbox; without a key, or None, for two-legged OAuth.
        user: the mailbox address.
        proto: ``"imap"`` or ``"smtp"``.
        xoauth_requestor_id: the mailbox of two-legged OAuth.
        nonce: drawn at random when empty.
        timestamp: seconds since the epoch; the clock's when empty.

    Raises:
        CredentialsError: a value that would break the message.
    """
    token = OAuthEntity(None, "") if access_token is None else access_token
    credentials = OAuth1Credentials(
        _key(consumer), consumer.secret, token.key or None, token.secret or "", requestor_id=xoauth_requestor_id or None
    )
    mailbox = urllib.parse.quote(user, safe=_IN_PATH)
    url = f"{XOAUTH_REQUEST_URL_BASE}mail/b/{mailbox}/{urllib.parse.quote(proto, safe='')}/"
    return signing.xoauth_string(url, credentials, nonce=nonce or None, timestamp=timestamp or None)


# --- tokens ---------------------------------------------------------------------------------------------------------


@private
def GenerateRequestToken(
    consumer: OAuthEntity,
    scope: str,
    nonce: str | None,
    timestamp: str | None,
    google_accounts_url_generator: _Addresses,
) -> OAuthEntity:
    """Get temporary credentials and print where the person goes, who is shown a verification code there.

    Raises:
        FlowError: the server refused.
    """
    from . import _oauth1

    token = _oauth1.request_token(consumer, scope, nonce, timestamp, google_accounts_url_generator.GetRequestTokenUrl())
    print("To authorize token, visit this url and follow the directions to generate a verification code:")
    address = google_accounts_url_generator.GetAuthorizeTokenUrl()
    print(f"  {address}?oauth_token={UrlEscape(str(token.key))}", flush=True)
    return token


@private
def GetAccessToken(
    consumer: OAuthEntity,
    request_token: OAuthEntity,
    oauth_verifier: str,
    google_accounts_url_generator: _Addresses,
    timestamp: str | None = None,
    nonce: str | None = None,
) -> OAuthEntity:
    """Return the token for a verification code. It is not printed; Google's script showed it.

    Raises:
        FlowError: the server refused.
    """
    from . import _oauth1

    url = google_accounts_url_generator.GetAccessTokenUrl()
    return _oauth1.access_token(consumer, request_token, oauth_verifier, nonce, timestamp, url)


# --- logins ---------------------------------------------------------------------------------------------------------


@_no_test
@private
def TestImapAuthentication(imap_hostname: str, user: str, xoauth_string: str | bytes) -> None:
    """Log in over IMAP and select INBOX, with a trace on standard error that shows neither token nor signature.

    Args:
        imap_hostname: with ``:port`` if it is not 993.
        user: not used: the message names the mailbox.
        xoauth_string: what `GenerateXOauthString` returned.

    Raises:
        CredentialsError: the message is none.
        imaplib.IMAP4.error: the server refused.
    """
    from ._logins import Message, imap

    print()
    imap(imap_hostname, Message.xoauth(xoauth_string))


@_no_test
@private
def TestSmtpAuthentication(smtp_hostname: str, user: str, xoauth_string: str | bytes) -> None:
    """Log in over SMTP, with a trace on standard error that shows neither token nor signature.

    Args:
        smtp_hostname: with ``:port`` if it is not 587.
        user: not used: the message names the mailbox.
        xoauth_string: what `GenerateXOauthString` returned.

    Raises:
        CredentialsError: the message is none.
        smtplib.SMTPAuthenticationError: the server refused, which the script did not notice.
    """
    from ._logins import Message, smtp

    print()
    smtp(smtp_hostname, Message.xoauth(xoauth_string))


# --- the command line -----------------------------------------------------------------------------------------------


def SetupOptionParser() -> optparse.OptionParser:
    """Return the parser of the command line."""
    from . import _xoauth_command

    return _xoauth_command.parser()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, program name included, and return the exit status."""
    from . import _xoauth_command

    return _xoauth_command.main(argv)


if __name__ == "__main__":
    sys.exit(main())
