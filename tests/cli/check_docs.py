"""What the page on ``oauthmail check`` shows of it, made by running it: ``python -m tests.cli.check_docs``.

The screen is of a mailbox at a sandbox that behaves like Exchange Online with SMTP logins switched off; the list of
problems is the package's own. A test compares both with what is in ``docs``.
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

from oauthmail.doctor import PROBLEMS
from oauthmail.sandbox import Sandbox

from .rig import oauthmail, set_up

DOCS = Path(__file__).parent.parent.parent / "docs"
SCREEN = DOCS / "check.txt"
LIST = DOCS / "check-problems.inc"


def screen() -> str:
    """Return what a check prints."""
    with Sandbox("microsoft") as sandbox, tempfile.TemporaryDirectory() as folder:
        user, home = sandbox.new_user(), Path(folder) / ".config" / "oauthmail"
        home.parent.mkdir(mode=0o700)
        set_up(home, sandbox, user, authorized_at=time.time() - 3 * 86400)
        sandbox.fault("smtp_disabled", times=None)
        return oauthmail("check", user, home=home, HOME=folder).stdout


def normalised(text: str) -> str:
    """Return a screen without what differs from one run, or machine, to the next."""
    for pattern, instead in (
        (r" +\d+ ms", " MS"),
        (r"port \d+", "port PORT"),
        (r"localhost: .*", "localhost: ADDRESSES"),
        (r"\d+ (days|minutes)", "LONG"),
        (r"trustme v[\d.]+", "AUTHORITY"),
        (r"TLSv1\.\d", "TLS"),
    ):
        text = re.sub(pattern, instead, text)
    # A number with more digits may have moved a line's end.
    return re.sub(r"\n {20,}", " ", text)


def problems() -> str:
    """Return the table of problems as a definition list."""
    rows = []
    for name, problem in PROBLEMS.items():
        rows.append(f"``{name}``\n   {_words(problem.cause)}.")
        if problem.cure:
            rows[-1] += f"\n\n   *Cure:* {_words(problem.cure)}."
    return "\n\n".join(rows) + "\n"


def _words(text: str) -> str:
    """Return a text of the table with its gaps in capitals, and with what is to be typed as such."""
    text = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: found[1].upper(), text)
    return re.sub(r"oauthmail authorize ADDRESS|oauthmail check --report|--\w+", lambda found: f"``{found[0]}``", text)


if __name__ == "__main__":
    SCREEN.write_text(screen(), "utf-8")
    LIST.write_text(problems(), "utf-8")
