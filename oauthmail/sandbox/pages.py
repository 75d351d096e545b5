"""What a person sees: sign-in, consent, device code, code to copy. Plain HTML, no script, every value escaped."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Answer", "Decision", "Forms", "code_entry", "code_to_copy", "message"]

_CSS = """\
:root{color-scheme:light dark;--accent:#1d5fbf;--line:#8886}
body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;min-height:100vh;place-items:center}
main{box-sizing:border-box;width:min(26rem,94vw);padding:1.75rem;border:1px solid var(--line);border-radius:12px}
h1{font-size:1.3rem;margin:0 0 .75rem}
p,ul{margin:0 0 1rem;overflow-wrap:anywhere}
ul{padding-left:1.2rem}
label{display:block;font-weight:600;margin-bottom:.3rem}
input{box-sizing:border-box;width:100%;font:inherit;padding:.5rem .6rem;margin-bottom:1rem;border:1px solid var(--line);
border-radius:6px}
button{font:inherit;padding:.5rem 1.1rem;border:1px solid var(--accent);border-radius:6px;background:none;color:inherit;
cursor:pointer;margin-right:.5rem}
button.first{background:var(--accent);color:#fff}
code{font-size:1.05rem;user-select:all}
.code{display:block;padding:.7rem;border:1px dashed var(--line);border-radius:6px;margin-bottom:1rem;
overflow-wrap:anywhere}
.error{color:#c62828;font-weight:600}
.note{font-size:.85rem;border-top:1px solid var(--line);padding-top:.9rem;margin:1.25rem 0 0}
"""
_CSS_HASH = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    # Without form-action: browsers apply it to the redirect after a form too, and that one goes to the client.
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_CSS_HASH}'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_NOTE = "This is oauthmail's sandbox on your own machine. It lets anybody in, as anybody: type no real password here."

#: What the consent page says about a scope.
_MEANINGS = {
    "mail": "read and send your mail",
    "smtp": "send mail as you",
    "imap": "read your mail (IMAP)",
    "pop": "read your mail (POP3)",
    "profile": "see your address",
    "offline_access": "do so until you revoke it",
}

# No longer than RFC 5321 section 4.5.3.1 allows, and nothing that could end a line of a mail protocol.
_ADDRESS = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]{1,189}")


class Answer(NamedTuple):
    """What goes back to the client: status, headers, body."""

    status: int
    headers: dict[str, str]
    body: str


class Decision(NamedTuple):
    """What a person said: the address that they signed in with, and whether they agreed."""

    user: str
    allowed: bool


# --- pages ----------------------------------------------------------------------------------------------------------


def _page(status: int, title: str, content: str, cookie: str = "") -> Answer:
    """Frame *content*, which is HTML already; *title* is text."""
    title = html.escape(title)
    body = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width"><style>{_CSS}</style></head>\n'
        f'<body><main><h1>{title}</h1>\n{content}\n<p class="note">{html.escape(_NOTE)}</p></main></body></html>\n'
    )
    return Answer(status, {**_HEADERS, **({"Set-Cookie": cookie} if cookie else {})}, body)


def message(status: int, title: str, text: str) -> Answer:
    """Say one thing."""
    return _page(status, title, f"<p>{html.escape(text)}</p>")


def code_to_copy(code: str, client: str) -> Answer:
    """Show the verifier of an out-of-band OAuth 1.0a flow (RFC 5849 section 2.2)."""
    return _page(
        200,
        "Copy this code",
        f'<p>Give this code to {html.escape(client)}:</p><code class="code">{html.escape(code)}</code>',
    )


def code_entry(user_code: str = "", problem: str = "") -> Answer:
    """Ask for a device's code. The form changes nothing, so it is a GET and needs no token."""
    return _page(
        400 if problem else 200,
        "Connect a device",
        f'{_problem(problem)}<form action="/device"><label for="user_code">Code that the device shows</label>'
        f'<input id="user_code" name="user_code" value="{html.escape(user_code)}" placeholder="XXXX-XXXX" required '
        'autocomplete="off" autocapitalize="characters" autofocus><button class="first">Continue</button></form>',
    )


def _problem(text: str) -> str:
    return f'<p class="error" role="alert">{html.escape(text)}</p>' if text else ""


# --- sign-in and consent --------------------------------------------------------------------------------------------


@dataclass
class Forms:
    """Takes a person through sign-in and consent.

    Nothing is kept between the two: the address travels in the form, as anybody may be anybody here.

    Attributes:
        auto_consent: agree at once, without a page.
        default_user: who agrees then, when the request has no ``login_hint``.
    """

    auto_consent: bool = False
    default_user: str = "user@sandbox.test"
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def decide(
        self,
        *,
        action: str,
        query: Mapping[str, str],
        form: Mapping[str, str] | None,
        cookie: tuple[str, str],
        client: str,
        scopes: Iterable[str],
        question: str = "",
    ) -> Decision | Answer:
        """Return what the person decided, or the page to show next.

        Args:
            action: the address that the forms are sent to: the request's own, so that its query stays with it.
            query: the address's parameters.
            form: what was posted, or None.
            cookie: name and value of the cookie that `csrf_token` belongs to; an empty value for none.
            client: who asks.
            scopes: what for.
            question: something more to check before agreeing.
        """
        hint = query.get("login_hint", "")
        consent = query.get("sandbox_consent")
        if consent in ("allow", "deny") and _ADDRESS.fullmatch(hint):
            return Decision(hint, consent == "allow")
        if self.auto_consent:
            return Decision(hint if _ADDRESS.fullmatch(hint) else self.default_user, True)
        if form is None:
            return self._sign_in(action, cookie, client, hint)
        expected = self.csrf_token(cookie[1])
        if not cookie[1] or not hmac.compare_digest(form.get("csrf_token", "").encode(), expected.encode()):
            return message(403, "Please start again", "This form is not from this page, or cookies are off.")
        user, pressed = form.get("user", "").strip(), form.get("press")
        if not _ADDRESS.fullmatch(user):
            return self._sign_in(action, cookie, client, user, "Type an address, such as you@example.com.")
        if pressed in ("allow", "deny"):
            return Decision(user, pressed == "allow")
        return self._consent(action, cookie, client, user, scopes, question)

    def csrf_token(self, session: str) -> str:
        """Return the token that goes with a session's cookie; other sites can send the cookie but not read it."""
        return hmac.new(self._key, session.encode("utf-8", "replace"), "sha256").hexdigest()

    def _form(self, action: str, session: str, inside: str) -> str:
        """Frame a form's fields; *inside* is HTML already."""
        return (
            f'<form method="post" action="{html.escape(action)}">'
            f'<input type="hidden" name="csrf_token" value="{self.csrf_token(session)}">{inside}</form>'
        )

    def _sign_in(self, action: str, cookie: tuple[str, str], client: str, user: str, problem: str = "") -> Answer:
        name, session = cookie
        session = session or secrets.token_urlsafe(24)
        fields = (
            f'<label for="user">Mail address</label><input id="user" name="user" type="email" required autofocus '
            f'autocomplete="username" value="{html.escape(user)}"><button class="first">Sign in</button>'
        )
        return _page(
            400 if problem else 200,
            "Sign in",
            f"{_problem(problem)}<p>to continue to {html.escape(client)}</p>{self._form(action, session, fields)}",
            f"{name}={session}; Path=/; HttpOnly; SameSite=Lax",
        )

    def _consent(
        self, action: str, cookie: tuple[str, str], client: str, user: str, scopes: Iterable[str], question: str
    ) -> Answer:
        wishes = "".join(f"<li>{html.escape(_MEANINGS.get(scope, scope))}</li>" for scope in scopes)
        fields = (
            f'<input type="hidden" name="user" value="{html.escape(user)}">'
            '<button class="first" name="press" value="allow">Allow</button>'
            '<button name="press" value="deny">Deny</button>'
        )
        check = f"<p>{html.escape(question)}</p>" if question else ""
        return _page(
            200,
            f"{client} asks for access",
            f"<p>You are {html.escape(user)}. {html.escape(client)} wants to:</p><ul>{wishes}</ul>{check}"
            f"{self._form(action, cookie[1], fields)}",
        )
