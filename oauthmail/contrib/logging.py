"""A logging handler that sends mail with OAuth, in place of `logging.handlers.SMTPHandler`."""

from __future__ import annotations

import email.message
import email.utils
import logging
import logging.handlers
import smtplib
import ssl
import threading
from collections.abc import Sequence

from .. import SMTP, SMTP_SSL, CredentialsError

__all__ = ["SMTPHandler"]

# RFC 6409: where mail is handed in. The parent's default, 25, is where servers talk to each other.
_SUBMISSION = 587

_here = threading.local()


class SMTPHandler(logging.handlers.SMTPHandler):
    """`logging.handlers.SMTPHandler` with OAuth in place of the password, and TLS that verifies the server.

    What is logged while a record is sent, such as a library's notes about the renewal of the token, is not sent: that
    would never end. Sending takes its time; behind a `logging.handlers.QueueListener` nobody waits for it.

    Args:
        mailhost: the server; a pair for another port than 587.
        fromaddr: the sender.
        toaddrs: the recipient, or a list of them.
        subject: see also ``getSubject``.
        credentials: the mailbox address, to use what is stored for it (`oauthmail.Account`); or the address and
            anything that `authenticate_oauth` takes.
        secure: an `ssl.SSLContext`; or, as for the parent, a tuple with nothing, or with the files of key and
            certificate to identify this client by. TLS is used in any case.
        timeout: seconds that the server may take for each answer.
        implicit_tls: whether TLS begins with the connection, rather than by STARTTLS; None for whether the port is 465.

    Raises:
        CredentialsError: no mailbox address.
        OSError: a file in *secure* cannot be read.
    """

    def __init__(
        self,
        mailhost: str | tuple[str, int],
        fromaddr: str,
        toaddrs: str | list[str],
        subject: str,
        credentials: str | Sequence[object] | None = None,
        secure: ssl.SSLContext | Sequence[str] | None = None,
        timeout: float = 5.0,
        *,
        implicit_tls: bool | None = None,
    ) -> None:
        super().__init__(mailhost, fromaddr, toaddrs, subject, timeout=timeout)
        try:
            self._user, self._credentials = _address_and_credentials(credentials)
        finally:
            # A token would stay readable in a traceback.
            del credentials
        self.username = self._user
        self._context = _context(secure)
        self.mailport = self.mailport or _SUBMISSION
        self._implicit_tls = self.mailport == smtplib.SMTP_SSL_PORT if implicit_tls is None else implicit_tls

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; what goes wrong goes to ``handleError``."""
        if getattr(_here, "sending", False):
            return
        _here.sending = True
        try:
            message = self._message(record)
            with self._connected() as smtp:
                smtp.authenticate_oauth(self._user, self._opening())
                smtp.send_message(message)
        except Exception:
            self.handleError(record)
        finally:
            _here.sending = False

    def _connected(self) -> SMTP:
        host, port = self.mailhost, self.mailport or _SUBMISSION
        if self._implicit_tls:
            return SMTP_SSL(host, port, timeout=self.timeout, context=self._context)
        smtp = SMTP(host, port, timeout=self.timeout)
        try:
            smtp.starttls(context=self._context)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _opening(self) -> object:
        if self._credentials is not None:
            return self._credentials
        from .. import Account

        return Account(self._user).credentials

    def _message(self, record: logging.LogRecord) -> email.message.EmailMessage:
        message = email.message.EmailMessage()
        message["From"] = self.fromaddr
        message["To"] = ",".join(self.toaddrs)
        message["Subject"] = self.getSubject(record)
        message["Date"] = email.utils.localtime()
        message.set_content(self.format(record))
        return message


def _address_and_credentials(given: str | Sequence[object] | None) -> tuple[str, object]:
    user: object = given
    credentials: object = None
    if isinstance(given, list | tuple) and len(given) == 2:
        # By index: what dictConfig makes of a list resolves "ext://project.mail.token" only when one item is asked for.
        user, credentials = given[0], given[1]
    if not isinstance(user, str) or not user:
        # As above.
        del given, user, credentials
        raise CredentialsError(
            "the handler's credentials are a mailbox address, or an address and what opens it; without them there is "
            "nothing to log in to"
        )
    return user, credentials


def _context(secure: ssl.SSLContext | Sequence[str] | None) -> ssl.SSLContext:
    if isinstance(secure, ssl.SSLContext):
        return secure
    context = ssl.create_default_context()
    if secure:
        key_file, *certificate_file = secure
        context.load_cert_chain(certificate_file[0] if certificate_file else key_file, key_file)
    return context
