"""The same rows are the same items whatever file they come in, and a damaged file is a paragraph with file, line and column.

Files are written into a temporary folder the way other programs write them, and read through the YAML-shaped spec.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
import yaml
from datasets.exceptions import DatasetNotFoundError
from pyarrow import parquet

from student.evals import files
from student.evals.address import Address
from student.evals.hub import hub_dataset
from student.evals.items import read_items
from student.evals.load import load_evals, read_parts
from student.evals.rows import Row
from student.evals.sources import open_sources
from student.evals.spec import EvalError, EvalSpec
from student.records import Seed

LABELS = {"open": "", "shut": ""}
ROWS = [
    {"no": at, "text": f"gate {word}, said “{word}”", "state": "open" if at % 2 else "shut"}
    for at, word in enumerate(
        ["north", "south", "east", "west; far", "up, and down", 'the "old" one', "tab\tbed", "Süd"]
    )
]
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def spec(**changes: Any) -> EvalSpec:
    return EvalSpec.model_validate(
        {"name": "gates", "source": "x", "columns": {"prompt": "text", "answer": "state"}, "labels": LABELS} | changes
    )


def parts_of(path: Path, **changes: Any) -> dict[str, list[Seed]]:
    return read_items(spec(**changes), Address("file", str(path)), (), lambda done, total: None, None)[0]


def items_of(path: Path, **changes: Any) -> list[Seed]:
    return parts_of(path, **changes)[""]


def refused(path: Path, **changes: Any) -> str:
    """What a person is told: one paragraph, whatever is in the file."""
    with pytest.raises(EvalError) as caught:
        parts_of(path, **changes)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 1500
    return said


def file(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def as_csv(delimiter: str, rows: Sequence[dict[str, Any]] = ROWS) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_parquet(path: Path, columns: dict[str, Any]) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


# --- formats


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", JSONL), ("a.ndjson", JSONL.replace("\n", "\r\n")), ("a.json", JSONL),
        ("bom.jsonl", b"\xef\xbb\xbf" + JSONL.encode()), ("b.json", json.dumps(ROWS)),
        ("c.json", json.dumps({"version": "1", "data": ROWS, "splits": []}, indent=2)), ("a.csv", as_csv(",")),
        ("semicolons.csv", as_csv(";")), ("tabs.csv", as_csv("\t")), ("a.tsv", as_csv("\t")),
        ("bom.csv", b"\xef\xbb\xbf" + as_csv(",").encode()), ("a.csv.gz", gzip.compress(as_csv(",").encode(), mtime=0)),
        ("a.jsonl.gz", gzip.compress(JSONL[:99].encode(), mtime=0) + gzip.compress(JSONL[99:].encode(), mtime=0)),
        ("A.JSON.GZ", gzip.compress(json.dumps(ROWS).encode(), mtime=0)), ("mac.csv", as_csv(",").replace("\r\n", "\r")),
    ],
)  # fmt: skip
def test_every_text_format_gives_the_same_items(tmp_path: Path, name: str, data: str | bytes) -> None:
    before = items_of(file(tmp_path, "before.jsonl", JSONL))
    assert [one.prompt for one in before] == [str(row["text"]) for row in ROWS]
    assert items_of(file(tmp_path, name, data)) == before


def test_parquet_and_arrow_give_the_same_items(tmp_path: Path) -> None:
    before = items_of(file(tmp_path, "before.jsonl", JSONL))
    table = pa.Table.from_pylist(ROWS)
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    for name, writer in (("a.arrow", pa.ipc.new_file), ("b.arrow", pa.ipc.new_stream)):
        with pa.OSFile(str(tmp_path / name), "wb") as sink, writer(sink, table.schema) as out:
            out.write_table(table, max_chunksize=3)
    for name in ("a.parquet", "a.arrow", "b.arrow"):
        assert items_of(tmp_path / name) == before


def test_a_saved_dataset_gives_its_parts(tmp_path: Path) -> None:
    before = items_of(file(tmp_path, "before.jsonl", JSONL))
    both = datasets.DatasetDict(
        {"train": datasets.Dataset.from_list(ROWS[:5]), "test": datasets.Dataset.from_list(ROWS[5:])}
    )
    both.save_to_disk(str(tmp_path / "both"))
    both["train"].save_to_disk(str(tmp_path / "one"), num_shards=2)
    assert parts_of(tmp_path / "both") == {"train": before[:5], "test": before[5:]}
    assert parts_of(tmp_path / "one") == {"": before[:5]}


def test_the_class_names_of_a_dataset_are_its_labels(tmp_path: Path) -> None:
    names = datasets.ClassLabel(names=["shut", "open"])
    features = datasets.Features({"text": datasets.Value("string"), "state": names})
    data = datasets.Dataset.from_list(
        [{"text": row["text"], "state": names.str2int(str(row["state"]))} for row in ROWS], features
    )
    data.save_to_disk(str(tmp_path / "saved"))
    data.to_parquet(str(tmp_path / "a.parquet"))
    answers = [row["state"] for row in ROWS]
    assert [one.answer for one in items_of(tmp_path / "saved")] == answers
    assert [one.answer for one in items_of(tmp_path / "a.parquet")] == answers
    other = items_of(tmp_path / "a.parquet", label_names={"0": "open", "1": "shut"})
    assert [one.answer for one in other] == ["open" if one == "shut" else "shut" for one in answers]


def test_what_a_file_was_taken_for_is_said(tmp_path: Path) -> None:
    file(tmp_path, "a.csv", as_csv(";"))
    (source,) = open_sources(Address("file", str(tmp_path / "a.csv"))).values()
    assert source.format == "CSV, cells separated by semicolons"
    assert source.columns == ("no", "text", "state")


def test_quotes_in_a_tsv_are_text_unless_a_cell_holds_a_line_break(tmp_path: Path) -> None:
    plain = file(tmp_path, "plain.tsv", 'text\tstate\n"north\topen\nthe "old" one\tshut\n"a ""b"" c"\topen\n')
    assert [one.prompt for one in items_of(plain)] == ['"north', 'the "old" one', 'a "b" c']
    spread = file(tmp_path, "spread.tsv", 'text\tstate\n"north\ngate"\topen\nsouth\tshut\n')
    assert [one.prompt for one in items_of(spread)] == ["north\ngate", "south"]


def test_a_column_without_a_name_can_be_passed_over(tmp_path: Path) -> None:
    assert len(items_of(file(tmp_path, "a.csv", ",text,state\n0,north,open\n1,south,shut\n"))) == 2


def test_rows_without_anything_are_counted(tmp_path: Path) -> None:
    path = file(tmp_path, "a.csv", "text,state\nnorth,open\n,\n\nsouth,shut\n")
    parts, dropped = read_items(spec(), Address("file", str(path)), (), lambda done, total: None, None)
    assert len(parts[""]) == 2
    assert dropped == {"empty row": 1}


def test_progress_counts_rows_and_knows_how_many_where_the_file_says(tmp_path: Path) -> None:
    texts = [f"gate {at}" for at in range(12_000)]
    write_parquet(tmp_path / "a.parquet", {"text": texts, "state": ["open"] * 12_000})
    file(tmp_path, "a.csv", "text,state\n" + "".join(f"{text},open\n" for text in texts))
    for name, total in (("a.parquet", 12_000), ("a.csv", None)):
        calls: list[tuple[int, int | None]] = []
        read_items(spec(), Address("file", str(tmp_path / name)), (), lambda *call, to=calls: to.append(call), None)
        assert calls == [(5000, total), (10_000, total), (12_000, 12_000)]


# --- the hub


def fetch(repo: str, name: str | None, revision: str | None) -> datasets.DatasetDict:
    """A hub of one dataset."""
    if repo != "town/gates" or name not in (None, "west") or revision not in (None, "v1"):
        raise DatasetNotFoundError("not there")
    return datasets.DatasetDict(
        {"train": datasets.Dataset.from_list(ROWS), "test": datasets.Dataset.from_list(ROWS[:2])}
    )


@pytest.mark.parametrize("place", ["town/gates", "town/gates:west", "town/gates:west@v1", "town/gates@v1"])
def test_a_hub_dataset_gives_its_splits(place: str) -> None:
    found = hub_dataset(place, (), {"text"}, fetch)
    assert {part: [row.cells for row in one.rows if isinstance(row, Row)] for part, one in found.items()} == {
        "train": [{"text": row["text"]} for row in ROWS], "test": [{"text": row["text"]} for row in ROWS[:2]],
    }  # fmt: skip
    assert list(hub_dataset(place, ["test"], None, fetch)) == ["test"]


@pytest.mark.parametrize(
    ("place", "parts", "said"),
    [
        ("town", (), "hub:ORG/NAME"), ("town/gates:", (), "hub:ORG/NAME"), ("town/other", (), "is not on the hub"),
        ("town/gates", ("tset",), "Did you mean 'test'?"),
    ],
)  # fmt: skip
def test_a_hub_dataset_that_is_not_there_is_named(place: str, parts: tuple[str, ...], said: str) -> None:
    with pytest.raises(EvalError, match="town") as caught:
        hub_dataset(place, parts, None, fetch)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [ConnectionError("no network"), ValueError("Config name is missing"), RuntimeError("scripts"), OSError("disk")],
)
def test_what_goes_wrong_on_the_way_to_the_hub_is_a_paragraph(error: Exception) -> None:
    def broken(repo: str, **how: Any) -> Any:
        raise error

    with pytest.raises(EvalError, match="town/gates") as caught:
        hub_dataset("town/gates", (), None, broken)
    assert str(error) in str(caught.value)


# --- files that are something else


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.txt", JSONL, "looks like JSONL. If it is, name it a.txt.jsonl"), ("a", as_csv(","), "looks like CSV"),
        ("a.xlsx", b"PK\x03\x04...", "an Excel workbook"),
        ("a.csv", b"PAR1...", "it is CSV, but it looks like Parquet"),
        ("a.jsonl", gzip.compress(b"{}", mtime=0), "it is JSONL, but it looks like gzip"),
        ("a.jsonl.gz", JSONL, "it is gzip, but it looks like"),
        ("a.parquet", JSONL, "it is Parquet, but it looks like JSONL"),
        ("a.parquet.gz", gzip.compress(b"PAR1", mtime=0), "looks like gzip"), ("a.jsonl", JSONL.encode("utf-16"), "UTF-16"),
        ("a.csv", as_csv(",").encode("utf-16-le"), "UTF-16"), ("a.jsonl", b"", "is empty"),
        ("a.csv", "\n\n", "no text"), ("a.csv", "text,state\n", "no items"), ("a.jsonl", "\n \n", "no items"),
        ("a.json", "[]", "no items"), ("a.json", "  ", "a.json:1:3"),
        ("a.parquet", b"PAR1" + bytes(40), "damaged or cut short"), ("a.arrow", b"ARROW1\0\0abc", "damaged"),
    ],
)  # fmt: skip
def test_a_file_that_is_something_else_is_named(tmp_path: Path, name: str, data: str | bytes, said: str) -> None:
    assert said in refused(file(tmp_path, name, data))
    assert str(tmp_path / name) in refused(tmp_path / name)


def test_what_is_no_file_is_named_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert "pipe.jsonl" in refused(tmp_path / "pipe.jsonl")
    assert "does not exist" in refused(tmp_path / "none.jsonl")
    file(tmp_path, "data.csv", as_csv(","))
    assert "'data.csv'" in refused(tmp_path)
    assert "cannot be read" in refused(tmp_path / "data.csv" / "inside.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    assert "loop.csv" in refused(tmp_path / "loop.csv")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = file(tmp_path, "a.csv", as_csv(","))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert "cannot be read" in refused(path)


def test_a_cut_or_changed_file_is_named(tmp_path: Path) -> None:
    packed = gzip.compress(JSONL.encode() * 50)
    assert "ends early" in refused(file(tmp_path, "a.jsonl.gz", packed[:-30]))
    assert "a.jsonl.gz" in refused(file(tmp_path, "a.jsonl.gz", packed[:-6] + b"\0\0\0\0\0\0"))
    whole = write_parquet(tmp_path / "a.parquet", {"text": ["north"], "state": ["open"]}).read_bytes()
    assert "damaged" in refused(file(tmp_path, "a.parquet", whole[:-20]))


def test_a_damaged_column_name_is_named(tmp_path: Path) -> None:
    table = pa.table({"text": ["north"], "state": ["open"]})
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    whole = (tmp_path / "a.arrow").read_bytes()
    assert "damaged" in refused(file(tmp_path, "a.arrow", whole.replace(b"state", b"st\x80te")))


def test_a_packed_file_is_unpacked_no_further_than_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(files, "MAX_LINE", 1 << 18)
    lines = file(tmp_path, "a.jsonl.gz", gzip.compress(b'{"text": "north", "state": "open"}\n' * 40_000))
    assert "a.jsonl.gz: the file is longer than" in refused(lines)
    assert "a.jsonl.gz:1: this line is longer" in refused(file(tmp_path, "a.jsonl.gz", gzip.compress(bytes(1 << 21))))


def test_a_saved_dataset_opens_nothing_outside_its_folder(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "saved"))
    state = tmp_path / "saved" / "state.json"
    plan = json.loads(state.read_text())
    for name in ("../other.arrow", str(tmp_path / "x.arrow"), "..", ""):
        state.write_text(json.dumps(plan | {"_data_files": [{"filename": name}]}))
        assert "not inside it" in refused(tmp_path / "saved")
    for text in ("{", "[]", '{"_data_files": 3}', '{"_data_files": [3]}', '{"_data_files": []}'):
        state.write_text(text)
        assert "state.json" in refused(tmp_path / "saved")


def test_a_file_of_a_saved_dataset_that_points_elsewhere_is_not_opened(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "saved"))
    (data,) = (tmp_path / "saved").glob("*.arrow")
    data.rename(tmp_path / "elsewhere.arrow")
    data.symlink_to(tmp_path / "elsewhere.arrow")
    assert "not inside it" in refused(tmp_path / "saved")


# --- damage in a row


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("a.jsonl", '{"text": "a", }', ":9:15: this is not JSON"),
        ("a.jsonl", '{"text": "a", "text": "b", "state": "open"}', "'text' stands twice"),
        ("a.jsonl", "[" * 100_000, "nested too deeply"),
        ("a.jsonl", '{"text": ' + "7" * 5000 + "}", "thousands of digits"),
        ("a.jsonl", '{"text": "a\\ud800", "state": "open"}', "column 'text' holds half a character"),
        ("a.jsonl", '{"text": "a\\u0000", "state": "open"}', "column 'text' holds a NUL"),
        ("a.jsonl", '{"text": "a\0"}', ":9:12: a NUL byte"),
        ("a.jsonl", '{"text": NaN, "state": "open"}', "column 'text' holds NaN"),
        ("a.jsonl", '{"text": 1e999, "state": "open"}', "an infinite number"),
        ("a.jsonl", '["a", "open"]', "expected an object"),
        ("a.jsonl", '{"txt": "a", "state": "open"}', "did you mean 'txt'?"),
        ("a.jsonl", '{"text": {"a": 1}, "state": "open"}', "column 'text' holds an object"),
        ("a.jsonl", '{"text": "a", "state": null}', "'state' is empty"),
        ("a.jsonl", '{"text": "a", "state": "Open"}', "Did you mean 'open'?"),
        ("a.jsonl", '{"text": "gate north, said “north”", "state": "open"}', "line 1"),
        ("a.csv", "8,nine", ":10: this row has 2 cells, the header 3; nothing stands for 'state'"),
        ("a.csv", "8,nine,open,8", "too much is '8'"),
        ("a.csv", '8,"nine,open', ":10: a double quote opens a cell and is never closed"),
        ("a.csv", '8,"nine"th,open', "a double quote closes a cell"), ("a.csv", "8,ni\0ne,open", ":10:5: a NUL byte"),
        ("a.tsv", "8\tnine", ":10: this row has 2 cells"),
    ],
)  # fmt: skip
def test_damage_in_a_row_is_named_with_its_place(tmp_path: Path, name: str, line: str, said: str) -> None:
    whole = {"a.jsonl": JSONL, "a.csv": as_csv(","), "a.tsv": as_csv("\t")}[name] + line + "\n"
    told = refused(file(tmp_path, name, whole))
    assert said in told
    assert f"{name}:{10 if name != 'a.jsonl' else 9}:" in told


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_bytes_of_another_encoding_are_named_with_line_and_column(tmp_path: Path, name: str) -> None:
    data = {
        "a.jsonl": b'{"text": "a", "state": "open"}\n{"text": "caf\xe9", "state": "open"}\n',
        "a.json": b'[{"text": "a", "state": "open"},\n{"text": "caf\xe9", "state": "open"}]',
        "a.csv": b"text,state\nna\xc3\xafve caf\xe9,open\n",
    }[name]
    told = refused(file(tmp_path, name, data))
    assert f"{name}:2:{10 if name == 'a.csv' else 14}: byte 0xe9 is not UTF-8" in told
    assert "café" in told


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_a_cell_of_ten_megabytes_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    long = "north " * 1_700_000
    rows = [{"text": "a", "state": "open"}, {"text": long, "state": "open"}]
    if name == "a.parquet":
        write_parquet(tmp_path / name, {"text": ["a", long], "state": ["open", "open"]})
    else:
        file(
            tmp_path, name, as_csv(",", rows) if name == "a.csv" else "".join(map("{}\n".format, map(json.dumps, rows)))
        )
    told = refused(tmp_path / name)
    assert "column 'text' holds 10,199,999 characters" in told
    assert f"{name}, row 2" in told or f"{name}:{3 if name == 'a.csv' else 2}" in told


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[{"text": "a", "state": "open"},\n {"text": }]', "a.json:2:11: this is not JSON"),
        ('[{"text": "a", "state": "open"}\n', "a.json:2:1: this is not JSON"),
        ('[{"text": "a", "state": "open"}] x', "a.json:1:34"), ('[{"text": "a", "state": "open"},]', "a.json:1:33"),
        ('{"text": ["a"], "state": ["open"]}', "no list of objects"),
        ('{"a": [{"text": "a"}], "b": [{"text": "a"}]}', "more than one list of objects ('a', 'b')"),
        ('"text"', "Expecting a list"), ('[\n\n{"text": "a", "state": "open"},\n 7]', "a.json:4: expected an object"),
        ('{"data":\n[{"text": "a", "state": "open"},\n {"text": "b"}]}', "a.json:3: column 'state' is missing"),
    ],
)  # fmt: skip
def test_damaged_json_is_named_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    assert place in refused(file(tmp_path, "a.json", text))


def test_a_header_that_lacks_or_doubles_a_column_is_named(tmp_path: Path) -> None:
    told = refused(file(tmp_path, "a.csv", "txt,state\nnorth,open\n"))
    assert "a.csv:1: there is no column 'text'" in told and "Did you mean 'txt'?" in told and "columns.prompt" in told
    assert "a.csv:1" in refused(file(tmp_path, "a.csv", "text,state,text\na,open,b\n"))
    told = refused(write_parquet(tmp_path / "a.parquet", {"text": ["a"], "stat": ["open"]}))
    assert "columns.answer" in told and "'stat'" in told
    doubled = pa.table([["a"], ["open"], ["b"]], names=["text", "state", "text"])
    parquet.write_table(doubled, tmp_path / "b.parquet")
    assert "'text' is there twice" in refused(tmp_path / "b.parquet")


def test_every_damaged_row_is_told_and_counted_to_one_who_listens(tmp_path: Path) -> None:
    lines = [
        JSONL.strip(),
        '{"text": 1',
        '{"text": "ten"}',
        '{"text": "eleven", "state": "ajar"}',
        "",
        JSONL.split("\n")[0],
        "{}",
    ]
    path = file(tmp_path, "a.jsonl", "\n".join(lines).encode() + b'\n{"text": "\xff", "state": "open"}\n')
    heard: list[EvalError] = []
    parts, dropped = read_items(spec(), Address("file", str(path)), (), lambda done, total: None, heard.append)
    assert len(parts[""]) == len(ROWS)
    assert [str(one).split(": ")[0].partition("a.jsonl")[2] for one in heard] == [":9:11", ":10", ":11", ":15:11"]
    assert dropped == {
        "not JSON": 1, "missing column": 1, "answer is no label": 1, "exact repeat": 1, "empty row": 1, "not UTF-8": 1,
    }  # fmt: skip


def test_a_damaged_csv_goes_on_after_the_damaged_row(tmp_path: Path) -> None:
    path = file(tmp_path, "a.csv", b'text,state\na,open\n"b"x,open\nc\n\xff,open\nd,shut\n')
    heard: list[EvalError] = []
    parts, _ = read_items(spec(), Address("file", str(path)), (), lambda done, total: None, heard.append)
    assert [one.prompt for one in parts[""]] == ["a", "d"]
    assert len(heard) == 3


def test_a_file_without_one_usable_row_says_why(tmp_path: Path) -> None:
    path = file(tmp_path, "a.jsonl", '{"text": "a", "state": "ajar"}\n{"text": "b", "state": "ajar"}\n')
    with pytest.raises(EvalError, match=r"a\.jsonl: there are no items in it \(answer is no label: 2\)"):
        read_items(spec(), Address("file", str(path)), (), lambda done, total: None, lambda trouble: None)


# --- where a source may lie


def evals(folder: Path, source: Any, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    text = {
        "name": "gates",
        "source": source,
        "columns": {"prompt": "text", "answer": "state"},
        "labels": LABELS,
    } | changes
    return file(folder, "evals.yaml", yaml.safe_dump(text))


def told_by(path: Path) -> str:
    with pytest.raises(EvalError) as caught:
        load_evals(path)
    return str(caught.value)


def test_a_relative_source_stays_in_the_folder_of_the_yaml_file(tmp_path: Path) -> None:
    outside = file(tmp_path, "a.jsonl", JSONL)
    path = evals(tmp_path / "set", "../a.jsonl")
    assert "absolute path" in told_by(path) and "'../a.jsonl'" in told_by(path) and "evals.yaml" in told_by(path)
    (tmp_path / "set" / "link.jsonl").symlink_to(outside)
    assert str(outside) in told_by(evals(tmp_path / "set", {"train": "link.jsonl", "test": "link.jsonl"}))
    assert len(read_parts(evals(tmp_path / "set", str(outside))).parts[""]) == len(ROWS)
    file(tmp_path / "set", "inside.jsonl", JSONL)
    assert len(read_parts(evals(tmp_path / "set", "./sub/../inside.jsonl")).parts[""]) == len(ROWS)


@pytest.mark.parametrize("source", ["~nobody-of-that-name/a.jsonl", "a\0b.jsonl", "x" * 5000 + ".jsonl", ".", ""])
def test_a_source_that_is_no_path_is_named(tmp_path: Path, source: str) -> None:
    assert "evals.yaml" in told_by(evals(tmp_path, source)) or str(tmp_path) in told_by(evals(tmp_path, source))


def test_one_file_for_each_part(tmp_path: Path) -> None:
    rows = JSONL.splitlines(keepends=True)
    file(tmp_path, "first.jsonl", "".join(rows[:5]))
    file(tmp_path, "last.csv", as_csv(",", ROWS[5:]))
    splits = {"mine": {"from": "train", "take": 2}, "select": "train", "test": "test"}
    loaded = load_evals(evals(tmp_path, {"train": "first.jsonl", "test": "last.csv"}, splits=splits))
    assert (len(loaded.seeds), loaded.held_out.sizes()) == (2, {"select": 3, "test": 3})


def test_one_id_for_two_questions_in_two_parts_is_refused(tmp_path: Path) -> None:
    file(tmp_path, "first.jsonl", JSONL)
    file(tmp_path, "last.jsonl", '{"no": 3, "text": "another gate", "state": "open"}\n')
    columns = {"prompt": "text", "answer": "state", "id": "no"}
    told = told_by(evals(tmp_path, {"train": "first.jsonl", "test": "last.jsonl"}, columns=columns))
    assert "'3'" in told and "'train'" in told and "'test'" in told


def test_a_part_that_has_parts_itself_is_refused(tmp_path: Path) -> None:
    file(tmp_path, "a.jsonl", JSONL)
    both = datasets.DatasetDict({"x": datasets.Dataset.from_list(ROWS), "y": datasets.Dataset.from_list(ROWS[:1])})
    both.save_to_disk(str(tmp_path / "both"))
    assert "has parts of its own ('x', 'y')" in told_by(evals(tmp_path, {"train": "a.jsonl", "test": "both"}))


def test_parts_without_roles_are_not_thrown_together(tmp_path: Path) -> None:
    file(tmp_path, "a.jsonl", JSONL)
    told = told_by(evals(tmp_path, {"north": "a.jsonl", "south": "a.jsonl"}))
    assert "north (8 items), south (8 items)" in told and "splits" in told


def test_a_test_part_alone_is_never_learned_from(tmp_path: Path) -> None:
    file(tmp_path, "a.jsonl", JSONL)
    path = evals(tmp_path, {"test": "a.jsonl"})
    assert "mine and select" in told_by(path)
    scored = load_evals(path, score_only=True)
    assert (len(scored.seeds), scored.held_out.sizes()) == (0, {"select": 0, "test": 8})
