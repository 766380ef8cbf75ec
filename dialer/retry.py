"""Retry rules: what becomes of a contact after each outcome. JSON in ``campaigns.retry_rules``.

``{"max_attempts": 6, "busy": {"after": 900}, "unknown": {"after": 14400, "times": 1}}``: what is
left out keeps its default; ``"no"`` instead of a rule means that the outcome is the last one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from incident.outcomes import AttemptOutcome
from incident.store.attempts import NextStep
from incident.store.schema import ContactState

_MINUTE = 60.0
_HOUR = 3600.0

NOT_SENT_PAUSE = 5.0
"""Seconds until a contact is tried again whom Asterisk was never asked to dial."""


class BadRules(ValueError):
    """Retry rules that cannot be used; the message says which and why."""


class Rule(BaseModel):
    """``after``: seconds from the end of one attempt to the next. ``times``: how many attempts of
    a contact may end so before there is no other."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    after: float = Field(gt=0, le=30 * 24 * _HOUR)
    times: int | None = Field(None, ge=0, le=100)


Maybe = Rule | Literal["no"]


class RetryRules(BaseModel):
    """One rule for each outcome. ``connected`` is always the last: the person was reached.

    ``unknown`` means that the person may have been called: tried once more, hours later.

    ``again``: also call people whom another campaign of the incident has reached, and without
    the pauses that its calls ask for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    max_attempts: int = Field(6, ge=1, le=100)
    again: bool = False
    busy: Maybe = Rule(after=15 * _MINUTE)
    no_answer: Maybe = Rule(after=3 * _HOUR)
    congestion: Maybe = Rule(after=2 * _MINUTE)
    failed: Maybe = Rule(after=2 * _MINUTE)
    machine: Maybe = Rule(after=4 * _HOUR)
    live_answered: Maybe = Rule(after=2 * _HOUR)
    abandoned: Maybe = Rule(after=2 * _HOUR)
    unknown: Maybe = Rule(after=4 * _HOUR, times=1)
    invalid_number: Maybe = "no"

    @model_validator(mode="after")
    def _covers_every_outcome(self) -> Self:
        missing = set(AttemptOutcome) - {AttemptOutcome.CONNECTED} - set(type(self).model_fields)
        if missing:
            raise ValueError(f"no rule for {', '.join(sorted(missing))}")
        return self

    @classmethod
    def parse(cls, text: str) -> RetryRules:
        """Read the JSON of a campaign. Raises BadRules."""
        try:
            return cls.model_validate(json.loads(text))
        except json.JSONDecodeError as error:
            raise BadRules(f"retry rules are not JSON: {error}") from error
        except ValidationError as error:
            found = [
                f"{'.'.join(map(str, item['loc'][:2])) or 'rules'}: {item['msg']}"
                for item in error.errors()
            ]
            raise BadRules("retry rules: " + "; ".join(dict.fromkeys(found))) from error

    def to_json(self) -> str:
        return self.model_dump_json()

    def rule(self, outcome: AttemptOutcome) -> Rule | None:
        """None: no attempt follows this outcome."""
        found = "no" if outcome is AttemptOutcome.CONNECTED else getattr(self, outcome.value)
        return found if isinstance(found, Rule) else None

    def next_step(
        self, outcome: AttemptOutcome, tries: int, same: int, ended_at: float
    ) -> NextStep:
        """What becomes of a contact after ``tries`` attempts, ``same`` of them ended like this.

        ``ended_at``: Unix seconds.
        """
        if outcome is AttemptOutcome.CONNECTED:
            return NextStep(ContactState.DONE)
        rule = self.rule(outcome)
        spent = rule is not None and rule.times is not None and same > rule.times
        if rule is None or spent or tries >= self.max_attempts:
            return NextStep(ContactState.EXHAUSTED)
        return NextStep(ContactState.READY, ended_at + rule.after)

    @property
    def pauses(self) -> Mapping[str, float]:
        """Seconds after each outcome, for the audit."""
        rules = {outcome.value: self.rule(outcome) for outcome in AttemptOutcome}
        return {name: rule.after for name, rule in rules.items() if rule is not None}

    @property
    def last(self) -> tuple[str, ...]:
        """Outcomes that no attempt follows, for the audit."""
        return tuple(o.value for o in AttemptOutcome if self.rule(o) is None)
