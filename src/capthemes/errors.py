"""The errors a caller may want to catch; every message names the value, the place and the repair."""


class CapthemesError(Exception):
    """Any error that capthemes raises on purpose."""


class InputError(CapthemesError, ValueError):
    """A text, file or option that cannot be used as it stands."""


class TextTypeError(CapthemesError, TypeError):
    """Something other than a sequence of strings where texts were expected."""


class CodebookError(CapthemesError, ValueError):
    """A codebook file that does not parse."""


class AnnotationError(CapthemesError, ValueError):
    """Annotated paragraphs that do not fit their codebook or their form."""


class ModelError(CapthemesError, ValueError):
    """A model folder that is missing, damaged, or from another codebook or format."""


class RunError(CapthemesError, RuntimeError):
    """A run that another holds, that was begun with something else, or that the machine stopped."""


class GuaranteeWarning(UserWarning):
    """A guarantee that was asked for and does not hold for some theme or language."""
