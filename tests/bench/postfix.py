"""Postfix, which comes with two servers that throw mail away.

Its smtpd has PIPELINING and CHUNKING, keeps its promises about the disk, and has the messages discarded afterwards; its
smtp-sink has PIPELINING alone and keeps nothing.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator

from oauthmail.sandbox.live.postfix import daemon_directory, prepare_queue
from oauthmail.sandbox.live.process import (
    Address,
    StartError,
    eventually,
    find_program,
    greets,
    reserved_port,
    start_process,
    stop_group,
    stop_process,
)
from oauthmail.sandbox.live.servers import state_directory

MAIN = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/postfix.log
maillog_file_prefixes = {directory}
myhostname = mx.example.com
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
smtpd_peername_lookup = no
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
message_size_limit = 100000000
mydestination =
alias_maps =
local_recipient_maps =
default_transport = discard:
smtpd_client_connection_count_limit = 0
# It would hold back a client that is faster than the disk.
in_flow_delay = 0
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@contextlib.contextmanager
def postfix() -> Iterator[int]:
    """Run Postfix and yield the port of its smtpd.

    Raises:
        StartError: it is not there, or did not start.
        PermissionError: the user is not root.
    """
    program = find_program("postfix")
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(state_directory())
        port = stack.enter_context(reserved_port("127.0.0.1"))
        for name in ("etc", "queue", "data"):
            (directory / name).mkdir()
        shutil.chown(directory / "data", "postfix")
        main = directory / "etc/main.cf"
        main.write_text(MAIN.format(directory=directory), encoding="ascii")
        # Postfix waits 2 seconds for a younger file to stop changing, as if someone were still typing.
        os.utime(main, (0, 0))
        (directory / "etc/master.cf").write_text(MASTER.format(port=port), encoding="ascii")
        prepare_queue(program, directory / "etc")
        command = [f"{daemon_directory(directory / 'etc')}/master", "-c", str(directory / "etc")]
        ready = functools.partial(greets, Address("127.0.0.1", port))
        process = start_process(command, directory / "postfix.log", [ready])
        stack.callback(stop_group, process)
        yield port


@contextlib.contextmanager
def smtp_sink() -> Iterator[int]:
    """Run smtp-sink and yield its port.

    Raises:
        StartError: it is not there, or did not start.
    """
    program = find_program("smtp-sink")
    with reserved_port("127.0.0.1") as port:
        # It refuses to stay root.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([program, "-4", *user, f"127.0.0.1:{port}", "128"])
        try:
            if not eventually(lambda: process.poll() is not None or greets(Address("127.0.0.1", port)), 10):
                raise StartError("smtp-sink does not answer")
            yield port
        finally:
            stop_process(process)
