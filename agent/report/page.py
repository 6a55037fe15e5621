"""A document as one HTML page that holds all it needs: no script, no network, light and dark, for a screen or for paper.

Jinja escapes everything, and whatever comes out of data loses control and bidi characters on the way (`document.Data`). The page
also forbids itself scripts and requests by its content security policy, should anything ever slip through.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from agent.report.document import Data, Document


def page(document: Document) -> str:
    """The whole page."""
    return _template().render(document=document, style=Markup(_text("page.css")), is_data=_is_data)  # noqa: S704  our own file


def _is_data(part: object) -> bool:
    return isinstance(part, Data)


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_text("page.html.j2"))


def _text(name: str) -> str:
    return (files("agent.report") / name).read_text(encoding="utf-8")
