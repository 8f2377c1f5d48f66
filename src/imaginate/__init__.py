"""Expand a small labelled image dataset, and prove on held-out images what the new images are worth.

import imaginate
run = imaginate.expand("flowers/", "flowers-x5/", method="randaugment", copies=5)
print(run)

One function for each command, with the same defaults; `dir(imaginate)` lists them. All are imported when first used, so
that `import imaginate` is quick.
"""

from __future__ import annotations

from imaginate.version import __version__

TYPE_CHECKING = False  # as typing has it, which takes longer to import than this whole file
if TYPE_CHECKING:
    from typing import Any

    from imaginate.data import Dataset, DataSpec, load, open_dataset
    from imaginate.engine.forecast import Forecast, plan
    from imaginate.engine.refilter import Refiltered, refilter
    from imaginate.engine.resolve import recipe_from
    from imaginate.engine.run import Run, expand
    from imaginate.errors import ConfigError, DataError, ImageError, ImaginateError, ModelError, RunError
    from imaginate.evaluation.comparison import Comparison
    from imaginate.evaluation.measure import evaluate
    from imaginate.evaluation.study import compare
    from imaginate.training.classifier import train
    from imaginate.training.loading import Classifier, load_classifier
    from imaginate.training.portable import ExportedModel, export_model
    from imaginate.training.result import TrainedClassifier
    from imaginate.workflows.adopt import adopt
    from imaginate.workflows.fit import Fitted, fit
    from imaginate.workflows.guide import MeasuredGuide, guide
    from imaginate.workflows.improve import Improved, improve
    from imaginate.workflows.inspect import InspectedRun, inspect
    from imaginate.workflows.pools import PoolResults, build_pool, search_pool, search_pool_batch
    from imaginate.workflows.predict import Predictions, predict
    from imaginate.workflows.report import WrittenReport, report
    from imaginate.workflows.review import export_decisions, review
    from imaginate.write.export import Exported, export

__all__ = [
    "Classifier",
    "Comparison",
    "ConfigError",
    "DataError",
    "DataSpec",
    "Dataset",
    "Exported",
    "ExportedModel",
    "Fitted",
    "Forecast",
    "ImageError",
    "ImaginateError",
    "Improved",
    "InspectedRun",
    "MeasuredGuide",
    "ModelError",
    "PoolResults",
    "Predictions",
    "Refiltered",
    "Run",
    "RunError",
    "TrainedClassifier",
    "WrittenReport",
    "__version__",
    "adopt",
    "build_pool",
    "compare",
    "evaluate",
    "expand",
    "export",
    "export_decisions",
    "export_model",
    "fit",
    "guide",
    "improve",
    "inspect",
    "load",
    "load_classifier",
    "open_dataset",
    "plan",
    "predict",
    "recipe_from",
    "refilter",
    "report",
    "review",
    "search_pool",
    "search_pool_batch",
    "train",
]
# Public name -> the module that it is imported from.
_HOMES = {
    "load_classifier": "training.loading",
    "Classifier": "training.loading",
    "export_model": "training.portable",
    "predict": "workflows.predict",
    "Predictions": "workflows.predict",
    "train": "training.classifier",
    "compare": "evaluation.study",
    "evaluate": "evaluation.measure",
    "report": "workflows.report",
    "review": "workflows.review",
    "export_decisions": "workflows.review",
    "adopt": "workflows.adopt",
    "expand": "engine.run",
    "plan": "engine.forecast",
    "refilter": "engine.refilter",
    "improve": "workflows.improve",
    "Improved": "workflows.improve",
    "inspect": "workflows.inspect",
    "export": "write.export",
    "fit": "workflows.fit",
    "guide": "workflows.guide",
    "build_pool": "workflows.pools",
    "search_pool": "workflows.pools",
    "search_pool_batch": "workflows.pools",
    "open_dataset": "data",
    "load": "data",
    "recipe_from": "engine.resolve",
    "DataSpec": "data",
    "Dataset": "data",
    "Comparison": "evaluation.comparison",
    "Exported": "write.export",
    "ExportedModel": "training.portable",
    "Fitted": "workflows.fit",
    "TrainedClassifier": "training.result",
    "WrittenReport": "workflows.report",
    "Forecast": "engine.forecast",
    "InspectedRun": "workflows.inspect",
    "MeasuredGuide": "workflows.guide",
    "PoolResults": "workflows.pools",
    "Refiltered": "engine.refilter",
    "Run": "engine.run",
    "ConfigError": "errors",
    "DataError": "errors",
    "ImageError": "errors",
    "ImaginateError": "errors",
    "ModelError": "errors",
    "RunError": "errors",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"imaginate.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'imaginate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
