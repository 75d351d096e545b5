"""Google's ``xoauth.py``: signatures by printed vectors, the functions against the sandbox."""

from __future__ import annotations

import base64
import imaplib
import json
import re
import smtplib
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from oauthmail import CredentialsError, FlowError
from oauthmail.compat.google import xoauth
from oauthmail.sandbox import Sandbox
from oauthmail.testing import Mailbox

from .google_rig import ROOT, google, verifier

__all__ = ["google"]

VECTORS = [
    pytest.param(vector, id=vector["id"])
    for vector in json.loads((ROOT / "tests" / "vectors" / "xoauth_vectors.json").read_text("utf-8"))["xoauth"]
    # The script knows one form of address, and always states the version.
    if "user" in vector and vector["oauth_version"] == "1.0"
]


def consumer(sandbox: Sandbox) -> xoauth.OAuthEntity:
    return xoauth.OAuthEntity(sandbox.web.oauth1_client_key, sandbox.web.oauth1_client_secret)


# --- signing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS)
def test_the_message_is_the_printed_one(vector: dict[str, Any]) -> None:
    found = xoauth.GenerateXOauthString(
        xoauth.OAuthEntity(vector["consumer_key"], vector["consumer_secret"]),
        xoauth.OAuthEntity(vector["token"] or "", vector["token_secret"] or ""),
        vector["user"],
        vector["protocol"],
        vector.get("xoauth_requestor_id"),
        vector["nonce"],
        vector["timestamp"],
    )
    assert found == vector["xoauth_string"]


def test_there_are_vectors() -> None:
    assert len(VECTORS) >= 4


def test_the_signature_is_that_of_the_specification() -> None:
    # OAuth Core 1.0 appendix A.5.
    params = {
        "oauth_consumer_key": "dpf43f3p2l4k3l03",
        "oauth_token": "nnch734d00sl2jdk",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "1191242096",
        "oauth_nonce": "kllo9940pd9333jh",
        "oauth_version": "1.0",
        "file": "vacation.jpg",
        "size": "original",
    }
    base_string = xoauth.GenerateSignatureBaseString("GET", "http://photos.example.net/photos", params)
    signature = xoauth.GenerateOauthSignature(base_string, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00")
    assert signature == "tR3+Ty81lMeYAr/Fid0kMTYa/WM="


def test_the_digest_is_that_of_rfc_2202() -> None:
    # Section 3, test case 2.
    digest = base64.b64decode(xoauth.GenerateHmacSha1Signature("what do ya want for nothing?", "Jefe"))
    assert digest.hex() == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"


def test_escaped_parts_are_joined() -> None:
    assert xoauth.EscapeAndJoin(["a/b", "", "é"]) == "a%2Fb&&%C3%A9"


def test_an_answer_is_read() -> None:
    assert xoauth.ParseUrlParamString("oauth_token=4%2Fx+y&empty=&no") == {
        "oauth_token": "4/x+y",
        "empty": "",
        "no": "",
    }


def test_what_is_not_given_is_drawn_and_never_twice() -> None:
    drawn: list[dict[str, str]] = [{}, {}]
    for params in drawn:
        xoauth.FillInCommonOauthParams(params, xoauth.OAuthEntity("key", "secret"))
    assert drawn[0]["oauth_nonce"] != drawn[1]["oauth_nonce"]
    assert re.fullmatch("[0-9]{10}", drawn[0]["oauth_timestamp"])


def test_a_consumer_without_a_key_is_refused() -> None:
    with pytest.raises(CredentialsError, match="the consumer has no key"):
        xoauth.GenerateXOauthString(xoauth.OAuthEntity("", "secret"), None, "me@example.com", "imap")


@pytest.mark.parametrize(
    ("user", "written"),
    [
        pytest.param("me+tag@example.com", "me+tag@example.com", id="as it is"),
        pytest.param("mé@example.com", "m%C3%A9@example.com", id="not ASCII"),
        pytest.param("m/e?#@example.com", "m%2Fe%3F%23@example.com", id="would end the path"),
    ],
)
def test_a_user_name_is_one_part_of_the_address(user: str, written: str) -> None:
    found = xoauth.GenerateXOauthString(xoauth.OAuthEntity("key", "secret"), None, user, "imap")
    assert found.split(" ")[1] == f"https://mail.google.com/mail/b/{written}/imap/"


def test_nothing_of_a_message_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    xoauth.GenerateXOauthString(xoauth.OAuthEntity("key", "secret"), None, "me@example.com", "imap")
    assert capsys.readouterr().out == ""


def test_a_value_does_not_show_its_secret() -> None:
    value = xoauth.OAuthEntity("the key", "the secret", oauth_callback_confirmed="true")
    assert "the" not in repr(value)
    assert vars(value)["oauth_callback_confirmed"] == "true"


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "where"),
    [
        ("me@gmail.com", "accounts"),
        ("me@GoogleMail.com", "accounts"),
        ("me@Example.com", "a/example.com"),
        ("me", "accounts"),
        ("me@", "accounts"),
    ],
)
def test_people_of_a_domain_of_their_own_have_a_page_of_their_own(user: str, where: str) -> None:
    address = xoauth.GoogleAccountsUrlGenerator(user).GetAuthorizeTokenUrl()
    assert address == f"https://www.google.com/{where}/OAuthAuthorizeToken"


def test_the_other_addresses_are_googles() -> None:
    addresses = xoauth.GoogleAccountsUrlGenerator("me@example.com")
    assert addresses.GetRequestTokenUrl() == "https://www.google.com/accounts/OAuthGetRequestToken"
    assert addresses.GetAccessTokenUrl() == "https://www.google.com/accounts/OAuthGetAccessToken"


# --- tokens ---------------------------------------------------------------------------------------------------------


def signed_in(sandbox: Sandbox, mailbox: Mailbox, capsys: pytest.CaptureFixture[str]) -> xoauth.OAuthEntity:
    """Go the three steps."""
    addresses = xoauth.GoogleAccountsUrlGenerator(mailbox.user)
    temporary = xoauth.GenerateRequestToken(consumer(sandbox), "https://mail.google.com/", None, None, addresses)
    (address,) = re.findall("^  (http.*)$", capsys.readouterr().out, re.MULTILINE)
    code = verifier(sandbox, address, mailbox.user)
    return xoauth.GetAccessToken(consumer(sandbox), temporary, f" {code}\n", addresses)


@pytest.mark.parametrize(
    ("protocol", "test", "port"),
    [("imap", xoauth.TestImapAuthentication, "imaps"), ("smtp", xoauth.TestSmtpAuthentication, "smtp")],
)
def test_a_token_signs_a_login(
    google: Sandbox, oauth_mailbox: Mailbox, capfd: pytest.CaptureFixture[str], protocol: str, test: Any, port: str
) -> None:
    user = oauth_mailbox.user
    token = signed_in(google, oauth_mailbox, capfd)
    message = xoauth.GenerateXOauthString(consumer(google), token, user, protocol, None, None, None)
    test(f"localhost:{getattr(google, port).port}", user, message)
    trace = capfd.readouterr().err
    assert "XOAUTH [redacted]" in trace
    assert str(token.key) not in trace


def test_a_consumer_signs_for_a_mailbox_of_its_domain(google: Sandbox, oauth_mailbox: Mailbox) -> None:
    user = oauth_mailbox.user
    issued = google.issue_oauth1(user, two_legged=True)
    own = xoauth.OAuthEntity(issued.client_key, issued.client_secret)
    message = xoauth.GenerateXOauthString(own, xoauth.OAuthEntity("", ""), user, "imap", user, None, None)
    xoauth.TestImapAuthentication(f"localhost:{google.imaps.port}", user, message.encode())
    assert any("XOAUTH" in line for line in oauth_mailbox.received("imap"))


def test_a_message_that_was_used_is_refused(google: Sandbox, oauth_mailbox: Mailbox) -> None:
    user, issued = oauth_mailbox.user, google.issue_oauth1(oauth_mailbox.user)
    own = xoauth.OAuthEntity(issued.client_key, issued.client_secret)
    token = xoauth.OAuthEntity(issued.resource_owner_key, issued.resource_owner_secret)
    message = xoauth.GenerateXOauthString(own, token, user, "smtp", None, None, None)
    xoauth.TestSmtpAuthentication(f"localhost:{google.smtp.port}", user, message)
    with pytest.raises(smtplib.SMTPAuthenticationError):
        xoauth.TestSmtpAuthentication(f"localhost:{google.smtp.port}", user, message)
    with pytest.raises(imaplib.IMAP4.error, match="refused XOAUTH"):
        xoauth.TestImapAuthentication(f"localhost:{google.imaps.port}", user, message)


@pytest.mark.parametrize("junk", ["", "GET", "GET https://a.test/", "GET https://a.test/ a=b", b"\xff"], ids=ascii)
def test_what_is_no_message_is_refused(junk: str | bytes) -> None:
    with pytest.raises(ValueError, match="pass what GenerateXOauthString"):
        xoauth.TestImapAuthentication("localhost:1", "me@example.com", junk)


def test_given_nonce_and_time_are_sent(google: Sandbox, oauth_mailbox: Mailbox) -> None:
    addresses, now = xoauth.GoogleAccountsUrlGenerator(oauth_mailbox.user), str(int(time.time()) - 5)
    temporary = xoauth.GenerateRequestToken(consumer(google), "", "first", now, addresses)
    with pytest.raises(FlowError, match="refused"):
        xoauth.GetAccessToken(consumer(google), temporary, "wrong", addresses, now, "second")
    key = google.web.oauth1_client_key
    assert {(key, now, "first"), (key, now, "second")} <= google.state.oauth1_seen


def test_a_wrong_verification_code_is_refused(google: Sandbox, oauth_mailbox: Mailbox) -> None:
    addresses = xoauth.GoogleAccountsUrlGenerator(oauth_mailbox.user)
    temporary = xoauth.GenerateRequestToken(consumer(google), "mail", None, None, addresses)
    with pytest.raises(FlowError, match="Check the consumer's key and secret, the verification code"):
        xoauth.GetAccessToken(consumer(google), temporary, "wrong", addresses)


@pytest.mark.usefixtures("google")
def test_a_server_that_is_not_asked_over_tls_is_not_asked() -> None:
    class Plain(xoauth.GoogleAccountsUrlGenerator):
        def GetRequestTokenUrl(self) -> str:  # noqa: N802  # the script's name
            return "http://accounts.example.com/OAuthGetRequestToken"

    with pytest.raises(CredentialsError, match="must be https"):
        xoauth.GenerateRequestToken(xoauth.OAuthEntity("key", "secret"), "", None, None, Plain("me@gmail.com"))


SECRET = "very-secret-" + "value"


@pytest.mark.parametrize(
    "failing",
    [
        pytest.param(
            lambda secret: xoauth.GenerateRequestToken(
                xoauth.OAuthEntity("key", secret()), "", None, None, xoauth.GoogleAccountsUrlGenerator("me")
            ),
            id="request token",
        ),
        pytest.param(
            lambda secret: xoauth.GetAccessToken(
                xoauth.OAuthEntity("key", "x"), xoauth.OAuthEntity("key", secret()), secret(),
                xoauth.GoogleAccountsUrlGenerator("me"),
            ),
            id="access token",
        ),
        pytest.param(
            lambda secret: xoauth.GenerateXOauthString(xoauth.OAuthEntity("", secret()), None, "me", "imap"),
            id="message",
        ),
        pytest.param(lambda secret: xoauth.TestImapAuthentication("localhost", "me", secret()), id="no message"),
        pytest.param(lambda secret: xoauth.GenerateHmacSha1Signature(secret(), "\ud800"), id="digest"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("google")
def test_no_secret_is_in_an_exception_or_its_traceback(failing: Callable[[Callable[[], str]], object]) -> None:
    with pytest.raises((FlowError, ValueError)) as caught:
        # From a function, so that no frame of the test holds it.
        failing(lambda: SECRET)
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    assert SECRET not in f"{caught.value!r} {''.join(frames)}"
