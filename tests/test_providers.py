"""The provider table, look-up in it, and providers of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oauthmail import CredentialsError
from oauthmail.providers import PROTOCOLS, Provider, Server, custom, for_address, get, load, providers

WITH_OAUTH = [provider for provider in providers() if provider.oauth]


def ids(provider: Provider) -> str:
    return provider.id


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        pytest.param("me@gmail.com", "google", id="Gmail"),
        pytest.param("me@GoogleMail.com", "google", id="upper case"),
        pytest.param("me@contoso.onmicrosoft.com", "microsoft365", id="subdomain"),
        pytest.param("me@hotmail.com.", "outlook_com", id="trailing dot"),
        pytest.param("me@aol.com", "aol", id="AOL"),
        pytest.param("me@notgmail.com", None, id="only the end is the same"),
        pytest.param("me@example.org", None, id="a company's domain"),
        pytest.param("nobody", None, id="no domain"),
    ],
)
def test_a_mail_domain_tells_the_provider(address: str, expected: str | None) -> None:
    found = for_address(address)
    assert (found and found.id) == expected


def test_an_unknown_id_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(CredentialsError, match=r"'goggle'; there are google, microsoft365"):
        get("goggle")


def test_no_two_entries_share_an_id_or_a_domain() -> None:
    names = [name for provider in providers() for name in (provider.id, *provider.domains)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("provider", providers(), ids=ids)
def test_every_entry_names_its_sources(provider: Provider) -> None:
    assert provider.sources


@pytest.mark.parametrize("provider", WITH_OAUTH, ids=ids)
def test_every_endpoint_is_https(provider: Provider) -> None:
    endpoints = [
        provider.authorization_endpoint,
        provider.token_endpoint,
        provider.device_authorization_endpoint,
        provider.revocation_endpoint,
        provider.discovery,
    ]
    assert [found for found in endpoints if found is not None and not found.startswith("https://")] == []


@pytest.mark.parametrize("provider", WITH_OAUTH, ids=ids)
def test_every_provider_with_oauth_can_issue_tokens_for_something(provider: Provider) -> None:
    assert (provider.token_endpoint is not None, provider.scope() != ()) == (True, True)


@pytest.mark.parametrize("provider", [found for found in providers() if not found.oauth], ids=ids)
def test_a_provider_without_oauth_says_what_there_is_instead(provider: Provider) -> None:
    assert provider.note


@pytest.mark.parametrize("provider", providers(), ids=ids)
def test_a_definition_makes_the_same_provider_again(provider: Provider) -> None:
    assert custom(**provider.definition()) == provider


def test_the_table_names_no_client() -> None:
    text = Path(__file__).parent.parent.joinpath("oauthmail", "providers.json").read_text("utf-8")
    assert [word for word in ("apps.googleusercontent.com", "GOCSPX", '"client_id"') if word in text] == []


@pytest.mark.parametrize(
    ("provider", "protocols", "expected"),
    [
        pytest.param("google", PROTOCOLS, ("https://mail.google.com/",), id="one for all three, once"),
        pytest.param(
            "microsoft365", ("smtp",), ("https://outlook.office.com/SMTP.Send", "offline_access"), id="offline as scope"
        ),
        pytest.param("yandex", ("imap", "pop"), ("mail:imap_full",), id="a protocol without OAuth adds nothing"),
        pytest.param(
            "thundermail", ("imap",), ("openid", "profile", "email", "offline_access"), id="offline is not doubled"
        ),
    ],
)
def test_scopes_follow_the_protocols(provider: str, protocols: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert get(provider).scope(protocols) == expected


def test_a_protocol_that_has_no_scope_at_all_is_refused() -> None:
    with pytest.raises(CredentialsError, match="Yandex Mail has no OAuth scope for pop"):
        get("yandex").scope(["pop"])


@pytest.mark.parametrize(
    ("tenant", "expected"),
    [
        pytest.param(None, "common", id="none"),
        pytest.param("consumers", "consumers", id="name"),
        pytest.param("contoso.onmicrosoft.com", "contoso.onmicrosoft.com", id="domain"),
    ],
)
def test_a_tenant_is_filled_in(tenant: str | None, expected: str) -> None:
    found = get("microsoft365").with_tenant(tenant)
    assert found.token_endpoint == f"https://login.microsoftonline.com/{expected}/oauth2/v2.0/token"


@pytest.mark.parametrize("tenant", ["", "a/b", "..", "a?b", "evil.example/", "a b", "{tenant}"])
def test_a_tenant_cannot_change_the_address_around_it(tenant: str) -> None:
    with pytest.raises(CredentialsError, match="a tenant is"):
        get("microsoft365").with_tenant(tenant)


def test_a_tenant_for_a_provider_without_tenants_is_refused() -> None:
    with pytest.raises(CredentialsError, match="has no tenants"):
        get("google").with_tenant("common")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("mail.example", Server("mail.example", 993, "tls"), id="host"),
        pytest.param("mail.example:143", Server("mail.example", 143, "starttls"), id="port tells the security"),
        pytest.param("mail.example:10993", Server("mail.example", 10993, "tls"), id="a port of one's own"),
        pytest.param(
            {"host": "mail.example", "security": "starttls"}, Server("mail.example", 143, "starttls"), id="no port"
        ),
        pytest.param(Server("mail.example", 1, "tls"), Server("mail.example", 1, "tls"), id="Server"),
    ],
)
def test_a_server_can_be_written_in_short(given: Any, expected: Server) -> None:
    assert custom(imap=given).imap == (expected,)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        pytest.param({"smpt": "mail.example"}, "no 'smpt'; it has id, name", id="misspelt"),
        pytest.param({"smtp": {"host": "h", "port": 0}}, "the port of a server of smtp", id="port 0"),
        pytest.param({"smtp": {"host": "h", "port": "25"}}, "the port of a server of smtp", id="port as text"),
        pytest.param({"smtp": {"host": "h", "security": "none"}}, "tls or starttls", id="no security"),
        pytest.param({"smtp": {"name": "h"}}, "has host, port and security", id="another member"),
        pytest.param({"smtp": 25}, "a server or a list", id="number for a server"),
        pytest.param({"imap": "a\nb"}, "control character", id="line end in a host"),
        pytest.param({"scopes": {"jmap": "mail"}}, "scopes are given by protocol", id="unknown protocol"),
        pytest.param({"scopes": [1]}, "scopes must be text", id="scopes of numbers"),
        pytest.param({"token_endpoint": 1}, "token_endpoint must be a str", id="endpoint of another kind"),
        pytest.param({"jwt_bearer": "yes"}, "jwt_bearer must be true or false", id="text for yes"),
        pytest.param({"renew_ahead": -1}, "renew_ahead", id="renewed too late"),
        pytest.param({"id": ""}, "id is empty", id="no id"),
    ],
)
def test_an_unusable_definition_is_refused_with_its_reason(definition: dict[str, Any], message: str) -> None:
    with pytest.raises(CredentialsError, match=message):
        custom(**definition)


def test_one_list_of_scopes_stands_for_all_protocols() -> None:
    assert custom(scopes="mail offline_access").scopes == dict.fromkeys(PROTOCOLS, ("mail", "offline_access"))


def test_a_toml_file_describes_a_provider(tmp_path: Path) -> None:
    path = tmp_path / "example.toml"
    path.write_text(
        'domains = ["example.org"]\nsmtp = "mail.example.org:587"\nscopes = "mail"\n'
        'token_endpoint = "https://auth.example.org/token"\n',
        "utf-8",
    )
    assert load(path) == custom(
        id="example",
        domains=["example.org"],
        smtp={"host": "mail.example.org", "port": 587, "security": "starttls"},
        scopes="mail",
        token_endpoint="https://auth.example.org/token",
    )


@pytest.mark.parametrize("content", [b"id = ", b"\xff\xfe", b'{"id": 1}'])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(CredentialsError, match=r"broken\.toml is not a TOML file"):
        load(path)
