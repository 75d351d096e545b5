"""What the refusal of an OAuth endpoint means, as one line of plain advice.

What a program does next hangs on the ``error`` member alone (RFC 6749 section 5.2). Microsoft's AADSTS numbers and
everybody's words change without notice: they choose the advice, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

__all__ = ["CHECK_ENDPOINT", "LATER", "Advice", "advise"]

LATER = "The server or the network has a temporary problem: try again later; what is stored stays good"
CHECK_ENDPOINT = (
    "Check the address of the endpoint; a proxy or the sign-in page of a network may have answered in its stead"
)

_TEMPORARY = frozenset({"server_error", "temporarily_unavailable"})

# What only a person can mend, in a browser.
_DEAD = frozenset({"invalid_grant", "interaction_required", "login_required", "consent_required"})

# Nobody signs in for these, so nobody can sign in again.
_WITHOUT_A_PERSON = frozenset({"client_credentials", "jwt-bearer"})


class Advice(NamedTuple):
    """What to do about a refusal.

    Attributes:
        hint: one line for the user; empty where the server's own words are all there is.
        temporary: whether the same request may succeed later.
        authorize_again: whether somebody has to sign in again.
    """

    hint: str
    temporary: bool
    authorize_again: bool


class _Row(NamedTuple):
    hint: str
    errors: str = ""
    codes: tuple[int, ...] = ()
    words: str = ""
    provider: str = ""
    grants: str = ""


_SIGN_IN = "Sign in again: the authorization has expired or was withdrawn"
_BROWSER = "Sign in again in a browser: the provider wants to see the person, as for a second factor"
_REPORT = "The request was malformed: please report this to oauthmail with the provider's name"
_ADMINISTRATOR = "Ask the administrator of the organisation to allow the application"
_CLIENT = "Check client_id and client_secret; an application without a secret must not send one"
_SCOPE = "Check the scopes: full addresses as in the table of providers, all for one server"
_TENANT = "Check the tenant: the id or the domain of the organisation, in the right cloud"
_CLOCK = "Check this machine's clock, and that the key was not replaced or deleted at the provider"

# The first row that matches decides; what a row leaves out matches everything.
_MICROSOFT = [
    _Row("Register the redirect URI at the application, with the same path in the same case", codes=(50011,)),
    _Row(
        "The account belongs elsewhere: use the tenant consumers for personal accounts, organizations or the tenant's "
        "id for those of work or school",
        codes=(50020, 500208),
    ),
    _Row("There is no such account in this tenant: check the address and the tenant", codes=(50034,)),
    _Row("The account is locked for now: wait, or ask the administrator", codes=(50053,)),
    _Row("The password has expired: change it in a browser, then sign in again", codes=(50055,)),
    _Row("The account is disabled: ask the administrator", codes=(50057,)),
    _Row("No tenant was named: give the tenant's id or domain", codes=(50059,)),
    _Row(_BROWSER, codes=(50058, 50072, 50074, 50076, 50078, 50079, 50158)),
    _Row("Ask the administrator to assign the user to the application", codes=(50105,)),
    _Row(_REPORT, codes=(50147, 50148, 50149, 501481, 90014, 900144, 9002313)),
    _Row("Sign in again: the authorization was withdrawn, as after a change of the password", codes=(50173,)),
    _Row("The application is for one tenant only: name that tenant in place of common", codes=(50194,)),
    _Row("Too many requests for tokens: wait, and use the tokens that are stored", codes=(50196,)),
    _Row(
        "The tenant does not have this server: check the host in the scope, the cloud and the tenant", codes=(500011,)
    ),
    _Row(
        "A policy of the organisation stands in the way (conditional access): ask the administrator to allow the "
        "application or this device",
        codes=(53000, 53001, 53003, 530032, 530035),
    ),
    _Row("The code was used twice: sign in once more", codes=(54005,)),
    _Row("Nobody has agreed yet: sign in and agree, or have the administrator agree for all", codes=(65001,)),
    _Row("Register an application of your own: this one is Microsoft's", codes=(65002,)),
    _Row("Access was declined: sign in once more and agree", codes=(65004,)),
    _Row(
        "Add the permissions of Exchange Online (IMAP, POP, SMTP) to the application's registration",
        codes=(650052, 650056, 650057),
    ),
    _Row("Check client_id and tenant: the application is not known there", codes=(700016, 700011)),
    _Row("The application is disabled: ask its owner", codes=(7000112, 70001)),
    _Row("Use the client secret's value, not its id; a new one can be made at any time", codes=(70002, 7000215)),
    _Row("The client secret has expired: make a new one in the application's registration", codes=(7000222,)),
    _Row(
        "The application needs a client_secret or a certificate, or 'Allow public client flows' in its registration",
        codes=(7000218,),
    ),
    _Row("The application is registered as public: leave client_secret out", codes=(700025,)),
    _Row(f"Check that the certificate was uploaded to the registration. {_CLOCK}", codes=(700027,)),
    _Row("This works for one tenant only: give its id or domain in place of common", codes=(70003, 9001023)),
    _Row("Sign in again: the token was not used for too long (90 days)", codes=(70008, 700082)),
    _Row(
        "Sign in again; to be asked less often, register the redirect URI for mobile and desktop applications, as "
        "those of single-page ones last 24 hours",
        codes=(700084,),
    ),
    _Row("Sign in again: the organisation limits how long a sign-in lasts", codes=(70043,)),
    _Row(
        "Ask for the scopes of one server only, with their full addresses, such as "
        "https://outlook.office.com/IMAP.AccessAsUser.All",
        codes=(28002, 28003, 70011, 700022, 700023),
    ),
    _Row(_TENANT, codes=(90002, 90038)),
    _Row(_ADMINISTRATOR, codes=(90008, 90094, 90095)),
    _Row("Only accounts of work or school are taken: use organizations or the tenant's id", codes=(90130, 9002332)),
    _Row("Sign in again; check the cloud, and whether the account is personal or of work", codes=(70000,)),
]
_GOOGLE = [
    _Row(
        "Google Workspace wants a new sign-in: its administrator has limited how long one lasts", words="invalid_rapt"
    ),
    _Row("The service account is disabled or deleted: see the Google Cloud console", words="robot is disabled"),
    _Row(
        "Have an administrator of the domain authorise the service account's client id for exactly this scope "
        "(domain-wide delegation); it can take a day until that works",
        "unauthorized_client",
        words="unauthorized to retrieve access tokens",
    ),
    _Row(
        "Have an administrator of the domain authorise the service account's client id for exactly this scope "
        "(domain-wide delegation); it can take a day until that works",
        "unauthorized_client access_denied",
        grants="jwt-bearer",
    ),
    _Row("Check client_id: Google does not know this application", words="oauth client was not found"),
    _Row(
        "Check that the subject is a mailbox of the domain that the service account was authorised for",
        "invalid_grant",
        words="email",
        grants="jwt-bearer",
    ),
    _Row(_CLOCK, "invalid_grant", grants="jwt-bearer"),
    _Row(
        "Sign in again. Google ends an authorization when its user withdraws it or changes the password, after 6 "
        "months without use, and after 7 days as long as the application's consent screen is in the status Testing",
        "invalid_grant",
        provider="google",
        grants="refresh_token",
    ),
    _Row("Register the redirect URI at the application, to the letter", words="redirect_uri_mismatch"),
    _Row("Register the redirect URI at the application, to the letter", "redirect_uri_mismatch"),
    _Row(_ADMINISTRATOR, "admin_policy_enforced org_internal"),
]
_ANYBODY = [
    _Row(_CLOCK, "invalid_grant", grants="jwt-bearer"),
    _Row("The code has expired or was used before: start again", "invalid_grant", grants="authorization_code"),
    _Row("The code has expired or was used before: start again", "invalid_grant", grants="device_code"),
    _Row(
        "Check the application's registration: this grant may be switched off",
        "invalid_grant",
        grants="client_credentials",
    ),
    _Row(_SIGN_IN, "invalid_grant"),
    _Row(_BROWSER, "interaction_required login_required"),
    _Row("Sign in again and agree to everything that is asked for", "consent_required"),
    _Row(_REPORT, "invalid_request"),
    _Row(_CLIENT, "invalid_client"),
    _Row("Allow this way of signing in at the application's registration", "unauthorized_client"),
    _Row(
        "The provider does not know this way of signing in: choose another flow",
        "unsupported_grant_type unsupported_response_type",
    ),
    _Row(_SCOPE, "invalid_scope invalid_resource invalid_target"),
    _Row("Access was denied: sign in once more and agree, or ask the administrator", "access_denied"),
    _Row("Access was declined: sign in once more and agree", "authorization_declined"),
    _Row("The code was not entered in time: start again", "expired_token"),
    _Row("The code is not known any more: start again", "bad_verification_code"),
    _Row("Wait until the code has been entered", "authorization_pending slow_down"),
    _Row(LATER, "server_error temporarily_unavailable"),
    _Row("Remove the application's access in the settings of the account", "unsupported_token_type"),
    _Row(""),
]
_TABLE = [*_MICROSOFT, *_GOOGLE, *_ANYBODY]


def advise(
    error: str,
    description: str = "",
    *,
    codes: Collection[int] = (),
    subtype: str = "",
    provider: str = "",
    grant_type: str = "",
) -> Advice:
    """Return the advice for a refusal.

    Args:
        error: the JSON member of that name, or the parameter of a redirect.
        description: ``error_description``.
        codes: Microsoft's ``error_codes``; the number in the description is found, too.
        subtype: Google's ``error_subtype``.
        provider: id in the table of providers.
        grant_type: of the token request; empty at other endpoints.
    """
    numbers = {*codes, *(int(number) for number in re.findall(r"\bAADSTS([0-9]{4,9})\b", description))}
    words = f"{error} {subtype} {description}".lower()
    grant = grant_type.rpartition(":")[2]
    row = next(
        row
        for row in _TABLE
        if (not row.errors or error in row.errors.split())
        and (not row.codes or not numbers.isdisjoint(row.codes))
        and row.words in words
        and row.provider in ("", provider)
        and row.grants in ("", grant)
    )
    return Advice(row.hint, error in _TEMPORARY, error in _DEAD and grant not in _WITHOUT_A_PERSON)
