"""From query, form and JSON to checked parameters (spec rest-api §2)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.api.parameters import Params, WrongContentType, WrongParameters, read, read_query, wrong
from platevault.api.types import Natural, Ns, StoreName
from platevault.errors import Invalid
from platevault.formats.names import ROOT


class Model(Params):
    store: StoreName
    ns: Ns = ROOT
    max_depth: Natural | None = None
    dry_run: bool = False
    mode: Literal["a", "b"] | None = None
    names: list[str] | None = None


def of(query: str = "", *, form: bytes = b"", content_type: str | None = None) -> Any:
    return read(Model, {"store": "main"}, query, content_type, form)


def texts(raised: pytest.ExceptionInfo[WrongParameters]) -> dict[str, str]:
    errors: dict[str, str] = raised.value.errors
    return errors


def test_path_query_and_form_are_merged() -> None:
    p = of("max-depth=3", form=b"dry-run=1&ns=a/b")
    assert (p.store, p.max_depth, p.dry_run, str(p.ns)) == ("main", 3, True, "a/b")


@pytest.mark.parametrize("text", ["1", "on", "yes", "true", "TRUE", "On"])
def test_words_for_true(text: str) -> None:
    assert of(f"dry-run={text}").dry_run is True


@pytest.mark.parametrize("text", ["0", "off", "no", "False"])
def test_words_for_false(text: str) -> None:
    assert of(f"dry-run={text}").dry_run is False


@pytest.mark.parametrize(
    "query", ["dry-run=2", "dry-run=", "max-depth=1.5", "max-depth=", "max-depth=0x10", "max-depth=-1", "max-depth=%C2%B2"]
)
def test_texts_of_wrong_type(query: str) -> None:
    with pytest.raises(WrongParameters) as raised:
        of(query)
    assert list(texts(raised)) == [query.split("=")[0]]


def test_empty_namespace_is_the_root() -> None:
    assert of("ns=").ns == ROOT


def test_arrays_are_repeated_keys_and_commas_are_data() -> None:
    assert of("names=a&names=b,c").names == ["a", "b,c"]
    assert of("names=a").names == ["a"]


def test_a_repeated_key_is_refused_where_no_array_is_expected() -> None:
    with pytest.raises(WrongParameters) as raised:
        of("max-depth=1&max-depth=2")
    assert texts(raised) == {"max-depth": "duplicate parameter."}
    with pytest.raises(WrongParameters):
        of("max-depth=1", form=b"max-depth=1")
    with pytest.raises(WrongParameters):
        of("store=other")


def test_unknown_and_missing_parameters_are_named() -> None:
    with pytest.raises(WrongParameters) as raised:
        read_query(Model, {}, "all=1")
    assert texts(raised) == {
        "all": "schema does not allow additional properties.",
        "store": "parameter is missing and it is not optional.",
    }
    assert raised.value.message == (
        "parameter verification failed:\n"
        "- 'all': schema does not allow additional properties.\n"
        "- 'store': parameter is missing and it is not optional."
    )


def test_one_wrong_parameter_is_one_line() -> None:
    assert wrong("ns", "no").message == "parameter verification failed - 'ns': no"


def test_the_cache_buster_is_never_unknown() -> None:
    assert of("_dc=123").store == "main"


@pytest.mark.parametrize("name", ["max_depth", "dry_run"])
def test_names_are_dash_case(name: str) -> None:
    with pytest.raises(WrongParameters):
        of(f"{name}=1")


def test_plus_is_a_blank_and_text_is_utf_8() -> None:
    assert of("names=two+words&names=%C3%A4").names == ["two words", "ä"]


@pytest.mark.parametrize("query", ["names=%FF", "names=%C3"])
def test_other_encodings_are_refused(query: str) -> None:
    with pytest.raises(Invalid, match="UTF-8"):
        of(query)


# --- JSON ---


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=UTF-8", "application/json;charset=utf-8"])
def test_json_hides_the_query(content_type: str) -> None:
    p = of("max-depth=7&all=1", form=b'{"dry-run": true, "names": ["a"]}', content_type=content_type)
    assert (p.dry_run, p.names, p.max_depth) == (True, ["a"], None)


def test_an_empty_json_body_is_an_empty_object() -> None:
    assert of(content_type="application/json").store == "main"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"dry-run": 1}', "dry-run"),
        (b'{"dry-run": "1"}', "dry-run"),
        (b'{"max-depth": "1"}', "max-depth"),
        (b'{"max-depth": true}', "max-depth"),
        (b'{"max-depth": 1.0}', "max-depth"),
        (b'{"names": "a"}', "names"),
        (b'{"names": [1]}', "names"),
        (b'{"ns": 1}', "ns"),
        (b'{"ns": null}', "ns"),
        (b'{"mode": "c"}', "mode"),
        (b'{"all": 1}', "all"),
    ],
)
def test_json_types_are_exact(body: bytes, name: str) -> None:
    with pytest.raises(WrongParameters) as raised:
        of(form=body, content_type="application/json")
    assert list(texts(raised)) == [name]


def test_what_is_missing_in_json_is_a_property() -> None:
    with pytest.raises(WrongParameters) as raised:
        read(Model, {}, "", "application/json", b"{}")
    assert texts(raised) == {"store": "property is missing and it is not optional"}


@pytest.mark.parametrize(
    "body", [b"[]", b'"text"', b"{", b"{'a':1}", b"\xff", b"[" * 100_000, b'{"names": ["\\ud800"]}', b'{"max-depth": NaN}']
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        of(form=body, content_type="application/json")


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", "application/octet-stream", "APPLICATION/JSON"])
def test_other_content_types(content_type: str) -> None:
    with pytest.raises(WrongContentType, match=r"^unsupported content type"):
        of(content_type=content_type)


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "Application/X-WWW-Form-URLEncoded; charset=UTF-8"])
def test_forms(content_type: str | None) -> None:
    assert of(form=b"dry-run=1", content_type=content_type).dry_run is True


def test_texts_of_limits_are_those_that_people_know() -> None:
    with pytest.raises(WrongParameters) as raised:
        read_query(Model, {}, "store=ab&max-depth=-1&mode=c")
    assert texts(raised) == {
        "store": "value must be at least 3 characters long",
        "max-depth": "value must have a minimum value of 0 (got -1)",
        "mode": "value 'c' is not defined in the enumeration.",
    }


@given(query=st.text(), body=st.binary(max_size=200), content_type=st.sampled_from([None, "application/json", "text/plain"]))
def test_any_other_input_raises_only_our_errors(query: str, body: bytes, content_type: str | None) -> None:
    with suppress(Invalid):
        read(Model, {"store": "main"}, query, content_type, body)
