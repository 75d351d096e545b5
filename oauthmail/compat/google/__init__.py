"""Google's ``oauth2.py`` and ``xoauth.py``, and what well-known blogs made of them, for Python 3 and today's Google.

>>> import oauthmail.compat.google as oauth2

in place of ``import oauth2`` where that is Google's script, or of the functions that were copied from it. They take and
return what they did; the redirect that asked people to copy a code, which Google has switched off, is one to this
machine. For ``xoauth.py`` it is ``import oauthmail.compat.google.xoauth as xoauth``: two of its functions are called
like two of ``oauth2.py`` and take other arguments, and those of ``oauth2.py`` are the ones that are found here.

``python -m oauthmail.compat.google`` and ``python -m oauthmail.compat.google.xoauth`` are the scripts' command lines.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .oauth2 import (
        AccountsUrl,
        AuthorizeTokens,
        FormatUrlParams,
        GenerateOAuth2String,
        GeneratePermissionUrl,
        RefreshToken,
        TestImapAuthentication,
        TestSmtpAuthentication,
        UrlEscape,
        UrlUnescape,
        call_authorize_tokens,
        call_refresh_token,
        command_to_url,
        generate_oauth2_string,
        generate_permission_url,
        get_authorization,
        refresh_authorization,
        send_mail,
        test_imap,
        test_smpt,
        test_smtp,
        url_escape,
        url_format_params,
        url_unescape,
    )
    from .oauth2 import main as main
    from .xoauth import (
        EscapeAndJoin,
        FillInCommonOauthParams,
        GenerateHmacSha1Signature,
        GenerateOauthSignature,
        GenerateRequestToken,
        GenerateSignatureBaseString,
        GenerateXOauthString,
        GetAccessToken,
        GoogleAccountsUrlGenerator,
        OAuthEntity,
        ParseUrlParamString,
    )

    GOOGLE_ACCOUNTS_BASE_URL: str
    GOOGLE_CLIENT_ID: str | None
    GOOGLE_CLIENT_SECRET: str | None
    GOOGLE_REFRESH_TOKEN: str | None
    IMAP_HOSTNAME: str
    REDIRECT_URI: str | None
    SMTP_HOSTNAME: str

# No settings, and no command line: "import *" must not put them in place of a script's own.
__all__ = [
    "AccountsUrl",
    "AuthorizeTokens",
    "EscapeAndJoin",
    "FillInCommonOauthParams",
    "FormatUrlParams",
    "GenerateHmacSha1Signature",
    "GenerateOAuth2String",
    "GenerateOauthSignature",
    "GeneratePermissionUrl",
    "GenerateRequestToken",
    "GenerateSignatureBaseString",
    "GenerateXOauthString",
    "GetAccessToken",
    "GoogleAccountsUrlGenerator",
    "OAuthEntity",
    "ParseUrlParamString",
    "RefreshToken",
    "TestImapAuthentication",
    "TestSmtpAuthentication",
    "UrlEscape",
    "UrlUnescape",
    "call_authorize_tokens",
    "call_refresh_token",
    "command_to_url",
    "generate_oauth2_string",
    "generate_permission_url",
    "get_authorization",
    "refresh_authorization",
    "send_mail",
    "test_imap",
    "test_smpt",
    "test_smtp",
    "url_escape",
    "url_format_params",
    "url_unescape",
]

_SETTINGS = (
    "GOOGLE_ACCOUNTS_BASE_URL",
    "GOOGLE_CLIENT_ID",
    "GOOGLE_CLIENT_SECRET",
    "GOOGLE_REFRESH_TOKEN",
    "IMAP_HOSTNAME",
    "REDIRECT_URI",
    "SMTP_HOSTNAME",
)
_COMMAND_LINE = frozenset({"RequireOptions", "SetupOptionParser", "main"})
_XOAUTH = frozenset(
    {
        "EscapeAndJoin",
        "FillInCommonOauthParams",
        "GenerateHmacSha1Signature",
        "GenerateOauthSignature",
        "GenerateRequestToken",
        "GenerateSignatureBaseString",
        "GenerateXOauthString",
        "GetAccessToken",
        "GoogleAccountsUrlGenerator",
        "OAuthEntity",
        "ParseUrlParamString",
    }
)


def __getattr__(name: str) -> object:
    # Only when asked for, so that `python -m` finds the module that it runs not imported yet.
    if name not in __all__ and name not in _COMMAND_LINE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(".xoauth" if name in _XOAUTH else ".oauth2", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_COMMAND_LINE, *_SETTINGS})


class _Setting:
    """One of the script's settings, which there is once, whatever it is reached through."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, package: object, owner: type | None = None) -> object:
        return getattr(importlib.import_module(".oauth2", __name__), self._name)

    def __set__(self, package: object, value: object) -> None:
        setattr(importlib.import_module(".oauth2", __name__), self._name, value)


if not TYPE_CHECKING:
    # Who imports this package under the script's name sets the script's settings here.
    sys.modules[__name__].__class__ = type(
        "_Package", (types.ModuleType,), {name: _Setting(name) for name in _SETTINGS}
    )
