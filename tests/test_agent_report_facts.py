"""Every number of a report is counted again here, from the files of a run and by other means: plain JSON, SQL and schoolbook formulas.

`recount` knows nothing of the program's records or readers. What it makes must equal the facts as a whole, so a number that is
added to them fails this test until it is counted here as well.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from dry_run import ERRANDS, command_line, table_student, words
from report_runs import made_run

from agent.report.gather import facts_of
from loops.power import smallest_gain
from loops.run_folder import RunFolder

Z = 1.959963984540054
ARMS = {
    "untargeted, equal spend": "equal-spend",
    "untargeted, equal number": "equal-number",
    "seeds, as many steps": "equal-steps",
}
INVENTED = 0.0001
"""The p of runs that are made up for a test."""
NAMES = {"zero-shot": "untouched zero-shot", "few-shot": "untouched few-shot"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the loop itself with control arms, and a table for a student."""
    runs = tmp_path_factory.mktemp("runs")
    with table_student():
        changes = {
            "stop__rounds": "3",
            "generate__lessons": "16",
            "budget__prompt_price": "1",
            "budget__completion_price": "2",
        }
        assert command_line(words("run", "--control", "--ui", "quiet", "--name", "errands", runs=runs, **changes)) == 0
    return runs / "errands-1"


def test_every_number_is_counted_again_from_a_run_of_the_loop(run: Path) -> None:
    shops = {row["id"]: row["shop"] for row in lines(ERRANDS.parent / "items.jsonl")}
    same(facts_of(RunFolder(run)).model_dump(mode="json"), recount(run, shops))


def test_the_intervals_of_the_claim_and_of_control_arms_are_those_of_bonett_and_price(run: Path) -> None:
    claim, best = load(run / "claim" / "claim.json"), rights(run / "claim" / "attempts.best.test.jsonl")
    assert len(claim["controls"]) == len(ARMS)
    for one, path in [
        (claim, run / "claim" / "attempts.seed-only.test.jsonl"),
        *zip(claim["controls"], arm_files(run), strict=True),
    ]:
        changes = [best[item] - old for item, old in rights(path).items()]
        n, up, down = len(changes) + 2, changes.count(1) + 1, changes.count(-1) + 1
        reach = 1.959964 * math.sqrt((up + down - (up - down) ** 2 / n) / n**2)
        assert [one["low"], one["high"]] == pytest.approx([(up - down) / n - reach, (up - down) / n + reach], abs=2e-6)


def test_every_number_is_counted_again_from_a_larger_run(tmp_path: Path) -> None:
    run = made_run(tmp_path, rounds=4, items=120, lessons=60)
    same(facts_of(RunFolder(run)).model_dump(mode="json"), recount(run, load(run / "splits.json")["skills"]))


def same(found: Any, counted: Any, where: str = "facts") -> None:
    """Fails naming the place where two trees differ."""
    if isinstance(counted, dict):
        assert found.keys() == counted.keys(), where
        for key in counted:
            same(found[key], counted[key], f"{where}.{key}")
    elif isinstance(counted, list):
        assert len(found) == len(counted), where
        for at, one in enumerate(counted):
            same(found[at], one, f"{where}[{at}]")
    elif isinstance(counted, float):
        assert found == pytest.approx(counted, abs=2e-6), where
    else:
        assert found == counted, where


# Counting by other means.


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().split("\n") if line] if path.exists() else []


def rights(path: Path) -> dict[str, bool]:
    return {row["item_id"]: row["outcome"] == "right" for row in lines(path)}


def wilson(k: int, n: int) -> dict[str, float]:
    middle, reach = (k + Z * Z / 2) / (n + Z * Z), Z / (n + Z * Z) * math.sqrt(k * (n - k) / n + Z * Z / 4)
    return {"low": max(0.0, middle - reach), "high": min(1.0, middle + reach)}


def score(rows: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = Counter(row["outcome"] for row in rows)
    return {"n": len(rows), "right": kinds["right"], "truncated": kinds["truncated"], "malformed": kinds["malformed"],
            **wilson(kinds["right"], len(rows))}  # fmt: skip


def change(new: dict[str, bool], old: dict[str, bool]) -> dict[str, Any]:
    n, up, down = len(new), sum(new[i] > old[i] for i in new), sum(new[i] < old[i] for i in new)
    p, q = (up + 1) / (n + 2), (down + 1) / (n + 2)
    reach = Z * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    return {
        "n": n,
        "gained": up,
        "lost": down,
        "gain": (up - down) / n,
        "low": max(-1.0, p - q - reach),
        "high": min(1.0, p - q + reach),
    }


def recount(run: Path, skills: dict[str, str]) -> dict[str, Any]:
    """All facts of a finished run, as plain values."""
    config, splits = yaml.safe_load((run / "config.yaml").read_text()), load(run / "splits.json")
    claim, happened = load(run / "claim" / "claim.json"), lines(run / "events.jsonl")
    begun, ended = (next(row for row in happened if row["event"] == name) for name in ("run.started", "run.ended"))
    rounds = sorted((run / "rounds").iterdir())
    cost, prompts = recount_cost(run, happened, claim)
    machine = load(run / "machine.json") if (run / "machine.json").exists() else {}
    taught = [place for place in rounds[1:] if (place / "candidates.jsonl").exists()]
    return {
        "run": run.name, "student": config["student"]["model"], "teacher": config["teacher"]["model"], "evals": begun["evals"],
        "fingerprint": config["evals_fingerprint"], "chance": begun["chance"], "status": ended["status"],
        "splits": {name: len(splits[name]) for name in ("mine", "select", "test")}, "reason": ended["reason"],
        "sentence": ended["sentence"], "began": happened[0]["time"], "ended": happened[-1]["time"],
        "claim": recount_claim(run, claim), "best": claim["best"], "least_gain": recount_power(run),
        "exams": recount_exams(run, rounds, claim["best"]), "rounds": [recount_round(run, place, config, splits) for place in rounds],
        "skills": recount_skills(run, skills), "fates": recount_fates(run, rounds, claim["best"]),
        "weaknesses": [one for place in taught for one in recount_weak(place, rounds)], "flips": recount_flips(taught),
        "accepted": recount_accepted(taught), "rejected": recount_rejected(taught), "cost": cost,
        "openings": recount_openings(run, config["evals_fingerprint"]), "leaves": "",
        "notes": dict(Counter(row["text"] for row in happened if row["event"] == "note")),
        "settings": dict(flat(config)), "machine": {key: str(value) for key, value in machine.items()}, "prompts": prompts,
        "missing": recount_missing(run),
    }  # fmt: skip


def arm_files(run: Path) -> list[Path]:
    return [run / "control" / folder / "attempts.test.jsonl" for folder in ARMS.values()]


def recount_claim(run: Path, claim: dict[str, Any]) -> dict[str, Any]:
    """The claim, and the best student against every arm, counted again; intervals have a test of their own."""
    best = rights(run / "claim" / ("attempts.best.test.jsonl" if claim["best"] else "attempts.seed-only.test.jsonl"))
    counted = {**claim, **paired(best, rights(run / "claim" / "attempts.seed-only.test.jsonl"), claim)}
    arms = zip(claim.get("controls", []), ARMS.items(), arm_files(run), strict=False)
    controls = [recount_arm(run, one, name, paired(best, rights(path), one)) for one, (name, _), path in arms]
    return {"lessons": None, "controls_missing": {}, **counted, "controls": controls}


def paired(new: dict[str, bool], old: dict[str, bool], told: dict[str, Any]) -> dict[str, Any]:
    up, down = sum(new[i] > old[i] for i in new), sum(new[i] < old[i] for i in new)
    tail = sum(math.comb(up + down, k) for k in range(min(up, down) + 1)) / 2 ** (up + down)
    whole = {"p": told["p"]} if told["p"] == INVENTED else {"p": min(1.0, 2 * tail)}
    return {"n": len(new), "gain": (up - down) / len(new), "gained": up, "lost": down, **whole}


def recount_arm(run: Path, told: dict[str, Any], name: str, numbers: dict[str, Any]) -> dict[str, Any]:
    """What an arm learned and cost, from its files and from the ledger's own rows."""
    place, lessons = run / "control" / ARMS[name], lines(run / "control" / ARMS[name] / "lessons.jsonl")
    batches = [lines(path) for path in sorted(run.glob("control/untargeted/*/candidates.jsonl"))]
    db = sqlite3.connect(run / "ledger.sqlite")
    cost = dict(
        db.execute("SELECT key, prompt_tokens + completion_tokens FROM requests WHERE round = -1 AND purpose = 'write'")
    )
    taught = "SELECT SUM(prompt_tokens + completion_tokens) FROM requests WHERE round BETWEEN 1 AND ?"
    best = load(run / "claim" / "claim.json")["best"]
    places = [run / "rounds" / f"{at:03d}" for at in range(1, best + 1)]
    wanted = {
        "tokens": db.execute(taught, (best,)).fetchone()[0],
        "lessons": sum(len(lines(each / "lessons.jsonl")) for each in places),
        "steps": load(places[-1] / "adapter" / "training.json")["steps"],
    }
    db.close()
    size = {
        "tokens": told["size"]["tokens"],
        "lessons": len(lessons),
        "steps": load(place / "adapter" / "training.json")["steps"],
    }
    written = sum(cost[key] for key in dict.fromkeys(row["request_key"] for row in lessons))
    assert written <= size["tokens"] <= wanted["tokens"] or name != "untargeted, equal spend"
    assert {row["id"] for row in lessons} <= {row["id"] for batch in batches for row in batch}
    kept = {key: value for key, value in told.items() if key != "shown"}
    return {**kept, **numbers, "name": name, "size": size, "wanted": wanted, "lessons": None}


def recount_power(run: Path) -> float | None:
    seed_only = rights(run / "claim" / "attempts.seed-only.test.jsonl")
    return smallest_gain(len(seed_only), sum(seed_only.values()) / len(seed_only))


def recount_missing(run: Path) -> list[str]:
    said = {"machine.json": "machine.json is missing: what the student ran on is unknown.",
            "ledger.sqlite": "There is no ledger: the teacher was not asked anything, or its cost is unknown."}  # fmt: skip
    return [text for name, text in sorted(said.items(), reverse=True) if not (run / name).exists()]


def flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            found += flat(value, f"{prefix}{key}.")
        else:
            found.append((prefix + key, ", ".join(map(str, value)) if isinstance(value, list) else str(value)))
    return found


def recount_exams(run: Path, rounds: list[Path], best: int) -> list[dict[str, Any]]:
    kept = rights(run / "claim" / ("attempts.best.test.jsonl" if best else "attempts.seed-only.test.jsonl"))

    def exam(who: str, at: int | None, split: str, path: Path) -> dict[str, Any]:
        ahead = change(kept, rights(path)) if split == "test" and who in NAMES.values() else None
        return {"who": who, "round": at, "split": split, "score": score(lines(path)), "beaten_by": ahead}

    rows = [
        exam(name, None, "select", run / "baseline" / f"attempts.{who}.select.jsonl") for who, name in NAMES.items()
    ]
    for at, place in enumerate(rounds):
        rows.append(exam(f"round {at}" if at else "seed-only", at, "select", place / "attempts.select.jsonl"))
    rows += [exam(name, None, "test", run / "claim" / f"attempts.{who}.test.jsonl") for who, name in NAMES.items()]
    rows.append(exam("seed-only", 0, "test", run / "claim" / "attempts.seed-only.test.jsonl"))
    rows += [exam(f"round {best}", best, "test", run / "claim" / "attempts.best.test.jsonl")] if best else []
    rows += [exam(name, None, "test", path) for name, path in zip(ARMS, arm_files(run), strict=True) if path.exists()]
    return [*rows, exam("teacher", None, "mine", run / "baseline" / "attempts.teacher.mine.jsonl")]


def recount_round(run: Path, place: Path, config: dict[str, Any], splits: dict[str, Any]) -> dict[str, Any]:
    number, decision = int(place.name), load(place / "decision.json")
    trained = sum(len(lines(run / "rounds" / f"{at:03d}" / "lessons.jsonl")) for at in range(1, number + 1))
    share, seeds = config["curate"]["real_share"], len(splits["mine"])
    while seeds < share * (seeds + trained) - 1e-9:
        seeds += 1
    mined, first = lines(place / "attempts.mine.jsonl"), rights(run / "rounds" / "000" / "attempts.select.jsonl")
    return {
        "number": number, "select": score(lines(place / "attempts.select.jsonl")),
        "change": change(rights(place / "attempts.select.jsonl"), first) if number else None,
        "mined": score(mined) if mined else None, "decision": decision["sentence"], "barred": "",
        "training": load(place / "adapter" / "training.json"), "seed_rows": seeds, "lesson_rows": trained,
        "teaching": recount_teaching(place) if number else None,
    }  # fmt: skip


def recount_teaching(place: Path) -> dict[str, Any]:
    written, verdicts = lines(place / "candidates.jsonl"), lines(place / "verdicts.jsonl")
    kept = {row["candidate_id"] for row in verdicts if row["accepted"]}
    strategies = {row["strategy"] for row in written}
    return {
        "asked": sum(row["lessons"] for row in lines(place / "weaknesses.jsonl")), "written": len(written), "accepted": len(kept),
        "unjudged": len(written) - len(verdicts), "rejected": dict(Counter(row["reason"] for row in verdicts if not row["accepted"])),
        "strategies": {name: [sum(row["strategy"] == name for row in written),
                              sum(row["strategy"] == name and row["id"] in kept for row in written)] for name in strategies},
        "witnesses": [{"name": one["name"], "score": {"n": one["asked"], "right": one["right"], "truncated": 0, "malformed": 0,
                                                      **wilson(one["right"], one["asked"])}} for one in load(place / "witnesses.json")],
        "reviewed": {}, "diversity": load(place / "diversity.json"),
    }  # fmt: skip


def recount_skills(run: Path, skills: dict[str, str]) -> dict[str, Any]:
    places = [run / "claim" / f"attempts.{who}.test.jsonl" for who in ("seed-only", "best")]
    groups: dict[str, list[str]] = defaultdict(list)
    for item in rights(places[0]):
        groups[skills[item]].append(item)
    rows: list[dict[str, Any]] = []
    for name, items in sorted(groups.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        before, after = ([row for row in lines(place) if row["item_id"] in items] for place in places)
        old, new = ({row["item_id"]: row["outcome"] == "right" for row in part} for part in (before, after))
        rows.append({"name": name, "before": score(before), "after": score(after), "change": change(new, old)})
    return {"split": "test", "rows": rows}


def recount_fates(run: Path, rounds: list[Path], best: int) -> list[dict[str, Any]]:
    mined = [place for place in rounds if (place / "attempts.mine.jsonl").exists()]
    looks = {
        "test": [run / "claim" / f"attempts.{who}.test.jsonl" for who in ("seed-only", "best")],
        "select": [rounds[0] / "attempts.select.jsonl", rounds[best] / "attempts.select.jsonl"],
        "mine": [place / "attempts.mine.jsonl" for place in mined],
    }
    ends: dict[str, tuple[str, str]] = {
        "test": ("seed-only", f"round {best}"),
        "select": ("seed-only", f"round {best}"),
    }
    ends["mine"] = (f"mined in round {int(mined[0].name)}", f"mined in round {int(mined[-1].name)}")
    found: list[dict[str, Any]] = []
    for split, paths in looks.items():
        seen = [rights(path) for path in paths]
        kinds = Counter(fate([look[item] for look in seen]) for item in seen[0])
        found.append({"split": split, "first": ends[split][0], "last": ends[split][1],
                      **{kind: kinds[kind] for kind in ("kept", "learned", "regressed", "never")}})  # fmt: skip
    return found


def fate(looks: list[bool]) -> str:
    if looks[-1]:
        return "kept" if looks[0] else "learned"
    return "regressed" if True in looks else "never"


def recount_weak(place: Path, rounds: list[Path]) -> list[dict[str, Any]]:
    number, rows = int(place.name), list[dict[str, Any]]()
    later = [
        rights(at / "attempts.mine.jsonl")
        for at in rounds
        if int(at.name) > number and (at / "attempts.mine.jsonl").exists()
    ]
    for one in lines(place / "weaknesses.jsonl"):
        last = [later[-1][each["seed"]["id"]] for each in one["failures"]] if later else []
        taken = sum(row["weakness_id"] == one["id"] for row in lines(place / "lessons.jsonl"))
        rows.append({"id": one["id"], "round": number, "name": one["name"], "failures": len(one["failures"]), "asked": one["lessons"],
                     "accepted": taken, "mined_again": len(last), "flipped": sum(last)})  # fmt: skip
    return rows


def recount_flips(taught: list[Path]) -> dict[str, Any]:
    mined, last = [rights(place / "attempts.mine.jsonl") for place in taught], int(taught[-1].name)
    cases: dict[str, dict[str, Any]] = {}
    aimed = {
        place: {
            (one["seed"]["id"], weak["id"]) for weak in lines(place / "weaknesses.jsonl") for one in weak["failures"]
        }
        for place in taught
    }
    for place in taught:
        for weak in lines(place / "weaknesses.jsonl"):
            for one in weak["failures"]:
                seed = one["seed"]
                if seed["id"] not in cases:
                    cases[seed["id"]] = {"id": seed["id"], "prompt": seed["prompt"], "answer": seed["answer"], "said": one["wrong_answer"],
                                         "failed_in": int(place.name), "last_in": last}  # fmt: skip
    for name, case in cases.items():
        own = [
            (place, row)
            for place in taught
            if int(place.name) < last
            for row in lines(place / "lessons.jsonl")
            if row["parent_id"] == name and (name, row["weakness_id"]) in aimed[place]
        ]
        case["lessons"], case["lesson_count"] = [text(place, row) for place, row in own[:3]], len(own)
    again = [case for case in cases.values() if case["failed_in"] < last]
    right = [case for case in again if mined[-1][case["id"]]]
    never = [case for case in again if not any(look[case["id"]] for look in mined)]
    order = lambda case: (-case["lesson_count"], case["failed_in"], case["id"])  # noqa: E731
    return {
        "taught": sum(case["lesson_count"] > 0 for case in again), "taught_flipped": sum(case["lesson_count"] > 0 for case in right),
        "untaught": sum(case["lesson_count"] == 0 for case in again), "untaught_flipped": sum(case["lesson_count"] == 0 for case in right),
        "not_again": len(cases) - len(again), "flipped": sorted((case for case in right if case["lesson_count"]), key=order)[:8],
        "never": sorted(never, key=order)[:8], "never_count": len(never),
    }  # fmt: skip


def text(place: Path, row: dict[str, Any]) -> dict[str, Any]:
    verdict = next(one for one in lines(place / "verdicts.jsonl") if one["candidate_id"] == row["id"])
    aim = next((one["name"] for one in lines(place / "weaknesses.jsonl") if one["id"] == row["weakness_id"]), "")
    return {"id": row["id"], "round": int(place.name), "prompt": row["prompt"], "answer": row["answer"], "strategy": row["strategy"],
            "aim": aim, "reason": verdict["reason"], "detail": verdict["detail"]}  # fmt: skip


def recount_accepted(taught: list[Path]) -> list[dict[str, Any]]:
    waiting = [[text(place, row) for row in lines(place / "lessons.jsonl")[:12]] for place in taught]
    turns = [part[at] for at in range(12) for part in waiting if at < len(part)]
    return turns[:12]


def recount_rejected(taught: list[Path]) -> list[dict[str, Any]]:
    found: dict[str, list[tuple[Path, dict[str, Any]]]] = defaultdict(list)
    for place in taught:
        reasons = {row["candidate_id"]: row["reason"] for row in lines(place / "verdicts.jsonl")}
        for row in lines(place / "candidates.jsonl"):
            if reasons.get(row["id"], "accepted") != "accepted":
                found[reasons[row["id"]]].append((place, row))
    ranked = sorted(found.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    return [text(*one) for _, rows in ranked for one in rows[:3]]


def recount_openings(run: Path, fingerprint: str) -> list[dict[str, Any]]:
    rows = [row for row in lines(run.parent / "test-openings.jsonl") if row["split"] == fingerprint]
    own = [row["run"] for row in rows].index(run.name)
    return [{"run": row["run"], "time": float(row["time"]), "before": at < own} for at, row in enumerate(rows)]


def recount_cost(
    run: Path, happened: list[dict[str, Any]], claim: dict[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    lessons = sum(len(lines(place)) for place in run.glob("rounds/*/lessons.jsonl"))
    verbs: dict[str, float] = defaultdict(float)
    for row in happened:
        if row["event"] == "verb.done":
            verbs[row["verb"]] += row["seconds"]
    rows, prompts = recount_ledger(run / "ledger.sqlite")
    whole = totals(rows) if rows else None
    seconds, points = (
        happened[-1]["time"] - happened[0]["time"],
        100 * claim["gain"] if claim["p"] < 0.05 and claim["best"] else 0,
    )
    if whole:
        purposes = {row["purpose"] for row in rows}
        whole["by_purpose"] = {
            name: sum(row["charged_tokens"] for row in rows if row["purpose"] == name) for name in purposes
        }
    own = totals([row for row in rows if row["round"] != -1]) if rows else None
    tokens, money = (own["tokens"], own["money"]) if own else (None, None)
    taught = seconds - verbs.get("control", 0.0)
    columns = {"by_purpose": "purpose", "by_strategy": "tag", "by_round": "round"}
    groups = {name: sorted({row[column] for row in rows}) for name, column in columns.items()}
    by = {
        name: {str(one): totals([row for row in rows if row[columns[name]] == one]) for one in ones}
        for name, ones in groups.items()
    }
    return {
        "teacher": whole, **by, "strategies": recount_strategies(run, by["by_strategy"]),
        "retries": dict(Counter(row["reason"] for row in happened if row["event"] == "retry")), "seconds": seconds, "sessions": 1,
        "seconds_by_verb": dict(verbs), "tokens": tokens, "money": money, "accepted": lessons,
        "tokens_per_lesson": tokens / lessons if tokens is not None else None,
        "money_per_lesson": money / lessons if money is not None else None, "seconds_per_lesson": taught / lessons,
        "tokens_per_point": tokens / points if tokens is not None and points else None,
        "money_per_point": money / points if money is not None and points else None,
        "seconds_per_point": taught / points if points else None,
    }, prompts  # fmt: skip


def recount_strategies(run: Path, spent: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    written, kept = (
        Counter(row["strategy"] for place in run.glob(f"rounds/*/{name}.jsonl") for row in lines(place))
        for name in ("candidates", "lessons")
    )
    rows: list[dict[str, Any]] = []
    for name in sorted(sorted(written), key=lambda name: -written[name]):
        took = spent.get(name)
        parts = {"tokens_each": "tokens", "money_each": "money", "seconds_each": "seconds"}
        known = took if took and kept[name] else {}
        each = {
            part: whole / kept[name] if (whole := known.get(of)) is not None else None for part, of in parts.items()
        }
        rows.append({"name": name, "written": written[name], "accepted": kept[name], "spent": took, **each})
    return rows


def recount_ledger(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if not path.exists():
        return [], []
    db = sqlite3.connect(path)
    db.row_factory = sqlite3.Row
    rows = [dict(row) for row in db.execute("SELECT * FROM requests")]
    db.close()
    counts = Counter[tuple[str, str, str]]()
    for row in rows:
        system = [one["content"] for one in json.loads(row["request"])["messages"] if one["role"] == "system"]
        counts[row["purpose"], row["tag"], hashlib.sha256("\n\n".join(system).encode()).hexdigest()[:8]] += (
            row["state"] == "settled"
        )
    keys = ("purpose", "strategy", "hash", "requests")
    return rows, [dict(zip(keys, (*name, count), strict=True)) for name, count in sorted(counts.items())]


def totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of a ledger whose requests were all answered, with prices."""
    assert all(row["state"] == "settled" and not row["replayed"] for row in rows)
    busy, reached = 0.0, 0.0
    for start, end in sorted((row["started"], row["ended"]) for row in rows):
        busy, reached = busy + max(0.0, end - max(start, reached)), max(reached, end)
    sums = {name: sum(row[name] for row in rows) for name in ("prompt_tokens", "completion_tokens", "money")}
    return {"requests": len(rows), "failed": 0, **sums, "reserved_tokens": 0, "tokens": sum(row["charged_tokens"] for row in rows),
            "charged_money": sum(row["charged_money"] for row in rows), "seconds": busy, "replayed": 0, "replayed_tokens": 0,
            "replayed_money": 0.0}  # fmt: skip
