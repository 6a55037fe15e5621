"""Load a team's eval set, wherever it comes from: its seeds, the locked held-out items, and the way to score answers.

In: what was typed after `--evals` (`student.evals.address`). Out: an `EvalSet`. A source in one piece is split by a stable hash
of each item, stratified by skill, look-alikes kept together; a source in parts has its roles named, and what stands in `test`
word for word is taken out of `mine` and `select`. Everything wrong with the input is an `EvalError`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from student.evals.address import Address, address, allowed
from student.evals.hosted import TaskHost, open_task
from student.evals.items import OnProgress, read_items
from student.evals.mapping import check_mapping
from student.evals.plugins import call_plugin
from student.evals.spec import ROLES, EvalError, EvalSpec, Part, check_choices, read_spec
from student.evals.splits import deal, numbers_in, split_items
from student.evals.system import without_system
from student.evals.trouble import listed, shown
from student.grade import Answering, RawAnswer, grade
from student.held_out import HeldOut
from student.prompting import Ask
from student.records import Attempt, HeldOutItem, Item, Seed, Split
from student.similar import Numbers, fold

FEW = 150
"""With fewer items than this `select` cannot tell rounds apart: at 70 % right its 95 % interval is 15 points wide or wider."""
Parts = dict[str, list[Seed]]
"""Items by the name of their part; one part named "" when the source is in one piece."""


class Host(Protocol):
    """Scores answers in the place of the eval set's own scorer."""

    def attempts(self, items: Sequence[Item], answers: Sequence[RawAnswer], answer: Answering) -> list[Attempt]:
        """One attempt per item, in order; may ask the student more through `answer`."""
        ...

    def close(self) -> None:
        """End what was opened for it."""
        ...


@dataclass(frozen=True)
class EvalSet:
    """An eval set, loaded and split."""

    spec: EvalSpec
    """How to ask and score."""
    seeds: tuple[Seed, ...]
    """The items of `mine`."""
    held_out: HeldOut
    """The owner of `select` and `test`."""
    fingerprint: str
    """sha256 of the YAML and the data: another fingerprint is another eval set."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Rows that are in no split, by reason."""
    notes: tuple[str, ...] = ()
    """What a person should know about it before a run, in sentences."""
    host: Host | None = None
    """Who scores the answers, where that is not the eval set's own scorer: a hosted task or a plug-in."""
    cross_fit: bool = False
    """Whether the items of `select` are seeds, so that rounds have to be compared by cross-fitting."""
    select_before: int = 0
    """How many items `select` would have had; differs from what it has where `cross_fit` is true."""
    told: tuple[Seed, ...] = ()
    """The seeds as a teacher may be told them, in order; empty where that is all of them (`student.evals.sending`)."""

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.spec.labels)

    @property
    def for_teacher(self) -> tuple[Seed, ...]:
        """The seeds as a teacher may be told them."""
        return self.told or self.seeds

    @property
    def hosted(self) -> bool:
        """Whether the questions are another tool's, which bring their own instructions."""
        return isinstance(self.host, TaskHost)

    def ask(self, lead: str = "") -> Ask:
        """How questions are put to the student."""
        spec = self.spec
        return Ask(
            frame=spec.frame, format=spec.format, lead=lead, system=spec.system, join=spec.join, stop=spec.stop
        )  # fmt: skip

    def task(self) -> str:
        """The instruction with the labels and their descriptions, for a teacher or an untouched student."""
        lines = [f"- {label}: {text}" if text else f"- {label}" for label, text in self.spec.labels.items()]
        return "\n".join([self.spec.instruction.strip(), *lines]).strip()

    def attempts(self, items: Sequence[Item], answer: Answering) -> list[Attempt]:
        """Have `items` answered and the answers scored: one attempt per item, in order."""
        answers = answer(items)
        if self.host is not None:
            return self.host.attempts(items, answers, answer)
        return grade(self.spec, items, answers)

    def close(self) -> None:
        """End the process of a hosted task."""
        if self.host is not None:
            self.host.close()


@dataclass(frozen=True)
class Loaded:
    """Everything a source gave, before it is dealt out."""

    spec: EvalSpec
    """How to ask and score."""
    parts: Parts
    """The items."""
    dropped: Counter[str]
    """Rows that became no item, by reason."""
    fingerprint: str
    """sha256 of all that was read."""
    where: str
    """What a message calls it."""
    host: Host | None = None
    """Who scores the answers, where that is not the eval set's own scorer."""
    notes: Sequence[str] = ()
    """What a person should know about a hosted task, in sentences."""
    score_only: str = ""
    """Why nothing can be learned from it; empty where something can."""


def load_evals(
    source: str | Path, allow_code: bool = False, on_progress: OnProgress | None = None, score_only: bool = False,
    cross_fit: bool | None = False, needs_select: bool = True,
) -> EvalSet:  # fmt: skip
    """Read, check and split an eval set. Raises EvalError.

    `score_only`: an eval set with nothing but a test split will do; it can be examined, not learned from.
    `cross_fit`: the items of `select` become seeds, after those of `mine`, and a source without a `select` will do. None: that
    is done where `select` has fewer than `FEW` items. The fingerprint is the same either way. `needs_select`: whether a source
    without a `select` is refused where nothing is cross-fitted, because somebody has to choose among rounds.
    """
    loaded = read_parts(source, allow_code, on_progress)
    try:
        roles = deal_roles(loaded, score_only, without_select=cross_fit is not False or not needs_select)
    except EvalError:
        if loaded.host is not None:
            loaded.host.close()
        raise
    before = len(roles["select"])
    joined = before < FEW if cross_fit is None else cross_fit
    if joined:
        roles = {"mine": [*roles["mine"], *roles["select"]], "select": [], "test": roles["test"]}
    held = {role: [HeldOutItem(**item.model_dump()) for item in roles[role]] for role in ("select", "test")}
    return EvalSet(
        loaded.spec, tuple(roles["mine"]), HeldOut(held["select"], held["test"]), loaded.fingerprint,
        dict(+loaded.dropped), tuple(loaded.notes), loaded.host, joined, before,
    )  # fmt: skip


def read_parts(
    source: str | Path, allow_code: bool = False, on_progress: OnProgress | None = None,
    on_trouble: Callable[[EvalError], None] | None = None,
) -> Loaded:  # fmt: skip
    """Everything a source holds. `on_trouble` is told what is wrong with single rows; without it the first is raised."""
    where = _address(str(source), Path(), "")
    allowed(where, allow_code)
    if where.kind == "file":
        raise EvalError(
            f"{str(source)!r} is no eval set's YAML file. For a data file, `llm2llm evals init {source}` writes a first one."
        )
    spec, base = EvalSpec(name=where.item or where.place, source=str(where)), Path()
    if where.kind == "yaml":
        spec, _ = read_spec(Path(where.place))
        base = Path(where.place).parent
        _stays_inside(spec, base, where.place)
    places = places_of(spec, base, str(where))
    for place in places.values():
        allowed(place, allow_code)
    if all(place.kind in ("file", "hub") for place in places.values()):
        check_choices(spec, str(where))
        check_mapping(spec, str(where))
    return _read(spec, places, str(where), on_progress or (lambda done, total: None), on_trouble)


def places_of(spec: EvalSpec, base: Path, where: str) -> dict[str, Address]:
    """Where each part of the source lies. `base`: what relative paths are below; `where`: the file they stand in. Raises EvalError."""
    named = spec.source if isinstance(spec.source, dict) else {"": spec.source}
    return {part: _address(text, base, f"{where}: ") for part, text in named.items()}


def _address(text: str, folder: Path, where: str) -> Address:
    """An address; what is wrong with it is told with the file it stands in."""
    try:
        return address(text, folder)
    except EvalError as error:
        raise EvalError(f"{where}{error}") from error


def _stays_inside(spec: EvalSpec, folder: Path, where: str) -> None:
    """Raises EvalError for a data file outside the YAML file's folder that is not named by its absolute path."""
    for text in spec.source.values() if isinstance(spec.source, dict) else [spec.source]:
        place = _address(text, folder, f"{where}: ")
        if place.kind == "file" and not text.startswith(("/", "~")) and not Path(place.place).is_relative_to(folder):
            raise EvalError(
                f"{where}: the source {shown(text)} leads out of the folder of this file, to {place.place}. If that is meant, write the "
                "absolute path, so that whoever runs this eval set sees what is read."
            )


def _read(
    spec: EvalSpec, places: dict[str, Address], where: str, on_progress: OnProgress,
    on_trouble: Callable[[EvalError], None] | None,
) -> Loaded:  # fmt: skip
    first = next(iter(places.values()))
    if first.kind in ("lm-eval", "inspect"):
        host = open_task(places, spec)
        print_of = _fingerprint(host.spec, host.parts, host.code)
        return Loaded(host.spec, host.parts, host.dropped, print_of, where, host, host.notes, host.score_only)
    if first.kind in ("plugin", "code"):
        if len(places) > 1:
            raise EvalError(f"{where}: `source` names {len(places)} plug-ins. Name one, and let it return `parts`.")
        found = call_plugin(first, spec, on_progress, on_trouble)
        print_of = _fingerprint(found.spec, found.parts, found.host.code if found.host else "")
        return Loaded(found.spec, found.parts, found.dropped, print_of, where, found.host)
    parts, dropped = Parts(), Counter[str]()
    for part, place in places.items():
        found, lost = read_items(spec, place, hub_parts(spec) if not part else (), on_progress, on_trouble)
        if not part:
            parts |= found
        elif len(found) == 1:
            parts[part] = next(iter(found.values()))
        else:
            raise EvalError(
                f"{where}: {str(place)!r}, which `source` calls {shown(part)}, has parts of its own ({listed(found)}). Name it alone."
            )
        dropped.update(lost)
    _one_name_each(parts, where)
    spec, parts = without_system(spec, parts)
    return Loaded(spec, parts, dropped, _fingerprint(spec, parts), where)


def _one_name_each(parts: Parts, where: str) -> None:
    """Raises EvalError for an id that means one question here and another there."""
    known = dict[str, tuple[str, Seed]]()
    for part, items in parts.items():
        for item in items:
            there, other = known.setdefault(item.id, (part, item))
            if other is not item and (other.prompt, other.choices, other.turns) != (
                item.prompt,
                item.choices,
                item.turns,
            ):
                raise EvalError(
                    f"{where}: the id {shown(item.id)} is that of one item in {there!r} and of another in {part!r}. "
                    "Give each its own, or leave out columns.id: a hash of the text then names each."
                )


def hub_parts(spec: EvalSpec) -> tuple[str, ...]:
    """The splits of a hub dataset that are wanted."""
    return tuple(dict.fromkeys(part.source for part in spec.splits.values() if isinstance(part, Part)))


def _fingerprint(spec: EvalSpec, parts: Parts, code: str = "") -> str:
    """Of what an item is and how it is asked and scored; where the file lies is not part of it."""
    total = hashlib.sha256(json.dumps(spec.model_dump(mode="json", exclude={"source"}), sort_keys=True).encode())
    total.update(code.encode())
    for part, items in parts.items():
        total.update(part.encode())
        for item in items:
            total.update(item.model_dump_json().encode())
    return total.hexdigest()


def deal_roles(
    loaded: Loaded, score_only: bool = False, without_select: bool = False
) -> dict[Split, list[Seed]]:  # fmt: skip
    """Who gets which items. Raises EvalError when a role that is needed would be empty."""
    spec, parts = loaded.spec, loaded.parts
    wanted: dict[Split, Part] = {role: part for role, part in spec.splits.items() if isinstance(part, Part)}
    usual = _usual_roles(parts)
    one_piece = not wanted and len(parts) == 1 and set(usual) <= {"mine"}
    roles = (
        _in_one_piece(loaded, score_only, without_select) if one_piece else _by_part(loaded, wanted or usual)
    )  # fmt: skip
    if loaded.score_only and not score_only:
        raise EvalError(
            f"{loaded.where}: {loaded.score_only} It can be scored (`llm2llm evals score`), but nothing can be learned from it."
        )
    missing = [role for role in ROLES if not roles[role] and not (without_select and role == "select")]
    if not missing or (score_only and roles["test"]):
        return roles
    there = ", ".join(f"{part or 'all'} ({len(items)} items)" for part, items in parts.items())
    raise EvalError(
        f"{loaded.where}: nothing is left for {' and '.join(missing)}; there are the parts {there}. Say under `splits` what each "
        "role is taken from, for example {mine: {from: train, take: 60}, select: {from: train, take: 200}, test: test}. An eval "
        "set with a test split only can be scored (`llm2llm evals score`), but nothing can be learned from it."
    )


def _usual_roles(parts: Parts) -> dict[Split, Part]:
    """The roles of parts with the usual names, where a source names none."""
    usual: dict[Split, tuple[str, ...]] = {
        "mine": ("mine", "train", "training"), "select": ("select", "validation", "valid", "dev"), "test": ("test",),
    }  # fmt: skip
    roles = dict[Split, Part]()
    for role, names in usual.items():
        if found := [name for name in names if name in parts]:
            roles[role] = Part.model_validate({"from": found[0]})
    return roles


def _in_one_piece(loaded: Loaded, score_only: bool, without_select: bool) -> dict[Split, list[Seed]]:
    items = [item for part in loaded.parts.values() for item in part]
    if score_only and len(items) < 3:
        return {"mine": [], "select": [], "test": items}
    return split_items(items, loaded.spec.splits, loaded.spec.draw, without_select)


def _by_part(loaded: Loaded, wanted: dict[Split, Part]) -> dict[Split, list[Seed]]:
    """Each role from its part; roles of one part share it, and a question of `test` is in no other role."""
    roles: dict[Split, list[Seed]] = {"mine": [], "select": [], "test": []}
    for name in dict.fromkeys(part.source for part in wanted.values()):
        if name not in loaded.parts:
            raise EvalError(f"{loaded.where}: `splits` takes items from {name!r}; there is: {', '.join(loaded.parts)}.")
        shares: dict[Split, int | float | None] = {
            role: part.take for role, part in wanted.items() if part.source == name
        }
        items = loaded.parts[name]
        if "test" not in shares:
            items = _not_in_test(loaded, items, wanted)
        try:
            roles.update(deal(items, shares, loaded.spec.draw))
        except EvalError as error:
            gone = len(loaded.parts[name]) - len(items)
            also = f" Of {name!r}, {gone} stand in test, too, and were taken out." if gone else ""
            raise EvalError(f"{error}{also}") from error
    return roles


def _not_in_test(loaded: Loaded, items: list[Seed], wanted: dict[Split, Part]) -> list[Seed]:
    tested = loaded.parts.get(wanted["test"].source, []) if "test" in wanted else []
    numbers = numbers_in([*tested, *items])
    asked = {_as_asked(item, numbers) for item in tested}
    kept = [item for item in items if _as_asked(item, numbers) not in asked]
    if len(kept) < len(items):
        loaded.dropped["also in test"] += len(items) - len(kept)
    return kept


def _as_asked(item: Seed, numbers: Numbers) -> tuple[str, ...]:
    """What makes two questions the same: the folded text, and the choices where an item has its own."""
    return (fold(item.prompt, numbers), *(fold(choice, numbers) for choice in item.choices))
