"""What follows a try to reach a person who keeps a place.

Answered and talked: done. Whoever could not be reached keeps their rank and is called again after a
pause, within opening hours; after too many tries of one kind the place is given up, with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from incident.outcomes import CallbackOutcome
from incident.plan.hours import Hours
from incident.settings import CallbackSettings
from incident.store.callbacks import Decide, Next, PlaceState, Tries
from ivr.keeping.times import next_open

UNREACHED: Final = (
    CallbackOutcome.NO_ANSWER,
    CallbackOutcome.MACHINE,
    CallbackOutcome.UNKNOWN,
)
"""The person was called and did not come to the telephone, as far as is known."""

NOT_CARRIED: Final = (CallbackOutcome.NOT_CARRIED, CallbackOutcome.AGENT_LEFT)
"""Not the person's doing: these use up no try, but have a bound of their own."""

_PHRASES: Final = {
    CallbackOutcome.BUSY: "busy",
    CallbackOutcome.NO_ANSWER: "no answer",
    CallbackOutcome.MACHINE: "an answering machine",
    CallbackOutcome.UNKNOWN: "the end of the call was not observed",
    CallbackOutcome.NOT_CARRIED: "the network did not carry the call",
    CallbackOutcome.AGENT_LEFT: "the agent hung up before they could talk",
    CallbackOutcome.INVALID_NUMBER: "the number does not exist",
}


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """Pauses in seconds, from the end of one try to the next.

    ``tries``: how many may end without the person coming to the telephone; ``unreached_pauses``:
    after the first of them, the second, ... (the last one for the rest). Busy lines and calls that
    the network did not carry are counted apart, for they say nothing of the person. The pause after
    the latter doubles up to ``longest_pause``: a carrier that is away for an hour must cost nobody
    their place.
    """

    tries: int = 3
    unreached_pauses: tuple[float, ...] = (900.0, 3600.0)
    unknown_pause: float = 900.0
    busy_tries: int = 6
    busy_pause: float = 300.0
    not_carried_tries: int = 10
    not_carried_pause: float = 60.0
    agent_left_pause: float = 0.0
    longest_pause: float = 3600.0

    @classmethod
    def of(cls, settings: CallbackSettings) -> CallbackRules:
        """As ``[callbacks]`` of breachline.toml says."""
        return cls(
            tries=settings.tries,
            unreached_pauses=tuple(float(pause) for pause in settings.no_answer_pauses),
            unknown_pause=float(settings.unknown_pause),
            busy_tries=settings.busy_tries,
            busy_pause=float(settings.busy_pause),
            not_carried_tries=settings.not_carried_tries,
            not_carried_pause=float(settings.not_carried_pause),
        )

    def after(self, tries: Tries, hours: Hours) -> Next:
        """What becomes of the place."""
        outcome = tries.outcome
        if outcome is CallbackOutcome.CONNECTED:
            return Next(PlaceState.DONE)
        phrase = _PHRASES[outcome]
        if outcome is CallbackOutcome.UNKNOWN and tries.answered:
            # They answered, and an agent was on the line: calling again would be a second talk.
            return Next(PlaceState.DONE, detail="answered; " + phrase)
        if outcome is CallbackOutcome.INVALID_NUMBER:
            return Next(PlaceState.GIVEN_UP, detail=phrase)
        kind, allowed = self._bound(outcome)
        made = sum(tries.outcomes.get(each, 0) for each in kind)
        if made >= allowed:
            times = f"{made} {'try' if made == 1 else 'tries'}"
            return Next(PlaceState.GIVEN_UP, detail=f"{phrase} after {times}")
        again = next_open(hours, tries.at + self._pause(outcome, made))
        if again is None:
            return Next(
                PlaceState.GIVEN_UP, detail=f"{phrase}, and the hotline does not open again"
            )
        return Next(PlaceState.OPEN, again, phrase)

    def deciding(self, hours: Hours) -> Decide:
        """For ``end_attempt``."""
        return lambda tries: self.after(tries, hours)

    def _bound(self, outcome: CallbackOutcome) -> tuple[tuple[CallbackOutcome, ...], int]:
        if outcome is CallbackOutcome.BUSY:
            return (CallbackOutcome.BUSY,), self.busy_tries
        if outcome in NOT_CARRIED:
            return NOT_CARRIED, self.not_carried_tries
        return UNREACHED, self.tries

    def _pause(self, outcome: CallbackOutcome, made: int) -> float:
        match outcome:
            case CallbackOutcome.BUSY:
                return self.busy_pause
            case CallbackOutcome.AGENT_LEFT if made == 1:
                return self.agent_left_pause
            case CallbackOutcome.NOT_CARRIED | CallbackOutcome.AGENT_LEFT:
                # Never so many rings in a row that somebody's telephone knows no peace, either.
                doubled = self.not_carried_pause * 2.0 ** (made - 1)
                return max(self.not_carried_pause, min(doubled, self.longest_pause))
            case CallbackOutcome.UNKNOWN:
                return self.unknown_pause
            case _:
                return self.unreached_pauses[min(made, len(self.unreached_pauses)) - 1]
