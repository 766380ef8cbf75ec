"""A hotline's line as a state machine, to hold the real rules and the real store against.

The machine plays the callers, the agents, Asterisk (a queue, and what it loses in a restart) and
the keeper, which it drives as the hotline does: ``ivr.keeping`` says what to do, a `Book` (the
store, or a plain one in memory) remembers. A ledger of its own knows who joined when, and says at
each service whether it was fair:

- nobody is served before someone who was ahead and stands in line, on the line or by a place;
- a place is away only by the person's own doing (a later time, a try that did not reach them),
  while the network carries no call, or the hotline is down; then it comes back to its rank;
- nobody is called twice at once, talks twice for one place, or is called after its end.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from incident.outcomes import CallbackOutcome
from incident.plan.hours import DAYS, Hours
from incident.store.callbacks import Kept, PlaceState, Refusal, Why
from ivr.keeping.order import Action, Insert, position_for, repair, settled_ranks, stale
from ivr.keeping.rules import CallbackRules
from ivr.keeping.times import due, is_open, next_open, time_choices
from tests.kept_book import LIVING, Book

HOURS = Hours.model_validate(
    {"timezone": "America/New_York", "weekly": dict.fromkeys(DAYS, "08:00-20:00")}
)
MORNING = datetime(2026, 11, 23, 14, tzinfo=UTC).timestamp()
RULES = CallbackRules()
PHONES = tuple(f"+1202555010{number}" for number in range(4))


class Where(Enum):
    LIVE = "on the line, waiting"
    CHOOSING = "on the line, asking for a call-back; a placeholder stands"
    SPOOLED = "left a number while the hotline was down; a placeholder stands"
    KEPT = "has a place in the book"
    MERGED = "the number had a place"
    OVERFLOWED = "with the outsourcer, may come back"
    SERVED = "talked with an agent"
    GONE = "hung up, or the place is over"


@dataclass(eq=False)
class Person:
    """``number``: who came when. ``joined``: the true time. ``vague``: where they stand is known to
    the second only, for Asterisk told it after a restart of the hotline."""

    number: int
    joined: float
    where: Where = Where.LIVE
    token: str | None = None
    vague: bool = False

    @property
    def call(self) -> str:
        return f"node1-{self.number}.1"


@dataclass
class Spot:
    """One in Asterisk's queue. ``rank``: as the hotline sees it."""

    channel: str
    person: Person
    rank: float
    token: str | None = None
    restored: bool = False

    @property
    def kept(self) -> bool:
        return self.token is not None


@dataclass
class Call:
    """A try under way. ``up``: Asterisk still has it. ``talked``: what Asterisk's own log tells."""

    token: str
    up: bool = True
    answered: bool = False
    talked: bool = False


class KeptLine(RuleBasedStateMachine):
    """Give it a book with ``open_book``."""

    def open_book(self) -> Book:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.book = self.open_book()
        self.now = MORNING
        self.people: list[Person] = []
        self.queue: list[Spot] = []
        self.calls: dict[str, Call] = {}
        self.spool: list[tuple[Person, str]] = []
        self.holders: dict[str, Person] = {}
        self.attended: set[str] = set()
        self.over: set[str] = set()
        self.talks: Counter[str] = Counter()
        self.hotline = True
        self.gate = False
        self.names = itertools.count(1)

    def teardown(self) -> None:
        if hasattr(self, "book"):
            self.book.close()

    # Helpers

    def name(self, kind: str) -> str:
        return f"{kind}{next(self.names)}"

    def those(self, *where: Where) -> list[Person]:
        return [person for person in self.people if person.where in where]

    def pick(self, data: st.DataObject, people: Sequence[Person]) -> Person:
        picked: Person = data.draw(st.sampled_from(list(people)))
        return picked

    def index(self, person: Person) -> int:
        return next(index for index, spot in enumerate(self.queue) if spot.person is person)

    @property
    def doubt(self) -> float:
        return 1.0 if any(spot.restored for spot in self.queue) else 0.0

    @property
    def open(self) -> bool:
        return is_open(HOURS, self.now)

    @property
    def takes_callers(self) -> bool:
        """After a restart of Asterisk the hotline lets nobody join before the places are back."""
        return self.open and not self.gate and len(self.those(Where.LIVE, Where.CHOOSING)) < 8

    def arrive(self, where: Where = Where.LIVE) -> Person:
        self.now += 0.0625
        person = Person(len(self.people), self.now, where)
        self.people.append(person)
        return person

    def ask(
        self, person: Person, token: str, phone: str, rank: float, not_before: float = 0.0
    ) -> Kept | Refusal:
        """The place is asked for, twice: an order repeated after a crash changes nothing."""
        order: dict[str, Any] = {
            "token": token,
            "key": f"{person.call}:{token}",
            "call": person.call,
            "rank": rank,
            "not_before": not_before,
        }
        kept = self.book.keep(phone, **order)
        again = self.book.keep(phone, **order)
        if isinstance(kept, Refusal) or isinstance(again, Refusal):
            assert isinstance(kept, Refusal) and isinstance(again, Refusal)
            assert kept.why is again.why is Why.DO_NOT_CALL
            return kept
        assert again == Kept(kept.place, new=False)
        if kept.new:
            person.where, person.token = Where.KEPT, token
            self.holders[token] = person
        else:
            assert kept.place.token != token
            person.where = Where.MERGED
        return kept

    # Callers

    @precondition(lambda self: self.takes_callers)
    @rule(callers=st.integers(1, 3))
    def join(self, callers: int) -> None:
        for _ in range(callers):
            person = self.arrive()
            self.queue.append(Spot(self.name("PJSIP/"), person, person.joined))

    @precondition(lambda self: self.hotline and self.those(Where.LIVE))
    @rule(data=st.data())
    def press_the_key(self, data: st.DataObject) -> None:
        person = self.pick(data, self.those(Where.LIVE))
        index = self.index(person)
        rank = settled_ranks(self.queue, doubt=self.doubt)[index]
        person.vague = person.vague or self.queue[index].restored
        if person.token is None:
            person.where, person.token = Where.CHOOSING, self.name("token")
        else:
            # This call has a place; a crash kept the caller from knowing.
            person.where = Where.KEPT
            self.attended.add(person.token)
        self.queue[index] = Spot(self.name("Local/"), person, rank, person.token)

    @precondition(lambda self: self.hotline and self.those(Where.CHOOSING))
    @rule(data=st.data(), phone=st.sampled_from(PHONES), later=st.booleans())
    def confirm(self, data: st.DataObject, phone: str, later: bool) -> None:
        person = self.pick(data, self.those(Where.CHOOSING))
        index = self.index(person)
        spot, not_before = self.queue[index], 0.0
        if later:
            choices = time_choices(self.now, HOURS)
            not_before = data.draw(st.sampled_from(choices)).at
        assert spot.token is not None
        kept = self.ask(person, spot.token, phone, spot.rank, not_before)
        if isinstance(kept, Refusal):
            self.back_on_the_line(person)
        elif kept.new:
            self.attended.add(kept.place.token)
        else:
            del self.queue[index]

    @precondition(lambda self: self.hotline and self.those(Where.CHOOSING))
    @rule(data=st.data(), phone=st.sampled_from(PHONES))
    def confirm_and_crash(self, data: st.DataObject, phone: str) -> None:
        """The place is in the book; the caller, on the line again, does not know."""
        person = self.pick(data, self.those(Where.CHOOSING))
        spot = self.queue[self.index(person)]
        assert spot.token is not None
        kept = self.ask(person, spot.token, phone, spot.rank)
        self.back_on_the_line(person)
        if not isinstance(kept, Refusal) and kept.new:
            person.token = kept.place.token
        self.stop_hotline()

    def back_on_the_line(self, person: Person) -> None:
        index = self.index(person)
        self.queue[index] = Spot(self.name("PJSIP/"), person, self.queue[index].rank)
        person.where, person.token = Where.LIVE, None

    @precondition(lambda self: self.those(Where.CHOOSING))
    @rule(data=st.data())
    def go_back(self, data: st.DataObject) -> None:
        self.back_on_the_line(self.pick(data, self.those(Where.CHOOSING)))

    @precondition(lambda self: self.those(Where.LIVE, Where.CHOOSING))
    @rule(data=st.data())
    def hang_up(self, data: st.DataObject) -> None:
        self.leave(self.pick(data, self.those(Where.LIVE, Where.CHOOSING)))

    def leave(self, person: Person) -> None:
        """A caller hangs up. One whose place was kept without their knowing is called back."""
        self.queue = [spot for spot in self.queue if spot.person is not person]
        holds = person.where is Where.LIVE and person.token is not None
        person.where = Where.KEPT if holds else Where.GONE

    @precondition(lambda self: self.hotline and self.open)
    @rule(phone=st.sampled_from(PHONES))
    def ask_in_the_menu(self, phone: str) -> None:
        """No placeholder yet: the keeper puts it at the end of the line."""
        person = self.arrive(Where.GONE)
        self.ask(person, self.name("token"), phone, person.joined)

    @precondition(lambda self: not self.hotline and self.open)
    @rule()
    def ask_in_an_emergency(self) -> None:
        person = self.arrive(Where.SPOOLED)
        token = self.name("token")
        self.spool.append((person, token))
        self.queue.append(Spot(self.name("Local/"), person, person.joined, token))

    @precondition(lambda self: self.hotline and self.those(Where.KEPT))
    @rule(data=st.data(), phone=st.sampled_from(PHONES))
    def change_of_mind(self, data: st.DataObject, phone: str) -> None:
        token = self.pick(data, self.those(Where.KEPT)).token
        assert token is not None
        what = data.draw(st.sampled_from(["cancel", "later", "number"]))
        if what == "cancel":
            self.book.cancel(token, self.now)
            self.over.add(token)
        elif what == "number":
            self.book.change_number(token, phone)
        elif not isinstance(
            self.book.reschedule(
                token, data.draw(st.sampled_from(time_choices(self.now, HOURS))).at
            ),
            Refusal,
        ):
            self.attended.discard(token)

    @precondition(lambda self: self.hotline)
    @rule(phone=st.sampled_from(PHONES[:2]))
    def stop_calling_me(self, phone: str) -> None:
        before = {place.token for place in self.book.places()}
        self.book.stop_calling(phone, self.now)
        self.over |= before - {place.token for place in self.book.places()}

    @precondition(lambda self: self.hotline and self.those(Where.LIVE))
    @rule(data=st.data())
    def overflow(self, data: st.DataObject) -> None:
        person = self.pick(data, self.those(Where.LIVE))
        if person.token is None:
            self.leave(person)
            person.where = Where.OVERFLOWED

    @precondition(lambda self: self.takes_callers and self.those(Where.OVERFLOWED))
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        """The outsourcer is down: back to the own queue, at their place."""
        person = self.pick(data, self.those(Where.OVERFLOWED))
        person.where, person.vague = Where.LIVE, person.vague or self.doubt > 0
        position = position_for(self.queue, person.joined)
        self.queue.insert(position - 1, Spot(self.name("PJSIP/"), person, person.joined))

    # Agents

    @precondition(lambda self: self.open and self.queue)
    @rule(agents=st.integers(1, 2))
    def agent_free(self, agents: int = 1) -> None:
        for _ in range(agents):
            while self.queue and not self.offer(self.queue.pop(0)):
                pass

    def offer(self, spot: Spot) -> bool:
        """Give the head of the line to an agent; says whether it kept them busy."""
        person, token = spot.person, spot.token
        if token is None or person.where is Where.CHOOSING:
            # Whoever is asked for a number just then talks at once.
            self.fair(person)
            self.serve_live(person)
            return True
        if not self.hotline:
            self.attended.discard(token)
            return False
        attempt = self.name("attempt")
        begun = self.book.begin(token, attempt, self.now)
        if isinstance(begun, Refusal):
            assert begun.why is not Why.ATTEMPT_OVER
            assert self.book.begin(token, attempt, self.now) == begun or begun.why is (
                Why.DO_NOT_CALL
            )
            return False
        assert token not in self.over
        assert not begun.again
        assert begun.place.not_before <= self.now
        self.fair(self.holders[token])
        self.calls[attempt] = Call(token)
        again = self.book.begin(token, attempt, self.now)
        assert again == replace(begun, again=True)
        other = self.book.begin(token, self.name("attempt"), self.now)
        assert isinstance(other, Refusal)
        assert other.why is Why.CALLING
        return True

    def serve_live(self, person: Person) -> None:
        kept = person.token if person.where is Where.LIVE else None
        person.where = Where.SERVED
        if kept is not None and self.hotline:
            self.book.cancel(kept, self.now)
            self.over.add(kept)

    def fair(self, served: Person) -> None:
        places = {place.token: place for place in self.book.places()}
        standing = {id(spot.person) for spot in self.queue}
        for other in self.people[: served.number]:
            place = places.get(other.token or "")
            waits = (other.where in {Where.LIVE, Where.CHOOSING} and id(other) in standing) or (
                other.where is Where.KEPT
                and place is not None
                and place.token in self.attended
                and due(place, self.now, HOURS)
            )
            close = abs(other.joined - served.joined) <= 1.0 and (other.vague or served.vague)
            assert close or not waits, f"{served} was served before {other}"

    @precondition(lambda self: any(call.up for call in self.calls.values()))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        attempt = self.pick_call(data)
        self.calls[attempt].answered = True
        if self.hotline:
            self.book.answered(attempt, self.now)

    def pick_call(self, data: st.DataObject) -> str:
        up = [attempt for attempt, call in self.calls.items() if call.up]
        picked: str = data.draw(st.sampled_from(up))
        return picked

    @precondition(lambda self: any(call.up for call in self.calls.values()))
    @rule(data=st.data(), outcome=st.sampled_from(CallbackOutcome))
    def end_call(self, data: st.DataObject, outcome: CallbackOutcome) -> None:
        attempt = self.pick_call(data)
        call = self.calls[attempt]
        if call.answered:
            machine = outcome is CallbackOutcome.MACHINE
            outcome = outcome if machine else CallbackOutcome.CONNECTED
        elif outcome is CallbackOutcome.CONNECTED:
            outcome = CallbackOutcome.NO_ANSWER
        call.up, call.talked = False, outcome is CallbackOutcome.CONNECTED
        if call.talked:
            self.talks[call.token] += 1
            assert self.talks[call.token] == 1
        if self.hotline:
            self.note_end(attempt, outcome)

    def note_end(self, attempt: str, outcome: CallbackOutcome) -> None:
        call = self.calls[attempt]
        decide = RULES.deciding(HOURS)
        answered = self.now if call.answered else None
        ended = self.book.end(attempt, outcome, self.now, decide, answered)
        assert ended is not None
        assert (ended.first, ended.outcome) == (True, outcome)
        twice = self.book.end(attempt, CallbackOutcome.BUSY, self.now + 1, decide, None)
        assert twice == replace(ended, first=False)
        self.attended.discard(call.token)
        if ended.place.state not in LIVING:
            self.over.add(call.token)
            if call.talked and ended.place.state is not PlaceState.CANCELLED:
                assert ended.place.state is PlaceState.DONE

    # The keeper

    def look(self) -> tuple[Action, ...]:
        on_the_line = {spot.person.token for spot in self.queue if spot.person.where is Where.LIVE}
        wanted = [
            place
            for place in self.book.places()
            # Whoever is on the line again is served there.
            if due(place, self.now, HOURS) and place.token not in on_the_line
        ]
        tokens = {spot.token for spot in self.queue if spot.token is not None}
        choosing = {person.token or "" for person in self.those(Where.CHOOSING)}
        pending = choosing | {token for _, token in self.spool}
        gone = stale(self.queue, wanted, self.book.known(tokens), pending=pending)
        self.looked = {place.token for place in wanted}
        return repair(self.queue, wanted, over=gone, doubt=self.doubt)

    def do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Insert):
                person = self.holders[action.token]
                if all(spot.token != action.token for spot in self.queue):
                    person.vague = person.vague or self.doubt > 0
                spot = Spot(self.name("Local/"), person, action.rank, action.token)
                self.queue.insert(action.position - 1, spot)
            else:
                self.queue = [spot for spot in self.queue if spot.channel != action.channel]

    @precondition(lambda self: self.hotline)
    @rule()
    def put_right(self) -> None:
        self.do(self.look())
        assert self.look() == ()
        self.gate = False
        self.attended = set(self.looked)
        standing = Counter(spot.token for spot in self.queue if spot.token is not None)
        for spot in self.queue:
            if spot.person.where is Where.CHOOSING:
                del standing[spot.token or ""]
        assert standing == Counter(self.looked)
        exact = [spot.person for spot in self.queue if not spot.person.vague]
        if self.doubt == 0:
            assert [p.number for p in exact] == sorted(p.number for p in exact)

    @precondition(lambda self: self.hotline)
    @rule(data=st.data(), event=st.sampled_from(["join", "leave", "serve", "end"]))
    def put_right_from_an_old_view(self, data: st.DataObject, event: str) -> None:
        """Something happens between the look and what is done; its event makes it look again."""
        actions = self.look()
        if event == "join" and self.takes_callers:
            self.join(1)
        elif event == "leave" and self.those(Where.LIVE):
            self.leave(self.pick(data, self.those(Where.LIVE)))
        elif event == "serve" and self.open and not self.gate:
            self.agent_free()
        elif event == "end" and any(call.up for call in self.calls.values()):
            attempt = self.pick_call(data)
            self.calls[attempt].up = False
            outcome = CallbackOutcome.AGENT_LEFT
            if self.calls[attempt].answered:
                outcome = CallbackOutcome.MACHINE
            self.note_end(attempt, outcome)
        self.do(actions)
        self.put_right()

    # Restarts, and time

    @precondition(lambda self: self.hotline)
    @rule()
    def stop_hotline(self) -> None:
        """Killed. Who was choosing is put back on the line by the dialplan."""
        self.hotline = self.gate = False
        for person in self.those(Where.CHOOSING):
            self.back_on_the_line(person)
        if not self.queue:
            # Nobody looks after the places now, should Asterisk just have lost them.
            self.attended.clear()

    @precondition(lambda self: not self.hotline)
    @rule()
    def start_hotline(self) -> None:
        self.hotline = True
        for spot in self.queue:
            if not spot.kept:
                waited = int(self.now) - int(spot.person.joined)
                spot.rank, spot.restored = self.now - waited, True
        for attempt in self.book.unfinished():
            if not self.calls[attempt].up:
                talked = self.calls[attempt].talked
                known = CallbackOutcome.CONNECTED if talked else CallbackOutcome.UNKNOWN
                self.note_end(attempt, known)
        for person in self.those(Where.SERVED):
            if person.token in self.holders and person.token not in self.over:
                assert person.token is not None
                self.book.cancel(person.token, self.now)
                self.over.add(person.token)
        for person, token in self.spool:
            phone = PHONES[person.number % len(PHONES)]
            kept = self.ask(person, token, phone, person.joined)
            if isinstance(kept, Refusal):
                person.where = Where.GONE
        self.spool = []

    @precondition(lambda self: self.queue or self.those(Where.KEPT))
    @rule()
    def restart_asterisk(self) -> None:
        """Everybody on the line is gone, and so are all placeholders and calls."""
        for person in self.those(Where.LIVE, Where.CHOOSING, Where.OVERFLOWED):
            self.leave(person)
        self.queue = []
        for attempt, call in self.calls.items():
            if call.up:
                call.up, call.talked = False, call.answered
                self.talks[call.token] += call.talked
                assert self.talks[call.token] <= 1
                if self.hotline:
                    talked = CallbackOutcome.CONNECTED
                    self.note_end(attempt, talked if call.talked else CallbackOutcome.UNKNOWN)
        if self.hotline:
            self.gate = True
        else:
            self.attended.clear()

    @rule(seconds=st.sampled_from([0.4, 7.0, 70.0, 400.0, 1000.0, 4000.0, 30000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        if not self.open:
            for person in self.those(Where.LIVE, Where.CHOOSING):
                self.leave(person)

    # At any time, and at the end

    @invariant()
    def one_place_and_one_call_for_a_number(self) -> None:
        if not hasattr(self, "book"):
            return
        living = Counter(place.phone_hash for place in self.book.places())
        assert all(count == 1 for count in living.values())
        called = [self.book.place(self.calls[each].token) for each in self.book.unfinished()]
        numbers = Counter(place.phone_hash for place in called if place is not None)
        assert all(count == 1 for count in numbers.values())

    @precondition(lambda self: len(self.people) > 12)
    @rule()
    def everybody_is_served_in_the_end(self) -> None:
        if not self.hotline:
            self.start_hotline()
        for person in self.those(Where.CHOOSING):
            self.back_on_the_line(person)
        for attempt, call in self.calls.items():
            if call.up:
                call.up = False
                self.note_end(attempt, CallbackOutcome.NO_ANSWER)
        for _ in range(200):
            self.put_right()
            if self.queue and self.open:
                self.agent_free()
                for attempt, call in self.calls.items():
                    if call.up:
                        call.up, call.answered, call.talked = False, True, True
                        self.talks[call.token] += 1
                        assert self.talks[call.token] == 1
                        self.note_end(attempt, CallbackOutcome.CONNECTED)
                continue
            places = self.book.places()
            if not places:
                break
            then = next_open(HOURS, max(self.now, min(place.not_before for place in places)))
            assert then is not None
            self.now = then
            if not any(due(place, self.now, HOURS) for place in places):
                self.now += 1
        assert not self.book.places()
        assert not self.book.unfinished()
        assert not self.queue
        for token, person in self.holders.items():
            if person.where is Where.KEPT:
                person.where = Where.GONE
            place = self.book.place(token)
            assert place is not None
            assert place.state not in LIVING


def machine(open_book: Callable[[], Book]) -> type[KeptLine]:
    """The machine with a book."""
    return type("KeptLineWithBook", (KeptLine,), {"open_book": lambda _self: open_book()})
