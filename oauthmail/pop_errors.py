"""What `oauthmail` raises when a POP3 server does not let somebody in; each is an exception of `poplib` too."""

from __future__ import annotations

import poplib

from .errors import AuthenticationError, MechanismError

__all__ = ["POPMechanismError", "POPOAuthError"]


class POPOAuthError(AuthenticationError, poplib.error_proto):
    """A POP3 server refused; ``except poplib.error_proto`` sees it too."""


class POPMechanismError(MechanismError, poplib.error_proto):
    """A POP3 server offers no usable mechanism; ``except poplib.error_proto`` sees it too."""
