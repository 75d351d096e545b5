"""What a refusal means, as one line of plain advice.

The table is matched on codes first (SMTP and enhanced status codes, IMAP and POP3 response codes, the JSON status)
and on words second, as words change without notice. The first row that matches decides.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Advice", "advise"]


class Advice(NamedTuple):
    """What to do about a refusal.

    Attributes:
        hint: one line for the user; the server's own words where nothing better is known.
        token_refused: the token itself was refused, so a fresh one may help. False for refusals that are temporary,
            about permissions or about the connection: asking for new credentials would only lose the good ones.
    """

    hint: str
    token_refused: bool


class _Row(NamedTuple):
    protocols: str
    codes: str
    words: str
    hint: str
    token_refused: bool = False


_SIGN_IN = "Sign in again as {user}: the token has expired, was revoked, or belongs to another account"
_LATER = "The server has a temporary problem: try again later with the same token, without signing in again"
_TLS = "Start TLS before logging in: call starttls() (stls() for POP3) or use the _SSL class"
_OAUTH = "The server takes no passwords here: use OAuth, or an app password where the provider has them"
_BROWSER = "Sign in to the account once in a web browser, then try again"
_REPORT = "The server could not read the message: please report this to oauthmail with the server's name"

# Codes are separated by blanks and must all be there; "4xx" stands for every code that begins with 4.
_TABLE = [
    _Row(
        "smtp imap pop",
        "status:insufficient_scope",
        "",
        "The token lacks a permission: sign in again as {user} and grant {scope}",
    ),
    _Row("smtp imap pop", "status:403", "", "The token lacks a permission: sign in again as {user} and grant {scope}"),
    _Row(
        "imap",
        "",
        "user is authenticated but not connected",
        "The signed-in account may not open {user}: sign in with that account, or ask for access to the mailbox",
    ),
    # Exchange Online, which tells its reasons in enhanced codes and words.
    _Row(
        "smtp",
        "535 5.7.139",
        "smtpclientauthentication is disabled",
        "Authenticated SMTP is switched off for this tenant or mailbox: ask the administrator to enable it",
    ),
    _Row("smtp", "535 5.7.139", "basic authentication is disabled", _OAUTH),
    _Row("smtp", "535 5.7.139", "", "The organisation's policy refused the sign-in: ask the administrator"),
    _Row(
        "smtp",
        "535 5.7.3",
        "",
        "Check that the token has SMTP.Send for outlook.office.com and belongs to {user}; an app-only token also needs "
        "the SendAs permission",
        True,
    ),
    _Row("smtp", "501 5.5.127", "", "The token is about to expire: renew it at least 10 minutes before it does", True),
    _Row("smtp", "550 5.7.30", "", _OAUTH),
    _Row("smtp", "504 5.7.4", "", "The server does not take this here: use port 587 and call starttls() first"),
    _Row(
        "imap",
        "",
        "authenticate failed.",
        "Sign in again as {user} with the permission IMAP.AccessAsUser.All of outlook.office.com",
        True,
    ),
    _Row(
        "pop",
        "",
        "unknown user name or bad password",
        "Sign in again as {user} with the permission POP.AccessAsUser.All of outlook.office.com",
        True,
    ),
    _Row("pop", "", "protocol error. connection is closed", _REPORT),
    # Gmail
    _Row("smtp imap pop", "", "application-specific password", _OAUTH),
    _Row("smtp imap pop", "", "web browser", _BROWSER),
    _Row("smtp", "534 5.7.14", "", _BROWSER),
    _Row("imap", "", "not enabled for imap", "IMAP is switched off: turn it on in the settings of the mailbox"),
    _Row("imap", "", "imap access is disabled for your domain", "IMAP is switched off: ask the domain's administrator"),
    _Row("imap", "", "too many simultaneous connections", "Close other mail programs, or try again later"),
    _Row("pop", "", "not enabled for pop", "POP3 is switched off: turn it on in the settings of the mailbox"),
    _Row("imap", "", "invalid sasl argument", _REPORT),
    _Row(
        "smtp imap pop",
        "status:400",
        "https://mail.google.com/",
        "Sign in again as {user} and grant the scope https://mail.google.com/ (full mail access)",
        True,
    ),
    _Row(
        "smtp",
        "535 5.7.8",
        "badcredentials",
        "Sign in again, and check that {user} is the account that was signed in",
        True,
    ),
    # Yahoo, Yandex, Mail.ru
    _Row("smtp", "535 5.7.0", "too many bad auth attempts", "Wait before trying again, then sign in again as {user}"),
    _Row("smtp", "535 5.7.0", "neobhodim parol", _OAUTH),
    _Row(
        "imap",
        "authenticationfailed",
        "imap is disabled",
        "Enable IMAP in the settings of the mailbox, then sign in again as {user}",
        True,
    ),
    # Any server
    _Row("smtp imap pop", "status:invalid_token", "", _SIGN_IN, True),
    _Row(
        "imap",
        "authorizationfailed",
        "",
        "The token is good but may not open {user}: sign in with that account, or ask for access to the mailbox",
    ),
    _Row("imap", "expired", "", "The token has expired: sign in again as {user}", True),
    _Row("imap", "unavailable", "", _LATER),
    _Row("imap", "inuse", "", _LATER),
    _Row("imap", "limit", "", _LATER),
    _Row("imap", "privacyrequired", "", _TLS),
    _Row("imap", "contactadmin", "", ""),
    _Row("imap", "authenticationfailed", "", _SIGN_IN, True),
    _Row("imap", "alert", "", ""),
    _Row("pop", "sys/temp", "", _LATER),
    _Row("pop", "sys/perm", "", ""),
    _Row("pop", "in-use", "", "Another program has the mailbox open: close it, or try again later"),
    _Row("pop", "login-delay", "", "Logged in too often: wait a few minutes"),
    _Row("pop", "auth", "until ssl/tls", _TLS),
    _Row("pop", "auth", "", _SIGN_IN, True),
    _Row("smtp", "432", "", "The account's password must be changed first: sign in to the account in a web browser"),
    _Row("smtp", "4xx", "", _LATER),
    _Row("smtp", "500", "", _REPORT),
    _Row("smtp", "501", "", _REPORT),
    _Row("smtp", "503", "", "Already logged in, or no login is possible at this point: call starttls() first"),
    _Row("smtp", "504", "", "The server does not know this mechanism: leave mechanism= out, or name another"),
    _Row("smtp", "530", "", _TLS),
    _Row("smtp", "534", "", _BROWSER),
    _Row("smtp", "538", "", _TLS),
    _Row("smtp", "535", "", _SIGN_IN, True),
    _Row("smtp imap pop", "status:400", "", _SIGN_IN, True),
    _Row("smtp imap pop", "status:401", "", _SIGN_IN, True),
    _Row("smtp imap pop", "", "", "", True),
]


def advise(protocol: str, reply: str, *, status: str | None, scope: str | None, user: str) -> Advice:
    """Return the advice for a refusal.

    Args:
        protocol: ``"smtp"``, ``"imap"`` or ``"pop"``.
        reply: the server's last words, with the code in front for SMTP.
        status: the JSON status, or None.
        scope: the scope that the JSON names, or None.
        user: the mailbox, for the text.
    """
    words = f"{reply} {scope or ''}".lower()
    codes = _codes(protocol, reply) | ({f"status:{status.lower()}"} if status else set())
    row = next(
        row
        for row in _TABLE
        if protocol in row.protocols.split() and codes.issuperset(row.codes.split()) and row.words in words
    )
    hint = row.hint.format(user=user, scope=f"the scope {scope}" if scope else "the scope for mail")
    return Advice(hint or reply, row.token_refused)


def _codes(protocol: str, reply: str) -> set[str]:
    """Return the codes in a reply, in lower case."""
    if protocol != "smtp":
        # Response codes (RFC 5530, RFC 3206) stand in brackets at the front; more than one was never seen.
        return {found.lower() for found in re.findall(r"\[([A-Za-z][A-Za-z/-]*)", reply)}
    found = re.findall(r"\b[245]\d\d\b|\b[245]\.\d{1,3}\.\d{1,3}\b", reply[:1000])
    basic = reply[:3]
    return {*found, basic, f"{basic[:1]}xx"}
