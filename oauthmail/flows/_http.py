"""How the flows talk to servers: HTTPS that follows nothing, keeps nothing, and comes to an end."""

from __future__ import annotations

import base64
import contextlib
import http.cookiejar
import ipaddress
import logging
import re
import time
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from types import TracebackType
from typing import Any

import requests
import urllib3

from .._redact import Redactor
from ..errors import CredentialsError
from ._answer import Answer, decoded, failure, read, redirected
from ._quiet import private, quiet
from ._wire import Adapter, Exchange, current

__all__ = ["HTTP", "Answer", "using"]

#: How many times its timeout a call may last, every attempt and wait included.
_TIMEOUTS = 2

_logger = logging.getLogger("oauthmail.flows")


class _Session(requests.Session):  # type: ignore[misc]  # requests is untyped
    def get_redirect_target(self, resp: object) -> None:
        """Have requests see no redirects: it reads the whole body of one even where it does not follow."""


def _leave_alone(request: Any) -> Any:
    """Add no credentials; requests would else look for some in ``~/.netrc``."""
    return request


class HTTP:
    """How the flows talk to servers: one `requests.Session`, to be closed or used in a ``with`` statement.

    Certificates are always verified, redirects are not followed, cookies and ``.netrc`` are not used. Failed
    connections, timeouts and the statuses 429, 500, 502, 503 and 504 are tried again after a short wait, or after
    the one that a Retry-After asks for, up to 30 seconds. The proxies and certificates that the environment names
    are used (``HTTPS_PROXY``, ``REQUESTS_CA_BUNDLE``), except to reach loopback addresses.

    Args:
        timeout: seconds for a connection, and for each piece of an answer. A call lasts at most twice as long, all
            attempts and waits taken together.
        ca_file: the authorities that may have signed the servers' certificates, in PEM, in place of the usual ones.
        allow_loopback_http: whether addresses of this machine may be plain ``http``, for tests.
        retries: how many more attempts there are after the first.
        backoff: seconds of the first wait; each further one is twice as long.
    """

    def __init__(
        self,
        *,
        timeout: float = 30.0,
        ca_file: str | None = None,
        allow_loopback_http: bool = False,
        retries: int = 3,
        backoff: float = 0.5,
    ) -> None:
        if not timeout > 0:
            raise CredentialsError("the timeout must be a number of seconds above 0")
        self.timeout = timeout
        self._verify = True if ca_file is None else ca_file
        self._allow_loopback_http = allow_loopback_http
        self._session = _Session()
        self._session.auth = _leave_alone
        self._session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=()))
        self._session.headers.update(
            {"User-Agent": "oauthmail", "Accept": "application/json", "Accept-Encoding": "identity"}
        )
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, Adapter(retries, backoff))

    def __enter__(self) -> HTTP:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._session.close()

    def check(self, url: str | None, what: str) -> str:
        """Return *url* if secrets may be sent there.

        Args:
            url: an address, such as a provider's ``token_endpoint``.
            what: how the message names it, such as ``"token endpoint"``.

        Raises:
            CredentialsError: there is none, or it is not https, or has a user name, a password or a fragment.
        """
        if url is None:
            raise CredentialsError(f"this provider has no {what}")
        if "{tenant" in url:
            raise CredentialsError(f"the {what} needs a tenant: use provider.with_tenant()")
        # Libraries do not agree where a host ends when there is a backslash.
        if not re.fullmatch(r"[\x21-\x5b\x5d-\x7e]+", url):
            raise CredentialsError(f"the {what} must be visible ASCII without a backslash")
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError:
            raise CredentialsError(f"the {what} has a malformed host or port") from None
        if not parts.hostname or port == 0 or parts.scheme not in ("https", "http"):
            raise CredentialsError(f"the {what} must be an address like https://host/path")
        if "@" in parts.netloc or "#" in url:
            raise CredentialsError(f"the {what} must have neither a user name nor a fragment")
        if parts.scheme != "https" and not (self._allow_loopback_http and _is_loopback(parts.hostname)):
            raise CredentialsError(f"the {what} must be https: secrets are sent there")
        return url

    @private
    def post(
        self,
        url: str,
        fields: Mapping[str, str],
        *,
        auth: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        secrets: Collection[str] = (),
        retry: bool = True,
    ) -> Answer:
        """Send a form and return the answer, whatever its status.

        Args:
            url: checked, see `check`.
            fields: of the form.
            auth: client_id and client_secret for ``Authorization: Basic``, encoded as RFC 6749 section 2.3.1 says.
            headers: sent as well, such as an ``Authorization`` of OAuth 1.0a.
            secrets: what is cut out of anything that the server says.
            retry: whether failed attempts are made again.

        Raises:
            CredentialsError: no address to send secrets to.
            FlowError: no answer, one that is too large, or a redirect.
        """
        sent = dict(headers or {})
        shown = list(secrets)
        if auth is not None:
            encoded = ":".join(map(urllib.parse.quote_plus, auth))
            sent["Authorization"] = f"Basic {base64.b64encode(encoded.encode()).decode()}"
            shown += [auth[1], urllib.parse.quote_plus(auth[1]), encoded]
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        body = urllib.parse.urlencode(dict(fields)).encode()
        return self._request("POST", url, body, sent, Redactor(*filter(None, shown)), retry)

    @private
    def get(self, url: str) -> Answer:
        """Fetch a document that is public and return the answer, whatever its status.

        Raises:
            CredentialsError: *url* does not pass `check`.
            FlowError: no answer, one that is too large, or a redirect.
        """
        return self._request("GET", url, None, {}, Redactor(), True)

    # --- one request ----------------------------------------------------------------------------------------------

    def _request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], redact: Redactor, retry: bool
    ) -> Answer:
        self.check(url, "address")
        parts = urllib.parse.urlsplit(url)
        host = str(parts.hostname)
        exchange = current.set(Exchange(host, time.monotonic() + _TIMEOUTS * self.timeout, retry))
        problem: BaseException
        try:
            with quiet():
                answer = self._send(method, url, body, headers, redact)
        # requests' exceptions are OSErrors; urllib3's come while the body is read.
        except (OSError, urllib3.exceptions.HTTPError, UnicodeError) as error:
            problem = failure(error, host, redact)
        else:
            _logger.debug("%s %s %s: status %d", method, host, parts.path, answer.status)
            return answer
        finally:
            current.reset(exchange)
        _logger.debug("%s %s %s: %s", method, host, parts.path, getattr(problem, "error", "not possible"))
        # Outside of the except clause: requests' exceptions hold the request with all its secrets.
        raise problem

    def _send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], redact: Redactor) -> Answer:
        host = str(urllib.parse.urlsplit(url).hostname)
        with self._session.request(
            method,
            url,
            data=body,
            headers=dict(headers),
            timeout=self.timeout,
            allow_redirects=False,
            stream=True,
            # Said here and not in the session: REQUESTS_CA_BUNDLE would go before.
            verify=self._verify,
            # Plain http to this machine must not be carried to a proxy.
            proxies={"no_proxy": host} if _is_loopback(host) else None,
        ) as response:
            if 300 <= response.status_code < 400:
                raise redirected(response, url, host)
            content = decoded(read(response), response.headers.get("Content-Encoding", ""), host)
            return Answer(response.status_code, response.headers, content, host, redact)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def using(given: HTTP | None, ca_file: str | None) -> Iterator[HTTP]:
    """Yield the caller's `HTTP`, or one that is closed at the end."""
    if given is not None:
        yield given
        return
    with HTTP(ca_file=ca_file) as made:
        yield made
