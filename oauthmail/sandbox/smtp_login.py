"""Greetings and logins of an SMTP connection: EHLO, STARTTLS and AUTH (RFC 4954)."""

from __future__ import annotations

import base64
import binascii
from typing import cast

from aiosmtpd.smtp import Session

from .lines import shown
from .mechanisms import Decision, decide
from .smtp_wire import Wire

__all__ = ["Login"]


class Login(Wire):
    """The commands up to the login."""

    @property
    def _session(self) -> Session:
        return cast("Session", self.session)

    # --- hello ----------------------------------------------------------------------------------------------------

    async def smtp_HELO(self, hostname: str | None) -> None:  # noqa: N802  # aiosmtpd's name
        """Greet without extensions."""
        await self._hello("HELO", hostname, [self.hostname])

    async def smtp_EHLO(self, hostname: str | None) -> None:  # noqa: N802  # aiosmtpd's name
        """Greet and offer STARTTLS, or the logins once there is TLS."""
        personality = self.site.personality
        logins = " ".join(("AUTH", *personality.mechanisms["smtp"])) if self.secure else "STARTTLS"
        lines = {"SIZE": f"SIZE {self.site.data_size_limit}", "AUTH": logins}
        listed = [lines.get(extension, extension) for extension in personality.extensions]
        await self._hello("EHLO", hostname, [self.hostname, *listed])

    async def _hello(self, command: str, hostname: str | None, lines: list[str]) -> None:
        if not hostname:
            await self.push(f"501 5.5.4 Syntax: {command} hostname")
            return
        self.envelope = self._create_envelope()
        self._session.host_name = hostname
        self._session.extended_smtp = command == "EHLO"
        await self.answer("\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"]))

    async def smtp_STARTTLS(self, argument: str | None) -> None:  # noqa: N802  # aiosmtpd's name
        """Switch to TLS."""
        if argument:
            await self.push("501 5.5.4 Syntax: STARTTLS")
        elif self.secure:
            await self.push("503 5.5.1 TLS is on already")
        else:
            await self.start_tls("220 2.0.0 Ready to start TLS")

    async def smtp_QUIT(self, argument: str | None) -> None:  # noqa: N802  # aiosmtpd's name
        """Say good-bye."""
        if argument:
            await self.push("501 5.5.4 Syntax: QUIT")
        else:
            await self.push("221 2.0.0 Bye")
            self.hang_up()

    async def smtp_VRFY(self, argument: str | None) -> None:  # noqa: N802  # aiosmtpd's name
        """Tell nothing about anybody (RFC 5321 section 7.3)."""
        await self.push("252 2.5.0 Cannot VRFY user, but will accept message and attempt delivery")

    # --- AUTH (RFC 4954) ------------------------------------------------------------------------------------------

    async def check_auth_needed(self, caller_method: str) -> bool:
        """Refuse what only users may do; RFC 3207 section 4 has the answer for those without TLS."""
        if not self.secure:
            await self.push("530 5.7.0 Must issue a STARTTLS command first")
        elif not self._session.authenticated:
            await self.push("530 5.7.0 Authentication required")
        else:
            return False
        return True

    async def smtp_AUTH(self, argument: str | None) -> None:  # noqa: N802  # aiosmtpd's name
        """Log in.

        An exchange that is refused::

            C: AUTH XOAUTH2
            S: 334
            C: <base64>
            S: 334 <base64 of the challenge>
            C: <empty line, or AQ==>
            S: 535 5.7.8 Authentication failed.
        """
        words = (argument or "").split()
        if not self.secure:
            await self.push("530 5.7.0 Must issue a STARTTLS command first")
        elif not self._session.extended_smtp:
            await self.push("503 5.5.1 Send EHLO first")
        elif self._session.authenticated:
            await self.push("503 5.5.1 Already authenticated")
        elif not 1 <= len(words) <= 2:
            await self.push("501 5.5.4 Syntax: AUTH mechanism [initial-response]")
        elif words[0].upper() not in self.site.personality.mechanisms["smtp"]:
            await self.push("504 5.5.4 Unrecognized authentication type")
        else:
            payload = words[1].encode() if len(words) == 2 else await self._response(b"")
            if payload is not None:
                # "=" is the initial response that holds nothing.
                await self._log_in(words[0].upper(), b"" if words[1:] == ["="] else payload)

    async def _log_in(self, mechanism: str, payload: bytes) -> None:
        try:
            message = base64.b64decode(payload, validate=True)
        except binascii.Error:
            await self.push("501 5.5.2 Cannot decode base64")
            return
        decision = self._decide(mechanism, message)
        if decision.user is not None:
            self._session.authenticated = True
            await self.push(self.site.personality.success["smtp"])
            return
        challenge = self.site.personality.challenge(mechanism, decision)
        # Servers take any answer but "*" alike: the login has failed already.
        if challenge is None or await self._response(challenge) is not None:
            await self.push(self.site.personality.refusal("smtp", decision))

    def _decide(self, mechanism: str, message: bytes) -> Decision:
        state = self.site.state
        decision = decide(state, "smtp", mechanism, message, self.site.discovery)
        if decision.user is not None and state.take_fault("smtp_disabled", "smtp"):
            return Decision(None, "smtp_disabled")
        return decision

    async def _response(self, challenge: bytes) -> bytes | None:
        """Return the client's answer to *challenge*, in base64; None if that ended the exchange."""
        await self.answer(f"334 {base64.b64encode(challenge).decode()}")
        line = await self.read_line(self.site.personality.response_limits["smtp"])
        if line is None:
            await self.refuse_line()
            return None
        self.record(shown(line))
        if line == b"*":
            await self.push("501 5.7.0 Authentication aborted")
            return None
        return line
