"""Filters of backup groups (spec administration §4.3)."""

from __future__ import annotations

import pytest

from platevault.config.group_filter import InvalidFilter, normal_filter


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("type:vm", "type:vm"),
        ("include:type:ct", "type:ct"),
        ("exclude:group:host/a.b", "exclude:group:host/a.b"),
        ("regex:^vm/1:2$", "regex:^vm/1:2$"),
        ("include:regex:exclude:x", "regex:exclude:x"),
    ],
)
def test_forms(text: str, normal: str) -> None:
    assert normal_filter(text) == normal


@pytest.mark.parametrize(
    "text",
    ["", "vm", "type:", "type:qemu", "group:vm", "group:vm/../x", "regex:", "only:type:vm", "exclude:", "exclude:include:type:vm"],
)
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(InvalidFilter, match="input doesn't match expected format"):
        normal_filter(text)
