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
    "git": Path("/usr/bin/git"),
    "git-email": Path("/usr/lib/git-core/git-send-email"),
    # Debian only recommends it, but git send-email does not begin without it.
    "libmailtools-perl": Path("/usr/share/perl5/Mail/Address.pm"),
    "msmtp": Path("/usr/bin/msmtp"),
    "neomutt": Path("/usr/bin/neomutt"),
    "isync": Path("/usr/bin/mbsync"),
    "libsasl2-modules-kdexoauth2": Path("/usr/share/doc/libsasl2-modules-kdexoauth2"),
    "mutt": Path("/usr/bin/mutt"),
    "offlineimap3": Path("/usr/bin/offlineimap"),
    "emacs-nox": Path("/usr/bin/emacs"),
    "chromium": Path("/usr/bin/chromium"),
    "chromium-driver": Path("/usr/bin/chromedriver"),
}


def main() -> int:
    """Install what is missing, or say what to install; the exit status is 0 when everything is there afterwards."""
    return install.main(PACKAGES, "tests with foreign clients")


if __name__ == "__main__":
    sys.exit(main())
