"""Rules about the menu tree: every key leads somewhere, and an agent is never far."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from incident.plan.document import Document, Path
from incident.plan.language import Language
from incident.plan.model import Choice
from incident.plan.problems import Problem, suggestion
from incident.plan.wording import keys_named

KEYS_TO_AGENT: Final = 2
"""An agent is at most this many keys away from every menu (* and # included)."""
FLOW_ANSWERS: Final = {
    name: name for name in ("genuine", "enrolment", "minor", "deceased", "mistake", "relay")
}
"""Answers that a flow plays: what is said there is the plan's own."""


def menu_problems(document: Document, languages: dict[str, Language]) -> Iterator[Problem]:
    """Every mistake of the menu tree."""
    if "menus" in document.data and "main" not in document.mapping("menus"):
        hint = suggestion("main", document.mapping("menus"))
        yield document.problem(("menus",), f"the menu 'main' is missing{hint}")
    broken = [*_targets(document)]
    yield from broken
    if not broken and _well_formed(document):
        # A misspelt target makes its answer look unused: one mistake is reported once.
        yield from _reachable(document)
    yield from _agent_near(document)
    yield from _prompts(document, languages)


def _choices(document: Document, menu: str) -> dict[str, dict[str, object]]:
    choices = document.mapping("menus", menu, "choices")
    return {key: dict(choice) for key, choice in choices.items() if isinstance(choice, dict)}


def _well_formed(document: Document) -> bool:
    kinds = set(Choice.model_fields)
    return all(
        isinstance(choice, dict) and choice and set(choice) <= kinds
        for menu in document.mapping("menus")
        for choice in document.mapping("menus", menu, "choices").values()
    )


def _targets(document: Document) -> Iterator[Problem]:
    kinds = {"answer": document.mapping("answers"), "menu": document.mapping("menus")}
    for menu in document.mapping("menus"):
        for key, choice in _choices(document, menu).items():
            here: Path = ("menus", menu, "choices", key)
            for kind, known in kinds.items():
                target = choice.get(kind)
                if isinstance(target, str) and target not in known:
                    message = f"{kind} {target!r} is not defined{suggestion(target, known)}"
                    yield document.problem(here, message)
            flow = choice.get("flow")
            answer = FLOW_ANSWERS.get(flow) if isinstance(flow, str) else None
            if answer is not None and answer not in kinds["answer"]:
                message = f"the flow {flow!r} plays the answer {answer!r}, which is not defined"
                yield document.problem(here, message)


def _reachable(document: Document) -> Iterator[Problem]:
    menus = document.mapping("menus")
    if "main" not in menus:
        return
    seen, todo, answers = {"main"}, ["main"], set()
    while todo:
        for choice in _choices(document, todo.pop()).values():
            flow = choice.get("flow")
            answers.add(FLOW_ANSWERS.get(flow) if isinstance(flow, str) else choice.get("answer"))
            target = choice.get("menu")
            if isinstance(target, str) and target in menus and target not in seen:
                seen.add(target)
                todo.append(target)
    for menu in menus:
        if menu not in seen:
            yield document.problem(("menus", menu), "no choice leads to this menu")
    for answer in document.mapping("answers"):
        if answer not in answers:
            yield document.problem(("answers", answer), "no menu choice plays this answer")


def _is_agent(choice: dict[str, object]) -> bool:
    value = choice.get("agent")
    return isinstance(value, str) and value.lower() in {"true", "yes", "on", "1", "y", "t"}


def _agent_near(document: Document) -> Iterator[Problem]:
    menus = document.mapping("menus")
    if "main" in menus and not _is_agent(_choices(document, "main").get("0", {})):
        here: Path = ("menus", "main", "choices")
        message = 'key 0 must reach an agent; write "0": {agent: true}'
        yield document.problem((*here, "0") if "0" in _choices(document, "main") else here, message)
    distance: dict[str, int] = {
        menu: 1
        for menu in menus
        if any(_is_agent(choice) for choice in _choices(document, menu).values())
    }
    parents = {
        str(choice.get("menu")): menu
        for menu in reversed(list(menus))
        for choice in _choices(document, menu).values()
        if choice.get("menu")
    }
    for menu in menus:
        steps = {str(choice.get("menu")) for choice in _choices(document, menu).values()}
        steps.add(parents.get(menu, ""))  # the pound key
        near = min((distance.get(step, 99) for step in steps), default=99)
        if menu != "main" and min(distance.get(menu, 99), near + 1) > KEYS_TO_AGENT:
            message = f"an agent is more than {KEYS_TO_AGENT} keys away; give it a key of its own"
            yield document.problem(("menus", menu), message)


def _prompts(document: Document, languages: dict[str, Language]) -> Iterator[Problem]:
    for menu in document.mapping("menus"):
        keys = set(document.mapping("menus", menu, "choices"))
        for code, text in document.mapping("menus", menu, "prompt").items():
            if code not in languages or not isinstance(text, str):
                continue
            named = keys_named(text, languages[code])
            here: Path = ("menus", menu, "prompt", code)
            for key in sorted(keys - named):
                yield document.problem(here, f"the prompt does not say what key {key} does")
            for key in sorted(named - keys):
                yield document.problem(here, f"the prompt says key {key}, which has no choice")
