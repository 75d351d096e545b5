"""Mailboxes without an end, whose messages are all the same: ``python -m tests.bench.producer imap|pop MESSAGES``.

They need no login. Nothing is stored, so that a client may read any number of messages, as fast as it can.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

from .children import serve
from .letters import received

MESSAGE = received(1, 1000)
#: Octets that are sent at once.
BLOCK = 1 << 16

Answers = Callable[[bytes], Iterator[bytes]]


def imap(count: int) -> Answers:
    """Return what answers a line with responses, for a folder of *count* messages."""
    item = b"BODY[] {%d}\r\n%b)\r\n" % (len(MESSAGE), MESSAGE)

    def fetch(first: int, last: int, uid: bool) -> Iterator[bytes]:
        for number in range(first, min(last, count) + 1):
            yield b"* %d FETCH (%b%b" % (number, b"UID %d " % number if uid else b"", item)

    def answer(line: bytes) -> Iterator[bytes]:
        tag, _, command = line.partition(b" ")
        command = command.upper()
        if asked := re.match(rb"(?:UID )?FETCH ([\d:,]+)", command):
            for numbers in asked[1].split(b","):
                first, _, last = numbers.partition(b":")
                yield from fetch(int(first), int(last or first), b"UID" in command)
        elif command.startswith((b"SELECT", b"EXAMINE")):
            yield b"* %d EXISTS\r\n* OK [UIDVALIDITY 1]\r\n* OK [UIDNEXT %d]\r\n" % (count, count + 1)
        elif command.startswith(b"CAPABILITY"):
            yield b"* CAPABILITY IMAP4rev1\r\n"
        elif command.startswith(b"LOGOUT"):
            yield b"* BYE\r\n"
        yield tag + b" OK done\r\n"

    return answer


def pop(count: int) -> Answers:
    """Return what answers a line with a reply, for a mailbox of *count* messages."""
    message = b"+OK\r\n" + MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\n"

    def answer(line: bytes) -> Iterator[bytes]:
        command, _, argument = line.upper().partition(b" ")
        if command == b"RETR":
            yield message if int(argument) <= count else b"-ERR no such message\r\n"
        elif command == b"CAPA":
            yield b"+OK\r\nPIPELINING\r\nTOP\r\nUIDL\r\n.\r\n"
        elif command == b"STAT":
            yield b"+OK %d %d\r\n" % (count, count * len(MESSAGE))
        else:
            yield b"+OK\r\n"

    return answer


def converse(connection: socket.socket, greeting: bytes, answer: Answers) -> None:
    """Answer every line of a client until it hangs up."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, contextlib.suppress(OSError):
        connection.sendall(greeting)
        buffer = b""
        while octets := connection.recv(1 << 16):
            *lines, buffer = (buffer + octets).split(b"\r\n")
            block: list[bytes] = []
            size = 0
            for response in (response for line in lines for response in answer(line)):
                block.append(response)
                size += len(response)
                if size > BLOCK:
                    connection.sendall(b"".join(block))
                    block, size = [], 0
            connection.sendall(b"".join(block))


def main() -> None:
    """Run a server until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("protocol", choices=["imap", "pop"])
    parser.add_argument("messages", type=int)
    arguments = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    greeting = b"* PREAUTH ready\r\n" if arguments.protocol == "imap" else b"+OK ready\r\n"
    answer = (imap if arguments.protocol == "imap" else pop)(arguments.messages)

    def run() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=converse, args=(connection, greeting, answer), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    serve(listener.getsockname()[1], lambda _: {})


if __name__ == "__main__":
    main()
