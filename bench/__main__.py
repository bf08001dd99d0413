"""`scripts/bench [--quick] [NAME...]`: runs figures, each against a fresh server of its own."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from bench import client_image, client_tree, formats, ingest, memory, rest, restore
from bench.figure import Figure, Scale, report

ROOT = Path(__file__).parent.parent
FIGURES: dict[str, Figure] = {
    "ingest": ingest.measure,
    "restore": restore.measure,
    "client_image": client_image.measure,
    "client_tree": client_tree.measure,
    "rest": rest.measure,
    "memory": memory.measure,
    "formats": formats.measure,
}
QUICK = 1 / 16


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure; see bench/README.md.")
    parser.add_argument("--quick", action="store_true", help="a sixteenth of the data: whether it works, not how fast it is")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(FIGURES)} (default: all)")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in FIGURES]:
        parser.error(f"no figure {unknown[0]!r}; there are: {', '.join(FIGURES)}")
    if not options.inside:
        return max(_beside_server(name, quick=options.quick) for name in options.names or FIGURES)
    scale = Scale(QUICK if options.quick else 1.0, ROOT / "bench" / "data" / ("quick" if options.quick else "full"))
    scale.data.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        report(name, FIGURES[name](scale))
    return 0


def _beside_server(name: str, *, quick: bool) -> int:
    command = [str(ROOT / "scripts" / "with-server"), sys.executable, "-m", "bench", "--inside", *(["--quick"] if quick else []), name]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
