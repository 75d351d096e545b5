"""Applications and service accounts, and the files that are taken for theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oauthmail import Application, CredentialsError, ServiceAccount, load_application
from oauthmail.applications import application_from

SECRET = "s3cr3t-s3cr3t-s3cr3t"
KEY = f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"
INSTALLED = {
    "installed": {
        "client_id": "id",
        "client_secret": SECRET,
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "redirect_uris": ["http://localhost"],
    }
}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(INSTALLED, Application("id", SECRET), id="Google's, installed"),
        pytest.param(
            {
                "web": {
                    "client_id": "id",
                    "client_secret": SECRET,
                    "redirect_uris": ["https://a.example/x", "http://localhost:8080/cb"],
                }
            },
            Application("id", SECRET, redirect_uri="http://localhost:8080/cb"),
            id="Google's, web: the loopback address",
        ),
        pytest.param(
            {
                "type": "service_account",
                "client_email": "robot@p.example",
                "private_key": KEY,
                "private_key_id": "k1",
                "project_id": "p",
            },
            ServiceAccount("robot@p.example", KEY, private_key_id="k1"),
            id="service account",
        ),
        pytest.param({"client_id": "id"}, Application("id"), id="keywords, public client"),
        pytest.param(
            {"client_id": "id", "private_key": KEY, "key_id": "k"},
            Application("id", private_key=KEY, key_id="k"),
            id="keywords, with a key",
        ),
    ],
)
def test_a_file_of_a_providers_console_is_read(tmp_path: Path, values: object, expected: object) -> None:
    path = tmp_path / "client_secret.json"
    path.write_text(json.dumps(values), "utf-8")
    assert load_application(path) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            '{"type": "authorized_user", "client_id": "a", "refresh_token": "b"}', "a user's token", id="gcloud's token"
        ),
        pytest.param('{"token": "a", "refresh_token": "b", "client_id": "c"}', "a user's token", id="token.json"),
        pytest.param('{"access_token": "a", "expires_in": 1}', "answer of a token endpoint", id="token answer"),
        pytest.param('{"type": "external_account"}', "workload identity", id="workload identity"),
        pytest.param('{"api_key": "a"}', "expected a client secret file", id="something else"),
        pytest.param('{"installed": {}}', "no client_id", id="empty form"),
        pytest.param("[1]", "a JSON object, not list", id="list"),
        pytest.param("-----BEGIN PRIVATE KEY-----", "is not JSON", id="PEM"),
        pytest.param("", "is not JSON", id="empty"),
    ],
)
def test_a_file_of_the_wrong_kind_is_recognised(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "some.json"
    path.write_text(content, "utf-8")
    with pytest.raises(CredentialsError, match=rf"some\.json.*{message}"):
        load_application(path)


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    path.write_bytes(b" " * (2 << 20))
    with pytest.raises(CredentialsError, match="is not JSON"):
        load_application(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: Application(""), "client_id is empty", id="no client id"),
        pytest.param(
            lambda: Application("id", "a\nb"), "client_secret has a control character", id="line end in a secret"
        ),
        pytest.param(lambda: Application("id", private_key=SECRET), "must be PEM", id="no PEM"),
        pytest.param(lambda: Application("id", certificate=KEY), "BEGIN CERTIFICATE", id="key for a certificate"),
        pytest.param(
            lambda: Application("id", private_key="-----BEGIN ENCRYPTED PRIVATE KEY-----"),
            "openssl pkey",
            id="encrypted",
        ),
        pytest.param(lambda: ServiceAccount("robot@p.example", ""), "private_key is empty", id="no key"),
        pytest.param(lambda: application_from({"client_id": 1}), "client_id must be a str", id="number"),
    ],
)
def test_an_unusable_value_is_refused_with_its_reason(make: Any, message: str) -> None:
    with pytest.raises(CredentialsError, match=message):
        make()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Application("id", SECRET, private_key=KEY), id="application"),
        pytest.param(ServiceAccount("robot@p.example", KEY), id="service account"),
    ],
)
def test_repr_shows_no_secret(value: object) -> None:
    assert SECRET not in repr(value)


def test_a_refused_value_is_in_no_local_variable_of_the_traceback() -> None:
    with pytest.raises(CredentialsError) as caught:
        Application("id", SECRET + "\n")
    frames = []
    traceback = caught.value.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    ours = [
        frame
        for frame in frames
        if "oauthmail" in str(frame.f_globals["__name__"]) and frame.f_code.co_name != "__init__"
    ]
    assert [frame for frame in ours if SECRET in repr(frame.f_locals)] == []
