"""Make sure that Dovecot and Postfix are on this machine: ``python -m oauthmail.sandbox.live.install``.

On Debian and its relatives, as root, the missing packages are installed without a question and without
starting a service. Everywhere else the command says what is missing and exits with 1.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Files that show a package to be installed; the protocol servers are packages of their own.
PACKAGES: Mapping[str, Path] = {
    "dovecot-core": Path("/usr/sbin/dovecot"),
    "dovecot-imapd": Path("/usr/lib/dovecot/imap"),
    "dovecot-pop3d": Path("/usr/lib/dovecot/pop3"),
    "dovecot-lmtpd": Path("/usr/lib/dovecot/lmtp"),
    "postfix": Path("/usr/sbin/postfix"),
}
POLICY = Path("/usr/sbin/policy-rc.d")
# "No configuration" leaves /etc/postfix without a main.cf, so no mail service appears by accident.
POSTFIX_ANSWER = "postfix postfix/main_mailer_type select No configuration\n"


def missing_packages(packages: Mapping[str, Path] = PACKAGES) -> list[str]:
    """List those of *packages* whose files are not on this machine, in their order."""
    return [package for package, file in packages.items() if not file.exists()]


@contextlib.contextmanager
def services_kept_stopped(policy: Path = POLICY) -> Iterator[None]:
    """Keep packages from starting services on ports 25, 110 and 143 while they are set up.

    ``invoke-rc.d`` asks this one file, and 101 means "action forbidden"
    (/usr/share/doc/init-system-helpers/README.policy-rc.d.gz).
    """
    saved = policy.with_name(policy.name + ".saved-by-live-tests")
    # A saved file from a run that was killed is the original; what stands in its place is ours.
    if policy.exists() and not saved.exists():
        policy.replace(saved)
    try:
        policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        policy.chmod(0o755)
        yield
    finally:
        policy.unlink(missing_ok=True)
        if saved.exists():
            saved.replace(policy)


def install(packages: list[str]) -> None:
    """Install *packages* with apt-get.

    Raises:
        subprocess.CalledProcessError: apt-get failed; its own words are on the terminal.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt_get = ["apt-get", "--quiet", "--assume-yes"]
    subprocess.run([*apt_get, "update"], check=True, env=environment)
    if "postfix" in packages:
        subprocess.run(["debconf-set-selections"], input=POSTFIX_ANSWER, text=True, check=True)
    with services_kept_stopped():
        subprocess.run([*apt_get, "install", "--no-install-recommends", *packages], check=True, env=environment)


def main(packages: Mapping[str, Path] = PACKAGES, tests: str = "live tests") -> int:
    """Install what is missing, or say what to install.

    Args:
        packages: names, each with a file that shows the package to be installed.
        tests: what needs them, in words.

    Returns:
        The exit status: 0 when everything is there afterwards, else 1.
    """
    missing = missing_packages(packages)
    if not missing:
        print(f"All that the {tests} need is installed; nothing to do.")
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(
            f"The {tests} need these Debian packages, or their like elsewhere:\n"
            f"    apt-get install --no-install-recommends {' '.join(missing)}\n"
            "Run this command again as root on Debian or a relative to have them installed.",
            file=sys.stderr,
        )
        return 1
    try:
        install(missing)
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd[0]} ended with status {error.returncode}.", file=sys.stderr)
        return 1
    still_missing = missing_packages(packages)
    if still_missing:
        print(f"apt-get succeeded, but these are not there: {' '.join(still_missing)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
