"""A person at a browser, for the flows that need one: plain HTTP, and the sandbox's own forms where asked for."""

from __future__ import annotations

import html
import re
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import NamedTuple

from .conftest import TIMEOUT, USER

__all__ = ["Browser", "Page"]


class Page(NamedTuple):
    """What a server answered."""

    url: str
    status: int
    location: str | None
    text: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object) -> None:
        """Follow nothing: a test looks at where it would go."""


class Browser:
    """Goes to an address, signs `USER` in, agrees, and follows the redirect; give it as ``open_browser``.

    It is urllib's, which logs nothing, so that whatever is logged was logged by the flow.

    Args:
        ca_file: whom it trusts.
        consent: ``"allow"`` or ``"deny"``.
        forms: fill in the pages' forms; otherwise the sandbox's parameters for scripts are used.
        before: called with the address that the sandbox redirects to; returns where to go instead.
        wait: stay until the last page is there, as a remote-controlled browser does; otherwise a thread goes.

    Attributes:
        addresses: where it was sent.
        pages: every answer, the last page last.
    """

    def __init__(
        self,
        ca_file: str,
        *,
        consent: str = "allow",
        forms: bool = False,
        before: Callable[[str], str] = str,
        wait: bool = False,
    ) -> None:
        self.addresses: list[str] = []
        self.pages: list[Page] = []
        self._consent = consent
        self._forms = forms
        self._before = before
        self._wait = wait
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file)),
            urllib.request.HTTPCookieProcessor(),
            urllib.request.ProxyHandler({}),
            _NoRedirect,
        )

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for thread in self._threads:
            thread.join()
        for failure in self._failures:
            raise failure

    def __call__(self, address: str) -> bool:
        self.addresses.append(address)
        if self._wait:
            self.visit(address)
        else:
            self._threads.append(threading.Thread(target=self._run, args=(address,)))
            self._threads[-1].start()
        return True

    def _run(self, address: str) -> None:
        try:
            self.visit(address)
        except BaseException as error:
            self._failures.append(error)

    def visit(self, address: str) -> None:
        """Sign in, and see the page at the end."""
        location = self.sign_in(address)
        if location is not None:
            self.open(self._before(location))

    def sign_in(self, address: str) -> str | None:
        """Sign in and return where the sandbox sends the browser, or None if it does not."""
        if self._forms:
            return self._fill_in(self.open(address)).location
        more = {"sandbox_consent": self._consent} | ({} if "login_hint=" in address else {"login_hint": USER})
        return self.open(f"{address}&{urllib.parse.urlencode(more)}").location

    def _fill_in(self, page: Page) -> Page:
        for fields in ({"user": USER}, {"user": USER, "press": self._consent}):
            action = re.search(r'<form method="post" action="([^"]+)"', page.text)
            token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
            assert action is not None
            assert token is not None
            page = self.open(
                urllib.parse.urljoin(page.url, html.unescape(action[1])), {**fields, "csrf_token": token[1]}
            )
        return page

    def open(self, address: str, fields: Mapping[str, str] | None = None) -> Page:
        """Open one address, or send a form there, without following anything."""
        body = None if fields is None else urllib.parse.urlencode(fields).encode()
        try:
            answer = self._opener.open(address, body, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            # As urllib calls every status but 200.
            answer = error
        with answer:
            page = Page(address, answer.status, answer.headers.get("Location"), answer.read().decode())
        self.pages.append(page)
        return page
