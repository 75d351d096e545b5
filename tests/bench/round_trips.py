"""How often a client waits for its server: ``python -m tests.bench.round_trips [--quick]``.

Logins are counted and timed by the server, from the end of the TLS handshake to the answer that accepts them. Messages
are counted by a proxy 20 ms away from the server: whatever a client sends before it has an answer to what it sent last
is one round trip; "by the clock" is the time that oauthmail took, divided by those 20 ms. Nothing passes or fails.
"""

from __future__ import annotations

import contextlib
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import trustme

from . import logins
from .children import Child
from .letters import letter
from .logins import Login
from .measuring import arguments, progress, table
from .senders import Aiosmtplib, NotThereError, Ours, Parent, Sender, Smtpproto, Yagmail

#: Access tokens of Google have about 220 characters, those of Microsoft thousands.
SHORT, LONG = "t" * 220, "t" * 2000
#: What fits POP3's 255 octets; no provider's token does.
SHORTER = "t" * 80
DELAY = 20


@dataclass(frozen=True)
class Case:
    """A way to log in.

    Attributes:
        title: what is done.
        server: which of the recorders, by name.
        token: the access token.
        target: round trips.
        clients: how each does it, by name; the first is ours.
    """

    title: str
    server: str
    token: str
    target: int
    clients: Mapping[str, Login]


SMTP: Mapping[str, Login] = {
    "oauthmail": logins.smtp,
    "stdlib": logins.smtplib_docmd,
    "aiosmtplib": logins.aiosmtplib,
}
IMAP: Mapping[str, Login] = {
    "oauthmail": logins.imap,
    "stdlib": logins.imaplib_authenticate,
    "imapclient": logins.imapclient,
    "imap_tools": logins.imap_tools,
}
POP: Mapping[str, Login] = {"oauthmail": logins.pop, "stdlib": logins.poplib_shortcmd}
POP_FORCED: Mapping[str, Login] = {**POP, "oauthmail": logins.pop_with_mechanism}
CLIENTS = ("oauthmail", "by hand", "stdlib", "aiosmtplib", "imapclient", "imap_tools")

CASES = (
    Case("SMTP, AUTH fits a line", "smtp", SHORT, 2, {**SMTP, "by hand": logins.SMTP_BY_HAND}),
    Case("SMTP, long token", "smtp", LONG, 3, {**SMTP, "by hand": logins.SMTP_BY_HAND_LONG}),
    Case("IMAP, greeting has capabilities", "imap", SHORT, 1, {**IMAP, "by hand": logins.IMAP_BY_HAND}),
    Case("IMAP, greeting has none", "imap-silent", SHORT, 2, {**IMAP, "by hand": logins.IMAP_BY_HAND_SILENT}),
    Case("IMAP, long token", "imap", LONG, 1, {**IMAP, "by hand": logins.IMAP_BY_HAND}),
    Case("POP3, AUTH fits a line", "pop", SHORTER, 2, {**POP, "by hand": logins.POP_BY_HAND}),
    Case("POP3, long token", "pop", LONG, 3, {**POP, "by hand": logins.POP_BY_HAND_LONG}),
    Case("POP3, fits, mechanism=", "pop", SHORTER, 1, {**POP_FORCED, "by hand": logins.POP_BY_HAND_FORCED}),
    Case("POP3, long, mechanism=", "pop", LONG, 2, {**POP_FORCED, "by hand": logins.POP_BY_HAND_FORCED_LONG}),
)


def measured_logins(rounds: int) -> tuple[list[list[str]], list[list[str]]]:
    """Return the lines of two tables: how often the clients waited, and for how long."""
    counts, times = [], []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = trustme.CA()
        certificate = folder / "server.pem"
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        context = ssl.create_default_context()
        authority.configure_trust(context)
        recorders = {
            name: stack.enter_context(Child("recorder", name, certificate)) for name in ("smtp", "imap", "pop")
        }
        recorders["imap-silent"] = stack.enter_context(Child("recorder", "imap", certificate, "--silent"))
        for case in CASES:
            progress(case.title)
            server = recorders[case.server]
            waited, seconds = _logins(case, server, context, rounds)
            trips = [str(waited[name]) if name in waited else "-" for name in CLIENTS]
            mark = "" if waited["oauthmail"] <= case.target else "< "
            counts.append([case.title, mark + trips[0], str(case.target), *trips[1:]])
            times.append([case.title, *(f"{1e3 * seconds[name]:.2f}" if name in seconds else "-" for name in CLIENTS)])
    return counts, times


def _logins(case: Case, server: Child, context: ssl.SSLContext, rounds: int) -> tuple[dict[str, int], dict[str, float]]:
    taken: dict[str, list[float]] = {name: [] for name in case.clients}
    waited: dict[str, int] = {}
    # The first time something may have to be imported.
    for number in range(rounds + 1):
        for name, login in case.clients.items():
            login(server.port, case.token, context)
            counted = server.ask()
            waited[name] = max(counted["waited"])
            if number:
                taken[name] += counted["seconds"]
    return waited, {name: statistics.median(seconds) for name, seconds in taken.items()}


# --- messages ---------------------------------------------------------------------------------------------------------

PEERS: Mapping[str, Callable[..., Sender]] = {
    "oauthmail": Ours,
    "smtplib": Parent,
    "aiosmtplib": Aiosmtplib,
    "smtpproto": Smtpproto,
    "yagmail": Yagmail,
}


def measured_messages(many: int) -> list[list[str]]:
    """Return the lines of a table: how often the clients waited until a message was accepted."""
    lines = []
    with contextlib.ExitStack() as stack:
        for title, target, options in (("PIPELINING", 2, ["--no-chunking"]), ("CHUNKING", 1, [])):
            sink = stack.enter_context(Child("sink", *options))
            proxy = stack.enter_context(Child("delay", sink.port, DELAY))
            for recipients in (1, many):
                label = f"{title}, {recipients} recipient{'s' if recipients > 1 else ''}"
                progress(label)
                found = {name: _message(maker, proxy, recipients) for name, maker in PEERS.items()}
                trips, seconds = found["oauthmail"]
                mark = "" if trips <= target else "< "
                others = [str(found[name][0]) for name in PEERS if name != "oauthmail"]
                lines.append([label, f"{mark}{trips}", f"{1e3 * seconds / DELAY:.2f}", str(target), *others])
    return lines


def _message(maker: Callable[..., Sender], proxy: Child, recipients: int) -> tuple[int, float]:
    try:
        sender = maker(proxy.port, octets=True)
    except NotThereError:
        sender = maker(proxy.port, octets=False)
    try:
        # The first time something may have to be imported.
        sender.send([letter(0)])
        proxy.ask()
        begun = time.perf_counter()
        sender.send([letter(1, recipients=recipients)])
        seconds = time.perf_counter() - begun
        return int(proxy.ask()["turns"]), seconds
    finally:
        sender.close()


def main() -> None:
    """Print three tables."""
    options = arguments(__doc__)
    counts, times = measured_logins(5 if options.quick else 50)
    trips = measured_messages(20 if options.quick else 100)
    progress("")
    head, *others = CLIENTS
    table(
        "Round trips from the end of the TLS handshake to logged in",
        ["", head, "target", *others],
        counts,
        notes=[
            "POP3, fits, mechanism=: nobody has asked whether the server takes the token with the command (RFC 5034,",
            "section 4), so oauthmail waits for it to ask.",
        ],
    )
    table(
        "Milliseconds from the end of the TLS handshake to logged in, on loopback",
        ["", *CLIENTS],
        times,
        notes=[
            "stdlib: smtplib with docmd(), imaplib with authenticate(), poplib with _shortcmd(); by hand: a socket.",
            "For IMAP at most 0.4 ms more than by hand is the target; imaplib's two packets wait for each other.",
        ],
    )
    table(
        "Round trips until a message is accepted",
        ["", "oauthmail", "by the clock", "target", *(name for name in PEERS if name != "oauthmail")],
        trips,
        notes=["yagmail connects for each message: greeting and EHLO are in its figure."],
    )


if __name__ == "__main__":
    main()
