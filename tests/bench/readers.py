"""Who reads in the benchmarks: oauthmail, its peers as their documentation shows them, and a socket used by hand.

Each keeps one connection without TLS, reads the first messages of a mailbox, and returns how many octets they had.
"""

from __future__ import annotations

import imaplib
import poplib
import socket
from typing import Any, Protocol

import oauthmail

from .logins import encoded, response
from .mailbox import USER
from .senders import NotThereError

HOST = "127.0.0.1"


class Reader(Protocol):
    """One who reads."""

    def read(self, count: int) -> int:
        """Read the first *count* messages and return their octets; 0 where nobody can tell."""

    def close(self) -> None:
        """Close the connection."""


# --- IMAP -------------------------------------------------------------------------------------------------------------


class Ours:
    """`oauthmail.IMAP4.fetch_messages`."""

    def __init__(self, port: int, token: str) -> None:
        if not hasattr(oauthmail.IMAP4, "fetch_messages"):
            raise NotThereError("IMAP4.fetch_messages")
        self.client: Any = oauthmail.IMAP4(HOST, port)
        self.client.authenticate_oauth(USER, token, allow_insecure=True)
        self.client.select(readonly=True)

    def read(self, count: int) -> int:
        return sum(len(message.octets) for message in self.client.fetch_messages(f"1:{count}"))

    def close(self) -> None:
        self.client.logout()


class Parent:
    """`imaplib`, one message after the other, as every example shows it."""

    def __init__(self, port: int, token: str) -> None:
        self.client = imaplib.IMAP4(HOST, port)
        self.client.authenticate("XOAUTH2", lambda _: response(token, USER).encode("ascii"))
        self.client.select(readonly=True)

    def read(self, count: int) -> int:
        octets = 0
        for number in range(1, count + 1):
            _, data = self.client.fetch(str(number), "(BODY.PEEK[])")
            octets += _literals(data)
        return octets

    def close(self) -> None:
        self.client.logout()


class ParentAtOnce(Parent):
    """`imaplib`, all messages with one command, which keeps all of them in memory."""

    def read(self, count: int) -> int:
        _, data = self.client.fetch(f"1:{count}", "(BODY.PEEK[])")
        return _literals(data)


def _literals(data: list[Any]) -> int:
    return sum(len(item[1]) for item in data if isinstance(item, tuple))


class Imapclient:
    """`imapclient`, all messages with one command."""

    def __init__(self, port: int, token: str) -> None:
        from imapclient import IMAPClient

        # It fetches by unique identifiers otherwise, which it would have to search for first; they are the same here.
        self.client: Any = IMAPClient(HOST, port, ssl=False, use_uid=False)
        self.client.oauth2_login(USER, token)
        self.client.select_folder("INBOX", readonly=True)

    def read(self, count: int) -> int:
        found = self.client.fetch(range(1, count + 1), ["BODY.PEEK[]"])
        return sum(len(items[b"BODY[]"]) for items in found.values())

    def close(self) -> None:
        self.client.logout()


class ImapTools:
    """`imap_tools`, one message after the other; it parses each, as there is no other way."""

    bulk: bool = False

    def __init__(self, port: int, token: str) -> None:
        from imap_tools import MailBoxUnencrypted

        self.mailbox = MailBoxUnencrypted(HOST, port)
        self.mailbox.xoauth2(USER, token)

    def read(self, count: int) -> int:
        found = sum(1 for _ in self.mailbox.fetch(limit=count, mark_seen=False, bulk=self.bulk))
        if found != count:
            raise SystemExit(f"imap_tools: {found} messages instead of {count}")
        # It keeps the parsed message only.
        return 0

    def close(self) -> None:
        self.mailbox.logout()


class ImapToolsBulk(ImapTools):
    """`imap_tools`, all messages with one command."""

    bulk = True


class Floor:
    """A socket used by hand: one command, and blocks that are received until the end of the answer has come."""

    def __init__(self, port: int, token: str) -> None:
        self.sock = socket.create_connection((HOST, port), timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.recv(4096)
        self._say(b"AUTHENTICATE XOAUTH2 " + encoded(token, USER).encode("ascii"))
        self._say(b"EXAMINE INBOX")

    def _say(self, command: bytes) -> int:
        self.sock.sendall(b"a " + command + b"\r\n")
        octets, end = 0, b""
        while b"\r\na OK" not in end and not end.startswith(b"a OK"):
            received = self.sock.recv(1 << 18)
            if not received:
                raise SystemExit("the server hung up")
            octets += len(received)
            end = (end + received[-2000:])[-2000:]
        return octets

    def read(self, count: int) -> int:
        self._say(b"FETCH 1:%d (BODY.PEEK[])" % count)
        # It does not look at what it has received.
        return 0

    def close(self) -> None:
        self.sock.close()


# --- POP3 -------------------------------------------------------------------------------------------------------------


class PopOurs:
    """`oauthmail.POP3.retrieve`."""

    def __init__(self, port: int, token: str) -> None:
        if not hasattr(oauthmail.POP3, "retrieve"):
            raise NotThereError("POP3.retrieve")
        self.client: Any = oauthmail.POP3(HOST, port)
        self.client.authenticate_oauth(USER, token, allow_insecure=True)

    def read(self, count: int) -> int:
        return sum(len(message.octets) for message in self.client.retrieve(range(1, count + 1)))

    def close(self) -> None:
        self.client.quit()


class PopParent:
    """`poplib`, one message after the other; there is no other way."""

    def __init__(self, port: int, token: str) -> None:
        self.client = poplib.POP3(HOST, port)
        # Not in typeshed; no other method sends what is no command of its own.
        command: Any = getattr(self.client, "_shortcmd")  # noqa: B009
        command("AUTH XOAUTH2")
        command(encoded(token, USER))

    def read(self, count: int) -> int:
        octets = 0
        for number in range(1, count + 1):
            _, lines, _ = self.client.retr(number)
            octets += sum(map(len, lines)) + 2 * len(lines)
        return octets

    def close(self) -> None:
        self.client.quit()


class PopFloor:
    """A socket used by hand: all commands at once, and blocks that are received until the last answer has come."""

    def __init__(self, port: int, token: str) -> None:
        self.sock = socket.create_connection((HOST, port), timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.recv(4096)
        self.sock.sendall(b"AUTH XOAUTH2\r\n")
        self.sock.recv(4096)
        self.sock.sendall(encoded(token, USER).encode("ascii") + b"\r\n")
        self.sock.recv(4096)

    def read(self, count: int) -> int:
        self.sock.sendall(b"".join(b"RETR %d\r\n" % number for number in range(1, count + 1)))
        answers, end = 0, b""
        while answers < count:
            received = self.sock.recv(1 << 18)
            if not received:
                raise SystemExit("the server hung up")
            answers += (end + received).count(b"\r\n.\r\n")
            end = received[-4:]
        return 0

    def close(self) -> None:
        self.sock.close()
