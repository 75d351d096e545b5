"""``oauthmail completion``: what a shell completes."""

from __future__ import annotations

import argparse

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Prints a script that has a shell complete commands, options and their values, files, and the
addresses of the mailboxes that are set up. Put it where the shell looks for such scripts."""
EXAMPLES = """\
  oauthmail completion bash > ~/.local/share/bash-completion/completions/oauthmail
  oauthmail completion zsh > ~/.zfunc/_oauthmail
  oauthmail completion fish > ~/.config/fish/completions/oauthmail.fish
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="for which shell")


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from . import _shells, build_parser
    from ._tree import tree

    print(_shells.SCRIPTS[arguments.shell](tree(build_parser())), end="")
    return 0
