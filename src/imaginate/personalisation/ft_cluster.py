"""Several learnt conditionings a class, one for each cluster of its images."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.progress import bar
from imaginate.settings import check, setting

log = logging.getLogger("imaginate")
AUTO, INCEPTION = "auto", "torchvision:inception_v3"

if TYPE_CHECKING:
    import torch

    from imaginate.personalisation.core.plan import Learner, Task


@dataclass(frozen=True, kw_only=True)
class FtCluster:
    """Learn k conditionings a class, one for each cluster of its images; the whole prior stays frozen.

    RET sections 3.2 and 4.4, circled 6: k-means within a class on the embeddings of Inception v3, where torchvision's
    weights are at hand, else of EfficientNet-lite0, and it is said. k = 5 was best of 1, 5, 10 and 15. A class with
    fewer images than k gets as many clusters as it has images, and a note. Held-out images join the nearest cluster
    and do not train. Of SDXL text and pooled embedding learn, as in `ft-conditioning`.
    """

    family: ClassVar[str] = "stable-diffusion"
    trains_weights: ClassVar[bool] = False
    paper: ClassVar[str] = "RET 4.4"

    clusters: int = setting(5, "conditionings a class", ge=1, source="RET 4.4 (best of 1, 5, 10, 15)")
    backbone: str = setting(
        AUTO,
        "network whose embeddings are clustered: nano, timm:NAME, torchvision:NAME, ID, folder; auto: Inception v3 "
        "(RET 3.2), where torchvision's weights are at hand, else efficientnet-lite0",
    )
    learning_rate: float = setting(2e-3, "for a batch of 1, before scaling", gt=0, source="Imagic on Stable Diffusion")
    epochs: int = setting(40, "at most", ge=1, source="RET 3.2")
    keep_first: int = setting(3, "first epochs whose checkpoints are all kept", ge=0, source="RET 3.2")

    def __post_init__(self) -> None:
        check(self)

    def build(self, task: Task) -> Learner:
        """Only the table of conditionings learns."""
        from imaginate.personalisation.core.loop import rate
        from imaginate.personalisation.core.plan import Group, Learner
        from imaginate.personalisation.core.vectors import Vectors

        backbone, why = _network() if self.backbone == AUTO else (self.backbone, "")
        counts, assigned, notes = self._clusters(task, backbone)
        if self.backbone == AUTO:
            notes.append(f"images are clustered by {backbone}{why}")
        vectors = Vectors(task, counts, assigned)
        group = Group(vectors.parameters(), rate(self.learning_rate, 1, task.plan), table=True)
        sizes = _sizes(task, counts, assigned)
        return Learner({"conditioning": group}, vectors.condition, vectors.save, clusters=sizes, notes=notes)

    def _clusters(self, task: Task, backbone: str) -> tuple[list[int], torch.Tensor, list[str]]:
        """Clusters of each class, the cluster of every image, and a note on each class that is too small."""
        import torch

        from imaginate.ops.kmeans import kmeans

        points = _points(task, backbone)
        train = torch.zeros(len(points), dtype=torch.bool)
        train[torch.as_tensor(list(task.train))] = True
        counts, assigned, notes = [], torch.zeros(len(points), dtype=torch.int64), []
        for label, info in enumerate(task.labels):
            mine = (task.labels_of == label).nonzero().flatten()
            inside, outside = mine[train[mine]], mine[~train[mine]]
            found = kmeans(points[inside], self.clusters, seed=task.plan.seed)
            counts.append(int(found.max()) + 1)
            assigned[inside] = found
            if len(outside):
                centres = torch.stack([points[inside][found == k].mean(0) for k in range(counts[-1])])
                assigned[outside] = torch.cdist(points[outside], centres).argmin(1)
            if counts[-1] < self.clusters:
                notes.append(
                    f"class {info.name!r} has {len(inside)} training images: {counts[-1]} clusters, not {self.clusters}"
                )
        return counts, assigned, notes


def _network() -> tuple[str, str]:
    """The paper's network where its weights are at hand, else one that is; and what to say of it."""
    from imaginate.models.guides.backbones import LITE, is_at_hand

    if is_at_hand(INCEPTION):
        return INCEPTION, ""
    found = next((name for name in (LITE, "nano") if is_at_hand(name)), LITE)
    why = f": RET's Inception v3 is not in torch's cache (--backbone {INCEPTION} fetches it)"
    log.warning(f"images are clustered by {found}{why}")
    return found, why


def _points(task: Task, backbone: str, chunk: int = 64) -> torch.Tensor:
    """(n, d): the backbone's embeddings of all training images."""
    import torch

    from imaginate.models.guides.backbones import load_backbone
    from imaginate.ops.batching import map_images

    network, rows, parts = load_backbone(backbone, device=task.device), list(task.rows), []
    with torch.no_grad(), bar("embedding", len(rows), show=task.progress) as shown:
        for start in range(0, len(rows), chunk):
            images = [task.image(row) for row in rows[start : start + chunk]]
            parts.append(map_images(network.features, images, chunk, device=task.device).cpu())
            shown.advance(len(images))
    return torch.cat(parts)


def _sizes(task: Task, counts: list[int], assigned: torch.Tensor) -> dict[str, list[int]]:
    """Class name -> training images of each cluster: how often each conditioning is used."""
    import torch

    rows = torch.as_tensor(list(task.train))
    labels, clusters = task.labels_of[rows], assigned[rows]
    return {
        info.name: torch.bincount(clusters[labels == label], minlength=counts[label]).tolist()
        for label, info in enumerate(task.labels)
    }
