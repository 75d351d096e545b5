"""The providers' manners of speaking: what the facts say, and that every one is complete."""

from __future__ import annotations

import json
import re

import pytest

from oauthmail.sandbox.mechanisms import MECHANISMS, Decision
from oauthmail.sandbox.personality import GENERIC, GMAIL, MICROSOFT, PERSONALITIES, YAHOO, Personality

SERVICES = ("smtp", "imap", "pop")
REASONS = ("unknown", "expired", "revoked", "user", "scope", "malformed", "temporary", "smtp_disabled", "new")
EVERYBODY = pytest.mark.parametrize("personality", PERSONALITIES.values(), ids=PERSONALITIES)


def refused(reason: str) -> Decision:
    return Decision(None, reason, b"{}")


def test_every_personality_goes_by_its_name() -> None:
    assert {name: each.name for name, each in PERSONALITIES.items()} == {
        "generic": "generic",
        "gmail": "gmail",
        "microsoft": "microsoft",
        "yahoo": "yahoo",
    }


@EVERYBODY
@pytest.mark.parametrize(
    "attribute",
    [
        "greetings",
        "mechanisms",
        "initial_response",
        "command_limits",
        "response_limits",
        "too_long",
        "success",
        "refusals",
    ],
)
def test_every_service_has_its_value(personality: Personality, attribute: str) -> None:
    assert set(getattr(personality, attribute)) == set(SERVICES)


@EVERYBODY
def test_smtp_announces_nothing_that_the_sandbox_cannot_do(personality: Personality) -> None:
    can = {"8BITMIME", "AUTH", "BINARYMIME", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "PIPELINING", "SIZE", "SMTPUTF8"}
    assert {"AUTH", "SIZE"} <= set(personality.extensions) <= can


@EVERYBODY
@pytest.mark.parametrize("service", SERVICES)
def test_only_mechanisms_that_can_be_judged_are_advertised(personality: Personality, service: str) -> None:
    offered = personality.mechanisms[service]
    assert offered == tuple(name for name in MECHANISMS if name in offered)


@EVERYBODY
@pytest.mark.parametrize("reason", REASONS)
def test_every_refusal_is_well_formed_smtp(personality: Personality, reason: str) -> None:
    *first, last = personality.refusal("smtp", refused(reason)).split("\r\n")
    code = "454" if reason == "temporary" else "535"
    assert re.fullmatch(rf"{code} {code[0]}\.\d\.\d+ .+", last)
    assert all(re.fullmatch(rf"{code}-{code[0]}\.\d\.\d+ .+", line) for line in first)


@EVERYBODY
@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize(("service", "pattern"), [("imap", "(NO|BAD) .+"), ("pop", "-ERR .+")])
def test_every_refusal_is_one_line_elsewhere(personality: Personality, reason: str, service: str, pattern: str) -> None:
    assert re.fullmatch(pattern, personality.refusal(service, refused(reason)))


@EVERYBODY
def test_every_limit_leaves_room_for_the_commands_themselves(personality: Personality) -> None:
    limits = {**personality.command_limits, **{f"{key} answer": n for key, n in personality.response_limits.items()}}
    assert {key: n for key, n in limits.items() if n < 255} == {}


@pytest.mark.parametrize(
    ("personality", "service", "reason", "reply"),
    [
        (GENERIC, "smtp", "unknown", "535 5.7.8 Authentication failed."),
        (GENERIC, "imap", "expired", "NO [AUTHENTICATIONFAILED] Authentication failed."),
        (GENERIC, "pop", "scope", "-ERR [AUTH] Authentication failed."),
        (GENERIC, "smtp", "temporary", "454 4.7.0 Temporary authentication failure."),
        (GENERIC, "imap", "temporary", "NO [UNAVAILABLE] Temporary authentication failure."),
        (GENERIC, "pop", "temporary", "-ERR [SYS/TEMP] Temporary authentication failure."),
        (GENERIC, "smtp", "smtp_disabled", "535 5.7.8 Authentication failed."),
        (GMAIL, "imap", "unknown", "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"),
        (GMAIL, "imap", "malformed", "BAD Invalid SASL argument."),
        (GMAIL, "pop", "unknown", "-ERR [AUTH] Username and password not accepted."),
        (MICROSOFT, "smtp", "unknown", "535 5.7.3 Authentication unsuccessful [SANDBOX.outlook.office365.com]"),
        (MICROSOFT, "imap", "unknown", "NO AUTHENTICATE failed."),
        (MICROSOFT, "pop", "user", "-ERR Authentication failure: unknown user name or bad password."),
        (YAHOO, "imap", "unknown", "NO [AUTHENTICATIONFAILED] AUTHENTICATE Invalid credentials"),
        (YAHOO, "smtp", "unknown", "535 5.7.0 (#MBR1212) Incorrect username or password."),
    ],
)
def test_a_refusal_is_said_as_the_provider_says_it(
    personality: Personality, service: str, reason: str, reply: str
) -> None:
    assert personality.refusal(service, refused(reason)) == reply


def test_gmail_refuses_smtp_in_two_lines() -> None:
    lines = GMAIL.refusal("smtp", refused("unknown")).split("\r\n")
    assert [line[:10] for line in lines] == ["535-5.7.8 ", "535 5.7.8 "]


def test_microsoft_says_that_smtp_is_switched_off() -> None:
    reply = MICROSOFT.refusal("smtp", refused("smtp_disabled"))
    assert reply.startswith("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the")


def test_microsoft_knows_one_mechanism_and_two_steps_over_pop3() -> None:
    assert (set(MICROSOFT.mechanisms.values()), MICROSOFT.initial_response["pop"]) == ({("XOAUTH2",)}, False)


@pytest.mark.parametrize(
    ("personality", "mechanism", "decision", "challenge"),
    [
        pytest.param(GENERIC, "XOAUTH2", refused("unknown"), b"{}", id="as decided"),
        pytest.param(GENERIC, "XOAUTH2", Decision(None, "temporary"), None, id="nothing to say"),
        pytest.param(MICROSOFT, "XOAUTH2", refused("unknown"), None, id="Microsoft says nothing"),
        pytest.param(GMAIL, "OAUTHBEARER", refused("unknown"), b"{}", id="RFC 7628's is left alone"),
        pytest.param(GMAIL, "XOAUTH2", Decision(None, "temporary"), None, id="nothing to say at Gmail"),
    ],
)
def test_a_challenge_precedes_a_refusal_where_the_provider_has_it(
    personality: Personality, mechanism: str, decision: Decision, challenge: bytes | None
) -> None:
    assert personality.challenge(mechanism, decision) == challenge


def test_gmail_challenges_with_status_400_whatever_is_wrong() -> None:
    challenge = GMAIL.challenge("XOAUTH2", refused("revoked"))
    assert challenge is not None
    assert json.loads(challenge) == {"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"}
