"""The ledger: caps that hold, charges that survive a crash, and honest unknowns."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import stat
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from misbehaving import WatchedLedger

from teacher.book import Book, open_readonly
from teacher.client import Client
from teacher.errors import BudgetSpent, TeacherUnusable, TryAgain
from teacher.ledger import Budget, Ledger, Prices
from teacher.requests import Message, Origin, Reply, Request

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
        with pytest.raises(BudgetSpent, match=r"budget\.money="):
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


def test_usage_beyond_what_was_reserved_is_not_believed(tmp_path: Path) -> None:
    prices = Prices(prompt_per_million=1, completion_per_million=1)
    with Ledger(tmp_path / "l.sqlite", NO_CAPS, prices) as ledger:
        ledger.reserve(ask(), "k", 1)
        before = ledger.totals()
        ledger.settle("k", says(prompt=10**9, new=3))
        after = ledger.totals()
        assert (after.tokens, after.charged_money) == (before.tokens, before.charged_money)
        assert (after.prompt_tokens, after.money, after.reserved_tokens) == (None, None, before.tokens)
        entry = ledger.entry("k")
        assert entry and entry.reply and (entry.reply.text, entry.reply.prompt_tokens) == ("hi", None)
        assert "1000000000 + 3" in entry.error


def test_a_reply_that_cost_nothing_was_still_a_request(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite", Budget(max_requests=1)) as ledger:
        ledger.reserve(ask(), "k", 1)
        ledger.settle("k", says(prompt=0, new=0))
        assert (ledger.totals().requests, ledger.totals().failed) == (1, 0)
        with pytest.raises(BudgetSpent, match=r"budget\.requests=1"):
            ledger.reserve(ask("more"), "k2", 1)


# --- who spent what


def test_spending_is_told_apart_by_purpose_tag_and_round(tmp_path: Path) -> None:
    now = [100.0]
    prices = Prices(prompt_per_million=1e6, completion_per_million=2e6)
    with Ledger(tmp_path / "l.sqlite", NO_CAPS, prices, clock=lambda: now[0]) as ledger:
        for number, (purpose, tag, took) in enumerate(
            [("write", "contrast", 4), ("write", "skill", 2), ("answer", "contrast", 1)]
        ):
            ledger.reserve(ask(purpose=purpose, tag=tag), f"k{number}", number % 2)
            now[0] += took
            ledger.settle(f"k{number}", says())
        ledger.release("k3", "busy", ledger.reserve(ask(tag="skill"), "k3", 1))
        most = ask().most_tokens()
        ledger.forfeit("k4", "timeout", ledger.reserve(ask(tag="skill"), "k4", 1))
    with open_readonly(tmp_path / "l.sqlite") as book:
        by_tag, by_purpose, by_round = book.spend_by("tag"), book.spend_by("purpose"), book.spend_by("round")
        whole = book.totals()
    assert {tag: (one.requests, one.failed, one.tokens) for tag, one in by_tag.items()} == {
        "contrast": (2, 0, 20), "skill": (2, 1, 10 + most)
    }  # fmt: skip
    assert [by_tag[tag].seconds for tag in ("contrast", "skill")] == [5, 2]
    assert by_purpose["answer"].money == pytest.approx(13)
    assert list(by_round) == ["0", "1"]
    for groups in (by_tag, by_purpose, by_round):
        assert sum(one.tokens for one in groups.values()) == whole.tokens
        assert sum(one.requests for one in groups.values()) == whole.requests


def test_a_tag_is_no_part_of_the_question(tmp_path: Path) -> None:
    assert ask(tag="contrast").key("t") == ask().key("t") == ask(tag="skill").key("t")
    assert ask(tag="contrast").content() == ask(purpose="answer").content()
    # As the first release made it: what was bought then is found again.
    assert ask().key("t") == "e09014951e41168d0592d1fc3ad5113a984f9697a8da8d9df6f866f99f0e9cb0"


def test_a_replayed_reply_is_free_whatever_the_budget_and_counted_apart(tmp_path: Path) -> None:
    paid = says().model_copy(update={"origin": Origin(run="r-1", key="old", money=0.5)})
    with Ledger(tmp_path / "l.sqlite", Budget(max_tokens=0)) as ledger:
        ledger.adopt([(ask(), "k", paid), (ask("b"), "k2", paid)], 1)
        spent = ledger.totals()
        assert (spent.requests, spent.tokens, spent.charged_money, spent.prompt_tokens) == (0, 0, 0, 0)
        assert (spent.replayed, spent.replayed_tokens, spent.replayed_money) == (2, 20, 1.0)
        assert ledger.find("k") == paid
        assert ledger.spend_by("purpose")["write"].replayed == 2


# --- reading a run's ledger


def test_a_book_is_read_without_touching_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "run #1?"
    with Ledger(folder / "l.sqlite", NO_CAPS) as ledger:
        ledger.reserve(ask(tag="t"), "k", 3)
        ledger.settle("k", says())
    folder.chmod(0o500)
    before = (folder / "l.sqlite").read_bytes()
    with open_readonly(folder / "l.sqlite") as book:
        entry = book.entry("k")
        assert entry and (entry.request, entry.reply, entry.round, entry.attempts) == (ask(tag="t"), says(), 3, 1)
        assert book.entry("another") is None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            book._db.execute("DELETE FROM requests")
    folder.chmod(0o700)
    assert [path.name for path in folder.iterdir()] == ["l.sqlite"]
    assert (folder / "l.sqlite").read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"not a database, but my notes" * 50])
def test_where_there_is_no_ledger_none_is_made(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "l.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TeacherUnusable, match=r"l\.sqlite"):
        open_readonly(path)
    assert (path.read_bytes() if path.exists() else None) == content


def test_the_book_of_a_writer_killed_in_the_middle_is_read_as_it_was_before(tmp_path: Path) -> None:
    alive, killed = tmp_path / "alive", tmp_path / "killed"
    with Ledger(alive / "l.sqlite", NO_CAPS) as ledger:
        for number in range(9):
            ledger.reserve(ask("x" * 5000), f"k{number}", 1)
            ledger.settle(f"k{number}", says())
        ledger._db.execute("PRAGMA cache_size = 2")  # so that half of it is in the file before it is committed
        ledger._db.execute("BEGIN IMMEDIATE")
        ledger._db.execute("UPDATE requests SET reply = 'half', request = request || 'more'")
        shutil.copytree(alive, killed)
        ledger._db.execute("ROLLBACK")
    assert (killed / "l.sqlite-journal").exists()
    before = {path.name: path.read_bytes() for path in killed.iterdir()}
    with open_readonly(killed / "l.sqlite") as book:
        assert book.totals().tokens == 90
        assert book.find("k8") == says()
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == before


def first_form(path: Path) -> None:
    """A ledger as the first release wrote it, with one reply in it."""
    db = sqlite3.connect(path)
    db.executescript("""
        CREATE TABLE requests (
            key TEXT NOT NULL, attempt INTEGER NOT NULL, purpose TEXT NOT NULL, round INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('reserved', 'settled', 'failed')),
            charged_tokens INTEGER NOT NULL, charged_money REAL NOT NULL,
            prompt_tokens INTEGER, completion_tokens INTEGER, money REAL, error TEXT,
            started REAL NOT NULL, ended REAL, request TEXT NOT NULL, reply TEXT,
            PRIMARY KEY (key, attempt)
        );
        CREATE INDEX spending ON requests
            (state, purpose, charged_tokens, charged_money, prompt_tokens, completion_tokens, money);
        PRAGMA user_version = 1;
    """)
    request, reply = ask().model_dump_json(exclude={"tag"}), says().model_dump_json(exclude={"model", "origin"})
    row = ("k", 1, "write", 2, "settled", 10, 0.0, 7, 3, None, None, 5.0, 6.5, request, reply)
    db.execute(f"INSERT INTO requests VALUES ({', '.join('?' * len(row))})", row)
    db.commit()
    db.close()


def test_a_ledger_of_the_first_release_is_read_as_it_is_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    first_form(path)
    before = path.read_bytes()
    with open_readonly(path) as book:
        check_first_form(book)
        assert book.first_served_by() == ""
    assert path.read_bytes() == before
    with Ledger(path, NO_CAPS) as ledger:
        check_first_form(ledger)
        ledger.reserve(ask("more", tag="skill"), "k2", 2)
    with Ledger(path, NO_CAPS) as ledger:
        assert set(ledger.spend_by("tag")) == {"", "skill"}


def check_first_form(book: Book) -> None:
    assert book.find("k") == says()
    assert (book.totals().tokens, book.totals().seconds) == (10, 1.5)
    assert book.spend_by("tag")[""].requests == 1


# --- nothing passes the budget


class Moody:
    """A backend that does something else with each question, and counts what it answered."""

    served_by, slots = "moody", 4

    def __init__(self, moods: list[str]) -> None:
        self.moods, self.answered = moods, Counter[str]()
        self.lock = threading.Lock()

    def complete(self, request: Request) -> Reply:
        name = request.messages[0].content
        with self.lock:
            mood = self.moods[int(name) % len(self.moods)]
            if mood in ("busy", "server-error") and self.answered[f"{mood} {name}"] < 2:
                self.answered[f"{mood} {name}"] += 1
                raise TryAgain(mood, charged=mood != "busy")
            self.answered[name] += 1
        usage = {"silent": (None, None), "absurd": (10**9, 5), "dear": (40, 60), "zero": (0, 0)}.get(mood, (7, 3))
        return says(name, *usage)


MOODS = st.sampled_from(["good", "silent", "absurd", "dear", "zero", "busy", "server-error"])


@settings(max_examples=20, deadline=None)
@given(
    moods=st.lists(MOODS, min_size=1, max_size=6), tokens=st.integers(0, 2500), requests=st.integers(0, 20),
    money=st.floats(0, 2500, allow_nan=False),
)  # fmt: skip
def test_no_charge_passes_the_budget_and_nothing_is_bought_twice(
    tmp_path_factory: pytest.TempPathFactory, moods: list[str], tokens: int, requests: int, money: float
) -> None:
    path, backend = tmp_path_factory.mktemp("ledger") / "l.sqlite", Moody(moods)
    questions = [ask(str(number)) for number in range(14)]
    prices = Prices(prompt_per_million=1e6, completion_per_million=1e6)
    small = Budget(max_tokens=tokens, max_requests=requests, max_money=money)
    for budget in (small, Budget(max_tokens=10**6)):
        with WatchedLedger(path, budget, prices) as ledger, contextlib.suppress(BudgetSpent):
            Client(backend, ledger, sleep=lambda seconds: None, max_attempts=4).ask_all(questions, round=1)
    replies = {number: count for number, count in backend.answered.items() if " " not in number}
    assert replies == {str(number): 1 for number in range(14)}


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
        with pytest.raises(BudgetSpent, match=r"budget\.minutes="):
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
    assert "COVERING INDEX sums" in str(plan)


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
