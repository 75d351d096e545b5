"""What goes wrong with a folder or a file; what goes wrong with a connection is the standard library's to say."""

from __future__ import annotations

from .. import OAuthMailError

__all__ = ["FetchError", "TargetError"]


class FetchError(OAuthMailError):
    """What is asked for cannot be fetched from this server."""


class TargetError(OAuthMailError, OSError):
    """Messages cannot be kept where they are to be kept; those that were kept before are still there."""

    def __str__(self) -> str:
        # OSError's own would expect a number and a file name.
        return str(self.args[0])
