from collections import Counter


def fit(training, settings):
    (label, _), *_ = Counter((x.theme, x.stance, x.voice) for p in training for x in p.labels).most_common(1)
    answer = dict(zip(("theme", "stance", "voice"), label, strict=True))
    return lambda texts: [[answer] for _ in texts]
