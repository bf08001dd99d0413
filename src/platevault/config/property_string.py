"""Property strings: an object packed into one text, `key=value,key=value` (spec rest-api §2.4).

Values with separators stand in double quotes with `\\"` and `\\\\` escapes. One key may be left out in first position: the default key.
"""

from __future__ import annotations

from collections.abc import Mapping

from platevault.errors import Invalid


class InvalidPropertyString(Invalid):
    """A text that does not parse. Fact: `text`."""


def parse(text: str, *, default_key: str | None = None) -> dict[str, str]:
    """Keys and values as text. Raises InvalidPropertyString for broken quotes, repeated keys and missing names."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        key, position = _key(text, position, default_key if not found else None)
        value, position = _value(text, position)
        if key in found:
            raise InvalidPropertyString(f"duplicate key '{key}'", text=text)
        found[key] = value
    return found


def _key(text: str, position: int, default_key: str | None) -> tuple[str, int]:
    ends = [at for at in (text.find(mark, position) for mark in ("=", ",", '"')) if at >= 0]
    end = min(ends, default=len(text))
    if end < len(text) and text[end] == "=":
        return text[position:end].strip(), end + 1
    if default_key is None:
        raise InvalidPropertyString(f"value without a key in '{text[:128]}'", text=text)
    return default_key, position


def _value(text: str, position: int) -> tuple[str, int]:
    if text[position : position + 1] == '"':
        return _quoted(text, position + 1)
    end = text.find(",", position)
    end = len(text) if end < 0 else end
    return text[position:end], end + 1


def _quoted(text: str, position: int) -> tuple[str, int]:
    value = ""
    while position < len(text):
        letter = text[position]
        if letter == '"':
            if text[position + 1 : position + 2] not in ("", ","):
                break
            return value, position + 2
        if letter == "\\":
            position += 1
            letter = text[position : position + 1]
            if letter not in ('"', "\\"):
                break
        value, position = value + letter, position + 1
    raise InvalidPropertyString(f"broken quotes in '{text[:128]}'", text=text)


def render(values: Mapping[str, str], *, default_key: str | None = None) -> str:
    """The inverse: the default key goes first and without its name, quotes only where needed."""
    parts = []
    if default_key is not None and default_key in values:
        parts.append(_shown(values[default_key], unnamed=True))
    parts += [f"{key}={_shown(value)}" for key, value in values.items() if key != default_key]
    return ",".join(parts)


def _shown(value: str, *, unnamed: bool = False) -> str:
    if not any(letter in value for letter in ',"\\') and not (unnamed and (not value or "=" in value)):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
