"""How an application proves who it is at the token endpoint (RFC 6749 section 2.3): in one way, never in two."""

from __future__ import annotations

from typing import NamedTuple

from ..applications import Application
from ..errors import CredentialsError
from ..providers import Provider

__all__ = ["CLIENT_ASSERTION_TYPE", "Proof", "prove"]

CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Proof(NamedTuple):
    """What joins a request.

    Attributes:
        fields: of the form.
        auth: for ``Authorization: Basic``, or None.
        secrets: which of all this must not be shown.
    """

    fields: dict[str, str]
    auth: tuple[str, str] | None
    secrets: tuple[str, ...]


def prove(provider: Provider, application: Application, audience: str, now: float) -> Proof:
    """Return the proof that *application* is who it says, in the way that *provider* takes.

    A private key goes before a secret; an application that has neither is a public client and gives its name only.

    Args:
        provider: ``token_endpoint_auth_method`` decides how a secret travels.
        application: the client.
        audience: the token endpoint, whom a signed proof is for.
        now: seconds since the epoch.

    Raises:
        CredentialsError: the provider takes none of what the application has.
    """
    client_id, secret = application.client_id, application.client_secret
    method = provider.token_endpoint_auth_method
    if application.private_key is not None:
        from ._assertions import client_assertion

        assertion = client_assertion(application, audience, now)
        named = {"client_id": client_id, "client_assertion_type": CLIENT_ASSERTION_TYPE, "client_assertion": assertion}
        return Proof(named, None, (assertion,))
    if method == "private_key_jwt":
        raise CredentialsError("this provider knows applications by their key: give the application a private_key")
    if secret is None or method == "none":
        return Proof({"client_id": client_id}, None, ())
    if method == "client_secret_post":
        return Proof({"client_id": client_id, "client_secret": secret}, None, (secret,))
    if method == "client_secret_basic":
        return Proof({}, (client_id, secret), (secret,))
    raise CredentialsError(
        f"the token_endpoint_auth_method {method!r} is not known here: client_secret_basic, client_secret_post, "
        "private_key_jwt and none are"
    )
