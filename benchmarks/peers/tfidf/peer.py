import re

from benchmarks.heads import heads
from sklearn.feature_extraction.text import TfidfVectorizer

from capthemes.text import HAN, normalise

TOKEN = re.compile(rf"[{HAN}]+|[^\W\d_]+")


def tokens(text, words):
    """Words and runs of words, and of each run of ideographs one to three of them."""
    previous = []
    for token in TOKEN.findall(normalise(text)):
        if re.match(f"[{HAN}]", token):
            yield from (token[i : i + n] for n in (1, 2, 3) for i in range(len(token) - n + 1))
            previous = []
            continue
        previous = [*previous[1 - words :], token] if words > 1 else [token]
        yield from (" ".join(previous[i:]) for i in range(len(previous)))


def fit(training, settings):
    vectors = TfidfVectorizer(analyzer=lambda t: tokens(t, settings["words"]), min_df=2, sublinear_tf=True)
    X = vectors.fit_transform([p.text for p in training])
    predict = heads(X, training, settings["C"])
    return lambda texts: predict(vectors.transform(texts))
