"""A throw-away certificate authority, and the certificate of all servers."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Paths of the PEM files: the authority for clients, chain and key for servers."""

    ca_file: Path
    chain_file: Path
    key_file: Path

    def server_context(self) -> ssl.SSLContext:
        """Return the context of a server in Python."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain_file, self.key_file)
        return context


def make_certificates(directory: Path) -> Certificates:
    """Make an authority and a certificate for all names and addresses under which the servers listen."""
    certificates = Certificates(directory / "ca.pem", directory / "chain.pem", directory / "key.pem")
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1", "127.0.0.2")
    authority.cert_pem.write_to_path(certificates.ca_file)
    for blob in server.cert_chain_pems:
        blob.write_to_path(certificates.chain_file, append=True)
    certificates.key_file.touch(mode=0o600)
    server.private_key_pem.write_to_path(certificates.key_file)
    return certificates
