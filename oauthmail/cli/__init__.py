"""The command line: ``oauthmail COMMAND`` or ``python -m oauthmail COMMAND``.

Each command is a module of its own with ``add_arguments(parser)`` and ``run(arguments)``; only the one that is asked
for is imported, as ``oauthmail token`` is run by other programs for every message.
"""

from __future__ import annotations

import sys

# typing's own takes as long to import as `oauthmail token` takes for all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["COMMANDS", "EPILOG", "build_parser", "main"]

#: Every command and what it is for, in the order of the help.
COMMANDS = {
    "authorize": "set a mailbox up: sign in and keep its tokens",
    "token": "print an access token that is good now, for other programs",
    "accounts": "list the mailboxes that are set up",
    "check": "find out why a mailbox does not work",
    "send": "send messages",
    "sendmail": "send a message from standard input, as sendmail does",
    "fetch": "fetch messages",
    "run": "run a script with OAuth where it logs in with a password",
    "scan": "find mail logins in Python sources that stopped working, or soon will",
    "revoke": "have the provider invalidate a mailbox's tokens",
    "remove": "forget a mailbox",
    "import": "take over tokens from another program",
    "export": "print what is stored of a mailbox, secrets included",
    "string": "print the SASL string of a login",
    "completion": "print a completion script for a shell",
    "man": "print the manual page",
    "demo": "show a whole login, from nothing",
    "sandbox": "run servers to try things on",
}

EPILOG = """\
exit status:
  0    done
  1    failed; the reason is on standard error
  2    the arguments cannot be used
  75   failed for now: the same may succeed later (sysexits' EX_TEMPFAIL)
  77   somebody has to sign in again: oauthmail authorize ADDRESS (EX_NOPERM)
  130  ended by Ctrl-C
"""

#: A module may not be called like a keyword.
_MODULES = {"import": "import_"}


def build_parser(commands: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser, with the arguments of *commands*; of all of them, if none is named."""
    import argparse
    import importlib

    from ._version import VersionAction

    parser = argparse.ArgumentParser(
        prog="oauthmail",
        description="Mail with OAuth: sets mailboxes up, hands out tokens, sends, fetches, finds out what is wrong.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=VersionAction, help="print the version and exit")
    added = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in commands or COMMANDS:
        module = importlib.import_module(f".{_MODULES.get(name, name)}", __name__)
        command = added.add_parser(
            name,
            help=COMMANDS[name],
            description=module.DESCRIPTION,
            epilog=f"examples:\n{module.EXAMPLES}\n{EPILOG}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        # A command that finds its arguments at odds says so as the parser does.
        command.set_defaults(run=module.run, usage_error=command.error)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _run(words)
        if sys.stdout is not None:
            # A reader that is gone is noticed here, where it can be dealt with.
            sys.stdout.flush()
        return status
    except ModuleNotFoundError as error:
        return _missing(error, words)
    except KeyboardInterrupt:
        # As a shell reports a program that Ctrl-C ended.
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough; nothing may be written there at exit.
        sys.stdout = None  # what Python itself has where there is no output
        return 1
    except Exception as error:
        return _failed(error)


def _run(words: Sequence[str]) -> int:
    if len(words) == 2 and words[0] == "token" and not words[1].startswith("-"):
        # Other programs run this for every message: argparse alone would take as long as all the rest.
        from .token import show

        return show(words[1])
    # Other commands' arguments need not be known to read this one's.
    arguments = build_parser(words[:1] if words and words[0] in COMMANDS else ()).parse_args(words)
    status: int = arguments.run(arguments)
    return status


def _missing(error: ModuleNotFoundError, words: Sequence[str]) -> int:
    # The message must not hide that something of ours is missing.
    if error.name is None or error.name.startswith("oauthmail"):
        raise error
    extra = {"keyring": "keyring", "jwt": "jwt"}.get(error.name, "sandbox")
    cure = f"install the extra with  python -m pip install 'oauthmail[{extra}]'"
    print(f"{words[0]} needs {error.name}: {cure}", file=sys.stderr)
    return 1


def _failed(error: Exception) -> int:
    """Say what went wrong in a sentence; what is no failure of the outside world is a defect and stays a traceback."""
    from .. import FlowError, OAuthMailError

    if not isinstance(error, OAuthMailError | OSError | EOFError):
        import imaplib
        import poplib

        if not isinstance(error, imaplib.IMAP4.error | poplib.error_proto):
            raise error
    print(f"oauthmail: {_sentence(error)}", file=sys.stderr)
    if isinstance(error, FlowError):
        return 77 if error.authorize_again else 75 if error.temporary else 1
    return 1


def _sentence(error: Exception) -> str:
    # The system's own form begins with a number, which tells nobody anything.
    if type(error).__module__ == "builtins" and isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
