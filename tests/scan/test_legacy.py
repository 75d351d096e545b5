"""python-oauth2 and Google's scripts: what is suggested in their place is there."""

from __future__ import annotations

import importlib
import textwrap

import pytest

from oauthmail.scan import legacy

from .samples import migrated, rules


@pytest.mark.parametrize(
    ("module", "names"),
    [
        pytest.param("oauthmail.compat.google", legacy._GOOGLE, id="oauth2.py"),
        pytest.param("oauthmail.compat.google.xoauth", legacy._XOAUTH, id="xoauth.py"),
        pytest.param("oauthmail.compat.oauth2", legacy._PYTHON_OAUTH2, id="python-oauth2"),
        pytest.param("oauthmail.compat.oauth2.clients.imap", {"IMAP4_SSL"}, id="python-oauth2's IMAP client"),
        pytest.param("oauthmail.compat.oauth2.clients.smtp", {"SMTP"}, id="python-oauth2's SMTP client"),
    ],
)
def test_every_name_that_is_moved_is_where_it_is_moved_to(module: str, names: set[str]) -> None:
    assert [name for name in names if not hasattr(importlib.import_module(module), name)] == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            "import oauth2\noauth2.build_xoauth_string(u, oauth2.Consumer(k, s), None)",
            "import oauthmail.compat.oauth2 as oauth2\noauth2.build_xoauth_string(u, oauth2.Consumer(k, s), None)",
            id="python-oauth2",
        ),
        pytest.param(
            "import oauth2.clients.imap as imaplib, os",
            "import oauthmail.compat.oauth2.clients.imap as imaplib, os",
            id="python-oauth2's client",
        ),
        pytest.param(
            "from oauth2.clients import imap, smtp",
            "from oauthmail.compat.oauth2.clients import imap, smtp",
            id="python-oauth2's clients",
        ),
        pytest.param(
            "from oauth2 import Consumer, Token, build_xoauth_string",
            "from oauthmail.compat.oauth2 import Consumer, Token, build_xoauth_string",
            id="python-oauth2's functions",
        ),
        pytest.param(
            "import oauth2 as o\no.GenerateOAuth2String(u, t)",
            "import oauthmail.compat.google as o\no.GenerateOAuth2String(u, t)",
            id="Google's oauth2.py",
        ),
        pytest.param(
            "from oauth2 import RefreshToken, GeneratePermissionUrl",
            "from oauthmail.compat.google import RefreshToken, GeneratePermissionUrl",
            id="Google's functions",
        ),
        pytest.param(
            "import xoauth\nxoauth.GenerateXOauthString(c, t, u, 'imap', None, None, None)",
            "import oauthmail.compat.google.xoauth as xoauth\n"
            "xoauth.GenerateXOauthString(c, t, u, 'imap', None, None, None)",
            id="Google's xoauth.py",
        ),
    ],
)
def test_an_import_of_old_is_changed(before: str, after: str) -> None:
    assert migrated(f"{before}\n") == f"{after}\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("import oauth2\noauth2.build_xoauth_string(oauth2.Request())", id="python-oauth2 over HTTP too"),
        pytest.param("import oauth2.clients.imap\noauth2.clients.imap.IMAP4_SSL(h)", id="a client by its long name"),
        pytest.param("from oauth2 import GenerateOAuth2String, Mine", id="a name that nobody else has"),
        pytest.param("from oauth2.clients.imap import *", id="all names"),
        pytest.param("def GenerateOAuth2String(u, t): pass", id="a copy"),
    ],
)
def test_an_import_whose_change_is_not_certain_is_left(text: str) -> None:
    assert len(rules(text)) == 1
    assert migrated(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("import oauth2\noauth2.Client(oauth2.Consumer(k, s))", id="python-oauth2 for something else"),
        pytest.param("import oauth2\nx = 'xoauth'", id="nothing is used"),
        pytest.param("from mine import oauth2\noauth2.GenerateOAuth2String(u, t)", id="a module of one's own"),
        pytest.param("class A:\n def GenerateOAuth2String(self): pass", id="a method"),
        pytest.param("def RefreshToken(): 'xoauth'", id="a name that anybody may give"),
    ],
)
def test_what_has_the_name_only_is_not_found(text: str) -> None:
    assert rules(text) == []


def test_a_copy_is_found_once_with_the_functions_that_it_has() -> None:
    text = """
        def generate_oauth2_string(u, t): pass
        def call_refresh_token(i, s, t): pass
        def something_else(): pass
    """
    assert rules(textwrap.dedent(text)) == ["google-script"]
