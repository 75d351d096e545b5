"""The person who signs in: what is said to them, and what they answer."""

from __future__ import annotations

import argparse
import sys
import urllib.parse
from typing import TYPE_CHECKING, Any

from ..errors import FlowError
from ._terminal import ask, note

if TYPE_CHECKING:
    from ..flows import DeviceCode

__all__ = ["Person"]

# So often a wrong address may be pasted.
_ATTEMPTS = 3

_ANYWHERE = """\
Open this address in a browser, on any machine, and sign in as {who}:

  {address}

At the end the browser shows an error page, because nothing listens at the address that it
is sent to. That is as it should be. Copy the whole address of that page from the browser's
address bar, or the code if the provider's page shows one, and paste it here."""

_HERE = """\
Open this address in a browser on this machine, and sign in as {who}:

  {address}

The answer is awaited {place}; a browser on another machine cannot bring it
there: for that, use --paste."""

_DEVICE = """\
Open this page on any device that has a browser, and sign in as {who}:

  {uri}

Enter the code there:  {code}"""


class Person:
    """Somebody at the terminal.

    Args:
        arguments: those of `authorize`.
        flow: the way to the tokens.
        who: the address to sign in with.
    """

    def __init__(self, arguments: argparse.Namespace, flow: str, who: str) -> None:
        self._arguments = arguments
        self._flow = flow
        self._who = who

    def ways(self) -> dict[str, Any]:
        """Return the arguments of `Account.authorize` that lead to the person, and say what is going to happen."""
        if self._flow in ("client_credentials", "service_account"):
            note("The application asks for tokens by itself; nobody has to sign in.")
            return {}
        if self._flow == "device":
            return {"show_device": self._show_device}
        if self._arguments.paste:
            return {"paste": self._paste if self._flow == "authorization_code" else self._paste_verifier}
        if self._arguments.no_browser:
            return {"open_browser": lambda address: False, "show": self._show}
        note(f"A browser opens: sign in as {self._who}, and allow access to your mail. Ctrl-C ends it.")
        return {"show": self._show_instead}

    def _show(self, address: str) -> None:
        note(_HERE.format(who=self._who, address=address, place=_place(address)))
        self._wait()

    def _show_instead(self, address: str) -> None:
        note("No browser could be opened.")
        self._show(address)

    def _show_device(self, code: DeviceCode) -> None:
        note(_DEVICE.format(who=self._who, uri=code.verification_uri, code=code.user_code))
        if code.verification_uri_complete is not None:
            note(f"This address has the code in it:  {code.verification_uri_complete}")
        self._wait()

    def _wait(self) -> None:
        if sys.stderr.isatty():
            note("Waiting; Ctrl-C ends it.")

    def _paste(self, address: str) -> str:
        """Return what the flow can use of what is pasted, and ask again for anything else."""
        from ..flows._consent import pasted

        note(_ANYWHERE.format(who=self._who, address=address))
        state = _parameter(address, "state")
        for left in reversed(range(_ATTEMPTS)):
            text = ask("Address: ")
            try:
                if pasted(text, address).get("state", state) == state:
                    return text
                problem = "it is the answer to another sign-in: go through the address above"
            except FlowError as error:
                problem = f"{error.error_description}. {error.hint}"
            if left:
                note(f"That cannot be used: {problem}.")
        # The flow says why.
        return text

    def _paste_verifier(self, address: str) -> str:
        note(f"Open this address in a browser, on any machine, and sign in as {self._who}:\n\n  {address}\n")
        return ask("Verification code that the page shows at the end: ")


def _parameter(address: str, name: str) -> str | None:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query)).get(name)


def _place(address: str) -> str:
    """Return where the answer is awaited."""
    uri = _parameter(address, "redirect_uri")
    return "on this machine" if uri is None else f"at {uri} on this machine"
