"""Libraries and scripts of old that had XOAUTH and XOAUTH2 for mail."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .findings import Edit, Finding, Replace
from .module import Module

__all__ = ["scan"]

# What each of them had for mail, and what `oauthmail.compat` has of it.
_PYTHON_OAUTH2 = frozenset({"Consumer", "Token", "build_xoauth_string"})
_CLIENT_MODULES = frozenset({"oauth2.clients", "oauth2.clients.imap", "oauth2.clients.smtp"})
_GOOGLE = frozenset(
    {
        "AccountsUrl",
        "AuthorizeTokens",
        "FormatUrlParams",
        "GenerateOAuth2String",
        "GeneratePermissionUrl",
        "RefreshToken",
        "TestImapAuthentication",
        "TestSmtpAuthentication",
        "UrlEscape",
        "UrlUnescape",
        "call_authorize_tokens",
        "call_refresh_token",
        "command_to_url",
        "generate_oauth2_string",
        "generate_permission_url",
        "get_authorization",
        "refresh_authorization",
        "send_mail",
        "test_imap",
        "test_smtp",
        "url_escape",
        "url_format_params",
        "url_unescape",
    }
)
_XOAUTH = frozenset(
    {
        "EscapeAndJoin",
        "FormatUrlParams",
        "GenerateHmacSha1Signature",
        "GenerateOauthSignature",
        "GenerateRequestToken",
        "GenerateSignatureBaseString",
        "GenerateXOauthString",
        "GetAccessToken",
        "GoogleAccountsUrlGenerator",
        "OAuthEntity",
        "TestImapAuthentication",
        "TestSmtpAuthentication",
        "UrlEscape",
        "UrlUnescape",
    }
)
# The names among them that nobody would give anything else.
_SURELY_GOOGLE = frozenset(
    {
        "GenerateOAuth2String",
        "GeneratePermissionUrl",
        "GenerateXOauthString",
        "TestImapAuthentication",
        "TestSmtpAuthentication",
        "call_authorize_tokens",
        "call_refresh_token",
        "generate_oauth2_string",
        "generate_permission_url",
    }
)
_OLD_MESSAGE = "python-oauth2 is for Python 2, and its XOAUTH (OAuth 1.0a) is not taken by Gmail any more"
_GOOGLE_MESSAGE = "Google's script is for Python 2, and the copy-and-paste redirect that it asks for is switched off"
_COPY_MESSAGE = "a copy of Google's script: the copy-and-paste redirect that it asks for is switched off"
_MODULE = re.compile(r"(from\s+)([\w.]+)(\s+import\b)")


def scan(module: Module) -> Iterator[Finding]:
    """Find python-oauth2 and Google's scripts."""
    for node in module.scopes.of_kind(ast.Import):
        for alias in node.names:
            yield from _imported(module, node, alias)
    for from_node in module.scopes.of_kind(ast.ImportFrom):
        if not from_node.level:
            yield from _imported_from(module, from_node)
    yield from _copied(module)


def _imported(module: Module, node: ast.Import, alias: ast.alias) -> Iterator[Finding]:
    if alias.name in _CLIENT_MODULES:
        new = f"oauthmail.compat.{alias.name}"
        # Without "as", the name that is bound is that of the package.
        edits = [Replace(*module.source.span(alias), f"{new} as {alias.asname}")] if alias.asname else []
        yield _found(module, node, "python-oauth2", f"import {new}", edits)
    if alias.name not in ("oauth2", "xoauth"):
        return
    bound = alias.asname or alias.name
    used = _used(module, alias)
    mail = {"build_xoauth_string", "clients"} & used or _client_modules(module)
    if alias.name == "xoauth" and used & _SURELY_GOOGLE:
        rule, package, known = "google-script", "oauthmail.compat.google.xoauth", _XOAUTH
    elif used & _SURELY_GOOGLE:
        rule, package, known = "google-script", "oauthmail.compat.google", _GOOGLE
    elif alias.name == "oauth2" and mail:
        rule, package, known = "python-oauth2", "oauthmail.compat.oauth2", _PYTHON_OAUTH2
    else:
        return
    edits = [Replace(*module.source.span(alias), f"{package} as {bound}")] if used <= known else []
    yield _found(module, node, rule, f"import {package} as {bound}", edits)


def _imported_from(module: Module, node: ast.ImportFrom) -> Iterator[Finding]:
    names = {alias.name for alias in node.names}
    source = str(node.module)
    if source in _CLIENT_MODULES or (source == "oauth2" and names & {"build_xoauth_string", "clients"}):
        rule, package, known = "python-oauth2", f"oauthmail.compat.{source}", _PYTHON_OAUTH2 | {"clients"}
        if source != "oauth2":
            known = frozenset({"SMTP"} if source.endswith("smtp") else {"IMAP4_SSL"}) | {"imap", "smtp"}
    elif source == "xoauth" and names & _SURELY_GOOGLE:
        rule, package, known = "google-script", "oauthmail.compat.google.xoauth", _XOAUTH
    elif source == "oauth2" and names & _SURELY_GOOGLE:
        rule, package, known = "google-script", "oauthmail.compat.google", _GOOGLE
    elif source == "oauth2" and names <= _PYTHON_OAUTH2 and _client_modules(module):
        rule, package, known = "python-oauth2", "oauthmail.compat.oauth2", _PYTHON_OAUTH2
    else:
        return
    match = _MODULE.match(module.source.text, *module.source.span(node))
    edits = [Replace(*match.span(2), package)] if match is not None and names <= known else []
    yield _found(module, node, rule, f"from {package} import {', '.join(sorted(names))}", edits)


def _used(module: Module, alias: ast.alias) -> set[str]:
    """Return the attributes that are used of an imported module."""
    values = [value for node in module.scopes.attributes for value in module.values.of(node)]
    imported = [value.name for value in values if value.importing is not None and value.importing.alias is alias]
    return {name.removeprefix(f"{alias.name}.").partition(".")[0] for name in imported if name != alias.name}


def _client_modules(module: Module) -> bool:
    """Tell whether python-oauth2's mail clients are imported."""
    names = [node.module for node in module.scopes.of_kind(ast.ImportFrom)]
    names += [alias.name for node in module.scopes.of_kind(ast.Import) for alias in node.names]
    return not _CLIENT_MODULES.isdisjoint(names)


def _copied(module: Module) -> Iterator[Finding]:
    """Find the functions of Google's script in the file itself."""
    body = module.scopes.tree.body
    defined = [node for node in body if isinstance(node, ast.FunctionDef) and node.name in _SURELY_GOOGLE]
    if defined:
        names = ", ".join(
            node.name for node in body if isinstance(node, ast.FunctionDef) and node.name in _GOOGLE | _XOAUTH
        )
        package = "oauthmail.compat.google" + (".xoauth" if defined[0].name in _XOAUTH - _GOOGLE else "")
        advice = f"from {package} import {names}, in place of these functions"
        yield Finding(module.start(defined[0]), "google-script", _COPY_MESSAGE, advice)


def _found(module: Module, node: ast.stmt, rule: str, line: str, edits: list[Replace]) -> Finding:
    advice = line if edits else f"{line}, and change what it has no name for"
    changes: list[Edit] = [*edits]
    message = _OLD_MESSAGE if rule == "python-oauth2" else _GOOGLE_MESSAGE
    return Finding(module.start(node), rule, message, advice, tuple(changes))
