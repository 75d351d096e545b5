"""Handing messages over, one after the other: connections that are lost, logins that end, and what the journal is told.

A connection that is lost before the end of a message has done no harm: another one is made. One that is lost between a
message's last octets and the answer leaves a doubt that nothing can resolve, and that is what the outcome says.
"""

from __future__ import annotations

import smtplib
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from .. import AuthenticationError
from .errors import StoppedError
from .journal import Journal
from .letters import Letter
from .transaction import LostError, Outcome, Transaction, words_of

if TYPE_CHECKING:
    from .. import SMTP, Account

__all__ = ["Delivery"]

#: Seconds before each attempt to hand a message over.
_PAUSES = (0.0, 0.0, 2.0)
# RFC 5321 section 4.5.3.1.10: too many recipients at once.
_TOO_MANY = "452 "


class Delivery:
    """Hands over messages over as few connections as possible; for a ``with`` block.

    Args:
        account: the mailbox that sends.
        journal: what is told of each message.
        shield: what lasts from before the last octets of a message until its outcome is in the journal.
        sleep: waits before another connection.
    """

    def __init__(
        self,
        account: Account,
        journal: Journal,
        *,
        shield: Callable[[], AbstractContextManager[None]] = nullcontext,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._account = account
        self._journal = journal
        self._shield = shield
        self._sleep = sleep
        self._stack = ExitStack()
        self._client: SMTP | None = None

    def __enter__(self) -> Delivery:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._hang_up()

    def send(self, letter: Letter, recipients: Sequence[str]) -> Outcome:
        """Hand a message over for *recipients*, which are some of its own, and return what became of it.

        Raises:
            StoppedError: the server takes nothing more from this sender, or closes every connection.
            AuthenticationError: the server refused the login.
            OSError: no connection could be made; the message was not sent.
        """
        outcome = Outcome()
        octets = letter.build(letter.identify(self._journal.nonce), datetime.now(timezone.utc))
        left = list(recipients)
        while left:
            outcome.add(self._patiently(letter, octets, left))
            # Those that were too many at once are to be tried again at once, as long as it leads somewhere.
            too_many = [each for each in left if outcome.deferred.get(each, "").startswith(_TOO_MANY)]
            left = too_many if len(too_many) < len(left) and not outcome.doubtful else []
        return outcome

    def _patiently(self, letter: Letter, octets: bytes, recipients: Sequence[str]) -> Outcome:
        """Hand over once, whatever number of connections that takes."""
        lost: Exception | None = None
        for pause in _PAUSES:
            if pause:
                self._sleep(pause)
            try:
                return self._once(letter, octets, recipients)
            except (LostError, smtplib.SMTPServerDisconnected) as error:
                lost = error
                self._drop()
            except BaseException:
                # Half-way through a message, QUIT would be a line of it.
                self._drop()
                raise
        if isinstance(lost, LostError):
            raise StoppedError(str(lost), temporary=str(lost).startswith("4")) from lost
        raise lost or AssertionError

    def _once(self, letter: Letter, octets: bytes, recipients: Sequence[str]) -> Outcome:
        client = self._connected()
        outside = [each for each in (letter.sender, *recipients) if not each.isascii()]
        if outside and not client.has_extn("smtputf8"):
            words = f"the server takes no address outside ASCII (it does not offer SMTPUTF8), as {outside[0]} is"
            return Outcome(refused=dict.fromkeys(recipients, words))
        transaction = Transaction(client, letter.sender, recipients, octets)
        outcome = transaction.outcome
        if not transaction.announce():
            self._note(letter, outcome)
            return outcome
        with self._shield():
            message_id = letter.identify(self._journal.nonce)
            self._journal.sending(letter.key, transaction.pending, message_id, letter.name)
            try:
                transaction.end()
            except smtplib.SMTPServerDisconnected as error:
                outcome.doubtful = transaction.pending
                outcome.reply = f"the connection was lost before the server's answer: {error}"
                self._drop()
            finally:
                # Of those that are in doubt it says nothing, so they stay so.
                self._note(letter, outcome)
        return outcome

    def _note(self, letter: Letter, outcome: Outcome) -> None:
        self._journal.outcome(letter.key, outcome.accepted, outcome.refused, outcome.deferred, outcome.reply)

    # --- the connection -------------------------------------------------------------------------------------------

    def _connected(self) -> SMTP:
        if self._client is None:
            try:
                self._client = self._stack.enter_context(self._account.smtp())
            except AuthenticationError:
                raise
            except smtplib.SMTPResponseException as error:
                # A greeting that is none, such as "421 too many connections".
                code, words = words_of((error.smtp_code, error.smtp_error))
                raise StoppedError(words, temporary=400 <= code < 500) from error
            # The last octets of a message would wait for the acknowledgement of those before.
            if self._client.sock is not None:
                self._client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._client

    def _drop(self) -> None:
        """Close the connection without another word."""
        if self._client is not None:
            self._client.close()
        self._hang_up()

    def _hang_up(self) -> None:
        self._client = None
        self._stack.close()
