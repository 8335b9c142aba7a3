from capthemes.codebook import Codebook
from capthemes.families.keywords import Keywords


def fit(training, settings):
    return Keywords(Codebook.load()).predict_proba
