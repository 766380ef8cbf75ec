"""Is everything that is played a text of the plans? One line for each name that is not.

What the hotline plays is read from its source: in ``ivr/`` a text's name is a string with a dot
or the argument of ``say``, ``ask``, ``announce`` or ``enter``. The emergency path lists its names
itself; the dialplan and the queues play files named by them.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from incident.content import spoken_texts  # noqa: E402 - the path comes first
from incident.plan import Plan, PlanError, load_plan  # noqa: E402
from pbx.emergency_pack import PROMPTS  # noqa: E402
from pbx.prompts import waits  # noqa: E402
from pbx.render import HotlineNumber  # noqa: E402
from pbx.render.sections import queues  # noqa: E402

PLAYS: Final = {"say", "ask", "announce", "enter", "_ask"}
"""Methods of `ivr.talk.Talk` and `ivr.menu.MenuRun` whose first argument is a text's name."""
FAMILIES: Final = (
    *("affected", "answer", "callback", "data_type", "emergency", "enrolment", "family", "genuine"),
    *("language", "menu", "mistake", "reference", "stop"),
)
_NAME = re.compile(rf"(?:{'|'.join(FAMILIES)})\.[a-z_]+")
_LIVE: Final = "/live"
_DIALPLAN = re.compile(r"\$\{BL_LIVE\}/\$\{BL_INCIDENT\}/\$\{BL_LANGUAGE\}/([^,)&\s]+)")
_QUEUE = re.compile(rf"^[a-z-]+ = {_LIVE}/[^/\s]+/[^/\s]+/(\S+)$", re.MULTILINE)


def main() -> int:
    """Print every finding; 1 if there is one."""
    played = set(played_names())
    try:
        plans = [load_plan(file) for file in sorted((PROJECT / "plans").glob("*.yaml"))]
    except PlanError as error:
        print(error)
        return 1
    findings = [finding for plan in plans for finding in missing(plan, played)]
    if not plans:
        findings.append("plans/: no plan was found")
    findings += [f"{source}: no text is played from here" for source in silent_sources()]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def missing(plan: Plan, played: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Names that are played (with where) and that a language of this plan has no text for."""
    texts = {(text.language, text.name) for text in spoken_texts(plan)}
    for name, source in sorted({*played, *plan_names(plan)}):
        for language in plan.languages:
            if (language, name) not in texts:
                yield f"{source}: plays {name!r}; incident {plan.incident} lacks it in {language}"


def plan_names(plan: Plan) -> Iterator[tuple[str, str]]:
    """What the hotline plays because this plan says so: menus, their answers, data types."""
    for name, menu in plan.menus.items():
        yield f"menu.{name}", "plan"
        for choice in menu.choices.values():
            if choice.answer:
                yield f"answer.{choice.answer}", "plan"
    for code in plan.data_types:
        yield f"data_type.{code}", "plan"


def played_names() -> Iterator[tuple[str, str]]:
    """Every text name that the product plays, with the place that plays it."""
    for file in sorted((PROJECT / "ivr").rglob("*.py")):
        place = str(file.relative_to(PROJECT))
        for name in names_in_source(file.read_text(encoding="utf-8")):
            yield name, place
    for name in PROMPTS:
        yield name, "pbx/emergency_pack.py"
    for file in sorted((PROJECT / "dialplan").glob("*.conf")):
        for name in _DIALPLAN.findall(file.read_text(encoding="utf-8")):
            yield name, str(file.relative_to(PROJECT))
    for name in waits.TEXTS:
        yield name, "pbx/prompts/waits.py"
    rendered = queues([HotlineNumber("example", "+18005550199", ("en",))], _LIVE, "/waits")
    for name in _QUEUE.findall(rendered):
        yield name, "pbx/render/sections.py"


def names_in_source(source: str) -> set[str]:
    """Text names in Python source: whole strings, not parts of a formatted one (``answer.{x}``),
    whose values come from the plan."""
    tree = ast.parse(source)
    formatted = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    names = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in formatted
            and _NAME.fullmatch(node.value)
        ):
            names.add(node.value)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in PLAYS
            and node.args
        ):
            names |= {
                each.value
                for each in _values(node.args[0])
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            }
    return names


def _values(node: ast.expr) -> Iterator[ast.expr]:
    """What an expression may be: ``"a" if x else "b"`` is either."""
    if isinstance(node, ast.IfExp):
        yield from _values(node.body)
        yield from _values(node.orelse)
    else:
        yield node


def silent_sources() -> list[str]:
    """Sources that must play something: one without a name is a scan that has gone blind."""
    heard = {source.partition("/")[0] for _, source in played_names()}
    return [each for each in ("ivr", "dialplan", "pbx") if each not in heard]


if __name__ == "__main__":
    sys.exit(main())
