"""What was learned, as JSON, and back: whatever is wrong with it is said, never guessed."""

from __future__ import annotations

from collections.abc import Mapping

from ivr.predictor.memory import Faded


class BadMemory(ValueError):
    """What is to be restored is not what `Learner.to_dict` gave. ``where``: the wrong part."""

    def __init__(self, where: str) -> None:
        super().__init__(f"learned rates cannot be restored: {where}; start from the priors")
        self.where = where


def dump(sums: Faded) -> list[float]:
    return [sums.events, sums.exposure, sums.at, sums.span, sums.began]


def mapping(data: object, where: str) -> Mapping[object, object]:
    if not isinstance(data, Mapping):
        raise BadMemory(where)
    return data


def load(data: Mapping[object, object], name: str) -> Faded:
    numbers = data.get(name)
    if not isinstance(numbers, list) or len(numbers) != 5:
        raise BadMemory(name)
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        raise BadMemory(name)
    try:
        sums = Faded(*(float(number) for number in numbers))
    except OverflowError:
        raise BadMemory(name) from None
    if not sums.plausible():
        raise BadMemory(name)
    return sums
