"""Make sure that the programs of these tests are on this machine: ``python -m tests.foreign.install``.

As with ``oauthmail.sandbox.live.install``: on Debian and its relatives, as root, what is missing is installed;
everywhere else the command says what is missing and exits with 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from oauthmail.sandbox.live import install

#: Debian's packages and the programs that show them to be installed.
PACKAGES = {
    "curl": Path("/usr/bin/curl"),
    "msmtp": Path("/usr/bin/msmtp"),
    "neomutt": Path("/usr/bin/neomutt"),
    "chromium": Path("/usr/bin/chromium"),
    "chromium-driver": Path("/usr/bin/chromedriver"),
}


def main() -> int:
    """Install what is missing, or say what to install; the exit status is 0 when everything is there afterwards."""
    return install.main(PACKAGES, "tests with foreign clients")


if __name__ == "__main__":
    sys.exit(main())
