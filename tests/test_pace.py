"""How many messages are asked for before the first of them has arrived."""

from __future__ import annotations

import pytest

from oauthmail._pace import Pace

KIB = 1 << 10
MIB = 1 << 20


@pytest.mark.parametrize(
    ("most", "counted", "under_way"),
    [
        pytest.param(4096, [], 1024, id="nothing is known"),
        pytest.param(100, [], 100, id="few are allowed"),
        pytest.param(4096, [(0, 0)], 1024, id="none came"),
        pytest.param(4096, [(10, 0)], 4096, id="they are empty"),
        pytest.param(4096, [(256, 256 * 4 * KIB)], 1024, id="4 MiB of 4 KiB"),
        pytest.param(4096, [(2, 2 * 64 * MIB)], 1, id="one is more than 4 MiB"),
        pytest.param(4096, [(4, 4 * MIB), (4, 8 * MIB)], 2, id="larger ones count at once"),
        pytest.param(4096, [(4, 8 * MIB), (4, 0), (4, 0)], 8, id="smaller ones by and by"),
    ],
)
def test_4_mib_are_under_way(most: int, counted: list[tuple[int, int]], under_way: int) -> None:
    pace = Pace(most)
    for messages, octets in counted:
        pace.count(messages, octets)
    assert (pace.under_way, pace.window) == (under_way, max(under_way // 4, 1))
