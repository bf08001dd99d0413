"""Header blocks: decoding and checking of requests, encoding of answers.

Source: RFC 9113 §8.2, §8.3; limits from spec wire-protocol §2.8. Encoding never touches the dynamic table, so that an encoded block
depends on nothing but its fields and can be kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from hpack import Decoder, Encoder, HeaderTuple, NeverIndexedHeaderTuple
from hpack.exceptions import HPACKError

from platevault.wire.http2.frames import ConnectionFault, ErrorCode, StreamFault
from platevault.wire.http2.message import Request

MAX_HEADER_LIST_BYTES = 16384  # announced; a larger list is answered 431
MAX_DECODED_BYTES = 256 * 1024  # beyond this the connection ends: no honest peer, and the table cannot be kept in step
# Dynamic table size update to 0 (RFC 7541 §4.2, §6.3). A peer that lowers the size of our table must hear that we follow; we never use it.
EMPTY_TABLE = b"\x20"
FIELD_OVERHEAD_BYTES = 32  # RFC 9113 §6.5.2
CONNECTION_FIELDS = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
REQUEST_PSEUDO = frozenset({":method", ":scheme", ":authority", ":path"})


class HeaderListTooLarge(StreamFault):
    """More header bytes than announced: answered 431."""


class HeaderDecoder:
    """One per connection: keeps the dynamic table of the peer in step, also for requests that are refused."""

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=MAX_DECODED_BYTES)

    def decode(self, block: bytes | bytearray | memoryview) -> list[tuple[str, str]]:
        """Fields in order. Raises ConnectionFault: after an undecodable block the table is lost."""
        try:
            fields = self._decoder.decode(bytes(block), raw=True)
        except (HPACKError, IndexError, ValueError) as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, "header block") from error
        return [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in fields]


def list_bytes(fields: Iterable[tuple[str, str]]) -> int:
    return sum(len(name) + len(value) + FIELD_OVERHEAD_BYTES for name, value in fields)


def split_pseudo(stream_id: int, fields: list[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """Pseudo and ordinary fields; repeated ordinary fields are joined. Raises StreamFault for a malformed list."""
    pseudo: dict[str, str] = {}
    plain: dict[str, str] = {}
    for name, value in fields:
        if name.startswith(":"):
            if plain or name in pseudo:
                raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, f"misplaced {name[:40]}")
            pseudo[name] = value
            continue
        if name != name.lower() or name in CONNECTION_FIELDS:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, f"forbidden field {name[:40]}")
        plain[name] = f"{plain[name]}, {value}" if name in plain else value
    return pseudo, plain


def request_from(stream_id: int, fields: list[tuple[str, str]], *, end_stream: bool) -> Request:
    """The request that a header list asks for. Raises HeaderListTooLarge or StreamFault."""
    if list_bytes(fields) > MAX_HEADER_LIST_BYTES:
        raise HeaderListTooLarge(stream_id, ErrorCode.ENHANCE_YOUR_CALM, "header list too large")
    pseudo, plain = split_pseudo(stream_id, fields)
    if not pseudo.keys() <= REQUEST_PSEUDO or not pseudo.get(":method") or not pseudo.get(":path") or ":scheme" not in pseudo:
        raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "pseudo header fields")
    if end_stream and plain.get("content-length", "0").strip("0"):
        raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "content-length without a body")
    path, _, query = pseudo[":path"].partition("?")
    return Request(pseudo[":method"], path, query, plain, accepts_body=not end_stream)


@lru_cache(maxsize=512)
def encode_fields(fields: tuple[tuple[str, str], ...]) -> bytes:
    """A header block that leaves the dynamic table alone."""
    listed: list[HeaderTuple] = [NeverIndexedHeaderTuple(name, value) for name, value in fields]
    return Encoder().encode(listed, huffman=False)
