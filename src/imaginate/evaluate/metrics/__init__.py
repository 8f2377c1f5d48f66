"""Numbers about images, not about classifiers: distances between sets, diversity, consistency, duplicates, cost."""

from imaginate.evaluate.metrics.consistency import class_consistency, prototype_logits
from imaginate.evaluate.metrics.cost import Cost, cost
from imaginate.evaluate.metrics.distribution import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from imaginate.evaluate.metrics.diversity import cover, vendi_score
from imaginate.evaluate.metrics.duplicates import Pair, Prints, find_pairs, redundant, share_involved

__all__ = [
    "Cost",
    "Pair",
    "Prints",
    "class_consistency",
    "cost",
    "cover",
    "density_coverage",
    "find_pairs",
    "frechet_distance",
    "kernel_distance",
    "precision_recall",
    "prototype_logits",
    "redundant",
    "share_involved",
    "vendi_score",
]
