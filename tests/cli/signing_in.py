"""What signing in takes: a provider in a TOML file, and a program that stands for the browser."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from oauthmail import Provider

PATIENCE = 30.0

_BROWSER = """\
    #!{python}
    import ssl, sys, urllib.error, urllib.request
    try:
        urllib.request.urlopen(
            sys.argv[1] + "&sandbox_consent={consent}", context=ssl.create_default_context(cafile={ca_file!r})
        ).close()
    except urllib.error.HTTPError:
        pass
"""


def toml_of(provider: Provider, folder: Path, **changes: Any) -> str:
    """Write a provider into a file and return its path; a change to None leaves a value out."""
    definition = {**provider.definition(), **changes}
    path = folder / f"{provider.id}.toml"
    path.write_text("".join(f"{name} = {_toml(value)}\n" for name, value in definition.items() if value is not None))
    return str(path)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    return "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


def browser(folder: Path, ca_file: Path, *, consent: str = "allow") -> str:
    """Write a browser with somebody in front who clicks at once, and return what BROWSER has to be."""
    path = folder / "browser"
    path.write_text(
        textwrap.dedent(_BROWSER).format(python=sys.executable, consent=consent, ca_file=str(ca_file)), "utf-8"
    )
    path.chmod(0o755)
    return f"{path} %s"


class Terminal:
    """A command on a terminal, with somebody who types.

    Args:
        arguments: of the command.
        home: the folder of the store.
        environment: added to this process's.

    Attributes:
        shown: all that was on the terminal.
    """

    def __init__(self, *arguments: str, home: Path, **environment: str) -> None:
        self.shown = ""
        self._seen = 0
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            # Taken for the controlling terminal by the child, so that what opens /dev/tty finds it.
            [sys.executable, "-c", _CONTROLLED, "-W", "error", "-m", "oauthmail", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "OAUTHMAIL_HOME": str(home), "TERM": "dumb", "PYTHONIOENCODING": "utf-8", **environment},
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def expect(self, text: str) -> str:
        """Wait until *text* is shown, and return it with all that came before it and was not returned yet."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown[self._seen :]:
            if not self._read(deadline):
                pytest.fail(f"{text!r} was not shown, but {self.shown!r}")
        start, self._seen = self._seen, self.shown.index(text, self._seen) + len(text)
        return self.shown[start : self._seen]

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._master, f"{text}\n".encode())

    def end(self) -> int:
        """Wait for the end and return the exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self._process.wait(PATIENCE)

    def _read(self, deadline: float) -> bool:
        if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        try:
            octets = os.read(self._master, 4096)
        except OSError:
            # Linux's end of file, once nobody has the other side open.
            return False
        self.shown += octets.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(octets)


_CONTROLLED = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
