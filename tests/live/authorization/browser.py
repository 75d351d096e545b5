"""A person who signs in: the forms of real pages, filled in and sent as a browser does."""

from __future__ import annotations

import threading
import urllib.parse
from dataclasses import dataclass, field
from html.parser import HTMLParser

import requests

TIMEOUT = 10
# Pages and redirects between the first address and the last: more would be a loop.
MOST_PAGES = 12


@dataclass
class Form:
    """One form of a page.

    Attributes:
        action: where it is sent, relative to the page.
        method: ``"get"`` or ``"post"``.
        multipart: whether its encoding is ``multipart/form-data``.
        fields: what is sent when nobody touches it.
        buttons: the name and value of each that sends it.
    """

    action: str = ""
    method: str = "get"
    multipart: bool = False
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Forms(HTMLParser):
    """The forms of one page, with the elements that sign-in pages have: inputs and buttons."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._open = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        if tag == "form":
            multipart = values.get("enctype") == "multipart/form-data"
            self.found.append(Form(values.get("action", ""), values.get("method", "get").lower(), multipart))
            self._open = True
        elif self._open and tag in {"input", "button"} and "disabled" not in values:
            self._control(tag, values)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False

    def _control(self, tag: str, values: dict[str, str]) -> None:
        form, kind = self.found[-1], values.get("type", "submit" if tag == "button" else "text")
        if kind == "submit":
            form.buttons.append((values.get("name", ""), values.get("value", "")))
        elif kind not in {"button", "reset", "image"} and (kind not in {"checkbox", "radio"} or "checked" in values):
            form.fields[values["name"]] = values.get("value", "on" if kind in {"checkbox", "radio"} else "")


class Person:
    """Somebody who has a password, and a browser with its cookies.

    Args:
        username: typed where a page asks for it.
        password: the same.
        answer: the value of the button to press where there is a choice, ``"accept"`` or ``"deny"``.
    """

    def __init__(self, username: str, password: str, answer: str = "accept") -> None:
        self.answer = answer
        # The names that canaille and the Authlib server give to their fields.
        self._typed = {"username": username, "login": username, "password": password}
        self._session = requests.Session()
        self._session.trust_env = False
        self._threads: list[threading.Thread] = []

    def visit(self, url: str, **typed: str) -> str:
        """Go from *url* through all pages; return the address of the redirect that leaves the server, not opened yet.

        Where no redirect leads away the address of the last page comes back.

        Args:
            url: the authorization request, or a verification address.
            typed: what else to type, by the field's name.
        """
        server = urllib.parse.urlsplit(url).netloc
        answer = self._get(url)
        for _ in range(MOST_PAGES):
            page: str = answer.url
            if answer.is_redirect:
                page = urllib.parse.urljoin(page, answer.headers["Location"])
                if urllib.parse.urlsplit(page).netloc != server:
                    return page
                answer = self._get(page)
            elif answer.ok and (forms := Forms(answer.text).found):
                answer = self._send(page, forms[0], self._typed | typed)
            else:
                return page
        raise AssertionError(f"{MOST_PAGES} pages, and no end: the last was {answer.url}\n{answer.text}")

    def _get(self, url: str) -> requests.Response:
        return self._session.get(url, timeout=TIMEOUT, allow_redirects=False)

    def _send(self, page: str, form: Form, typed: dict[str, str]) -> requests.Response:
        fields = form.fields | {name: value for name, value in typed.items() if name in form.fields}
        name, value = next((each for each in form.buttons if each[1] == self.answer), form.buttons[0])
        if name:
            fields[name] = value
        return self._session.request(
            form.method,
            urllib.parse.urljoin(page, form.action),
            params=fields if form.method == "get" else None,
            data=fields if form.method == "post" and not form.multipart else None,
            # Without a file name each part is an ordinary field.
            files={name: (None, value) for name, value in fields.items()} if form.multipart else None,
            timeout=TIMEOUT,
            allow_redirects=False,
        )

    def open(self, url: str) -> None:
        """Do what `webbrowser.open` does: return at once, and visit *url* meanwhile, to the application's own page."""
        thread = threading.Thread(target=self._to_the_end, args=(url,))
        self._threads.append(thread)
        thread.start()

    def _to_the_end(self, url: str) -> None:
        self._session.get(self.visit(url), timeout=TIMEOUT)

    def close(self) -> None:
        """Wait for the windows that are still open, then end the session."""
        for thread in self._threads:
            thread.join()
        self._session.close()
