from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from platevault.client.known_chunks import Claim, KnownChunks
from platevault.wire.http2.call import Answer


def digests(*numbers: int) -> list[bytes]:
    return [number.to_bytes(32, "big") for number in numbers]


def index(*numbers: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(digests(*numbers)), np.uint8).reshape(-1, 32)


def test_what_stands_in_a_previous_index_need_not_be_sent() -> None:
    known = KnownChunks()
    known.add_previous(index(5, 3, 3, 256**31))
    known.add_previous(index(7))
    for number in (3, 5, 7, 256**31):
        assert known.claim(*digests(number)) is None
    for number in (0, 4, 6, 8, 256**32 - 1):
        assert isinstance(known.claim(*digests(number)), Claim)


def test_an_empty_index_knows_nothing() -> None:
    known = KnownChunks()
    known.add_previous(index())
    assert isinstance(known.claim(bytes(32)), Claim)


def test_digests_that_end_in_zeros_are_told_apart() -> None:
    """A digest is no text: zeros at its end belong to it."""
    known, prefix = KnownChunks(), b"\x01" * 30
    known.add_previous(np.frombuffer(prefix + b"\0\0", np.uint8).reshape(1, 32))
    assert known.claim(prefix + b"\0\0") is None
    assert isinstance(known.claim(prefix + b"\0\1"), Claim)


def test_the_first_who_asks_sends_and_the_others_wait_for_its_answer() -> None:
    known, (digest,) = KnownChunks(), digests(1)
    claim = known.claim(digest)
    assert isinstance(claim, Claim)
    waiting = known.claim(digest)
    assert waiting is claim.answer
    sent: Future[Answer] = Future()
    claim.settle(sent)
    sent.set_result(Answer(200, {}, b""))
    assert claim.answer.result(0).status == 200
    known.confirm(digest)
    assert known.claim(digest) is None


@pytest.mark.parametrize("before", [True, False], ids=["not sent", "not answered"])
def test_a_failure_reaches_everybody_who_waits(before: bool) -> None:
    known, (digest,) = KnownChunks(), digests(1)
    claim = known.claim(digest)
    assert isinstance(claim, Claim)
    waiting = known.claim(digest)
    assert isinstance(waiting, Future)
    sent: Future[Answer] = Future()
    if before:
        claim.fail(OSError("lost"))
    else:
        claim.settle(sent)
        sent.set_exception(OSError("lost"))
    with pytest.raises(OSError, match="lost"):
        waiting.result(0)


def test_of_many_threads_one_sends() -> None:
    known, begin, (digest,) = KnownChunks(), threading.Barrier(8), digests(1)

    def ask(_: int) -> object:
        begin.wait(20)
        return known.claim(digest)

    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(ask, range(8)))
    assert sum(isinstance(claim, Claim) for claim in claims) == 1
