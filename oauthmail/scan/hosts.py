"""What is known of the mail servers that scripts name."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection

from .. import providers

__all__ = ["password_message", "takes_passwords_only"]

_ANY = "a password is sent here, and Gmail, Microsoft 365, Outlook.com and Yahoo refuse passwords by now"
_SENTENCES = (
    (
        re.compile(r"(?:^|\.)(?:gmail|googlemail|google)\.com$"),
        "Gmail refuses the account's password here; only app passwords, with 2-Step Verification, are left",
    ),
    (
        re.compile(r"(?:^|\.)(?:office365|outlook|hotmail|live|msn)\.(?:com|us|cn|de)$"),
        "Microsoft refuses passwords at Outlook.com and over IMAP and POP3, and turns them off for SMTP too",
    ),
    (
        re.compile(r"(?:^|\.)(?:yahoo\.[a-z.]+|aol\.com|att\.net)$"),
        "Yahoo and AOL refuse the account's password here; only app passwords are left",
    ),
)
# Services that send mail for programs, with a key for a password and no OAuth for SMTP; and this machine.
_KEYS = re.compile(
    r"(?:^|\.)(?:amazonaws\.com|sendgrid\.net|mailgun\.org|mailjet\.com|mandrillapp\.com|postmarkapp\.com"
    r"|sparkpostmail\.com|smtp2go\.com|sendinblue\.com|brevo\.com|mailtrap\.io|elasticemail\.com|resend\.com)$"
    r"|^(?:localhost|127\.\d+\.\d+\.\d+|::1|\[::1\])$"
)


@functools.cache
def _without_oauth() -> frozenset[str]:
    """Return the servers of providers that are known to have no OAuth for mail."""
    known = [provider for provider in providers.providers() if not provider.oauth]
    return frozenset(server.host for provider in known for server in (*provider.smtp, *provider.imap, *provider.pop))


def takes_passwords_only(hosts: Collection[str]) -> bool:
    """Tell whether a password is the only way to log in to every one of *hosts*; False where none is known."""
    names = [_name(host) for host in hosts]
    return bool(names) and all(_KEYS.search(name) or name in _without_oauth() for name in names)


def password_message(hosts: Collection[str]) -> str:
    """Return what it means today to log in to *hosts* with a password."""
    for pattern, sentence in _SENTENCES:
        if any(pattern.search(_name(host)) for host in hosts):
            return sentence
    return _ANY


def _name(host: str) -> str:
    host = host.strip().lower()
    # A port may be part of what smtplib takes for a host.
    return host if host.count(":") > 1 else host.partition(":")[0]
