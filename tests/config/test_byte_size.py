"""Sizes with a unit (spec rest-api §5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.config.byte_size import UNITS, InvalidSize, normal_size, size_in_bytes


@pytest.mark.parametrize(
    ("text", "normal", "size"),
    [
        ("1000", "1000 B", 1000),
        ("10MB", "10 MB", 10_000_000),
        ("10 MiB", "10 MiB", 10 * 1024**2),
        ("1024 KiB", "1024 KiB", 1024**2),
        ("1.5 GiB", "1.5 GiB", 3 * 1024**3 // 2),
        ("1.23456 MB", "1.235 MB", 1_234_560),
        ("2k", "", 0),
        ("2K", "2 KB", 2000),
        ("2Ki", "2 KiB", 2048),
        ("0 PiB", "0 PiB", 0),
    ],
)
def test_forms(text: str, normal: str, size: int) -> None:
    if not normal:
        with pytest.raises(InvalidSize):
            normal_size(text)
        return
    assert (normal_size(text), size_in_bytes(text)) == (normal, size)


@pytest.mark.parametrize("text", ["", "B", "1XB", "-1", "1e3", "1,5 MB", "1 MB MB", "1  EB", "MB 1", "²MB", "1" * 65])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InvalidSize, match="byte-size parse error"):
        normal_size(text)


@given(number=st.integers(0, 10**6), unit=st.sampled_from(list(UNITS)), blank=st.sampled_from(["", " "]))
def test_the_normal_form_is_its_own(number: int, unit: str, blank: str) -> None:
    text = normal_size(f"{number}{blank}{unit}")
    assert (text, normal_size(text)) == (f"{number} {unit}", text)
    assert size_in_bytes(text) == number * UNITS[unit]
