"""What goes with a classifier that is used elsewhere: how sure it may be, and a card that says what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imaginate.markdown import literal
from imaginate.runs import Facts

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 20  # validation images from which on a temperature is fitted
LIMITS = (0.01, 20.0)


def fitted_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The T that makes softmax(logits / T) most likely for the labels (Guo et al. 2017, sec. 4.2): (n, classes), (n,).
    1 where there are too few images to say."""
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    if len(labels) < FEWEST:
        return 1.0

    def loss(log_t: float) -> float:
        scaled = logits.astype(np.float64) / np.exp(log_t)
        return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(LIMITS)), method="bounded", options={"xatol": 1e-4})
    return round(float(np.exp(found.x)), 4)


def card(result: Facts) -> str:
    """README.md of a classifier's folder: what it was trained on, what it reached, and how to use it."""
    settings, held = result["settings"], result["held_out"]
    facts = [
        ("network", settings["arch"]),
        ("input", f"{result['image_size']} px, the middle square"),
        ("training images", f"{result['images']}"),
        ("classes", f"{len(result['classes'])}"),
        ("temperature", f"{result['temperature']:g}" + ("" if result["temperature"] != 1 else " (not fitted)")),
    ]
    if result["validation"] is not None:
        facts.append(("validation accuracy", f"{result['validation']:.1%} {result.get('validation_on', '')}".strip()))
    if held:
        facts.append(("held-out accuracy", f"{held['top1']:.1%} of {held['images']} images {held['on']}".strip()))
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts)
    classes = "\n".join(f"{label}. {literal(name)}" for label, name in enumerate(result["classes"]))
    warning = "" if held else "\nIt was not measured on held-out images: nothing is known of it on others.\n"
    return f"""# An image classifier

Trained by imaginate.

| | |
| --- | --- |
{rows}
{warning}
    imaginate predict THIS_FOLDER photographs/ --out said.csv

```python
import imaginate

classifier = imaginate.load_classifier("THIS_FOLDER")
classifier.predict(["photograph.jpg"])
```

`weights.safetensors` holds the weights, `classifier.json` classes, settings and figures, `history.json` how training
went. An image of none of these classes gets one of them too.

## Classes

{classes}
"""
