"""The screens of the page on the command line are what the commands print."""

from __future__ import annotations

import pytest

from oauthmail.cli import COMMANDS
from oauthmail.sandbox import Sandbox

from .screens import MAKERS, SCREENS, normalised, screen

PAGE = (SCREENS.parent / "commandline.rst").read_text("utf-8")


@pytest.mark.parametrize("name", MAKERS)
def test_a_screen_is_what_the_command_prints(name: str, oauth_sandbox: Sandbox) -> None:
    shown = (SCREENS / f"{name}.txt").read_text("utf-8")
    assert normalised(screen(name, oauth_sandbox)) == normalised(shown)


@pytest.mark.parametrize("name", MAKERS)
def test_every_screen_is_on_the_page(name: str) -> None:
    assert f"literalinclude:: screens/{name}.txt" in PAGE


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_place_on_the_page(command: str) -> None:
    assert f"\n{command}\n{'-' * len(command)}\n" in PAGE
