"""From query, form or JSON text to a checked model, and the texts of what is wrong.

Source: spec rest-api §2.1, §2.2. Text values are converted by the type of the field (booleans by word, decimal integers, arrays by
repeated keys), and then checked strictly; JSON values are checked strictly as they are. Path placeholders are parameters as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, from_json

from platevault.errors import Invalid

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
IGNORED = "_dc"  # the cache buster of the ExtJS framework
TRUE_WORDS = frozenset({"1", "on", "yes", "true"})
FALSE_WORDS = frozenset({"0", "off", "no", "false"})
INTEGER = re.compile(r"[+-]?[0-9]{1,19}")

UNKNOWN = "schema does not allow additional properties."
MISSING = "parameter is missing and it is not optional."
MISSING_PROPERTY = "property is missing and it is not optional"  # the same in a JSON body
DUPLICATE = "duplicate parameter."
EXPECTED = {
    "bool_type": "Expected boolean value.",
    "int_type": "Expected integer value.",
    "float_type": "Expected number value.",
    "string_type": "Expected string value.",
    "list_type": "Expected array value.",
    "extra_forbidden": UNKNOWN,
}


class Params(BaseModel):
    """Base of all parameter models: dash-case names outside, no unknown names, exact types."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"), extra="forbid", frozen=True, strict=True)


class NoParams(Params):
    """An endpoint without parameters."""


class WrongParameters(Invalid):
    """Parameters that do not fit. errors: name -> text."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(_message(errors), errors=dict(errors))


class WrongContentType(Invalid):
    """A body that is neither form nor JSON where parameters are expected."""


def wrong(name: str, text: str) -> WrongParameters:
    """The error for one parameter, for checks that a model cannot make."""
    return WrongParameters({name: text})


def _message(errors: Mapping[str, str]) -> str:
    if len(errors) == 1:
        [(name, text)] = errors.items()
        return f"parameter verification failed - '{name}': {text}"
    return "\n".join(["parameter verification failed:", *(f"- '{name}': {errors[name]}" for name in sorted(errors))])


def read(model: type[Params], place: Mapping[str, str], query: str, content_type: str | None, body: bytes) -> Params:
    """The checked parameters of a request whose body holds parameters. place: decoded path placeholders."""
    kind = (content_type or FORM).split(";")[0].strip()
    if kind == JSON:
        return check(model, {**_json_object(body), **from_texts(model, place.items())}, missing=MISSING_PROPERTY)
    if kind.lower() != FORM:
        raise WrongContentType(f"unsupported content type '{kind}'")
    return read_query(model, place, query, utf8(body))


def read_query(model: type[Params], place: Mapping[str, str], query: str, form: str = "") -> Params:
    """The checked parameters of path, query and form text. A key in two of them is a repeated key."""
    if not query and not form:
        return check(model, from_texts(model, place.items()))
    return check(model, from_texts(model, [*place.items(), *_pairs(query), *_pairs(form)]))


def check(model: type[Params], values: Mapping[str, Any], *, missing: str = MISSING) -> Params:
    """The model of these values. missing: what is said of a parameter that is not there. Raises WrongParameters."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise WrongParameters(_errors(error.errors(include_url=False), missing)) from None


def from_texts(model: type[Params], pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Values of the fields' types, from names and texts. Raises WrongParameters."""
    converters = _converters(model)
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, text in pairs:
        kind, is_array = converters.get(name, (str, False))
        try:
            value = _convert(kind, text)
        except ValueError as error:
            errors.setdefault(name, str(error))
            continue
        if is_array:
            values.setdefault(name, []).append(value)
        elif name in values:
            errors[name] = DUPLICATE
        else:
            values[name] = value
    if errors:
        raise WrongParameters(errors)
    return values


def _convert(kind: type, text: str) -> Any:
    if kind is bool:
        return _boolean(text)
    if kind is int:
        if not INTEGER.fullmatch(text):
            raise ValueError("Unable to parse as integer.")
        return int(text)
    return text


def _boolean(text: str) -> bool:
    word = text.lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError("Unable to parse boolean option.")


@cache
def _converters(model: type[Params]) -> dict[str, tuple[type, bool]]:
    """Of each parameter by its outer name: the type that its text stands for, and whether the key may be repeated."""
    return {field.alias or name: _kind_of(field.annotation) for name, field in model.model_fields.items()}


def _kind_of(annotation: Any) -> tuple[type, bool]:
    if get_origin(annotation) is Annotated:
        return _kind_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return _kind_of(next(part for part in get_args(annotation) if part is not NoneType))
    if get_origin(annotation) is list:
        return _kind_of(get_args(annotation)[0])[0], True
    return (annotation, False) if annotation in (bool, int) else (str, False)


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=10_000)
    except ValueError:
        raise Invalid("unable to decode parameters: not UTF-8 text, or too many of them") from None
    return [pair for pair in pairs if pair[0] != IGNORED]


def utf8(text: bytes) -> str:
    """The text of a query or form. Raises Invalid."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise Invalid("parameters are not UTF-8 text") from None


def _json_object(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        # Unlike the standard library's, this parser takes no text that is none: half a surrogate pair could not even be stored.
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Invalid(f"unable to parse the request body as JSON: {_one_line(error)}") from None
    if not isinstance(value, dict):
        raise Invalid("the request body is no JSON object")
    return value


def _one_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _errors(details: Iterable[ErrorDetails], missing: str) -> dict[str, str]:
    errors: dict[str, str] = {}
    for detail in details:
        name = str(detail["loc"][0]) if detail["loc"] else ""
        errors.setdefault(name, missing if detail["type"] == "missing" else _text_of(detail))
    return errors


def _text_of(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "string_pattern_mismatch":
        return "value does not match the regex pattern"
    if kind == "literal_error":
        return f"value '{str(detail['input'])[:64]}' is not defined in the enumeration."
    if kind == "greater_than_equal":
        return f"value must have a minimum value of {detail['ctx']['ge']} (got {detail['input']})"
    if kind == "less_than_equal":
        return f"value must have a maximum value of {detail['ctx']['le']} (got {detail['input']})"
    if kind == "string_too_short":
        return f"value must be at least {detail['ctx']['min_length']} characters long"
    if kind == "string_too_long":
        return f"value may only be {detail['ctx']['max_length']} characters long"
    return EXPECTED.get(kind) or detail["msg"]
