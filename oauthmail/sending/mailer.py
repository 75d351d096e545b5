"""What a system's mailer does beyond sending: other programs hand it a message, and expect it to know the rest."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from email.utils import parseaddr

from .addresses import Address, ascii_domain, check_line, parse, unique, written
from .errors import MessageError
from .letters import Letter, completed
from .raw import RawMessage

__all__ = ["choose", "letter", "until_dot"]

_DOT = re.compile(rb"^\.\r?$", re.MULTILINE)
# Names of this machine for itself, which mean nothing to a provider.
_LOCAL = ("", "localhost", "localhost.localdomain")


def until_dot(octets: bytes) -> bytes:
    """Return what comes before a line with nothing but a dot, or all of it."""
    found = _DOT.search(octets)
    return octets if found is None else octets[: found.start()]


def choose(known: Iterable[str], envelope: str | None, message: RawMessage, named: str | None) -> str | None:
    """Return the mailbox that is to send a message, or None where nothing tells.

    Args:
        known: the mailboxes that are set up.
        envelope: the envelope's sender, if somebody named one.
        message: its header may say who it is from.
        named: the one to fall back on, if somebody named one.

    Returns:
        The first of the sender in the envelope, the one in the header and the one to fall back on that is set up; and
        otherwise the only one that is.
    """
    mailboxes = {address.lower(): address for address in known}
    wanted = [envelope, *(parseaddr(value)[1] for value in message.values("from")), named]
    for address in wanted:
        if address and address.lower() in mailboxes:
            return mailboxes[address.lower()]
    return next(iter(mailboxes.values())) if len(mailboxes) == 1 else None


def letter(
    message: RawMessage,
    mailbox: str,
    *,
    envelope: str | None = None,
    name: str = "",
    recipients: Sequence[str] = (),
    from_header: bool = False,
    root: str | None = None,
) -> Letter:
    """Return a message as it is to be sent.

    Fields that it lacks are added, and addresses of this machine's own users, which have no domain, replaced.

    Args:
        message: as it was handed over.
        mailbox: the one that sends it.
        envelope: the envelope's sender; otherwise the mailbox.
        name: of the sender, for a message that does not say who it is from.
        recipients: whom it is for.
        from_header: it is for those whom its header names, too.
        root: who gets the mail of this machine's own users.

    Raises:
        MessageError: it is for nobody, or for a user of this machine while *root* is None.
    """
    people = [each for text in recipients for each in parse("the recipient", text, unqualified=True)]
    if from_header:
        people += message.recipients(unqualified=True)
    local = _Users(root)
    to = unique(local.replaced(people))
    if not to:
        where = "in its fields To, Cc and Bcc" if from_header else "on the command line, or -t for those in its header"
        raise MessageError(f"the message is for nobody: expected recipients {where}")
    sender = mailbox if envelope is None or (envelope and _is_local(envelope)) else envelope
    identity = f"<{secrets.token_hex(16)}@{ascii_domain(mailbox)}>"
    own = Address(check_line("the name", name), mailbox)
    whole = completed(_from_somebody(local.rewritten(message.without_bcc()), own), own, identity, _now())
    found = whole.values("message-id")[0]
    return Letter(1, "the message", sender, to, identity, found, lambda message_id, date: whole.octets())


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _is_local(address: str) -> bool:
    domain = address.rpartition("@")[2] if "@" in address else ""
    return domain.lower() in _LOCAL


def _from_somebody(message: RawMessage, mailbox: Address) -> RawMessage:
    """Put the mailbox in the place of a local user whom a message says it is from; the name stays."""

    def change(field: bytes) -> bytes:
        name, address = parseaddr(RawMessage((("from", field),), b"").values("from")[0])
        if address and not _is_local(address):
            return field
        return written("From", [Address(name or mailbox.name, mailbox.address)])

    return message.changed(("from",), change)


class _Users:
    """This machine's own users, whose addresses have no domain, such as cron's ``root``.

    Args:
        root: who gets their mail, or None.
    """

    def __init__(self, root: str | None) -> None:
        self._root = root

    def replaced(self, people: Iterable[Address]) -> list[Address]:
        """Return *people* with *root* in the place of local users.

        Raises:
            MessageError: there is one, and no *root*.
        """
        return [self._replaced(each) if _is_local(each.address) else each for each in people]

    def _replaced(self, each: Address) -> Address:
        if self._root is None:
            raise MessageError(
                f"{each.address} is a user of this machine, where no mail is kept: say who gets such mail with --root "
                "ADDRESS or in the environment variable OAUTHMAIL_POSTMASTER"
            )
        return Address(each.name or each.address, self._root)

    def rewritten(self, message: RawMessage) -> RawMessage:
        """Return the message with the same done to its header, where that has to be."""

        def change(field: bytes) -> bytes:
            name = field.partition(b":")[0].decode("ascii")
            try:
                people = RawMessage((("to", field),), b"").addresses("to", unqualified=True)
            except MessageError:
                return field
            if self._root is None or not any(_is_local(each.address) for each in people):
                return field
            return written(name, self.replaced(people))

        return message.changed(("to", "cc"), change)
