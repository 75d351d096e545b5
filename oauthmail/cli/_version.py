"""``oauthmail --version``."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["VersionAction"]


class VersionAction(argparse.Action):
    """Prints the version; looking it up takes longer than most commands, so that nobody else pays for it."""

    def __init__(self, option_strings: list[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, default=argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print and exit."""
        from importlib.metadata import version

        print(f"oauthmail {version('oauthmail')}")
        parser.exit()
