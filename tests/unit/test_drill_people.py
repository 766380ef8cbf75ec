"""The called public: who behaves how, the same in Python and in the simulated network."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from drill.network import TEMPLATES
from drill.people import AREAS, DEFAULT_MIX, LINES, Behaviour, behaviour, people, write_csv
from incident.contacts import import_contacts
from incident.store.engine import Store
from incident.store.incidents import ActiveIncident

ACTIONS = {
    "Goto(person,s,1)": Behaviour.PERSON,
    "Goto(machine,s,1)": Behaviour.MACHINE,
    "Goto(no-answer,s,1)": Behaviour.NO_ANSWER,
    "Goto(impatient,s,1)": Behaviour.IMPATIENT,
    # ITU-T Q.850 causes.
    "Hangup(17)": Behaviour.BUSY,
    "Hangup(1)": Behaviour.INVALID,
    "Hangup(34)": Behaviour.CONGESTION,
    "Hangup(21)": Behaviour.REJECTED,
}


def played() -> list[tuple[re.Pattern[str], Behaviour]]:
    """The network's own table: patterns of called numbers and what happens there."""
    text = (TEMPLATES / "extensions.conf").read_text(encoding="utf-8")
    network = text.partition("\n[network]\n")[2].partition("\n[")[0]
    table = []
    for pattern, action in re.findall(r"^exten => _(\+1XXX\S+?),1,(\S+)$", network, re.MULTILINE):
        expression = re.escape(pattern).replace("X", "[0-9]")
        expression = expression.replace(r"\[", "[").replace(r"\]", "]").replace(r"\-", "-")
        table.append((re.compile(expression), ACTIONS[action]))
    return table


def test_the_network_plays_the_same_table() -> None:
    table = played()
    for line in range(100):
        number = f"+121255501{line:02d}"
        matching = [kind for pattern, kind in table if pattern.fullmatch(number)]
        assert matching == [behaviour(number)], number


def test_every_line_behaves_in_one_way() -> None:
    assert sorted(line for lines in LINES.values() for line in lines) == list(range(100))
    assert set(LINES) == set(DEFAULT_MIX) == set(Behaviour)
    assert sum(DEFAULT_MIX.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "phone", ["", "+12125550200", "+12125560100", "+4420555010", "+1212555010x", "+121255501000"]
)
def test_a_number_that_may_belong_to_somebody_is_refused(phone: str) -> None:
    with pytest.raises(ValueError, match="not a fictional"):
        behaviour(phone)


def test_the_same_seed_gives_the_same_list_and_a_longer_one_begins_with_it() -> None:
    listed = list(people(300, seed=7))
    assert listed == list(people(300, seed=7))
    assert listed == list(islice(people(1000, seed=7), 300))
    assert listed != list(people(300, seed=8))
    assert len({person.reference for person in listed}) == 300


def test_only_fictional_numbers_of_known_places() -> None:
    for person in people(2000, seed=1):
        match = re.fullmatch(r"\+1(\d{3})55501\d\d", person.phone)
        assert match
        assert AREAS[match[1]] == (person.state, person.postal_code)
        assert person.language in {"en", "es"}
        assert 1 <= len(person.data_types) == len(set(person.data_types))


def test_even_a_short_list_has_every_behaviour_and_a_long_one_its_proportions() -> None:
    short = Counter(behaviour(person.phone) for person in people(len(Behaviour), seed=3))
    assert short == dict.fromkeys(Behaviour, 1)
    count = 20_000
    long = Counter(behaviour(person.phone) for person in people(count, seed=3))
    for kind, share in DEFAULT_MIX.items():
        # Five standard deviations of a binomial share are under 0.02 here.
        assert long[kind] / count == pytest.approx(share, abs=0.02), kind
    languages = Counter(person.language for person in people(count, seed=3))
    assert languages["es"] / count == pytest.approx(0.25, abs=0.02)


def test_what_has_no_share_does_not_occur() -> None:
    mix = {Behaviour.BUSY: 0.0, Behaviour.PERSON: 1.0, Behaviour.MACHINE: 0.0}
    listed = people(50, seed=1, mix=mix, languages={"es": 1.0}, data_types=("ssn",))
    for person in listed:
        assert behaviour(person.phone) is Behaviour.PERSON
        assert (person.language, person.data_types) == ("es", ("ssn",))


async def test_a_list_is_imported_without_a_rejected_row(
    store: Store, incident: ActiveIncident, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    assert write_csv(file, people(200, seed=5)) == 200
    report = await import_contacts(store, incident, file, now=1_700_000_000.0)
    assert (report.added, report.known, report.rejected) == (200, 0, 0)
    assert report.report_path is None
