"""Many logins, by the standard library's clients: no error, and nothing is left of them."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oauthmail.sandbox import Sandbox
from oauthmail.sandbox.live.process import eventually

from .standard import MECHANISMS, SCHEMES, TIMEOUT, logged_in

DESCRIPTORS = Path("/dev/fd")
IN_A_ROW, AT_ONCE = 1000, 50

#: A new process's first sandbox: milliseconds for the import, and from there until all of its servers listen.
START = """
import time
before = time.perf_counter()
from oauthmail.sandbox import Sandbox
imported = time.perf_counter()
with Sandbox():
    listening = time.perf_counter()
print(round((imported - before) * 1000), round((listening - imported) * 1000))
"""


class Census:
    """The threads and descriptors of this process, when it was made and later."""

    def __init__(self) -> None:
        self.threads = set(threading.enumerate())
        self.descriptors = len(list(DESCRIPTORS.iterdir()))

    def is_as_before(self) -> bool:
        """Tell whether nothing came to stay; a server notices only some time later that a client has left."""
        return eventually(
            lambda: set(threading.enumerate()) <= self.threads and len(list(DESCRIPTORS.iterdir())) <= self.descriptors,
            TIMEOUT,
        )


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts descriptors in /dev/fd, which Linux, BSD and macOS have")
def test_a_thousand_logins_in_a_row_and_fifty_at_once_leave_nothing_behind() -> None:
    outside = Census()
    with Sandbox() as sandbox:
        idle = Census()
        user, context = sandbox.new_user(), sandbox.ssl_context()
        token = sandbox.issue_token(user)
        kinds = itertools.cycle(itertools.product(SCHEMES, MECHANISMS))
        for scheme, mechanism in itertools.islice(kinds, IN_A_ROW):
            with logged_in(sandbox, scheme, user, token, mechanism, context=context):
                pass
        assert idle.is_as_before()

        everybody_is_in = threading.Barrier(AT_ONCE, timeout=TIMEOUT)

        def log_in(scheme: str, mechanism: str) -> None:
            with logged_in(sandbox, scheme, user, token, mechanism, context=context):
                everybody_is_in.wait()

        for scheme in SCHEMES:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(log_in, [scheme] * AT_ONCE, itertools.cycle(MECHANISMS)))
        assert idle.is_as_before()
    assert outside.is_as_before()


def test_it_says_how_soon_it_listens(
    capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    ended = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True, timeout=TIMEOUT)
    imported, started = map(int, ended.stdout.split())
    record_property("milliseconds to import", imported)
    record_property("milliseconds from start to listening", started)
    with capsys.disabled():
        sys.stdout.write(f" {started} ms from start to listening, after {imported} ms for the import ")
