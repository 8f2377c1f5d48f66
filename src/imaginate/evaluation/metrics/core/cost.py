"""What the images cost: seconds and money an image, as in GIF Table 6."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from imaginate.errors import ConfigError
from imaginate.runs import Facts, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Wall-clock seconds and money for the kept images of a run; money is None where no hourly price was given."""

    images: int
    seconds: float
    seconds_per_image: float
    money: float | None
    money_per_image: float | None


def cost(seconds: float, images: int, *, hourly_price: float | None = None) -> Cost:
    """Cost of `images` kept images that took `seconds`, rejected ones included: a reject is paid for, too."""
    if seconds < 0:
        raise ConfigError(f"seconds must be >= 0, got {seconds!r}")
    if images < 1:
        raise ConfigError(f"a cost per image needs at least 1 image, got {images}")
    if hourly_price is not None and hourly_price < 0:
        raise ConfigError(f"hourly price must be >= 0, got {hourly_price!r}")
    money = None if hourly_price is None else seconds / 3600 * hourly_price
    return Cost(
        images=images,
        seconds=seconds,
        seconds_per_image=seconds / images,
        money=money,
        money_per_image=None if money is None else money / images,
    )


def run_cost(facts: Facts, hourly_price: float | None) -> Values | None:
    """What a run cost, from its `run.json`; None where it says nothing."""
    spent, kept = facts.get("cost") or {}, (facts.get("totals") or {}).get("kept") or 0
    if spent.get("seconds") is None or kept < 1:
        return None
    return asdict(cost(float(spent["seconds"]), int(kept), hourly_price=hourly_price))
