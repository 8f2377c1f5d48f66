"""Numbers about images, not about classifiers: distances between sets, diversity, consistency, duplicates, cost."""

from imaginate.evaluation.metrics.consistency import class_consistency, prototype_logits
from imaginate.evaluation.metrics.cost import Cost, cost
from imaginate.evaluation.metrics.distribution import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from imaginate.evaluation.metrics.diversity import cover, vendi_score
from imaginate.evaluation.metrics.duplicates import Pair, Prints, find_pairs, redundant, share_involved

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
