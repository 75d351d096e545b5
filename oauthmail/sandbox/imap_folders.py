"""IMAP's commands on mailboxes: those that need a login and no more (RFC 3501 section 6.3)."""

from __future__ import annotations

import re
from collections.abc import Collection

from .imap_session import Command, Session
from .imap_syntax import SYSTEM_FLAGS, BadError, Parser, flag_list, string
from .imap_view import View
from .mailbox import MailboxError

__all__ = ["FOLDER_COMMANDS"]

_WORD = re.compile(rb"[A-Za-z]+")

# RFC 6154's marks, by which programs find where to put what they send.
_SPECIAL_USE = {"Sent": "\\Sent", "Trash": "\\Trash"}


def _select(session: Session, parser: Parser) -> str:
    return _open(session, parser, read_only=False)


def _examine(session: Session, parser: Parser) -> str:
    return _open(session, parser, read_only=True)


def _open(session: Session, parser: Parser, *, read_only: bool) -> str:
    parser.space()
    name = parser.mailbox()
    parser.end()
    # Whether this works or not, the mailbox selected before is not any more (section 6.3.1).
    session.view = None
    with session.mailboxes.lock:
        folder = session.mailboxes.folder(session.user, name)
        view = View(session.mailboxes, folder, read_only=read_only)
        uid_next = folder.uid_next
    flags = set(SYSTEM_FLAGS).union(*(message.flags for message in view.messages))
    session.untagged(b"FLAGS " + flag_list(flags))
    permanent = flag_list(()) if read_only else flag_list({*flags, "\\*"})
    session.untagged(b"OK [PERMANENTFLAGS %b] Flags that can be changed" % permanent)
    session.untagged(b"%d EXISTS" % len(view.messages))
    session.untagged(b"%d RECENT" % len(view.recent))
    for number, message in enumerate(view.messages, 1):
        if "\\Seen" not in message.flags:
            session.untagged(b"OK [UNSEEN %d] First unseen message" % number)
            break
    session.untagged(b"OK [UIDVALIDITY %d] Unique identifiers are valid" % folder.uid_validity)
    session.untagged(b"OK [UIDNEXT %d] Next unique identifier" % uid_next)
    session.view = view
    return "OK [READ-ONLY] Examine completed" if read_only else "OK [READ-WRITE] Select completed"


def _create(session: Session, parser: Parser) -> str:
    session.mailboxes.create(session.user, _one_mailbox(parser))
    return "OK Create completed"


def _delete(session: Session, parser: Parser) -> str:
    session.mailboxes.delete(session.user, _one_mailbox(parser))
    return "OK Delete completed"


def _subscribe(session: Session, parser: Parser) -> str:
    session.mailboxes.subscribe(session.user, _one_mailbox(parser))
    return "OK Subscribe completed"


def _unsubscribe(session: Session, parser: Parser) -> str:
    session.mailboxes.unsubscribe(session.user, _one_mailbox(parser))
    return "OK Unsubscribe completed"


def _one_mailbox(parser: Parser) -> str:
    parser.space()
    name = parser.mailbox()
    parser.end()
    return name


def _rename(session: Session, parser: Parser) -> str:
    parser.space()
    old = parser.mailbox()
    session.mailboxes.rename(session.user, old, _one_mailbox(parser))
    return "OK Rename completed"


def _list(session: Session, parser: Parser) -> str:
    pattern = _pattern(parser)
    if not pattern:
        # An empty pattern asks for the delimiter (section 6.3.8).
        session.untagged(b'LIST (\\Noselect) "/" ""')
    names = session.mailboxes.names(session.user)
    for name in names:
        if _matches(pattern, name):
            marks = ["\\HasChildren" if _has_children(names, name) else "\\HasNoChildren"]
            marks += [_SPECIAL_USE[name]] if name in _SPECIAL_USE else []
            session.untagged(b'LIST (%b) "/" %b' % (" ".join(marks).encode(), string(name.encode())))
    return "OK List completed"


def _lsub(session: Session, parser: Parser) -> str:
    pattern = _pattern(parser)
    for name in session.mailboxes.subscribed(session.user):
        if _matches(pattern, name):
            session.untagged(b'LSUB () "/" ' + string(name.encode()))
    return "OK Lsub completed"


def _pattern(parser: Parser) -> str:
    parser.space()
    reference = parser.mailbox()
    parser.space()
    pattern = parser.pattern()
    parser.end()
    return reference + pattern if pattern else ""


def _has_children(names: Collection[str], name: str) -> bool:
    return any(other.startswith(name + "/") for other in names)


def _matches(pattern: str, name: str) -> bool:
    """Match LIST's wildcards: ``*`` any text, ``%`` any text without the delimiter.

    Every position that the pattern can have reached in *name* is carried along: a regular expression would take
    exponential time over ``*a*a*a*a``.
    """
    if pattern[:5].upper() == "INBOX" and pattern[5:6] in ("", "/"):
        pattern = "INBOX" + pattern[5:]
    reached = {0}
    for character in pattern:
        if character == "*":
            reached = set(range(min(reached), len(name) + 1))
        elif character == "%":
            ends = ((start, name.find("/", start)) for start in reached)
            reached = {at for start, end in ends for at in range(start, (len(name) if end < 0 else end) + 1)}
        else:
            reached = {at + 1 for at in reached if name[at : at + 1] == character}
        if not reached:
            return False
    return len(name) in reached


def _status(session: Session, parser: Parser) -> str:
    parser.space()
    name = parser.mailbox()
    parser.expect(b" (")
    wanted = [parser.word(_WORD, "a status item")]
    while not parser.next(b")"):
        parser.space()
        wanted.append(parser.word(_WORD, "a status item"))
    parser.end()
    with session.mailboxes.lock:
        folder = session.mailboxes.folder(session.user, name)
        values = {
            "MESSAGES": len(folder.messages),
            "RECENT": sum(message.fresh for message in folder.messages),
            "UIDNEXT": folder.uid_next,
            "UIDVALIDITY": folder.uid_validity,
            "UNSEEN": sum("\\Seen" not in message.flags for message in folder.messages),
        }
    try:
        told = " ".join(f"{item} {values[item]}" for item in wanted)
    except KeyError as error:
        raise BadError(f"{error.args[0]} is no status item") from None
    session.untagged(b"STATUS %b (%b)" % (string(name.encode()), told.encode()))
    return "OK Status completed"


def _append(session: Session, parser: Parser) -> str:
    parser.space()
    name = parser.mailbox()
    parser.space()
    flags = []
    if parser.peek(b"("):
        flags = parser.flags()
        parser.space()
    when = None
    if parser.peek(b'"'):
        when = parser.date_time()
        parser.space()
    octets = parser.string()
    parser.end()
    try:
        with session.mailboxes.lock:
            folder = session.mailboxes.folder(session.user, name)
            uid = session.mailboxes.deliver(session.user, octets, name, flags, when)
    except MailboxError as error:
        # Section 6.3.11: a client that is told so may create the mailbox.
        raise MailboxError("TRYCREATE" if error.code == "NONEXISTENT" else error.code, str(error)) from None
    return f"OK [APPENDUID {folder.uid_validity} {uid}] Append completed"


def _namespace(session: Session, parser: Parser) -> str:
    parser.end()
    session.untagged(b'NAMESPACE (("" "/")) NIL NIL')
    return "OK Namespace completed"


def _enable(session: Session, parser: Parser) -> str:
    parser.space()
    parser.atom()
    while parser.next(b" "):
        parser.atom()
    parser.end()
    # Extensions that the server does not have are passed over (RFC 5161 section 3.1), which is all of them.
    session.untagged(b"ENABLED")
    return "OK Enable completed"


#: By name; the mailbox selected before stays selected unless the command says otherwise.
FOLDER_COMMANDS: dict[str, Command] = {
    "APPEND": _append,
    "CREATE": _create,
    "DELETE": _delete,
    "ENABLE": _enable,
    "EXAMINE": _examine,
    "LIST": _list,
    "LSUB": _lsub,
    "NAMESPACE": _namespace,
    "RENAME": _rename,
    "SELECT": _select,
    "STATUS": _status,
    "SUBSCRIBE": _subscribe,
    "UNSUBSCRIBE": _unsubscribe,
}
