"""The order in which a request is looked at, and what never happens: a blocked loop, an unread limit, a trace in an answer."""

from __future__ import annotations

import asyncio
import logging
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.asgi import FORM, JSON, Session, send
from kit.site import Site, open_site
from platevault.api.access_rules import PUBLIC, needs
from platevault.api.application import SLOW_THREADS, Application
from platevault.api.parameters import NoParams, Params
from platevault.api.request_body import MAX_PARAMETER_BYTES
from platevault.api.route import Call, Kind, RawReply, Route
from platevault.api.router import Router
from platevault.errors import Corrupt

TASKS = "/nodes/localhost/tasks"


class Numbers(Params):
    number: int


class Bench:
    """A few routes of our own over the services of a site."""

    def __init__(self, site: Site) -> None:
        self.calls: list[str] = []
        self.go, self.waiting = threading.Event(), threading.Semaphore(0)
        routes = [
            Route("GET", "/number", self.number, Numbers, access=needs("/system", "Sys.Audit")),
            Route("POST", "/upload", self.upload, kind=Kind.UPLOAD, max_body_bytes=1000),
            Route("GET", "/fails", self.fails),
            Route("GET", "/breaks-off", self.breaks_off, access=PUBLIC),
            Route("GET", "/slow", self.slow, access=PUBLIC, slow=True),
            Route("GET", "/fast", self.fast, access=PUBLIC),
        ]
        self.application = Application(site.services, Router(routes), threads=2, delay_factor=0)
        self.root = Session(self.application, "root@pam", site.root.headers)
        self.nobody = Session(self.application, "nobody@pbs", site.user("nobody").headers)
        self.anonymous = Session(self.application, "", {})

    def number(self, call: Call, p: Numbers) -> int:
        """A number."""
        self.calls.append("number")
        return p.number

    def upload(self, call: Call, p: NoParams) -> int:
        """Takes bytes."""
        self.calls.append("upload")
        return len(call.body)

    def fails(self, call: Call, p: NoParams) -> None:
        """Raises what nobody foresaw."""
        raise ZeroDivisionError("secret detail")

    def breaks_off(self, call: Call, p: NoParams) -> RawReply:
        """Fails in the middle of its content."""

        def pieces() -> Iterator[bytes]:
            yield b"first"
            raise Corrupt("chunk is damaged")

        return RawReply(pieces(), length=10)

    def slow(self, call: Call, p: NoParams) -> str:
        """Waits until it is let go."""
        self.waiting.release()
        assert self.go.wait(20)
        return "slow"

    def fast(self, call: Call, p: NoParams) -> str:
        """At once."""
        return "fast"


@pytest.fixture
def bench(site: Site) -> Iterator[Bench]:
    made = Bench(site)
    yield made
    made.go.set()
    made.application.close()


# --- order ---


def test_credentials_are_asked_for_before_anything_is_told(bench: Bench) -> None:
    for path in ("/number", "/nothing/here"):
        answer = bench.anonymous.get(path)
        assert (answer.status, answer.text, "content-type" in answer.headers) == (401, "authentication failed", False)
    assert bench.anonymous.get("/number", output="extjs").status == 401


def test_the_permission_comes_before_the_parameters(bench: Bench) -> None:
    answer = bench.nobody.get("/number", {"number": "x", "other": 1})
    assert (answer.status, answer.text) == (403, "permission check failed")
    refused = bench.nobody.get("/number", output="extjs")
    assert (refused.status, refused.envelope["status"], refused.envelope["success"]) == (200, 403, False)


def test_parameters_come_before_the_handler(bench: Bench) -> None:
    assert bench.root.get("/number", {"number": "x"}).status == 400
    assert bench.calls == []
    assert bench.root.get("/number", {"number": "7"}).data == 7


def test_unknown_paths_and_methods_are_404_for_who_is_known(bench: Bench) -> None:
    answer = bench.root.get("/nothing/here")
    assert (answer.status, answer.text) == (404, "Path '/api2/json/nothing/here' not found.")
    for method in ("POST", "PATCH", "HEAD", "OPTIONS"):
        assert bench.root.request(method, "/number").status == 404
    assert bench.root.get("/nothing", output="extjs").envelope["status"] == 404


def test_other_formats_and_paths_outside_of_the_api(bench: Bench) -> None:
    assert bench.root.get("/number", output="xml").text == "Unsupported output format 'xml'."
    for target, status in (("/api2", 404), ("/api2/json/../x", 400), ("/css/x.css", 404), ("/", 200)):
        assert send(bench.application, "GET", target, {}).status == status
    assert send(bench.application, "POST", "/", {}).status == 400
    too_long = send(bench.application, "GET", "/" + "x" * 4000, {})
    assert (too_long.status, too_long.body) == (414, b"")


# --- bodies ---


def test_a_body_of_parameters_has_a_limit(bench: Bench) -> None:
    answer = bench.root.request("GET", "/number", raw=b"number=1&x=" + b"x" * MAX_PARAMETER_BYTES, content_type=FORM)
    assert (answer.status, answer.text) == (400, "Request body too large")


def test_nothing_is_read_for_who_may_not_call(bench: Bench) -> None:
    """The body of a refused request stays where it is, whatever its length."""
    for session, status in ((bench.anonymous, 401), (bench.nobody, 403)):
        big = b"x" * (MAX_PARAMETER_BYTES + 1)
        assert session.request("GET", "/number", raw=big, content_type=FORM).status == status


def test_an_upload_is_data_and_has_its_own_limit(bench: Bench) -> None:
    assert bench.root.request("POST", "/upload", raw=b"x" * 1000, content_type="application/octet-stream").data == 1000
    assert bench.root.request("POST", "/upload", raw=b"{}", content_type=JSON).data == 2
    assert bench.root.request("POST", "/upload", raw=b"x" * 1001).status == 400
    assert bench.calls == ["upload", "upload"]


def test_a_chunked_body_is_a_body(bench: Bench) -> None:
    headers = {"transfer-encoding": "chunked"}
    assert bench.root.request("GET", "/number", raw=b"number=5", content_type=FORM, headers=headers).data == 5


def test_a_client_that_leaves_in_its_request_gets_no_answer(bench: Bench) -> None:
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def collect(message: object) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in bench.root.headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api2/json/upload",
        "query_string": b"",
        "headers": [*headers, (b"content-length", b"9")],
    }
    asyncio.run(bench.application(scope, receive, collect))
    assert sent == []
    assert bench.calls == []


# --- failures ---


def test_what_nobody_foresaw_goes_to_the_log_and_not_to_the_client(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    answer = bench.root.get("/fails")
    assert (answer.status, "secret" in answer.text) == (500, False)
    assert "secret detail" in caplog.text


def test_content_that_breaks_off_has_no_end(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    answer = bench.anonymous.get("/breaks-off")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"first", "10")
    assert "chunk is damaged" in caplog.text


def test_refusals_are_answered_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    with open_site(tmp_path) as site:
        routes = [Route("GET", "/x", lambda call, p: None, access=needs("/", "Sys.Audit"))]
        application = Application(site.services, Router(routes))
        monkeypatch.setattr("platevault.api.application.asyncio.sleep", sleep)
        assert send(application, "GET", "/api2/json/x", {}).status == 401
        assert send(application, "GET", "/api2/json/x", site.user("nobody").headers).status == 403
        application.close()
    # What the request itself took counts for the delay: an answer never tells how long it was looked for.
    assert [round(limit - seconds) for limit, seconds in zip((3.0, 0.5), slept, strict=True)] == [0, 0]


# --- threads ---


def test_slow_calls_wait_in_a_lane_of_their_own(bench: Bench) -> None:
    """More slow calls than there are threads of any kind, and a fast one is still answered."""
    count = SLOW_THREADS + 4
    threads = [threading.Thread(target=bench.anonymous.get, args=("/slow",)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for _ in range(SLOW_THREADS):
        assert bench.waiting.acquire(timeout=20)
    assert bench.anonymous.get("/fast").data == "fast"
    assert not bench.waiting.acquire(blocking=False)
    bench.go.set()
    for thread in threads:
        thread.join(20)


def test_a_request_sees_its_own_changes_of_the_configuration(site: Site) -> None:
    """The version of the configuration is looked for once a request, and again after a change in it."""
    user = site.user("alice", {"/access/users": "Admin"})
    assert user.put("/access/users/alice@pbs", {"comment": "x"}).status == 200
    assert user.get("/access/users/alice@pbs").data["comment"] == "x"
    site.services.accounts.acl.revoke("/access/users", "alice@pbs", "Admin")
    assert site.services.access.privileges("alice@pbs", "/access/users") == frozenset()


# --- compression ---


def test_answers_are_deflated_on_request(site: Site) -> None:
    answer = site.root.get("/access/roles", headers={"accept-encoding": "gzip, deflate"})
    assert answer.headers["content-encoding"] == "deflate"
    assert zlib.decompress(answer.body).startswith(b'{"data":[')
    assert int(answer.headers["content-length"]) == len(answer.body)
