"""Fixtures of the tests with clients that are not ours."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

import pytest

from oauthmail.sandbox import Sandbox
from oauthmail.sandbox.personality import PERSONALITIES
from oauthmail.testing import Mailbox

Like = Callable[[str], Sandbox]


@pytest.fixture(scope="session")
def like() -> Iterator[Like]:
    """Sandboxes by the provider that they resemble; each is started when first asked for and serves all tests."""
    with contextlib.ExitStack() as stack:
        yield functools.cache(lambda name: stack.enter_context(Sandbox(like=name)))


@pytest.fixture(scope="session")
def sandbox(like: Like) -> Sandbox:
    return like("generic")


@pytest.fixture(params=sorted(PERSONALITIES))
def provider(like: Like, request: pytest.FixtureRequest) -> Sandbox:
    return like(request.param)


@pytest.fixture
def mailbox(sandbox: Sandbox) -> Iterator[Mailbox]:
    """A fresh user; faults end with the test."""
    yield Mailbox(sandbox)
    sandbox.clear_faults()
