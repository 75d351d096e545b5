"""OAuth 1.0a signatures against printed vectors and against oauthlib."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from pathlib import Path
from typing import Any

import oauthlib.oauth1
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauthmail.credentials import OAuth1Credentials
from oauthmail.errors import CredentialsError
from oauthmail.signing import (
    base_string_uri,
    normalized_parameters,
    oauth10a_header,
    percent_encode,
    request_url,
    sign_hmac_sha1,
    signature_base_string,
    xoauth_string,
)

# Each vector was computed by independent implementations; "agreed_by" in the file names them.
VECTORS = json.loads((Path(__file__).parent / "vectors" / "xoauth_vectors.json").read_text("utf-8"))
XOAUTH = [pytest.param(vector, id=vector["id"]) for vector in VECTORS["xoauth"]]
OAUTH10A = [pytest.param(vector, id=vector["id"]) for vector in VECTORS["oauth10a"]]

Vector = dict[str, Any]


def credentials(vector: Vector) -> OAuth1Credentials:
    return OAuth1Credentials(
        vector["consumer_key"], vector["consumer_secret"], vector["token"], vector["token_secret"] or ""
    )


def oauth_parameters(vector: Vector) -> list[tuple[str, str]]:
    pairs = {
        "oauth_consumer_key": vector["consumer_key"],
        "oauth_nonce": vector["nonce"],
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": vector["timestamp"],
        "oauth_token": vector["token"],
        "oauth_version": vector.get("oauth_version", vector.get("version")),
    }
    return [(name, value) for name, value in pairs.items() if value is not None]


@pytest.mark.parametrize("vector", XOAUTH)
def test_base_string_uri_is_the_printed_one(vector: Vector) -> None:
    assert base_string_uri(vector["url"]) == vector["base_string_uri"]


@pytest.mark.parametrize("vector", XOAUTH)
def test_normalized_parameters_are_the_printed_ones(vector: Vector) -> None:
    query = urllib.parse.parse_qsl(urllib.parse.urlsplit(vector["url"]).query, keep_blank_values=True)
    assert normalized_parameters([*query, *oauth_parameters(vector)]) == vector["normalized_parameters"]


@pytest.mark.parametrize("vector", XOAUTH)
def test_base_string_is_the_printed_one(vector: Vector) -> None:
    assert signature_base_string(vector["method"], vector["url"], oauth_parameters(vector)) == vector["base_string"]


@pytest.mark.parametrize("vector", XOAUTH + OAUTH10A)
def test_signature_is_the_printed_one(vector: Vector) -> None:
    signature = sign_hmac_sha1(vector["base_string"], vector["consumer_secret"], vector["token_secret"] or "")
    assert signature == vector["signature"]


@pytest.mark.parametrize(
    ("vector_id", "signature"),
    [
        pytest.param("sanity-oauth-core-photos", "tR3+Ty81lMeYAr/Fid0kMTYa/WM=", id="OAuth Core 1.0 appendix A.5"),
        pytest.param("sanity-rfc5849-1.2", "MdpQcU8iPSUjWoN/UDMsK2sui9I=", id="RFC 5849 section 1.2"),
    ],
)
def test_xoauth_string_carries_the_signature_its_standard_prints(vector_id: str, signature: str) -> None:
    vector = next(vector for vector in VECTORS["xoauth"] if vector["id"] == vector_id)
    string = xoauth_string(
        vector["url"],
        credentials(vector),
        nonce=vector["nonce"],
        timestamp=vector["timestamp"],
        oauth_version=vector["oauth_version"],
    )
    assert f'oauth_signature="{percent_encode(signature)}"' in string


@pytest.mark.parametrize("vector", XOAUTH)
def test_xoauth_string_is_the_printed_one(vector: Vector) -> None:
    string = xoauth_string(
        vector["url"],
        credentials(vector),
        method=vector["method"],
        nonce=vector["nonce"],
        timestamp=vector["timestamp"],
        oauth_version=vector["oauth_version"],
    )
    assert base64.b64encode(string.encode()).decode() == vector["xoauth_base64"]


@pytest.mark.parametrize("vector", OAUTH10A)
def test_oauth10a_header_is_the_printed_one(vector: Vector) -> None:
    header = oauth10a_header(
        vector["host"],
        vector["port"],
        credentials(vector),
        nonce=vector["nonce"],
        timestamp=vector["timestamp"],
        realm=vector["realm"],
        oauth_version=vector.get("version"),
    )
    assert header == vector["authorization"]


def test_the_realm_is_encoded_and_stands_in_front() -> None:
    header = oauth10a_header("h", 143, OAuth1Credentials("k", "s"), realm='a "realm"')
    assert header.startswith('OAuth realm="a%20%22realm%22",oauth_consumer_key="k"')


@pytest.mark.parametrize("vector_id", ["imap-2legged", "smtp-2legged-plus-address"])
def test_requestor_id_joins_the_url_and_the_signature(vector_id: str) -> None:
    vector = next(vector for vector in VECTORS["xoauth"] if vector["id"] == vector_id)
    two_legged = OAuth1Credentials(
        vector["consumer_key"], vector["consumer_secret"], requestor_id=vector["xoauth_requestor_id"]
    )
    bare_url = vector["url"].partition("?")[0]
    string = xoauth_string(bare_url, two_legged, nonce=vector["nonce"], timestamp=vector["timestamp"])
    assert string == vector["xoauth_string"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("https://h/p", "https://h/p?xoauth_requestor_id=me%40h", id="no query"),
        pytest.param("https://h/p?", "https://h/p?xoauth_requestor_id=me%40h", id="empty query"),
        pytest.param("https://h/p?a=b", "https://h/p?a=b&xoauth_requestor_id=me%40h", id="query"),
        pytest.param("https://h/p#f", "https://h/p?xoauth_requestor_id=me%40h#f", id="fragment"),
        pytest.param("https://h/p?xoauth_requestor_id=x", "https://h/p?xoauth_requestor_id=x", id="there already"),
    ],
)
def test_request_url_gets_the_requestor_id_once(url: str, expected: str) -> None:
    assert request_url(url, "me@h") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a/b", "a%2Fb", id="slash"),
        pytest.param("~-._", "~-._", id="unreserved"),
        pytest.param("é", "%C3%A9", id="utf-8 first"),
        pytest.param(" +", "%20%2B", id="space is never a plus"),
    ],
)
def test_percent_encode_keeps_only_unreserved_characters(text: str, expected: str) -> None:
    assert percent_encode(text) == expected


@given(st.text(st.one_of(st.characters(codec="utf-8"), st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))))
def test_percent_encode_agrees_with_urllib_told_what_is_unreserved(text: str) -> None:
    assert percent_encode(text) == urllib.parse.quote(text, safe="~", errors="surrogateescape")


def test_query_octets_that_are_not_utf_8_are_signed_as_they_are() -> None:
    assert signature_base_string("GET", "https://h/?a=%FF").endswith("&a%3D%25FF")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("mail.google.com/mail/b/me/imap/", id="no scheme"),
        pytest.param("ftp://mail.example.com/", id="other scheme"),
        pytest.param("https:///imap/", id="no host"),
        pytest.param("https://h/a b/", id="space, which ends the URL in the message"),
        pytest.param("https://h/\ta", id="tab, which urlsplit drops in silence"),
        pytest.param("https://h/\r\nX", id="line end"),
        pytest.param("https://h/ü", id="not ASCII"),
        pytest.param("https://h:99999/", id="port out of range"),
        pytest.param("https://h:0/", id="port zero"),
        pytest.param("https://h:x/", id="port no number"),
        pytest.param("https://[::1/", id="half an address"),
        pytest.param("https://user:secret@h/", id="user information"),
        pytest.param("", id="empty"),
    ],
)
def test_a_url_that_cannot_be_signed_is_refused(url: str) -> None:
    with pytest.raises(CredentialsError):
        xoauth_string(url, OAuth1Credentials("k", "s"))


def test_ipv6_hosts_keep_their_brackets() -> None:
    assert base_string_uri("https://[2001:DB8::1]:8443/x") == "https://[2001:db8::1]:8443/x"


def test_nonces_are_long_and_never_repeat() -> None:
    strings = [xoauth_string("https://h/", OAuth1Credentials("k", "s")) for _ in range(100)]
    assert len({nonce for string in strings for nonce in re.findall(r'oauth_nonce="([0-9a-f]{32})"', string)}) == 100


# What a URL and a secret can hold, weighted towards what implementations get wrong.
TEXT = st.text(st.sampled_from("aA0zZ-._~ /+%&=?#:@!$'()*,;^`{|}\"<>\\é€𐍈"), min_size=1, max_size=12)
PAIRS = st.lists(st.tuples(TEXT, st.one_of(st.just(""), TEXT)), max_size=5)
HOSTS = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}(\.[A-Za-z]{2,5}){0,2}", fullmatch=True)
PORTS = st.sampled_from(["", ":80", ":443", ":8443", ":993"])


@given(
    scheme=st.sampled_from(["http", "https", "HTTPS"]),
    host=HOSTS,
    port=PORTS,
    segments=st.lists(TEXT, max_size=3),
    query=PAIRS,
    plus=st.booleans(),
    key=TEXT,
    secret=TEXT,
    owner=st.one_of(st.none(), st.tuples(TEXT, st.one_of(st.just(""), TEXT))),
)
def test_signature_agrees_with_oauthlib(
    scheme: str,
    host: str,
    port: str,
    segments: list[str],
    query: list[tuple[str, str]],
    plus: bool,
    key: str,
    secret: str,
    owner: tuple[str, str] | None,
) -> None:
    encode = urllib.parse.quote_plus if plus else urllib.parse.quote
    path = "/" + "/".join(urllib.parse.quote(segment, safe="") for segment in segments)
    pairs = "&".join(f"{encode(name, safe='')}={encode(value, safe='')}" for name, value in query)
    url = f"{scheme}://{host}{port}{path}" + (f"?{pairs}" if pairs else "")
    owner_key, owner_secret = owner or (None, "")
    theirs = oauthlib.oauth1.Client(key, secret, owner_key, owner_secret, nonce="n0nce", timestamp="1300000000").sign(
        url
    )[1]["Authorization"]
    ours = xoauth_string(
        url, OAuth1Credentials(key, secret, owner_key, owner_secret), nonce="n0nce", timestamp=1300000000
    )
    pattern = r'oauth_signature="([^"]+)"'
    assert re.findall(pattern, ours) == re.findall(pattern, theirs)
