"""What the page on ``oauthmail send`` shows of it, made by running it: ``python -m tests.cli.send_docs``.

The screen is of a run that is interrupted, and of a second one. A test compares it with what is in ``docs``.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from oauthmail.sandbox import Sandbox

from .rig import set_up

SCREEN = Path(__file__).parent.parent.parent / "docs" / "send.txt"

_COMMAND = "oauthmail send user-1@sandbox.test --csv people.csv --subject 'Hello {name}' --text-file letter.txt"
_MESSAGES = 300


def on_a_terminal(arguments: list[str], home: Path, folder: Path, interrupt: Callable[[], object] | None = None) -> str:
    """Run a command in *folder* on a terminal of 100 columns, and return what is to be read there at the end."""
    master, slave = pty.openpty()
    environment = {**os.environ, "HOME": str(folder), "OAUTHMAIL_HOME": str(home), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", *arguments],
        stdout=slave,
        stderr=slave,
        cwd=folder,
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        os.close(slave)
        if interrupt is not None:
            interrupt()
            process.send_signal(signal.SIGINT)
        shown = b""
        try:
            while piece := os.read(master, 4096):
                shown += piece
        except OSError:
            # Linux's end of file, once nobody has the other side open.
            pass
    os.close(master)
    # What was drawn over is not there any more.
    return "".join(re.sub(r".*\r(?=.)", "", line).rstrip() + "\n" for line in shown.decode().split("\r\n")[:-1])


def screen() -> str:
    """Return what two runs print, the first of which is interrupted."""
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        home, user = folder / ".config" / "oauthmail", sandbox.new_user()
        home.parent.mkdir(mode=0o700)
        set_up(home, sandbox, user)
        people = [f"person-{number}@example.org" for number in range(_MESSAGES - 1)] + ["nobody@refused.test"]
        (folder / "people.csv").write_text("to,name\n" + "".join(f"{each},{each[:6]}\n" for each in people))
        (folder / "letter.txt").write_text("Dear {name}\n")
        command = ["oauthmail", "send", user, "--csv", "people.csv"]
        command += ["--subject", "Hello {name}", "--text-file", "letter.txt"]
        first = on_a_terminal(command, home, folder, lambda: sandbox.mailboxes.wait(people[_MESSAGES // 3], timeout=60))
        second = on_a_terminal(command, home, folder)
    return f"$ {_COMMAND}\n{first}$ {_COMMAND}\n{second}"


def normalised(text: str) -> str:
    """Return a screen without what differs from one run, or machine, to the next."""
    # Whether the signal comes between a message and its answer is chance.
    text = re.sub(r"stopping as soon as .*\n|\[[#.]+\] .* left .*\n", "", text)
    text = re.sub(r"<\w+@", "<ID@", text)
    text = re.sub(r"-\w{16}\.jsonl", "-DIGEST.jsonl", text)
    return re.sub(r"\b\d+\b", "N", text)


if __name__ == "__main__":
    SCREEN.write_text(screen(), "utf-8")
