"""Event loops that end when their connections have."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any


async def closed_in_full(*clients: Coroutine[Any, Any, object]) -> None:
    """Run clients and keep the loop until their connections are gone: asyncio closes TLS after aiosmtplib has quit."""
    before = open_descriptors()
    try:
        await asyncio.gather(*clients)
    finally:
        for _ in range(500):
            if open_descriptors() <= before:
                break
            await asyncio.sleep(0.01)


def open_descriptors() -> int:
    """Return how many there are; 0 where the system does not tell."""
    return len(list(Path("/dev/fd").iterdir())) if Path("/dev/fd").is_dir() else 0
