"""The hash of a name in a goodbye table: SipHash-2-4 with a fixed key, 64 bits.

Source: spec formats §8.7. The key is the first 32 hex digits of the SHA-1 of `PROXMOX ARCHIVE FORMAT`, read as two numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from siphashc import siphash

KEY = bytes.fromhex("db50b4fb1c3fac83bd9f3679681b4faa")

# The hash of a name without its terminating zero.
name_hash: Callable[[bytes], int] = partial(siphash, KEY)
