"""`smtplib.SMTP` and `smtplib.SMTP_SSL` that log in with OAuth (RFC 4954)."""

from __future__ import annotations

import functools
import operator
import smtplib
import socket
import sys

from ._client import OAuthClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from email.message import Message
    from typing import Any

    from _typeshed import SizedBuffer

    from ._pipeline import Sending
    from .errors import AuthenticationError, MechanismError

__all__ = ["SMTP", "SMTP_SSL"]

# RFC 5321 section 4.5.3.1.4, with the line end. RFC 4954 section 4 forbids a longer command line, and Postfix answers
# one with a 535 that looks like a bad token.
_COMMAND_LINE = 512


class SMTP(OAuthClient[tuple[int, bytes]], smtplib.SMTP):
    """`smtplib.SMTP` with `authenticate_oauth`, and with TLS that verifies the server by default.

    ::

        C: AUTH XOAUTH2 dXNlcj1…            on one line where that fits 512 octets
        S: 235 2.7.0 Accepted

        C: AUTH XOAUTH2
        S: 334
        C: dXNlcj1…
        S: 235 2.7.0 Accepted
    """

    _oauth_protocol = "smtp"
    _oauth_tls_hint = "call starttls() before logging in, or use SMTP_SSL"
    _oauth_broken = smtplib.SMTPException
    _oauth_port = 0
    # The unfinished run of send_messages(), if there is one; and the TLS context that starttls() was given.
    _oauth_sending: Sending | None = None
    _oauth_upgrade: Any = None
    #: Whether sendmail() and its like use the server's PIPELINING and CHUNKING; False, on a class or an object, is
    #: smtplib's way: one command at a time, and DATA.
    pipelining = True

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # Up to Python 3.14 the name to verify in starttls() is what the constructor was given: nothing after
        # SMTP() + connect(), "host:587" where the port was part of the name. Here both are taken apart.
        self._host = host
        self._oauth_port = port
        return super()._get_socket(host, port, timeout)  # type: ignore[misc,no-any-return]  # not in typeshed

    def _print_debug(self, *args: object) -> None:
        super()._print_debug(*map(self._oauth_redact, args))  # type: ignore[misc]  # not in typeshed

    def starttls(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Put the connection into TLS mode, verifying the server unless a ``context`` says otherwise.

        Takes and returns what `smtplib.SMTP.starttls` does.

        Raises:
            smtplib.SMTPNotSupportedError: the server does not offer STARTTLS.
            smtplib.SMTPServerDisconnected: somebody put plaintext in behind the server's answer.
            ssl.SSLError: the handshake or the verification failed; the connection is closed.
        """
        args, kwargs = self._oauth_upgrading(super().starttls, args, kwargs)
        self._oauth_ready()
        with self._oauth_bounded():
            reply = super().starttls(*args, **kwargs)
        self._oauth_upgrade = kwargs["context"].context
        return reply

    # --- sending --------------------------------------------------------------------------------------------------

    def sendmail(
        self,
        from_addr: str,
        to_addrs: str | Sequence[str],
        msg: SizedBuffer | str,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> dict[str, tuple[int, bytes]]:
        """Send a message as `smtplib.SMTP.sendmail` does, in fewer round trips where the server's extensions allow.

        That is two with PIPELINING and one with CHUNKING as well, where smtplib takes three and one for each
        recipient. Arguments, return value, exceptions and what is delivered are the parent's.

        Args:
            from_addr: the envelope's sender.
            to_addrs: the envelope's recipients.
            msg: the message; text in ASCII, or octets, which are sent as they are.
            mail_options: of the MAIL command, such as ``"body=8bitmime"``.
            rcpt_options: of each RCPT command.

        Returns:
            The recipients that were refused, ``{address: (code, reply)}``, if at least one was accepted.

        Raises:
            smtplib.SMTPSenderRefused: the server refused the sender.
            smtplib.SMTPRecipientsRefused: the server refused every recipient.
            smtplib.SMTPDataError: the server refused the message.
            smtplib.SMTPNotSupportedError: SMTPUTF8 is asked for and not offered; nothing was sent.
            smtplib.SMTPServerDisconnected: the connection was lost.
            ValueError: a line end in an address or option; nothing was sent.
        """
        self._oauth_settle()
        self.ehlo_or_helo_if_needed()
        recipients = [to_addrs] if isinstance(to_addrs, str) else list(to_addrs)
        extended = "pipelining" in self.esmtp_features or "chunking" in self.esmtp_features
        if not (extended and recipients and isinstance(msg, bytes | str) and self._oauth_own_steps()):
            return super().sendmail(from_addr, recipients, msg, mail_options, rcpt_options)
        from . import _handover

        if isinstance(msg, str):
            msg = msg.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").encode("ascii")
        transaction = _handover.Transaction(
            self.esmtp_features, from_addr, recipients, msg, mail_options, rcpt_options, self.command_encoding
        )
        # As in the parent, which goes on with SMTPUTF8's until the next reset.
        self.command_encoding = transaction.encoding
        return _handover.hand_over(self, transaction)

    def send_message(
        self,
        msg: Message,
        from_addr: str | None = None,
        to_addrs: str | Sequence[str] | None = None,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> dict[str, tuple[int, bytes]]:
        """Send a message object as `smtplib.SMTP.send_message` does, written out faster and sent by `sendmail`.

        Args:
            msg: an `email.message.EmailMessage` or `email.message.Message`; Bcc is not sent.
            from_addr: the envelope's sender; otherwise the one that the header names.
            to_addrs: the envelope's recipients; otherwise those that the header names.
            mail_options: of the MAIL command.
            rcpt_options: of each RCPT command.

        Returns:
            As `sendmail`.

        Raises:
            ValueError: the message has been resent more than once, so that its header does not tell the envelope.
            smtplib.SMTPNotSupportedError: an address is not ASCII, and the server does not offer SMTPUTF8.
            smtplib.SMTPException: as `sendmail`.
        """
        self.ehlo_or_helo_if_needed()
        if not self.pipelining:
            return super().send_message(msg, from_addr, to_addrs, mail_options, rcpt_options)
        from ._outgoing import envelope, octets

        sender, recipients, needed = envelope(msg, from_addr, to_addrs, self.has_extn("smtputf8"))
        return self.sendmail(sender, recipients, octets(msg, needed), (*mail_options, *needed), rcpt_options)

    def send_messages(
        self, messages: Iterable[Message | tuple[str, str | Sequence[str], bytes]], *, window: int = 128
    ) -> Sending:
        """Send many messages, each under way before the server has answered the ones before it.

        The iterable is read only as far as messages can be sent, and a bounded number of them is in memory. Where the
        server does not offer PIPELINING, or a method that sending is made of is overridden, one goes after the other.
        If the login ends meanwhile, as it does when a token expires, another connection is made, with a fresh token
        of the `TokenSource` that logged in.

        Args:
            messages: message objects, whose header names sender and recipients, or tuples ``(from_addr, to_addrs,
                octets)``.
            window: how many messages may be under way.

        Returns:
            An iterator of `SendResult`, one for each message and in order; iterating over it is what sends. A message
            that is refused, or cannot be written, is a result with an ``error``, and the others go on. Its ``stop()``
            has no more messages taken, from a signal handler for instance.

        Raises:
            SendInterrupted: the line dropped or timed out, or the server closed it: it names what was accepted, what
                is in doubt and what was not sent. Raised by the iterator, after all results that are known.
            SendCancelled: the same for Ctrl-C.
            ValueError: the window is no number of messages.
        """
        from ._pipeline import Sending

        return Sending(self, messages, window)

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command as `smtplib.SMTP.putcmd` does, once no other's reply is outstanding."""
        self._oauth_settle()
        super().putcmd(cmd, args)

    def _oauth_settle(self) -> None:
        """Wait for the replies to what a run of send_messages() has under way."""
        if self._oauth_sending is not None:
            self._oauth_sending.settle()

    def _oauth_own_steps(self) -> bool:
        """Tell whether every step of sending is this class's, so that they can be taken together."""
        return (
            self.pipelining
            and isinstance(self.sock, socket.socket)
            and smtplib.SMTP.sendmail is _SENDMAIL
            and _steps(type(self)) == _STEPS
            and not any(map(self.__dict__.__contains__, _NAMES))
        )

    def _oauth_log_in_again(self) -> None:
        """Make another connection like this one, and log in with a fresh token."""
        if self._oauth_again is None:
            raise smtplib.SMTPServerDisconnected("nobody has logged in")
        identity, source, mechanism, allow_insecure = self._oauth_again
        upgrade = self._oauth_upgrade
        self._oauth_drop()
        code, text = self.connect(*self._oauth_address())
        if code != 220:
            self.close()
            raise smtplib.SMTPConnectError(code, text)
        if upgrade is not None:
            self.starttls(context=upgrade)
        self.authenticate_oauth(identity, source, mechanism=mechanism, allow_insecure=allow_insecure)
        self.ehlo_or_helo_if_needed()

    # --- what a login needs ---------------------------------------------------------------------------------------

    def _oauth_check_upgrade(self) -> None:
        from ._tls import plaintext_waiting

        if plaintext_waiting(self._oauth_ready(), self.file):
            raise smtplib.SMTPServerDisconnected("plaintext follows the answer to STARTTLS: the connection is attacked")

    def _oauth_ready(self) -> socket.socket:
        # A login goes past putcmd().
        self._oauth_settle()
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("please run connect() first")
        if self.file is None:
            # As getreply() does, which begins with no file after connect() and starttls().
            self.file = self.sock.makefile("rb")
        return self.sock

    def _oauth_errors(self) -> tuple[type[AuthenticationError], type[MechanismError]]:
        from .smtp_errors import SMTPMechanismError, SMTPOAuthError

        return SMTPOAuthError, SMTPMechanismError

    def _oauth_address(self) -> tuple[str, int]:
        return self._host, self._oauth_port or self.default_port

    def _oauth_offered(self, forced: bool) -> Collection[str]:
        if self.helo_resp is None:
            self.ehlo_or_helo_if_needed()
        elif self.ehlo_resp is None:
            # A client that said HELO does not know yet what the server offers.
            self.ehlo()
        return self.esmtp_features.get("auth", "").upper().split()

    def _oauth_at_once(self, command: bytes, initial: bytes) -> bool:
        return len(command) + len(initial) + len(b" \r\n") <= _COMMAND_LINE

    def _oauth_put(self, line: bytes, shown: bytes) -> None:
        # Not send(): that shows the line to the debug output and to audit hooks.
        shown += b"\r\n"
        if self.debuglevel > 0:
            self._print_debug("send:", repr(shown.decode("ascii")))
        sys.audit("smtplib.send", self, shown)
        try:
            self._oauth_ready().sendall(line + b"\r\n")
        except OSError as error:
            raise smtplib.SMTPServerDisconnected("Server not connected") from error

    def _oauth_next(self) -> tuple[bytes | None, bool, tuple[int, bytes]]:
        code, text = self.getreply()
        if not 200 <= code <= 599:
            raise smtplib.SMTPResponseException(code, text)
        # 503 is no success, as smtplib has it: a server out of step says it too (RFC 4954 section 4).
        return (text if code == 334 else None), code == 235, (code, text)

    def _oauth_reply_text(self, reply: tuple[int, bytes]) -> tuple[tuple[object, ...], str]:
        code, text = reply
        if code == 421:
            self.close()
        return reply, f"{code} {text.decode('utf-8', 'replace')}"

    def _oauth_drop(self) -> None:
        self.close()
        self._oauth_upgrade = None
        # The parent forgets in quit() only, and would send no EHLO after another connect().
        self.ehlo_resp = self.helo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False


class SMTP_SSL(SMTP, smtplib.SMTP_SSL):
    """`smtplib.SMTP_SSL` with `authenticate_oauth`, verifying the server unless a ``context`` says otherwise."""

    if not TYPE_CHECKING:

        @functools.wraps(smtplib.SMTP_SSL.__init__)
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            args, kwargs = self._oauth_verified(super().__init__, args, kwargs)
            super().__init__(*args, **kwargs)


# What smtplib's way of sending is made of. Where one of these is somebody else's, it has to be called.
_NAMES = ("mail", "rcpt", "data", "send", "docmd", "putcmd", "getreply")
_steps = operator.attrgetter(*_NAMES)
_STEPS = _steps(SMTP)
_SENDMAIL = smtplib.SMTP.sendmail
