"""A TCP proxy that makes the way to a server longer: ``python -m tests.bench.delay PORT MILLISECONDS``.

Half of the round trip is added in each direction. What arrives is stamped and queued at once, whatever is still under
way, and leaves when its time has come: pipelined octets are late, not throttled. A loop of one thread does both halves
of every connection; it never waits for a peer, and the queues have no bound.
"""

from __future__ import annotations

import argparse
import collections
import select
import socket
import threading
import time

from .children import serve

BLOCK = 1 << 18


class Way:
    """One direction of one connection: received from *source*, sent to *target* when its time has come.

    Attributes:
        open: whether more may arrive.
        done: whether all that arrived has been sent, its end too.
        spoke: whether something was sent since this was last set to False.
    """

    def __init__(self, source: socket.socket, target: socket.socket, delay: float) -> None:
        self.source, self.target = source, target
        self.open, self.done = True, False
        self.spoke = False
        self._delay = delay
        # An empty chunk is the end.
        self._queue: collections.deque[tuple[float, memoryview]] = collections.deque()

    def receive(self) -> None:
        """Take what has arrived and stamp it with the time when it may go on."""
        try:
            chunk = self.source.recv(BLOCK)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self.open = bool(chunk)
        self._queue.append((time.perf_counter() + self._delay, memoryview(chunk)))

    def next(self) -> float | None:
        """Return when the oldest chunk may go; None for an empty queue."""
        return self._queue[0][0] if self._queue else None

    def send(self, now: float) -> None:
        """Send what is due, as far as the target takes it."""
        while self._queue and self._queue[0][0] <= now:
            due, chunk = self._queue[0]
            try:
                if not chunk:
                    self.target.shutdown(socket.SHUT_WR)
                    self.done = True
                    self._queue.clear()
                    return
                sent = self.target.send(chunk)
            except BlockingIOError:
                return
            except OSError:
                # Nobody reads any more; whoever writes is told by the end of the other direction.
                self.open, self.done = False, True
                self._queue.clear()
                return
            if sent < len(chunk):
                self._queue[0] = due, chunk[sent:]
                return
            self._queue.popleft()
            self.spoke = True


class Proxy:
    """Passes every connection to *port* on, *delay* seconds later in each direction.

    Attributes:
        port: where it listens on 127.0.0.1.
        turns: how often a client sent something after it had been sent something.
    """

    def __init__(self, port: int, delay: float) -> None:
        self.turns = 0
        self._upstream, self._delay = port, delay
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._ways: list[Way] = []

    def run(self) -> None:
        """Serve for ever."""
        while True:
            self._step()

    def _step(self) -> None:
        readers = [way.source for way in self._ways if way.open]
        now = time.perf_counter()
        waiting = [(way, due) for way in self._ways if (due := way.next()) is not None]
        # What is due and still here waits for room at its target.
        full = [way.target for way, due in waiting if due <= now]
        later = [due - now for _, due in waiting if due > now]
        # select() knows microseconds, where poll() and epoll_wait() know milliseconds.
        ready, _, _ = select.select([self._listener, *readers], full, [], min(later, default=None))
        if self._listener in ready:
            self._accept()
        arrived = set(ready)
        for forth, back in zip(self._ways[::2], self._ways[1::2], strict=True):
            for way in (forth, back):
                if way.source in arrived:
                    way.receive()
            if forth.source in arrived and forth.open and back.spoke:
                self.turns += 1
                back.spoke = False
            for way in (forth, back):
                way.send(time.perf_counter())
        if any(way.done for way in self._ways):
            self._forget()

    def counted(self) -> dict[str, int]:
        """Return the turns since the last time."""
        turns, self.turns = self.turns, 0
        return {"turns": turns}

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._upstream))
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setblocking(False)
        self._ways += [Way(client, server, self._delay), Way(server, client, self._delay)]

    def _forget(self) -> None:
        """Close the connections that have ended in both directions."""
        pairs = list(zip(self._ways[::2], self._ways[1::2], strict=True))
        self._ways = []
        for pair in pairs:
            if all(way.done for way in pair):
                for way in pair:
                    way.source.close()
            else:
                self._ways += pair


def main() -> None:
    """Run a proxy until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("milliseconds", type=float)
    arguments = parser.parse_args()
    proxy = Proxy(arguments.port, arguments.milliseconds / 2000)
    threading.Thread(target=proxy.run, daemon=True).start()
    serve(proxy.port, lambda _: proxy.counted())


if __name__ == "__main__":
    main()
