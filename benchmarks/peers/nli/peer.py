from benchmarks.heads import AbsentError

from capthemes.codebook import Codebook
from capthemes.families.zeroshot import ZeroShot


def fit(training, settings):
    if settings["encoder"] is None:
        raise AbsentError("no language-inference model at hand: name one with --nli FOLDER or a Hub name")
    return ZeroShot.fit([], Codebook.load(), 0, encoder=settings["encoder"]).predict_proba
