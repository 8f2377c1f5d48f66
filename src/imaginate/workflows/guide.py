"""How good a guide is on a dataset, before anyone spends a GPU day on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imaginate.data import DataSpec, open_dataset
from imaginate.data.relatives import relatives_of
from imaginate.data.seed_images import SeedImages
from imaginate.devices import pick_device
from imaginate.markdown import table
from imaginate.progress import bar
from imaginate.records import LabelSpace

if TYPE_CHECKING:
    from imaginate.models.guides.core.assess import Assessment


@dataclass(frozen=True, kw_only=True)
class MeasuredGuide:
    """What `guide` found: the assessment, the classes by label, and how many images the reader skipped."""

    assessment: Assessment
    labels: LabelSpace
    skipped: int

    @property
    def unreadable(self) -> int:
        """Images that could not be read, while listing or while decoding."""
        return self.assessment.unreadable + self.skipped

    def __str__(self) -> str:
        found = self.assessment
        lines = [
            f"{found.guide}: {found.how}",
            self._accuracy(),
            f"{self._class_mean()}calibration error {found.calibration_error:.3f}, "
            f"mean entropy {found.mean_entropy:.3f} of at most {math.log(len(self.labels)):.3f} nats",
        ]
        if found.left_out:
            lines.append(
                f"{found.left_out} images left out: the guide was fitted to them, or they are alone in their class"
            )
        if self.unreadable:
            lines.append(f"{self.unreadable} images could not be read")
        return "\n".join(lines)

    @property
    def measured(self) -> int:
        """How many classes have an image on which the guide was measured."""
        return sum(n > 0 for n in self.assessment.class_images)

    def _accuracy(self) -> str:
        """The accuracy, and on which classes it was measured where that is not on all. On one class alone it has no
        interval and no chance, for a guide that always names this class is right on every image."""
        found, classes = self.assessment, len(self.labels)
        on = self.labels.covered(found.class_images, "image that it could be measured on")
        if self.measured == 1:
            return f"accuracy {found.accuracy:.1%} ({found.right} of {found.images}) {on}: no measure of a guide"
        low, high = found.interval
        return (
            f"accuracy {found.accuracy:.1%} ({found.right} of {found.images}; 95 % interval {low:.1%} to {high:.1%})"
            f"{' ' + on if on else ''}, chance {1 / classes:.1%}"
        )

    def _class_mean(self) -> str:
        """The mean over the classes that were measured; none of one class."""
        if self.measured == 1:
            return ""
        over = "classes" if self.measured == len(self.labels) else f"the {self.measured} measured classes"
        return f"mean over {over} {self.assessment.class_mean:.1%}, "

    def __repr__(self) -> str:
        found = self.assessment
        return f"MeasuredGuide({found.guide!r}: right on {found.right} of {found.images}, {found.how})"

    def _repr_html_(self) -> str:
        """For notebooks: what is printed, and the classes."""
        return table(self.to_dict()["classes"], str(self))

    def to_pandas(self) -> Any:
        """Right and measured images of each class as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        return pa.Table.from_pylist(self.to_dict()["classes"]).to_pandas()

    def to_dict(self) -> dict[str, Any]:
        """Everything, with class names, as JSON can hold it."""
        found = self.assessment
        rows = zip(self.labels.names, found.class_right, found.class_images, strict=True)
        return {
            "guide": found.guide,
            "how": found.how,
            "images": found.images,
            "accuracy": found.accuracy,
            "interval": list(found.interval),
            "class_mean_accuracy": found.class_mean,
            "calibration_error": found.calibration_error,
            "mean_entropy": found.mean_entropy,
            "unreadable": found.unreadable,
            "left_out": found.left_out,
            "not_measured": [name for name, n in zip(self.labels.names, found.class_images, strict=True) if not n],
            "classes": [{"name": name, "right": right, "images": n} for name, right, n in rows],
            "confused": [
                {"class": self.labels[t].name, "taken_for": self.labels[p].name, "images": n, "share": share}
                for t, p, n, share in found.confused
            ],
        }


def guide(
    data: str | DataSpec,
    guide: str,
    *,
    prompts: str | None = None,
    batch: int = 64,
    device: str = "auto",
    progress: bool = True,
) -> MeasuredGuide:
    """Measure a guide on a dataset: accuracy with its interval, per class, calibration, confusions.

    `data`: a dataset or run, by its path or as a `DataSpec` (`split="train"`, `shots=5`). `guide`: as for `--guide`
    (`nano`, `clip:ID`, `prototypes:BACKBONE`). `prompts`: single, clip-80, a sentence with {} or a file of
    them. Never measured on images that the guide was fitted to. Raises DataError, ConfigError or ModelError.
    """
    from imaginate.models.guides import build_guide
    from imaginate.models.guides.core.assess import assess

    dataset = open_dataset(data)
    samples = SeedImages(dataset.samples)
    built = build_guide(
        guide, dataset.labels, samples=samples, relatives=relatives_of(dataset), device=pick_device(device),
        prompts=prompts,
    )  # fmt: skip
    with bar(f"{built.name} on {dataset.name}", len(samples), show=progress) as shown:
        found = assess(built, samples, batch=batch, seen=lambda n: shown.advance(n))
    return MeasuredGuide(assessment=found, labels=dataset.labels, skipped=len(dataset.skipped))
