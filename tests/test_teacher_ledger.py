"""The ledger: caps that hold, charges that survive a crash, and honest unknowns."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teacher.errors import BudgetSpent, TeacherUnusable
from teacher.ledger import Budget, Ledger, Prices
from teacher.requests import Message, Reply, Request

NO_CAPS = Budget()


def ask(text: str = "hello", **changes: object) -> Request:
    fields: dict[str, object] = {"purpose": "write", "max_tokens": 100, "temperature": 0.0, "seed": 1}
    return Request.model_validate(fields | {"messages": [Message(role="user", content=text)]} | changes)


def says(text: str = "hi", prompt: int | None = 7, new: int | None = 3) -> Reply:
    return Reply(text=text, finish_reason="stop", prompt_tokens=prompt, completion_tokens=new, seconds=0.5)


def test_a_settled_reply_is_found_again_by_another_process(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite", NO_CAPS) as ledger:
        ledger.reserve(ask(), "k", 1)
        assert ledger.find("k") is None
        ledger.settle("k", says("✓ \x00 done"))
    with Ledger(tmp_path / "l.sqlite", NO_CAPS) as ledger:
        assert ledger.find("k") == says("✓ \x00 done")
        assert ledger.totals().tokens == 10


def test_only_the_owner_can_read_prompts(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    path.touch(mode=0o644)
    with Ledger(path, NO_CAPS):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_prices_turn_tokens_into_money(tmp_path: Path) -> None:
    prices = Prices(prompt_per_million=1e6, completion_per_million=2e6)
    with Ledger(tmp_path / "l.sqlite", Budget(max_money=1000.0), prices) as ledger:
        ledger.reserve(ask(), "k", 1)
        assert ledger.totals().charged_money >= 200  # 100 new tokens at 2 each, before anything is known
        ledger.settle("k", says(prompt=7, new=3))
        assert ledger.totals().money == pytest.approx(13)
        with pytest.raises(BudgetSpent, match="max_money"):
            ledger.reserve(ask(max_tokens=600), "k2", 1)


def test_a_money_cap_without_prices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TeacherUnusable, match="no prices"):
        Ledger(tmp_path / "l.sqlite", Budget(max_money=1.0))


def test_usage_the_server_does_not_tell_stays_unknown_and_charged(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite", NO_CAPS, Prices(prompt_per_million=1, completion_per_million=1)) as ledger:
        ledger.reserve(ask(), "known", 1)
        ledger.settle("known", says())
        ledger.reserve(ask("other"), "unknown", 1)
        ledger.settle("unknown", says(prompt=None, new=None))
        spent = ledger.totals()
    assert (spent.prompt_tokens, spent.completion_tokens, spent.money) == (None, None, None)
    assert spent.reserved_tokens == ask("other").most_tokens()
    assert spent.tokens == 10 + spent.reserved_tokens


def test_a_crash_between_send_and_settle_keeps_the_charge(tmp_path: Path) -> None:
    most = ask().most_tokens()
    with Ledger(tmp_path / "l.sqlite", Budget(max_requests=2)) as ledger:
        ledger.reserve(ask(), "k", 1)  # and the process is gone
    with Ledger(tmp_path / "l.sqlite", Budget(max_requests=2)) as ledger:
        assert ledger.find("k") is None
        assert ledger.totals().tokens == most
        assert ledger.reserve(ask(), "k", 1) == 2
        ledger.settle("k", says(), 2)
        assert ledger.totals().tokens == most + 10
        with pytest.raises(BudgetSpent) as refused:
            ledger.reserve(ask("more"), "k2", 1)
    assert refused.value.cap == "max_requests"


def test_a_request_that_was_never_served_is_free_but_counted(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite", Budget(max_requests=1)) as ledger:
        ledger.release("k", "429: slow down", ledger.reserve(ask(), "k", 1))
        assert (ledger.totals().requests, ledger.totals().failed, ledger.totals().tokens) == (0, 1, 0)
        ledger.forfeit("k", "timeout", ledger.reserve(ask(), "k", 1))
        assert (ledger.totals().requests, ledger.totals().tokens) == (1, ask().most_tokens())


def test_a_late_failure_does_not_take_a_reply_away(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite", NO_CAPS) as ledger:
        attempt = ledger.reserve(ask(), "k", 1)
        ledger.settle("k", says(), attempt)
        ledger.forfeit("k", "timeout", attempt)
        assert ledger.find("k") == says()


def test_time_counts_only_while_a_request_is_in_flight_and_across_restarts(tmp_path: Path) -> None:
    now = [1000.0]
    with Ledger(tmp_path / "l.sqlite", NO_CAPS, clock=lambda: now[0]) as ledger:
        ledger.reserve(ask("a"), "a", 1)
        now[0] += 4
        ledger.reserve(ask("b"), "b", 1)
        now[0] += 4
        ledger.settle("a", says())
        ledger.settle("b", says())
        now[0] += 3600  # the student trains
        assert ledger.totals().seconds == 8
    with Ledger(tmp_path / "l.sqlite", Budget(max_seconds=9), clock=lambda: now[0]) as ledger:
        assert ledger.totals().seconds == 8
        ledger.reserve(ask("c"), "c", 1)
        now[0] += 2
        with pytest.raises(BudgetSpent, match="max_seconds"):
            ledger.reserve(ask("d"), "d", 1)


def test_no_number_of_threads_passes_a_cap(tmp_path: Path) -> None:
    cap = 5 * ask("000").most_tokens()
    refused: list[BudgetSpent] = []

    def reserve(ledger: Ledger, number: int) -> None:
        try:
            ledger.reserve(ask(f"{number:03}"), f"k{number}", 1)
        except BudgetSpent as spent:
            refused.append(spent)

    budget = Budget(max_tokens=cap)
    with Ledger(tmp_path / "l.sqlite", budget) as one, Ledger(tmp_path / "l.sqlite", budget) as other:
        threads = [threading.Thread(target=reserve, args=((one, other)[n % 2], n)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 11
        assert one.totals().tokens == cap


def test_a_file_that_is_no_ledger_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    path.write_bytes(b"not a database, but my notes\n" * 50)
    before = path.read_bytes()
    with pytest.raises(TeacherUnusable, match=r"l\.sqlite"):
        Ledger(path, NO_CAPS)
    assert path.read_bytes() == before


def test_settling_what_was_never_reserved_is_a_bug(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite", NO_CAPS) as ledger, pytest.raises(KeyError):
        ledger.settle("k", says())


def test_sums_do_not_read_prompts(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite", NO_CAPS):
        pass
    db = sqlite3.connect(tmp_path / "l.sqlite")
    plan = db.execute("EXPLAIN QUERY PLAN SELECT SUM(charged_tokens), SUM(money) FROM requests").fetchall()
    db.close()
    assert "COVERING INDEX spending" in str(plan)


@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=60), seed=st.integers(0, 9), sample=st.integers(0, 3), temperature=st.floats(0, 2))
def test_a_key_tells_apart_all_that_decides_a_reply(text: str, seed: int, sample: int, temperature: float) -> None:
    try:
        request = ask(text, seed=seed, sample=sample, temperature=temperature)
    except ValueError:  # half of a surrogate pair is no text
        return
    again = Request.model_validate_json(request.model_dump_json())
    assert request.key("m@a") == again.key("m@a") != request.key("m@b")
    for change in ({"seed": seed + 1}, {"sample": sample + 1}, {"max_tokens": 7}, {"purpose": "answer"}):
        assert request.model_copy(update=change).key("m@a") != request.key("m@a")
    assert request.most_tokens() >= len(text.encode()) + request.max_tokens
