"""When a request is tried again, when it fails alone, and when a person is asked for."""

from __future__ import annotations

import pytest

from teacher.errors import BadReply, Refused, TryAgain
from teacher.patience import GIVE_UPS_IN_A_ROW, LONGEST_BACKOFF, REFUSALS_IN_A_ROW, Patience, Tries

BUSY, SICK = TryAgain("busy", charged=False), TryAgain("server-error")
LONG = Refused("too-long", "413", "shorter")


def patience(answered: bool = True, deadline: float = 100.0, attempts: int = 3) -> Patience:
    return Patience(deadline, attempts, answered)


def acts(judge: Patience, *problems: TryAgain) -> list[str]:
    """What follows from one failure each of as many requests."""
    return [judge.judge(Tries(), problem, 0.0).act for problem in problems]


def test_a_request_is_tried_so_often_and_then_fails_alone() -> None:
    judge, tries = patience(), Tries()
    assert [judge.judge(tries, SICK, 0.0).act for _ in range(3)] == ["again", "again", "give up"]


def test_a_busy_server_does_not_use_up_a_requests_attempts() -> None:
    judge, tries = patience(), Tries()
    assert {judge.judge(tries, BUSY, float(second)).act for second in range(99)} == {"again"}
    late = judge.judge(tries, BUSY, 100.0)
    assert (late.act, late.why) == ("stop", "has given no reply for 100 s")


def test_one_request_that_is_always_refused_as_busy_does_not_hold_up_a_run_for_ever() -> None:
    judge, tries = patience(), Tries()
    for second in range(100):
        assert judge.judge(tries, BUSY, float(second)).act == "again"
        judge.replied()
    assert judge.judge(tries, BUSY, 100.0).act == "give up"


def test_the_server_is_at_fault_when_several_fail_in_a_row() -> None:
    judge = patience(attempts=1)
    assert acts(judge, *[SICK] * GIVE_UPS_IN_A_ROW) == ["give up"] * (GIVE_UPS_IN_A_ROW - 1) + ["stop"]


def test_a_reply_in_between_starts_the_count_anew() -> None:
    judge = patience(attempts=1)
    for _ in range(9):
        assert acts(judge, SICK, SICK) == ["give up", "give up"]
        judge.replied()


def test_nonsense_after_the_deadline_fails_alone_first() -> None:
    judge = patience()
    judge.judge(Tries(), BUSY, 0.0)
    assert judge.judge(Tries(), BadReply("half"), 200.0).act == "give up"
    assert judge.judge(Tries(), BUSY, 200.0).act == "stop"


def test_a_refusal_of_the_first_request_is_about_all_of_them() -> None:
    refused = Refused("refused", "400", "change it")
    assert acts(patience(answered=False), refused) == ["stop"]
    assert acts(patience(answered=True), refused) == ["give up"]


def test_long_items_may_stand_together_once_the_server_has_answered_others() -> None:
    assert acts(patience(answered=False), *[LONG] * GIVE_UPS_IN_A_ROW)[-1] == "stop"
    assert acts(patience(), *[LONG] * REFUSALS_IN_A_ROW) == ["give up"] * (REFUSALS_IN_A_ROW - 1) + ["stop"]


def test_a_content_filter_never_ends_a_run() -> None:
    assert set(acts(patience(answered=False), *[Refused("refusal", "400", "")] * 99)) == {"give up"}


def test_a_teacher_that_only_thinks_is_found_out() -> None:
    judge = patience()
    assert [bool(judge.replied(wordless=True)) for _ in range(3)] == [False, False, True]
    assert not judge.replied()
    assert not judge.replied(wordless=True)


@pytest.mark.parametrize("failures", [1, 2, 6, 1000, 10**6])
def test_waits_grow_to_a_limit_and_keep_to_what_the_server_asks(failures: int) -> None:
    judge = patience(deadline=10**6, attempts=10**9)
    waits = [judge.judge(Tries(failures=failures - 1), BUSY, 0.0).wait for _ in range(200)]
    ceiling = min(LONGEST_BACKOFF, 2.0 ** min(failures - 1, 30))
    assert 0 <= min(waits) < ceiling / 4 < 3 * ceiling / 4 < max(waits) <= ceiling
    asked = TryAgain("busy", charged=False, retry_after=77.0)
    assert judge.judge(Tries(failures=failures - 1), asked, 0.0).wait == 77.0


def test_the_last_try_comes_at_the_deadline_and_not_long_after_it() -> None:
    judge = patience(deadline=100.0)
    judge.judge(Tries(), BUSY, 0.0)
    assert max(judge.judge(Tries(failures=99), BUSY, 99.0).wait for _ in range(100)) <= 1.0
