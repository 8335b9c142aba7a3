import capthemes


def fit(training, settings):
    return capthemes.load("accurate")
