"""What the two command lines share: secrets that need not be on them, and errors in a sentence."""

from __future__ import annotations

import optparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from ... import CredentialsError, FlowError, OAuthMailError

__all__ = ["add_secret", "require", "run", "secrets"]

# The name that the package's own commands have for it.
_CLIENT_SECRET = "OAUTHMAIL_CLIENT_SECRET"  # noqa: S105  # the variable's name

_LARGEST = 1 << 16


def add_secret(parser: optparse.OptionParser, name: str, meaning: str, default: str | None = None) -> None:
    """Add an option that takes a secret, and one that takes the name of a file with it.

    On a command line every user of the machine can read it, and the shell keeps it in its history. The scripts knew no
    other way, and what calls them goes on working; the file is for what is written from now on.
    """
    parser.add_option(f"--{name}", default=default, help=f"{meaning}; seen by every user of this machine")
    parser.add_option(
        f"--{name}_file", metavar="FILE", help=f"the same, from a file that holds nothing else{_also(name)}"
    )


def _also(name: str) -> str:
    return f"; otherwise the environment variable {_CLIENT_SECRET}" if name == "client_secret" else ""


def secrets(options: optparse.Values, *names: str) -> None:
    """Fill the options in from the files that were named, and from the environment.

    Raises:
        CredentialsError: a file holds something else.
        OSError: it cannot be read.
    """
    for name in names:
        path = getattr(options, f"{name}_file")
        if path is not None:
            setattr(options, name, _line_in(path))
        elif name == "client_secret" and options.client_secret is None:
            options.client_secret = os.environ.get(_CLIENT_SECRET) or None


def _line_in(path: str) -> str:
    with Path(path).open("rb") as file:
        content = file.read(_LARGEST)
    lines = content.decode("utf-8", "replace").split()
    if len(lines) != 1:
        del content, lines
        raise CredentialsError(f"{path} must hold the secret and nothing else")
    return lines[0]


def require(options: optparse.Values, *names: str) -> None:
    """Exit unless all of these options were given."""
    # Empty is something else: "--client_secret=" is a client that has none.
    missing = [name for name in names if getattr(options, name) is None]
    if missing:
        print(f"Missing options: {' '.join(missing)}", file=sys.stderr)  # noqa: T201  # a command line prints
        # As the scripts did with -1.
        sys.exit(255)


def run(command: Callable[[], int]) -> int:
    """Return the command's exit status; what goes wrong out there is said in a sentence."""
    import imaplib

    try:
        return command()
    except KeyboardInterrupt:
        return 130
    except (OAuthMailError, OSError, imaplib.IMAP4.error) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  # a command line prints
        if isinstance(error, FlowError):
            return 77 if error.authorize_again else 75 if error.temporary else 1
        return 1
