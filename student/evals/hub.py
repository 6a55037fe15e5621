"""Rows of a dataset on the hub: data only, through `datasets`, which runs no code of a repository.

`hub:ORG/NAME`, `hub:ORG/NAME:CONFIG` or either with `@REVISION`. What was fetched once is read from the cache of `datasets`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from student.evals.columnar import Wanted, from_batches
from student.evals.rows import Source
from student.evals.trouble import EvalError, listed, meant

Load = Callable[..., Mapping[Any, Any]]
"""`datasets.load_dataset`, which gives a dataset for each split."""
_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<config>[^@:/]+))?(?:@(?P<revision>[^@:]+))?")
_BATCH = 2000


def hub_dataset(place: str, parts: Sequence[str], wanted: Wanted, load: Load | None = None) -> dict[str, Source]:
    """The splits of a dataset, only those named in `parts` where any are. Raises EvalError."""
    match = _NAME.fullmatch(place)
    if match is None:
        raise EvalError(
            f"hub:{place} is no dataset of the hub. The form is hub:ORG/NAME, hub:ORG/NAME:CONFIG or hub:ORG/NAME:CONFIG@REVISION."
        )
    found = _fetched(match, load or _load)
    lost = [part for part in parts if part not in found]
    if lost:
        raise EvalError(
            f"hub:{place} has no split {lost[0]!r}; it has {listed(found)}.{meant(lost[0], list(found))} Correct `splits`."
        )
    return {part: _table(f"hub:{place}, split {part}", found[part], wanted) for part in parts or found}


def _load(repo: str, **how: Any) -> Mapping[Any, Any]:
    import datasets  # takes seconds

    datasets.disable_progress_bars()
    return datasets.load_dataset(f"hf://datasets/{repo}", **how)  # this form never means a folder that lies here


def _fetched(match: re.Match[str], load: Load) -> Mapping[Any, Any]:
    from datasets.exceptions import DatasetNotFoundError, DatasetsError

    place = f"hub:{match.string}"
    try:
        return load(match["repo"], name=match["config"], revision=match["revision"])
    except DatasetNotFoundError as error:
        raise EvalError(
            f"{place} is not on the hub, or not for you. Check the name; for a gated or private dataset, accept its terms in the "
            "browser and set HF_TOKEN."
        ) from error
    except ConnectionError as error:
        raise EvalError(
            f"{place} cannot be reached: {_said(error)}. Without a connection, fetch the files elsewhere and name one as `source`."
        ) from error
    except (DatasetsError, OSError, ValueError, RuntimeError, KeyError, TypeError, NotImplementedError) as error:
        raise EvalError(
            f"{place} cannot be read: {_said(error)}. Name the configuration as hub:ORG/NAME:CONFIG if it has several, or save its "
            "data as a file and name that as `source`."
        ) from error


def _table(name: str, dataset: Any, wanted: Collection[str] | None) -> Source:
    schema = dataset.features.arrow_schema
    columns = [column for column in schema.names if wanted is None or column in wanted]
    tables = dataset.select_columns(columns).with_format("arrow")
    batches = lambda: (batch for table in tables.iter(_BATCH) for batch in table.to_batches())  # noqa: E731
    return from_batches(name, "a hub dataset", schema, columns, batches, len(dataset))


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
