"""What a signature of OAuth 1.0a costs: ``python -m tests.bench.signing``.

Every library signs the same request with the same credentials; ratios are to the same message put together by hand,
without a check of anything, from ``hmac``, ``base64`` and ``urllib.parse.quote``. Authlib draws a nonce of its own each
time. Each round has all of them; figures are the best of all rounds.
"""

from __future__ import annotations

import base64
import hmac
import sys
import timeit
from collections.abc import Callable
from urllib.parse import quote

from oauthmail import OAuth1Credentials
from oauthmail.signing import xoauth_string

ROUNDS = 20
CALLS = 2000

URL = "https://mail.google.com/mail/b/someone@example.com/imap/"
KEY, SECRET = "client.example.com", "q8vL0xYtW3mZ5nB7kD2rF9hJ"
OWNER, OWNER_SECRET = "1/AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_", "Zy9Xw8Vu7Ts6Rq5Po4Nm3Lk2"
NONCE, TIMESTAMP = "4f2e6b6c1b8d4f0f9a7e5d3c2b1a0f9e", "1300000000"


def by_hand() -> str:
    """Return the message as a few lines in a script would make it."""
    key, owner = quote(KEY, safe=""), quote(OWNER, safe="")
    parameters = (
        f"oauth_consumer_key={key}&oauth_nonce={NONCE}&oauth_signature_method=HMAC-SHA1&oauth_timestamp={TIMESTAMP}"
        f"&oauth_token={owner}&oauth_version=1.0"
    )
    base_string = f"GET&{quote(URL, safe='')}&{quote(parameters, safe='')}"
    secrets = f"{quote(SECRET, safe='')}&{quote(OWNER_SECRET, safe='')}"
    digest = hmac.digest(secrets.encode(), base_string.encode(), "sha1")
    signature = quote(base64.b64encode(digest), safe="")
    return (
        f'GET {URL} oauth_consumer_key="{key}",oauth_nonce="{NONCE}",oauth_signature="{signature}",'
        f'oauth_signature_method="HMAC-SHA1",oauth_timestamp="{TIMESTAMP}",oauth_token="{owner}",oauth_version="1.0"'
    )


def ours() -> Callable[[], object]:
    credentials = OAuth1Credentials(KEY, SECRET, OWNER, OWNER_SECRET)
    return lambda: xoauth_string(URL, credentials, nonce=NONCE, timestamp=TIMESTAMP)


def oauthlib() -> Callable[[], object]:
    from oauthlib.oauth1 import Client

    client = Client(KEY, SECRET, OWNER, OWNER_SECRET, nonce=NONCE, timestamp=TIMESTAMP)
    return lambda: client.sign(URL)


def authlib() -> Callable[[], object]:
    from authlib.oauth1 import ClientAuth

    client = ClientAuth(KEY, SECRET, OWNER, OWNER_SECRET)
    return lambda: client.sign("GET", URL, {}, "")


SIGNERS: dict[str, Callable[[], Callable[[], object]]] = {
    "by hand": lambda: by_hand,
    "oauthmail.signing.xoauth_string": ours,
    "oauthlib.oauth1.Client.sign": oauthlib,
    "authlib.oauth1.ClientAuth.sign": authlib,
}


def main() -> None:
    """Measure and print."""
    timers: dict[str, timeit.Timer] = {}
    missing = []
    for name, signer in SIGNERS.items():
        try:
            timers[name] = timeit.Timer(signer())
        except ImportError:
            missing.append(name)
    if ours()() != by_hand():
        raise SystemExit("the messages differ")
    taken: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            taken[name].append(timer.timeit(CALLS) / CALLS)
    base = min(taken["by hand"])
    sys.stdout.write(f"{ROUNDS} rounds of {CALLS}, Python {sys.version.split()[0]}; the bar is 1.5\n\n")
    for name, seconds in taken.items():
        sys.stdout.write(f"  {name:<32} {1e6 * min(seconds):6.1f} µs {min(seconds) / base:6.2f}\n")
    for name in missing:
        sys.stdout.write(f"  {name:<32} not installed\n")


if __name__ == "__main__":
    main()
