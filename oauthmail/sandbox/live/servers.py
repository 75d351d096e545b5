"""All servers as one: the sandbox's authorization server, Dovecot and Postfix."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..setup import Installation
from ..state import State
from ..web import Web
from .certificates import make_certificates
from .dovecot import running_dovecot
from .postfix import Postfix, running_postfix
from .process import Address, NotInstalledError, StartError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self


__all__ = ["Address", "LiveServers", "NotInstalledError", "StartError"]


@contextlib.contextmanager
def state_directory() -> Iterator[Path]:
    """Make a folder that the servers' own users may enter, and remove it afterwards.

    Raises:
        StartError: the folder for temporary files is closed to other users.
    """
    with tempfile.TemporaryDirectory(prefix="oauthmail-", ignore_cleanup_errors=True) as name:
        directory = Path(name).resolve()
        directory.chmod(0o755)
        for folder in directory.parents:
            if not folder.stat().st_mode & stat.S_IXOTH:
                message = f"other users may not enter {folder}, but the mail servers must; set TMPDIR"
                raise StartError(message)
        yield directory


class LiveServers(Installation):
    """Context manager that starts all servers on loopback, and leaves nothing behind.

    Attributes:
        domain: the domain of all addresses.
        imap: IMAP with STARTTLS, on localhost, as are the five that follow. Dovecot lets a client log in
            there without TLS, because the client has the server's own address.
        imaps: IMAP with implicit TLS.
        pop3: POP3 with STLS.
        pop3s: POP3 with implicit TLS.
        submission: SMTP with STARTTLS.
        submissions: SMTP with implicit TLS.
        strict_imap: IMAP on 127.0.0.2, where Dovecot refuses a login before STARTTLS.
        strict_pop3: the same for POP3.
        postfix: what is behind both.
        ca_file: PEM file of the authority that signed the servers' certificate.
        state: what the authorization server knows; see `oauthmail.sandbox.state`.
        web: the authorization server, which Dovecot asks about each token.
    """

    domain = "mail.test"

    def __init__(self) -> None:
        """Start nothing yet."""
        super().__init__()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start all servers.

        Raises:
            NotInstalledError: a server is missing, or the user is not root.
            StartError: a server did not start; the message has the end of its log.
        """
        # Not every system knows the question, and those that do not have neither server.
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            message = (
                "Dovecot and Postfix change to their own users, which only root may do: run this as root,"
                " after `python -m oauthmail.sandbox.live.install` where they are not installed"
            )
            raise NotInstalledError(message)
        with contextlib.ExitStack() as stack:
            self._start(stack)
            # Only now is there something to keep: an exception above stops what had been started.
            self._stack = stack.pop_all()
        return self

    def _start(self, stack: contextlib.ExitStack) -> None:
        """Start the servers, each one on the shoulders of the one before."""
        directory = stack.enter_context(state_directory())
        for name in ("tls", "dovecot"):
            (directory / name).mkdir()
        certificates = make_certificates(directory / "tls")
        self.ca_file = certificates.ca_file
        self.state = State()
        self.web = stack.enter_context(Web(self.state, tls=certificates.server_context()))
        dovecot = stack.enter_context(running_dovecot(directory / "dovecot", self.web, certificates, self.domain))
        self._parts = directory, certificates, dovecot
        self.imap, self.imaps = dovecot.imap, dovecot.imaps
        self.pop3, self.pop3s = dovecot.pop3, dovecot.pop3s
        self.strict_imap, self.strict_pop3 = dovecot.strict_imap, dovecot.strict_pop3
        postfix = stack.enter_context(self.another_postfix("postfix"))
        self.postfix = postfix
        self.submission, self.submissions = postfix.submission, postfix.submissions

    def __exit__(self, *_: object) -> None:
        """Stop all servers and remove their folder."""
        self._stack.close()

    @contextlib.contextmanager
    def another_postfix(self, name: str, **settings: str) -> Iterator[Postfix]:
        """Run one more Postfix in front of the same mailboxes.

        Args:
            name: of its folder; the queue of an earlier one of the same name is taken over.
            settings: parameters of ``main.cf`` that are to be others than the first one's.
        """
        directory, certificates, dovecot = self._parts
        (directory / name).mkdir(exist_ok=True)
        with running_postfix(directory / name, certificates, dovecot, self.domain, settings) as postfix:
            yield postfix

    def mail_servers(self) -> tuple[Address, Address, Address]:
        """Return submission with STARTTLS, and IMAP and POP3 with TLS from the start."""
        return self.submission, self.imaps, self.pop3s
