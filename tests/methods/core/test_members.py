"""The classes of the seed images: found once, however many copies ask."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from imaginate.methods.core.members import members_of


class Seeds:
    def __init__(self, labels: list[int]) -> None:
        self.labels, self.asked = labels, 0

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, index: int) -> Any:
        self.asked += 1
        return SimpleNamespace(label=self.labels[index])


@given(st.lists(st.integers(0, 5), max_size=30))
def test_members_are_the_indices_of_each_class(labels: list[int]) -> None:
    seeds: Any = Seeds(labels)
    for _ in range(5):
        members = members_of(seeds)
        assert members.labels.tolist() == labels
        assert {label: list(some) for label, some in members.of.items()} == {
            label: [n for n, own in enumerate(labels) if own == label] for label in set(labels)
        }
    assert seeds.asked == len(labels)
