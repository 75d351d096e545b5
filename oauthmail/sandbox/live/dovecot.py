"""A real Dovecot 2.3 for IMAP, POP3 and LMTP, which asks the authorization server about each token."""

from __future__ import annotations

import contextlib
import functools
import shutil
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
    from collections.abc import Iterator
    from pathlib import Path

    from ..web import Web
    from .certificates import Certificates

# To Dovecot a client is "secured" when its address is the server's own, as 127.0.0.1's is: such a client may
# log in without TLS even with ssl=required. On 127.0.0.2 the client still comes from 127.0.0.1, and Dovecot
# is as strict as it is on a network.
STRICT_HOST = "127.0.0.2"

LOCAL = ("imap", "imaps", "pop3", "pop3s")
STRICT = ("strict_imap", "strict_pop3")
TLS = frozenset({"imaps", "pop3s"})

CONFIGURATION = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
protocols = imap pop3 lmtp
hostname = localhost
postmaster_address = postmaster@{domain}
mail_location = maildir:~/Maildir

ssl = required
ssl_cert = <{certificates.chain_file}
ssl_key = <{certificates.key_file}

auth_mechanisms = plain login xoauth2 oauthbearer
# Refusals are held back for 2 seconds, and up to 15 for an address that was refused before. Tests refuse a
# lot, so: no delay, a first passdb without the fixed beat of half a second (it lets nobody in), no penalty.
auth_failure_delay = 0
passdb {{
  driver = static
  args = nopassword=y nodelay=y
  result_success = continue
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {directory}/introspection.conf
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={directory}/mail/%u allow_all_users=yes
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener postfix-auth {{
    mode = 0666
  }}
}}
service lmtp {{
  unix_listener postfix-lmtp {{
    mode = 0666
  }}
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {imaps}
    ssl = yes
  }}
  inet_listener imap-strict {{
    address = {strict_host}
    port = {strict_imap}
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    address = 127.0.0.1
    port = {pop3}
  }}
  inet_listener pop3s {{
    address = 127.0.0.1
    port = {pop3s}
    ssl = yes
  }}
  inet_listener pop3-strict {{
    address = {strict_host}
    port = {strict_pop3}
  }}
}}
"""

# User and password in the URL make Dovecot send HTTP Basic.
INTROSPECTION = """\
introspection_url = {url}
introspection_mode = post
force_introspection = yes
active_attribute = active
active_value = true
username_attribute = username
scope = mail
openid_configuration_url = {web.url}/.well-known/openid-configuration
"""


@dataclass(frozen=True)
class Dovecot:
    """Addresses of a running Dovecot, and its sockets for Postfix."""

    imap: Address
    imaps: Address
    pop3: Address
    pop3s: Address
    strict_imap: Address
    strict_pop3: Address
    auth_socket: Path
    lmtp_socket: Path


def require_version_2_3(program: str) -> None:
    """Stop at a Dovecot that would not understand the configuration.

    Raises:
        StartError: the version is not 2.3.
    """
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=10)
    version = answer.stdout.split()[0]
    if not version.startswith("2.3."):
        message = (
            f"Dovecot {version} is installed, but 2.3 is configured here (Debian 12, Ubuntu 24.04);"
            " Dovecot 2.4 has another configuration language"
        )
        raise StartError(message)


def write_files(
    directory: Path,
    ports: dict[str, int],
    web: Web,
    certificates: Certificates,
    domain: str,
) -> Path:
    """Write Dovecot's files into *directory* and return the path of the main one."""
    for name, owner, group in (("state", "root", "root"), ("mail", "nobody", "nogroup")):
        (directory / name).mkdir()
        shutil.chown(directory / name, owner, group)
    url = f"{web.url}/introspect".replace("//", f"//{web.client_id}:{web.client_secret}@", 1)
    introspection = directory / "introspection.conf"
    # It holds the client's secret, and the auth process reads it as the user dovecot.
    introspection.touch(mode=0o600)
    introspection.write_text(INTROSPECTION.format(url=url, web=web), encoding="ascii")
    shutil.chown(introspection, "dovecot", "dovecot")
    main = directory / "dovecot.conf"
    text = CONFIGURATION.format(
        directory=directory, certificates=certificates, domain=domain, strict_host=STRICT_HOST, **ports
    )
    main.write_text(text, encoding="ascii")
    return main


@contextlib.contextmanager
def running_dovecot(directory: Path, web: Web, certificates: Certificates, domain: str) -> Iterator[Dovecot]:
    """Run Dovecot in *directory*, which exists and is empty, while the context lasts; it asks *web* about tokens.

    Raises:
        NotInstalledError: there is no Dovecot on this machine.
        StartError: it is not 2.3, or did not start; the message has the end of its log.
    """
    program = find_program("dovecot")
    require_version_2_3(program)
    with contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(reserved_port("127.0.0.1")) for name in LOCAL}
        ports |= {name: stack.enter_context(reserved_port(STRICT_HOST)) for name in STRICT}
        configuration = write_files(directory, ports, web, certificates, domain)
        local = {name: Address("localhost", ports[name]) for name in LOCAL}
        strict = {name: Address(STRICT_HOST, ports[name]) for name in STRICT}
        addresses = local | strict
        # Behind implicit TLS the client speaks first, so there an open port has to do.
        ready = [functools.partial(accepts if name in TLS else greets, addresses[name]) for name in addresses]
        process = start_process([program, "-F", "-c", str(configuration)], directory / "dovecot.log", ready)
        stack.callback(stop_group, process)
        yield Dovecot(
            **addresses,
            auth_socket=directory / "run/postfix-auth",
            lmtp_socket=directory / "run/postfix-lmtp",
        )
