"""Hands one message over on a client's connection, in as few round trips as the server's extensions allow.

::

    C: MAIL FROM:<…>                        all at once with PIPELINING (RFC 2920)
    C: RCPT TO:<…>
    C: DATA
    S: 250, 250, 354
    C: the message, and its end
    S: 250

    C: MAIL FROM:<…>                        with CHUNKING, too (RFC 3030)
    C: RCPT TO:<…>
    C: BDAT 1234 LAST and the message
    S: 250, 250, 250
"""

from __future__ import annotations

import contextlib
import smtplib
import sys

from ._replies import replies_of
from ._transaction import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

__all__ = ["Transaction", "gathered", "hand_over", "reset"]

# Commands whose replies may be outstanding while more is sent. So many replies fit the buffers between client and
# server, so that neither waits for the other to read.
_UNANSWERED = 250

# Chunks of a large message that are under way before the first of their replies is waited for.
_CHUNKS = 2

# Octets from which on a piece is sent without being copied.
_LARGE = 1 << 16


def hand_over(client: Any, transaction: Transaction) -> dict[str, tuple[int, bytes]]:
    """Send a message and return the recipients that were refused, with the replies.

    Whatever happens, the client is left as smtplib leaves it: ready for another message, or closed.

    Args:
        client: an `oauthmail.SMTP` that has said EHLO.
        transaction: nothing of it was sent.

    Raises:
        smtplib.SMTPException: as `smtplib.SMTP.sendmail`.
    """
    try:
        _converse(client, transaction)
        lost = None
    except (smtplib.SMTPServerDisconnected, smtplib.SMTPResponseException) as error:
        _hear_out(client, transaction, error)
        client.close()
        lost = error
    except BaseException:
        # Replies that nobody waits for any more would be taken for those to other commands.
        client.close()
        raise
    if transaction.accepted:
        return transaction.refused
    refusal = transaction.failure()
    if refusal is None and transaction.closing:
        # smtplib takes a 421 to a single recipient for the end of it all.
        refusal = smtplib.SMTPRecipientsRefused(transaction.parted)
    if transaction.closing:
        client.close()
    elif lost is None:
        reset(client)
    if refusal is None and lost is not None:
        raise lost
    # smtplib, which waits for each reply, would have told the refusal and not have met what came after it.
    assert refusal is not None, "neither accepted nor refused"  # noqa: S101  # a defect, not a condition
    raise refusal from lost


def reset(client: Any) -> None:
    """Have the server forget the envelope of a message that it refused; where it does not, close the connection.

    The recipients that it keeps would get the next message.
    """
    with contextlib.suppress(smtplib.SMTPServerDisconnected):
        if client.rset()[0] != 250:
            client.close()


def _converse(client: Any, transaction: Transaction) -> None:
    """Send what there is to send, as long as that makes sense, and read the replies to it."""
    replies = replies_of(client)
    reply = client.getreply if client.debuglevel > 0 else replies.reply
    for pieces, asked, unanswered in _bursts(transaction, _pipelined(client, transaction)):
        transaction.asked += asked
        _write(client, pieces)
        if not _settle(transaction, reply, unanswered):
            break
    hopeful = _settle(transaction, reply, 0)
    if transaction.started is None or transaction.started[0] != 354 or transaction.closing:
        return
    if hopeful:
        text: tuple[bytes, ...] = transaction.quoted()
    elif isinstance(transaction.failure(), smtplib.SMTPRecipientsRefused):
        # RFC 2920 section 3.1: a server that goes on without recipients is told that there is no message.
        text = (b".\r\n",)
    else:
        # It goes on without a sender, with whatever it has in mind; an empty message may be sent to somebody.
        client.close()
        return
    transaction.asked += 1
    _write(client, text)
    _settle(transaction, reply, 0)


def _pipelined(client: Any, transaction: Transaction) -> bool:
    """Tell whether commands may travel together; a message that is too large had better wait for the refusal."""
    features = client.esmtp_features
    limit = features.get("size", "")
    return "pipelining" in features and not (limit.isdigit() and 0 < int(limit) < len(transaction.octets))


def _settle(transaction: Transaction, reply: Callable[[], tuple[int, bytes]], unanswered: int) -> bool:
    """Read until no more than so many replies are outstanding, and tell whether it makes sense to go on."""
    while transaction.asked - transaction.answered > unanswered:
        transaction.take(*reply())
        if transaction.closing and not (transaction.committed and transaction.failure() is None):
            return False
    return transaction.failure() is None


def _bursts(transaction: Transaction, pipelined: bool) -> Iterator[tuple[Iterable[bytes], int, int]]:
    """Return what is sent up to the end of the message, or up to DATA.

    Returns:
        Pieces, the number of replies that they ask for, and how many may be outstanding before the next are sent.
    """
    size = _UNANSWERED if pipelined else 1
    content = transaction.chunks() if transaction.chunked else iter(((b"data\r\n",),))
    commands = transaction.commands
    for start in range(0, len(commands), size):
        group = commands[start : start + size]
        asked = len(group)
        if pipelined and start + size >= len(commands):
            group += next(content)
            asked += 1
        yield group, asked, size if pipelined else 0
    for number, pieces in enumerate(content):
        yield pieces, 1, 0 if not pipelined else _UNANSWERED if number < _CHUNKS else _CHUNKS


def _hear_out(client: Any, transaction: Transaction, lost: Exception) -> None:
    """Read what a server has said before it stopped reading: why it refuses a large message, above all."""
    if isinstance(lost.__cause__, OSError) and not isinstance(lost.__cause__, TimeoutError) and client.sock is not None:
        with contextlib.suppress(OSError):
            while transaction.asked > transaction.answered:
                transaction.take(*replies_of(client).reply())


def gathered(client: Any, pieces: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    """Show pieces to debug output and audit hooks as smtplib does, and return them as they are best sent.

    Small ones come together, as each call costs; large ones as they are, as each copy does.
    """
    small: list[bytes] = []
    for piece in pieces:
        if len(piece) <= _LARGE:
            small.append(piece)
            continue
        _show(client, b"".join(small))
        _show(client, piece)
        # Its beginning goes with what is before it, so that no packet is sent half full.
        view = memoryview(piece)
        yield b"".join([*small, view[:_LARGE]])
        yield view[_LARGE:]
        small.clear()
    octets = b"".join(small)
    if octets:
        _show(client, octets)
        yield octets


def _show(client: Any, octets: bytes) -> None:
    if client.debuglevel > 0:
        client._print_debug("send:", repr(octets))
    sys.audit("smtplib.send", client, octets)


def _write(client: Any, pieces: Iterable[bytes]) -> None:
    try:
        for octets in gathered(client, pieces):
            client.sock.sendall(octets)
    except OSError as error:
        raise smtplib.SMTPServerDisconnected("Server not connected") from error
