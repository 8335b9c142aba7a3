"""The families by name: what turns texts into probabilities. A family is imported when it is asked for."""

from importlib import import_module

from capthemes.errors import ModelError
from capthemes.families.base import Family

FAMILIES = {
    "ensemble": "capthemes.families.ensemble:Ensemble",
    "fewshot": "capthemes.families.fewshot:FewShot",
    "joint": "capthemes.families.joint:Joint",
    "keywords": "capthemes.families.keywords:Keywords",
    "linear": "capthemes.families.linear:Linear",
    "pipeline": "capthemes.families.pipeline:Pipeline",
    "transformer": "capthemes.families.transformer:Transformer",
    "zeroshot": "capthemes.families.zeroshot:ZeroShot",
}


def family_class(name: str) -> type[Family]:
    """The class of a family. Raises ModelError, listing the names there are."""
    if name not in FAMILIES:
        raise ModelError(f"no family {name!r}; there are: {', '.join(sorted(FAMILIES))}")
    module, _, attribute = FAMILIES[name].partition(":")
    found: type[Family] = getattr(import_module(module), attribute)
    return found
