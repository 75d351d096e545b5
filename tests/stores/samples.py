"""Records to keep, and what is seen of them where nothing should be."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from oauthmail.applications import Application, ServiceAccount
from oauthmail.credentials import OAuth1Credentials, OAuth2Credentials
from oauthmail.records import Record

ADDRESS = "me@example.com"
# As long as Microsoft's are, and different in every piece.
LENGTH = 2500
_PEM = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQ/ABC+\n" * 100 + "-----END PRIVATE KEY-----\n"


def record_number(number: int, address: str = ADDRESS) -> Record:
    """Return a record all of whose tokens say *number*."""
    return Record(
        address,
        "google",
        "authorization_code",
        Application("client-id", "client-secret"),
        OAuth2Credentials(token("access", number), refresh_token=token("refresh", number), expires_at=float(number)),
        scope=("mail",),
    )


def token(kind: str, number: int) -> str:
    """Return a long token that says *number* all over."""
    return "".join(f"{kind}{place}.{number:04}-" for place in range(LENGTH // 14))


def number_of(record: Record | None) -> int:
    """Return the number of a record, if all of it says the same."""
    assert record is not None
    assert isinstance(record.credentials, OAuth2Credentials)
    assert record == record_number(int(record.credentials.expires_at or 0), record.address)
    return int(record.credentials.expires_at or 0)


VARIETY = {
    "OAuth 2": record_number(1),
    "OAuth 1.0a": Record(
        ADDRESS, "yahoo", "oauth1", Application("key", "secret"), OAuth1Credentials("key", "secret", "token", "other")
    ),
    "service account": Record(ADDRESS, "google", "service_account", ServiceAccount("robot@example.com", _PEM)),
    "nothing but an address": Record(ADDRESS, "google", "device"),
    "everything": Record(
        ADDRESS,
        "own",
        "client_credentials",
        Application("client-id", private_key=_PEM, key_id="kid"),
        OAuth2Credentials("t" * 9000, refresh_token="ü\U0001f511\u2028" * 300, id_token="i" * 3000),
        user="somebody@example.com",
        tenant="contoso",
        scope=("one", "two"),
        definition={"id": "own", "servers": {"smtp": ["mail.example.com", 465]}},
        renew_ahead=600,
        authorized_at=1.5,
        renewed_at=2.5,
    ),
    # A server can send this in JSON.
    "a lone surrogate": Record(ADDRESS, "own", "device", None, OAuth2Credentials("t", refresh_token="\ud800")),
}

ADDRESSES = {
    "parent folder": "..",
    "hidden": ".hidden@example.com",
    "device": "con",
    "device with a dot": "com1.x@example.com",
    "slashes": "../../a/b\\c@example.com",
    "unicode": "ünïcode\U0001f4e7@exämple.com",
    "decomposed": "u\u0308@example.com",
    "percent": "a%2fb@example.com",
    "space and quotes": '"a b" <c\'d>@example.com',
    "punctuation": "a+b_c-d=e~f!g#h$i*j?k|l@example.com",
    "like a lock": "me@example.com.lock",
    "like a record": "me@example.com.json",
    "long": "a" * 240 + "@example.com",
    "long with capitals": "A" * 240 + "@Example.com",
    "long unicode": "ü" * 200 + "@example.com",
}


def mode_of(path: str | Path) -> int:
    """Return the permissions of a file or folder."""
    return stat.S_IMODE(Path(path).lstat().st_mode)


def shown_by(error: BaseException) -> str:
    """Return all that an exception shows: its texts and the local variables of every frame but the tests'."""
    return "\n".join(_shown(error))


def _shown(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield f"{error}\n{error!r}\n{error.args}\n{vars(error)}"
        traceback = error.__traceback__
        while traceback is not None:
            if not str(traceback.tb_frame.f_globals["__name__"]).startswith("tests."):
                yield repr(traceback.tb_frame.f_locals)
            traceback = traceback.tb_next
        error = error.__cause__ or error.__context__
