"""REST calls to a server: login, ticket renewal, errors in one line.

Source: spec rest-api §4, clients §4.1. GET, PUT and DELETE carry their parameters in the query, POST a JSON body; the answer is
`{"data": …}`, errors are plain text. Blocking; one object may be used by several threads.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from platevault.client.credentials import TICKET_COOKIE, Credentials, PasswordCredentials, Ticket, TokenCredentials
from platevault.client.refusal import Refused, refusal
from platevault.client.repository import Repository
from platevault.client.trust import CONNECT_TIMEOUT_S, CannotConnect, Trust, UntrustedCertificate, probe
from platevault.clock import Clock
from platevault.errors import Corrupt, Forbidden, PlatevaultError

READ_TIMEOUT_S = 120.0  # as existing clients; a prune of a large group takes its time
RENEW_AFTER_S = 15 * 60  # tickets live for two hours
MAX_ANSWER_BYTES = 256 * 1024 * 1024  # a list of 400,000 snapshots
USER_AGENT = "platevault-client/1"
HTTP_ONLY_COOKIE = "__Host-PBSAuthCookie"


class SecondFactorNeeded(Forbidden):
    """The account has a second factor; a client that runs alone needs an API token instead."""


class MalformedAnswer(Corrupt):
    """A success whose body is not what the API promises."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    cookie: str
    body: bytes


class RestClient:
    """Calls as one identity. `_lock` guards the ticket: one thread at a time logs in."""

    def __init__(
        self, repository: Repository, trust: Trust, credentials: Credentials, clock: Clock, *, ticket: Ticket | None = None
    ) -> None:
        self._repository = repository
        self._trust = trust
        self._credentials = credentials
        self._clock = clock
        self._ticket = ticket
        self._is_ours = ticket is None
        self._lock = threading.Lock()
        self._pool = _open_pool(repository, trust)

    def __enter__(self) -> RestClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def get(self, path: str, **parameters: object) -> Any:
        """`data` of GET /api2/json/PATH. Parameters that are None are left out, `_` in names becomes `-`."""
        return self._call("GET", path, parameters)

    def put(self, path: str, **parameters: object) -> Any:
        """Like `get`."""
        return self._call("PUT", path, parameters)

    def delete(self, path: str, **parameters: object) -> Any:
        """Like `get`."""
        return self._call("DELETE", path, parameters)

    def post(self, path: str, **parameters: object) -> Any:
        """Like `get`, with the parameters as JSON body."""
        return self._call("POST", path, parameters)

    def upload(self, path: str, body: bytes, **parameters: object) -> Any:
        """POST of raw bytes, parameters in the query."""
        return self._call("POST", path, parameters, body=body)

    def auth_headers(self) -> dict[str, str]:
        """What proves who we are; logs in or renews the ticket when needed. Raises Forbidden when the server refuses."""
        if isinstance(self._credentials, TokenCredentials):
            return self._credentials.headers()
        return self.ticket().headers()

    def ticket(self) -> Ticket:
        """A ticket that is valid for more than an hour. Only for password credentials."""
        with self._lock:
            assert isinstance(self._credentials, PasswordCredentials)
            if self._ticket is None or self._must_renew(self._ticket, self._credentials):
                self._ticket = self._renew(self._ticket, self._credentials)
                self._is_ours = True
            return self._ticket

    def _must_renew(self, ticket: Ticket, credentials: PasswordCredentials) -> bool:
        """Old ones, and those of an earlier process while there is a password: the server may not know them any more."""
        return not 0 <= self._clock.now() - ticket.issued < RENEW_AFTER_S or (not self._is_ours and credentials.password != "")

    def _renew(self, old: Ticket | None, credentials: PasswordCredentials) -> Ticket:
        if old is not None:
            try:
                return self._login(credentials.auth_id, old.text)
            except Refused:
                pass  # too old, or the server has a new key: the password decides
        if not credentials.password:
            raise Forbidden(f"no password for {credentials.auth_id}: log in first, or set PBS_PASSWORD")
        return self._login(credentials.auth_id, credentials.password)

    def _login(self, auth_id: str, secret: str) -> Ticket:
        body = json.dumps({"username": auth_id, "password": secret}).encode()
        answer = self._send("POST", "access/ticket", {"content-type": "application/json"}, body=body)
        doing = f"login of {auth_id} at {self._repository.server}"
        data = _data(doing, answer)
        if not isinstance(data, dict):
            raise MalformedAnswer(f"{doing}: the answer holds no ticket; is this a backup server?")
        name, text = TICKET_COOKIE, data.get("ticket")
        if answer.cookie.startswith(f"{HTTP_ONLY_COOKIE}="):
            name, text = HTTP_ONLY_COOKIE, answer.cookie.partition("=")[2].partition(";")[0]
        csrf = data.get("CSRFPreventionToken")
        if not _fits_a_header(text) or not _fits_a_header(csrf):
            raise MalformedAnswer(f"{doing}: the answer holds no ticket; is this a backup server?")
        if text.startswith("PBS:!tfa!"):
            raise SecondFactorNeeded(f"{auth_id} needs a second factor: use an API token (user@realm!token) for backups")
        return Ticket(auth_id, text, csrf, self._clock.now(), name)

    def _call(self, method: str, path: str, parameters: Mapping[str, object], *, body: bytes | None = None) -> Any:
        given = {name.replace("_", "-"): value for name, value in parameters.items() if value is not None}
        headers = self.auth_headers()
        query = urlencode({name: _plain(value) for name, value in given.items()}, doseq=True)
        if body is not None:
            headers["content-type"] = "application/octet-stream"
        elif method == "POST":
            body, query = (json.dumps(given).encode() if given else b""), ""
            headers["content-type"] = "application/json"
        else:
            headers["content-type"] = "application/x-www-form-urlencoded"
        answer = self._send(method, f"{path}?{query}" if query else path, headers, body=body)
        return _data(f"{method} /{path}", answer)

    def _send(self, method: str, target: str, headers: dict[str, str], *, body: bytes | None) -> _Answer:
        sent = {"user-agent": USER_AGENT, **headers}
        try:
            answer = self._pool.request(
                method, f"/api2/json/{target}", body=body, headers=sent, retries=False, redirect=False, preload_content=False
            )
            received = answer.read(MAX_ANSWER_BYTES + 1)
            if len(received) > MAX_ANSWER_BYTES:
                answer.close()
                raise MalformedAnswer(f"{method} /{target.partition('?')[0]}: the answer is larger than {MAX_ANSWER_BYTES} bytes")
            answer.release_conn()
            return _Answer(answer.status, answer.headers.get("set-cookie", ""), received)
        except (HTTPError, ssl.SSLError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> PlatevaultError:
        host, port = self._repository.host, self._repository.port
        if isinstance(error, SSLError | ssl.SSLError) and "ingerprint" in str(error):
            got = probe(host, port)
            text = f"the certificate of {host} has another fingerprint than expected: {got}"
            return UntrustedCertificate(text, host=host, expected=self._trust.fingerprint, got=got)
        if isinstance(error, SSLError | ssl.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            return UntrustedCertificate(
                f"the certificate of {host} is not trusted; give its fingerprint or the file of its authority", host=host
            )
        return CannotConnect(f"cannot reach {host} port {port}: {str(error).rpartition(': ')[2]}", host=host, port=port)


def _open_pool(repository: Repository, trust: Trust) -> urllib3.HTTPSConnectionPool:
    pinned = trust.fingerprint is not None
    return urllib3.HTTPSConnectionPool(
        f"[{repository.host}]" if ":" in repository.host else repository.host,
        repository.port,
        timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
        ssl_context=trust.context(),
        assert_fingerprint=trust.fingerprint,
        assert_hostname=False if pinned else None,
    )


def _data(doing: str, answer: _Answer) -> Any:
    if not 200 <= answer.status < 300:
        raise refusal(doing, answer.status, answer.body)
    if not answer.body:
        return None
    try:
        return json.loads(answer.body)["data"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedAnswer(f"{doing}: the answer is no JSON object with the key `data`; is this a backup server?") from error


def _plain(value: object) -> object:
    """Booleans as the API writes them in a query."""
    return ("true" if value else "false") if isinstance(value, bool) else value


def _fits_a_header(value: object) -> TypeGuard[str]:
    """Whether a value of the server may be sent back in a header: text that cannot end it."""
    return isinstance(value, str) and value != "" and value.isascii() and value.isprintable()
