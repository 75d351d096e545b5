"""What other programs have kept of a mailbox, turned into a `Record`.

Every program has its own file. Each is recognised by what is in it, and so are files that are often taken for one of
them. Nothing here opens a file or asks anybody; nothing of a file is in an exception.
"""

from __future__ import annotations

from ._files import read
from ._forms import FORMATS
from ._found import NONE_YET, Found
from ._records import provider_of, record_of

__all__ = ["FORMATS", "NONE_YET", "Found", "provider_of", "read", "record_of"]
