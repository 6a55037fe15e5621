"""`llm2llm export` of a finished dry run: what lies in the folder, whether it answers as the student did, and what is refused.

One export by the real tiny student is made for this file and looked at from all sides; cards with hostile text are printed without
a model.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from dry_run import ERRANDS, command_line, finished_run
from huggingface_hub import DatasetCard, ModelCard
from huggingface_hub.utils import validate_repo_id
from markdown_it import MarkdownIt
from report_runs import HOSTILE
from safetensors.torch import load_file, save_file

from agent.export import export
from agent.export.asking import program
from agent.export.chosen import Chosen, choose
from agent.export.data_card import adapter_card, data_card
from agent.export.matching import Match, match
from agent.export.model_card import _dataset, model_card
from agent.export.modelfile import longest_answer, modelfile
from agent.export.names import student_of, teacher_of
from agent.export.rows import rows_of
from agent.report.words import accuracy
from loops.learning import training_list
from loops.run_folder import RunError, RunFolder, find_run
from loops.settings import RunSettings, StudentSettings, TeacherSettings
from loops.stats import score
from student.evals.load import EvalSet, load_evals
from student.prompting import Prompter
from student.records import Attempt, Lesson, read_records
from student.settings import Lora
from student.worker import StudentWorker

HEADINGS = ["What it is for", "How to ask it", "What it learned", "How good it is", "Whether this export is that student",
            "The teacher and its terms", "What was not shown", "Where it comes from"]  # fmt: skip
SAME = Match(split="select", n=20, same=20, right_before=9, right_after=9, apart=0.0, nats=0.01, beyond=0, allowed=0)


def quiet(what: str, done: int, total: int | None) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module", autouse=True)
def shared_cache(run: Path) -> Iterator[None]:
    """The tiny student is made once, by the run."""
    before = os.environ.get("LLM2LLM_CACHE")
    os.environ["LLM2LLM_CACHE"] = str(run.parent.parent / "dry-cache")
    yield
    os.environ.pop("LLM2LLM_CACHE")
    if before is not None:
        os.environ["LLM2LLM_CACHE"] = before


@pytest.fixture(autouse=True)
def own_cache() -> None:
    """Every test here shares the run's cache."""


@pytest.fixture
def chosen(run: Path) -> Iterator[Chosen]:
    """The student of round 1, which learned lessons."""
    made = choose(RunFolder(run), 1, None, False)
    yield made
    made.evals.close()


@pytest.fixture(scope="module")
def made(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The export of round 1 and what was printed."""
    out = tmp_path_factory.mktemp("export") / "new" / "out"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert command_line(["export", str(run), "--to", str(out), "--round", "1"]) == 0
    return out, printed.getvalue()


def refused(arguments: list[str], capsys: Any) -> str:
    capsys.readouterr()
    assert command_line(["export", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("llm2llm: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


# --- what is there


def test_everything_is_there_and_for_its_owner_alone(made: tuple[Path, str]) -> None:
    out, _ = made
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {
        "Modelfile", "adapter/README.md", "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
        "data/README.md", "data/train.parquet", "merged/README.md", "merged/config.json", "merged/generation_config.json",
        "merged/model.safetensors", "merged/tokenizer.json", "merged/tokenizer_config.json",
    } <= files  # fmt: skip
    assert [path.name for path in out.parent.iterdir()] == ["out"], "nothing is left beside it"
    assert all(path.stat().st_mode & 0o077 == 0 for path in [out, *out.rglob("*")])


def test_no_path_of_this_machine_is_told_to_strangers(made: tuple[Path, str], run: Path) -> None:
    for path in made[0].rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            assert str(ERRANDS.parent).encode() not in text and str(run.parent.parent).encode() not in text, path


def test_the_adapter_is_the_runs_own_under_a_name_for_strangers(made: tuple[Path, str], run: Path) -> None:
    here, there = made[0] / "adapter", run / "rounds" / "001" / "adapter"
    assert (here / "adapter_model.safetensors").read_bytes() == (there / "adapter_model.safetensors").read_bytes()
    new, old = (json.loads((place / "adapter_config.json").read_text()) for place in (here, there))
    assert new == old | {"base_model_name_or_path": "builtin:tiny"}


def test_what_is_printed_names_the_outcome_and_the_next_command(made: tuple[Path, str]) -> None:
    out, printed = made
    assert "20 of 20 answers on select are the same" in printed
    assert f"llm2llm evals score {out}/merged {ERRANDS} --split select --bare" in printed
    assert f"ollama create errands-1 -f {out}/Modelfile" in printed


def test_evals_score_of_the_export_gives_the_runs_own_score(
    made: tuple[Path, str], run: Path, tmp_path: Path, capsys: Any
) -> None:
    (line,) = [line for line in made[1].splitlines() if line.startswith("Check it: llm2llm ")]
    words = line.removeprefix("Check it: llm2llm ").split()
    assert command_line([*words, "--json", "--runs", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    recorded = read_records(run / "rounds" / "001" / "attempts.select.jsonl", Attempt)
    assert found["score"]["right"] == sum(one.right for one in recorded) and found["score"]["n"] == len(recorded)
    assert {one["id"] for one in found["failures"]} <= {one.item_id for one in recorded if not one.right}


def test_the_program_in_the_card_asks_as_the_student_was_asked(
    made: tuple[Path, str], monkeypatch: Any, capsys: Any
) -> None:
    text = (made[0] / "merged" / "README.md").read_text()
    (source,) = re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)
    evals = load_evals(ERRANDS)
    assert source == program(evals)
    monkeypatch.chdir(made[0] / "merged")
    names: dict[str, Any] = {}
    exec(source, names)
    asked = Prompter(names["tokenizer"], evals.ask()).question(names["item"])
    assert names["tokens"]["input_ids"][0].tolist() == asked
    assert capsys.readouterr().out


# --- rows


def test_rows_are_what_was_trained_on_with_where_it_comes_from(made: tuple[Path, str], run: Path) -> None:
    rows = pq.read_table(made[0] / "data" / "train.parquet").to_pylist()
    evals, lessons = load_evals(ERRANDS), read_records(run / "rounds" / "001" / "lessons.jsonl", Lesson)
    learned = training_list([*evals.seeds], [*lessons], 0.5)
    assert [(row["prompt"], row["answer"]) for row in rows] == [(one.prompt, one.answer) for one in learned]
    verdicts = {
        row["candidate_id"]: row
        for row in map(json.loads, (run / "rounds" / "001" / "verdicts.jsonl").read_text().splitlines())
    }
    weak = {
        row["id"]: row["name"]
        for row in map(json.loads, (run / "rounds" / "001" / "weaknesses.jsonl").read_text().splitlines())
    }
    told = {row["id"]: row for row in rows if row["source"] == "lesson"}
    assert told.keys() == {one.id for one in lessons} and lessons
    for one in lessons:
        row = told[one.id]
        assert (row["round"], row["strategy"], row["parent_id"]) == (1, one.strategy, one.parent_id)
        assert row["request_id"] == (one.request_key or None) and row["belief"] == verdicts[one.id]["belief"]
        assert row["weakness"] == weak[one.weakness_id] and row["shown_ids"] == [*one.shown_ids]
        assert (row["prompt_version"] is None) == (row["request_id"] is None) and not row["edited"]
    assert any(re.fullmatch("[0-9a-f]{8}", row["prompt_version"] or "") for row in told.values())
    seeds = [row for row in rows if row["source"] == "seed"]
    assert {row["id"] for row in seeds} == {seed.id for seed in evals.seeds}
    assert len({(row["id"], row["repeat"]) for row in rows}) == len(rows)


def test_held_out_items_are_nowhere(made: tuple[Path, str]) -> None:
    evals = load_evals(ERRANDS)
    held = [item.prompt.encode() for item in (*evals.held_out.select(), *evals.held_out.open_test(lambda: None))]
    rows = pq.read_table(made[0] / "data" / "train.parquet").to_pylist()
    texts = [
        json.dumps(rows).encode(),
        *(path.read_bytes() for path in made[0].rglob("*.md")),
        (made[0] / "Modelfile").read_bytes(),
    ]
    assert not [text for text in held if any(text in one for one in texts)]


def test_seeds_that_were_repeated_are_rows_again(chosen: Chosen) -> None:
    often = chosen.settings.model_copy(update={"curate": chosen.settings.curate.model_copy(update={"real_share": 0.8})})
    rows = rows_of(dataclasses.replace(chosen, settings=often))
    seeds, lessons = len(chosen.evals.seeds), len(chosen.lessons)
    real = [row for row in rows if row.source == "seed"]
    assert len(real) == max(seeds, 4 * lessons) and len(rows) == len(real) + lessons
    assert max(row.repeat for row in real) == (len(real) - 1) // seeds


# --- cards


def test_the_model_card_has_the_runs_numbers_with_their_doubt(made: tuple[Path, str], run: Path) -> None:
    card: Any = ModelCard.load(made[0] / "merged" / "README.md")
    attempts = read_records(run / "rounds" / "001" / "attempts.select.jsonl", Attempt)
    found = score(attempts)
    results = {one.dataset_split: one for one in card.data.eval_results or []}
    assert results["select"].metric_value == round(found.accuracy, 4) and results["select"].metric_type == "accuracy"
    assert f"n={found.n}, 95 % interval {found.low:.4f} to {found.high:.4f}" in results["select"].metric_name
    assert card.data.library_name == "transformers" and card.data.base_model is None and card.data.license is None
    claim = json.loads((run / "claim" / "claim.json").read_text())
    assert claim["sentence"] in card.text
    for who in ("zero-shot", "few-shot", "seed-only"):
        one = score(read_records(run / "claim" / f"attempts.{who}.test.jsonl", Attempt))
        name = who if who == "seed-only" else f"untouched {who}"
        assert f"| {name} | test | {one.n} | {one.right} | {accuracy(one)} |" in card.text
    assert "Errand: {question}\nShop:" in card.text and "20 of 20 answers on select are the same" in card.text
    assert "No model wrote the lessons" in card.text
    assert re.findall("^## (.*)$", card.text, re.MULTILINE) == HEADINGS


def test_a_card_says_that_scores_in_four_bits_are_not_the_merged_models(chosen: Chosen) -> None:
    def cards(how: str) -> tuple[str, str]:
        student = chosen.settings.student.model_copy(update={"lora": Lora(how=how)})  # type: ignore[arg-type]
        one = dataclasses.replace(
            chosen, settings=chosen.settings.model_copy(update={"student": student}), dtype="bfloat16"
        )
        return model_card(one, SAME), adapter_card(one)

    card, adapter = cards("qlora")
    scores, same = (card.partition(f"## {title}")[2].partition("\n## ")[0] for title in HEADINGS[3:5])
    assert "over the base model in 4 bits" in scores and "in bfloat16, with the same adapter: another model" in scores
    assert (
        same.strip().startswith("Not the one with the scores above")
        and "20 of 20 answers on select are the same" in same
    )
    assert "on the exact base in 4 bits" in adapter
    assert not any("4 bits" in text for text in cards("lora"))


def test_a_card_says_where_training_went_on(chosen: Chosen) -> None:
    train = chosen.settings.train.model_copy(update={"start": "last"})
    later = dataclasses.replace(chosen, settings=chosen.settings.model_copy(update={"train": train}))
    said = "went on from the student of the round before"
    assert said in model_card(later, SAME) and said not in model_card(chosen, SAME)
    assert said not in model_card(dataclasses.replace(later, number=0), SAME)


def test_the_data_card_names_every_column(made: tuple[Path, str]) -> None:
    card: Any = DatasetCard.load(made[0] / "data" / "README.md")
    table = pq.read_table(made[0] / "data" / "train.parquet")
    assert re.findall(r"^\| `(\w+)` \| .{8,} \|$", card.text, re.MULTILINE) == table.column_names
    (config,) = card.data.configs
    assert config["data_files"] == [{"split": "train", "path": "train.parquet"}]
    assert f"{table.num_rows} rows" in card.text


def hostile(chosen: Chosen) -> Chosen:
    """The same student, whose every name and text means harm."""
    nasty = "---\nlicense: mit\n---\n```\n" + HOSTILE
    spec = chosen.evals.spec.model_copy(update={
        "name": nasty, "noun": nasty, "instruction": nasty, "labels": {nasty: nasty, "b": nasty}, "system": nasty,
        "frame": f"{nasty}{{question}}{nasty}", "stop": (nasty,), "join": nasty, "source": f"hub:{nasty}",
    })  # fmt: skip
    student = StudentSettings(model=f"evil/{nasty}")
    teacher = TeacherSettings(model=nasty, base_url="https://teacher.example/v1")
    lessons = [one.model_copy(update={"prompt": nasty, "answer": nasty, "strategy": nasty}) for one in chosen.lessons]
    settings = chosen.settings.model_copy(update={"student": student, "teacher": teacher})
    machine = {"device": nasty, "dtype": nasty}
    return dataclasses.replace(
        chosen, evals=dataclasses.replace(chosen.evals, spec=spec), settings=settings, lessons=lessons, machine=machine
    )


def test_hostile_text_stays_text_in_every_card(chosen: Chosen) -> None:
    bad = hostile(chosen)
    cards = {model_card(bad, SAME): HEADINGS, data_card(bad, rows_of(bad)): ["Columns", "Where it comes from, and terms"],
             adapter_card(bad): []}  # fmt: skip
    for card, headings in cards.items():
        front, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", card, re.DOTALL).groups()  # type: ignore[union-attr]
        about = yaml.safe_load(front)
        assert about.get("license") is None and about["tags"][0] == "llm2llm", "the front matter is ours"
        tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(body)
        kinds = [token.type for token in tokens] + [each.type for token in tokens for each in token.children or []]
        assert not {kind for kind in kinds if "html" in kind or kind in ("link_open", "image")}
        titles = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
        assert titles[1:] == headings
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u200b\ufeff]", card)
        assert "teacher.example" not in card


def test_terms_are_told_as_far_as_they_are_known(chosen: Chosen) -> None:
    def terms(**teacher: Any) -> str:
        settings = chosen.settings.model_copy(update={"teacher": TeacherSettings(**teacher)})
        return (
            model_card(dataclasses.replace(chosen, settings=settings), SAME)
            .partition("## The teacher")[2]
            .partition("\n## ")[0]
        )

    assert "under Apache-2.0" in terms(model="builtin:qwen2.5-coder-1.5b-instruct") and "not known" not in terms(
        model="scripted"
    )
    for teacher in ({"model": "gpt-9", "base_url": "https://api.example/v1"}, {"model": "/models/some.gguf"}):
        told = terms(**teacher)
        assert "not known" in told and "may restrict training other models" in told.replace("\n", " ")
        assert "api.example" not in told and "/models" not in told
    none = model_card(dataclasses.replace(chosen, lessons=[]), SAME)
    assert "learned no lessons" in none


def test_models_are_named_as_a_stranger_can_find_them(chosen: Chosen) -> None:
    def base(model: str) -> tuple[str, str, str]:
        found = student_of(chosen.settings.model_copy(update={"student": StudentSettings(model=model)}))
        return found.name, found.hub, found.licence

    assert base("builtin:smollm2-135m-instruct")[1:] == ("HuggingFaceTB/SmolLM2-135M-Instruct", "Apache-2.0")
    assert base("org/model") == ("org/model", "org/model", "")
    assert base("/home/me/secret/model-7b") == ("model-7b", "", "")

    def taught(former: Path, **teacher: Any) -> RunSettings:
        whole = chosen.settings.teacher.model_copy(update={"replay": str(former), **teacher})
        return chosen.settings.model_copy(update={"teacher": whole})

    run = chosen.folder.path
    before, other = teacher_of(chosen.settings), "builtin:qwen2.5-coder-1.5b-instruct"
    assert before is not None and before.name != other
    assert teacher_of(taught(run, model=other)) == before, "who was asked then, not who is named now"
    both = teacher_of(taught(run, model=other, replay_then_ask=True))
    assert both is not None and (both.name, both.licence) == (f"{before.name} and {other}", "")
    assert teacher_of(taught(run, model="scripted", base_url=None, replay_then_ask=True)) == before
    assert teacher_of(taught(Path("/no/such/run"))) is None
    lost = chosen.settings.model_copy(update={"lessons_from": "/no/such/run"})
    assert teacher_of(lost) is None
    assert "not there any more" in model_card(dataclasses.replace(chosen, settings=lost), SAME)


@pytest.mark.parametrize(
    "source", ["openai/gsm8k", "openai/gsm8k:main", "CogComp/trec@refs/convert/parquet", "a/b:c@d", " a/b "]
)
def test_a_dataset_is_named_as_the_hub_knows_it(source: str) -> None:
    validate_repo_id(_dataset(f"hub:{source}"))


# --- the Modelfile


def commands(text: str) -> list[tuple[str, str]]:
    """What Ollama reads in a Modelfile (its parser/parser.go): a value in three quotes ends at the next three and a line break."""
    assert all(letter.isprintable() or letter in "\n\t" for letter in text), "its reader drops what does not print"
    found = re.findall(r'^(FROM|TEMPLATE|PARAMETER \w+) (?:"""(.*?)"""|([^"\n]*))$', text, re.MULTILINE | re.DOTALL)
    return [(name, quoted or plain) for name, quoted, plain in found]


def rendered(template: str, prompt: str) -> str:
    """What Go's template engine makes of it: strings in actions are unquoted, the prompt put in, all else as it is."""

    def action(found: re.Match[str]) -> str:
        inside = found[1].strip()
        if inside == ".Prompt":
            return prompt
        (quoted,) = re.findall(r'^"((?:\\U[0-9a-f]{8})+)"$', inside)
        return "".join(chr(int(code, 16)) for code in quoted.split("\\U")[1:])

    return re.sub(r"\{\{(.*?)\}\}", action, template)


def with_spec(evals: EvalSet, **changes: Any) -> EvalSet:
    return dataclasses.replace(evals, spec=evals.spec.model_copy(update=changes))


@pytest.mark.parametrize("frame", [
    "Errand: {question}\nShop:", '"""\n{{ .System }} {question} }} {{"a"}} """" " "" {question}\n"""', HOSTILE + "{question}" + HOSTILE,
    "\u00a0{question}\u2063\r\n", '""{question}""', "  {question}\n\n",
])  # fmt: skip
def test_ollama_is_told_to_ask_as_the_student_was_asked(frame: str) -> None:
    evals = with_spec(load_evals(ERRANDS), frame=frame)
    found = dict(commands(modelfile(evals, [])))
    assert found["FROM"] == "./merged" and found["PARAMETER temperature"] == "0"
    assert rendered(found["TEMPLATE"], "two lemons") == evals.ask().text("two lemons")


def test_a_chat_template_goes_around_system_message_and_frame() -> None:
    evals = with_spec(load_evals(ERRANDS), format="chat", system="Be {{ brief }}.")
    found = dict(commands(modelfile(evals, ["<s>", "</s><u>", "</u><a>"])))
    assert rendered(found["TEMPLATE"], "soap") == "<s>Be {{ brief }}.</s><u>Errand: soap\nShop:</u><a>"
    alone = dict(commands(modelfile(with_spec(evals, system=""), ["<u>", "</u><a>"])))
    assert rendered(alone["TEMPLATE"], "soap") == "<u>Errand: soap\nShop:</u><a>"


def test_stop_texts_and_length_are_those_of_the_eval_set() -> None:
    evals = load_evals(ERRANDS)
    assert longest_answer(evals) == len(" hardware") + 1
    writes = with_spec(evals, kind="generate", labels={}, max_new_tokens=33, stop=("\n\n", 'a "b', "\x00", '"""'))
    text = modelfile(writes, [])
    assert [value for name, value in commands(text) if name == "PARAMETER stop"] == ["\n\n", 'a "b']
    assert ("PARAMETER num_predict", "33") in commands(text) and "2 of the stop texts" in text


# --- what matches


def attempt(number: int, output: str, margin: float | None) -> Attempt:
    right = output == "a"
    return Attempt(
        item_id=str(number), output=output, outcome="right" if right else "wrong", score=float(right), margin=margin
    )


def test_rounding_matches_and_another_model_does_not() -> None:
    old = [attempt(1, "a", 2.0), attempt(2, "b", -0.004), attempt(3, "a", 0.003)]
    near = [attempt(1, "a", 2.001), attempt(2, "a", 0.004), attempt(3, "b", -0.002)]
    found = match("select", old, near, ["float32"])
    assert found.matched and (found.same, found.beyond) == (1, 0) and found.apart == pytest.approx(0.008)
    assert not match("select", old, [attempt(1, "a", 2.5), *old[1:]], ["float32"]).matched
    assert match("select", old, [attempt(1, "a", 2.5), *old[1:]], ["float32", "bfloat16"]).matched
    assert not match("select", old, [attempt(1, "b", 2.0), *old[1:]], ["float32"]).matched, "no near-tie explains it"
    assert not match("select", [], [], ["float32"]).matched
    with pytest.raises(ValueError, match="same items"):
        match("select", old, old[::-1], ["float32"])


@pytest.mark.parametrize("margin", [None, 1.0])
def test_of_many_items_few_may_differ(margin: float | None) -> None:
    old = [attempt(at, "a", margin) for at in range(100)]

    def changed(count: int, dtype: str) -> bool:
        other = [attempt(at, "c", None if margin is None else -margin) for at in range(count)]
        return match("mine", old, [*other, *old[count:]], [dtype]).matched

    assert changed(1, "float32") and not changed(2, "float32")
    assert changed(5, "bfloat16") and not changed(6, "bfloat16")


def test_a_student_that_was_never_asked_is_asked_first(chosen: Chosen, tmp_path: Path) -> None:
    """As in cross-fit runs: without a record the student's own answers are taken before its adapter is merged."""
    folder = shutil.copytree(chosen.folder.path, tmp_path / "errands-1", symlinks=True)
    (folder / "rounds" / "001" / "attempts.select.jsonl").unlink()
    alone = dataclasses.replace(chosen, folder=RunFolder(folder))
    asked = list[str]()
    made = export(alone, tmp_path / "out", lambda what, done, total: asked.append(what))
    assert made.match.matched and made.match.same == 20 and made.match.beyond == 0
    assert list(dict.fromkeys(asked)) == ["asking the student", "merging", "asking the merged model", "writing cards"]


# --- what is refused


def test_changed_weights_are_not_exported(run: Path, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    merged = StudentWorker.merge

    def spoilt(self: StudentWorker, ask: Any, adapter: Path, out: Path, longest: int) -> Any:
        around = merged(self, ask, adapter, out, longest)
        weights = load_file(out / "model.safetensors")
        name = next(name for name in sorted(weights) if "layers.1" in name and "down_proj" in name)
        save_file(weights | {name: torch.zeros_like(weights[name])}, out / "model.safetensors", {"format": "pt"})
        return around

    monkeypatch.setattr(StudentWorker, "merge", spoilt)
    said = refused([str(run), "--to", str(tmp_path / "out"), "--round", "1"], capsys)
    assert "does not answer as the student of round 1 did" in said and "margins differ by" in said
    assert not (tmp_path / "out").exists() and not any(path.name.endswith(".draft") for path in tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_left_alone(run: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    for place in (tmp_path / "out", tmp_path / "out" / "mine.txt"):
        assert "writes over nothing" in refused([str(run), "--to", str(place)], capsys)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_what_came_there_meanwhile_is_not_written_over(chosen: Chosen, tmp_path: Path, monkeypatch: Any) -> None:
    def filled(chosen: Chosen, draft: Path, on_stage: Any) -> tuple[Match, int]:
        (draft / "new").write_text("new")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("mine")
        return SAME, 0

    monkeypatch.setattr("agent.export._fill", filled)
    with pytest.raises(RunError, match="cannot be written"):
        export(chosen, tmp_path / "out", quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (
        tmp_path / "out" / "mine.txt"
    ).read_text() == "mine"


def test_an_empty_folder_is_filled_and_old_drafts_go(chosen: Chosen, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / ".out.draft").mkdir()
    (tmp_path / ".out.draft" / "half").write_text("of a killed export")

    def filled(chosen: Chosen, draft: Path, on_stage: Any) -> tuple[Match, int]:
        (draft / "new").write_text("new")
        return SAME, 0

    monkeypatch.setattr("agent.export._fill", filled)
    export(chosen, tmp_path / "out", quiet)
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["out", "out/new"]


@pytest.mark.parametrize(("missing", "named"), [
    ("claim/claim.json", "has made no claim yet"), ("rounds/001/adapter", "holds no adapter"),
    ("rounds/001/made/adapter.json", "changed after it was made"), ("config.yaml", "config.yaml is missing"),
])  # fmt: skip
def test_a_run_that_is_not_whole_is_refused(run: Path, tmp_path: Path, capsys: Any, missing: str, named: str) -> None:
    folder = shutil.copytree(run, tmp_path / "runs" / "errands-1", symlinks=True)
    place = folder / missing
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    assert named in refused([str(folder), "--to", str(tmp_path / "out"), "--round", "1"], capsys)
    assert not (tmp_path / "out").exists()


def test_bad_words_are_refused(run: Path, tmp_path: Path, capsys: Any) -> None:
    to = ["--to", str(tmp_path / "out")]
    assert "'int4'" in refused([str(run), *to, "--dtype", "int4"], capsys)
    assert "no student of round 7" in refused([str(run), *to, "--round", "7"], capsys)
    assert "'nothing'" in refused(["nothing", *to, "--runs", str(run.parent)], capsys)
    assert find_run(run.parent, run.name).path == run.resolve()
