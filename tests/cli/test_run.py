"""``oauthmail run``: programs run as Python runs them, and log in with OAuth."""

from __future__ import annotations

import json
import os
import py_compile
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from oauthmail import FileStore
from oauthmail.testing import Mailbox

from .. import legacy
from .rig import oauthmail, set_up

PASSWORD = "the-old-password"

#: A program that tells how it was started.
TELLS = """\
import json, os, pickle, sys, threading

class Here:
    pass

def annotated(x: int):
    pass

import __main__
pickle.loads(pickle.dumps(Here()))
found = dict(
    argv=sys.argv, path=sys.path[0], name=__name__, file=__file__, package=__package__, spec=__spec__ is not None,
    loader=type(__loader__).__name__, main=__main__.Here is Here, names=sorted(globals()),
    annotated=repr(annotated.__annotations__), builtins=type(__builtins__).__name__, cwd=os.getcwd(),
)
print(json.dumps(found))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    return folder


@pytest.fixture
def scripts(folder: Path, home: Path, oauth_mailbox: Mailbox) -> Path:
    """The programs, for a mailbox that is set up."""
    sandbox = oauth_mailbox.sandbox
    ports = {name: getattr(sandbox, name).port for name in ("smtp", "smtps", "imaps", "pop3s")}
    legacy.write(folder, host="localhost", user=oauth_mailbox.user, password=PASSWORD, **ports)
    set_up(home, sandbox, oauth_mailbox.user)
    return folder


def run(
    *arguments: object, home: Path, cwd: Path | None = None, text: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``oauthmail run`` with Python's own warnings as errors; standard output and error as they are."""
    return subprocess.run(
        [sys.executable, "-m", "oauthmail", "run", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        input=text,
        timeout=60,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "OAUTHMAIL_HOME": str(home), **environment},
    )


def python(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python itself in the same way."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


def passwords(mailbox: Mailbox) -> list[str]:
    """Return the lines by which somebody tried a password."""
    return [
        line
        for line in mailbox.received()
        if any(word in line.upper().split()[:2] for word in ("LOGIN", "USER", "PASS", "PLAIN", "CRAM-MD5"))
    ]


# --- programs of old --------------------------------------------------------------------------------------------------


def test_a_report_is_sent(scripts: Path, home: Path, oauth_mailbox: Mailbox) -> None:
    done = run(scripts / "report.py", "Umsatz", "2024", home=home)
    assert (done.returncode, done.stdout) == (0, "Email sent!\n"), done.stderr
    assert [b"Subject: Umsatz 2024" in message for message in oauth_mailbox.messages()] == [True]
    assert (passwords(oauth_mailbox), oauth_mailbox.token in done.stderr, PASSWORD in done.stderr) == ([], False, False)


def test_mail_is_read_over_imap(scripts: Path, home: Path, oauth_mailbox: Mailbox) -> None:
    for subject in (b"one", b"two"):
        oauth_mailbox.sandbox.deliver(oauth_mailbox.user, b"Subject: " + subject + b"\r\n\r\n")
    done = run(scripts / "fetch_imap.py", home=home)
    assert (done.returncode, done.stdout, passwords(oauth_mailbox)) == (0, "one\ntwo\n", []), done.stderr


def test_a_mailbox_is_emptied_over_pop3(scripts: Path, home: Path, oauth_mailbox: Mailbox) -> None:
    for subject in (b"one", b"two"):
        oauth_mailbox.sandbox.deliver(oauth_mailbox.user, b"Subject: " + subject + b"\r\n\r\n")
    done = run(scripts / "fetch_pop.py", home=home)
    assert (done.returncode, oauth_mailbox.messages(), passwords(oauth_mailbox)) == (0, [], []), done.stderr
    assert oauth_mailbox.token not in done.stdout


def test_errors_are_mailed(scripts: Path, home: Path, oauth_mailbox: Mailbox) -> None:
    done = run(scripts / "log_errors.py", home=home)
    assert done.returncode == 0
    assert [b"ZeroDivisionError" in message for message in oauth_mailbox.messages()] == [True]
    assert passwords(oauth_mailbox) == []


def test_a_script_catches_what_it_always_caught(scripts: Path, home: Path, oauth_mailbox: Mailbox) -> None:
    store = FileStore(home)
    Path(store.path(oauth_mailbox.user)).write_text("{", "utf-8")
    done = run(scripts / "report.py", home=home)
    assert (done.returncode, done.stdout.startswith("login failed: 535 "), "is damaged" in done.stdout) == (
        3,
        True,
        True,
    )


def test_a_mailbox_that_is_not_set_up_is_named_after_a_failure(
    scripts: Path, home: Path, tmp_path: Path, oauth_mailbox: Mailbox
) -> None:
    done = run(scripts / "fetch_imap.py", home=tmp_path / "other")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-2:] == [
        f"oauthmail: {oauth_mailbox.user} at localhost: not set up here, so its login was left as it is",
        done.stderr.splitlines()[-1],
    ]
    assert "login failed" in done.stderr.splitlines()[-1]


def test_what_becomes_of_each_login_is_told_when_asked_for(scripts: Path, home: Path, oauth_mailbox: Mailbox) -> None:
    done = run("-v", scripts / "fetch_pop.py", home=home)
    told = f"oauthmail: {oauth_mailbox.user} at localhost: logs in with OAuth; the password is not used"
    assert [line for line in done.stderr.splitlines() if line.startswith("oauthmail")] == [told]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(["--only", "other@example.com"], False, id="another one is meant"),
        pytest.param(["--only", "other@example.com", "--only", "USER"], True, id="two are meant"),
    ],
)
def test_options_reach_the_logins(
    scripts: Path, home: Path, oauth_mailbox: Mailbox, options: list[str], expected: bool
) -> None:
    named = [oauth_mailbox.user if word == "USER" else word for word in options]
    run(*named, scripts / "fetch_imap.py", home=home)
    assert any("XOAUTH2" in line for line in oauth_mailbox.received()) is expected


@pytest.mark.parametrize(
    ("options", "expected"), [([], False), (["--host", "127.0.0.1", "--allow-insecure"], True)], ids=["not", "named"]
)
def test_another_server_has_to_be_named(
    folder: Path, home: Path, oauth_mailbox: Mailbox, options: list[str], expected: bool
) -> None:
    sandbox = oauth_mailbox.sandbox
    set_up(home, sandbox, oauth_mailbox.user)
    ports = {name: getattr(sandbox, name).port for name in ("smtp", "smtps", "imaps", "pop3s")}
    legacy.write(folder, host="127.0.0.1", user=oauth_mailbox.user, password=PASSWORD, **ports)
    sandbox.deliver(oauth_mailbox.user, b"Subject: one\r\n\r\n")
    done = run(*options, folder / "fetch_imap.py", home=home)
    assert (done.returncode == 0, any("XOAUTH2" in line for line in oauth_mailbox.received())) == (expected, expected)
    assert ("no server of the sandbox" in done.stderr) is not expected


# --- as Python runs them ----------------------------------------------------------------------------------------------


def as_script(folder: Path) -> tuple[list[str], Path]:
    (folder / "tells.py").write_text(TELLS, "utf-8")
    return ["programs/tells.py"], folder.parent


def as_absolute_script(folder: Path) -> tuple[list[str], Path]:
    (folder / "tells.py").write_text(TELLS, "utf-8")
    return [str(folder / "tells.py")], folder


def as_script_without_suffix(folder: Path) -> tuple[list[str], Path]:
    (folder / "tells").write_text(f"#!/usr/bin/env python\n{TELLS}", "utf-8")
    return ["tells"], folder


def as_link(folder: Path) -> tuple[list[str], Path]:
    (folder / "tells.py").write_text(TELLS, "utf-8")
    (folder.parent / "link").symlink_to(folder / "tells.py")
    return ["link"], folder.parent


def as_compiled(folder: Path) -> tuple[list[str], Path]:
    (folder / "tells.py").write_text(TELLS, "utf-8")
    py_compile.compile(str(folder / "tells.py"), str(folder / "tells.pyc"))
    return ["tells.pyc"], folder


def as_folder(folder: Path) -> tuple[list[str], Path]:
    (folder / "__main__.py").write_text(TELLS, "utf-8")
    return ["programs"], folder.parent


def as_zip(folder: Path) -> tuple[list[str], Path]:
    with zipfile.ZipFile(folder / "tells.zip", "w") as archive:
        archive.writestr("__main__.py", TELLS)
    return ["tells.zip"], folder


def as_module(folder: Path) -> tuple[list[str], Path]:
    (folder / "tells.py").write_text(TELLS, "utf-8")
    return ["-m", "tells"], folder


def as_package(folder: Path) -> tuple[list[str], Path]:
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").touch()
    (folder / "package" / "__main__.py").write_text(TELLS, "utf-8")
    return ["-m", "package"], folder


@pytest.mark.parametrize(
    "words", [[], ["--only", "--h", "-m", "--", "-h", "--help", "--x=1", "", "ä b", "-v"]], ids=len
)
@pytest.mark.parametrize(
    "kind",
    [
        as_script,
        as_absolute_script,
        as_script_without_suffix,
        as_link,
        as_compiled,
        as_folder,
        as_zip,
        as_module,
        as_package,
    ],
)
def test_a_program_finds_everything_as_under_python(
    folder: Path, home: Path, kind: Callable[[Path], tuple[list[str], Path]], words: list[str]
) -> None:
    named, cwd = kind(folder)
    alone = python(*named, *words, cwd=cwd)
    under = run(*named, *words, home=home, cwd=cwd)
    assert (under.returncode, under.stderr) == (0, "")
    assert json.loads(under.stdout) == json.loads(alone.stdout)


@pytest.mark.parametrize(
    ("program", "status", "error"),
    [
        pytest.param("", 0, "", id="end"),
        pytest.param("import sys; sys.exit()", 0, "", id="exit"),
        pytest.param("import sys; sys.exit(77)", 77, "", id="status"),
        pytest.param("import sys; sys.exit('no good')", 1, "no good\n", id="text"),
        pytest.param("import os; os._exit(9)", 9, "", id="at once"),
        pytest.param("import atexit; atexit.register(print, 'last'); raise SystemExit(5)", 5, "", id="atexit"),
    ],
)
def test_the_exit_status_is_the_programs(folder: Path, home: Path, program: str, status: int, error: str) -> None:
    (folder / "program.py").write_text(program, "utf-8")
    done = run(folder / "program.py", home=home)
    assert (done.returncode, done.stderr) == (status, error)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("def f():\n    raise OSError(2, 'no such thing')\nf()\n", id="OSError"),
        pytest.param("from oauthmail import StoreError\nraise StoreError('mine')\n", id="ours"),
        pytest.param("try:\n    1 / 0\nexcept Exception as e:\n    raise ValueError('x') from e\n", id="cause"),
        pytest.param("import nothing_of_the_kind\n", id="import"),
        pytest.param("print('x'\n", id="syntax"),
        pytest.param("import sys\nsys.excepthook = lambda *found: print('mine', file=sys.stderr)\n1 / 0\n", id="hook"),
    ],
)
def test_a_traceback_is_the_programs_alone(folder: Path, home: Path, program: str) -> None:
    (folder / "program.py").write_text(program, "utf-8")
    alone = python(folder / "program.py")
    under = run(folder / "program.py", home=home)
    assert (under.returncode, under.stdout, under.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_threads_that_outlive_the_program_are_waited_for_and_log_in(
    folder: Path, home: Path, oauth_mailbox: Mailbox
) -> None:
    sandbox = oauth_mailbox.sandbox
    set_up(home, sandbox, oauth_mailbox.user)
    (folder / "program.py").write_text(
        textwrap.dedent(
            f"""\
            import imaplib, threading

            def late():
                threading.main_thread().join()
                imap = imaplib.IMAP4_SSL("localhost", {sandbox.imaps.port})
                print(imap.login({oauth_mailbox.user!r}, "x")[0])
                imap.logout()

            threading.Thread(target=late).start()
            """
        ),
        "utf-8",
    )
    done = run(folder / "program.py", home=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "OK\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_ctrl_c_ends_the_program_with_its_own_traceback(folder: Path, home: Path) -> None:
    (folder / "program.py").write_text(
        "import sys, time\nprint('ready', flush=True)\nwhile True:\n    time.sleep(60)\n", "utf-8"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "oauthmail", "run", str(folder / "program.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OAUTHMAIL_HOME": str(home)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert (process.returncode, error.splitlines()[-1], "oauthmail" in error) == (130, "KeyboardInterrupt", False)


def test_standard_input_is_the_programs(folder: Path, home: Path) -> None:
    (folder / "program.py").write_text("print(input()[::-1])", "utf-8")
    assert run(folder / "program.py", home=home, text="abc\n").stdout == "cba\n"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 has made it")
def test_a_path_that_is_to_be_safe_stays_so(folder: Path, home: Path) -> None:
    (folder / "tells.py").write_text(TELLS, "utf-8")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "oauthmail", "run", str(folder / "tells.py")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "OAUTHMAIL_HOME": str(home)},
    )
    assert str(folder) not in json.loads(done.stdout)["path"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 has made it")
def test_a_folder_is_run_even_so(folder: Path, home: Path) -> None:
    (folder / "__main__.py").write_text("import sys; print(sys.path[0])", "utf-8")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "oauthmail", "run", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "OAUTHMAIL_HOME": str(home)},
    )
    assert done.stdout == f"{folder}\n"


def test_two_dashes_end_the_options(folder: Path, home: Path) -> None:
    (folder / "-v").write_text("import sys; print(sys.argv)", "utf-8")
    done = run("--", "-v", "--", "x", home=home, cwd=folder)
    assert (done.stdout, done.stderr) == ("['-v', '--', 'x']\n", "")


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "name a script", id="nothing"),
        pytest.param(["-m"], "name a script", id="no module"),
        pytest.param(["nothing.py"], "nothing.py: No such file or directory", id="no script"),
        pytest.param(["--nonsense", "x.py"], "unrecognized arguments", id="unknown option"),
    ],
)
def test_what_cannot_be_run_is_a_usage_error(home: Path, words: list[str], said: str) -> None:
    done = oauthmail("run", *words, home=home)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_module_that_is_missing_is_told_as_by_python(home: Path, folder: Path) -> None:
    alone = python("-m", "nothing_of_the_kind", cwd=folder)
    under = run("-m", "nothing_of_the_kind", home=home, cwd=folder)
    assert (under.returncode, under.stderr) == (alone.returncode, alone.stderr)


def test_the_help_shows_both_forms_and_an_example(home: Path) -> None:
    done = oauthmail("run", "--help", home=home)
    assert (done.returncode, "-m MODULE [ARG ...]" in done.stdout, "  oauthmail run report.py" in done.stdout) == (
        0,
        True,
        True,
    )
