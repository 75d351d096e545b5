"""Options that say who provides a mailbox, and who asks for its tokens: of `authorize` and `import`."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from ..errors import CredentialsError

if TYPE_CHECKING:
    from ..applications import Application, ServiceAccount
    from ..providers import Provider

__all__ = ["add_application", "add_provider", "application", "guide", "provider"]

#: Where a client's secret may be, for programs that start this one.
SECRET = "OAUTHMAIL_CLIENT_SECRET"  # noqa: S105  # the variable's name

# Pages of the documentation; the one on other providers tells of all that have none.
_GUIDES = {
    "google": "gmail",
    "microsoft": "microsoft365",
    "outlook": "outlook",
    "yahoo": "yahoo",
    "aol": "yahoo",
    "att": "yahoo",
    "fastmail": "fastmail",
}

_LARGEST = 1 << 20


def add_provider(parser: argparse.ArgumentParser) -> None:
    """Add ``--provider`` and ``--tenant``."""
    parser.add_argument(
        "--provider",
        metavar="ID|FILE.toml",
        help="who hosts the mailbox: an id such as google, microsoft365 or yahoo, or a TOML file that describes a "
        "server of your own; need not be named where the mail domain tells",
    )
    parser.add_argument("--tenant", metavar="T", help="Microsoft: the organisation's id or one of its domains")


def add_application(parser: argparse.ArgumentParser) -> None:
    """Add the options that name an application. Its secret is in none of them: processes are on view to everybody."""
    who = parser.add_argument_group(
        "the application that asks", "as it was registered at the provider; need not be named again once it is stored"
    )
    name = who.add_mutually_exclusive_group()
    name.add_argument(
        "--client-secrets",
        metavar="FILE",
        help="the JSON file that the provider's console offers: a client secret file, or a service account's key",
    )
    name.add_argument("--client-id", metavar="ID", help="its id; with a secret, if it has one, from one of these:")
    secret = who.add_mutually_exclusive_group()
    secret.add_argument(
        "--client-secret-file",
        metavar="FILE",
        help=f"a file that holds the secret and nothing else (otherwise the environment variable {SECRET})",
    )
    secret.add_argument("--ask-secret", action="store_true", help="ask for the secret, without showing it")
    who.add_argument("--private-key", metavar="FILE", help="a key in PEM, to sign with in place of a secret")
    who.add_argument("--certificate", metavar="FILE", help="the certificate in PEM that was uploaded for the key")
    who.add_argument("--redirect-uri", metavar="URI", help="as registered, where it is no plain loopback address")


def provider(named: str | None) -> Provider | None:
    """Return what ``--provider`` names: a file is one that has the suffix of one.

    Raises:
        CredentialsError: there is none of that id, or the file describes none.
    """
    if named is None:
        return None
    from .. import providers

    if not named.endswith(".toml"):
        return providers.get(named)
    return providers.load(named)


def application(arguments: argparse.Namespace) -> Application | ServiceAccount | None:
    """Return who asks, as the options say; None where they say nothing.

    Raises:
        CredentialsError: a file holds something else.
        OSError: it cannot be read.
    """
    beside = {
        "client_secret_file": "--client-secret-file",
        "ask_secret": "--ask-secret",
        "private_key": "--private-key",
        "certificate": "--certificate",
        "redirect_uri": "--redirect-uri",
    }
    if arguments.client_id is None:
        for name, option in beside.items():
            if getattr(arguments, name):
                arguments.usage_error(f"{option} goes with --client-id")
    if arguments.certificate is not None and arguments.private_key is None:
        arguments.usage_error("--certificate goes with --private-key")
    from ..applications import Application, load_application

    if arguments.client_secrets is not None:
        return load_application(arguments.client_secrets)
    if arguments.client_id is None:
        return None
    return Application(
        arguments.client_id,
        _secret(arguments),
        private_key=_text(arguments.private_key),
        certificate=_text(arguments.certificate),
        redirect_uri=arguments.redirect_uri,
    )


def _secret(arguments: argparse.Namespace) -> str | None:
    if arguments.ask_secret:
        from ._terminal import ask_secret

        return ask_secret("Client secret: ")
    if arguments.client_secret_file is None:
        return os.environ.get(SECRET) or None
    text = (_text(arguments.client_secret_file) or "").strip()
    if not text or len(text.splitlines()) > 1:
        raise CredentialsError(f"{arguments.client_secret_file} must hold the secret and nothing else, in one line")
    if text.startswith("{"):
        raise CredentialsError(f"{arguments.client_secret_file} is a JSON file: pass it as --client-secrets")
    return text


def _text(path: str | None) -> str | None:
    if path is None:
        return None
    with open(path, "rb") as file:  # noqa: PTH123  # as a name that is shown again
        content = file.read(_LARGEST)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        # The exception holds all of it.
        pass
    raise CredentialsError(f"{path} is not text; a key or certificate must be PEM, not DER or PKCS #12")


def guide(found: Provider | None) -> str:
    """Return the page of the documentation that says how to register an application."""
    first = "" if found is None else found.id.partition("_")[0].removesuffix("365")
    return f"docs/{_GUIDES.get(first, 'other-providers')}.rst"
