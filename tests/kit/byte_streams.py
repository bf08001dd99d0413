"""Streams of bytes that a few words describe, as the chunker's vectors do."""

from __future__ import annotations

import hashlib
import random
import struct
from functools import cache
from typing import Any


def described(generator: dict[str, Any], length: int) -> bytes:
    """The first `length` bytes of a stream: `constant` (byte), `u32le-counter` (count) or `sha256-counter` (seed_ascii)."""
    if generator["generator"] == "constant":
        return bytes([generator["byte"]]) * length
    if generator["generator"] == "u32le-counter":
        return struct.pack(f"<{generator['count']}I", *range(generator["count"]))[:length]
    return hashed(generator["seed_ascii"], length)


@cache
def hashed(seed: str, length: int) -> bytes:
    """SHA-256 of the seed and a counter, again and again: as good as random, the same everywhere."""
    ascii_seed = seed.encode()
    return b"".join(hashlib.sha256(ascii_seed + struct.pack("<Q", number)).digest() for number in range(-(-length // 32)))[:length]


def noise(seed: int, length: int) -> bytes:
    """Random bytes for a Hypothesis test, which draws the seed and not the bytes."""
    return random.Random(seed).randbytes(length)
