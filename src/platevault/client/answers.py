"""The shape of what a server lists, checked once where it comes in: whoever uses it may then rely on its keys.

A server may add keys; what is missing or of another type is told as MalformedAnswer.
"""

from __future__ import annotations

from typing import Any

from platevault.client.rest import MalformedAnswer

Item = dict[str, Any]


def items_of(what: str, data: object, **required: type) -> list[Item]:
    """`data` as a list of objects that have these keys (`_` stands for `-`) of these types. what: in words, for the error."""
    if not isinstance(data, list):
        raise MalformedAnswer(f"{what}: the server has answered with no list")
    return [object_of(what, item, **required) for item in data]


def object_of(what: str, data: object, **required: type) -> Item:
    """`data` as an object that has these keys of these types."""
    if not isinstance(data, dict):
        raise MalformedAnswer(f"{what}: the server has answered with no object")
    for name, kind in required.items():
        key = name.replace("_", "-")
        if not isinstance(data.get(key), kind) or isinstance(data.get(key), bool):
            raise MalformedAnswer(f"{what}: {key!r} is missing in the server's answer or of another type", key=key)
    return data
