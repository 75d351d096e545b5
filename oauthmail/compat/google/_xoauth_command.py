"""The command line of Google's ``xoauth.py``: its options, its lines of output."""

# It prints what other programs have learnt to read.
# ruff: noqa: T201

from __future__ import annotations

import base64
import optparse
import sys
from collections.abc import Sequence

from . import _options, xoauth

__all__ = ["main", "parser"]

_USAGE = """\
%prog ACTION [OPTION ...]

XOAUTH (OAuth 1.0a) for mail, by the options of Google's xoauth.py, for servers that still
take it. One of these, with what it needs:

  --generate_oauth_token --user=me@example.com
        has somebody sign in, and prints a token and its secret
  --generate_xoauth_string --user=me@example.com --oauth_token=TOKEN --oauth_token_secret_file=FILE
        prints what goes behind AUTHENTICATE XOAUTH
  --generate_xoauth_string --user=me@example.com --two_legged --consumer_key=KEY
        --consumer_secret_file=FILE
        the same without a token
  --test_imap_authentication, --test_smtp_authentication, with the same options
        logs in, and shows how"""

_PROGRAM = "python -m oauthmail.compat.google.xoauth"

_ANONYMOUS = "anonymous"

_INSUFFICIENT = """\
ERROR: Insufficient parameters.
For 3-legged OAuth, supply --oauth_token and --oauth_token_secret.
For 2-legged OAuth, supply --consumer_key, --consumer_secret, and --xoauth_requestor_id"""


def parser() -> optparse.OptionParser:
    """Return the parser."""
    # As in `_command`.
    made = optparse.OptionParser(_USAGE, prog=_PROGRAM)
    for name, meaning in {
        "generate_oauth_token": "get a token",
        "generate_xoauth_string": "print the message of a login",
        "test_imap_authentication": "log in to IMAP",
        "test_smtp_authentication": "log in to SMTP",
        "two_legged": "without a token, for the mailbox of --user",
        "quiet": "print the message and nothing else",
    }.items():
        made.add_option(f"--{name}", action="store_true", default=False, help=meaning)
    made.add_option("--user", help="the mailbox address")
    made.add_option("--oauth_token", default="", help="(three-legged) the token")
    _options.add_secret(made, "oauth_token_secret", "(three-legged) its secret", "")
    made.add_option("--xoauth_requestor_id", help="(two-legged) the mailbox")
    made.add_option("--consumer_key", default=_ANONYMOUS, help="who asks (default: %default)")
    _options.add_secret(made, "consumer_secret", "its secret (default: %default)", _ANONYMOUS)
    made.add_option("--proto", default="imap", help="what the login is for, imap or smtp (default: %default)")
    made.add_option("--nonce", help="in place of a random one")
    made.add_option("--timestamp", help="in place of the clock's")
    made.add_option("--scope", default="https://mail.google.com/", help="what to ask for (default: %default)")
    made.add_option("--oauth_request_token", help="temporary credentials that were printed before, to go on with")
    _options.add_secret(made, "oauth_request_token_secret", "their secret", "")
    made.add_option("--oauth_verifier", help="the verification code, not to be asked for it")
    for name, default in {
        "imap_hostname": "imap.googlemail.com",
        "smtp_hostname": "smtp.googlemail.com",
        "xoauth_request_url_base": xoauth.XOAUTH_REQUEST_URL_BASE,
        "request_token_url": xoauth.REQUEST_TOKEN_URL,
        "authorize_token_url": xoauth.AUTHORIZE_TOKEN_URL,
        "access_token_url": xoauth.ACCESS_TOKEN_URL,
    }.items():
        made.add_option(f"--{name}", default=default, help="of another server (default: %default)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run it and return the exit status."""
    made = parser()
    options, _ = made.parse_args(list(sys.argv if argv is None else argv)[1:])
    return _options.run(lambda: _run(made, options))


def _run(made: optparse.OptionParser, options: optparse.Values) -> int:
    if not options.user:
        return _refused(made, "ERROR: --user is required.")
    _options.secrets(options, "consumer_secret", "oauth_token_secret", "oauth_request_token_secret")
    xoauth.XOAUTH_REQUEST_URL_BASE = options.xoauth_request_url_base
    xoauth.REQUEST_TOKEN_URL, xoauth.ACCESS_TOKEN_URL = options.request_token_url, options.access_token_url
    xoauth.AUTHORIZE_TOKEN_URL = options.authorize_token_url
    consumer = xoauth.OAuthEntity(options.consumer_key, options.consumer_secret)
    if options.generate_xoauth_string or options.test_imap_authentication or options.test_smtp_authentication:
        return _string(made, options, consumer)
    if options.generate_oauth_token:
        return _generate(options, consumer)
    made.print_help()
    print("Nothing to do, exiting.")
    return 0


def _refused(made: optparse.OptionParser, why: str) -> int:
    made.print_help(sys.stderr)
    print(why, file=sys.stderr)
    return 2


def _string(made: optparse.OptionParser, options: optparse.Values, consumer: xoauth.OAuthEntity) -> int:
    requestor_id = options.xoauth_requestor_id or (options.user if options.two_legged else None)
    known = _ANONYMOUS not in (options.consumer_key, options.consumer_secret)
    if not (options.oauth_token and options.oauth_token_secret) and not (requestor_id and known):
        return _refused(made, _INSUFFICIENT)
    token = xoauth.OAuthEntity(options.oauth_token, options.oauth_token_secret)
    proto = "smtp" if options.test_smtp_authentication else options.proto
    message = xoauth.GenerateXOauthString(
        consumer, token, options.user, proto, requestor_id, options.nonce, options.timestamp
    )
    encoded = base64.b64encode(message.encode()).decode()
    if options.generate_xoauth_string:
        print(encoded if options.quiet else f"XOAUTH string (base64-encoded): {encoded}")
    if options.test_imap_authentication:
        xoauth.TestImapAuthentication(options.imap_hostname, options.user, message)
    if options.test_smtp_authentication:
        xoauth.TestSmtpAuthentication(options.smtp_hostname, options.user, message)
    return 0


def _generate(options: optparse.Values, consumer: xoauth.OAuthEntity) -> int:
    from ._prompt import ask

    addresses = xoauth.GoogleAccountsUrlGenerator(options.user)
    if options.oauth_request_token:
        temporary = xoauth.OAuthEntity(options.oauth_request_token, options.oauth_request_token_secret)
    else:
        temporary = xoauth.GenerateRequestToken(consumer, options.scope, options.nonce, options.timestamp, addresses)
        _print(temporary)
    verifier = options.oauth_verifier or ask("Enter verification code: ", None)
    _print(xoauth.GetAccessToken(consumer, temporary, verifier, addresses))
    return 0


def _print(token: xoauth.OAuthEntity) -> None:
    print(f"oauth_token: {token.key}")
    print(f"oauth_token_secret: {token.secret}", flush=True)
