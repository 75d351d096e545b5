"""Programs as they were written for passwords, with a host, a port, a user and a password to fill in.

None of them knows of OAuth; they have what such programs have: no context for TLS, no timeout, ``except`` clauses for
the standard library's exceptions only, and helpers in a module beside them.
"""

from __future__ import annotations

from pathlib import Path

#: Sends a report, as cron starts it.
REPORT = """\
#!/usr/bin/env python3
# -*- coding: latin-1 -*-
import smtplib, ssl, sys
from email.mime.text import MIMEText

HOST, PORT, USER, PASSWORD = {host!r}, {smtps}, {user!r}, {password!r}

msg = MIMEText("Umsatz: 12\\xa0EUR \xe4\\n", _charset="utf-8")
msg["Subject"] = " ".join(sys.argv[1:]) or "Report"
msg["From"] = USER
msg["To"] = USER

try:
    server = smtplib.SMTP_SSL(HOST, PORT)
    server.set_debuglevel(1)
    server.ehlo()
    server.login(USER, PASSWORD)
    server.sendmail(USER, [USER], msg.as_string())
    server.close()
    print("Email sent!")
except smtplib.SMTPAuthenticationError as e:
    print("login failed:", e.smtp_code, e.smtp_error.decode())
    sys.exit(3)
"""

#: Reads what is new, and says what it found.
FETCH_IMAP = """\
import email, getpass, imaplib, os

HOST, PORT, USER, PASSWORD = {host!r}, {imaps}, {user!r}, {password!r}

if __name__ == '__main__':
    conn = imaplib.IMAP4_SSL(HOST, PORT)
    try:
        (retcode, capabilities) = conn.login(USER, PASSWORD)
    except imaplib.IMAP4.error as error:
        raise SystemExit("login failed: %s" % error)
    assert conn.state == "AUTH"
    conn.select("INBOX", readonly=1)
    (retcode, messages) = conn.search(None, '(UNSEEN)')
    if retcode == 'OK':
        for num in messages[0].split(b' '):
            typ, data = conn.fetch(num, '(RFC822)')
            for response_part in data:
                if isinstance(response_part, tuple):
                    original = email.message_from_bytes(response_part[1])
                    print(original['Subject'])
    conn.close()
    conn.logout()
"""

#: Empties a mailbox over POP3, STLS or not.
FETCH_POP = """\
import poplib, sys
from email import parser

from settings import HOST, PORT, USER, PASSWORD

def main():
    M = poplib.POP3_SSL(HOST, PORT)
    M.set_debuglevel(2)
    print(M.getwelcome())
    M.user(USER)
    M.pass_(PASSWORD)
    numMessages = len(M.list()[1])
    for i in range(numMessages):
        text = b"\\n".join(M.retr(i+1)[1])
        print(parser.BytesParser().parsebytes(text)["Subject"])
        M.dele(i+1)
    M.quit()
    return numMessages

if __name__ == "__main__":
    sys.exit(0 if main() else 1)
"""

SETTINGS = """\
HOST, PORT, USER, PASSWORD = {host!r}, {pop3s}, {user!r}, {password!r}
"""

#: Mails its errors.
LOG_ERRORS = """\
import logging
import logging.handlers

logging.basicConfig()
handler = logging.handlers.SMTPHandler(
    mailhost=({host!r}, {smtp}),
    fromaddr={user!r},
    toaddrs=[{user!r}],
    subject="Application error",
    credentials=({user!r}, {password!r}),
    secure=(),
)
handler.setLevel(logging.ERROR)
logging.getLogger().addHandler(handler)

try:
    1 / 0
except ZeroDivisionError:
    logging.exception("it broke")
"""

SCRIPTS = {
    "report.py": REPORT,
    "fetch_imap.py": FETCH_IMAP,
    "fetch_pop.py": FETCH_POP,
    "settings.py": SETTINGS,
    "log_errors.py": LOG_ERRORS,
}


def write(folder: Path, **values: object) -> None:
    """Write all of them to *folder*.

    Args:
        folder: is there.
        values: ``host``, ``user``, ``password``, and ports as ``smtp``, ``smtps``, ``imaps``, ``pop3s``.
    """
    for name, text in SCRIPTS.items():
        # They say what their encoding is, or are ASCII.
        (folder / name).write_text(text.format(**values), "latin-1")
