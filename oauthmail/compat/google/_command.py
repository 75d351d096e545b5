"""The command line of Google's ``oauth2.py``: its options, its lines of output."""

# It prints what other programs have learnt to read.
# ruff: noqa: T201

from __future__ import annotations

import optparse
import sys
from collections.abc import Sequence

from . import _options, oauth2

__all__ = ["main", "parser"]

_USAGE = """\
%prog ACTION [OPTION ...]

Tokens for mail, by the options of Google's oauth2.py. One of these, with what it needs:

  --generate_oauth2_token --client_id=ID --client_secret_file=FILE
        has somebody sign in, in a browser on this machine; or in one elsewhere, of which
        the last address is pasted
  --refresh_token_file=FILE --client_id=ID --client_secret_file=FILE
        prints a new access token
  --generate_oauth2_string --user=me@gmail.com --access_token_file=FILE
        prints what goes behind AUTHENTICATE XOAUTH2
  --test_imap_authentication --user=me@gmail.com --access_token_file=FILE
  --test_smtp_authentication --user=me@gmail.com --access_token_file=FILE
        logs in, and shows how"""

_PROGRAM = "python -m oauthmail.compat.google"


def parser() -> optparse.OptionParser:
    """Return the parser."""
    # Not argparse: it takes no value that begins with a dash, as tokens may, and minds words that belong to no option.
    made = optparse.OptionParser(_USAGE, prog=_PROGRAM)
    for name, meaning in {
        "generate_oauth2_token": "get a refresh token and an access token",
        "generate_oauth2_string": "print the message of a login",
        "test_imap_authentication": "log in to IMAP",
        "test_smtp_authentication": "log in to SMTP",
    }.items():
        made.add_option(f"--{name}", action="store_true", default=False, help=meaning)
    made.add_option("--client_id", help="of the application, as it was registered")
    _options.add_secret(made, "client_secret", "of the application")
    _options.add_secret(made, "access_token", "an access token")
    _options.add_secret(made, "refresh_token", "a refresh token, to be exchanged for an access token")
    made.add_option(
        "--scope",
        default="https://mail.google.com/",
        help="what to ask for, several in quotation marks with blanks between them (default: %default)",
    )
    made.add_option("--user", help="the mailbox address")
    made.add_option(
        "--quiet", action="store_true", default=False, help="print a new access token or a message and nothing else"
    )
    made.add_option(
        "--google_accounts_base_url",
        metavar="URL",
        default=oauth2.GOOGLE_ACCOUNTS_BASE_URL,
        help="an authorization server other than Google's, by its name as an issuer (default: %default)",
    )
    made.add_option("--imap_hostname", default=oauth2.IMAP_HOSTNAME, help="with :PORT if need be (default: %default)")
    made.add_option("--smtp_hostname", default=oauth2.SMTP_HOSTNAME, help="with :PORT if need be (default: %default)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run it and return the exit status."""
    made = parser()
    options, _ = made.parse_args(list(sys.argv if argv is None else argv)[1:])
    return _options.run(lambda: _run(made, options))


def _run(made: optparse.OptionParser, options: optparse.Values) -> int:
    _options.secrets(options, "client_secret", "access_token", "refresh_token")
    oauth2.GOOGLE_ACCOUNTS_BASE_URL = options.google_accounts_base_url
    oauth2.IMAP_HOSTNAME, oauth2.SMTP_HOSTNAME = options.imap_hostname, options.smtp_hostname
    if options.refresh_token:
        _refresh(options)
    elif options.generate_oauth2_string:
        _options.require(options, "user", "access_token")
        message = oauth2.GenerateOAuth2String(options.user, options.access_token)
        print(message if options.quiet else f"OAuth2 argument:\n{message}")
    elif options.generate_oauth2_token:
        _generate(options)
    elif options.test_imap_authentication or options.test_smtp_authentication:
        _options.require(options, "user", "access_token")
        message = oauth2.GenerateOAuth2String(options.user, options.access_token, base64_encode=False)
        test = oauth2.TestImapAuthentication if options.test_imap_authentication else oauth2.TestSmtpAuthentication
        test(options.user, message)
    else:
        made.print_help()
        print("Nothing to do, exiting.")
    return 0


def _refresh(options: optparse.Values) -> None:
    _options.require(options, "client_id", "client_secret")
    answer = oauth2.RefreshToken(options.client_id, options.client_secret, options.refresh_token)
    if options.quiet:
        print(answer["access_token"])
    else:
        _print("Access Token", answer["access_token"])
        _print("Access Token Expiration Seconds", answer.get("expires_in"))


def _generate(options: optparse.Values) -> None:
    from ._prompt import ask

    _options.require(options, "client_id", "client_secret")
    print("To authorize token, visit this url and follow the directions:")
    print(f"  {oauth2.GeneratePermissionUrl(options.client_id, options.scope)}")
    typed = ask("Enter verification code: ", oauth2._begin(options.client_id, options.scope))
    answer = oauth2.AuthorizeTokens(options.client_id, options.client_secret, typed)
    _print("Refresh Token", answer.get("refresh_token"))
    _print("Access Token", answer["access_token"])
    _print("Access Token Expiration Seconds", answer.get("expires_in"))


def _print(name: str, value: object) -> None:
    if value is not None:
        print(f"{name}: {value}")
