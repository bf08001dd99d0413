"""Property strings: objects in one text (spec rest-api §2.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.config.property_string import InvalidPropertyString, parse, render

KEYS = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=8)
VALUES = st.text(st.characters(codec="utf-8"), max_size=12)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1,b=2", {"a": "1", "b": "2"}),
        ("a=", {"a": ""}),
        ("a=x=y", {"a": "x=y"}),
        ('a="x,y",b=2', {"a": "x,y", "b": "2"}),
        ('a="\\"\\\\",b=2', {"a": '"\\', "b": "2"}),
        ('a=""', {"a": ""}),
        ("a=ä€", {"a": "ä€"}),
    ],
)
def test_forms(text: str, found: dict[str, str]) -> None:
    assert parse(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("read-only", {"type": "read-only"}),
        ('read-only,message="disk swap"', {"type": "read-only", "message": "disk swap"}),
        ("type=read-only,message=disk swap", {"type": "read-only", "message": "disk swap"}),
        ("message=x,type=offline", {"message": "x", "type": "offline"}),
        ('"a,b",message=x', {"type": "a,b", "message": "x"}),
        ('"a=b"', {"type": "a=b"}),
    ],
)
def test_a_default_key_in_first_position(text: str, found: dict[str, str]) -> None:
    assert parse(text, default_key="type") == found


@pytest.mark.parametrize("text", ["a", ",", "a=1,b", "a=1,,b=2", "a=1,a=2", 'a="x', 'a="x"y', 'a="\\n"', 'a="\\', '"x"', ",a=1", 'a=1,"x"'])
def test_what_is_none(text: str) -> None:
    with pytest.raises(InvalidPropertyString):
        parse(text)


def test_a_default_key_stands_in_first_position_only() -> None:
    with pytest.raises(InvalidPropertyString):
        parse("message=x,offline", default_key="type")
    with pytest.raises(InvalidPropertyString, match="duplicate"):
        parse("offline,type=x", default_key="type")


def test_output_leaves_the_name_out_and_quotes_where_needed() -> None:
    values = {"message": "disk swap", "type": "read-only"}
    assert render(values, default_key="type") == "read-only,message=disk swap"
    assert render({"message": "a, b"}) == 'message="a, b"'


@given(values=st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_is_rendered_is_parsed(values: dict[str, str]) -> None:
    assert parse(render(values)) == values


@given(values=st.dictionaries(KEYS, VALUES, max_size=5), default=VALUES)
def test_with_a_default_key(values: dict[str, str], default: str) -> None:
    full = {**values, "default.key": default}
    assert parse(render(full, default_key="default.key"), default_key="default.key") == full


@given(text=st.text(max_size=40), default_key=st.sampled_from([None, "type"]))
def test_only_our_error(text: str, default_key: str | None) -> None:
    try:
        found = parse(text, default_key=default_key)
    except InvalidPropertyString:
        return
    assert isinstance(found, dict)
