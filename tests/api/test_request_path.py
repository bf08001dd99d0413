"""From the target of a request to the components of an API path (spec rest-api §1.1, §1.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.api.request_path import MAX_TARGET_BYTES, BadPath, api_path, split


@pytest.mark.parametrize(
    ("raw", "components"),
    [
        (b"/api2/json/version", ("api2", "json", "version")),
        (b"//api2//json///version/", ("api2", "json", "version")),
        (b"/api2/json/%76ersion", ("api2", "json", "version")),
        (b"/a%2Fb", ("a/b",)),
        (b"/a%252Fb", ("a%2Fb",)),
        (b"/%C3%A4", ("ä",)),
        (b"/", ()),
    ],
)
def test_components(raw: bytes, components: tuple[str, ...]) -> None:
    assert split(raw, b"") == components


@pytest.mark.parametrize("raw", [b"/./x", b"/../x", b"/.x", b"/%2e%2e/x", b"/a/%2Ehidden"])
def test_a_dot_in_front_is_refused(raw: bytes) -> None:
    with pytest.raises(BadPath, match="illegal components") as raised:
        split(raw, b"")
    assert raised.value.status == 400


@pytest.mark.parametrize("raw", [b"/%FF", b"/\xff"])
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(BadPath):
        split(raw, b"")


def test_the_longest_target() -> None:
    assert split(b"/" + b"a" * 71, b"b" * (MAX_TARGET_BYTES - 72))
    with pytest.raises(BadPath) as raised:
        split(b"/" + b"a" * 72, b"b" * (MAX_TARGET_BYTES - 72))
    assert (raised.value.status, raised.value.text) == (414, "")


def test_paths_outside_of_the_api() -> None:
    assert api_path(()) is None
    assert api_path(("css", "x.css")) is None


def test_the_root_of_the_api_alone_is_nothing() -> None:
    with pytest.raises(BadPath) as raised:
        api_path(("api2",))
    assert raised.value.status == 404


def test_an_api_path() -> None:
    found = api_path(("api2", "json", "nodes", "x"))
    assert found is not None
    assert (found.output, found.components, found.text) == ("json", ("nodes", "x"), "/api2/json/nodes/x")


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_any_target_is_split_or_refused(raw: bytes, query: bytes) -> None:
    try:
        components = split(raw, query)
    except BadPath:
        return
    assert all(part and not part.startswith(".") for part in components)
