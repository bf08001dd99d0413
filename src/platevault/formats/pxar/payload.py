"""Payloads in the payload stream of a split archive.

Source: spec formats §8.8. A reader goes by the references of the metadata stream only; between payloads anything may stand.
"""

from __future__ import annotations

from platevault.formats.pxar.items import HEADER, HEADER_BYTES, PAYLOAD, CorruptArchive


def check_header(header: bytes, offset: int, size: int) -> None:
    """Check the 16 bytes at `offset` of the payload stream, where a file of `size` bytes was said to be. Raises CorruptArchive."""
    if len(header) < HEADER_BYTES or HEADER.unpack(header) != (PAYLOAD, HEADER_BYTES + size):
        raise CorruptArchive(f"pxar: no file of {size} bytes at byte {offset} of the payload stream", offset=offset)
