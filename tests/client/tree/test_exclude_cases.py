"""Every exclude case that the real client was run with: the same listing, in both formats, and the same kept patterns."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from kit.archiving import archive
from kit.recorded_tree import recorded
from platevault.client.tree.excludes import CLI_EXCLUDES
from platevault.client.tree.options import TreeOptions
from platevault.formats.pxar.glob import BadPattern

DATA: dict[str, Any] = json.loads(recorded("exclude-cases.json"))
CRASHES = "unclosed class"  # the real program panics; ours warns and goes on
CASES = {case["name"]: case for case in DATA["cases"]}
FILE_IS_A_FOLDER = "exclude file is a directory"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("excludes")
    for name in DATA["files"]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


@pytest.fixture
def prepared(tree: Path, request: pytest.FixtureRequest) -> Any:
    case = CASES[request.param]
    made = [tree / name for name in case["pxarexclude"]]
    for path in made:
        content = case["pxarexclude"][os.fspath(path.relative_to(tree))]
        path.write_bytes(content.encode() if isinstance(content, str) else bytes.fromhex(content["hex"]))
    if request.param == FILE_IS_A_FOLDER:
        made = [tree / "dir" / ".pxarexclude"]
        made[0].mkdir()
        (made[0] / "x").touch()
    yield tree, case
    for path in made:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("prepared", [name for name in CASES if name != CRASHES], indirect=True, ids=str)
def test_the_listing_is_the_recorded_one(prepared: tuple[Path, dict[str, Any]]) -> None:
    root, case = prepared
    options = TreeOptions(excludes=tuple(case["cli"]))
    if case["rc"]:
        with pytest.raises(BadPattern):
            archive(root, options)
        return
    made = archive(root, options)
    assert made.paths[:-1] == sorted(made.paths[:-1], key=lambda path: path.encode().split(b"/"))
    assert sorted(made.paths) == sorted(case["listing"])
    assert made.contents.get(CLI_EXCLUDES) == (case["pxarexclude-cli"].encode() if "pxarexclude-cli" in case else None)
    assert bool(made.warnings) == bool(case["stderr"])
    assert made.skipped == 0


@pytest.mark.parametrize("prepared", [CRASHES], indirect=True)
def test_an_unclosed_class_is_warned_of(prepared: tuple[Path, dict[str, Any]]) -> None:
    made = archive(prepared[0])
    assert len(made.warnings) == 1
    assert "/b.tmp" not in made.paths


def test_kept_patterns_belong_to_the_caller(tree: Path) -> None:
    made = archive(tree, TreeOptions(excludes=("*.tmp",)))
    entry = made.entries[CLI_EXCLUDES]
    assert list(made.entries)[-1] == CLI_EXCLUDES
    assert (entry.stat.mode, entry.stat.uid, entry.stat.gid, entry.stat.mtime) == (0o100600, os.getuid(), os.getgid(), 0)
    assert made.catalog_kinds()[CLI_EXCLUDES] == b"f"
