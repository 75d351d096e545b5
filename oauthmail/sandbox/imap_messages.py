"""IMAP's commands on the messages of the selected mailbox (RFC 3501 section 6.4, RFC 4315, RFC 6851)."""

from __future__ import annotations

import re
from functools import partial

from .imap_fetch import Item, items, render
from .imap_search import Candidate, search_keys
from .imap_session import Command, Session
from .imap_syntax import Parser, SequenceSet, flag_list, uid_set
from .imap_view import View
from .mailbox import MailboxError, Message

__all__ = ["MESSAGE_COMMANDS", "UID_COMMANDS"]

_STORE = re.compile(rb"[+-]?FLAGS(?:\.SILENT)?", re.IGNORECASE)


def _fetch(session: Session, parser: Parser, *, uid: bool = False) -> str:
    view = session.selected()
    numbers = _numbers(parser)
    parser.space()
    wanted = items(parser)
    parser.end()
    if uid and not any(item.name == "UID" for item in wanted):
        # RFC 3501 section 6.4.8: asked for by identifier, the identifier is always in the answer.
        wanted.insert(0, Item("UID"))
    sees = any(item.sees for item in wanted) and not view.read_only
    tells_flags = any(item.name == "FLAGS" for item in wanted)
    lost = False
    for number, message in view.chosen(numbers, uid=uid):
        asked = wanted
        if message.gone:
            lost = True
            continue
        if sees and "\\Seen" not in message.flags:
            session.mailboxes.store(view.folder, [message], "+", ["\\Seen"])
            asked = wanted if tells_flags else [*wanted, Item("FLAGS")]
        flags = view.flags(message) if asked is not wanted or tells_flags else frozenset[str]()
        session.untagged(b"%d FETCH (%b)" % (number, render(message, flags, asked)))
    # RFC 5530 has a code for it; RFC 2180 section 4.1.2 a NO after the answers that can be given.
    return "NO [EXPUNGEISSUED] Some of the messages are gone" if lost else "OK Fetch completed"


def _store(session: Session, parser: Parser, *, uid: bool = False) -> str:
    view = _writable(session)
    numbers = _numbers(parser)
    parser.space()
    name = parser.word(_STORE, "FLAGS, +FLAGS or -FLAGS")
    parser.space()
    flags = parser.flags(bare=True)
    parser.end()
    chosen = [(number, message) for number, message in view.chosen(numbers, uid=uid) if not message.gone]
    with session.mailboxes.lock:
        mode = name[0] if name[0] in "+-" else ""
        session.mailboxes.store(view.folder, [message for _, message in chosen], mode, flags)
        for number, message in chosen:
            told = flag_list(view.flags(message))
            if not name.endswith(".SILENT"):
                identifier = b"UID %d " % message.uid if uid else b""
                session.untagged(b"%d FETCH (%bFLAGS %b)" % (number, identifier, told))
    return "OK Store completed"


def _search(session: Session, parser: Parser, *, uid: bool = False) -> str:
    view = session.selected()
    parser.space()
    key = search_keys(parser)
    found: list[int] = []
    for number, message in enumerate(view.messages, 1):
        candidate = Candidate(number, message, message.uid in view.recent, view.largest())
        if not message.gone and key(candidate):
            found.append(message.uid if uid else number)
    session.untagged(" ".join(["SEARCH", *(str(number) for number in found)]).encode())
    return "OK Search completed"


def _copy(session: Session, parser: Parser, *, uid: bool = False) -> str:
    view = session.selected()
    chosen, name = _to_transfer(view, parser, uid=uid)
    code = _transfer(session, chosen, name)
    return f"OK {code}Copy completed"


def _move(session: Session, parser: Parser, *, uid: bool = False) -> str:
    view = _writable(session)
    chosen, name = _to_transfer(view, parser, uid=uid)
    with session.mailboxes.lock:
        code = _transfer(session, chosen, name)
        session.mailboxes.expunge(view.folder, chosen)
    if code:
        # RFC 6851 section 4.3: before the EXPUNGE responses, hence not with the tag.
        session.untagged(f"OK {code}Moved".encode())
    return "OK Move completed"


def _to_transfer(view: View, parser: Parser, *, uid: bool) -> tuple[list[Message], str]:
    numbers = _numbers(parser)
    parser.space()
    name = parser.mailbox()
    parser.end()
    chosen = [message for _, message in view.chosen(numbers, uid=uid)]
    if any(message.gone for message in chosen):
        raise MailboxError("EXPUNGEISSUED", "Some of the messages are gone")
    return chosen, name


def _transfer(session: Session, chosen: list[Message], name: str) -> str:
    """Copy messages and return RFC 4315's response code; nothing for no messages."""
    try:
        validity, uids = session.mailboxes.copy(chosen, session.user, name)
    except MailboxError as error:
        raise MailboxError("TRYCREATE" if error.code == "NONEXISTENT" else error.code, str(error)) from None
    sources = uid_set([message.uid for message in chosen])
    return f"[COPYUID {validity} {sources} {uid_set(uids)}] " if chosen else ""


def _expunge(session: Session, parser: Parser, *, uid: bool = False) -> str:
    view = _writable(session)
    numbers = _numbers(parser) if uid else None
    parser.end()
    messages = view.messages if numbers is None else [message for _, message in view.chosen(numbers, uid=True)]
    _expunge_deleted(session, view, messages)
    return "OK Expunge completed"


def _close(session: Session, parser: Parser) -> str:
    view = session.selected()
    parser.end()
    if not view.read_only:
        _expunge_deleted(session, view, view.folder.messages)
    session.view = None
    return "OK Close completed"


def _expunge_deleted(session: Session, view: View, messages: list[Message]) -> None:
    with session.mailboxes.lock:
        session.mailboxes.expunge(view.folder, [message for message in messages if "\\Deleted" in message.flags])


def _unselect(session: Session, parser: Parser) -> str:
    session.selected()
    parser.end()
    session.view = None
    return "OK Unselect completed"


def _check(session: Session, parser: Parser) -> str:
    session.selected()
    parser.end()
    return "OK Check completed"


def _numbers(parser: Parser) -> SequenceSet:
    parser.space()
    return parser.sequence_set()


def _writable(session: Session) -> View:
    view = session.selected()
    if view.read_only:
        # RFC 3501 has no word for it; RFC 9051's is not for clients of this revision.
        raise MailboxError("CANNOT", "The mailbox was opened for reading only")
    return view


#: By name, with sequence numbers.
MESSAGE_COMMANDS: dict[str, Command] = {
    "CHECK": _check,
    "CLOSE": _close,
    "COPY": _copy,
    "EXPUNGE": _expunge,
    "FETCH": _fetch,
    "MOVE": _move,
    "SEARCH": _search,
    "STORE": _store,
    "UNSELECT": _unselect,
}

#: By the name after ``UID``, with unique identifiers.
UID_COMMANDS: dict[str, Command] = {
    "COPY": partial(_copy, uid=True),
    "EXPUNGE": partial(_expunge, uid=True),
    "FETCH": partial(_fetch, uid=True),
    "MOVE": partial(_move, uid=True),
    "SEARCH": partial(_search, uid=True),
    "STORE": partial(_store, uid=True),
}
