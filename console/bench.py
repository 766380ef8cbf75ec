"""``breachline bench NAME``: measurements beside their baselines, with the machine's figures."""

from __future__ import annotations

import importlib
import json
import os
import platform
from pathlib import Path
from typing import Annotated, Final

import typer

from console.door import Refused, err, out, table

BENCHES: Final = {
    "inbound": "bench.inbound",
    "import": "bench.contacts_import",
    "waiting": "bench.waiting",
}


def bench(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(BENCHES)}.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write JSON here.")] = None,
    *,
    rate: Annotated[int, typer.Option(help="inbound: calls a second.")] = 50,
    calls: Annotated[int, typer.Option(help="inbound: calls in all.")] = 1500,
    rows: Annotated[int, typer.Option(help="import: rows.")] = 1_000_000,
    case: Annotated[str, typer.Option(help="waiting: only cases whose name holds this.")] = "",
) -> None:
    """Measure, side by side with a baseline in the same run."""
    if name not in BENCHES:
        raise Refused(f"there is no bench {name!r}; there are: {', '.join(BENCHES)}")
    module = importlib.import_module(BENCHES[name])
    options = {"rate": str(rate), "calls": str(calls), "rows": str(rows), "case": case}
    figures = {"bench": name, "machine": machine(), **module.run(options)}
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        err.print(f"written to {json_file}")
    tables = getattr(module, "tables", None)
    if tables is not None:
        # A bench of many cases shows them side by side.
        for title, headings, lines in tables(figures):
            out.print(table(title, headings, lines))
        del figures["cases"]
    out.print(table(f"bench {name}", ("figure", "value"), flat(figures)))


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20,
        "python": platform.python_version(),
        "kernel": platform.release(),
    }


def flat(figures: object, prefix: str = "") -> list[tuple[str, object]]:
    """Nested figures as rows."""
    if not isinstance(figures, dict):
        return [(prefix, figures)]
    rows: list[tuple[str, object]] = []
    for key, value in figures.items():
        rows += flat(value, f"{prefix}.{key}" if prefix else str(key))
    return rows
