"""The whole conversation with a caller: language, greeting, menus, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from incident.guessing import GuessLimits
from incident.store.engine import Store
from ivr.calls import HOTLINE, CallBook
from ivr.crowd import Crowd
from ivr.flows.self_service import SelfService
from ivr.flows.to_agent import HANGUP, Next, ToAgent
from ivr.forecasts import Forecasts
from ivr.journal import Journal
from ivr.menu import AGENT_KEY, Agent, Answer, Ask, Flow, GoTo, Languages, MenuRun, Step, Tries
from ivr.overflow import Overflow
from ivr.served import Incidents, NotServed
from ivr.talk import END_CALL, Talk
from pbx import names
from pbx.agi import AgiSession, CallerHungUp

LANGUAGE_MENU: Final = "language"


class Hotline:
    """The FastAGI handler of every inbound call."""

    def __init__(
        self,
        incidents: Incidents,
        book: CallBook,
        journal: Journal,
        store: Store,
        *,
        limits: GuessLimits | None = None,
        crowd: Crowd | None = None,
        overflow: Overflow | None = None,
        forecasts: Forecasts | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._incidents = incidents
        self._book = book
        self._journal = journal
        self._store = store
        self._limits = limits or GuessLimits()
        self._crowd = crowd
        self._to_agent = ToAgent(
            journal, store, crowd=crowd, overflow=overflow, forecasts=forecasts, now=now
        )

    async def __call__(self, session: AgiSession) -> None:
        """Raises NotServed, and whatever goes wrong with the call: BL_NEXT then stays empty and
        the dialplan takes the emergency path."""
        request = session.request
        # The dialplan says it with the call; asking for it would cost a turn of every call.
        incident_id = next(iter(request.args), None) or await session.get_variable(names.INCIDENT)
        incident = self._incidents.get(incident_id)
        if incident is None:
            raise NotServed(incident_id)
        call = self._book.get(request.unique_id) or self._book.begin(
            request.unique_id,
            incident.id,
            via=HOTLINE,
            key=incident.key,
            caller=request.caller_number,
            content_version=incident.content_version,
        )
        talk = Talk(session, incident, call, self._book)
        try:
            flagged = request.args[1:2] == ("1",)
            then = await self._converse(talk, flagged=flagged)
            await session.set_variable(names.NEXT, then)
        except CallerHungUp:
            self._book.line_gone(call)
            raise

    async def _converse(self, talk: Talk, *, flagged: bool) -> Next:
        flows = SelfService(talk, self._store, self._journal, self._limits)
        chosen = await _choose_language(talk)
        if self._crowd is not None and self._crowd.turns_away(talk.incident.id, flagged=flagged):
            return await self._to_agent.short_way(talk)
        if not chosen:
            then = await self._to_agent.go(talk)
            if then is not None:
                return then
        menus = MenuRun(
            talk.incident.plan.menus, several_languages=len(talk.incident.languages) > 1
        )
        key: str | GoTo = await talk.say("greeting")
        step: Step = menus.home()
        if key:
            step = self._press(talk, menus, key)
        while True:
            match step:
                case Ask(before, prompt):
                    key = await _ask(talk, before, prompt)
                case Answer(name):
                    talk.leaf()
                    key = await talk.say(f"answer.{name}") or await talk.ask("after_answer")
                case Flow(name):
                    key = await flows.run(name) or await talk.ask("after_answer")
                    if key == END_CALL:
                        return HANGUP
                case Languages() | Agent():
                    if isinstance(step, Agent) or not await _choose_language(talk):
                        then = await self._to_agent.go(talk)
                        if then is not None:
                            return then
                    step = menus.home()
                    continue
            step = self._press(talk, menus, key)

    @staticmethod
    def _press(talk: Talk, menus: MenuRun, key: str | GoTo) -> Step:
        if isinstance(key, GoTo):
            return menus.go(key)
        if key:
            talk.step(menus.current, key)
        return menus.press(key)


async def _ask(talk: Talk, before: tuple[str, ...], prompt: str) -> str:
    for text in before:
        key = await talk.say(text)
        if key:
            return key
    return await talk.ask(prompt)


async def _choose_language(talk: Talk) -> bool:
    """Each language offers itself in turn, and a key interrupts. False: to an agent, in the
    first language where none was chosen."""
    languages = talk.incident.languages
    if len(languages) == 1:
        await talk.speak(languages[0])
        return True
    keys = {str(number): language for number, language in enumerate(languages, 1)}
    tries = Tries()
    key = ""
    while True:
        for language in languages[:-1]:
            key = key or await talk.say("language.offer", language)
        key = key or await talk.ask("language.offer", languages[-1])
        if key:
            talk.step(LANGUAGE_MENU, key)
        if key in keys:
            await talk.speak(keys[key])
            return True
        if key == AGENT_KEY or (key not in {"*", "#"} and tries.failed(key) is not None):
            await talk.speak(talk.language)
            return False
        key = await talk.say("invalid" if key else "no_input") if key not in {"*", "#"} else ""
