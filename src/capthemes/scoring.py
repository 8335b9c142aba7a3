"""Scoring: whoever answers, on any labelled paragraphs: all scores, by slice, among annotators, against another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from capthemes.annotations import annotators, fingerprint
from capthemes.answers import Answerer, Answers, answerer
from capthemes.codebook import Codebook
from capthemes.comparison import Difference, differences
from capthemes.errors import AnnotationError, ModelError
from capthemes.evaluation import decided
from capthemes.metrics import Evaluation, Score, Signature, f1_interval
from capthemes.metrics import evaluate as evaluate_labels
from capthemes.model import Model
from capthemes.outcomes import outcomes
from capthemes.records import Label, Paragraph, as_read, read_matrix
from capthemes.slices import slices
from capthemes.store import data_name
from capthemes.training import gather

ALL = "all"
READ = 0.5  # of the paragraphs: what an annotator must have read to be held against


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores on some paragraphs, and what they rest on."""

    evaluation: Evaluation
    signature: Signature


@dataclass(frozen=True, slots=True)
class Report:
    """All scores of one answerer on one set: `slices` has "all" first, then "language: zh" and its like.

    `small_slices` counts those that have too few paragraphs to be scored; `left_out` says what of the set is not
    among them, as its texts were not at hand, or it was read for no theme. `standing` has, for the answerer and for
    each annotator of the set, the micro-F1 of themes against each other annotator's own labels; it is empty where the
    set has no annotators' labels.
    """

    name: str
    data: str
    slices: Mapping[str, Scored]
    standing: Mapping[str, Mapping[str, Score]]
    small_slices: int = 0
    left_out: Sequence[str] = ()

    @property
    def evaluation(self) -> Evaluation:
        """The scores on all paragraphs."""
        return self.slices[ALL].evaluation

    @property
    def paragraphs(self) -> int:
        """How many were scored."""
        return self.evaluation.paragraphs


@dataclass(frozen=True, slots=True)
class Differing:
    """A paragraph, with its gold labels, that two answerers label differently, of the themes that it was read for.

    That one tells no stance or voice is no difference.
    """

    paragraph: Paragraph
    a: tuple[Label, ...]
    b: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answerers on the same paragraphs: each score's difference b - a, and the paragraphs that they part on.

    `paragraphs` is how many were scored; `left_out` says what of the set was not, as a Report's does.
    """

    a: str
    b: str
    signatures: tuple[Signature, Signature]
    differences: Mapping[str, Difference]
    differing: Sequence[Differing]
    paragraphs: int
    left_out: Sequence[str] = ()


def evaluate(
    predict: Any,
    data: str | Path | Sequence[Paragraph],
    *,
    texts: Sequence[str | Path] = (),
    codebook: Codebook | None = None,
    name: str | None = None,
    seed: int = 0,
    trusted: Sequence[str] = (),
) -> Report:
    """Score anyone who labels: a Model, a function from a list of texts to their labels, a fitted estimator, a name.

    A function answers each text with theme names, with objects of theme, stance and voice, or with Labels. An
    estimator's labels are what its predict answers. Its columns are the themes in the codebook's order, unless its
    `themes_` or `classes_` name them: those of a MultiLabelBinarizer are alphabetical, give it
    classes=codebook.names. `data` is
    an annotated set with its split ("written/test"), a labelled jsonl file, or Paragraphs; `texts` are jsonl files
    with the texts of a set by reference. `name` is what signatures call the answerer. Strings name answerers as on
    the command line, see `answers.answerer`; `trusted` are types that a saved pipeline may load.

    Raises AnnotationError for data or labels that do not fit the codebook, ModelError or InputError for an answerer
    that cannot be asked.
    """
    who = answerer(predict, codebook, name, trusted)
    gold, left_out = gold_of(data, texts, who.codebook)
    return report(who, gold, _name(data), seed, annotators_of(data, who.codebook), left_out)


def compare(
    a: Any,
    b: Any,
    data: str | Path | Sequence[Paragraph],
    *,
    texts: Sequence[str | Path] = (),
    codebook: Codebook | None = None,
    names: tuple[str | None, str | None] = (None, None),
    seed: int = 0,
    trusted: Sequence[str] = (),
) -> Comparison:
    """Is b better than a on the same paragraphs? Arguments and errors as of `evaluate`.

    `names` are what signatures call the two; where two that are not the same would bear one name, they are numbered.
    """
    both = [answerer(who, codebook, name, trusted) for who, name in zip((a, b), names, strict=True)]
    check_codebooks(both)
    book = both[0].codebook
    gold, left_out = gold_of(data, texts, book)
    asked = [who.ask(gold) for who in both]
    if asked[0].name == asked[1].name and a is not b and not isinstance(a, str | Path | Model):
        asked = [replace(answers, name=f"{answers.name}#{place}") for place, answers in enumerate(asked, 1)]
    answered = [as_read(gold, decided(gold, answers.labels), book.names) for answers in asked]
    one, other = (_signature(answers.name, _name(data), gold, book, seed) for answers in asked)
    parting = [
        Differing(paragraph, x.labels or (), y.labels or ())
        for paragraph, x, y in zip(gold, *answered, strict=True)
        if _differ(x.labels or (), y.labels or ())
    ]
    found = differences(gold, answered[0], answered[1], book.names, seed)
    return Comparison(asked[0].name, asked[1].name, (one, other), found, parting, len(gold), left_out)


def report(
    who: Answerer,
    gold: Sequence[Paragraph],
    data: str,
    seed: int = 0,
    by_annotator: Mapping[str, Mapping[str, tuple[Label, ...]]] | None = None,
    left_out: Sequence[str] = (),
) -> Report:
    """The scores of one answerer on labelled paragraphs, whose name in signatures is `data`.

    `left_out` says what of that set is not among them.
    """
    answers, book = who.ask(gold), who.codebook
    scored = {ALL: _scored(answers, gold, data, book, seed)}
    parts, small = slices(gold)
    for name, rows in parts.items():
        scored[name] = _scored(_some(answers, rows), [gold[row] for row in rows], f"{data}, {name}", book, seed)
    among = standing(answers, gold, by_annotator or {}, book, seed)
    return Report(answers.name, data, scored, among, small, left_out)


def standing(
    answers: Answers,
    gold: Sequence[Paragraph],
    by_annotator: Mapping[str, Mapping[str, tuple[Label, ...]]],
    codebook: Codebook,
    seed: int = 0,
) -> dict[str, dict[str, Score]]:
    """Rater -> annotator -> micro-F1 of the rater's themes against the annotator's, on what both have read.

    Nobody is held against the gold labels, which were made of the annotators' own. A theme counts where a paragraph
    was read for it.
    """
    others = {
        name: labels for name, labels in by_annotator.items() if sum(p.id in labels for p in gold) >= READ * len(gold)
    }
    own = {paragraph.id: labels for paragraph, labels in zip(gold, answers.labels, strict=True)}
    found: dict[str, dict[str, Score]] = {}
    for rater, given in {answers.name: own, **others}.items():
        for other in others.keys() - {rater}:
            shared = [p for p in gold if p.id in given and p.id in others[other]]
            if shared:
                theirs, ours = (
                    as_read(shared, decided(shared, [labels[p.id] for p in shared]), codebook.names)
                    for labels in (others[other], given)
                )
                counts = outcomes(theirs, ours, codebook.names).themes.sum(axis=1)
                found.setdefault(rater, {})[other] = f1_interval(counts, shared, seed)
    return {rater: dict(sorted(against.items())) for rater, against in found.items()}


def gold_of(
    data: str | Path | Sequence[Paragraph], texts: Sequence[str | Path], codebook: Codebook
) -> tuple[list[Paragraph], list[str]]:
    """The labelled paragraphs that are scored on, and what had to be left out: without text, or read for no theme.

    Raises AnnotationError where a paragraph has not been read, or none is left.
    """
    gold, left_out = [], list[str]()
    if isinstance(data, str | Path):
        found, left_out = gather([str(data)], [Path(path) for path in texts], codebook)
        gold = found[str(data)]
    else:
        gold = list(data)
    if unread := next((p.id for p in gold if p.labels is None), None):
        raise AnnotationError(f"paragraph {unread!r} has not been labelled; give it labels (() for none)")
    read = read_matrix(gold, codebook.names).any(axis=1)
    if unread_for := int((~read).sum()):
        left_out = [*left_out, f"{unread_for} of {len(gold)} paragraphs were read for no theme: left out"]
        gold = [gold[row] for row in np.flatnonzero(read).tolist()]
    if not gold:
        raise AnnotationError("no paragraphs to score on; bring at least one")
    return gold, left_out


def annotators_of(data: Any, codebook: Codebook) -> dict[str, dict[str, tuple[Label, ...]]]:
    """The annotators' own labels of a named set; none for a file or for paragraphs."""
    name = data.as_posix() if isinstance(data, Path) else data
    if not isinstance(name, str) or name.endswith(".jsonl"):
        return {}
    try:
        return annotators(name.rpartition("/")[0] or name, codebook)
    except AnnotationError:
        return {}


def check_codebooks(asked: Sequence[Answerer]) -> None:
    """Raise ModelError where answerers go by different codebooks."""
    for who in asked[1:]:
        if who.codebook != asked[0].codebook:
            raise ModelError(f"{asked[0].name} and {who.name} have different codebooks; score them one by one")


def _name(data: Any) -> str:
    return data_name(str(data)) if isinstance(data, str | Path) else "paragraphs"


def _scored(answers: Answers, gold: Sequence[Paragraph], data: str, codebook: Codebook, seed: int) -> Scored:
    found = evaluate_labels(gold, answers.probabilities, decided(gold, answers.labels), seed, codebook.names)
    return Scored(found, _signature(answers.name, data, gold, codebook, seed))


def _signature(name: str, data: str, gold: Sequence[Paragraph], codebook: Codebook, seed: int) -> Signature:
    return Signature(data, fingerprint(gold), name, codebook.version, seed, version("capthemes"))


def _some(answers: Answers, rows: Sequence[int]) -> Answers:
    part = None if answers.probabilities is None else answers.probabilities[np.array(rows)]
    return Answers(answers.name, [answers.labels[row] for row in rows], part)


def _differ(a: Sequence[Label], b: Sequence[Label]) -> bool:
    """Whether themes differ, or stance or voice of a theme where both tell one."""
    one, other = ({label.theme: (label.stance, label.voice) for label in side} for side in (a, b))
    if one.keys() != other.keys():
        return True
    told = [pair for theme in one for pair in zip(one[theme], other[theme], strict=True) if None not in pair]
    return any(x != y for x, y in told)
