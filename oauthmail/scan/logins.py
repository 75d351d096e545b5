"""Logins with a password."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .findings import Edit, Finding, Replace
from .hosts import password_message, takes_passwords_only
from .module import Module
from .values import Value

__all__ = ["passwords", "scan"]

# The methods that take a user name and a password.
_METHODS = {"smtp": {"login"}, "imap": {"login", "login_cram_md5"}, "pop": {"pass_", "apop"}}
_NAMES = frozenset().union(*_METHODS.values())
_PARAMETERS = ("user", "password")
_HARMLESS = (
    ast.Constant,
    ast.Name,
    ast.Attribute,
    ast.Subscript,
    ast.JoinedStr,
    ast.FormattedValue,
    ast.BinOp,
    ast.operator,
    ast.expr_context,
)
# What may stand between user() and pass_() of a POP3 login without having a part in it.
_BYSTANDERS = frozenset({"print", "getwelcome", "set_debuglevel", "debug", "info", "sleep", "write"})


def scan(module: Module) -> Iterator[Finding]:
    """Find logins with a password on the standard library's clients and ours."""
    for node in module.scopes.attributes:
        if node.attr not in _NAMES:
            continue
        clients = [
            client for client in module.clients(node.value) if node.attr in _METHODS.get(client.protocol or "", ())
        ]
        if not clients:
            continue
        if all(takes_passwords_only(module.hosts(client, node.value, only=True)) for client in clients):
            continue
        message = password_message({host for client in clients for host in module.hosts(client, node.value)})
        if module.encrypted(clients) is False:
            message += "; and no TLS is started here, so that anybody on the way can read it"
        advice, edits = _change(module, node, clients)
        yield Finding(module.source.span(node)[1] - len(node.attr), "password-login", message, advice, tuple(edits))


def passwords(module: Module, *, anywhere: bool) -> Iterator[ast.expr]:
    """Return the expressions that are passwords of logins, on mail clients or on anything that has a ``login``."""
    for call in module.scopes.calls:
        function = call.func
        if not isinstance(function, ast.Attribute) or any(isinstance(item, ast.Starred) for item in call.args):
            continue
        found = [item.value for item in call.keywords if item.arg in ("password", "passwd", "pswd")]
        if function.attr == "pass_" and len(call.args) == 1:
            found.append(call.args[0])
        elif function.attr in ("login", "apop", "login_cram_md5") and len(call.args) >= 2:
            found.append(call.args[1])
        if found and (anywhere or module.clients(function.value)):
            yield from found


def _change(module: Module, node: ast.Attribute, clients: list[Value]) -> tuple[str, list[Edit]]:
    """Return what to do, in words and as edits; no edits where they are not certain."""
    receiver = module.written(node.value)
    call = module.scopes.parents.get(node)
    pair = _arguments(module, node, call) if isinstance(call, ast.Call) and call.func is node else None
    user = "ADDRESS" if pair is None else module.written(pair[0])
    words = f"{receiver}.authenticate_oauth({user}, oauthmail.Account({user})) with oauthmail's class"
    if "\n" in words or "\r" in words:
        words = "authenticate_oauth(ADDRESS, oauthmail.Account(ADDRESS)) with oauthmail's class"
    words += f"; set the mailbox up once:  oauthmail authorize {_address(module, pair)}"
    if module.encrypted(clients) is False:
        starts = "stls()" if clients[0].protocol == "pop" else "starttls()"
        return f"{starts} first, or the _SSL class: no token is sent in the clear; then {words}", []
    if pair is None or not isinstance(call, ast.Call) or module.in_text(call):
        return words, []
    if not module.surely(node.value) or not module.encrypted(clients):
        return words, []
    if not repeatable(pair[0]) or not _looks_like_address(module, pair[0]) or _commented(module, pair[0]):
        return words, []
    migration, account = module.migration(clients), module.account(clients, node)
    if migration is None or account is None:
        return words, []
    new = f"{account[0]}({user})"
    edits = (
        _pop_edits(module, call, pair[0], new) if node.attr == "pass_" else _login_edits(module, node, call, pair, new)
    )
    return words, [*migration, *account[1], *edits] if edits else []


def _address(module: Module, pair: tuple[ast.expr, ast.expr] | None) -> str:
    """Return the mailbox where the file names just one, a word for it otherwise."""
    known = {str(constant.value) for constant in module.values.constants(pair[0])} if pair is not None else set()
    return known.pop() if len(known) == 1 and all("@" in name and name.isprintable() for name in known) else "ADDRESS"


def _arguments(module: Module, node: ast.Attribute, call: ast.Call) -> tuple[ast.expr, ast.expr] | None:
    """Return user name and password of a login."""
    if any(isinstance(item, ast.Starred) for item in call.args):
        return None
    if node.attr == "pass_":
        user = _user_call(module, node, call)
        return (user.args[0], call.args[0]) if user is not None and len(call.args) == 1 and not call.keywords else None
    given = dict(zip(_PARAMETERS, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg not in _PARAMETERS or keyword.arg in given:
            return None
        given[keyword.arg] = keyword.value
    return (given["user"], given["password"]) if len(given) == len(call.args) + len(call.keywords) == 2 else None


def _login_edits(
    module: Module, node: ast.Attribute, call: ast.Call, pair: tuple[ast.expr, ast.expr], account: str
) -> list[Edit]:
    source = module.source
    end = source.span(node)[1]
    edits: list[Edit] = [Replace(end - len(node.attr), end, "authenticate_oauth")]
    if _commented(module, pair[1]):
        return []
    for keyword in call.keywords:
        start, name = source.span(keyword)[0], str(keyword.arg)
        new = {"user": "url_or_user", "password": "credentials"}[name]
        edits.append(Replace(start, start + len(name), new))
    return [*edits, Replace(*source.span(pair[1]), account)]


def _commented(module: Module, node: ast.expr) -> bool:
    """Tell whether an expression may have a comment in it, which an edit would lose."""
    written = module.written(node)
    return "\n" in written or "\r" in written


# --- POP3 -------------------------------------------------------------------------------------------------------------


def _user_call(module: Module, node: ast.Attribute, call: ast.Call) -> ast.Call | None:
    """Return the ``user()`` that comes before a ``pass_()`` in the same block, with nothing in between that matters."""
    scopes = module.scopes
    statement = scopes.statement(call)
    for before in reversed(scopes.block(statement)[: scopes.place(statement)[2]]):
        found = before.value if isinstance(before, ast.Expr) else None
        if not isinstance(found, ast.Call):
            return None
        function = found.func
        name = function.attr if isinstance(function, ast.Attribute) else scopes.key(function)
        if name == "user" and isinstance(function, ast.Attribute):
            same = scopes.key(function.value) == scopes.key(node.value) is not None
            return found if same and len(found.args) == 1 and not found.keywords else None
        if name not in _BYSTANDERS:
            return None
    return None


def _pop_edits(module: Module, call: ast.Call, user: ast.expr, account: str) -> list[Edit]:
    """Return what puts one login in the place of ``pass_()`` and takes the line of ``user()`` away."""
    source = module.source
    statement = module.scopes.statement(user)
    start, end = source.span(statement)
    line = source.line_of(start)
    line_start, line_end = source.starts[line - 1], source.starts[line - 1] + len(source.lines[line - 1])
    rest = source.text[end:line_end].strip()
    if source.text[line_start:start].strip() or end > line_end or (rest and not rest.startswith("#")):
        # Another statement shares the line.
        return []
    # A comment of its own stays, where the statement was.
    gone = (start, end + source.text[end:line_end].index("#")) if rest else (line_start, line_end)
    receiver = module.written(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    login = f"{receiver}.authenticate_oauth({module.written(user)}, {account})"
    return [Replace(*gone, ""), Replace(*source.span(call), login)]


# --- the user name ----------------------------------------------------------------------------------------------------


def repeatable(expression: ast.expr) -> bool:
    """Tell whether an expression may be evaluated twice, with the same result and no effect."""
    return all(isinstance(node, _HARMLESS) or _reads_setting(node) for node in ast.walk(expression))


def _reads_setting(node: ast.AST) -> bool:
    """Tell whether a node is ``os.environ.get("USER")``, ``config.get("mail", "user")`` and the like."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.keywords or not node.args:
        return False
    texts = all(isinstance(item, ast.Constant) and isinstance(item.value, str | None) for item in node.args)
    return node.func.attr in ("get", "getenv") and texts


def _looks_like_address(module: Module, user: ast.expr) -> bool:
    """Tell whether the user name can be a mailbox: one that is written down has an ``@``."""
    return all("@" in str(constant.value) for constant in module.values.constants(user) if constant.value)
