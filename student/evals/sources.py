"""Open a source: the rows of a file, of each part of a folder, or of each split of a hub dataset, whatever the format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from student.evals.address import Address
from student.evals.columnar import Wanted, arrow_file, parquet, saved_dataset
from student.evals.files import Kind, kind_of
from student.evals.hub import hub_dataset
from student.evals.jsons import json_file, json_lines
from student.evals.rows import Source
from student.evals.tables import table
from student.evals.trouble import EvalError


def open_sources(place: Address, wanted: Wanted = None, parts: Sequence[str] = ()) -> dict[str, Source]:
    """The tables of a source by part, one part named "" where it is in one piece. Raises EvalError.

    `wanted`: the columns that will be used, where a format can leave out the others. `parts`: those that will be used of a
    folder's or a hub dataset's parts; all when none is named.
    """
    if place.kind == "hub":
        return hub_dataset(place.place, parts, wanted)
    if place.kind != "file":
        raise EvalError(f"{place} is not data. Name a data file, a folder that `datasets` saved, or hub:ORG/NAME.")
    path = Path(place.place)
    kind = kind_of(path)
    if kind.format != "folder":
        return {"": _file(path, kind, wanted)}
    found = saved_dataset(path, wanted)
    return {part: source for part, source in found.items() if part in parts} or found


def _file(path: Path, kind: Kind, wanted: Wanted) -> Source:
    match kind.format:
        case "Parquet":
            return parquet(path, wanted)
        case "Arrow":
            return arrow_file(path, wanted)
        case "CSV" | "TSV":
            return table(path, kind.packed, kind.format)
        case "JSON":
            return Source(str(path), "JSON", json_file(path, kind.packed))
        case _:
            return Source(str(path), "JSONL", json_lines(path, kind.packed))
