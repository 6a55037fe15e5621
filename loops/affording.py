"""Ask for no more lessons than the budget can also have checked.

Writing and checking are paid from one purse, and checks come last: without keeping their price back, a budget that ends while lessons
are being written would buy candidates that nobody may believe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from operator import add, le

from loops.crew import Crew
from loops.folds import grounds, models_for
from teacher.answers import answer_request
from teacher.backend import Remembers
from teacher.book import Totals
from teacher.client import Client
from teacher.errors import BudgetSpent
from teacher.ledger import Ledger
from teacher.requests import UNAFFORDED, Answer, Failed, Request, was_unsent
from teacher.strategies.order import Order

UNWRITTEN = "unwritten.json"
"""The file of a round that says how many lessons the budget did not allow; there is none where it allowed all."""
Ask = Callable[[Sequence[Order]], Sequence[Answer]]
"""Sends requests for lessons; the answers come in the same order. Raises BudgetSpent where not even the first can be paid."""


@dataclass(frozen=True)
class Price:
    """What requests cost in everything that may be capped."""

    requests: float
    tokens: float
    money: float
    seconds: float
    """Wall time, in which several may be answered at once."""

    def times(self, count: float) -> Price:
        return Price(*(count * part for part in astuple(self)))

    def plus(self, other: Price) -> Price:
        return Price(*map(add, astuple(self), astuple(other)))

    def within(self, left: Price) -> bool:
        return all(map(le, astuple(self), astuple(left)))


NOTHING = Price(0, 0, 0, 0)


def affordable(crew: Crew, round: int, orders: Sequence[Order], ask: Ask) -> list[Answer]:
    """The answers to as many of the requests as can be paid for together with the checks of what they bring, in order; the others failed
    as `UNAFFORDED`. No weakness is left to the end: requests go out in an order that favours none. What a former run was told costs
    nothing, its checks in that round included.

    Prices are what requests of a kind have cost so far. While none has been answered it is the most that one can cost; how long that takes
    is unknown, so one is sent to see. So a budget may end a few checks early, or hold a little more than is used. Raises BudgetSpent where
    it allows none.
    """
    client = crew.teacher()
    ledger, answers = client.ledger, dict[int, Answer]()
    if not _is_capped(ledger):
        return [*ask(orders)]
    checks = crew.settings.curate.answers if crew.settings.curate.verify else 0
    check = _check(crew, orders[0])
    free = _remembered(client, check.purpose, round)

    def answered(places: Sequence[int]) -> None:
        answers.update(zip(places, ask([orders[at] for at in places]), strict=True))

    # What was bought before a kill, or by a former run, is not paid for again, but is still to be checked.
    if bought := _bought(client, orders):
        answered(bought)
    keys = [order.request.key(client.backend.served_by) for order in orders]
    order = sorted(range(len(orders)), key=keys.__getitem__)  # as the client sends them
    while waiting := [at for at in order if at not in answers]:
        past, left = ledger.spend_by("purpose"), _left(ledger)
        each, cost, chosen = _price(ledger, past, check), NOTHING, list[int]()
        written = sum(orders[at].count for at, answer in answers.items() if not was_unsent(answer))
        for at in waiting:
            cost, written = cost.plus(_price(ledger, past, orders[at].request)), written + orders[at].count
            if not cost.plus(each.times(max(0, checks * written - free))).within(left):
                break
            chosen.append(at)
            if ledger.budget.max_seconds is not None and not _known(past, orders[at].request):
                break
        if not chosen and answers:
            break
        try:
            answered(chosen or waiting[:1])
        except BudgetSpent:  # what is left lies between what a request is likely to cost and the most it can cost
            if not answers:
                raise
            break
    lacking = Failed(reason=UNAFFORDED, detail="what it brings could not be checked within the budget")
    return [answers.get(at, lacking) for at in range(len(orders))]


def affordable_first(ledger: Ledger, requests: Sequence[Request], share: float) -> int:
    """How many of the requests, from the first, cost no more than a share of the whole budget at the most that each can cost.

    The same whatever has been spent, so that a resumed run asks what it asked. Time is not counted: how long one takes is not known.
    """
    caps, cost = ledger.budget, NOTHING
    whole = Price(
        *(
            float("inf") if cap is None else share * cap
            for cap in (caps.max_requests, caps.max_tokens, caps.max_money, None)
        )
    )
    for at, request in enumerate(requests):
        cost = cost.plus(_most(ledger, request))
        if not cost.within(whole):
            return at
    return len(requests)


def _bought(client: Client, orders: Sequence[Order]) -> list[int]:
    """The places of requests whose replies lie in the ledger, or come from a former run. Raises TeacherUnusable for one that is in neither
    and nobody can be asked."""
    waiting = [
        at for at, order in enumerate(orders) if not client.ledger.find(order.request.key(client.backend.served_by))
    ]
    if waiting and isinstance(client.backend, Remembers):
        recalled = client.backend.recall([orders[at].request for at in waiting])
        waiting = [at for at, answer in zip(waiting, recalled, strict=True) if answer is None]
    return sorted({*range(len(orders))} - {*waiting})


def _remembered(client: Client, purpose: str, round: int) -> int:
    """How many requests of a kind a former run had answered in a round; they cost nothing now."""
    return client.backend.remembered(purpose, round) if isinstance(client.backend, Remembers) else 0


def _price(ledger: Ledger, past: Mapping[str, Totals], request: Request) -> Price:
    """What a request is likely to cost: the mean of its kind so far; where none was charged, the most it can cost, and the time that
    requests have taken."""
    if _known(past, request):
        alike = past[request.purpose]
        return Price(alike.requests, alike.tokens, alike.charged_money, alike.seconds).times(1 / alike.requests)
    asked = sum(one.requests for one in past.values())
    return replace(_most(ledger, request), seconds=sum(one.seconds for one in past.values()) / asked if asked else 0)


def _most(ledger: Ledger, request: Request) -> Price:
    """The most that a request can cost; the time is not known."""
    most = request.most_tokens()
    money = ledger.prices.of(most - request.max_tokens, request.max_tokens) if ledger.prices else 0.0
    return Price(1, most, money, 0)


def _known(past: Mapping[str, Totals], request: Request) -> bool:
    """Whether a request of its kind has been charged."""
    return request.purpose in past and past[request.purpose].requests > 0


def _is_capped(ledger: Ledger) -> bool:
    caps = ledger.budget
    return any(cap is not None for cap in (caps.max_requests, caps.max_tokens, caps.max_money, caps.max_seconds))


def _left(ledger: Ledger) -> Price:
    """What may still be spent."""
    caps, spent = ledger.budget, ledger.totals()

    def left(cap: float | None, used: float) -> float:
        return float("inf") if cap is None else cap - used

    return Price(
        left(caps.max_requests, spent.requests),
        left(caps.max_tokens, spent.tokens),
        left(caps.max_money, spent.charged_money),
        left(caps.max_seconds, spent.seconds),
    )


def _check(crew: Crew, order: Order) -> Request:
    """A check like those of what the order brings."""
    parent = order.want.parent
    return answer_request(crew.sheet(), parent.prompt, parent.choices, shown=models_for(crew, grounds(crew)[0]))
