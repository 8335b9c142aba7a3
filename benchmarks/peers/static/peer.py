from functools import cache

import numpy as np
from benchmarks.heads import heads
from benchmarks.minilm import Encoder
from sklearn.decomposition import PCA

from capthemes.text import compatible


@cache
def static_model(chinese, dimensions):
    """model2vec's recipe; its own distill() needs versions of transformers that the library's extra excludes."""
    from model2vec import StaticModel

    encoder = Encoder(chinese)
    tokenizer = encoder.tokens.tokenizer
    outputs = encoder.read_ids([[encoder.cls, token, encoder.sep] for token in range(tokenizer.get_vocab_size())])
    reduced = PCA(dimensions, random_state=0).fit_transform(outputs)
    ranks = np.arange(2, len(reduced) + 2)
    frequency = (1 / ranks) / (1 / ranks).sum()  # Zipf: the vocabulary is ordered by frequency
    vectors = reduced * (1e-4 / (1e-4 + frequency))[:, None]
    tokenizer.no_truncation()
    return StaticModel(vectors.astype(np.float32), tokenizer, {"normalize": True}, normalize=True), encoder


def fit(training, settings):
    model, encoder = static_model(settings["chinese"], settings["dimensions"])

    def vectors(texts):
        return model.encode([encoder.spaced(compatible(text)) for text in texts], max_length=None)

    predict = heads(vectors([p.text for p in training]), training, settings["C"])
    return lambda texts: predict(vectors(texts))
