"""Sends a person to the provider's page and brings back what the browser was given there."""

from __future__ import annotations

import contextlib
import re
import socket
import urllib.parse
import webbrowser
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..errors import CredentialsError, FlowError
from ._addresses import is_loopback, with_port

if TYPE_CHECKING:
    from ..applications import Application
    from ..providers import Provider

__all__ = ["REFUSED", "THANKS", "check_reachable", "invite", "pasted", "redirect_uri_of", "reserved"]

#: What the browser shows at the end.
THANKS = "The program has the answer and goes on."
REFUSED = "The sign-in was not completed."

_MOST_PARAMETERS = 50

_CODE = re.compile(r"[\x21-\x7e]+")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")


def redirect_uri_of(provider: Provider, application: Application, *, listen: bool) -> str:
    """Return the redirect URI, as it is registered: without a port where any will do.

    Args:
        provider: says which one suits it.
        application: may have registered its own.
        listen: whether the answer is to be received there.

    Raises:
        CredentialsError: one that cannot be listened at, and is to be.
    """
    redirect_uri = application.redirect_uri or f"http://{provider.loopback_host}{provider.redirect_path}"
    if listen and not is_loopback(redirect_uri):
        raise CredentialsError(
            "the redirect URI is none that this machine can listen at (http://127.0.0.1 or http://localhost): "
            "pass paste= (verifier= for OAuth 1.0a), which asks the person for what the browser shows at the end"
        )
    return redirect_uri


@contextlib.contextmanager
def reserved(redirect_uri: str) -> Iterator[str]:
    """Yield a redirect URI where nobody listens, with a port if it is a loopback one that has none.

    The port is taken meanwhile, so that no other program on this machine finds the code there before the person has
    copied it.
    """
    if not is_loopback(redirect_uri):
        yield redirect_uri
        return
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield with_port(redirect_uri, sock.getsockname()[1])


def check_reachable(open_browser: Callable[[str], object] | None, show: Callable[[str], None] | None) -> None:
    """Make sure that there is a way to tell the person where to go.

    Raises:
        CredentialsError: there is none.
    """
    if open_browser is None and show is None:
        raise CredentialsError(
            "nobody would be told where to sign in: pass open_browser, show or paste (verifier for OAuth 1.0a)"
        )


def invite(address: str, open_browser: Callable[[str], object] | None, show: Callable[[str], None] | None) -> None:
    """Open the address in a browser, or have the person do it.

    Raises:
        FlowError: ``no_browser``: there is none, and nobody to show the address to.
    """
    try:
        if open_browser is not None and open_browser(address) is not False:
            return
    except webbrowser.Error:
        # There is no browser that could be started.
        pass
    if show is None:
        raise FlowError(
            "no_browser",
            "no browser could be opened",
            hint="Pass show=, which tells the person the address, or paste= where the browser is on another machine",
        )
    show(address)


def pasted(text: str, address: str) -> dict[str, str]:
    """Return the parameters of the address that a person copied from the browser.

    A bare code is taken as well, since some providers show one to be copied; it comes back without ``state``.

    Args:
        text: the address with or without its scheme, its query alone, or the code.
        address: where the person was sent, to notice it when it is pasted back.

    Raises:
        FlowError: ``invalid_paste``: none of these; the message says what it looks like.
    """
    # Terminals break long lines.
    line = "".join(part.strip() for part in str(text or "").splitlines()).strip("\"'<>")
    if not line:
        raise _unusable("nothing was pasted")
    start, question, rest = line.partition("#")[0].partition("?")
    pairs = _pairs(rest if question else start)
    parameters = dict(pairs)
    if not {"code", "error"} & parameters.keys():
        return {"code": _bare(line, address)}
    if len(parameters) < len(pairs):
        raise _unusable("what was pasted has a parameter twice")
    if "state" not in parameters:
        raise _unusable("what was pasted has no state in it, so that it may belong to another sign-in")
    return parameters


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return urllib.parse.parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return []


def _bare(line: str, address: str) -> str:
    """Return the code that *line* is."""
    if line.startswith(address.partition("?")[0]):
        raise _unusable("that is the address to start from: open it and sign in first")
    if "/" in line and ("://" in line or "?" in line):
        raise _unusable("the address that was pasted has no code in it: the sign-in is not finished there yet")
    if not _CODE.fullmatch(line) or "&" in line:
        raise _unusable("what was pasted is neither an address nor a code")
    # A code that was cut out of an address is still encoded as it was there.
    return urllib.parse.unquote(line) if _PERCENT.search(line) else line


def _unusable(what: str) -> FlowError:
    return FlowError(
        "invalid_paste", what, hint="Copy the whole address that the browser shows after the sign-in, and paste that"
    )
