"""Everything a report says, as one frozen record of plain numbers and texts: what is shown, and nothing else, is in here.

`gather.facts_of` fills it from the run folder; the HTML page and the Markdown are both made from it alone, so the two cannot
differ, and a test can recount each number from the files. What a run does not hold is None or empty, and `missing` says so.
"""

from __future__ import annotations

from pydantic import ConfigDict, Field

from loops.claims import Gain
from loops.control import Size
from loops.events import CROSS_FITTED
from loops.stats import Comparison, Score
from student.records import Record, Split
from teacher.book import Spent, Totals
from teacher.diversity import Diversity


class Change(Record):
    """One student against another on the same items."""

    n: int
    """Items both answered."""
    gained: int
    """Items only the new one has right."""
    lost: int
    """Items only the old one has right."""
    gain: float
    """Difference in accuracy, -1 to 1."""
    low: float
    """Lower end of its 95 % interval (Bonett and Price 2012)."""
    high: float
    """Upper end."""


class Exam(Record):
    """One student, or the teacher, examined on one split."""

    who: str
    """`untouched zero-shot`, `untouched few-shot`, `seed-only`, `round 2`, a control arm's name, `teacher`."""
    round: int | None
    """The round it was trained in; None for one that was trained in none."""
    split: Split
    """What it was examined on."""
    score: Score
    """How it did, with its interval."""
    beaten_by: Change | None = None
    """On `test`: the kept student against this one, where it is untouched."""


class LessonsGain(Gain):
    """A gain over several trainings as a claim holds it, its sentence and what later versions add passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Control(Comparison):
    """The best student against a control arm, on `test`, each trained once."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    """What the arm is."""
    size: Size
    """How large the arm came out."""
    wanted: Size
    """What the best student had: what the arm was to equal in one way."""
    sentence: str
    """The comparison in words."""
    lessons: LessonsGain | None = None
    """The same over several training seeds, where there were several."""

    @property
    def found(self) -> Comparison | Gain:
        """The comparison that counts."""
        return self.lessons or self


class Claim(Comparison):
    """The claim as `claim/claim.json` holds it: the best student against seed-only, and what later versions add passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    best: int
    """The round that was kept."""
    sentence: str
    """The claim in words."""
    test_seen_before_by: tuple[str, ...] = ()
    """Runs that had opened this split before."""
    controls: tuple[Control, ...] = ()
    """Against untargeted lessons and more training, where such arms ran."""
    controls_missing: dict[str, str] = Field(default_factory=dict)
    """Arms that were asked for and could not be made, each with the reason."""
    lessons: LessonsGain | None = None
    """The gain over several training seeds, where there were several."""

    @property
    def shown(self) -> bool:
        """Whether this model is shown to be better than the seed-only one."""
        return self.best > 0 and super().shown


class Training(Record):
    """What a round's student was trained on, and for how long."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    steps: int
    """Optimiser steps."""
    tokens: int
    """Tokens read."""
    final_loss: float
    """Loss at the end."""
    dropped_too_long: int
    """Rows left out because they exceed `train.max_tokens`."""


class Asked(Record):
    """A witness on answers, and how far it was right about the seeds."""

    name: str
    """Who."""
    score: Score
    """Right about so many of the seeds it said something about."""


class Teaching(Record):
    """What one teaching round asked for, got, and kept."""

    asked: int
    """Lessons the weaknesses asked for."""
    written: int
    """Candidates that came."""
    accepted: int
    """Those that became lessons."""
    unjudged: int
    """Candidates without a verdict yet."""
    rejected: dict[str, int]
    """The others, by reason."""
    strategies: dict[str, tuple[int, int]]
    """Written and accepted, by strategy."""
    witnesses: tuple[Asked, ...]
    """Who was asked about answers."""
    reviewed: dict[str, int]
    """Lessons a person accepted, edited or rejected; empty without a review."""
    diversity: Diversity | None
    """How varied the lessons are; None where that was not measured."""


class Round(Record):
    """One round, 0 being the student trained on seeds alone."""

    number: int
    """Which."""
    select: Score | None
    """Its student on what decides: `select`, or `mine` in a cross-fitted run."""
    change: Change | None
    """Its student against the seed-only one on the same; None for round 0."""
    mined: Score | None
    """The student before its lessons, on `mine`; None for round 0."""
    decision: str
    """What was decided after it."""
    barred: str
    """The guarded skill it is shown to be worse on, so that it may not be kept."""
    training: Training | None
    """How its student was trained."""
    seed_rows: int | None
    """Rows of real data it was trained on, repetitions counted."""
    lesson_rows: int | None
    """Lessons it was trained on, those of all rounds so far."""
    teaching: Teaching | None
    """Where its lessons come from; None for round 0."""


class Skill(Record):
    """One skill before and after teaching."""

    name: str
    """As the eval set names it."""
    before: Score
    """The seed-only student."""
    after: Score | None
    """The best round's student; None where seed-only is the best."""
    change: Change | None
    """After against before; None where seed-only is the best."""


class Skills(Record):
    """Every skill, the largest first."""

    split: Split
    """The split they were examined on."""
    rows: tuple[Skill, ...]
    """The skills."""


class Fates(Record):
    """What became of the items of one split between the first and the last look at them."""

    split: Split
    """Which items."""
    first: str
    """What the first look was at."""
    last: str
    """What the last look was at."""
    kept: int
    """Right at first and at last, whatever lay between."""
    learned: int
    """Wrong at first, right at last."""
    regressed: int
    """Right at some time, wrong at last."""
    never: int
    """Wrong at every look."""


class Text(Record):
    """A lesson or a rejected candidate, as an example."""

    id: str
    """Its id, for `llm2llm show RUN --lesson`."""
    round: int
    """The teaching round."""
    prompt: str
    """The question, cut where it is very long."""
    answer: str
    """The answer, cut likewise."""
    strategy: str
    """How it was written."""
    aim: str
    """The weakness it is aimed at."""
    reason: str
    """`accepted`, or why not."""
    detail: str
    """What the check saw."""


class Case(Record):
    """A failure that turned right, or one that never did."""

    id: str
    """The seed, for `llm2llm show RUN --failure`."""
    prompt: str
    """The question."""
    answer: str
    """The right answer."""
    said: str
    """What the student said when it first failed."""
    failed_in: int
    """The round in which it was first mined as a failure."""
    last_in: int
    """The round in which it was last mined."""
    lessons: tuple[Text, ...]
    """Some of the lessons written for it and trained on before that last look."""
    lesson_count: int
    """How many there are."""


class Weak(Record):
    """One weakness of one round, and what came of it."""

    id: str
    """Its id."""
    round: int
    """The round it was found in."""
    name: str
    """What goes wrong."""
    failures: int
    """Failures in it."""
    asked: int
    """Lessons asked for."""
    accepted: int
    """Lessons that came of it."""
    mined_again: int
    """Its failures that were mined again later."""
    flipped: int
    """Of those, right when last mined."""


class Flips(Record):
    """What became of the failures on `mine` that were mined again after a round of lessons."""

    taught: int
    """Failures with a lesson of their own, trained on before the last look."""
    taught_flipped: int
    """Of those, right when last mined."""
    untaught: int
    """Failures without one."""
    untaught_flipped: int
    """Of those, right when last mined."""
    not_again: int
    """Failures not mined again: nothing can be said about them."""
    flipped: tuple[Case, ...]
    """Some that turned right after lessons of their own."""
    never: tuple[Case, ...]
    """Some that never did, those with the most lessons first."""
    never_count: int
    """How many never did, though mined again."""


class Strategy(Record):
    """One strategy: what it brought, and what writing and checking took."""

    name: str
    """As the settings name it."""
    written: int
    """Candidates that came."""
    accepted: int
    """Those that became lessons."""
    spent: Totals | None
    """What its requests took; None where no teacher was asked."""
    tokens_each: float | None
    """Teacher tokens for each accepted lesson; None without lessons or requests."""
    money_each: float | None
    """Money for each; None where money is unknown, too."""
    seconds_each: float | None
    """Time with a request in flight, for each."""


class Cost(Record):
    """What the run cost."""

    teacher: Spent | None
    """Sums over the ledger; None without one."""
    by_purpose: dict[str, Totals]
    """The same by what was asked for."""
    by_strategy: dict[str, Totals]
    """The same by strategy."""
    by_round: dict[str, Totals]
    """The same by round."""
    strategies: tuple[Strategy, ...]
    """What each strategy brought and took, those that wrote most first."""
    retries: dict[str, int]
    """Requests that were sent again, by reason."""
    seconds: float
    """Wall time worked, all sessions together."""
    sessions: int
    """One, and one for each resume."""
    seconds_by_verb: dict[str, float]
    """Wall time of finished verbs."""
    tokens: int | None
    """Teacher tokens, control arms apart; None without a ledger."""
    money: float | None
    """Money, control arms apart; None where it is unknown."""
    accepted: int
    """Lessons, to divide by."""
    tokens_per_lesson: float | None
    """Teacher tokens for each accepted lesson, control arms apart; None without lessons or ledger."""
    money_per_lesson: float | None
    """Money for each; None where money is unknown."""
    seconds_per_lesson: float | None
    """Wall time for each, training included."""
    tokens_per_point: float | None
    """Teacher tokens for each point gained on `test`, control arms apart; None unless a gain is shown."""
    money_per_point: float | None
    """Money for each; None where money is unknown."""
    seconds_per_point: float | None
    """Wall time for each."""


class Opening(Record):
    """One opening of this run's `test` split."""

    run: str
    """The run that opened it."""
    time: float | None
    """When, in seconds since the epoch; None where the record does not say."""
    before: bool
    """Whether that was before this run did."""


class Prompt(Record):
    """One system message of the teacher, as it was sent."""

    purpose: str
    """What it was for."""
    strategy: str
    """The strategy, where one asked."""
    hash: str
    """The first 8 hex digits of its sha256."""
    requests: int
    """Requests that carried it and were answered."""


class Facts(Record):
    """One run."""

    run: str
    """Its name."""
    student: str
    """The base model."""
    teacher: str
    """The teacher's model."""
    evals: str
    """The eval set's name."""
    fingerprint: str
    """sha256 of the eval set."""
    splits: dict[str, int]
    """Items in each split."""
    chance: float | None
    """Accuracy of guessing, where labels are fixed."""
    status: str
    """done, stopped, failed, or unfinished."""
    reason: str
    """Why it ended so."""
    sentence: str
    """The end in words."""
    began: float
    """Time of the first event, seconds since the epoch; 0 where there is none."""
    ended: float
    """Time of the last event."""
    claim: Claim | None
    """What was claimed on `test`; None while it was not opened."""
    least_gain: float | None
    """The smallest true gain that so many test items show in 80 % of draws; None without a claim or where none is."""
    best: int | None
    """The round that is kept so far; None before the first decision."""
    exams: tuple[Exam, ...]
    """Everyone who was examined on what decides and on `test`, and the teacher on `mine`."""
    rounds: tuple[Round, ...]
    """Every round there is."""
    skills: Skills | None
    """Before and after by skill; None where skills are not known."""
    fates: tuple[Fates, ...]
    """Learned, kept, regressed and never learned, by split."""
    weaknesses: tuple[Weak, ...]
    """Every weakness of every round."""
    flips: Flips | None
    """What became of failures; None where nothing was mined twice."""
    accepted: tuple[Text, ...]
    """Some lessons."""
    rejected: tuple[Text, ...]
    """Some rejected candidates, of every reason."""
    cost: Cost
    """Tokens, money and time."""
    openings: tuple[Opening, ...]
    """Every opening of this `test` split on record, the oldest first."""
    notes: dict[str, int]
    """What the run itself noted, and how often."""
    leaves: str
    """What left this machine; empty where nothing did."""
    settings: dict[str, str]
    """Every setting by its dotted key."""
    machine: dict[str, str]
    """What the student ran on."""
    prompts: tuple[Prompt, ...]
    """The teacher's system messages."""
    missing: tuple[str, ...]
    """What the run folder does not hold, and so this report does not say."""

    @property
    def cross_fit(self) -> bool:
        """Whether rounds were compared by cross-fitting."""
        return self.settings.get("mode") == "cross-fit"

    @property
    def chooses(self) -> bool:
        """Whether the best round was kept, and not the last whatever it did."""
        return self.settings.get("stop.keep") != "last"

    @property
    def decides(self) -> Split:
        """The split that rounds were chosen on."""
        return "mine" if self.cross_fit else "select"

    def named(self, split: Split) -> str:
        """What a split is called in sentences: a `mine` that decides was not trained on by those examined."""
        return CROSS_FITTED if self.cross_fit and split == "mine" else split

    def exam(self, split: Split, who: str) -> Score | None:
        """How someone did on a split."""
        return next((one.score for one in self.exams if (one.split, one.who) == (split, who)), None)
