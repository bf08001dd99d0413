"""Match patterns: what they mean, what is refused, and that no pattern takes for ever. The recorded cases are in tests/client/tree."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platevault.formats.pxar.glob import BadPattern
from platevault.formats.pxar.patterns import PatternList, parse_exclude_file, parse_pattern


def matches(pattern: bytes, path: bytes, *, directory: bool = False, folder: bytes = b"") -> bool:
    return PatternList([parse_pattern(pattern, folder=folder).pattern]).decide(path, directory=directory) is not None


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        (b"a", b"a", True),
        (b"a", b"x/a", True),
        (b"a", b"a/x", False),
        (b"a", b"xa", False),
        (b"/a", b"x/a", False),
        (b"a/b", b"x/a/b", True),
        (b"?", b"\xff", True),
        (b"?", b"", False),
        (b"a?b", b"a/b", False),
        (b"*", b"x/y", True),
        (b"/*", b"x/y", False),
        (b"/a*c", b"abc", True),
        (b"/a*c", b"a/c", False),
        (b"/a**c", b"a/c", False),
        (b"/a/**/c", b"a/c", True),
        (b"/a/**/c", b"a/b/b/c", True),
        (b"/a/**/c", b"a/bc", False),
        (b"/a/**", b"a", False),
        (b"/a/**", b"a/b/c", True),
        (b"/**", b"a/b", True),
        (b"/**/b", b"b", True),
        (b"/**/x*/**/y", b"a/xb/y", True),
        (b"/**/x*/**/y", b"a/x1/x2/b/y", True),
        (b"/*a*b*", b"1a2b3", True),
        (b"/*a*b*", b"1b2a3", False),
        (b"[a-c]", b"b", True),
        (b"[^a-c]", b"b", False),
        (b"[^a-c]", b"/", False),
        (b"[!a]", b"!", True),
        (b"[a-]", b"-", True),
        (b"[\\]]", b"]", True),
        (b"[[:upper:][:digit:]_]", b"Q", True),
        (b"[[:upper:][:digit:]_]", b"q", False),
        (b"[[:space:]]", b"\t", True),
        (b"[[:xdigit:]][[:punct:]]", b"f~", True),
        (b"[]", b"", False),
        (b"\\*", b"*", True),
        (b"\\*", b"x", False),
        (b"a.b", b"axb", False),
        (b"a\nb", b"a\nb", True),
        (b"", b"", False),
        (b"/", b"a", False),
        (b"../a", b"a", True),
    ],
)
def test_meaning(pattern: bytes, path: bytes, wanted: bool) -> None:
    assert matches(pattern, path) is wanted


def test_directories_only() -> None:
    assert matches(b"a/", b"a", directory=True)
    assert not matches(b"a/", b"a")


def test_a_leading_slash_means_the_folder_of_the_exclude_file() -> None:
    assert matches(b"/a", b"x[1]/a", folder=b"x[1]")
    assert not matches(b"/a", b"x1/a", folder=b"x[1]")
    assert matches(b"a", b"x[1]/y/a", folder=b"x[1]")


def test_the_last_match_decides() -> None:
    patterns = PatternList(parse_pattern(text).pattern for text in (b"*.txt", b"!a.txt", b"/x/*"))
    for path, includes in ((b"b.txt", False), (b"a.txt", True), (b"x/a.txt", False)):
        match = patterns.decide(path, directory=False)
        assert match is not None
        assert match.includes is includes
    assert patterns.decide(b"other", directory=False) is None
    assert patterns.lines() == b"*.txt\n!a.txt\n/x/*\n"


@pytest.mark.parametrize("pattern", [b"a\\", b"a\\/b", b"[a", b"[", b"[^", b"[a-", b"[[:nothing:]]", b"[[:alpha]", b"x/[a/b]"])
def test_patterns_that_mean_nothing(pattern: bytes) -> None:
    with pytest.raises(BadPattern):
        parse_pattern(pattern)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_are_a_pattern_or_a_bad_one(pattern: bytes, path: bytes) -> None:
    with suppress(BadPattern):
        matches(pattern, path)


@given(st.lists(st.sampled_from([b"a", b"b", b"ab", b"*", b"?", b"a*", b"*b", b"a*b*a", b"**"]), min_size=1, max_size=4), st.data())
def test_the_same_as_a_plain_translation(components: list[bytes], data: st.DataObject) -> None:
    """Against the obvious regular expression, which backtracks."""
    path = b"/".join(data.draw(st.lists(st.sampled_from([b"a", b"b", b"ab", b"aba", b"bb"]), min_size=1, max_size=6)))
    plain = b"/".join(components).replace(b"*", b"[^/]*").replace(b"?", b"[^/]")
    plain = plain.replace(b"[^/]*[^/]*/", b"(?:.*/)?").replace(b"/[^/]*[^/]*", b"/.+").replace(b"[^/]*[^/]*", b".+")
    assert matches(b"/" + b"/".join(components), path) is (re.fullmatch(plain, path) is not None)


@pytest.mark.parametrize("pattern", [b"*a" * 60 + b"b", b"**/*a*/" * 40 + b"b", b"*a*/" * 40 + b"b", b"a/**/" * 40 + b"b"])
def test_no_pattern_takes_for_ever(pattern: bytes) -> None:
    """With backtracking these would take longer than the universe has."""
    for path in (b"a" * 250, b"/".join([b"a"] * 500), b"/".join([b"aaaaaaaab"] * 300)):
        matches(pattern, path)


def test_an_exclude_file() -> None:
    patterns, warnings = parse_exclude_file(b"# no\n\n a.txt \r\n!b\nbad\\\n./c", b"folder")
    assert [pattern.line for pattern in patterns] == [b"a.txt", b"!b", b"c"]
    assert len(warnings) == 2
