"""Units in shards: the same units as in a list, cut by the same rule, made only when they are asked for."""

import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.engine.units import Shards, Slots, Unit, class_key
from imaginate.records import LabelSpace, Sample

LABELS = LabelSpace.of(["cat", "dog"])


class Nothing:
    is_whole_file = True

    def read(self) -> bytes:
        return b""


def _cut(units: list[Unit], limit: int) -> list[tuple[Unit, ...]]:
    """Naive: a shard ends before the unit that would take it over the limit."""
    shards: list[list[Unit]] = []
    for unit in units:
        weight = sum(max(1, one.wanted) for one in shards[-1]) if shards else 0
        if not shards or weight + max(1, unit.wanted) > limit:
            shards.append([])
        shards[-1].append(unit)
    return [tuple(shard) for shard in shards]


@settings(max_examples=60, deadline=None)
@given(
    seeds=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 7)), max_size=30),
    classes=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.integers(0, 9)), max_size=5),
    limit=st.integers(1, 12),
)
def test_shards_hold_the_units_that_they_were_given(seeds, classes, limit):
    samples = [Sample(id=f"{n}.png", label=label, source=Nothing()) for n, (label, _) in enumerate(seeds)]
    units = [Unit(s.id, s.label, n, 0, c, c) for n, (s, (_, c)) in enumerate(zip(samples, seeds, strict=True))]
    units += [
        Unit(class_key(LABELS[label].name), label, None, min(a, b), max(a, b), max(a, b)) for label, a, b in classes
    ]
    slots = (Slots(unit.label, unit.index, unit.start, unit.stop, unit.total) for unit in units)
    shards = Shards(slots, limit, samples, LABELS)
    expected = _cut(units, limit)
    assert list(shards) == expected
    assert len(shards) == len(expected)
    assert [shards[n] for n in range(len(shards))] == expected
    assert shards[1:] == tuple(expected[1:])
    by_label = [sum(unit.wanted for unit in units if unit.label == label) for label in range(2)]
    assert shards.wanted_by_label() == by_label
    assert list(pickle.loads(pickle.dumps(shards))) == expected


def test_a_unit_takes_few_bytes():
    samples = [Sample(id=f"{n}.png", label=0, source=Nothing()) for n in range(10_000)]
    shards = Shards((Slots(0, n, 0, 1, 1) for n in range(len(samples))), 256, samples, LABELS)
    shards._samples = ()
    assert len(pickle.dumps(shards)) < 10 * len(samples)


def test_more_kinds_of_units_than_two_bytes_can_number():
    count = 2**16 + 5
    samples = [Sample(id=f"{n}.png", label=0, source=Nothing()) for n in range(1)]
    shards = Shards((Slots(0, 0, n, n + 1, n + 1) for n in range(count)), 1, samples, LABELS)
    assert [shards[n][0].start for n in (0, 2**16 - 1, 2**16, count - 1)] == [0, 2**16 - 1, 2**16, count - 1]
