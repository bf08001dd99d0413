from __future__ import annotations

from pathlib import Path

import pytest

from platevault.client.archive_spec import ArchiveSpec, SourceKind, parse_spec, parse_specs
from platevault.errors import Invalid


@pytest.mark.parametrize(
    ("text", "spec", "stored"),
    [
        ("root.pxar:/", ArchiveSpec("root.pxar", SourceKind.TREE, Path("/")), "root.pxar.didx"),
        ("disk.img:/dev/vg0/data", ArchiveSpec("disk.img", SourceKind.IMAGE, Path("/dev/vg0/data")), "disk.img.fidx"),
        ("vm.conf:etc/vm:1.conf", ArchiveSpec("vm.conf", SourceKind.CONF, Path("etc/vm:1.conf")), "vm.conf.blob"),
        ("a.b-c_d.log:x", ArchiveSpec("a.b-c_d.log", SourceKind.LOG, Path("x")), "a.b-c_d.log.blob"),
    ],
)
def test_the_kinds(text: str, spec: ArchiveSpec, stored: str) -> None:
    assert parse_spec(text) == spec
    assert spec.stored_name == stored


@pytest.mark.parametrize(
    "text",
    ["", "root.pxar", "root.pxar:", ":/x", ".pxar:/x", "root.tar:/x", "root:/x", "a/b.img:/x", "-a.img:/x", "../a.img:/x", "a b.img:/x"],
)
def test_what_is_no_archive(text: str) -> None:
    with pytest.raises(Invalid):
        parse_spec(text)


def test_at_least_one_and_none_twice() -> None:
    with pytest.raises(Invalid, match="nothing to back up"):
        parse_specs([])
    with pytest.raises(Invalid, match=r"a\.img is given twice"):
        parse_specs(["a.img:/x", "b.img:/x", "a.img:/y"])
    assert [spec.name for spec in parse_specs(["b.img:/x", "a.img:/x"])] == ["b.img", "a.img"]
