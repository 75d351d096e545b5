"""Many messages over one connection, each on its way before the server has answered the ones before it.

::

    C: RSET, MAIL, RCPT…, BDAT and message 1      with PIPELINING and CHUNKING (RFC 2920, RFC 3030)
    C: RSET, MAIL, RCPT…, BDAT and message 2
    S: 250 … for message 1
    C: RSET, MAIL, RCPT…, BDAT and message 3

    C: RSET, MAIL, RCPT…, DATA                    with PIPELINING alone
    S: 250, 250, 250, 354
    C: message 1; RSET, MAIL, RCPT…, DATA
    S: 250; 250, 250, 250, 354

A message that the server refuses may leave its envelope behind, to which the next one would be added: the RSET in front
of each keeps them apart whatever happens.
"""

from __future__ import annotations

import contextlib
import itertools
import smtplib
from collections import deque
from typing import TYPE_CHECKING, Any

from ._handover import gathered, hand_over, reset
from ._items import Item, goodbye, written
from ._outbox import Outbox
from ._redact import printable
from ._replies import Replies, replies_of
from ._transaction import CHUNK, CLOSING, Transaction
from .bulk import SendCancelled, SendInterrupted, SendResult, Unfinished
from .errors import OAuthMailError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Sending"]

# What may be under way: commands without a reply (replies of usual length to so many fit the buffers between client
# and server, so that neither waits for the other to read), and octets of messages.
_COMMANDS = 512
_OCTETS = 16 << 20
# Seconds that a server has for closing the connection after it has said that it does.
_PATIENCE = 5.0


class Sending:
    """The results of `SMTP.send_messages`, in order; iterating over it is what sends.

    Another command on the client, or the end of its ``with`` block, waits for the replies that are outstanding first.
    """

    def __init__(self, client: Any, messages: Iterable[Any], window: int) -> None:
        if window < 1:
            raise ValueError(f"the window must be a number of messages, 1 at least, not {window!r}")
        self._client = client
        self._messages: Iterator[Any] | None = iter(messages)
        self._window = window
        self._count = 0
        self._busy = False
        # Messages in order: those to be sent once more, those without a result, those whose replies come next; and
        # results that nobody has taken yet.
        self._again: deque[Item] = deque()
        self._under_way: deque[Item] = deque()
        self._awaiting: deque[Item] = deque()
        self._ready: deque[SendResult] = deque()
        # One that has to have the connection to itself; and with DATA the one whose envelope is not answered.
        self._alone: Item | None = None
        self._opening: Item | None = None
        # Octets of messages under way.
        self._octets = 0
        # Read from the iterable, and not among the others yet.
        self._pulled: deque[Any] = deque()
        self._accepted: list[range] = []
        # Whether the login that ended is to be repeated, and whether the last one has not been of any use yet.
        self._login_ended = self._fresh = False
        self._failure: Any = None
        self._source_error: BaseException | None = None
        self._sock: Any = client.sock
        self._connected()

    def _connected(self) -> None:
        """Begin on a connection that nothing was sent on."""
        self._mode = ""
        self._outbox = Outbox()
        # The number of replies outstanding.
        self._owed = 0
        self._awaiting.clear()
        self._opening = None
        self._login_ended = False
        # What the server said of closing the connection; and whether it goes on all the same.
        self._closing: bytes | None = None
        self._goes_on = False
        # Whether replies did not come that were waited for.
        self._cut_off = False
        # Whether the server may still have the envelope of a message that it refused.
        self._stale = False

    def __iter__(self) -> Iterator[SendResult]:
        return self

    def __next__(self) -> SendResult:
        while not self._ready:
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            if not self._progress(pull=True) and not self._ready:
                self._client._oauth_sending = None
                error, self._source_error = self._source_error, None
                if isinstance(error, KeyboardInterrupt):
                    raise self._ledger(SendCancelled, "interrupted") from error
                raise StopIteration if error is None else error
        return self._ready.popleft()

    def stop(self) -> None:
        """Take no more messages; the results of those under way are still to be had by iterating."""
        self._messages = None

    def settle(self) -> None:
        """Wait for the replies to all that was sent, and keep the results, so that the connection is free."""
        while not self._busy and self._progress(pull=False):
            pass

    # --- one thing after the other --------------------------------------------------------------------------------

    def _progress(self, *, pull: bool) -> bool:
        """Do the next thing there is to do, and tell whether there was one; what fails is kept for `__next__`."""
        if self._failure is not None:
            return False
        self._claim()
        self._busy = True
        try:
            return self._advance(pull)
        except (OSError, OAuthMailError) as error:
            said = self._closing and printable(self._closing.decode("utf-8", "replace"))
            reason = f"the server closes the connection: {said}" if said else f"the connection was lost: {error}"
            self._failure = self._over(SendInterrupted, reason)
            self._failure.__cause__ = error
        except Exception as error:
            # Of the client's own methods, or of where tokens come from.
            self._failure = self._over(SendInterrupted, f"interrupted by {type(error).__name__}")
            self._failure.__cause__ = error
        except KeyboardInterrupt as error:
            self._failure = self._over(SendCancelled, "interrupted")
            self._failure.__cause__ = error
        except BaseException:
            self._failure = self._over(SendInterrupted, "interrupted")
            raise
        finally:
            self._busy = False
        return True

    def _claim(self) -> None:
        """Have the connection to itself, once another run has heard what it waits for."""
        other = self._client._oauth_sending
        if other is not None and other is not self:
            other.settle()
        self._client._oauth_sending = self

    def _advance(self, pull: bool) -> bool:
        if not self._mode:
            if not pull:
                return False
            self._begin()
        more = pull and (self._messages is not None or bool(self._again))
        if not (more or self._under_way) and not self._connection():
            return False
        if not self._login_ended:
            # Behind the end of a login the server may close it, too; there will be another one.
            self._check_connection()
        if pull and self._room():
            # Nothing waits for whoever makes the messages: he may take his time.
            if self._outbox.commands:
                self._flush()
            if self._owed:
                self._hear(wait=False)
                if self._ready:
                    return True
            if self._queue_next() or self._failure is not None:
                return True
        return self._go_on() or (pull and self._messages is not None)

    def _go_on(self) -> bool:
        """Do the next thing for the messages that are under way, and tell whether there was one."""
        if self._outbox.commands and self._closing is None and not self._login_ended:
            self._flush()
        elif self._owed:
            self._hear_all() if self._login_ended else self._hear(wait=True)
        elif self._login_ended:
            self._log_in_again()
        elif self._closing is not None:
            raise smtplib.SMTPResponseException(CLOSING, self._closing)
        elif self._stale:
            # What comes next brings no RSET of its own.
            self._stale = False
            reset(self._client)
        elif self._alone is not None and self._alone.transaction is not None:
            self._hand_over_alone(self._alone, self._alone.transaction)
        else:
            return False
        return True

    def _connection(self) -> bool:
        """Tell whether the client still has the connection that this run is on."""
        return self._sock is not None and self._client.sock is self._sock

    def _check_connection(self) -> None:
        if not self._connection():
            raise smtplib.SMTPServerDisconnected("the connection was closed meanwhile")

    def _begin(self) -> None:
        client = self._client
        client.ehlo_or_helo_if_needed()
        self._sock = client.sock
        if not client._oauth_own_steps() or "pipelining" not in client.esmtp_features:
            self._mode = "one by one"
            return
        replies_of(client)
        self._mode = "BDAT" if "chunking" in client.esmtp_features else "DATA"

    def _room(self) -> bool:
        """Tell whether another message can be put under way."""
        return (
            (self._messages is not None or bool(self._again))
            and self._alone is None
            and self._opening is None
            and self._closing is None
            and not self._login_ended
            and len(self._under_way) < self._window
            and self._owed + self._outbox.commands < _COMMANDS
            and self._octets < _OCTETS
        )

    # --- sending --------------------------------------------------------------------------------------------------

    def _next_item(self) -> Item | None:
        """Put the next message under way; wherever that is interrupted, it is in one of the places `_ledger` knows."""
        if self._again:
            self._under_way.append(self._again[0])
            return self._again.popleft()
        self._pull()
        if not self._pulled:
            return None
        item = Item(self._count, self._pulled[0])
        self._under_way.append(item)
        self._pulled.clear()
        self._count += 1
        return item

    def _pull(self) -> None:
        """Read a message from the iterable, if there is one."""
        if self._messages is None:
            return
        # Whoever makes the messages may use the client, too.
        self._busy = False
        try:
            # Not next(): Ctrl-C could come between it and the name that it is given to.
            self._pulled.extend(itertools.islice(self._messages, 1))
        except BaseException as error:
            # Those under way get their results first: nothing is lost by what goes wrong with others.
            self._messages, self._source_error = None, error
        finally:
            self._busy = True
        if not self._pulled:
            self._messages = None
        if self._failure is not None:
            self._failure.unsent += tuple(Unfinished(self._count, message) for message in self._pulled)
            self._pulled.clear()
        else:
            self._claim()

    def _queue_next(self) -> bool:
        """Take a message, write it out and queue it; tell whether there was one."""
        item = self._next_item()
        if item is None:
            return False
        self._check_connection()
        try:
            item.transaction = transaction = written(item.message, self._client.esmtp_features)
        except Exception as error:
            # Of whatever kind, it concerns this message alone.
            item.error = error
            self._settled(item)
            return True
        self._octets += len(transaction.octets)
        if self._mode == "one by one" or not self._fits(transaction):
            self._alone = item
            return True
        tail = list(transaction.chunks()) if self._mode == "BDAT" else [(b"data\r\n",)]
        transaction.asked = len(transaction.commands) + len(tail)
        pieces = [b"rset\r\n", *transaction.commands, *itertools.chain(*tail)]
        end = self._outbox.add(pieces, transaction.asked + 1)
        self._awaiting.append(item)
        if self._mode == "DATA":
            self._opening = item
        else:
            item.end = end
        return True

    def _fits(self, transaction: Transaction) -> bool:
        """Tell whether a message can travel with others: a large one is worth waiting for the server's consent."""
        return (
            len(transaction.commands) < _COMMANDS // 2
            and len(transaction.octets) <= CHUNK
            and (transaction.chunked or self._mode == "DATA")
        )

    def _flush(self) -> None:
        """Send what is queued."""
        pieces, commands = self._outbox.take()
        self._owed += commands
        try:
            for octets in gathered(self._client, pieces):
                self._outbox.send(self._client.sock, memoryview(octets))
        except OSError as error:
            # What the server has said before it hung up, or stopped reading, leaves less in doubt.
            if isinstance(error, TimeoutError):
                with contextlib.suppress(OSError):
                    self._hear(wait=False)
            else:
                self._hear_all()
            raise smtplib.SMTPServerDisconnected("Server not connected") from error

    # --- hearing --------------------------------------------------------------------------------------------------

    def _hear(self, *, wait: bool) -> None:
        """Take the replies that have arrived; wait for the first one if told to."""
        client = self._client
        if client.debuglevel > 0:
            # Which shows them.
            if wait:
                self._heard(*client.getreply())
            return
        replies = replies_of(client)
        if wait:
            self._heard(*self._reply(replies))
        else:
            replies.look()
        while self._owed and (found := replies.arrived()) is not None:
            self._heard(*found)

    def _reply(self, replies: Replies) -> tuple[int, bytes]:
        try:
            return replies.reply()
        except smtplib.SMTPServerDisconnected as lost:
            self._goes_on = isinstance(lost.__cause__, TimeoutError)
            raise

    def _hear_all(self) -> None:
        """Take the replies that are outstanding, as far as they come."""
        self._cut_off = True
        with contextlib.suppress(OSError):
            while self._owed:
                self._hear(wait=True)
            self._cut_off = False
        self._owed = 0

    def _heard(self, code: int, text: bytes) -> None:
        item = self._awaiting[0]
        transaction = item.transaction
        assert transaction is not None, "queued without having been written"  # noqa: S101  # a defect, not a condition
        self._owed -= 1
        self._goes_on = self._closing is not None and code != CLOSING
        if code == CLOSING and self._closing is None:
            self._closing = b"%d %b" % (code, text)
            timeout = self._client.sock.gettimeout()
            self._client.sock.settimeout(_PATIENCE if timeout is None else min(timeout, _PATIENCE))
        if item.leading:
            item.leading = False
            if code not in (250, CLOSING):
                raise smtplib.SMTPResponseException(code, text)
            return
        if code < 0:
            raise smtplib.SMTPResponseException(code, text)
        transaction.take(code, text)
        if item is self._opening and transaction.started is not None:
            self._opened(item, transaction)
        if transaction.answered == transaction.asked:
            self._awaiting.popleft()
            self._stale = transaction.failure() is not None
            self._settled(item)

    def _opened(self, item: Item, transaction: Transaction) -> None:
        """Queue what follows the reply to DATA."""
        self._opening = None
        if transaction.started is None or transaction.started[0] != 354 or self._closing is not None:
            return
        failure = transaction.failure()
        if failure is None:
            text: tuple[bytes, ...] = transaction.quoted()
        elif isinstance(failure, smtplib.SMTPRecipientsRefused):
            # RFC 2920 section 3.1: a server that goes on without recipients is told that there is no message.
            text = (b".\r\n",)
        else:
            raise smtplib.SMTPServerDisconnected("the server goes on without a sender")
        transaction.asked += 1
        item.end = self._outbox.add(text, 1)

    def _settled(self, item: Item) -> None:
        """Note that there is nothing more to hear of a message, and make results of those that are next."""
        item.done = item.decided()
        self._login_ended = self._login_ended or self._repeatable(item)
        if not self._login_ended:
            self._emit()

    def _repeatable(self, item: Item) -> bool:
        """Tell whether a message was refused as the login has ended, and another login may help."""
        return item.login_ended and not self._fresh and self._client._oauth_again is not None

    def _emit(self) -> None:
        while self._under_way and self._under_way[0].done:
            item = self._under_way[0]
            self._note(item.result())
            self._under_way.popleft()
            if item.transaction is not None:
                self._octets -= len(item.transaction.octets)

    def _note(self, result: SendResult) -> None:
        # Whoever interrupts this finds it done once more in the end.
        if not self._ready or self._ready[-1].index != result.index:
            self._ready.append(result)
        if not result.accepted:
            return
        self._fresh = False
        last = self._accepted[-1] if self._accepted else range(0)
        if self._accepted and last.stop == result.index:
            self._accepted[-1] = range(last.start, result.index + 1)
        elif last.stop <= result.index:
            self._accepted.append(range(result.index, result.index + 1))

    # --- what does not go on with the others ----------------------------------------------------------------------

    def _hand_over_alone(self, item: Item, transaction: Transaction) -> None:
        """Hand over a message that has the connection to itself, by `hand_over` or by somebody's own methods."""
        self._alone = None
        client = self._client
        try:
            if client._oauth_own_steps():
                hand_over(client, transaction)
            else:
                self._hand_over_foreign(item, transaction)
        except (smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as refusal:
            if client.sock is None and (said := goodbye(refusal)) is not None:
                self._closing = b"%d %b" % said
                raise
            if isinstance(refusal, smtplib.SMTPDataError) and refusal.smtp_code < 200:
                # No reply at all, though smtplib takes it for a refusal.
                item.end = 0
                raise
            item.error = refusal
            if client.sock is None and not self._repeatable(item):
                raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed behind a refusal") from refusal
        except BaseException:
            item.end = 0 if transaction.committed else None
            raise
        self._settled(item)

    def _hand_over_foreign(self, item: Item, transaction: Transaction) -> None:
        """Hand over a message by methods that are not this class's, so that what they send is not known.

        Whatever they do not get through with is in doubt.
        """
        transaction.committed = True
        try:
            transaction.refused = self._client.sendmail(
                transaction.sender, transaction.recipients, transaction.octets, transaction.mail_options
            )
        except (smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as refusal:
            transaction.committed = False
            if isinstance(refusal, smtplib.SMTPRecipientsRefused):
                transaction.refused = refusal.recipients
            # smtplib leaves the envelope where it is when DATA is refused.
            self._stale = isinstance(refusal, smtplib.SMTPDataError)
            raise
        item.taken = True

    def _log_in_again(self) -> None:
        """Make another connection for the messages that were refused because the login has ended."""
        under_way = list(self._under_way)
        first = next(place for place, item in enumerate(under_way) if item.login_ended)
        lost = any(not item.done and item.touched and item.failure() is None for item in under_way)
        if any(item.done and item.error is None and item.failure() is None for item in under_way[first:]):
            # The server takes messages of others: it has something against that sender, and nothing has ended.
            self._login_ended = False
            lost = self._cut_off and not all(item.done for item in under_way)
        if lost:
            raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed in the middle of a message")
        if not self._login_ended:
            self._emit()
            return
        # All from there on, so that they keep their order; none of them is with the server.
        self._again.extendleft(Item(item.index, item.message) for item in reversed(under_way[first:]))
        self._under_way = deque(under_way[:first])
        self._octets = sum(len(item.transaction.octets) for item in self._under_way if item.transaction is not None)
        self._fresh = True
        try:
            self._client._oauth_log_in_again()
        finally:
            self._sock = self._client.sock
        self._connected()
        self._emit()

    def _over(self, kind: type[SendInterrupted] | type[SendCancelled], reason: str) -> Any:
        """Close the connection and return the exception that says what became of each message."""
        if self._connection():
            with contextlib.suppress(OSError):
                self._client.close()
        if self._client._oauth_sending is self:
            self._client._oauth_sending = None
        self._messages = None
        return self._ledger(kind, reason)

    def _ledger(self, kind: type[SendInterrupted] | type[SendCancelled], reason: str) -> Any:
        in_doubt: dict[int, Unfinished] = {}
        unsent: dict[int, Unfinished] = {}
        again = {item.index for item in self._again}
        for item in self._under_way:
            if item.index not in again and item.decided() and not (item.login_ended and self._login_ended):
                self._note(item.result())
                continue
            reached = item.end is not None and item.end <= self._outbox.reached and not self._after_goodbye(item)
            (in_doubt if reached and item.index not in again else unsent)[item.index] = Unfinished(
                item.index, item.message
            )
        for item in self._again:
            unsent[item.index] = Unfinished(item.index, item.message)
        if self._pulled and not (self._under_way and self._under_way[-1].index == self._count):
            unsent[self._count] = Unfinished(self._count, self._pulled[0])
        return kind(reason, tuple(self._accepted), tuple(in_doubt.values()), tuple(unsent.values()))

    def _after_goodbye(self, item: Item) -> bool:
        """Tell whether the server, before it came to a message, has said that it takes no more.

        It reads commands in order, so one that it has not answered then it has not read: unless it goes on, against
        what it has said.
        """
        if item.gone and item.failure() is not None:
            return True
        if self._goes_on or (self._closing is None and not self._login_ended):
            return False
        return not item.touched or item.gone
