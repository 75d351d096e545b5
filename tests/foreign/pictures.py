"""Take the documentation's pictures of the sandbox's pages: ``python -m tests.foreign.pictures``."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import requests

from oauthmail.sandbox import Sandbox

from . import chromium
from .standard import TIMEOUT
from .test_browser import CONSENT, authorization_url

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def main() -> None:
    """Go through the pages and take a picture of each."""
    IMAGES.mkdir(exist_ok=True)
    found = shutil.which("chromium") or "chromium", shutil.which("chromedriver") or "chromedriver"
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        Sandbox() as sandbox,
        chromium.application() as application,
        chromium.person(*found, Path(profile)) as person,
    ):

        def take(name: str) -> None:
            person.driver.save_screenshot(str(IMAGES / f"{name}.png"))

        # Headless Chromium counts the frame that it does not draw, so the page itself is given the size.
        person.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 1000, "height": 700, "deviceScaleFactor": 1, "mobile": False},
        )
        person.open(authorization_url(sandbox, application))
        person.type("ada@example.com")
        take("sign-in")
        person.click("Sign in", CONSENT)
        take("consent")
        fields = {"client_id": sandbox.web.public_client_id, "scope": "mail"}
        device = requests.post(f"{sandbox.web.url}/device_authorization", fields, timeout=TIMEOUT).json()
        person.open(device["verification_uri"])
        person.type(device["user_code"])
        take("device")


if __name__ == "__main__":
    main()
