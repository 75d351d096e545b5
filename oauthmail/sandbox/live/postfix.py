"""A real Postfix for submission: SASL by Dovecot, mail for the test domain to Dovecot over LMTP."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .process import (
    Address,
    StartError,
    accepts,
    find_program,
    greets,
    reserved_port,
    start_process,
    stop_group,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .certificates import Certificates
    from .dovecot import Dovecot

MAIN = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
# Without postlogd's own file Postfix would speak to syslog only.
maillog_file = {directory}/postfix.log
maillog_file_prefixes = {directory}
myhostname = mx.{domain}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
smtpd_peername_lookup = no

smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = {certificates.key_file}, {certificates.chain_file}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {dovecot.auth_socket}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_reject_unlisted_recipient = no

# Tests refuse a lot and connect often; Postfix would slow such a client down.
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0

mydestination =
alias_maps =
local_recipient_maps =
local_transport = error:this test server has no local users
virtual_mailbox_domains = {domain}
virtual_transport = lmtp:unix:{dovecot.lmtp_socket}
# Otherwise much mail waits two seconds for a service that is not there.
lmtp_connection_cache_on_demand = no
default_transport = error:this test server sends nothing out
notify_classes =
"""

# Column by column: service, type, private, unprivileged, chroot, wakeup, maxproc, command.
MASTER = """\
127.0.0.1:{submission} inet n - n - - smtpd
127.0.0.1:{submissions} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """Addresses of a running Postfix, and the folder that it runs in."""

    submission: Address
    submissions: Address
    directory: Path

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self.directory / "postfix.log").read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """End all its processes as a power cut would: none has time for anything."""
        master = int((self.directory / "queue/pid/master.pid").read_text(encoding="ascii"))
        os.killpg(master, signal.SIGKILL)


def write_files(
    directory: Path,
    ports: dict[str, int],
    certificates: Certificates,
    dovecot: Dovecot,
    domain: str,
    settings: Mapping[str, str],
) -> Path:
    """Write Postfix's files into *directory* and return the path of its configuration folder."""
    for name in ("etc", "queue", "data"):
        (directory / name).mkdir(exist_ok=True)
    shutil.chown(directory / "data", "postfix")
    # Programs that check the queue of a Postfix that was killed have something to say, and say it as that user.
    (directory / "postfix.log").touch()
    shutil.chown(directory / "postfix.log", "postfix")
    text = MAIN.format(directory=directory, certificates=certificates, dovecot=dovecot, domain=domain)
    lines = [line for line in text.splitlines() if line.partition(" ")[0] not in settings]
    lines += [f"{name} = {value}" for name, value in settings.items()]
    main = directory / "etc/main.cf"
    main.write_text("\n".join(lines) + "\n", encoding="ascii")
    # Postfix waits 2 seconds for a younger file to stop changing, as if someone were still typing.
    os.utime(main, (0, 0))
    (directory / "etc/master.cf").write_text(MASTER.format(**ports), encoding="ascii")
    return directory / "etc"


def prepare_queue(program: str, configuration: Path) -> None:
    """Have Postfix make its queue folders and check its configuration.

    Raises:
        StartError: it found a mistake; the message has its words.
    """
    answer = subprocess.run(
        [program, "-c", str(configuration), "check"], capture_output=True, text=True, check=False, timeout=20
    )
    if answer.returncode != 0:
        # For some mistakes in main.cf the words go to syslog and nowhere else.
        words = answer.stderr + answer.stdout or "(it said nothing; look for a mistake in main.cf)"
        message = f"postfix check ended with status {answer.returncode}: {words}"
        raise StartError(message)


def daemon_directory(configuration: Path) -> str:
    """Ask where this system keeps Postfix's programs."""
    command = [find_program("postconf"), "-c", str(configuration), "-h", "daemon_directory"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


@contextlib.contextmanager
def running_postfix(
    directory: Path, certificates: Certificates, dovecot: Dovecot, domain: str, settings: Mapping[str, str]
) -> Iterator[Postfix]:
    """Run Postfix while the context lasts.

    Args:
        directory: exists and is empty, or another one ran there before, whose queue is taken over.
        certificates: the server's.
        dovecot: judges logins and takes the mail.
        domain: whose mail goes to Dovecot.
        settings: parameters of ``main.cf`` that are to be others than usual.

    Raises:
        NotInstalledError: there is no Postfix on this machine.
        StartError: it did not start; the message has the end of its log.
    """
    program = find_program("postfix")
    with contextlib.ExitStack() as stack:
        names = ("submission", "submissions")
        ports = {name: stack.enter_context(reserved_port("127.0.0.1")) for name in names}
        configuration = write_files(directory, ports, certificates, dovecot, domain, settings)
        prepare_queue(program, configuration)
        addresses = Postfix(**{name: Address("localhost", port) for name, port in ports.items()}, directory=directory)
        ready = [
            functools.partial(greets, addresses.submission),
            functools.partial(accepts, addresses.submissions),
        ]
        # `postfix start` would leave the master process to itself; started directly it is ours to end.
        command = [f"{daemon_directory(configuration)}/master", "-c", str(configuration)]
        process = start_process(command, directory / "postfix.log", ready)
        stack.callback(stop_group, process)
        yield addresses
