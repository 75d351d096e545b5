"""The command: what it prints, what it writes, and its exit status."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oauthmail.cli import scan

LOGIN = "import smtplib\ns = smtplib.SMTP_SSL('smtp.gmail.com', context=c)\ns.login('me@gmail.com', 'Zq7hunter')\n"
UNSURE = "import smtplib\ns = smtplib.SMTP_SSL(h, context=c)\ns.login(*both)\n"
DRIVER = "import argparse, sys; from oauthmail.cli import scan; p = argparse.ArgumentParser(); scan.add_arguments(p)"


def run(*words: str | Path) -> int:
    """Run the command here and return its exit status."""
    parser = argparse.ArgumentParser()
    scan.add_arguments(parser)
    return scan.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script with one login, whose change is certain, and the password in it."""
    path = tmp_path / "mail.py"
    path.write_text(LOGIN)
    return path


def test_a_finding_is_printed_with_its_place_its_meaning_and_the_change(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(script) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{script}:3: password-login: Gmail refuses the account's password here; "
        "only app passwords, with 2-Step Verification, are left",
        "    change: s.authenticate_oauth('me@gmail.com', oauthmail.Account('me@gmail.com')) with oauthmail's class; "
        "set the mailbox up once:  oauthmail authorize me@gmail.com",
        f"{script}:3: secret-in-source: a password in the source: "
        "whoever can read this file, or its history, can use it",
        "    by hand: take it out, and make it invalid where it was issued: it stays in backups and version control",
        f"--- {script}",
        f"+++ {script}",
        "@@ -1,3 +1,4 @@",
        " import smtplib",
        "-s = smtplib.SMTP_SSL('smtp.gmail.com', context=c)",
        "-s.login('me@gmail.com', '[redacted]')",
        "+import oauthmail",
        "+s = oauthmail.SMTP_SSL('smtp.gmail.com', context=c)",
        "+s.authenticate_oauth('me@gmail.com', oauthmail.Account('me@gmail.com'))",
        "",
        "1 file read, 2 findings, 1 of them with a change that is certain; --apply writes it",
    ]


def test_nothing_is_written_unless_that_is_asked_for(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(script)
    assert (script.read_text(), list(script.parent.iterdir())) == (LOGIN, [script])


def test_apply_writes_the_change_and_says_where_the_old_file_is(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--apply", script)
    assert "s.authenticate_oauth('me@gmail.com', oauthmail.Account('me@gmail.com'))" in script.read_text()
    assert f"{script} is changed; as it was, it is kept as {script}.orig\n" in capsys.readouterr().out
    assert Path(f"{script}.orig").read_text() == LOGIN


@pytest.mark.parametrize(
    ("text", "words", "status"),
    [
        pytest.param("print('hello')\n", [], 0, id="nothing found"),
        pytest.param(UNSURE, [], 1, id="something found"),
        pytest.param(UNSURE, ["--apply"], 1, id="something is left"),
        pytest.param(LOGIN.replace("'Zq7hunter'", "p"), ["--apply"], 0, id="everything is changed"),
        pytest.param(LOGIN, ["--apply"], 1, id="a secret is left to be made invalid"),
        pytest.param("\0\xff", [], 0, id="no Python"),
    ],
)
def test_the_exit_status_tells_whether_there_is_anything_left_to_do(
    text: str, words: list[str], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mail.py").write_text(text, encoding="latin-1")
    assert run(*words, tmp_path) == status


def test_a_second_run_finds_nothing_to_change(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--apply", script)
    assert run("--apply", script) == 0
    assert not Path(f"{script}.orig.1").exists()


def test_what_is_not_there_is_an_error_and_the_rest_is_scanned(
    script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "nothing.py", script) == 2
    printed = capsys.readouterr()
    assert printed.err == f"oauthmail scan: {tmp_path / 'nothing.py'}: No such file or directory\n"
    assert f"{script}:3: password-login" in printed.out


def test_no_arguments_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run()


def facts(*words: str | Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    run("--json", *words)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_json_has_everything_for_other_programs(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(script, capsys=capsys)
    assert (found["files"], found["errors"]) == (1, [])
    login, secret = found["findings"]
    assert [login[name] for name in ("path", "line", "column", "rule", "certain")] == [
        str(script),
        3,
        3,
        "password-login",
        True,
    ]
    assert [secret[name] for name in ("line", "column", "rule", "certain", "diff")] == [
        3,
        25,
        "secret-in-source",
        False,
        "",
    ]
    assert found["changes"] == [{"path": str(script), "diff": login["diff"], "backup": None}]


def test_json_names_the_backup(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [change["backup"] for change in facts("--apply", script, capsys=capsys)["changes"]] == [f"{script}.orig"]


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_no_output_shows_a_secret(words: list[str], script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(*words, script)
    assert "hunter" not in "".join(capsys.readouterr())


def test_names_and_texts_that_the_terminal_cannot_show_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "f\xfcr\x1b[2J\udcff.py"
    path.write_text("import smtplib\ns = smtplib.SMTP_SSL('h\xe9')\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{DRIVER}; sys.exit(scan.run(p.parse_args()))", str(tmp_path)],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert rb"/f\xfcr\x1b[2J\udcff.py:2: unverified-tls" in done.stdout
    assert rb"+s = smtplib.SMTP_SSL('h\xe9', context=ssl.create_default_context())" in done.stdout


def test_the_command_imports_nothing_but_the_standard_library() -> None:
    names = "{name.partition('.')[0] for name in sys.modules} - {'__main__'} - sys.stdlib_module_names"
    program = f"{DRIVER}; before = set(sys.modules); scan.run(p.parse_args()); print({names})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, __file__],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert done.stdout.splitlines()[-1] == "{'oauthmail'}", done.stderr


def test_a_thousand_files_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filler = "".join(f"def work_{number}(value):\n    return value + {number}\n\n\n" for number in range(75))
    for number in range(1000):
        (tmp_path / f"module_{number}.py").write_text(("" if number % 50 else LOGIN) + filler)
    found = facts(tmp_path, capsys=capsys)
    assert (found["files"], len(found["changes"])) == (1000, 20)
