"""What can be told of a file that is no Python of any version, line by line: findings without changes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .findings import Finding
from .hosts import password_message
from .python2 import tokens

__all__ = ["scan"]

_CLASSES = "SMTP_SSL|SMTP|IMAP4_SSL|IMAP4|POP3_SSL|POP3"
_IMPORTED = re.compile(rf"\bfrom\s+(?:smtplib|imaplib|poplib)\s+import\b[^\r\n]{{0,300}}\b(?:{_CLASSES})\b")
_AS = re.compile(r"\bimport\s+(?:[\w.]+\s*,\s*)*(?:smtplib|imaplib|poplib)\s+as\s+(\w+)")
_MADE = r"(?P<target>[\w.]{{1,80}})\s*=\s*(?:(?:{modules})\s*\.\s*)(?:{classes})\s*\("
_WITH = (
    r"\bwith\b[^\r\n]{{0,100}}\b(?:{modules})\s*\.\s*(?:{classes})\s*\([^\r\n]{{0,300}}\)\s*as\s+(?P<target>\w{{1,80}})"
)
_LOGIN = re.compile(r"(?<![\w.])(?P<target>[\w.]{1,80})\.(?P<method>login|pass_|login_cram_md5|apop)\s*\(")
_BY_HAND = re.compile(r"\.(docmd|auth|authenticate|_shortcmd)\s*\([^\r\n]{0,300}?\b(XOAUTH2|OAUTHBEARER)\b")
_LEGACY = re.compile(r"^[ \t]*(?:from|import)\s+oauth2\.clients\b|\bbuild_xoauth_string\s*\(", re.MULTILINE)
_GOOGLE = re.compile(r"\b(?:GenerateOAuth2String|generate_oauth2_string|GenerateXOauthString)\s*\(")
_TLS = re.compile(
    r"\b_create_unverified_context\b|\bverify_mode\s*=\s*(?:ssl\.)?CERT_NONE|\bcheck_hostname\s*=\s*False"
)
_BROKEN = "this file is no Python that can be read: "
_BY_OAUTH = "authenticate_oauth(user, oauthmail.Account(user)) with oauthmail's class"


def scan(text: str) -> Iterator[Finding]:
    """Find what can be found without a syntax tree."""
    code = _code(text)
    clients = _clients(code)
    for match in _LOGIN.finditer(code):
        if match["target"] in clients:
            yield Finding(match.start("method"), "password-login", _BROKEN + password_message(()), _BY_OAUTH)
    for match in _BY_HAND.finditer(text):
        # In a comment or a string it is no call.
        if code[match.start()] == ".":
            message = f"{_BROKEN}{match[2]} is put together by hand here"
            yield Finding(match.start(1), "sasl-by-hand", message, _BY_OAUTH)
    for rule, pattern, what, advice in (
        ("python-oauth2", _LEGACY, "python-oauth2's XOAUTH for mail is in use", "oauthmail.compat.oauth2"),
        ("google-script", _GOOGLE, "Google's script, or a copy, is in use", "oauthmail.compat.google"),
        ("unverified-tls", _TLS, "TLS does not check the server", "ssl.create_default_context(), unchanged"),
    ):
        for match in pattern.finditer(code):
            yield Finding(match.start(), rule, _BROKEN + what, advice)


def _code(text: str) -> str:
    """Return *text* with blanks in place of comments and strings."""
    blank = {"string", "comment"}
    return "".join(re.sub(r"[^\r\n]", " ", piece.text) if piece.kind in blank else piece.text for piece in tokens(text))


def _clients(code: str) -> frozenset[str]:
    """Return the names that mail clients are assigned to."""
    modules = ["smtplib", "imaplib", "poplib", *_AS.findall(code)]
    patterns = [pattern.format(modules="|".join(modules), classes=_CLASSES) for pattern in (_MADE, _WITH)]
    if _IMPORTED.search(code):
        patterns.append(rf"(?P<target>[\w.]{{1,80}})\s*=\s*(?:{_CLASSES})\s*\(")
    return frozenset(match["target"] for pattern in patterns for match in re.finditer(pattern, code))
