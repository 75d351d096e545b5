"""``python -m oauthmail.compat.google``: the command line of Google's ``oauth2.py``."""

from __future__ import annotations

import sys

from .oauth2 import main

if __name__ == "__main__":
    sys.exit(main())
