"""``oauthmail run``: a program that logs in with a password, with OAuth and no change."""

from __future__ import annotations

import argparse
import builtins
import importlib.machinery
import io
import os
import pkgutil
import runpy
import sys
from types import CodeType, ModuleType, TracebackType

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Runs a Python script, or with -m a module, unchanged. Where it logs in to a mailbox that
is set up (oauthmail authorize), with smtplib, imaplib or poplib or a library that uses
them, the login is done with OAuth: the password is ignored and never sent. All else is
as without oauthmail. Options of oauthmail come before the script; what follows is the
script's. The exit status is the script's."""
EXAMPLES = """\
  oauthmail run report.py --daily
  oauthmail run -m mypackage.fetcher
  oauthmail run -v --only me@example.com report.py
"""

#: What lies between the interpreter and the program.
_BETWEEN = (__name__, "runpy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    # The program's options are looked at before it is clear whose they are: none may be taken for one of these.
    parser.allow_abbrev = False
    parser.usage = "oauthmail run [OPTION ...] SCRIPT [ARG ...]\n       oauthmail run [OPTION ...] -m MODULE [ARG ...]"
    parser.add_argument(
        "--only", action="append", metavar="ADDRESS", help="log in with OAuth to this mailbox alone; can be repeated"
    )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="HOST",
        help="trust this server with tokens, beside those of the mailbox's provider; can be repeated",
    )
    parser.add_argument(
        "--allow-insecure",
        action="store_true",
        help="let tokens go to servers that cannot be verified, or without TLS, readable by everybody on the way",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="tell on standard error what becomes of each login"
    )
    parser.add_argument(
        "-m",
        dest="module",
        nargs=argparse.REMAINDER,
        metavar="MODULE",
        help="run the module or package of this name, as python -m does, and pass on what follows",
    )
    parser.add_argument(
        "script",
        nargs=argparse.REMAINDER,
        metavar="SCRIPT",
        help="the script, a folder or a zip file, and what to pass on to it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from ..installed import install

    # A "--" within the words of a module ends the first of the two.
    words = [*(arguments.module or ()), *arguments.script]
    if arguments.module is None and words[:1] == ["--"]:
        del words[0]
    if not words:
        arguments.usage_error("name a script, or a module with -m")
    logins = _Logins(arguments.verbose)
    program = _Module(words) if arguments.module is not None else _program(words, arguments)
    # For good: the program's threads may outlive its main part.
    install(only=arguments.only, hosts=arguments.host, allow_insecure=arguments.allow_insecure, report=logins.tell)
    try:
        program()
    except SystemExit as end:
        if end.code not in (None, 0):
            logins.explain()
        raise
    except BaseException as error:
        _show(error)
        logins.explain()
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


class _Logins:
    """What became of the program's logins."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._kept: list[str] = []

    def tell(self, text: str) -> None:
        if self._verbose:
            print(f"oauthmail: {text}", file=sys.stderr, flush=True)
        else:
            self._kept.append(text)

    def explain(self) -> None:
        """After a failure, say what was not said before."""
        for text in self._kept:
            print(f"oauthmail: {text}", file=sys.stderr)


def _show(error: BaseException) -> None:
    """Print what Python prints of an exception that nobody catches, from the program's first line on."""
    found: TracebackType | None = error.__traceback__
    while found is not None and found.tb_frame.f_globals.get("__name__") in _BETWEEN:
        found = found.tb_next
    # The program may have put its own in place.
    sys.excepthook(type(error), error.with_traceback(found), found)


# --- programs -----------------------------------------------------------------------------------------------------


class _Module:
    """``python -m MODULE``."""

    def __init__(self, words: list[str]) -> None:
        self._words = words

    def __call__(self) -> None:
        _main()
        _first_on_path(os.getcwd())  # noqa: PTH109  # sys.path is of texts
        sys.argv[:] = ["-m", *self._words[1:]]
        # What `python -m` calls itself; it sets the name of the program to the module's file.
        runpy._run_module_as_main(self._words[0])  # type: ignore[attr-defined]  # not in typeshed


class _Folder:
    """``python FOLDER`` and ``python FILE.zip``, which have a ``__main__.py`` in them."""

    def __init__(self, words: list[str]) -> None:
        self._words = words

    def __call__(self) -> None:
        _main()
        path = os.path.abspath(self._words[0])  # noqa: PTH100
        if not _first_on_path(path):
            # First all the same: without it there is nothing to run.
            sys.path.insert(0, path)
        sys.argv[:] = self._words
        runpy._run_module_as_main("__main__", False)  # type: ignore[attr-defined]  # not in typeshed


class _Script:
    """``python SCRIPT``."""

    def __init__(self, words: list[str], content: bytes) -> None:
        self._words = words
        self._content = content

    def __call__(self) -> None:
        path = os.path.abspath(self._words[0])  # noqa: PTH100  # as Python's own: links stay
        main = _main()
        main.__file__ = path
        code: CodeType | None = pkgutil.read_code(io.BytesIO(self._content))
        kind = importlib.machinery.SourcelessFileLoader if code else importlib.machinery.SourceFileLoader
        main.__loader__ = kind("__main__", path)
        _first_on_path(os.path.dirname(os.path.realpath(path)))  # noqa: PTH120
        sys.argv[:] = self._words
        # Without the "from __future__" of this module.
        code = code or compile(self._content, path, "exec", dont_inherit=True)
        exec(code, vars(main))  # noqa: S102  # running it is the purpose


def _program(words: list[str], arguments: argparse.Namespace) -> _Folder | _Script:
    path = words[0]
    # As runpy finds out.
    if pkgutil.get_importer(path) is not None:
        return _Folder(words)
    try:
        with io.open_code(os.path.abspath(path)) as file:  # noqa: PTH100
            return _Script(words, file.read())
    except OSError as error:
        arguments.usage_error(f"{path}: {error.strerror}")
        raise


def _main() -> ModuleType:
    """Put an empty module in place of ``__main__``, for good, and return it."""
    main = ModuleType("__main__")
    vars(main)["__builtins__"] = builtins
    # Python's own has these from the start, until some version.
    for name, value in (("__annotations__", {}), ("__cached__", None)):
        if name in vars(sys.modules["__main__"]):
            vars(main)[name] = value
    sys.modules["__main__"] = main
    return main


def _first_on_path(folder: str) -> bool:
    """Have modules looked for in *folder*, in place of where this program is, and return whether that could be."""
    if sys.flags.isolated or getattr(sys.flags, "safe_path", False):
        # Python was told to look in no such place.
        return False
    sys.path[0] = folder
    return True
