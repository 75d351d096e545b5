"""``oauthmail completion`` and ``man``, judged by the shells and by man's own tools, and the parser they come from."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oauthmail import Application, FileStore
from oauthmail.cli import COMMANDS, build_parser
from oauthmail.cli._shells import SCRIPTS
from oauthmail.cli._tree import Command, tree, walk
from oauthmail.records import Record

from .rig import oauthmail

SHELLS = ("bash", "zsh", "fish")
ADDRESS = "somebody@example.com"

#: What is typed before the tabulator, and what the shell makes of it.
TYPED = [
    pytest.param("oauthmail authori", "oauthmail authorize ", id="command"),
    pytest.param("oauthmail token some", f"oauthmail token {ADDRESS} ", id="address"),
    pytest.param("oauthmail token somebody@ex", f"oauthmail token {ADDRESS} ", id="behind the @"),
    pytest.param(f"oauthmail authorize {ADDRESS} --client-cr", "--client-credentials ", id="option"),
    pytest.param("oauthmail authorize --provider goo", "--provider google ", id="provider"),
    pytest.param("oauthmail authorize --protocol im", "--protocol imap ", id="choice"),
    pytest.param("oauthmail string oauthb", "oauthmail string oauthbearer ", id="command below a command"),
    pytest.param("oauthmail string xoauth --requ", "--requestor-id ", id="option of that"),
    pytest.param("oauthmail completion fi", "oauthmail completion fish ", id="value in its place"),
    pytest.param("oauthmail import tok", "oauthmail import token.json ", id="file"),
    pytest.param("oauthmail run script.b", "oauthmail run script.bash", id="a script"),
]


def program(name: str) -> str:
    """Return a program's path, or skip the test; bash is everywhere."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture(scope="module")
def commands() -> Command:
    return tree(build_parser())


@pytest.fixture
def folder(tmp_path: Path, home: Path, commands: Command) -> Path:
    """A folder with the scripts, a file to complete, a program to ask, and a mailbox that is set up."""
    for shell in SHELLS:
        (tmp_path / f"script.{shell}").write_text(SCRIPTS[shell](commands), "utf-8")
    (tmp_path / "token.json").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "oauthmail").write_text(f'#!/bin/sh\nexec {sys.executable} -m oauthmail "$@"\n')
    (tmp_path / "bin" / "oauthmail").chmod(0o755)
    store = FileStore(home)
    with store.lock(ADDRESS):
        store.save(Record(ADDRESS, "google", "device", Application("client")))
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "HOME": str(folder),
        "OAUTHMAIL_HOME": str(folder / "home"),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "PS1": "$ ",
    }


def completed(command: list[str], load: str, typed: str, expected: str, folder: Path) -> str:
    """Return what a shell on a terminal shows once somebody has typed something and a tabulator."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, cwd=folder, env=environment(folder)
    )
    os.close(slave)
    shown = ""
    deadline = time.monotonic() + 20
    try:
        # In two pieces, so that the terminal's echo is not taken for the answer.
        os.write(master, f"{load}; echo rea''dy\n".encode())
        for text, mark in (("", "ready\n"), (f"{typed}\t", expected)):
            os.write(master, text.encode())
            shown = ""
            while mark not in seen(shown) and time.monotonic() < deadline:
                if select.select([master], [], [], 0.5)[0]:
                    shown += os.read(master, 4096).decode()
    finally:
        process.kill()
        process.wait()
        os.close(master)
    return seen(shown)


def seen(shown: str) -> str:
    """Return what stands on a terminal: shells go back and write over what is there."""
    lines, place = [""], 0
    for character in re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", shown):
        if character in "\r\b":
            place = 0 if character == "\r" else max(0, place - 1)
        elif character == "\n":
            lines.append("")
            place = 0
        elif character.isprintable():
            lines[-1] = lines[-1][:place] + character + lines[-1][place + 1 :]
            place += 1
    return "\n".join(lines)


# --- shells -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_what_the_command_prints_and_the_shell_can_read(shell: str, folder: Path) -> None:
    path = program(shell)
    run = oauthmail("completion", shell, home=folder / "home")
    assert run.stdout == (folder / f"script.{shell}").read_text("utf-8")
    checked = subprocess.run([path, "-n", f"script.{shell}"], cwd=folder, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize(("typed", "expected"), TYPED)
def test_bash_completes(folder: Path, typed: str, expected: str) -> None:
    command = [program("bash"), "--norc", "--noprofile", "-i"]
    assert expected in completed(command, ". ./script.bash", typed, expected, folder)


@pytest.mark.parametrize(("typed", "expected"), TYPED)
def test_zsh_completes(folder: Path, typed: str, expected: str) -> None:
    load = "autoload -Uz compinit; compinit -u -D; . ./script.zsh"
    assert expected in completed([program("zsh"), "-f", "-i"], load, typed, expected, folder)


@pytest.mark.parametrize(("typed", "expected"), TYPED)
def test_fish_completes(folder: Path, typed: str, expected: str) -> None:
    run = subprocess.run(
        [program("fish"), "--no-config", "-c", f"source script.fish; complete -C '{typed}'"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    # It prints each candidate with what it is.
    candidates = [line.partition("\t")[0] for line in run.stdout.splitlines()]
    assert candidates == [expected.split()[-1]], run.stderr


def test_an_unknown_shell_is_a_usage_error(home: Path) -> None:
    assert oauthmail("completion", "csh", home=home).returncode == 2


# --- the manual page ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("man") / "oauthmail.1"
    path.write_text(oauthmail("man", home=path.parent / "home").stdout, "ascii")
    return path


@pytest.mark.parametrize(
    "command", [["groff", "-ww", "-man", "-Tutf8", "-z"], ["mandoc", "-T", "lint", "-W", "error"]], ids=lambda c: c[0]
)
def test_mans_own_tools_find_nothing_to_complain_of(manual: Path, command: list[str]) -> None:
    run = subprocess.run(
        [program(command[0]), *command[1:], str(manual)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_what_is_to_be_typed_is_shown_to_the_letter(manual: Path, commands: Command) -> None:
    # As on a screen that knows more than ASCII, where roff makes typographical signs of what it can.
    command = [program("groff"), "-man", "-Tutf8", "-P-c", "-rLL=200n", str(manual)]
    shown = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=30, check=True).stdout
    lines = [line.strip() for found in commands.commands for line in found.examples.splitlines()]
    assert [line for line in lines if line not in shown] == []


def test_the_manual_has_every_command_and_option(manual: Path, commands: Command) -> None:
    text = manual.read_text("ascii")
    wanted = [f"oauthmail {' '.join(found.words)}" for found in walk(commands) if found.words]
    wanted += [
        flag for found in walk(commands) for argument in found.arguments for flag in argument.flags if found.words
    ]
    # A hyphen that is to be typed has a name of its own.
    missing = [item for item in wanted if item.replace("-", "\\-") not in text]
    assert set(missing) <= {"-h", "--help"}


# --- the parser ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(name: str, home: Path, commands: Command) -> None:
    (found,) = (command for command in commands.commands if command.words == (name,))
    run = oauthmail(name, "--help", home=home)
    assert (run.returncode, run.stderr, "exit status:" in run.stdout) == (0, "", True)
    assert f"  oauthmail {name}" in found.examples


def test_every_argument_says_what_it_is_for(commands: Command) -> None:
    silent = [
        (command.words, argument.flags or argument.value)
        for command in walk(commands)
        for argument in command.arguments
        if not argument.help
    ]
    assert silent == []


def test_no_option_takes_a_secret(commands: Command) -> None:
    """Arguments are on view to everybody on the machine; a secret comes in a file, the environment or by asking."""
    secret = ("secret", "token", "password", "refresh", "assertion")
    taking = [
        flag
        for command in walk(commands)
        for argument in command.arguments
        for flag in argument.flags
        if argument.value and any(word in flag for word in secret) and not flag.endswith(("-file", "-secrets", "-key"))
    ]
    assert taking == []


def test_every_example_can_be_parsed(commands: Command) -> None:
    import shlex

    refused = []
    for command in commands.commands:
        for line in command.examples.replace("\\\n", " ").splitlines():
            # What a shell would make of it: each command of a pipeline by itself.
            for part in line.replace("&&", ";").replace("|", ";").split(";"):
                words = shlex.split(part.partition("$(")[0].split(" > ")[0].split(" < ")[0].strip())
                if words[:1] != ["oauthmail"] or words[1] == "sendmail":
                    continue
                try:
                    build_parser(words[1:2]).parse_args(words[1:])
                except SystemExit:
                    refused.append(line)
    assert refused == []


def test_the_version_is_printed(home: Path) -> None:
    from importlib.metadata import version

    assert oauthmail("--version", home=home).stdout == f"oauthmail {version('oauthmail')}\n"


def test_a_command_that_is_none_is_a_usage_error(home: Path) -> None:
    run = oauthmail("autorise", home=home)
    assert (run.returncode, "invalid choice: 'autorise'" in run.stderr) == (2, True)
