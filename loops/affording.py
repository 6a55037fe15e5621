"""Ask for no more lessons than the budget can also have checked.

Writing and checking are paid from one purse, and checks come last: without keeping their price back, a budget that ends while lessons
are being written would buy candidates that nobody may believe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loops.crew import Crew
from loops.folds import grounds, models_for
from teacher.answers import answer_request
from teacher.backend import Remembers
from teacher.book import Totals
from teacher.ledger import Ledger
from teacher.requests import UNAFFORDED, Answer, Failed, Request
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

    def times(self, count: float) -> Price:
        return Price(self.requests * count, self.tokens * count, self.money * count)

    def plus(self, other: Price) -> Price:
        return Price(self.requests + other.requests, self.tokens + other.tokens, self.money + other.money)

    def within(self, left: Price) -> bool:
        return self.requests <= left.requests and self.tokens <= left.tokens and self.money <= left.money


def affordable(crew: Crew, orders: Sequence[Order], ask: Ask) -> list[Answer]:
    """The answers to as many of the requests as can be paid for together with the checks of what they bring, in order; the others failed
    as `UNAFFORDED`. No weakness is left to the end: requests go out in an order that favours none.

    Prices are what requests of a kind have cost so far, and the most that one can cost while none has been answered. So a budget may end
    a few checks early, or hold a little more than is used. Raises BudgetSpent where it allows none.
    """
    client = crew.teacher()
    ledger, answers = client.ledger, dict[int, Answer]()
    if isinstance(client.backend, Remembers) or not _is_capped(ledger):  # what a former run was told costs nothing
        return [*ask(orders)]
    keys = [order.request.key(client.backend.served_by) for order in orders]
    checks = crew.settings.curate.answers if crew.settings.curate.verify else 0

    def answered(places: Sequence[int]) -> None:
        answers.update(zip(places, ask([orders[at] for at in places]), strict=True))

    waiting = sorted(range(len(orders)), key=keys.__getitem__)  # as the client sends them
    # What was bought before a kill is not paid for again, but is still to be checked.
    if bought := [at for at in waiting if ledger.find(keys[at])]:
        answered(bought)
    while waiting := [at for at in waiting if at not in answers]:
        past, left = ledger.spend_by("purpose"), _left(ledger)
        check = _price(ledger, past, _check(crew, orders[waiting[0]])).times(checks)
        cost, chosen = check.times(sum(orders[at].count for at in answers)), list[int]()
        for at in waiting:
            cost = cost.plus(_price(ledger, past, orders[at].request)).plus(check.times(orders[at].count))
            if not cost.within(left):
                break
            chosen.append(at)
        if not chosen and answers:
            break
        answered(chosen or waiting[:1])
    lacking = Failed(reason=UNAFFORDED, detail="what it brings could not be checked within the budget")
    return [answers.get(at, lacking) for at in range(len(orders))]


def _price(ledger: Ledger, past: Mapping[str, Totals], request: Request) -> Price:
    """What a request is likely to cost: the mean of its kind so far; the most it can cost where none was charged."""
    alike = past.get(request.purpose)
    if alike is not None and alike.requests:
        return Price(1, alike.tokens / alike.requests, alike.charged_money / alike.requests)
    most = request.most_tokens()
    return Price(1, most, ledger.prices.of(most - request.max_tokens, request.max_tokens) if ledger.prices else 0.0)


def _is_capped(ledger: Ledger) -> bool:
    caps = ledger.budget
    return any(cap is not None for cap in (caps.max_requests, caps.max_tokens, caps.max_money))


def _left(ledger: Ledger) -> Price:
    """What may still be spent."""
    caps, spent = ledger.budget, ledger.totals()

    def left(cap: float | None, used: float) -> float:
        return float("inf") if cap is None else cap - used

    return Price(
        left(caps.max_requests, spent.requests),
        left(caps.max_tokens, spent.tokens),
        left(caps.max_money, spent.charged_money),
    )


def _check(crew: Crew, order: Order) -> Request:
    """A check like those of what the order brings."""
    parent = order.want.parent
    return answer_request(crew.sheet(), parent.prompt, parent.choices, shown=models_for(crew, grounds(crew)[0]))
