"""How a server of each provider talks: what it advertises, what it says and what it refuses.

The sandbox takes no passwords, so the password mechanisms that the real servers advertise beside these are left out.
Advertisements and refusals are as seen in protocol logs; what is not is listed here, and is a guess to be corrected
by whoever has a log:

- Gmail: the lengths of lines other than SMTP's AUTH, of which is known that 512 octets pass and that a token of 1024
  characters gets the answer below; the texts for too long lines over IMAP and POP3; the temporary texts over POP3;
  OAUTHBEARER's challenge (it is RFC 7628's here); XOAUTH, which is advertised still, though Google issues no tokens.
- Microsoft: all lengths (a POP3 token of more than 4,096 characters ended in a protocol error); the texts for too long
  lines over SMTP and IMAP; the temporary texts.
- Yahoo: everything about POP3, whether there is SASL-IR, the challenge, all lengths, and the temporary texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from .mechanisms import MECHANISMS, Decision

__all__ = ["GENERIC", "GMAIL", "MICROSOFT", "PERSONALITIES", "YAHOO", "Personality"]


@dataclass(frozen=True)
class Personality:
    r"""One provider's manner of speaking; "by service" means the keys ``smtp``, ``imap`` and ``pop``.

    Attributes:
        name: what ``--like`` takes.
        greetings: by service, the text after ``220 ``, ``* OK `` and ``+OK ``.
        mechanisms: by service, what is advertised once there is TLS.
        extensions: what SMTP's answer to EHLO lists, in order; SIZE stands for the sandbox's own, as it takes no more,
            and AUTH for the mechanisms, or for STARTTLS before TLS.
        initial_response: by service, whether the client's message may come with the command: IMAP offers SASL-IR;
            POP3 without it answers ``too_long["pop"]`` and closes the connection, as Exchange does; SMTP always may
            (RFC 4954 section 4), where it fits.
        greets_with_capabilities: IMAP's greeting and the tagged OK of a login carry ``[CAPABILITY ...]``.
        command_limits: by service, octets of the longest command line, CRLF included.
        response_limits: by service, octets of the longest answer to a SASL challenge, CRLF included.
        challenges: the reason of a refusal is sent as a challenge of JSON before the refusal.
        too_long: by service, the whole reply to a longer line; None for a connection that closes without a word. SMTP
            goes on after the reply, IMAP and POP3 close the connection.
        success: by service, the whole reply to a login; IMAP's without the tag.
        refusals: by service, replies by reason; the empty reason stands for all that are not named.
        bearer_challenge: the challenge of XOAUTH2 and XOAUTH where it differs from Dovecot's.
    """

    name: str
    greetings: Mapping[str, str]
    mechanisms: Mapping[str, tuple[str, ...]]
    extensions: tuple[str, ...]
    initial_response: Mapping[str, bool]
    greets_with_capabilities: bool
    command_limits: Mapping[str, int]
    response_limits: Mapping[str, int]
    challenges: bool
    too_long: Mapping[str, str | None]
    success: Mapping[str, str]
    refusals: Mapping[str, Mapping[str, str]]
    bearer_challenge: Mapping[str, str] | None = None

    def challenge(self, mechanism: str, decision: Decision) -> bytes | None:
        """Return what to send, before base64, ahead of a refusal; None to refuse at once."""
        if decision.challenge is None or not self.challenges:
            return None
        if self.bearer_challenge is not None and mechanism in ("XOAUTH2", "XOAUTH"):
            return json.dumps(self.bearer_challenge, separators=(",", ":")).encode()
        return decision.challenge

    def refusal(self, service: str, decision: Decision) -> str:
        r"""Return the last reply to a login that fails, without IMAP's tag and the last line end.

        Args:
            service: ``smtp``, ``imap`` or ``pop``; SMTP's reply may have several lines, with ``\r\n`` between them.
            decision: its reason is one of `Verdict.reason`, ``malformed``, or ``smtp_disabled`` (the administrator has
                switched SMTP logins off; `Fault` of that kind), and decides where this provider has words for it.
        """
        replies = self.refusals[service]
        return replies.get(decision.reason, replies[""])


_EVERYWHERE = {"smtp": True, "imap": True, "pop": True}

# Dovecot 2.3's IMAP, POP3 and submission services, by experiment; the longest lines too. (Postfix says "535 5.7.8
# Error: authentication failed: (reason unavailable)" to everything, outages included.)
GENERIC = Personality(
    name="generic",
    greetings={"smtp": "localhost ESMTP sandbox ready.", "imap": "Sandbox ready.", "pop": "Sandbox ready."},
    mechanisms={"smtp": MECHANISMS, "imap": MECHANISMS, "pop": MECHANISMS},
    extensions=("PIPELINING", "SIZE", "AUTH", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING"),
    initial_response=_EVERYWHERE,
    greets_with_capabilities=True,
    command_limits={"smtp": 1031, "imap": 8213, "pop": 8203},
    response_limits={"smtp": 8194, "imap": 8190, "pop": 8190},
    challenges=True,
    too_long={"smtp": "500 5.5.2 Line too long", "imap": None, "pop": None},
    success={"smtp": "235 2.7.0 Logged in.", "imap": "OK Logged in", "pop": "+OK Logged in."},
    refusals={
        "smtp": {
            "": "535 5.7.8 Authentication failed.",
            "temporary": "454 4.7.0 Temporary authentication failure.",
        },
        "imap": {
            "": "NO [AUTHENTICATIONFAILED] Authentication failed.",
            "temporary": "NO [UNAVAILABLE] Temporary authentication failure.",
        },
        "pop": {
            "": "-ERR [AUTH] Authentication failed.",
            "temporary": "-ERR [SYS/TEMP] Temporary authentication failure.",
        },
    },
)

GMAIL = Personality(
    name="gmail",
    greetings={
        "smtp": "smtp.gmail.com ESMTP sandbox - gsmtp",
        "imap": "Gimap ready for requests from 127.0.0.1 sandbox",
        "pop": "Gpop ready for requests from 127.0.0.1 sandbox",
    },
    mechanisms={
        "smtp": ("XOAUTH2", "OAUTHBEARER", "XOAUTH"),
        "imap": ("XOAUTH2", "OAUTHBEARER", "XOAUTH"),
        "pop": ("XOAUTH2", "OAUTHBEARER"),
    },
    extensions=("SIZE", "8BITMIME", "AUTH", "ENHANCEDSTATUSCODES", "PIPELINING", "CHUNKING", "SMTPUTF8"),
    initial_response=_EVERYWHERE,
    greets_with_capabilities=False,
    command_limits={"smtp": 1024, "imap": 8192, "pop": 8192},
    response_limits={"smtp": 12288, "imap": 8192, "pop": 8192},
    challenges=True,
    too_long={
        "smtp": "555-5.5.2 Syntax error, command line too long. For more information, go to\r\n"
        "555 5.5.2  https://support.google.com/a/answer/3221692 - gsmtp",
        "imap": "* BAD Command line too long",
        "pop": "-ERR line too long",
    },
    success={"smtp": "235 2.7.0 Accepted", "imap": "OK authenticated (Success)", "pop": "+OK Welcome."},
    refusals={
        "smtp": {
            "": "535-5.7.8 Username and Password not accepted. For more information, go to\r\n"
            "535 5.7.8  https://support.google.com/mail/?p=BadCredentials - gsmtp",
            "temporary": "454-4.7.0 Cannot authenticate due to a temporary system problem. Try again later.\r\n"
            "454 4.7.0  https://support.google.com/a/answer/3221692 - gsmtp",
        },
        "imap": {
            "": "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
            "malformed": "BAD Invalid SASL argument.",
            "temporary": "NO [UNAVAILABLE] Temporary System Error",
        },
        "pop": {
            "": "-ERR [AUTH] Username and password not accepted.",
            "temporary": "-ERR [SYS/TEMP] Temporary system problem. Please try again later.",
        },
    },
    # Gmail says 400 to everything that is wrong with a token, and always the scope of full access.
    bearer_challenge={"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"},
)

MICROSOFT = Personality(
    name="microsoft",
    greetings={
        "smtp": "SANDBOX.outlook.office365.com Microsoft ESMTP MAIL Service ready",
        "imap": "The Microsoft Exchange IMAP4 service is ready. [c2FuZGJveA==]",
        "pop": "The Microsoft Exchange POP3 service is ready. [c2FuZGJveA==]",
    },
    mechanisms={"smtp": ("XOAUTH2",), "imap": ("XOAUTH2",), "pop": ("XOAUTH2",)},
    extensions=(
        "SIZE",
        "PIPELINING",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "AUTH",
        "8BITMIME",
        "BINARYMIME",
        "CHUNKING",
        "SMTPUTF8",
    ),
    initial_response={"smtp": True, "imap": True, "pop": False},
    greets_with_capabilities=False,
    command_limits={"smtp": 12288, "imap": 12288, "pop": 255},
    response_limits={"smtp": 12288, "imap": 12288, "pop": 5600},
    challenges=False,
    too_long={
        "smtp": "500 5.3.3 Unrecognized command",
        "imap": "* BYE Connection is closed. 13",
        "pop": "-ERR Protocol error. Connection is closed. 10",
    },
    success={
        "smtp": "235 2.7.0 Authentication successful",
        "imap": "OK AUTHENTICATE completed.",
        "pop": "+OK User successfully logged on.",
    },
    refusals={
        "smtp": {
            "": "535 5.7.3 Authentication unsuccessful [SANDBOX.outlook.office365.com]",
            "temporary": "454 4.7.0 Temporary authentication failure [SANDBOX.outlook.office365.com]",
            "smtp_disabled": "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the "
            "Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. "
            "[SANDBOX.outlook.office365.com]",
        },
        "imap": {"": "NO AUTHENTICATE failed.", "temporary": "NO [UNAVAILABLE] Server Unavailable."},
        "pop": {
            "": "-ERR Authentication failure: unknown user name or bad password.",
            "temporary": "-ERR [SYS/TEMP] Server Unavailable.",
        },
    },
)

YAHOO = Personality(
    name="yahoo",
    greetings={
        "smtp": "smtp.mail.yahoo.com ESMTP ready",
        "imap": "IMAP4rev1 Hello",
        "pop": "Hello from sandbox",
    },
    mechanisms={
        "smtp": ("XOAUTH2", "OAUTHBEARER"),
        "imap": ("XOAUTH2", "OAUTHBEARER"),
        "pop": ("XOAUTH2", "OAUTHBEARER"),
    },
    extensions=("PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SIZE", "AUTH"),
    initial_response=_EVERYWHERE,
    greets_with_capabilities=True,
    command_limits={"smtp": 8192, "imap": 8192, "pop": 8192},
    response_limits={"smtp": 12288, "imap": 8192, "pop": 8192},
    challenges=True,
    too_long={
        "smtp": "500 5.5.2 Line too long",
        "imap": "* BAD Command line too long",
        "pop": "-ERR line too long",
    },
    success={"smtp": "235 2.0.0 OK", "imap": "OK AUTHENTICATE completed", "pop": "+OK maildrop ready"},
    refusals={
        "smtp": {
            "": "535 5.7.0 (#MBR1212) Incorrect username or password.",
            "temporary": "454 4.7.0 Temporary authentication failure",
        },
        "imap": {
            "": "NO [AUTHENTICATIONFAILED] AUTHENTICATE Invalid credentials",
            "temporary": "NO [UNAVAILABLE] AUTHENTICATE Server error - Please try again later",
        },
        "pop": {
            "": "-ERR [AUTH] invalid user or password",
            "temporary": "-ERR [SYS/TEMP] Server error - Please try again later",
        },
    },
)

#: By name.
PERSONALITIES: Mapping[str, Personality] = {each.name: each for each in (GENERIC, GMAIL, MICROSOFT, YAHOO)}
