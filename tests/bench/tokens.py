"""What a cached token costs, and what happens when sixteen processes need a new one: ``python -m tests.bench.tokens``.

Every library is used as its documentation shows it for a token that is kept in a file, against the same authorization
server, whose refresh tokens work once. Ratios hold on one machine in one run; nothing here passes or fails.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oauthmail import Account, FileStore, OAuth2Credentials
from oauthmail.records import Record
from oauthmail.sandbox import Sandbox
from oauthmail.sandbox.call import Call
from oauthmail.sandbox.state import fingerprint
from oauthmail.sandbox.store import Grant, RefreshToken

PROCESSES = 16
CALLS = 2000
ROUNDS = 5
TIMEOUT = 120
#: What somebody who signed in agreed to.
SCOPE = ("mail", "offline_access")


# --- the libraries ----------------------------------------------------------------------------------------------------


def by_oauthmail(facts: dict[str, str]) -> Callable[[], str]:
    return Account(facts["user"], store=FileStore(facts["home"])).token


def by_google_auth(facts: dict[str, str]) -> Callable[[], str]:
    """Do as Google's quickstart does: read ``token.json``, refresh if it has expired, write it."""
    from google.auth.transport.requests import Request
    from google.oauth2.credentials import Credentials

    path = Path(facts["home"], "token.json")
    held = Credentials.from_authorized_user_info(json.loads(path.read_text()))
    # Its files know no token endpoint but Google's.
    held._token_uri = facts["token_endpoint"]

    def token() -> str:
        if not held.valid:
            held.refresh(Request())
            path.write_text(held.to_json())
        return str(held.token)

    return token


def by_requests_oauthlib(facts: dict[str, str]) -> Callable[[], str]:
    """Do as its documentation does: read a dict, refresh if it has expired, write it."""
    import requests_oauthlib

    path = Path(facts["home"], "session.json")
    session = requests_oauthlib.OAuth2Session(facts["client_id"], token=json.loads(path.read_text()))

    def token() -> str:
        if session.token["expires_at"] < time.time():
            secret = facts["client_secret"]
            renewed = session.refresh_token(facts["token_endpoint"], client_id=facts["client_id"], client_secret=secret)
            path.write_text(json.dumps(renewed))
        return str(session.token["access_token"])

    return token


def by_msal(facts: dict[str, str]) -> Callable[[], str]:
    """Do as msal-extensions does: a cache in a file with a lock of its own."""
    import msal
    import msal_extensions
    import requests

    class Session(requests.Session):  # type: ignore[misc]  # untyped
        """Drops the tenant that MSAL insists on in every address; the sandbox has none."""

        def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
            return super().request(method, str(url).replace("/tenant", "", 1), *args, **kwargs)

    cache = msal_extensions.PersistedTokenCache(msal_extensions.FilePersistence(str(Path(facts["home"], "msal.json"))))
    application = msal.ConfidentialClientApplication(
        facts["client_id"],
        client_credential=facts["client_secret"],
        oidc_authority=f"{facts['issuer']}/tenant",
        http_client=Session(),
        token_cache=cache,
    )

    def token() -> str:
        (account,) = application.get_accounts()
        result = application.acquire_token_silent_with_error(["mail"], account=account)
        return str((result or {})["access_token"])

    return token


LIBRARIES = {
    "oauthmail": by_oauthmail,
    "google-auth": by_google_auth,
    "requests-oauthlib": by_requests_oauthlib,
    "msal, msal-extensions": by_msal,
}


# --- files ------------------------------------------------------------------------------------------------------------


def set_up(sandbox: Sandbox, home: Path, *, expires_in: float) -> dict[str, str]:
    """Write what each library keeps of a sign-in, and return what they have to be told."""
    web = sandbox.web
    home.mkdir(mode=0o700)
    user = sandbox.new_user()
    expires_at = time.time() + expires_in
    tokens = []
    for _ in LIBRARIES:
        refresh_token = secrets.token_urlsafe()
        grant = Grant(secrets.token_urlsafe(), user, SCOPE, web.client_id)
        web.store.refresh_tokens[refresh_token] = RefreshToken(grant)
        tokens.append((sandbox.issue_token(user), refresh_token))
    write_oauthmail(sandbox, home, user, tokens[0], expires_at)
    expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires_at))
    client = {"client_id": web.client_id, "client_secret": web.client_secret}
    google = {"token": tokens[1][0], "refresh_token": tokens[1][1], **client, "expiry": expiry}
    (home / "token.json").write_text(json.dumps(google))
    session = {"access_token": tokens[2][0], "refresh_token": tokens[2][1], "token_type": "Bearer"}
    (home / "session.json").write_text(json.dumps({**session, "expires_at": expires_at}))
    write_msal(sandbox, home, user, tokens[3], expires_in)
    endpoint = f"{web.https_url}/token"
    return {"user": user, "home": str(home), "token_endpoint": endpoint, "issuer": str(web.https_url), **client}


def write_oauthmail(sandbox: Sandbox, home: Path, user: str, tokens: tuple[str, str], expires_at: float) -> None:
    from oauthmail import Application

    web, store = sandbox.web, FileStore(home)
    credentials = OAuth2Credentials(tokens[0], refresh_token=tokens[1], expires_at=expires_at, scope=SCOPE)
    application = Application(web.client_id, web.client_secret)
    definition = sandbox.provider.definition()
    with store.lock(user):
        store.save(
            Record(user, "sandbox", "authorization_code", application, credentials, scope=SCOPE, definition=definition)
        )


def write_msal(sandbox: Sandbox, home: Path, user: str, tokens: tuple[str, str], expires_in: float) -> None:
    import msal

    cache = msal.SerializableTokenCache()
    cache.add(
        {
            "client_id": sandbox.web.client_id,
            "scope": ["mail"],
            "token_endpoint": f"{sandbox.web.https_url}/token",
            "response": {
                "access_token": tokens[0],
                "refresh_token": tokens[1],
                # It takes nothing that ends within five minutes.
                "expires_in": max(expires_in, 0) + 1,
                "client_info": "eyJ1aWQiOiJ1JWQiLCJ1dGlkIjoidCJ9",
                "id_token_claims": {"oid": "u", "preferred_username": user},
            },
        }
    )
    (home / "msal.json").write_text(cache.serialize())


# --- measuring --------------------------------------------------------------------------------------------------------


def worker(library: str) -> None:
    """Wait for a line, obtain a token and print its fingerprint."""
    token = LIBRARIES[library](json.loads(os.environ["FACTS"]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(fingerprint(token()))


def race(sandbox: Sandbox, facts: dict[str, str], library: str) -> tuple[int, int, float]:
    """Return how many requests sixteen processes made, how many got a good token, and the seconds it took."""
    requests: list[str] = []
    answer = sandbox.web.answer

    def counting(call: Call) -> Any:
        requests.append(call.path)
        return answer(call)

    for listener in sandbox.web._listeners:
        listener.answer = counting
    environment = {**os.environ, "FACTS": json.dumps(facts), "REQUESTS_CA_BUNDLE": str(sandbox.ca_file)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.tokens", "worker", library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    start = time.perf_counter()
    said = [process.communicate("go\n", timeout=TIMEOUT)[0] for process in processes]
    seconds = time.perf_counter() - start
    now = time.time()
    good = {fingerprint(token) for token, claims in sandbox.state.tokens.items() if claims.expires_at > now}
    return requests.count("/token"), sum(found in good for found in said), seconds


def microseconds(token: Callable[[], str]) -> float:
    """Return what a call costs, at best of a few rounds."""
    token()

    def once() -> float:
        start = time.perf_counter()
        for _ in range(CALLS):
            token()
        return 1e6 * (time.perf_counter() - start) / CALLS

    return min(once() for _ in range(ROUNDS))


def main() -> None:
    """Print two tables."""
    say = sys.stdout.write
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        os.environ["REQUESTS_CA_BUNDLE"] = str(sandbox.ca_file)
        facts = set_up(sandbox, Path(folder, "cached"), expires_in=3600)
        costs = {library: microseconds(make(facts)) for library, make in LIBRARIES.items()}
        say(f"a token that is cached, one process      µs a call   ratio\n{'-' * 57}\n")
        for library, cost in costs.items():
            say(f"{library:<40}{cost:>10.2f}{cost / costs['oauthmail']:>8.2f}\n")
        say(
            f"\n{PROCESSES} processes, one expired token, refresh tokens that work once\n"
            f"{'':<32}requests   good tokens   seconds\n{'-' * 62}\n"
        )
        for library in LIBRARIES:
            facts = set_up(sandbox, Path(folder, secrets.token_hex(4)), expires_in=-10)
            asked, good, seconds = race(sandbox, facts, library)
            say(f"{library:<32}{asked:>8}{good:>14}{seconds:>10.2f}\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker(sys.argv[2])
    else:
        main()
