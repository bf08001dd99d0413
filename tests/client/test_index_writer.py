"""The order of requests for one index: appended only what was answered, one append after the other, bounded in both directions."""

from __future__ import annotations

import hashlib
import struct
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from kit.scripted_connection import TIMEOUT_S, ScriptedConnection
from platevault.client.chunk_sender import ChunkSender, SentChunk
from platevault.client.index_writer import MAX_ENTRIES, MAX_UNANSWERED, IndexWriter
from platevault.client.known_chunks import KnownChunks
from platevault.client.refusal import RefusedRequest
from platevault.client.session import Session
from platevault.errors import Corrupt, Unavailable
from platevault.wire.http2.call import Answer, ConnectionLost

AUTOMATIC = {"POST /dynamic_index": 7, "POST /fixed_index": 7, "POST /dynamic_close": None, "POST /fixed_close": None}


class Bench:
    """A writer on a scripted connection, and chunks for it."""

    def __init__(self, kind: Any = "dynamic", *, automatic: dict[str, object] | None = None, size: int | None = None) -> None:
        self.connection = ScriptedConnection(AUTOMATIC | (automatic or {}))
        session = Session(self.connection)
        self.known = KnownChunks()
        self.writer = IndexWriter(session, ChunkSender(session, self.known, None), kind, "root.x", size=size)

    def add(self, number: int, *, length: int = 10, answered: bool = True) -> Future[Answer]:
        """One chunk whose digest is a number; returns the answer of its upload."""
        answer: Future[Answer] = Future()
        done: Future[SentChunk] = Future()
        done.set_result(SentChunk(digest(number), length, answer))
        self.writer.add(done)
        if answered:
            answer.set_result(Answer(200, {}, b'{"data":"x"}'))
        return answer

    def add_all(self, count: int) -> None:
        for number in range(count):
            self.add(number)

    def appended(self) -> list[tuple[str, int]]:
        pairs = []
        for sent in self.connection.all("PUT"):
            pairs += list(zip(sent.json["digest-list"], sent.json["offset-list"], strict=True))
        return pairs


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


@pytest.mark.parametrize("kind", ["dynamic", "fixed"])
def test_the_index_is_created_appended_and_closed_with_its_checksum(kind: str) -> None:
    bench = Bench(kind, automatic={f"PUT /{kind}_index": None}, size=25 if kind == "fixed" else None)
    for number, length in enumerate((10, 10, 5)):
        bench.add(number, length=length)
    closed = bench.writer.close()
    create, put, close = bench.connection.sent
    assert create.query == ({"archive-name": "root.x", "size": 25} if kind == "fixed" else {"archive-name": "root.x"})
    assert put.json == {"wid": 7, "digest-list": [digest(number).hex() for number in range(3)], "offset-list": [0, 10, 20]}
    parts = [digest(0), digest(1), digest(2)]
    if kind == "dynamic":
        parts = [struct.pack("<Q", end) + part for end, part in zip((10, 20, 25), parts, strict=True)]
    assert closed.csum == hashlib.sha256(b"".join(parts)).hexdigest()
    assert close.query == {"wid": 7, "chunk-count": 3, "size": 25, "csum": closed.csum}


def test_nothing_is_appended_before_its_upload_was_answered() -> None:
    bench = Bench(automatic={"PUT /dynamic_index": None})
    first = bench.add(0, answered=False)
    for number in range(1, MAX_UNANSWERED - 3):
        bench.add(number)
    assert bench.connection.all("PUT") == []
    first.set_result(Answer(200, {}, b""))
    bench.writer.close()
    assert [text for text, _ in bench.appended()] == [digest(number).hex() for number in range(MAX_UNANSWERED - 3)]


def test_appends_are_full_and_follow_one_another() -> None:
    bench, count = Bench(), 2 * MAX_ENTRIES + 5
    done = threading.Thread(target=bench.add_all, args=(count,))
    done.start()
    for number in range(2):
        put = bench.connection.wait_for("PUT", "/dynamic_index", number + 1)
        assert len(bench.connection.all("PUT")) == number + 1, "the next one waits for the answer"
        assert len(put.json["digest-list"]) == MAX_ENTRIES
        put.answer()
    done.join(TIMEOUT_S)
    bench.connection.automatic["PUT /dynamic_index"] = None
    assert bench.writer.close().chunks == count
    assert bench.appended() == [(digest(number).hex(), 10 * number) for number in range(count)]


def test_no_more_than_the_bound_waits_for_answers() -> None:
    bench = Bench(automatic={"PUT /dynamic_index": None})
    answers: list[Future[Answer]] = []

    def add_all() -> None:
        for number in range(2 * MAX_UNANSWERED):
            answers.append(bench.add(number, answered=False))

    adding = threading.Thread(target=add_all)
    adding.start()
    while not bench.writer._waiting.full():
        adding.join(0.001)
    assert len(answers) < MAX_UNANSWERED, "and one more is in the hands of `add`, which waits for room"
    while adding.is_alive() or any(not answer.done() for answer in answers):
        for answer in list(answers):
            if not answer.done():
                answer.set_result(Answer(200, {}, b""))
        adding.join(0.001)
    assert bench.writer.close().chunks == 2 * MAX_UNANSWERED


def add_many_and_close(bench: Bench) -> None:
    for number in range(1, 5 * MAX_UNANSWERED):
        bench.add(number)
    bench.writer.close()


@pytest.mark.parametrize("failure", [RefusedRequest, ConnectionLost, Unavailable])
def test_a_failed_upload_ends_the_index_and_nothing_waits(failure: type[Exception]) -> None:
    bench = Bench(automatic={"PUT /dynamic_index": None})
    answer = bench.add(0, answered=False)
    if failure is RefusedRequest:
        answer.set_result(Answer(400, {}, b"digest is wrong"))
    elif failure is ConnectionLost:
        answer.set_exception(ConnectionLost("lost"))
    else:
        answer.set_exception(RuntimeError("a bug"))
    with pytest.raises(failure):
        add_many_and_close(bench)
    with pytest.raises(failure):
        bench.add(0)
    bench.writer.abandon()
    assert bench.connection.all("PUT") == []
    assert bench.connection.all("POST", "close") == []


def test_a_refused_append_is_told_and_the_index_is_not_closed() -> None:
    bench = Bench()
    bench.add(0)
    closing = threading.Thread(target=lambda: bench.connection.wait_for("PUT", "/dynamic_index").answer(b"not known", 400))
    closing.start()
    with pytest.raises(RefusedRequest, match=r"appending to root\.x: the server answered 400: not known"):
        bench.writer.close()
    closing.join(TIMEOUT_S)
    assert bench.connection.all("POST", "close") == []


def test_a_job_that_was_cancelled_counts_as_not_sent() -> None:
    bench = Bench()
    cancelled: Future[SentChunk] = Future()
    assert cancelled.cancel()
    cancelled.set_running_or_notify_cancel()
    bench.writer.add(cancelled)
    with pytest.raises(Unavailable, match="a chunk was not sent"):
        bench.writer.close()


def test_abandon_ends_the_thread_while_answers_are_missing() -> None:
    bench = Bench()
    answers = [bench.add(number, answered=False) for number in range(5)]
    for answer in answers:
        answer.set_exception(ConnectionLost("closed"))
    bench.writer.abandon()
    assert not [thread for thread in threading.enumerate() if thread.name == "append root.x"]


@pytest.mark.parametrize("data", [None, "7", 7.5, True, {}])
def test_a_writer_without_a_number_is_refused(data: object) -> None:
    with pytest.raises(Corrupt, match="no number"):
        Bench(automatic={"POST /dynamic_index": data})
