"""The order of a login, the same for the three clients, and that no secret is seen on the way.

A client brings the bytes (`_oauth_put`, `_oauth_next`) and says what its server offers (`_oauth_offered`); which
mechanism, which answer and whether to try again is decided here and in `sasl`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import ssl

from . import sasl
from ._checks import FixedToken, check_text
from ._deadline import bounded
from ._redact import REDACTED, LoginRedactor, printable, scrub
from .errors import AuthenticationError, CredentialsError, InsecureConnectionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeVar

    from ._client import OAuthClient
    from .credentials import OAuth1Credentials, TokenSource

    Reply = TypeVar("Reply")

__all__ = ["login", "scrub"]


def login(
    client: OAuthClient[Reply],
    identity: str,
    credentials: object,
    token: object,
    mechanism: str | None,
    allow_insecure: bool,
) -> Reply:
    """Log a client in; arguments, result and exceptions are those of `OAuthClient.authenticate_oauth`."""
    client._oauth_again = None
    if token is None and isinstance(credentials, str):
        # The values in `credentials` are dataclasses, which take half as long to load as smtplib: not for this.
        return _login_with(client, identity, FixedToken(credentials), mechanism, allow_insecure)
    from .credentials import OAuth1Credentials
    from .sources import adapt

    adapted = adapt(credentials, token, user=identity, protocol=client._oauth_protocol)
    if isinstance(adapted, OAuth1Credentials):
        chosen = _mechanism(client, identity, adapted, mechanism, allow_insecure)
        reply = _attempt(client, chosen, identity, adapted)
    else:
        reply = _login_with(client, identity, adapted, mechanism, allow_insecure)
    if not isinstance(adapted, FixedToken):
        client._oauth_again = identity, adapted, mechanism, allow_insecure
    return reply


def _login_with(
    client: OAuthClient[Reply], identity: str, source: TokenSource, mechanism: str | None, allow_insecure: bool
) -> Reply:
    """Log in with an access token, and once more with another one if that was refused."""
    chosen = _mechanism(client, identity, None, mechanism, allow_insecure)
    access_token = source.token()
    try:
        return _attempt(client, chosen, identity, access_token)
    except AuthenticationError as refusal:
        if not refusal.token_refused:
            raise
        renewed = source.token(rejected=access_token)
        if renewed == access_token:
            raise
        try:
            return _attempt(client, chosen, identity, renewed)
        except AuthenticationError:
            raise
        except (OSError, client._oauth_broken) as lost:
            # The server hung up after refusing: the refusal is what the caller has to know.
            raise refusal from lost


def _mechanism(
    client: OAuthClient[Reply],
    identity: str,
    signed: OAuth1Credentials | None,
    mechanism: str | None,
    allow_insecure: bool,
) -> str:
    """Return the mechanism to use, once everything is found that need not be sent to be refused."""
    names = sasl.candidates(signed, _checked(identity, signed), mechanism)
    if not isinstance(client._oauth_ready(), ssl.SSLSocket) and not allow_insecure:
        raise InsecureConnectionError(f"no TLS on this connection, nothing was sent: {client._oauth_tls_hint}")
    with _exchanging(client):
        offered = client._oauth_offered(mechanism is not None)
    chosen = names[0] if mechanism is not None else sasl.choose(names, offered)
    if chosen is None:
        found = ", ".join(sorted(offered)) or "no mechanism at all"
        _, no_mechanism = client._oauth_errors()
        raise no_mechanism(
            f"the server offers {printable(found)}; these credentials need {' or '.join(names)}"
            f" ({client._oauth_tls_hint})"
        )
    return chosen


def _attempt(client: OAuthClient[Reply], mechanism: str, identity: str, credential: OAuth1Credentials | str) -> Reply:
    exchange = client._oauth_exchange(mechanism, identity, credential)
    # A server may repeat the token that it refused before, too.
    client._oauth_redactor = (client._oauth_redactor or LoginRedactor()).adding(*exchange.secrets)
    with _exchanging(client):
        accepted, reply = _converse(client, exchange)
    if not accepted:
        raise _refusal(client, exchange, reply, identity)
    client._oauth_accepted(exchange.mechanism, identity)
    return reply


@contextlib.contextmanager
def _exchanging(client: OAuthClient[Reply]) -> Iterator[None]:
    """Bound what is inside in time; a connection that fails half-way through it is closed."""
    try:
        with bounded(client, client._oauth_reads_from):
            yield
    except BaseException:
        client._oauth_drop()
        raise


def _converse(client: OAuthClient[Reply], exchange: sasl.Exchange) -> tuple[bool, Reply]:
    """Carry an exchange to its end and return whether the server accepted, and its last reply."""
    initial = base64.b64encode(exchange.initial_response)
    command = client._oauth_command(exchange.mechanism)
    at_once = client._oauth_at_once(command, initial)
    if at_once:
        client._oauth_put(command + b" " + initial, command + b" " + REDACTED.encode())
    else:
        client._oauth_put(command, command)
    # Before the initial response every challenge asks for it, whatever it says; RFC 4422 wants it empty, but
    # servers with texts like "go ahead" exist.
    pending = None if at_once else initial
    cancelled = False
    while True:
        challenge, accepted, reply = client._oauth_next()
        if challenge is None:
            return accepted, reply
        if cancelled:
            raise client._oauth_broken("the server goes on challenging after the login was cancelled")
        if pending is not None:
            client._oauth_put(pending, REDACTED.encode())
            pending = None
        else:
            answer = _answer(exchange, challenge)
            client._oauth_put(answer, answer)
            cancelled = answer == b"*"


def _answer(exchange: sasl.Exchange, challenge: bytes) -> bytes:
    """Return the line that answers a refusal's challenge, ``*`` to cancel."""
    try:
        decoded = base64.b64decode(challenge, validate=True)
    except binascii.Error:
        # RFC 4954 section 4 and RFC 5034 section 4: a challenge that is not base64 must be answered so.
        return b"*"
    response = exchange.respond(decoded)
    return b"*" if response is None else base64.b64encode(response)


def _refusal(client: OAuthClient[Reply], exchange: sasl.Exchange, reply: Reply, identity: str) -> AuthenticationError:
    from .hints import advise

    args, said = client._oauth_reply_text(reply)
    said = printable(client._oauth_redact(said))
    error = exchange.server_error or sasl.ServerError()
    status, scope, schemes = (
        None if value is None else printable(client._oauth_redact(value), 200)
        for value in (error.status, error.scope, error.schemes)
    )
    advice = advise(client._oauth_protocol, said, status=status, scope=scope, user=printable(identity))
    refused, _ = client._oauth_errors()
    return refused(
        *map(client._oauth_redact, args),
        mechanism=exchange.mechanism,
        status=status,
        scope=scope,
        schemes=schemes,
        server_reply=said,
        hint=advice.hint,
        token_refused=advice.token_refused,
    )


def _checked(identity: object, credentials: OAuth1Credentials | None) -> str:
    """Return the mailbox address or request URL if a message can be built of it."""
    if credentials is None:
        user = check_text("user name", identity)
        if "://" in user:
            raise CredentialsError("OAuth 2 takes the mailbox address, not a request URL")
        return user
    from .signing import request_url

    url = check_text("request URL", identity)
    return request_url(url, None) if "://" in url else url
