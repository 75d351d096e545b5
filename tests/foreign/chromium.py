"""A person in headless Chromium, and the application that waits for the person to come back."""

from __future__ import annotations

import contextlib
import http.server
import queue
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 20.0

_OPTIONS = (
    "--headless=new",
    # Chromium's own sandbox does not start for root, who runs tests in containers.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


class Person:
    """Looks at pages, types and clicks."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    @property
    def title(self) -> str:
        title: str = self.driver.title
        return title

    @property
    def text(self) -> str:
        """What can be read on the page."""
        text: str = self.driver.find_element(By.TAG_NAME, "main").text
        return text

    @property
    def code(self) -> str:
        """The code that the page shows to be copied."""
        code: str = self.driver.find_element(By.CSS_SELECTOR, "code.code").text
        return code

    def complaints(self) -> list[str]:
        """Return what Chromium has complained of since it was last asked, such as a style that the policy forbids."""
        messages: list[str] = [entry["message"] for entry in self.driver.get_log("browser")]
        # It asks every site for an icon, at some time.
        return [message for message in messages if "/favicon.ico " not in message]

    def type(self, text: str) -> None:
        """Type where the cursor is, as every page puts it where something is to be typed."""
        self._field().send_keys(text)

    def press_enter(self, title: str) -> None:
        """Send what was typed without a click, and wait for the page that follows."""
        with self._next_page(title):
            self._field().send_keys(Keys.ENTER)

    def press(self, button: str) -> None:
        """Press a button."""
        self.driver.find_element(By.XPATH, f"//button[normalize-space()='{button}']").click()

    def click(self, button: str, title: str) -> None:
        """Press a button and wait for the page that follows, which may have the same title."""
        with self._next_page(title):
            self.press(button)

    def _field(self) -> WebElement:
        """Return the field with the cursor; Chromium puts it there only some time after the page is loaded."""
        self._until(lambda driver: driver.switch_to.active_element.tag_name == "input")
        return self.driver.switch_to.active_element

    @contextlib.contextmanager
    def _next_page(self, title: str) -> Iterator[None]:
        began = "return document.readyState === 'complete' && performance.timeOrigin"
        page = self.driver.execute_script(began)
        yield
        self._until(lambda driver: driver.execute_script(began) not in (False, page))
        self.wait_for(title)

    def wait_for(self, title: str) -> None:
        self._until(lambda driver: bool(driver.title == title))

    def _until(self, condition: Callable[[webdriver.Chrome], bool]) -> None:
        # Between two pages chromedriver answers with errors of many kinds.
        WebDriverWait(self.driver, PATIENCE, 0.05, (WebDriverException,)).until(condition)


@contextlib.contextmanager
def person(chromium: str, chromedriver: str, profile: Path) -> Iterator[Person]:
    """Start Chromium, the two programs given by their paths, with an empty *profile*."""
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*_OPTIONS, f"--user-data-dir={profile}", "--window-size=1000,700"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        browser.set_page_load_timeout(PATIENCE)
        yield Person(browser)
    finally:
        browser.quit()


class Application(http.server.ThreadingHTTPServer):
    """What a native application has: an address on loopback where the browser comes back (RFC 8252 section 7.3)."""

    TITLE = "Back in the application"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Callback)
        self.redirect_uri = f"http://127.0.0.1:{self.server_port}/callback"
        self.answers: queue.Queue[dict[str, str]] = queue.Queue()

    def answer(self) -> dict[str, str]:
        """Return the parameters that the browser brought."""
        return self.answers.get(timeout=PATIENCE)


class _Callback(http.server.BaseHTTPRequestHandler):
    server: Application

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path != "/callback":
            self.send_error(404)
            return
        self.server.answers.put(dict(urllib.parse.parse_qsl(query)))
        page = f"<!doctype html><title>{Application.TITLE}</title>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the request has a code."""


@contextlib.contextmanager
def application() -> Iterator[Application]:
    """Run an application's callback."""
    with Application() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()
