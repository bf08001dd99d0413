from __future__ import annotations

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.wire.http2.frames import ConnectionFault, ErrorCode, StreamFault
from platevault.wire.http2.headers import (
    MAX_HEADER_LIST_BYTES,
    HeaderDecoder,
    HeaderListTooLarge,
    encode_fields,
    list_bytes,
    request_from,
)

GOOD = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost:8007"), (":path", "/chunk?digest=ab&x=a%2Fb")]
TEXT = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)


def test_a_request_as_clients_send_it() -> None:
    request = request_from(1, [*GOOD, ("content-type", "application/json"), ("content-type", "b")], end_stream=True)
    assert (request.method, request.path, request.query) == ("GET", "/chunk", "digest=ab&x=a%2Fb")
    assert request.headers == {"content-type": "application/json, b"}
    assert not request.accepts_body


def test_the_authority_is_not_looked_at_and_may_be_missing() -> None:
    assert request_from(1, [field for field in GOOD if field[0] != ":authority"], end_stream=False).accepts_body


@pytest.mark.parametrize(
    "fields",
    [
        [],
        GOOD[1:],
        [*GOOD[:1], *GOOD[2:]],
        GOOD[:3],
        [*GOOD[:3], (":path", "")],
        [*GOOD, (":path", "/twice")],
        [*GOOD, (":status", "200")],
        [("accept", "x"), *GOOD],
        [*GOOD, ("Upper", "x")],
        [*GOOD, ("connection", "close")],
        [*GOOD, ("transfer-encoding", "chunked")],
        [*GOOD, ("upgrade", "h2c")],
    ],
)
def test_a_malformed_list_is_a_fault_of_its_stream(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(StreamFault) as caught:
        request_from(5, fields, end_stream=True)
    assert (caught.value.stream_id, caught.value.code) == (5, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(("length", "legal"), [("0", True), ("00", True), ("5", False)])
def test_a_length_without_a_body(length: str, legal: bool) -> None:
    fields = [*GOOD, ("content-length", length)]
    if legal:
        assert request_from(1, fields, end_stream=True).headers["content-length"] == length
    else:
        with pytest.raises(StreamFault):
            request_from(1, fields, end_stream=True)


def test_the_announced_limit_is_the_limit() -> None:
    filler = MAX_HEADER_LIST_BYTES - list_bytes(GOOD) - 32 - 1
    assert request_from(1, [*GOOD, ("x", "y" * filler)], end_stream=True)
    with pytest.raises(HeaderListTooLarge):
        request_from(1, [*GOOD, ("x", "y" * (filler + 1))], end_stream=True)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=10))
def test_an_independent_decoder_reads_what_we_encode_and_its_table_stays_empty(fields: list[tuple[str, str]]) -> None:
    decoder = hpack.Decoder()
    for _ in range(2):
        assert [(str(name), str(value)) for name, value in decoder.decode(encode_fields(tuple(fields)))] == fields
    assert not decoder.header_table.dynamic_entries


@given(st.lists(st.lists(st.tuples(TEXT, TEXT), max_size=5), max_size=5))
def test_we_keep_step_with_the_table_of_an_independent_encoder(lists: list[list[tuple[str, str]]]) -> None:
    encoder, decoder = hpack.Encoder(), HeaderDecoder()
    for fields in lists:
        assert decoder.decode(encoder.encode(fields)) == fields


@given(st.binary(max_size=200))
def test_any_block_raises_nothing_but_a_connection_fault(block: bytes) -> None:
    decoder = HeaderDecoder()
    try:
        decoder.decode(block)
    except ConnectionFault as fault:
        code = fault.code
    else:
        return
    assert code is ErrorCode.COMPRESSION_ERROR


def test_a_small_block_that_unfolds_into_much_is_refused_in_bounded_memory() -> None:
    """A header of 4000 bytes enters the table once and is then named by one byte at a time."""
    encoder = hpack.Encoder()
    block = encoder.encode([("x", "y" * 4000)]) + encoder.encode([("x", "y" * 4000)] * 60_000)
    assert len(block) < 70_000
    with pytest.raises(ConnectionFault) as caught:
        HeaderDecoder().decode(block)
    assert caught.value.code is ErrorCode.COMPRESSION_ERROR


def test_bytes_outside_ascii_pass_as_latin_1() -> None:
    raw = hpack.Encoder().encode([(b"x", b"\xc3\xa9\xff")])
    assert HeaderDecoder().decode(raw) == [("x", "\xc3\xa9\xff")]
