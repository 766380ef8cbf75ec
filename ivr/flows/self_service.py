"""The flows that a plan's menus can name, each by its name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from incident.guessing import GuessLimits
from incident.store.engine import Store
from ivr.flows.affected import affected
from ivr.flows.callback import callback
from ivr.flows.enrolment import enrolment
from ivr.flows.family import deceased, minor
from ivr.flows.genuine import genuine
from ivr.flows.mistake import mistake
from ivr.flows.reference import References
from ivr.flows.relay import relay
from ivr.flows.stop_calls import stop_calls
from ivr.journal import Journal
from ivr.menu import GoTo
from ivr.talk import Talk


class SelfService:
    """One call's flows; its look-ups of reference numbers are counted over all of them."""

    __slots__ = ("_flows",)

    def __init__(self, talk: Talk, store: Store, journal: Journal, limits: GuessLimits) -> None:
        references = References(store, limits)
        self._flows: dict[str, Callable[[], Awaitable[str | GoTo]]] = {
            "affected": lambda: affected(talk, references),
            "genuine": lambda: genuine(talk, references),
            "enrolment": lambda: enrolment(talk, references),
            "minor": lambda: minor(talk, references),
            "deceased": lambda: deceased(talk, references),
            "mistake": lambda: mistake(talk, references),
            "stop_calls": lambda: stop_calls(talk, store, journal.booking),
            "relay": lambda: relay(talk),
            "callback": lambda: callback(talk, journal, "menu"),
        }

    async def run(self, name: str) -> str | GoTo:
        """Gives the key that ended the flow, "", END_CALL, or a menu to go on in."""
        return await self._flows[name]()
