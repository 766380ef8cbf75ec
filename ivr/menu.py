"""Menus as data: what a key means where the caller is, and what happens when none comes.

Pure: no call, no sound. Built in everywhere: ``*`` repeats, ``#`` goes back (from an answer to
its menu, from a menu to the one before it, from the main menu to the choice of language where
there is one to make), ``0`` reaches an agent unless the plan gives it another meaning in that
menu. Three keys in a row that mean nothing, or three times no key, and an agent takes over.

After an answer the keys of its menu still work, so that nobody has to go back first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from incident.plan import Choice, Menu

TRIES: Final = 3
"""Of invalid keys, and of no key, before an agent."""
MAIN: Final = "main"
REPEAT: Final = "*"
BACK: Final = "#"
AGENT_KEY: Final = "0"
EVERY_KEY: Final = "0123456789*#"

AgentReason = Literal["asked", "invalid", "no_input"]


@dataclass(frozen=True, slots=True)
class Ask:
    """Say ``before``, then ``prompt``, and wait for a key. A key interrupts any of them."""

    before: tuple[str, ...]
    prompt: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Play an answer (a leaf), then wait for a key."""

    name: str


@dataclass(frozen=True, slots=True)
class Flow:
    """Run a flow, then wait for a key."""

    name: str


@dataclass(frozen=True, slots=True)
class Agent:
    """Bring the caller to an agent."""

    reason: AgentReason


@dataclass(frozen=True, slots=True)
class Languages:
    """Offer the languages again."""


@dataclass(frozen=True, slots=True)
class GoTo:
    """What a flow gives back, instead of a key, when the caller is to go on in a menu."""

    menu: str


Step = Ask | Answer | Flow | Agent | Languages


class Tries:
    """Invalid keys and missing keys in a row; any key that means something starts anew."""

    __slots__ = ("_invalid", "_silent")

    def __init__(self) -> None:
        self._invalid = 0
        self._silent = 0

    def reset(self) -> None:
        self._invalid = self._silent = 0

    def failed(self, key: str) -> AgentReason | None:
        """Count an invalid key, or none (""); the reason for an agent once it is too many."""
        if key:
            self._silent = 0
            self._invalid += 1
            return "invalid" if self._invalid >= TRIES else None
        self._silent += 1
        return "no_input" if self._silent >= TRIES else None


class MenuRun:
    """One caller's way through an incident's menus."""

    __slots__ = ("_last", "_menus", "_parents", "_several_languages", "_tries", "current")

    def __init__(self, menus: Mapping[str, Menu], *, several_languages: bool) -> None:
        self._menus = menus
        self._several_languages = several_languages
        self._parents: list[str] = []
        self._last: Answer | Flow | None = None
        self._tries = Tries()
        self.current = MAIN

    @property
    def answered(self) -> bool:
        """Whether the caller has just heard an answer, and not yet gone on."""
        return self._last is not None

    def home(self) -> Ask:
        """To the main menu, as after a choice of language."""
        self._parents.clear()
        self._last = None
        self._tries.reset()
        self.current = MAIN
        return self._ask()

    def go(self, to: GoTo) -> Ask:
        """From a flow to a menu; to the main menu where the plan has none of this name."""
        self._last = None
        self._tries.reset()
        menu = to.menu if to.menu in self._menus else MAIN
        if menu != self.current:
            self._enter(menu)
        return self._ask()

    def press(self, key: str) -> Step:
        """What to do on ``key`` (0 to 9, ``*``, ``#``, or "" when none came in time)."""
        step = self._meaning(key)
        if step is not None:
            self._tries.reset()
            return step
        reason = self._tries.failed(key)
        if reason is not None:
            self._tries.reset()
            return Agent(reason)
        return self._ask("invalid" if key else "no_input")

    def _meaning(self, key: str) -> Step | None:
        if not key:
            return None
        if key == REPEAT:
            return self._last or self._ask()
        if key == BACK:
            return self._back()
        # After an answer the caller is told that 0 is the agent, whatever the menu says of it.
        if key == AGENT_KEY and self._last is not None:
            return Agent("asked")
        choice = self._menus[self.current].choices.get(key)
        if choice is not None:
            return self._choose(choice)
        return Agent("asked") if key == AGENT_KEY else None

    def _choose(self, choice: Choice) -> Step:
        self._last = None
        if choice.menu is not None:
            self._enter(choice.menu)
            return self._ask()
        if choice.answer is not None:
            self._last = Answer(choice.answer)
            return self._last
        if choice.flow is not None:
            self._last = Flow(choice.flow)
            return self._last
        return Agent("asked")

    def _enter(self, menu: str) -> None:
        if menu in (*self._parents, self.current):
            # A menu that leads back to one before it: the way does not grow for ever.
            way = [*self._parents, self.current]
            self._parents = way[: way.index(menu)]
        else:
            self._parents.append(self.current)
        self.current = menu

    def _back(self) -> Step:
        if self._last is not None:
            self._last = None
        elif self._parents:
            self.current = self._parents.pop()
        elif self._several_languages:
            return Languages()
        return self._ask()

    def _ask(self, *before: str) -> Ask:
        prompt = "after_answer" if self._last is not None else f"menu.{self.current}"
        return Ask(before, prompt)
