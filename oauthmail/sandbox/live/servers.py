"""All servers as one: the sandbox's authorization server, Dovecot and Postfix."""

from __future__ import annotations

import contextlib
import itertools
import os
import ssl
import stat
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ... import Application
from ..setup import browser, describe
from ..state import State
from ..web import Web
from .certificates import make_certificates
from .dovecot import running_dovecot
from .postfix import running_postfix
from .process import Address, NotInstalledError, StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

    from ... import Provider

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


class LiveServers:
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
        ca_file: PEM file of the authority that signed the servers' certificate.
        state: what the authorization server knows; see `oauthmail.sandbox.state`.
        web: the authorization server, which Dovecot asks about each token.
    """

    domain = "mail.test"

    def __init__(self) -> None:
        """Start nothing yet."""
        self._stack = contextlib.ExitStack()
        self._numbers = itertools.count(1)

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
        for name in ("tls", "dovecot", "postfix"):
            (directory / name).mkdir()
        certificates = make_certificates(directory / "tls")
        self.ca_file = certificates.ca_file
        self.state = State()
        self.web = stack.enter_context(Web(self.state, tls=certificates.server_context()))
        dovecot = stack.enter_context(running_dovecot(directory / "dovecot", self.web, certificates, self.domain))
        self.imap, self.imaps = dovecot.imap, dovecot.imaps
        self.pop3, self.pop3s = dovecot.pop3, dovecot.pop3s
        self.strict_imap, self.strict_pop3 = dovecot.strict_imap, dovecot.strict_pop3
        postfix = stack.enter_context(running_postfix(directory / "postfix", certificates, dovecot, self.domain))
        self.submission, self.submissions = postfix.submission, postfix.submissions

    def __exit__(self, *_: object) -> None:
        """Stop all servers and remove their folder."""
        self._stack.close()

    def ssl_context(self) -> ssl.SSLContext:
        """Return a client's default context that trusts the servers' authority, and no other."""
        return ssl.create_default_context(cafile=self.ca_file)

    @cached_property
    def provider(self) -> Provider:
        """These servers as `oauthmail.Account` takes them, with STARTTLS for SMTP and TLS for the rest."""
        return describe(
            self.web,
            str(self.ca_file),
            smtp={"host": self.submission.host, "port": self.submission.port, "security": "starttls"},
            imap={"host": self.imaps.host, "port": self.imaps.port},
            pop={"host": self.pop3s.host, "port": self.pop3s.port},
        )

    @property
    def application(self) -> Application:
        """The registered client without a secret, as native applications are."""
        return Application(self.web.public_client_id)

    def browser(self, *, allow: bool = True, user: str | None = None) -> Callable[[str], bool]:
        """Return what stands for a browser with somebody in front who clicks at once."""
        return browser(self.ssl_context(), allow=allow, user=user)

    def new_user(self) -> str:
        """Return an address nobody used before; its mailbox comes with the first delivery or login."""
        user = f"user-{next(self._numbers)}@{self.domain}"
        self.state.users.add(user)
        return user

    def expire_token(self, token: str) -> None:
        """End a token's life now."""
        self.state.expire(token)

    def revoke_token(self, token: str) -> None:
        """Revoke a token now."""
        self.state.revoke(token)
