"""What can be wrong: each problem with its cause and its cure, in a sentence.

What a server's refusal of a login means is in `oauthmail.hints`, what a token endpoint's means in
`oauthmail.endpoint_hints`, and what is wrong with a stored record is said by the store itself: here is the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["PROBLEMS", "Finding", "Problem", "TroubleError", "trouble"]


class Problem(NamedTuple):
    """A row of the table; ``{names}`` in its texts are filled in.

    Attributes:
        cause: what is wrong.
        cure: what to do about it.
    """

    cause: str
    cure: str


@dataclass(frozen=True)
class Finding:
    """What is wrong with one mailbox.

    Attributes:
        problem: a word that stays the same, for programs: a key of `PROBLEMS`.
        cause: what is wrong, in a sentence.
        cure: what to do about it, in a sentence; empty where the cause says that, too.
        reply: the server's own words, or empty.
    """

    problem: str
    cause: str
    cure: str
    reply: str = ""


class TroubleError(Exception):
    """A step failed, and this is why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.cause)
        self.finding = finding


def trouble(problem: str, **values: object) -> TroubleError:
    """Return the exception for a row of the table.

    Args:
        problem: key of `PROBLEMS`.
        values: what fills the row's texts; a ``reply`` is the server's own words.
    """
    row = PROBLEMS[problem]
    reply = str(values.get("reply", ""))
    return TroubleError(Finding(problem, row.cause.format(**values), row.cure.format(**values), reply))


_LATER = "Try again later: nothing that is stored is wrong"
_DEFINITION = "Correct it in the provider's definition, or leave --provider out"
_BETWEEN = (
    "If you know the issuer, a proxy or virus scanner that reads the connection is in between: trust its certificate "
    "(SSL_CERT_FILE, or ca_file in the provider's definition) or exempt mail from it; otherwise do not connect"
)
_CLOCK = "Set this machine's clock if it is wrong; otherwise the server's administrator has to renew the certificate"

#: In the order in which a check may come upon them.
PROBLEMS = {
    # The mailbox as it is set up.
    "not_set_up": Problem("{address} is not set up on this machine", "Sign in: oauthmail authorize {address}"),
    "store": Problem("What is stored cannot be used: {what}", ""),
    "provider": Problem("It is not known how to reach the mailbox: {what}", ""),
    "ca_file": Problem(
        "The provider's ca_file cannot be read: {what}",
        "Name a file that has certificates in PEM, or leave ca_file out",
    ),
    "no_server": Problem(
        "No server for {protocol} is known of {provider}", "Leave --protocol {word} out, or describe the server"
    ),
    # Tokens.
    "authorize_again": Problem("The stored sign-in has come to its end: {what}", "{hint}"),
    "token_later": Problem("No token can be had at the moment: {what}", _LATER),
    "token": Problem("No token can be had: {what}", "{hint}"),
    # On the way to the server.
    "no_such_host": Problem("There is no host of the name {host}", "Check the name. " + _DEFINITION),
    "no_name_server": Problem(
        "The address of {host} cannot be looked up: {what}",
        "Check this machine's connection to the network and its name server",
    ),
    "port_closed": Problem(
        "{host} refuses connections to port {port}", "{protocol} is usually at port {usual}. " + _DEFINITION
    ),
    "port_silent": Problem(
        "{host} does not answer at port {port}",
        "{protocol} is usually at port {usual}. If that is it, a firewall drops the connection: ask whoever runs the "
        "network to open it",
    ),
    "no_route": Problem(
        "{host} port {port} cannot be reached: {what}",
        "Check this machine's connection to the network and its firewall",
    ),
    # TLS.
    "unknown_authority": Problem("The certificate is signed by {issuer}, whom this machine does not trust", _BETWEEN),
    "self_signed": Problem(
        "The certificate is signed by itself ({issuer}), so that nobody vouches for it",
        "On a server of your own, name the certificate as ca_file in the provider's definition. " + _BETWEEN,
    ),
    "no_authorities": Problem(
        "This Python trusts nobody: it has found no certificates of authorities",
        "Install them (ca-certificates, or 'Install Certificates' beside Python on macOS), or set SSL_CERT_FILE",
    ),
    "other_name": Problem(
        "The certificate is for {names}, not for {host}", "Name the server as its certificate does. " + _DEFINITION
    ),
    "certificate_expired": Problem("The certificate expired {ago} ago, on {date}", _CLOCK),
    "chain_expired": Problem("A certificate that the server's own hangs on has expired (issuer {issuer})", _CLOCK),
    "certificate_early": Problem("The certificate is not valid before {date}", _CLOCK),
    "certificate_form": Problem(
        "The certificate (issuer {issuer}) breaks a rule of RFC 5280 that Python insists on from 3.13 on: {what}",
        "Have it, or its authority's own, issued anew by a current program; browsers and older versions of Python take "
        "no offence",
    ),
    "untrusted": Problem("The certificate (issuer {issuer}) is refused: {what}", _BETWEEN),
    "not_tls": Problem(
        "What answers at {host} port {port} does not speak TLS there",
        "{protocol} is usually at port {usual}: correct port or security in the provider's definition",
    ),
    "tls_version": Problem(
        "The server and this machine have no version or cipher of TLS in common: {what}",
        "The server is too old or this machine's policy too strict: ask the server's administrator",
    ),
    "tls_broken": Problem(
        "The connection broke while TLS was being started: {what}",
        "{protocol} is usually at port {usual}; if that is it, a proxy or firewall on the way may cut TLS off",
    ),
    # The server's first words.
    "silent": Problem(
        "The server did not answer within {seconds:g} seconds ({step})",
        "Try again later, or with a longer --timeout; a server that waits for TLS from the start is silent, too",
    ),
    "closed": Problem(
        "The server closed the connection ({step})",
        "Try again later: it may be overloaded, or refuse this machine's address after too many logins",
    ),
    "other_protocol": Problem(
        "What answers at {host} port {port} does not speak {protocol}",
        "{protocol} is usually at port {usual}. " + _DEFINITION,
    ),
    "greeting_refused": Problem(
        "The server turns this machine away: {reply}",
        "Try again later, or from another network: it may refuse this machine's address",
    ),
    "no_starttls": Problem(
        "The server does not offer TLS on port {port}, so that a token would travel in the clear; none was sent",
        "{protocol} is usually at port {usual}; a server that should offer TLS and does not may be hidden behind "
        "something that takes the offer out",
    ),
    "no_oauth": Problem(
        "The server offers no login with OAuth that {address} could use; it offers {offered}",
        "Check that the server is the provider's; otherwise ask its administrator for XOAUTH2 or OAUTHBEARER, or use a "
        "password",
    ),
    # The login.
    "wrong_audience": Problem(
        "The token is for {audience}, and the mail server takes those for {expected} only",
        "Ask for scopes of {expected} and of nothing else: oauthmail authorize {address}",
    ),
    "missing_scope": Problem(
        "The token lacks the permission {missing}; it has {granted}",
        "Sign in again and agree to all that is asked for: oauthmail authorize {address}",
    ),
    "wrong_user": Problem(
        "The token belongs to {owner}, not to {user}",
        "Sign in as {user}: oauthmail authorize {address} (sign {owner} out in the browser first)",
    ),
    "token_expired": Problem(
        "The token ended {ago} ago, though the provider's answer promised more",
        "Set this machine's clock if it is wrong, then sign in again: oauthmail authorize {address}",
    ),
    "fresh_token_refused": Problem(
        "The server refuses even a token that was issued a moment ago, so that it is no matter of its age: it belongs "
        "to another account than {user}, or {user} may not log in over {protocol}",
        "Sign in once more and choose {user} in the browser: oauthmail authorize {address}. Then see whether "
        "{protocol} is switched on in the settings of the mailbox",
    ),
    "application_refused": Problem(
        "The server refuses the application's own token, issued a moment ago: the application may not open {address}",
        "Have the administrator give it access to this mailbox ({permission})",
    ),
    "not_renewed": Problem("The server refuses the stored token, and no other could be had: {what}", "{hint}"),
    "token_too_long": Problem(
        "The token has {length} characters, which is longer than this server takes in a line",
        "Ask for fewer scopes, or have the provider issue shorter tokens (fewer groups and roles)",
    ),
    "refused": Problem("The server refused the login: {reply}", "{hint}"),
    # What comes after it.
    "not_connected": Problem("The server accepts the login and nothing after it: {reply}", "{hint}"),
    "starttls_refused": Problem(
        "The server offers to start TLS and then does not: {reply}",
        "Try again later; the server's administrator has to mend this",
    ),
    "command_later": Problem("The login is good, but the server refused {command} for now: {reply}", _LATER),
    "command_refused": Problem(
        "The login is good, but the server refused {command}: {reply}",
        "Look at the mailbox in the provider's web pages: it may be new, full, locked, or without a licence for mail",
    ),
    "unexpected": Problem(
        "The conversation went wrong ({step}): {what}", "Please report this to oauthmail (oauthmail check --report)"
    ),
}
