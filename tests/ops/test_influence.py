"""Influence in closed form against heads that are really fitted again, and what is chosen by it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from imaginate.ops.influence import Chooser, HeldBack, Offers, _log_loss

CLASSES, DIM = 3, 8


def _blobs(count: int, seed: int, spread: float = 0.6) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    centres = torch.eye(CLASSES, DIM, dtype=torch.float64)
    noise = torch.randn(count, DIM, generator=draw, dtype=torch.float64)
    return F.normalize(centres[labels] + spread * noise, dim=1), labels


def _held(weight: float = 1.0, spread: float = 0.6) -> HeldBack:
    features, labels = _blobs(24, 0, spread)
    return HeldBack(features, labels, torch.arange(24) // 3 % 4, CLASSES, weight=weight)


def _chosen(
    held: HeldBack, offers: Offers, wanted: int, *, step: int, alike: float = 1.01, force: bool = False
) -> list[int]:
    chooser = Chooser(held, offers, step=step, alike=alike, force=force)
    return [row for label in range(CLASSES) for row in chooser.up_to(wanted, label)]


def _offers(count: int = 30, seed: int = 1, banned: torch.Tensor | None = None) -> Offers:
    features, labels = _blobs(count, seed)
    return Offers(
        features=features, labels=labels, banned=torch.zeros(count, 4, dtype=torch.bool) if banned is None else banned
    )


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_influence_is_the_change_of_the_loss_of_heads_that_are_fitted_again(weight: float) -> None:
    """The four folds have the same share of the seeds, so that the mean over folds is the loss over all seeds."""
    offers = _offers(30)
    held = _held(weight)
    fast, warm = held.influence(offers), held._temperature()
    scores, y, share = held._scores()
    before = _log_loss(scores / warm, y, share)
    exact = []
    for row in range(30):
        again = _held(weight)
        again.add(offers.only(torch.tensor([row])))
        exact.append(_log_loss(again._scores()[0] / warm, y, share) - before)
    torch.testing.assert_close(fast, torch.tensor(exact, dtype=torch.float64), rtol=1e-6, atol=1e-9)


def test_the_influence_of_a_soft_label_is_that_of_its_shares() -> None:
    """Against heads that are fitted again by hand; and a share of 1 is the label itself."""
    offers, held = _offers(12), _held()
    draw = torch.rand(12, CLASSES, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    shares = draw / draw.sum(1, keepdim=True)
    soft = Offers(features=offers.features, labels=offers.labels, banned=offers.banned, shares=shares)
    fast, warm = held.influence(soft), held._temperature()
    scores, y, share = held._scores()
    before = _log_loss(scores / warm, y, share)
    for row in range(12):
        again = _held()
        for k, fit in again._fits.items():
            z = torch.cat([soft.features[row], torch.ones(1, dtype=torch.float64)])
            head = torch.linalg.solve(fit.gram + torch.outer(z, z), fit.moment + torch.outer(z, shares[row]))
            again._fits[k] = type(fit)(**{**vars(fit), "head": head})
        exact = _log_loss(again._scores()[0] / warm, y, share) - before
        assert float(fast[row]) == pytest.approx(exact, rel=1e-6, abs=1e-9)
    whole = Offers(
        features=offers.features,
        labels=offers.labels,
        banned=offers.banned,
        shares=F.one_hot(offers.labels, CLASSES).double(),
    )
    assert torch.equal(held.influence(whole), held.influence(offers))


def test_scores_that_only_grow_are_no_help() -> None:
    """An image in the middle of all classes moves no decision, though it makes every score of the head larger."""
    held = _held()
    middle = F.normalize(torch.ones(1, DIM, dtype=torch.float64), dim=1)
    found = [
        held.influence(Offers(features=middle, labels=torch.tensor([c]), banned=torch.zeros(1, 4, dtype=torch.bool)))
        for c in range(CLASSES)
    ]
    assert float(sum(found)) > -1e-3


def test_an_image_says_nothing_on_the_fold_that_it_comes_from() -> None:
    banned = torch.zeros(9, 4, dtype=torch.bool)
    banned[0] = True
    banned[1, 2] = True
    found, free = _held().influence(_offers(9, banned=banned)), _held().influence(_offers(9))
    assert found[0] == torch.inf
    assert found[1] != free[1]
    assert torch.equal(found[2:], free[2:])
    held = _held()
    before = held.loss()
    held.add(_offers(9, banned=torch.ones(9, 4, dtype=torch.bool)))
    assert held.loss() == before


def test_what_is_chosen_helps_and_wrong_labels_are_left() -> None:
    offers = _offers(60)
    wrong = torch.arange(60) >= 30
    labels = torch.where(wrong, (offers.labels + 1) % CLASSES, offers.labels)
    mixed = Offers(features=offers.features, labels=labels, banned=offers.banned)
    held = _held()
    before = held.loss().log
    rows = _chosen(held, mixed, 5, step=2)
    assert held.loss().log < before
    assert rows
    assert len(rows) == len(set(rows))
    assert all(int((labels[rows] == label).sum()) <= 5 for label in range(CLASSES))
    assert float(wrong[rows].double().mean()) <= 0.2  # half of the offers are wrong
    clear, label = _blobs(30, 2, spread=0.05)
    good = Offers(features=clear, labels=label, banned=offers.banned[:30])
    bad = Offers(features=clear, labels=(label + 1) % CLASSES, banned=offers.banned[:30])
    taken = [_chosen(_held(spread=0.3), some, 5, step=2) for some in (good, bad)]
    assert 2 * len(taken[1]) < len(taken[0])
    assert len(_chosen(_held(spread=0.3), bad, 5, step=2, force=True)) == 15


def test_no_two_chosen_ones_are_alike_and_the_order_does_not_matter() -> None:
    offers = _offers(30)
    twice = Offers(
        features=offers.features.repeat(2, 1), labels=offers.labels.repeat(2), banned=offers.banned.repeat(2, 1)
    )
    rows = _chosen(_held(), twice, 8, step=2, alike=0.999, force=True)
    pictures = [row % 30 for row in rows]
    assert len(pictures) == len(set(pictures)) > 0
    turned = torch.arange(30).flip(0)
    straight = _chosen(_held(), offers, 4, step=2)
    back = _chosen(_held(), offers.only(turned), 4, step=2)
    assert {int(turned[row]) for row in back} == set(straight)


def test_fewer_are_the_first_of_more() -> None:
    few, many = (Chooser(_held(), _offers(40), step=2, alike=1.01, force=True) for _ in range(2))
    for label in range(CLASSES):
        assert few.up_to(3, label) == many.up_to(7, label)[:3]


def test_coverage_takes_what_adds_most_to_facility_location() -> None:
    """With coverage 1, the order is the greedy one of a naive loop over all sets that are one image larger."""
    offers = _offers(30)
    chooser = Chooser(_held(), offers, step=2, alike=1.01, force=True, coverage=1.0)
    cosine = offers.features @ offers.features.T

    def covered(some: list[int], own: list[int]) -> float:
        return sum(max(0.0, *(float(cosine[i, s]) for s in some)) for i in own)

    for label in range(CLASSES):
        own = (offers.labels == label).nonzero().flatten().tolist()
        expected: list[int] = []
        for _ in range(4):
            left = [row for row in own if row not in expected]
            expected.append(max(left, key=lambda row: covered([*expected, row], own)))
        found = chooser.up_to(4, label)  # two images that cover one another add the same
        for size in range(1, 5):
            assert covered(found[:size], own) == pytest.approx(covered(expected[:size], own), abs=1e-9)


def test_coverage_gives_up_some_influence_for_some_cover() -> None:
    taken = {}
    for share in (0.0, 0.5):
        chooser = Chooser(_held(), _offers(60), step=4, alike=1.01, force=True, coverage=share)
        taken[share] = [row for label in range(CLASSES) for row in chooser.up_to(4, label)]
    offers, first = _offers(60), _held().influence(_offers(60))
    near = offers.features @ offers.features.T

    def cover(rows: list[int]) -> float:
        same = offers.labels[:, None] == offers.labels[rows]
        return float(torch.where(same, near[:, rows], 0.0).max(1).values.clamp(min=0).sum())

    assert cover(taken[0.5]) > cover(taken[0.0])
    assert first[taken[0.5]].mean() > first[taken[0.0]].mean()
