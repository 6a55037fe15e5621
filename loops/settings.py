"""One run's settings, as one typed tree: what a recipe or a config file says, with a default for everything else.

Strict: an unknown key is an error. The resolved tree is saved as `config.yaml` in the run folder and is enough to run
again. No key or password is ever in it: `teacher.api_key_env` names an environment variable.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from student.records import Record
from student.settings import Launch, Lora, TrainSettings
from teacher.curate import CurateSettings
from teacher.generate import GenerateSettings


class StudentSettings(Record):
    """Who learns."""

    model: str = "builtin:smollm2-135m-instruct"
    """A hub id, a local folder, a .gguf file, or a built-in: builtin:smollm2-135m-instruct, builtin:tiny."""
    lora: Lora = Lora()
    """The adapter's shape."""
    shots: int = Field(default=8, ge=0)
    """Worked examples shown to the untouched student in its few-shot examination; 0 for none, and so no such examination."""
    launcher: Literal["none", "accelerate"] = "none"
    """`accelerate`: train and examine in several processes under `accelerate launch` (data parallel)."""
    processes: int = Field(default=1, ge=1)
    """With `launcher: accelerate`: how many processes; on GPUs one for each."""
    accelerate_config: str | None = None
    """With `launcher: accelerate`: a config file that `accelerate config` wrote; null: plain data parallel on this machine."""

    @property
    def launch(self) -> Launch:
        """How the student's process is started."""
        return Launch(launcher=self.launcher, processes=self.processes, accelerate_config=self.accelerate_config)


class TeacherSettings(Record):
    """Who writes lessons."""

    model: str = "builtin:qwen2.5-coder-1.5b-instruct"
    """A model name at `base_url`, a .gguf file, builtin:qwen2.5-coder-1.5b-instruct, or `scripted` for dry runs."""
    base_url: str | None = None
    """Where an OpenAI-compatible server answers, for example https://host/v1; none for a file or a built-in."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the server's key. The key itself is never written anywhere."""
    send_columns: tuple[str, ...] | None = None
    """Columns of the eval set that a teacher may be told; null: all that make an item. A prompt template is filled in for the teacher with
    the others empty, and skills are not told without their column; what holds the answer, or a question by itself, cannot be kept back."""
    structured: Literal["json_schema", "json_object", "prompt"] = "json_schema"
    """How the server is asked for JSON: by schema, by JSON mode, or in words."""
    slots: int | None = Field(default=None, ge=1)
    """Requests sent at once; null: 4 where a server answers, 1 for a model of our own: more on the same cores write hardly faster, and
    each slot reads anew what requests have in common."""
    context: int = Field(default=2048, ge=256)
    """For a local model: tokens of context per slot."""
    request_seconds: float | None = Field(default=None, gt=0)
    """One request may take this long; null: 300 where a server elsewhere answers, 1800 where a local model does: a busy machine is no
    failure, and the end of a server of our own is noticed at once."""
    deadline_seconds: float = Field(default=1800.0, gt=0)
    """The run stops when the server could not be used for this long; it can be resumed."""
    max_attempts: int = Field(default=5, ge=1)
    """A request that fails by itself is tried this often."""
    replay: str | None = None
    """A finished run whose replies are used again: its folder. Costs nothing; a question that is not in it stops the run."""
    replay_then_ask: bool = False
    """With `replay`: whether the teacher named here is asked what the replayed run does not hold."""
    check_items: int = Field(default=200, ge=0)
    """How many seeds the teacher itself is examined on before it may teach, of those it is not shown (`curate.shown`); 0 for none."""

    @property
    def at_once(self) -> int:
        """Requests sent at once, whoever answers."""
        return self.slots or (4 if self.base_url else 1)

    @property
    def patience(self) -> float:
        """Seconds that one request may take, whoever answers."""
        return self.request_seconds or (300.0 if self.base_url else 1800.0)


class MineSettings(Record):
    """How failures are found."""

    how: Literal["out-of-fold", "resubstitution"] = "out-of-fold"
    """Examine each seed with a student that was not trained on it, or (as in the paper) on what it was trained on."""
    folds: int = Field(default=3, ge=2)
    """Parts of `mine` for out-of-fold mining: k students, each trained on the rest of the seeds and all lessons."""
    margin: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """A right choice counts as a failure too when it leads the next best by less than this, in nats; null: never."""
    named: int = Field(default=48, ge=0)
    """Where answers are written: how many failures a round the teacher names the missing skill of. 0: the eval set's skills."""


class StopSettings(Record):
    """When the loop has done enough."""

    rounds: int = Field(default=5, ge=0)
    """Teaching rounds at most."""
    keep: Literal["best", "last"] = "best"
    """Keep the round that is best by the items that decide, or (as in the paper) the last, whatever they say: then no plateau ends the
    loop before its `rounds`, and an eval set without `select` will do."""
    patience: int = Field(default=2, ge=1)
    """Rounds without a new best on the items that decide before a plateau is called."""
    min_gain: float = Field(default=0.0, ge=0, lt=1)
    """Stop when the last round's gain lies below this share of the items that decide beyond doubt (95 % interval); 0 for never."""
    guard: tuple[str, ...] = ("*",)
    """Skills on which no kept round may be shown to be worse than the seed-only student; "*" is every skill."""
    guard_margin: float = Field(default=0.05, ge=0, le=1)
    """A fall of up to this share of a guarded skill's items is put up with."""
    target: float | None = Field(default=None, gt=0, le=1)
    """Stop when this accuracy is reached on the items that decide."""


class BudgetSettings(Record):
    """Caps on what the teacher may cost; null is no cap. Nothing is sent that could pass one."""

    tokens: int | None = Field(default=None, ge=0)
    """Prompt and reply tokens, together."""
    requests: int | None = Field(default=None, ge=0)
    """Requests sent, retries counted."""
    money: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """In the currency of the prices."""
    minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Wall time spent waiting for the teacher."""
    prompt_price: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Price of a million prompt tokens; null is unknown."""
    completion_price: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Price of a million reply tokens; null is unknown."""


class RunSettings(Record):
    """Everything one run needs to know."""

    evals: str
    """The eval set: a YAML file, plugin:NAME, file.py:function, lm-eval:TASK@FOLDER or inspect:FILE.py@TASK."""
    student: StudentSettings = StudentSettings()
    train: TrainSettings = TrainSettings()
    teacher: TeacherSettings = TeacherSettings()
    mine: MineSettings = MineSettings()
    generate: GenerateSettings = GenerateSettings()
    curate: CurateSettings = CurateSettings()
    stop: StopSettings = StopSettings()
    budget: BudgetSettings = BudgetSettings()
    mode: Literal["auto", "select", "cross-fit"] = "auto"
    """How rounds are compared: on the items of `select`, or by cross-fitting, where every labelled item outside `test` is a seed and each
    is answered by a student that learned neither it nor anything made from it. `auto`: cross-fit when `select` is small."""
    control: bool = False
    """Also train students on untargeted lessons, at equal teacher tokens and at an equal number, and on seeds alone for as many steps."""
    lessons_from: str | None = None
    """A finished run whose accepted lessons are learned instead of having new ones written: its folder. No teacher is asked."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Fixes every draw that is ours: adapter weights, order of training, requests' seeds."""
