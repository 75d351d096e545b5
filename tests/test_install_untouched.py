"""With `oauthmail.install` in effect, logins of mailboxes that are not set up are the standard library's own."""

from __future__ import annotations

import contextlib
import random
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oauthmail import FileStore, MemoryStore
from oauthmail.installed import install

from .installing import PASSWORD, USER, Client, Server, close, connected, leave
from .scripted import Certificates, scripted


def smtp(client: Client) -> Any:
    return client.login(USER, PASSWORD)


def smtp_without_initial_response(client: Client) -> Any:
    return client.login(USER, PASSWORD, initial_response_ok=False)


def imap(client: Client) -> Any:
    return client.login(USER, PASSWORD), client.select(), client.noop()


def imap_cram_md5(client: Client) -> Any:
    return client.login_cram_md5(USER, PASSWORD)


def imap_octets(client: Client) -> Any:
    return client.login(USER.encode(), PASSWORD)


def pop(client: Client) -> Any:
    return client.user(USER), client.pass_(PASSWORD), client.stat()


def pop_apop(client: Client) -> Any:
    return client.apop(USER, PASSWORD)


def pop_rpop(client: Client) -> Any:
    return client.rpop(USER)


def without_a_password(client: Client) -> Any:
    return client.login(USER)


def without_anything(client: Client) -> Any:
    return client.login()


def without_a_user(client: Client) -> Any:
    return client.user()


def with_more(client: Client) -> Any:
    return client.login(USER, PASSWORD, 1, 2)


def with_no_text(client: Client) -> Any:
    return client.login(None, None)


CONVERSATIONS = [
    pytest.param("smtp", "PLAIN LOGIN", smtp, id="smtp plain"),
    pytest.param("smtp", "LOGIN", smtp, id="smtp login"),
    pytest.param("smtp", "CRAM-MD5 PLAIN", smtp, id="smtp cram-md5"),
    pytest.param("smtp", "PLAIN", smtp_without_initial_response, id="smtp two steps"),
    pytest.param("smtp", "XOAUTH2", smtp, id="smtp nothing usable"),
    pytest.param("smtp", "PLAIN", without_a_password, id="smtp no password"),
    pytest.param("smtp", "PLAIN", without_anything, id="smtp nothing"),
    pytest.param("smtp", "PLAIN", with_more, id="smtp too much"),
    pytest.param("smtp", "PLAIN", with_no_text, id="smtp None"),
    pytest.param("imap", "XOAUTH2", imap, id="imap"),
    pytest.param("imap", "CRAM-MD5", imap_cram_md5, id="imap cram-md5"),
    pytest.param("imap", "XOAUTH2", imap_octets, id="imap octets"),
    pytest.param("imap", "XOAUTH2", without_a_password, id="imap no password"),
    pytest.param("imap", "XOAUTH2", with_no_text, id="imap None"),
    pytest.param("pop", "XOAUTH2", pop, id="pop"),
    pytest.param("pop", "XOAUTH2", pop_apop, id="pop apop"),
    pytest.param("pop", "XOAUTH2", pop_rpop, id="pop rpop"),
    pytest.param("pop", "XOAUTH2", without_a_user, id="pop no user"),
]


def hold(
    protocol: str, talk: Callable[[Client], Any], way: str, make: Callable[[], Server]
) -> tuple[object, list[bytes], list[list[bytes]]]:
    """Return what a conversation comes to, what the server received, and in which packets."""
    # Tags of IMAP are random.
    random.seed(1)
    with scripted(make()) as server:
        client = connected(protocol, server.port, way)
        before = set(vars(client))
        result: object
        try:
            result = talk(client), set(vars(client)) - before
            leave(protocol, client)
        except Exception as error:
            # With whatever came before it, and where in the standard library it was raised.
            frames = [
                frame.name for frame in traceback.extract_tb(error.__traceback__) if "lib/python" in frame.filename
            ]
            result = type(error), error.args, str(error), error.__cause__, repr(error.__context__), frames
            close(protocol, client)
    return result, server.received, [line.packets for line in server.lines] if way == "plain" else []


@pytest.mark.parametrize("accept", [True, False], ids=["accepted", "refused"])
@pytest.mark.parametrize("way", ["plain", "starttls", "tls"])
@pytest.mark.parametrize(("protocol", "auth", "talk"), CONVERSATIONS)
def test_bytes_results_and_exceptions_are_the_standard_librarys(
    certificates: Certificates, protocol: str, auth: str, talk: Callable[[Client], Any], way: str, accept: bool
) -> None:
    tls = None if way == "plain" else certificates.server("localhost")

    def make() -> Server:
        return Server(protocol, tls, implicit=way == "tls", accept=accept, auth=auth)

    alone = hold(protocol, talk, way, make)
    with install(store=MemoryStore()):
        assert hold(protocol, talk, way, make) == alone


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with install(store=FileStore(tmp_path / "home")), scripted(Server("pop")) as server:
        client = connected("pop", server.port, "plain")
        pop(client)
        close("pop", client)
    assert list(tmp_path.iterdir()) == []


def test_mailboxes_that_are_not_meant_are_not_looked_up() -> None:
    class Broken(MemoryStore):
        def stamp(self, address: str) -> object:
            raise AssertionError(f"{address} was looked up")

    with install(store=Broken(), only=["other@example.com"]), scripted(Server("pop")) as server:
        client = connected("pop", server.port, "plain")
        with contextlib.closing(client):
            assert pop(client)[0] == b"+OK 0 0"
