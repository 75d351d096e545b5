"""Run the interpreter's own tests of smtplib, imaplib or poplib with our classes in place of the parents.

``python -m tests.run_parent_suite imaplib``; `tests.test_parents` does that for each.
"""

from __future__ import annotations

import importlib
import ssl
import sys
import types
import unittest

import test.support

import oauthmail

CLASSES = {"smtplib": ("SMTP", "SMTP_SSL"), "imaplib": ("IMAP4", "IMAP4_SSL"), "poplib": ("POP3", "POP3_SSL")}


class Stand(types.ModuleType):
    """A module with our classes in it; what a test sets or patches goes to the real one."""

    def __init__(self, real: types.ModuleType) -> None:
        super().__init__(real.__name__)
        object.__setattr__(self, "real", real)

    def __getattr__(self, name: str) -> object:
        ours = name in CLASSES[self.__name__]
        return getattr(oauthmail if ours else self.real, name)

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
            setattr(namespace, name, getattr(oauthmail, value.__name__))
            replaced += 1
        elif isinstance(value, type) and value.__module__ == getattr(namespace, "__name__", None):
            replaced += replace(value, parent)
    return replaced


def main(parent: str) -> None:
    # The one difference that every TLS test would meet: our default context verifies the server, and the tests'
    # certificates are signed by nobody. tests/test_hostile_tls.py holds that default.
    vars(ssl)["create_default_context"] = ssl._create_unverified_context
    # No host on the internet is asked, as in a run of regrtest without -u network.
    test.support.use_resources = []
    suite = importlib.import_module(f"test.test_{parent}")
    if not replace(suite, parent):
        sys.exit(f"test.test_{parent} does not refer to {parent}: our classes were not tested")
    unittest.main(module=suite, argv=[f"test_{parent}"], verbosity=1)


if __name__ == "__main__":
    main(sys.argv[1])
