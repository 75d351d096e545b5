"""The command line: ``python -m oauthmail COMMAND``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

__all__ = ["build_parser", "main"]

_EPILOG = """\
exit status:
  0  done
  1  failed; the reason is on standard error
  2  the arguments cannot be used
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    parser = argparse.ArgumentParser(
        prog="python -m oauthmail",
        description="Mail clients that log in with OAuth.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    demo = commands.add_parser(
        "demo",
        help="show a whole login, from nothing",
        description="Starts the sandbox, obtains a token by the authorization code flow with PKCE, sends a\n"
        "message over SMTP, reads it over IMAP and POP3, does the same with OAuth 1.0a, and shows\n"
        "what a refusal says.",
        epilog="examples:\n  python -m oauthmail demo\n  python -m oauthmail demo --servers dovecot\n\n" + _EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_argument(
        "--servers",
        choices=("sandbox", "dovecot"),
        default="sandbox",
        help="what to log in to: the sandbox, or Dovecot and Postfix where they are installed, as root, and "
        "without OAuth 1.0a, which they do not have (default: %(default)s)",
    )
    demo.set_defaults(run="demo")
    sandbox = commands.add_parser(
        "sandbox",
        help="run servers to try things on",
        description="Runs an OAuth authorization server and SMTP, IMAP and POP3 servers on this machine\n"
        "until Ctrl-C. They let anybody in and listen on loopback only.",
        epilog="examples:\n  python -m oauthmail sandbox\n  python -m oauthmail sandbox --like microsoft\n"
        "  python -m oauthmail sandbox --json\n\n" + _EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sandbox.add_argument(
        "--like",
        choices=("generic", "gmail", "microsoft", "yahoo"),
        default="generic",
        help="the provider to behave like (default: %(default)s)",
    )
    sandbox.add_argument("--json", action="store_true", help="print one line of JSON, for other programs")
    sandbox.set_defaults(run="sandbox")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    arguments = build_parser().parse_args(argv)
    try:
        command = importlib.import_module(f".{arguments.run}", __name__)
    except ModuleNotFoundError as error:
        # The message must not hide that something of ours is missing.
        if error.name is None or error.name.startswith("oauthmail"):
            raise
        cure = "install the extra with  python -m pip install 'oauthmail[sandbox]'"
        print(f"{arguments.command} needs {error.name}: {cure}", file=sys.stderr)
        return 1
    try:
        status: int = command.run(arguments)
    except KeyboardInterrupt:
        # As a shell reports a program that Ctrl-C ended.
        return 130
    return status
