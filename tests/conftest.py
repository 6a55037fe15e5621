"""What every test shares: no network by accident, no telemetry, no warnings about forks, and a cache of its own.

The environment is set when this file is imported, which is before any test imports transformers or langgraph.
Tests marked `real` use the person's own cache, so that the built-in models are fetched once and not once a test.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

hypothesis.settings.register_profile("steady", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("steady")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["LANGSMITH_TRACING"] = "false"
os.environ["LANGCHAIN_TRACING_V2"] = "false"
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture(autouse=True)
def own_cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    """An empty cache folder (made when first used) for every test that does not use the real models."""
    if request.node.get_closest_marker("real"):
        return None
    folder = tmp_path / "cache"
    monkeypatch.setenv("LLM2LLM_CACHE", str(folder))
    return folder


@pytest.fixture
def attends_by_itself(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Makes a model's first layer compute its own attention, while the model says that it looks it up by name."""

    def change(base: Any) -> None:
        attend, config = base.model.layers[0].self_attn.forward, base.config

        def by_itself(*arguments: Any, **named: Any) -> Any:
            before, config._attn_implementation = config._attn_implementation, "eager"
            try:
                return attend(*arguments, **named)
            finally:
                config._attn_implementation = before

        monkeypatch.setattr(base.model.layers[0].self_attn, "forward", by_itself)

    return change
