"""2,000 damaged eval sets end in an eval set or in one paragraph, never in a traceback: data files, their cells, and the YAML file.

Each starts as a sound file of some format and is changed: bytes swapped, cut, doubled or put in, cells replaced by what no one
expects, keys of the YAML file likewise. The seed is fixed; `--hypothesis-seed` with `derandomize` off finds others.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from student.evals.load import load_evals, read_parts
from student.evals.spec import EvalError

WORDS = [
    "apple pie",
    "thunder, far",
    'a "violin"',
    "harbour",
    "quartz; blue",
    "midnight",
    "blanket",
    "Gurke – grün",
    "wizard",
    "paper",
]
ROWS: list[dict[str, Any]] = [
    {"id": f"r{at}", "text": word, "label": ["yes", "no"][at % 2], "picks": ["yes", "no", "maybe"], "n": at}
    for at, word in enumerate(WORDS)
]
SPEC: dict[str, Any] = {
    "name": "fuzz", "source": "data", "columns": {"prompt": "text", "answer": "label", "id": "id"}, "labels": {"yes": "good", "no": "bad"},
    "splits": {"mine": 3, "select": 3}, "noun": "thing", "frame": "{question}\nAnswer:",
}  # fmt: skip
SPECS: list[dict[str, Any]] = [
    SPEC,
    SPEC
    | {
        "columns": {"answer": "label"},
        "prompt": "{{ text }}{% for one in picks %} {{ loop.index }}. {{ one }}{% endfor %}",
    },
    SPEC | {"columns": {"prompt": "text", "answer": "label", "choices": "picks", "skill": "n"}, "labels": {}},
    SPEC | {"columns": {"prompt": "text", "answer": "picks.0"}, "kind": "generate", "labels": {}},
]
FUZZ = settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
ODD_BYTES = [
    b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b'"', b"'", b"\n", b"\r", b"\r\n", b",", b";", b"\t",
    b"{", b"}", b"[", b"]", b"\\", b"\\ud800", b"\\u0000", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"[" * 2000,
    b"!!python/object/apply:os.system [x]", b"&a *a", b"<<: *a", b"? ", b": ", b"- ", b"{{ text",
    b"{% for a in text %}", b"\x1f\x8b", b"PAR1", b"\xe2\x80\xa8", b"\x80\x04", b"~", b"|", b">", b"%YAML 9.9\n",
    b"---\n", b"#",
]  # fmt: skip
ODD_VALUES: list[Any] = [
    None, "", " ", "yes", "NO", "\0", "a\0b", "\ud800", "\udfff", "\u2028", "\ufeff", 'x' * 300, 0, 1, -1, 2.0, 1.5,
    True, 10**400, 10**18, float("nan"), float("inf"), -0.0, [], {}, [[]], ["a"], ["yes", "no"], ["yes", "yes"], [None],
    [1, 2.0], {"a": 1}, {"text": ["yes", "no"], "label": ["A", "B"]}, {"text": ["a"], "label": []},
    [{"role": "user", "content": "hello"}], [{"role": "robot"}], [{"role": "assistant", "content": None}], "{{ text }}",
    "{% for a in range(10**9) %}{% endfor %}", "{{ text.x.y }}", "../up.jsonl", "/nowhere/at.all", "hub:", "hub:x",
    "plugin:none", "~nobody/x", "lm-eval:x@y", "inspect:x", "a.py:run", "data.csv", {"from": "train"},
    {"from": "", "take": -1}, 0.5, "0.5", ".nan", "1e999", -3, 99, "likelihood", "exact", "choice", "generate",
]  # fmt: skip


def nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


odd_values = st.sampled_from(ODD_VALUES) | st.builds(
    nested, st.sampled_from(ODD_VALUES[:20]), st.sampled_from([1, 2, 30])
)
deep_values = st.builds(nested, st.sampled_from(ODD_VALUES[:20]), st.just(400))
places = st.floats(0, 1)
edits = st.lists(
    st.tuples(
        st.sampled_from(["put", "cut", "swap", "double", "end", "flip"]), places, places, st.sampled_from(ODD_BYTES)
    ),
    min_size=1,
    max_size=4,
)


def damaged(data: bytes, changes: list[tuple[str, float, float, bytes]]) -> bytes:
    """Bytes, changed here and there."""
    for kind, first, second, odd in changes:
        at = int(first * len(data))
        end = at + max(1, int(second * second * 60))
        part = data[at:end]
        new = {
            "put": odd + part,
            "cut": b"",
            "swap": odd,
            "double": part + part,
            "end": None,
            "flip": bytes(byte ^ 0x55 for byte in part[:2]) + part[2:],
        }
        data = data[:at] if kind == "end" else data[:at] + (new[kind] or b"") + data[end:]
    return data


def as_csv(rows: list[dict[str, Any]], delimiter: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(list(ROWS[0]))
    writer.writerows(
        [json.dumps(cell) if isinstance(cell, list | dict) else cell for cell in row.values()] for row in rows
    )
    return text.getvalue().encode("utf-8", "surrogatepass")


def as_jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: list[dict[str, Any]], **how: Any) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows), sink, **how)
    return sink.getvalue().to_pybytes()


def as_arrow(rows: list[dict[str, Any]], new: Callable[..., Any]) -> bytes:
    sink, table = pa.BufferOutputStream(), pa.Table.from_pylist(rows)
    with new(sink, table.schema) as out:
        out.write_table(table, max_chunksize=4)
    return sink.getvalue().to_pybytes()


TEXTS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "data.jsonl": as_jsonl, "data.json": lambda rows: json.dumps(rows, indent=1).encode(),
    "inside.json": lambda rows: json.dumps({"version": 2, "data": rows}).encode(), "data.csv": lambda rows: as_csv(rows, ","),
    "semi.csv": lambda rows: as_csv(rows, ";"), "data.tsv": lambda rows: as_csv(rows, "\t"),
}  # fmt: skip
BINARIES: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "data.parquet": as_parquet, "plain.parquet": lambda rows: as_parquet(rows, compression="none", use_dictionary=False),
    "data.arrow": lambda rows: as_arrow(rows, pa.ipc.new_file), "stream.arrow": lambda rows: as_arrow(rows, pa.ipc.new_stream),
    "data.jsonl.gz": lambda rows: gzip.compress(as_jsonl(rows), mtime=0),
    "data.csv.gz": lambda rows: gzip.compress(as_csv(rows, ","), mtime=0),
}  # fmt: skip
SOUND = {name: make(ROWS) for name, make in (TEXTS | BINARIES).items()}


@pytest.fixture(scope="module", name="folder")
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def ends_well(folder: Path, name: str, data: bytes, spec: dict[str, Any] | bytes) -> None:
    """Load it, and read it once more the way one who wants to hear of every row does; a complaint is one paragraph."""
    (folder / name).write_bytes(data)
    text = spec if isinstance(spec, bytes) else json.dumps(spec | {"source": name}).encode("utf-8", "surrogatepass")
    (folder / "evals.yaml").write_bytes(text)
    complaints: list[EvalError] = []
    listening = partial(read_parts, on_trouble=complaints.append)
    for load in (load_evals, listening):
        try:
            load(folder / "evals.yaml")
        except EvalError as error:
            complaints.append(error)
    for said in map(str, complaints):
        assert "\n" not in said
        assert len(said) < 3000


def test_the_sound_files_load(folder: Path) -> None:
    for name, data in SOUND.items():
        (folder / name).write_bytes(data)
        for spec in SPECS:
            (folder / "evals.yaml").write_text(json.dumps(spec | {"source": name}))
            parts = read_parts(folder / "evals.yaml").parts
            assert len(parts[""]) == len(ROWS)


@FUZZ
@given(st.sampled_from(list(TEXTS)), edits, st.sampled_from(SPECS))
def test_text_files_changed_bytewise(folder: Path, name: str, changes: Any, spec: dict[str, Any]) -> None:
    ends_well(folder, name, damaged(SOUND[name], changes), spec)


@FUZZ
@given(st.sampled_from(list(BINARIES)), edits, st.sampled_from(SPECS))
def test_binary_files_changed_bytewise(folder: Path, name: str, changes: Any, spec: dict[str, Any]) -> None:
    ends_well(folder, name, damaged(SOUND[name], changes), spec)


@FUZZ
@given(
    st.sampled_from(list(TEXTS)), st.sampled_from(SPECS),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([*ROWS[0], "new"]), odd_values | deep_values), min_size=1, max_size=5),
)  # fmt: skip
def test_cells_that_nobody_expects(folder: Path, name: str, spec: dict[str, Any], cells: Any) -> None:
    rows = [dict(row) for row in ROWS]
    for at, column, value in cells:
        rows[at][column] = value
    try:
        data = TEXTS[name](rows)
    except ValueError:  # a number too long to be written
        data = SOUND[name]
    ends_well(folder, name, data, spec)


@FUZZ
@given(
    st.sampled_from(SPECS), edits | st.none(),
    st.lists(st.tuples(st.sampled_from([
        *SPEC, "prompt", "answer", "kind", "scorer", "draw", "stop", "label_names", "columns.prompt", "columns.choices",
        "columns.answer_is", "splits.mine", "splits.test", "labels.yes", "x",
    ]), odd_values), max_size=3),
)  # fmt: skip
def test_yaml_files_changed_bytewise_and_by_key(folder: Path, spec: dict[str, Any], changes: Any, keys: Any) -> None:
    made = json.loads(json.dumps(spec | {"source": "data.jsonl"}))
    for key, value in keys:
        outer, _, inner = key.partition(".")
        place = made[outer] if inner and isinstance(made.get(outer), dict) else made
        place[inner or outer] = value
    try:
        text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")
    except ValueError:  # a number too long to be written
        return
    ends_well(folder, "data.jsonl", SOUND["data.jsonl"], damaged(text, changes) if changes else text)
