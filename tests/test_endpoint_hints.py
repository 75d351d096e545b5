"""Every refusal of an OAuth endpoint has its advice; what a program does hangs on the error alone."""

from __future__ import annotations

import re

import pytest

from oauthmail.endpoint_hints import LATER, advise

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

#: Microsoft's numbers, with the error that usually comes along and a word of the advice.
NUMBERS = [
    (50011, "invalid_request", "redirect URI"),
    (50020, "invalid_grant", "consumers"),
    (500208, "invalid_grant", "consumers"),
    (50034, "invalid_grant", "no such account"),
    (50053, "invalid_grant", "locked"),
    (50055, "invalid_grant", "password has expired"),
    (50057, "invalid_grant", "disabled"),
    (50058, "interaction_required", "browser"),
    (50059, "invalid_request", "tenant"),
    (50072, "interaction_required", "second factor"),
    (50074, "interaction_required", "second factor"),
    (50076, "invalid_grant", "second factor"),
    (50078, "interaction_required", "second factor"),
    (50079, "interaction_required", "second factor"),
    (50105, "access_denied", "assign the user"),
    (50126, "invalid_grant", "Sign in again"),
    (50147, "invalid_request", "report this"),
    (50148, "invalid_grant", "report this"),
    (50149, "invalid_request", "report this"),
    (501481, "invalid_grant", "report this"),
    (50158, "interaction_required", "browser"),
    (50173, "invalid_grant", "change of the password"),
    (50194, "invalid_request", "one tenant only"),
    (50196, "invalid_grant", "Too many requests"),
    (500011, "invalid_resource", "host in the scope"),
    (53000, "access_denied", "conditional access"),
    (53003, "interaction_required", "conditional access"),
    (530035, "access_denied", "conditional access"),
    (54005, "invalid_grant", "twice"),
    (65001, "invalid_grant", "agree"),
    (65002, "invalid_request", "application of your own"),
    (65004, "access_denied", "declined"),
    (650052, "invalid_client", "permissions of Exchange"),
    (650057, "invalid_resource", "permissions of Exchange"),
    (70000, "invalid_grant", "Sign in again"),
    (700016, "unauthorized_client", "client_id and tenant"),
    (700011, "unauthorized_client", "client_id and tenant"),
    (7000112, "unauthorized_client", "disabled"),
    (70001, "unauthorized_client", "disabled"),
    (70002, "invalid_client", "secret's value"),
    (7000215, "invalid_client", "secret's value"),
    (7000222, "invalid_client", "has expired"),
    (7000218, "invalid_client", "Allow public client flows"),
    (700025, "invalid_client", "leave client_secret out"),
    (700027, "invalid_client", "certificate"),
    (70003, "unsupported_grant_type", "one tenant"),
    (9001023, "invalid_request", "one tenant"),
    (70008, "invalid_grant", "90 days"),
    (700082, "invalid_grant", "90 days"),
    (700084, "invalid_grant", "24 hours"),
    (70043, "invalid_grant", "how long a sign-in lasts"),
    (70011, "invalid_scope", "one server only"),
    (28002, "invalid_scope", "one server only"),
    (700022, "invalid_scope", "one server only"),
    (70016, "authorization_pending", "Wait"),
    (70018, "bad_verification_code", "start again"),
    (70019, "expired_token", "start again"),
    (90002, "invalid_request", "tenant"),
    (90038, "invalid_request", "cloud"),
    (90014, "invalid_request", "report this"),
    (900144, "invalid_request", "report this"),
    (90094, "access_denied", "administrator"),
    (90095, "access_denied", "administrator"),
    (9002313, "invalid_request", "report this"),
    (9002332, "invalid_request", "organizations"),
    (90130, "invalid_request", "organizations"),
]


@pytest.mark.parametrize(("number", "error", "word"), NUMBERS)
def test_microsofts_numbers_choose_the_advice(number: int, error: str, word: str) -> None:
    in_words = advise(error, f"AADSTS{number}: Something. Trace ID: 12345 Timestamp: 2026-01-01")
    assert word in in_words.hint
    assert advise(error, "Something.", codes=[number]) == in_words


@pytest.mark.parametrize(("number", "error", "word"), NUMBERS)
def test_and_they_choose_nothing_else(number: int, error: str, word: str) -> None:
    assert advise(error, f"AADSTS{number}: ")[1:] == advise(error)[1:]


def test_a_number_is_taken_as_a_whole() -> None:
    assert advise("invalid_grant", "AADSTS500111: x").hint == advise("invalid_grant").hint


@pytest.mark.parametrize("description", ["50173", "XAADSTS50173", "AADSTS", "AADSTS" + "9" * 5000])
def test_what_is_no_number_of_microsofts_is_passed_over(description: str) -> None:
    assert advise("invalid_grant", description).hint == advise("invalid_grant").hint


@pytest.mark.parametrize(
    ("error", "description", "grant_type", "word"),
    [
        ("invalid_grant", "Token has been expired or revoked.", "refresh_token", "status Testing"),
        ("invalid_grant", "Bad Request", "refresh_token", "6 months"),
        ("invalid_grant", "Robot is disabled.", JWT_BEARER, "disabled or deleted"),
        ("invalid_grant", "Invalid JWT Signature.", JWT_BEARER, "clock"),
        ("invalid_grant", "Invalid email or User ID", JWT_BEARER, "mailbox of the domain"),
        ("invalid_grant", "Malformed auth code.", "authorization_code", "used before"),
        (
            "unauthorized_client",
            "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of "
            "the scopes requested.",
            JWT_BEARER,
            "client id for exactly this scope",
        ),
        ("access_denied", "Requested client not authorized.", JWT_BEARER, "domain-wide delegation"),
        ("invalid_client", "The OAuth client was not found.", "refresh_token", "does not know this application"),
        ("redirect_uri_mismatch", "", "", "Register the redirect URI"),
        ("invalid_request", "Error 400: redirect_uri_mismatch", "", "Register the redirect URI"),
        ("admin_policy_enforced", "", "", "administrator"),
        ("org_internal", "", "", "administrator"),
    ],
)
def test_googles_words_choose_the_advice(error: str, description: str, grant_type: str, word: str) -> None:
    assert word in advise(error, description, provider="google", grant_type=grant_type).hint


def test_googles_reauthentication_is_known_by_its_subtype() -> None:
    assert "Workspace" in advise("invalid_grant", "reauth related error", subtype="invalid_rapt").hint


def test_googles_reasons_are_not_told_of_others() -> None:
    assert "Testing" not in advise("invalid_grant", "", provider="fastmail", grant_type="refresh_token").hint


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ("invalid_request", "report this"),
        ("invalid_client", "must not send one"),
        ("invalid_grant", "Sign in again"),
        ("unauthorized_client", "registration"),
        ("unsupported_grant_type", "another flow"),
        ("unsupported_response_type", "another flow"),
        ("invalid_scope", "scopes"),
        ("access_denied", "agree"),
        ("authorization_declined", "agree"),
        ("server_error", "try again later"),
        ("temporarily_unavailable", "try again later"),
        ("interaction_required", "browser"),
        ("login_required", "browser"),
        ("consent_required", "agree"),
        ("expired_token", "start again"),
        ("slow_down", "Wait"),
        ("unsupported_token_type", "settings of the account"),
    ],
)
def test_every_error_of_the_standards_has_its_advice(error: str, word: str) -> None:
    assert word in advise(error).hint


def test_an_unknown_error_speaks_for_itself() -> None:
    assert advise("something_new", "because") == ("", False, False)


@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable"])
def test_an_outage_is_temporary(error: str) -> None:
    assert advise(error) == (LATER, True, False)


@pytest.mark.parametrize("error", ["invalid_grant", "interaction_required", "login_required", "consent_required"])
@pytest.mark.parametrize(
    ("grant_type", "again"),
    [
        ("refresh_token", True),
        ("authorization_code", True),
        (DEVICE_CODE, True),
        ("", True),
        ("client_credentials", False),
        (JWT_BEARER, False),
    ],
)
def test_somebody_signs_in_again_only_where_somebody_did(error: str, grant_type: str, again: bool) -> None:
    assert advise(error, grant_type=grant_type).authorize_again == again


@pytest.mark.parametrize("number", [row[0] for row in NUMBERS])
def test_advice_is_one_line_without_a_full_stop_at_its_end(number: int) -> None:
    hint = advise("invalid_grant", codes=[number]).hint
    assert re.fullmatch(r"[A-Z][^\n]*[^.\n]", hint)
