import numpy as np
import torch
from benchmarks.heads import heads
from benchmarks.minilm import Encoder

PAIRS = 16  # in a batch


def drawn_pairs(training, count, rng):
    """Rows of pairs and their cosines: half have the same themes, half share none."""
    by_themes = {}
    for row, p in enumerate(training):
        by_themes.setdefault(frozenset(x.theme for x in p.labels), []).append(row)
    several = [key for key, rows in by_themes.items() if len(rows) > 1]
    weights = np.array([len(by_themes[key]) for key in several], dtype=float) ** 0.5
    for key in rng.choice(len(several), size=count // 2, p=weights / weights.sum()):
        yield (*rng.choice(by_themes[several[key]], size=2, replace=False), 1.0)
    made, sets = 0, [frozenset(x.theme for x in p.labels) for p in training]
    while made < count // 2:
        one, other = rng.integers(0, len(training), size=2)
        if not sets[one] & sets[other] and sets[one] != sets[other]:
            made += 1
            yield one, other, 0.0


def fit(training, settings):
    torch.manual_seed(0)
    encoder = Encoder(settings["chinese"])
    windows = encoder.first_windows([p.text for p in training])
    pairs = list(drawn_pairs(training, settings["pairs"], np.random.default_rng(0)))
    steps = -(-len(pairs) // PAIRS)
    optimizer = torch.optim.AdamW(encoder.body.parameters(), lr=settings["rate"])
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    encoder.body.train()
    order = np.random.default_rng(1).permutation(len(pairs))
    for start in range(0, len(pairs), PAIRS):
        batch = [pairs[i] for i in order[start : start + PAIRS]]
        one, other = (encoder.pooled([windows[pair[side]] for pair in batch]) for side in (0, 1))
        wanted = torch.tensor([pair[2] for pair in batch])
        loss = torch.nn.functional.mse_loss(torch.cosine_similarity(one, other), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    encoder.body.eval()
    predict = heads(encoder.read([p.text for p in training]), training, settings["C"])
    return lambda texts: predict(encoder.read(texts))
