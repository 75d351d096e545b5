"""Run the interpreter's own tests of smtplib, imaplib or poplib with our classes in place of the parents.

``python -m tests.run_parent_suite imaplib``; `tests.test_parents` does that for each. A second argument has smtplib's
run with messages handed over in another way.
"""

from __future__ import annotations

import importlib
import re
import ssl
import sys
import types
import unittest
from collections.abc import Sequence
from typing import Any

import test.support

import oauthmail

CLASSES = {"smtplib": ("SMTP", "SMTP_SSL"), "imaplib": ("IMAP4", "IMAP4_SSL"), "poplib": ("POP3", "POP3_SSL")}
#: Ways to hand a message over: the extensions that the tests' server offers for sendmail; None is smtplib's way.
WAYS: dict[str, Sequence[str] | None] = {
    "pipelining": ("pipelining",),
    "chunking": ("chunking",),
    "both": ("pipelining", "chunking"),
    "off": None,
}
#: Every run there is: the parent, perhaps with a way.
RUNS = [*((parent,) for parent in CLASSES), *(("smtplib", way) for way in WAYS)]
OURS: dict[str, type[Any]] = {name: getattr(oauthmail, name) for names in CLASSES.values() for name in names}


class Stand(types.ModuleType):
    """A module with our classes in it; what a test sets or patches goes to the real one."""

    def __init__(self, real: types.ModuleType) -> None:
        super().__init__(real.__name__)
        object.__setattr__(self, "real", real)

    def __getattr__(self, name: str) -> object:
        return OURS[name] if name in CLASSES[self.__name__] else getattr(self.real, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.real, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.real, name)


def replace(namespace: object, parent: str) -> int:
    """Put our classes where a test module or one of its classes refers to the parent's; return how often."""
    replaced = 0
    for name, value in list(vars(namespace).items()):
        if isinstance(value, types.ModuleType) and value.__name__ == parent:
            setattr(namespace, name, Stand(value))
            replaced += 1
        elif isinstance(value, type) and value.__module__ == parent and value.__name__ in CLASSES[parent]:
            setattr(namespace, name, OURS[value.__name__])
            replaced += 1
        elif isinstance(value, type) and value.__module__ == getattr(namespace, "__name__", None):
            replaced += replace(value, parent)
    return replaced


def handing_over(kind: type[Any], extensions: Sequence[str] | None) -> type[Any]:
    """Return a class like *kind* that hands messages over in one of `WAYS`.

    The extensions are there for sendmail alone, as the tests know exactly what their server offers.
    """
    if extensions is None:
        return type(kind.__name__, (kind,), {"pipelining": False})

    def sendmail(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.ehlo_or_helo_if_needed()
        offered = self.esmtp_features
        self.esmtp_features = {**offered, **dict.fromkeys(extensions if self.does_esmtp else (), "")}
        try:
            return kind.sendmail(self, *args, **kwargs)
        finally:
            self.esmtp_features = offered

    return type(kind.__name__, (kind,), {"sendmail": sendmail})


def teach(suite: Any) -> None:
    """Have the tests' server take what comes before it has answered, and BDAT (RFC 3030), as that of one message."""
    channel = suite.smtpd.SMTPChannel
    found_terminator = channel.found_terminator

    def bdat(self: Any, arg: str) -> None:
        size, _, last = arg.partition(" ")
        assert last.upper() == "LAST", arg
        self.chunk = "wanted" if self.rcpttos else "refused"
        # That many octets, and then as if DATA had come to its end.
        self.smtp_state = self.DATA
        self.set_terminator(int(size))

    def found(self: Any) -> None:
        chunk, self.chunk = getattr(self, "chunk", ""), ""
        if chunk == "wanted":
            text: Any = self._emptystring.join(self.received_lines)
            pattern, dots = ("(?m)^[.]", "..") if isinstance(text, str) else (b"(?m)^[.]", b"..")
            stuffed = re.sub(pattern, dots, text)  # type: ignore[arg-type]  # all three are of one kind
            self.received_lines = [stuffed[:-2]]
        elif chunk == "refused":
            self.received_lines, self.smtp_state = [], self.COMMAND
            self.set_terminator(b"\r\n")
            self.push("503 Error: need RCPT command")
            return
        found_terminator(self)

    channel.smtp_BDAT = bdat
    channel.found_terminator = found
    simulated = suite.SimSMTPChannel
    smtp_rcpt = simulated.smtp_RCPT

    def rcpt(self: Any, arg: str) -> None:
        # A test writes down as many replies as smtplib waits for.
        if self.rcpt_response is not None and self.rcpt_count >= len(self.rcpt_response):
            self.push("503 Error: nobody waits for this")
        else:
            smtp_rcpt(self, arg)

    simulated.smtp_RCPT = rcpt


def main(parent: str, way: str = "") -> None:
    # The one difference that every TLS test would meet: our default context verifies the server, and the tests'
    # certificates are signed by nobody. tests/test_hostile_tls.py holds that default.
    vars(ssl)["create_default_context"] = ssl._create_unverified_context
    # No host on the internet is asked, as in a run of regrtest without -u network.
    test.support.use_resources = []
    suite = importlib.import_module(f"test.test_{parent}")
    if way:
        OURS.update((name, handing_over(OURS[name], WAYS[way])) for name in CLASSES[parent])
        teach(suite)
    if not replace(suite, parent):
        sys.exit(f"test.test_{parent} does not refer to {parent}: our classes were not tested")
    try:
        unittest.main(module=suite, argv=[f"test_{parent}"], verbosity=1)
    finally:
        quick = "oauthmail._handover" in sys.modules
        if way and quick == (WAYS[way] is None):
            sys.exit(f"messages were {'' if quick else 'not '}handed over the quick way")


if __name__ == "__main__":
    main(*sys.argv[1:])
