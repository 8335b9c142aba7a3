"""Themes, stances and voices in the public debate about Chinese industry, one paragraph at a time."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capthemes import annotations as annotations
    from capthemes.codebook import Codebook as Codebook
    from capthemes.corpus import Rows as Rows
    from capthemes.corpus import Source as Source
    from capthemes.decision import Decision as Decision
    from capthemes.errors import CapthemesError as CapthemesError
    from capthemes.labelling import label_corpus as label_corpus
    from capthemes.model import Model as Model
    from capthemes.model import load as load
    from capthemes.prevalence import Prevalence as Prevalence
    from capthemes.prevalence import estimate as estimate
    from capthemes.records import Label as Label
    from capthemes.records import Paragraph as Paragraph
    from capthemes.records import Predictions as Predictions
    from capthemes.records import Probabilities as Probabilities
    from capthemes.records import Span as Span
    from capthemes.runs import open_run as open_run
    from capthemes.scoring import compare as compare
    from capthemes.scoring import evaluate as evaluate
    from capthemes.summary import Summary as Summary
    from capthemes.training import train as train

# Public name -> the module that has it; a module is imported when its name is first used.
_PUBLIC = {
    "Codebook": "codebook",
    "Source": "corpus",
    "Decision": "decision",
    "CapthemesError": "errors",
    "label_corpus": "labelling",
    "Model": "model",
    "load": "model",
    "Prevalence": "prevalence",
    "estimate": "prevalence",
    "Label": "records",
    "Paragraph": "records",
    "Predictions": "records",
    "Probabilities": "records",
    "Span": "records",
    "Rows": "corpus",
    "Summary": "summary",
    "open_run": "runs",
    "compare": "scoring",
    "evaluate": "scoring",
    "train": "training",
}

__all__ = [
    "CapthemesError",
    "Codebook",
    "Decision",
    "Label",
    "Model",
    "Paragraph",
    "Predictions",
    "Prevalence",
    "Probabilities",
    "Rows",
    "Source",
    "Span",
    "Summary",
    "__version__",
    "annotations",
    "compare",
    "estimate",
    "evaluate",
    "label_corpus",
    "load",
    "open_run",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("capthemes")
    if name == "annotations":
        return import_module("capthemes.annotations")
    if name in _PUBLIC:
        return getattr(import_module(f"capthemes.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'capthemes' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
