"""Google's ``oauth2.py`` under its own name, and the functions that blogs made of it.

What the scripts had as constants at their top are settings here:

* ``GOOGLE_ACCOUNTS_BASE_URL``: who issues the tokens. Any other value than Google's is the name of an authorization
  server (an issuer), which describes itself: its endpoints need not be called as Google's are.
* ``REDIRECT_URI``: None for one on this machine, at any port. Where one is registered, that one; if it is not on this
  machine, the code or the whole address has to be copied from the browser.
* ``IMAP_HOSTNAME``, ``SMTP_HOSTNAME``: the servers of the two tests and of `send_mail`, with ``:port`` where need be.
* ``GOOGLE_CLIENT_ID``, ``GOOGLE_CLIENT_SECRET``, ``GOOGLE_REFRESH_TOKEN``: for `send_mail`; see there.
"""

# The functions are called as they always were, and print what they always printed.
# ruff: noqa: N802, T201

from __future__ import annotations

import sys
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ... import Application, CredentialsError, FlowError, sasl, signing
from ...flows._quiet import private

if TYPE_CHECKING:
    import optparse
    from email.message import EmailMessage

    from ... import Provider
    from ._sign_in import SignIn

# As of the package.
__all__ = [
    "AccountsUrl",
    "AuthorizeTokens",
    "FormatUrlParams",
    "GenerateOAuth2String",
    "GeneratePermissionUrl",
    "RefreshToken",
    "TestImapAuthentication",
    "TestSmtpAuthentication",
    "UrlEscape",
    "UrlUnescape",
    "call_authorize_tokens",
    "call_refresh_token",
    "command_to_url",
    "generate_oauth2_string",
    "generate_permission_url",
    "get_authorization",
    "refresh_authorization",
    "send_mail",
    "test_imap",
    "test_smpt",
    "test_smtp",
    "url_escape",
    "url_format_params",
    "url_unescape",
]

GOOGLE_ACCOUNTS_BASE_URL = "https://accounts.google.com"
REDIRECT_URI: str | None = None
IMAP_HOSTNAME = "imap.gmail.com"
SMTP_HOSTNAME = "smtp.gmail.com"
GOOGLE_CLIENT_ID: str | None = None
GOOGLE_CLIENT_SECRET: str | None = None
GOOGLE_REFRESH_TOKEN: str | None = None

_SCOPE = "https://mail.google.com/"

_Function = TypeVar("_Function", bound=Callable[..., object])


def _no_test(function: _Function) -> _Function:
    """Keep pytest from taking a function for a test of whoever imports it."""
    function.__test__ = False  # type: ignore[attr-defined]  # pytest looks for it
    return function


# --- addresses ------------------------------------------------------------------------------------------------------


def AccountsUrl(command: str) -> str:
    """Return the address of *command*, such as ``o/oauth2/auth``, below ``GOOGLE_ACCOUNTS_BASE_URL``.

    The functions here do not need it: Google's endpoints have other addresses today.
    """
    return f"{GOOGLE_ACCOUNTS_BASE_URL}/{command}"


def UrlEscape(text: str) -> str:
    """Encode everything but letters, digits and ``~-._``, as OAuth wants it (RFC 5849 section 3.6)."""
    return signing.percent_encode(text)


def UrlUnescape(text: str) -> str:
    """Undo `UrlEscape`."""
    return urllib.parse.unquote(text)


def FormatUrlParams(params: Mapping[str, str]) -> str:
    """Return parameters as a query, sorted by name."""
    return signing.normalized_parameters(params.items())


def _provider() -> Provider:
    from ._tokens import provider

    return provider(GOOGLE_ACCOUNTS_BASE_URL)


# --- tokens ---------------------------------------------------------------------------------------------------------


def _begin(client_id: str, scope: str) -> SignIn:
    from ._sign_in import begin

    return begin(_provider(), Application(client_id, redirect_uri=REDIRECT_URI), scope)


def GeneratePermissionUrl(client_id: str, scope: str = _SCOPE) -> str:
    """Return where a person goes to agree.

    From now on, and for ten minutes, the answer is received on this machine, in a thread. Called again for the same
    before the answer has been redeemed, the function returns the same: it is for one person, in front of this machine.

    Args:
        client_id: of the application; one for desktops, where Google makes a difference.
        scope: what is asked for; several are separated by blanks.

    Raises:
        CredentialsError: no client id that can be one.
        FlowError: no port is free on this machine, or ``GOOGLE_ACCOUNTS_BASE_URL`` does not describe itself.
    """
    return _begin(client_id, scope).address


@private
def AuthorizeTokens(client_id: str, client_secret: str | None, authorization_code: str = "") -> dict[str, Any]:
    """Return the tokens for a code.

    Args:
        client_id: the one that `GeneratePermissionUrl` was given, in the same program.
        client_secret: of the application, or None.
        authorization_code: what the person brings: the code, or the whole address that the browser ended at. Empty to
            wait for what the browser brings to this machine by itself.

    Returns:
        ``{"access_token": …, "expires_in": 3599, "refresh_token": …, "scope": …, "token_type": "Bearer"}``, without
        what the server leaves out.

    Raises:
        CredentialsError: no sign-in is under way.
        FlowError: the person or the server refused, or nobody came; the script let ``urllib`` raise.
    """
    from ._sign_in import finish, pending
    from ._tokens import ask

    typed, sign_in = authorization_code.strip(), pending(client_id)
    try:
        fields = {
            "grant_type": "authorization_code",
            "code": sign_in.code(typed),
            "redirect_uri": sign_in.redirect_uri,
            "code_verifier": sign_in.code_verifier,
        }
        answer = ask(sign_in.provider, Application(client_id, client_secret or None), fields)
    except FlowError as error:
        # What was mistyped can be typed again, and an outage may pass.
        if not typed and not error.temporary:
            finish(sign_in)
        raise
    finish(sign_in)
    return answer


@private
def RefreshToken(client_id: str, client_secret: str | None, refresh_token: str) -> dict[str, Any]:
    """Return a new access token.

    Args:
        client_id: the application that the refresh token was issued to.
        client_secret: its secret, or None.
        refresh_token: as it was issued.

    Returns:
        As `AuthorizeTokens`; a refresh token is in it only where the server gives another one.

    Raises:
        CredentialsError: something is empty.
        FlowError: the server refused; ``.authorize_again`` tells whether somebody has to sign in again.
    """
    from ._tokens import ask

    if not refresh_token:
        raise CredentialsError("the refresh_token is empty")
    fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return ask(_provider(), Application(client_id, client_secret or None), fields)


# --- the message of a login -----------------------------------------------------------------------------------------


@private
def GenerateOAuth2String(username: str, access_token: str, base64_encode: bool = True) -> str:
    """Return the SASL XOAUTH2 message, in base64 unless told otherwise.

    Args:
        username: the mailbox address.
        access_token: as it was issued.
        base64_encode: False for what ``imaplib``'s ``authenticate`` takes, which encodes by itself.

    Raises:
        CredentialsError: a value that would break the message.
    """
    message = sasl.build("XOAUTH2", username, access_token).initial_response
    if not base64_encode:
        return message.decode()
    import base64

    return base64.b64encode(message).decode()


def generate_oauth2_string(username: str, access_token: str, as_base64: bool = False) -> str:
    """Return what `GenerateOAuth2String` does, the other way round by default."""
    return GenerateOAuth2String(username, access_token, as_base64)


@_no_test
@private
def TestImapAuthentication(user: str, auth_string: str | bytes) -> None:
    """Log in to ``IMAP_HOSTNAME`` and select INBOX, with a trace on standard error that does not show the token.

    Args:
        user: not used: the message names the mailbox.
        auth_string: what `GenerateOAuth2String` returned, in base64 or not.

    Raises:
        CredentialsError: the message is none.
        imaplib.IMAP4.error: the server refused.
    """
    from ._logins import Message, imap

    print()
    imap(IMAP_HOSTNAME, Message.oauth2(auth_string))


@_no_test
@private
def TestSmtpAuthentication(user: str, auth_string: str | bytes) -> None:
    """Log in to ``SMTP_HOSTNAME``, with a trace on standard error that does not show the token.

    Args:
        user: not used: the message names the mailbox.
        auth_string: what `GenerateOAuth2String` returned, in base64 or not.

    Raises:
        CredentialsError: the message is none.
        smtplib.SMTPAuthenticationError: the server refused, which the scripts did not notice.
    """
    from ._logins import Message, smtp

    print()
    smtp(SMTP_HOSTNAME, Message.oauth2(auth_string))


# --- what the blogs made of it --------------------------------------------------------------------------------------


@private
def get_authorization(google_client_id: str, google_client_secret: str | None) -> tuple[str | None, str, int | None]:
    """Have a person agree in a browser: print the address, and wait for the browser or for a code that is typed.

    Returns:
        Refresh token, access token and its seconds; None for what the server leaves out.

    Raises:
        FlowError: as of `AuthorizeTokens`.
    """
    from ._prompt import ask

    print("Navigate to the following URL to auth:", GeneratePermissionUrl(google_client_id))
    typed = ask("Enter verification code: ", _begin(google_client_id, _SCOPE))
    answer = AuthorizeTokens(google_client_id, google_client_secret, typed)
    return answer.get("refresh_token"), answer["access_token"], answer.get("expires_in")


@private
def refresh_authorization(
    google_client_id: str, google_client_secret: str | None, refresh_token: str
) -> tuple[str, int | None]:
    """Return a new access token and its seconds; see `RefreshToken`."""
    answer = RefreshToken(google_client_id, google_client_secret, refresh_token)
    return answer["access_token"], answer.get("expires_in")


def send_mail(fromaddr: str, toaddr: str | Sequence[str], subject: str, message: str) -> None:
    """Send a message that is written in HTML; the text in it goes along for readers without.

    The token comes of the first of these that there is:

    * ``GOOGLE_CLIENT_ID``, ``GOOGLE_CLIENT_SECRET`` and ``GOOGLE_REFRESH_TOKEN`` of the module that calls, where they
      stood when this function did, too;
    * the same here;
    * the mailbox *fromaddr*, where it is set up (``oauthmail authorize``).

    Args:
        fromaddr: the mailbox.
        toaddr: an address, several with commas between them, or a list.
        subject: in one line.
        message: HTML.

    Raises:
        CredentialsError: none of the three.
        FlowError: there is no token to be had.
        smtplib.SMTPException: the server refused.
    """
    from . import _mail

    # Not kept here, where a traceback would show it.
    _send(sys._getframe(1).f_globals, _mail.letter(fromaddr, toaddr, subject, message))


@private
def _send(caller: Mapping[str, Any], letter: EmailMessage) -> None:
    from . import _mail

    for values in (caller, globals()):
        held = [values.get(f"GOOGLE_{name}") for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")]
        if held[0] and held[2]:
            return _mail.send(SMTP_HOSTNAME, letter, RefreshToken(held[0], held[1], held[2])["access_token"])
    return _mail.send_as_set_up(letter)


command_to_url = AccountsUrl
url_escape = UrlEscape
url_unescape = UrlUnescape
url_format_params = FormatUrlParams
generate_permission_url = GeneratePermissionUrl
call_authorize_tokens = AuthorizeTokens
call_refresh_token = RefreshToken
test_imap = TestImapAuthentication
test_smtp = TestSmtpAuthentication
# As it is written wherever it was copied to.
test_smpt = TestSmtpAuthentication


# --- the command line -----------------------------------------------------------------------------------------------


def SetupOptionParser() -> optparse.OptionParser:
    """Return the parser of the command line."""
    from . import _command

    return _command.parser()


def RequireOptions(options: optparse.Values, *args: str) -> None:
    """Exit unless all of these options were given."""
    from . import _options

    _options.require(options, *args)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, program name included, and return the exit status."""
    from . import _command

    return _command.main(argv)
