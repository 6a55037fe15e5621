"""The loop as a LangGraph graph, checkpointed after every verb so that a killed run goes on where it stopped.

    START -> baseline -> train -> evaluate -> decide -> (control ->) claim -> END
                           ^                    |  ^
                           |                    v  | nothing left, no lessons, budget
              (review <-)curate <- generate <- diagnose <- mine

A run that learns another run's lessons goes from decide to `adopt` and back to train, and never asks a teacher.

`durability="sync"` is the only mode that survives a kill -9; the state holds plain values only; strict msgpack refuses
anything else. Tracing services are switched off: they would send data out by an environment variable.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from typing import Any

os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
for _name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2"):
    os.environ[_name] = "false"

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer  # noqa: E402  the switches above come first
from langgraph.checkpoint.sqlite import SqliteSaver  # noqa: E402
from langgraph.graph import END, START, StateGraph  # noqa: E402
from langgraph.runtime import Runtime  # noqa: E402
from langgraph.types import Command  # noqa: E402

from loops import nodes  # noqa: E402
from loops.crew import Crew, RunStopped  # noqa: E402
from loops.review import hold_review  # noqa: E402
from loops.run_folder import RunError, RunFolder  # noqa: E402
from loops.settings import RunSettings  # noqa: E402
from loops.state import State, checked  # noqa: E402

Node = Callable[[State, Crew], dict[str, Any]]
VERBS: dict[str, Node] = {
    "baseline": nodes.baseline,
    "train": nodes.train,
    "evaluate": nodes.evaluate,
    "decide": nodes.decide_round,
    "mine": nodes.mine,
    "diagnose": nodes.diagnose,
    "generate": nodes.generate,
    "curate": nodes.curate,
    "review": nodes.review,
    "adopt": nodes.adopt,
    "control": nodes.control,
    "claim": nodes.claim,
}


def run_loop(crew: Crew) -> State:
    """Run the loop to its end from wherever its checkpoints say it stands; returns the final state."""
    connection = _open(crew.folder)
    try:
        graph: Any = _build().compile(
            checkpointer=SqliteSaver(connection, serde=JsonPlusSerializer(pickle_fallback=False))
        )
        config = {"configurable": {"thread_id": "run"}, "recursion_limit": 100_000}
        begun = bool(graph.get_state(config).values)
        final = graph.invoke(
            None if begun else first_state(crew.settings).model_dump(), config, context=crew, durability="sync"
        )
        while waits := final.get("__interrupt__"):
            hold_review(crew, waits[0].value["round"])
            final = graph.invoke(Command(resume=True), config, context=crew, durability="sync")
        return State.model_validate(final)
    finally:
        connection.close()


def first_state(settings: RunSettings) -> State:
    """Where a new run stands. Its mode was settled when the run was created."""
    return State(
        cross_fit=settings.mode == "cross-fit", control=settings.control, adopt=settings.lessons_from is not None
    )  # fmt: skip


def _open(folder: RunFolder) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(folder.checkpoints, check_same_thread=False, timeout=30)
        folder.checkpoints.chmod(0o600)
        connection.execute("PRAGMA synchronous=FULL")
        return connection
    except sqlite3.Error as error:
        raise RunError(
            f"The checkpoints of {folder.name!r} ({folder.checkpoints}) cannot be read: {error}. Move that file away and resume: "
            "finished work is found again by its manifests and paid replies by the ledger."
        ) from error


def _build() -> Any:
    graph: Any = StateGraph(State, context_schema=Crew)
    for name, node in VERBS.items():
        graph.add_node(name, _verb(name, node))
    graph.add_edge(START, "baseline")
    graph.add_edge("baseline", "train")
    graph.add_edge("train", "evaluate")
    graph.add_edge("evaluate", "decide")
    ends = ["control", "claim"]
    graph.add_conditional_edges("decide", _after_decide, ["mine", "adopt", *ends])
    graph.add_edge("adopt", "train")
    graph.add_conditional_edges("mine", _unless_stopped("diagnose"), ["diagnose", *ends])
    graph.add_edge("diagnose", "generate")
    graph.add_conditional_edges("generate", _unless_stopped("curate"), ["curate", *ends])
    graph.add_conditional_edges("curate", _after_curate, ["review", "train", *ends])
    graph.add_conditional_edges("review", _after_lessons, ["train", *ends])
    graph.add_edge("control", "claim")
    graph.add_edge("claim", END)
    return graph


def _unless_stopped(following: str) -> Callable[[State], str]:
    return lambda state: ("control" if state.control else "claim") if state.stop else following


def _after_decide(state: State) -> str:
    return _unless_stopped("adopt" if state.adopt else "mine")(state)


def _after_curate(state: State) -> str:
    return "review" if state.reviewing else _after_lessons(state)


def _after_lessons(state: State) -> str:
    """A spent budget ends the loop, but not before a student has learned what was bought."""
    return "train" if state.accepted else _unless_stopped("train")(state)


def _verb(name: str, node: Node) -> Callable[[State, Runtime[Crew]], dict[str, Any]]:
    """A node that announces itself, stops where asked to, and checks what it returns."""

    def run(state: State, runtime: Runtime[Crew]) -> dict[str, Any]:
        crew = runtime.context
        if crew.stopping.is_set():
            raise RunStopped
        number = state.round + 1 if name in ("mine", "adopt") else state.round
        crew.verb = name
        crew.emit("verb.started", round=number, verb=name)
        start = time.monotonic()
        update = checked(state, node(state, crew))
        crew.emit("verb.done", round=number, verb=name, seconds=round(time.monotonic() - start, 2))
        return update

    run.__name__ = name
    return run
