"""The composition root: a server is made, serves, stops in order and can be made again."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from platevault.app import build, listen
from platevault.clock import SystemClock
from platevault.config.database import open_database
from platevault.config.settings import Settings
from platevault.errors import Invalid, Unavailable


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", host="127.0.0.1", port=0, drain_timeout_s=0.5, login_delay_s=0.0)


@contextmanager
def running(settings: Settings) -> Iterator[int]:
    """A server in a thread; gives its port. On leaving it has stopped."""
    listening = listen(settings)
    port = int(listening.getsockname()[1])
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    def run() -> None:
        app = build(settings, SystemClock())
        try:
            loop.run_until_complete(app.serve(listening, stop, ready=ready.set))
        finally:
            app.close()
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(30)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        assert not thread.is_alive()


def ask(port: int, path: str) -> tuple[int, bytes]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def test_it_serves_and_stops_and_serves_again(settings: Settings) -> None:
    for _ in range(2):
        with running(settings) as port:
            assert json.loads(ask(port, "/api2/json/ping")[1]) == {"data": {"pong": True}}
            assert ask(port, "/api2/json/version")[0] == 401
            assert b"Platevault" in ask(port, "/")[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()


def test_the_certificate_stays(settings: Settings) -> None:
    fingerprints = set()
    for _ in range(2):
        app = build(settings, SystemClock())
        fingerprints.add(app.services.certificate.fingerprint)
        app.close()
    assert len(fingerprints) == 1


def test_an_own_certificate_is_used(settings: Settings, tmp_path: Path) -> None:
    app = build(settings, SystemClock())
    app.close()
    both = tmp_path / "both.pem"
    both.write_bytes((settings.state_dir / "proxy.pem").read_bytes() + (settings.state_dir / "proxy.key").read_bytes())
    other = build(Settings(state_dir=tmp_path / "other", certificate_file=both), SystemClock())
    other.close()
    assert other.services.certificate.fingerprint == app.services.certificate.fingerprint


def test_a_certificate_that_is_none_is_refused(settings: Settings, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("not a certificate")
    with pytest.raises(Invalid, match=r"broken\.pem"):
        build(Settings(state_dir=settings.state_dir, certificate_file=broken), SystemClock())


def test_the_state_of_a_newer_version_is_left_alone(settings: Settings) -> None:
    build(settings, SystemClock()).close()
    database = open_database(settings.database)
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    before = (settings.state_dir / "state.db").read_bytes()
    with pytest.raises(Invalid, match="newer version"):
        build(settings, SystemClock())
    assert (settings.state_dir / "state.db").read_bytes() == before


def test_a_taken_port_is_said_in_one_line(settings: Settings) -> None:
    first = listen(settings)
    with first, pytest.raises(Unavailable, match="cannot listen on"):
        listen(Settings(state_dir=settings.state_dir, host="127.0.0.1", port=first.getsockname()[1]))
