"""TLS that does not check whom it talks to."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .findings import AddImport, Edit, Finding, Replace
from .module import Module
from .values import CLIENTS, Value

__all__ = ["scan"]

_MESSAGE = "without a context, the standard library does not check the server's certificate"
_CHOSEN = "the certificate is not checked, so anybody on the way can read and change everything, the token too"
_WRAP = "ssl.wrap_socket() checks nothing, and Python 3.12 removed it"
_CHOSEN_ADVICE = (
    "ssl.create_default_context(), unchanged; for a certificate of your own, ssl.create_default_context(cafile=FILE)"
)

# What the context is called, and after how many positional arguments it is one of them.
_CONTEXT = {
    "smtplib.SMTP_SSL": ("context", 7),
    "imaplib.IMAP4_SSL": ("ssl_context", 4),
    "poplib.POP3_SSL": ("context", 5),
}
_STARTTLS = {"smtp": ("starttls", "context", 2), "imap": ("starttls", "ssl_context", 0), "pop": ("stls", "context", 0)}
# Host and port; whatever else is given by its place is about client certificates.
_PLAIN_ARGUMENTS = 2


def scan(module: Module, migrated: frozenset[ast.Call]) -> Iterator[Finding]:
    """Find TLS without verification.

    Args:
        module: the file.
        migrated: the calls that make clients which are to become oauthmail's, whose TLS verifies.
    """
    for call in module.client_calls:
        yield from _client(module, call, migrated)
    for call in module.scopes.calls:
        yield from _starttls(module, call, migrated)
        if _is(module, call.func, "wrap_socket"):
            yield Finding(module.start(call), "unverified-tls", _WRAP, _CHOSEN_ADVICE)
            continue
        for keyword in call.keywords:
            if keyword.arg == "cert_reqs" and _is(module, keyword.value, "CERT_NONE"):
                yield Finding(module.start(keyword.value), "unverified-tls", _CHOSEN, _CHOSEN_ADVICE)
    for node in module.scopes.of_kind(ast.Assign):
        yield from _settings(module, node)
    for name in (*module.scopes.of_kind(ast.Attribute), *module.scopes.of_kind(ast.Name)):
        if _is(module, name, "_create_unverified_context"):
            yield Finding(module.start(name), "unverified-tls", _CHOSEN, _CHOSEN_ADVICE)


def _is(module: Module, node: ast.expr, name: str) -> bool:
    """Tell whether an expression names something of ssl; the name is looked at first, as most are others."""
    said = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return (
        said == name
        and isinstance(getattr(node, "ctx", None), ast.Load)
        and module.values.dotted(node) == f"ssl.{name}"
    )


def _settings(module: Module, node: ast.Assign) -> Iterator[Finding]:
    for target in node.targets:
        if not isinstance(target, ast.Attribute):
            continue
        unchecked = target.attr == "verify_mode" and _is(module, node.value, "CERT_NONE")
        unnamed = target.attr == "check_hostname" and isinstance(node.value, ast.Constant) and node.value.value is False
        if unchecked or unnamed:
            yield Finding(module.start(node), "unverified-tls", _CHOSEN, _CHOSEN_ADVICE)


def _client(module: Module, call: ast.Call, migrated: frozenset[ast.Call]) -> Iterator[Finding]:
    for value in module.values.of(call):
        if value.call is call and value.name in _CONTEXT:
            name, position = _CONTEXT[value.name]
            if _missing(call, name, position):
                advice, edits = _change(module, call, [value], name, call in migrated)
                yield Finding(module.start(call), "unverified-tls", _MESSAGE, advice, tuple(edits))
                return


def _starttls(module: Module, call: ast.Call, migrated: frozenset[ast.Call]) -> Iterator[Finding]:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in ("starttls", "stls"):
        return
    clients = [client for client in module.clients(function.value) if not client.name.startswith("oauthmail.")]
    if not clients:
        return
    method, name, position = _STARTTLS[CLIENTS[clients[0].name]]
    if function.attr == method and _missing(call, name, position):
        done = all(client.call in migrated for client in clients)
        advice, edits = _change(module, call, clients, name, done)
        edits = edits if done or not call.args else []
        start = module.source.span(function)[1] - len(method)
        yield Finding(start, "unverified-tls", _MESSAGE, advice, tuple(edits))


def _missing(call: ast.Call, name: str, position: int) -> bool:
    """Tell whether a call surely passes no context."""
    if len(call.args) > position or any(isinstance(item, ast.Starred) for item in call.args):
        return False
    given = [keyword for keyword in call.keywords if keyword.arg in (name, None)]
    return all(
        keyword.arg is not None and isinstance(keyword.value, ast.Constant) and keyword.value.value is None
        for keyword in given
    )


def _change(module: Module, call: ast.Call, clients: list[Value], name: str, migrated: bool) -> tuple[str, list[Edit]]:
    """Return what to do, in words and as edits."""
    if migrated and (migration := module.migration(clients)) is not None:
        return "oauthmail's class checks the server by itself", migration
    argument = f"{name}=ssl.create_default_context()"
    advice = f"pass {argument}; oauthmail's classes check the server by themselves"
    given = {keyword.arg for keyword in call.keywords}
    importing = clients[0].importing
    if module.in_text(call):
        return advice, []
    # A client certificate goes into the context, too.
    if {name, "keyfile", "certfile"} & given or len(call.args) > _PLAIN_ARGUMENTS or importing is None:
        return advice, []
    after = module.scopes.statement(importing.at)
    scope = importing.scope
    if not isinstance(scope, ast.Module) and scope is not module.scopes.scope_of(call):
        return advice, []
    place = _after_last_argument(module, call)
    if place is None:
        return advice, []
    start, comma = place
    return advice, [Replace(start, start, f"{comma}{argument}"), AddImport(after, "import ssl")]


def _after_last_argument(module: Module, call: ast.Call) -> tuple[int, str] | None:
    """Return where another argument goes, and what comes before it."""
    given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    if not given:
        end = module.source.span(call)[1]
        inside = module.source.text[module.source.span(call.func)[1] : end]
        return (end - 1, "") if inside == "()" else None
    last = max(module.source.span(item)[1] for item in given)
    # A bracket around the last argument is not part of it.
    following = module.source.text[last : last + 1]
    return (last, ", ") if following in (")", ",", "\r", "\n") else None
