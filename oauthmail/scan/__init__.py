r"""Reads Python sources for mail logins that stopped working, or soon will, and changes them where that is certain.

>>> report = scan_source(b"import smtplib\nsmtplib.SMTP_SSL(host).login(user, password)\n")
>>> [(found.line, found.rule) for found in report.found]
[(2, 'unverified-tls'), (2, 'password-login')]

Nothing is imported or run. ``oauthmail scan`` prints the same for files and folders.
"""

from __future__ import annotations

from .files import python_files, write
from .findings import RULES
from .report import FileReport, Found, scan_source

__all__ = ["RULES", "FileReport", "Found", "python_files", "scan_source", "write"]
