"""The server's side of XOAUTH2, OAUTHBEARER, XOAUTH and OAUTH10A: decides about one client message."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from oauthlib.oauth1 import ResourceEndpoint, SignatureOnlyEndpoint

from .state import State, Verdict
from .validator1 import Validator

__all__ = ["MECHANISMS", "Decision", "decide"]

#: In the order in which they are advertised.
MECHANISMS = ("XOAUTH2", "OAUTHBEARER", "XOAUTH", "OAUTH10A")


@dataclass(frozen=True)
class Decision:
    """What comes of a client's message.

    Attributes:
        user: the mailbox that is open now, or None.
        reason: as in `Verdict.reason`, or ``malformed``.
        challenge: what the server says before it refuses, in octets before base64; None for nothing.
    """

    user: str | None
    reason: str = ""
    challenge: bytes | None = None


def decide(state: State, service: str, mechanism: str, message: bytes, discovery: str) -> Decision:
    """Judge the first and only message of a client.

    Args:
        state: the sandbox's memory.
        service: ``smtp``, ``imap`` or ``pop``.
        mechanism: one of `MECHANISMS`.
        message: after base64 decoding.
        discovery: address of the discovery document, for OAUTHBEARER's refusal.
    """
    try:
        text = message.decode("utf-8")
        if mechanism == "XOAUTH2":
            verdict = _xoauth2(state, service, text)
        elif mechanism == "OAUTHBEARER":
            verdict = _oauthbearer(state, service, text)
        elif mechanism == "XOAUTH":
            verdict = _xoauth(state, text)
        else:
            verdict = _oauth10a(state, text)
    except ValueError:
        # As Dovecot: what cannot be read is refused without a word (RFC 7628 section 3.2.2 leaves it open).
        return Decision(None, "malformed")
    if verdict.user is not None or verdict.reason == "temporary":
        return Decision(verdict.user, verdict.reason)
    return Decision(None, verdict.reason, _challenge(mechanism, verdict.reason, discovery))


def _challenge(mechanism: str, reason: str, discovery: str) -> bytes:
    if mechanism in ("XOAUTH2", "XOAUTH"):
        said = {"status": "401" if reason != "scope" else "403", "schemes": "bearer", "scope": "mail"}
    else:
        said = {"status": "insufficient_scope" if reason == "scope" else "invalid_token", "scope": "mail"}
        said["openid-configuration"] = discovery
    return json.dumps(said).encode()


def _xoauth2(state: State, service: str, text: str) -> Verdict:
    # Fields that nobody knows are passed over, as Dovecot does: some clients send Yahoo's old "vendor=".
    found = re.fullmatch("user=([^\x01]+)\x01auth=Bearer ([^\x01]+)\x01(?:[^\x01]+\x01)*\x01", text, re.IGNORECASE)
    if found is None:
        raise ValueError("not XOAUTH2's message")
    return state.judge(found[2], found[1], service)


def _gs2(text: str) -> tuple[str, dict[str, str]]:
    """Take RFC 7628 section 3.1's message apart: the user and the key-value pairs."""
    header, *pairs = text.split("\x01")
    found = re.fullmatch("n,(?:a=([^,]+))?,", header)
    if found is None or pairs[-2:] != ["", ""]:
        raise ValueError("not a message of RFC 7628")
    user = (found[1] or "").replace("=2C", ",").replace("=3D", "=")
    return user, dict(pair.split("=", 1) for pair in pairs[:-2])


def _oauthbearer(state: State, service: str, text: str) -> Verdict:
    user, pairs = _gs2(text)
    scheme, _, token = pairs.get("auth", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise ValueError("not a bearer token")
    return state.judge(token, user, service)


def _xoauth(state: State, text: str) -> Verdict:
    method, url, parameters = text.split(" ", 2)
    user = re.search(r"/b/([^/]+@[^/]+)/(?:smtp|imap|pop)/", url)
    return _verify(state, method, url, f"OAuth {parameters}", user[1] if user else "")


def _oauth10a(state: State, text: str) -> Verdict:
    user, pairs = _gs2(text)
    if not pairs.get("host") or not pairs.get("port"):
        # RFC 7628 section 3.1: a server must refuse OAUTH10A without them.
        raise ValueError("host and port are required")
    return _verify(state, "POST", f"http://{pairs['host']}:{pairs['port']}/", pairs.get("auth", ""), user)


def _verify(state: State, method: str, url: str, header: str, user: str) -> Verdict:
    """Have oauthlib's server side check a signed request; a two-legged one opens the mailbox it names."""
    with state.lock:
        validator = Validator(state)
        headers = {"Authorization": header}
        if "oauth_token=" in header:
            valid, request = ResourceEndpoint(validator).validate_protected_resource_request(url, method, None, headers)
            owner = state.oauth1_tokens[request.resource_owner_key].user if valid else ""
        else:
            valid, request = SignatureOnlyEndpoint(validator).validate_request(url, method, None, headers)
            owner = dict(request.uri_query_params).get("xoauth_requestor_id", user) if valid else ""
    if not valid or not owner:
        return Verdict(None, "unknown")
    return Verdict(owner) if user in ("", owner) else Verdict(None, "user")
