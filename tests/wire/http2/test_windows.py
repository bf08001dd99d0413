from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.wire.http2.frames import MAX_WINDOW, ConnectionFault, ErrorCode
from platevault.wire.http2.windows import ReceiveWindow, SendWindow

WINDOW = 1000


def test_a_peer_that_sends_more_than_it_may_is_a_fault() -> None:
    window = ReceiveWindow(WINDOW)
    window.take(WINDOW)
    with pytest.raises(ConnectionFault) as caught:
        window.take(1)
    assert caught.value.code is ErrorCode.FLOW_CONTROL_ERROR


def test_credit_comes_back_a_quarter_at_a_time() -> None:
    window = ReceiveWindow(WINDOW)
    window.take(600)
    assert [window.consume(100) for _ in range(6)] == [0, 0, 300, 0, 0, 300]


@given(st.lists(st.integers(0, WINDOW), max_size=100))
def test_a_peer_that_waits_for_credit_never_waits_for_ever(sizes: list[int]) -> None:
    """The peer sends as much as it may; all of it is consumed. Then it may always send a quarter of the window at least."""
    window, credit = ReceiveWindow(WINDOW), WINDOW
    for size in sizes:
        sent = min(size, credit)
        window.take(sent)
        credit += window.consume(sent) - sent
        assert 3 * WINDOW // 4 <= credit <= WINDOW


def test_a_send_window_may_become_negative_and_has_a_top() -> None:
    window = SendWindow(100)
    assert window.grant(-150)
    assert window.left == -50
    assert window.grant(MAX_WINDOW + 50)
    assert not window.grant(1)
