"""Pretrained encoders: what a folder or a Hub repository may say of itself, checked before transformers loads it."""

from collections.abc import Iterator, Mapping
from typing import Any

from capthemes.errors import ModelError

# Settings by which a configuration brings code: of its own, or of kernels and quantisers that are fetched for it.
CODE = frozenset(("auto_map", "attn_implementation", "_attn_implementation", "experts_implementation"))
FOREIGN = CODE | {"quantization_config", "custom_pipelines"}


def check_settings(settings: Mapping[str, Any], where: str) -> None:
    """Raise ModelError where an encoder's settings, at any depth, ask for code that is not transformers' own."""
    for key, value in _pairs(settings):
        if key in FOREIGN and value is not None:
            raise ModelError(
                f"{where} brings code of its own ({key}: {value!r:.80}), which is never run; choose an encoder that "
                "transformers knows by itself"
            )


def _pairs(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys and values of an object and of all objects within it, at any depth."""
    waiting: list[Any] = [settings]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value


def check_encoder(encoder: str) -> None:
    """Raise ModelError where a folder's or Hub repository's configuration asks for code, or cannot be read."""
    from transformers import PreTrainedConfig
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    where = f"encoder {encoder!r}"
    try:
        found = [PreTrainedConfig.get_config_dict(encoder)[0], get_tokenizer_config(encoder)]
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{where} cannot be loaded ({error}); give a folder or a Hub name") from error
    for settings in found:
        check_settings(settings, where)
