"""A model: a family, a decision and a codebook, in a folder of data files."""

import inspect
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from capthemes import card, manifest
from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.drift import Profile
from capthemes.errors import InputError, ModelError, TextTypeError
from capthemes.evidence import explain
from capthemes.families import family_class
from capthemes.families.base import Family
from capthemes.guarantee import HeldOut, sure
from capthemes.manifest import CARD, CODEBOOK, FORMAT, LARGEST, MANIFEST, MISTAKES, PLAIN_NAME, UNREAD
from capthemes.records import Label, Paragraph, Predictions, Probabilities, read_matrix
from capthemes.sampling import document_column
from capthemes.store import home, write_text
from capthemes.untrusted import read_bytes

if TYPE_CHECKING:
    import pyarrow

DEFAULT = "fast"
HELD_OUT = "held_out.safetensors"
PROFILE = "profile.safetensors"


@dataclass(frozen=True, slots=True)
class Model:
    """Reads texts: `predict` gives labels, `predict_proba` the calibrated probabilities behind them.

    `held_out` is what guarantees are fitted on, `profile` what drift is measured from; older models have none.
    `about` is what the model's card says for the machine: training data, seed, scores with their signatures.
    `fingerprint` is the SHA-256 of all that its answers depend on.
    """

    name: str
    family_name: str
    family: Family
    decision: Decision
    codebook: Codebook
    fingerprint: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    held_out: HeldOut | None = None
    profile: Profile | None = None

    def __repr__(self) -> str:
        return f"Model({self.id}, {self.family_name}, {len(self.codebook.names)} themes)"

    def predict(
        self,
        texts: "Iterable[str] | pyarrow.Array",
        *,
        recall: float | None = None,
        precision: float | None = None,
    ) -> Predictions:
        """The labels of n texts: n answers in order, an empty tuple where no theme applies.

        `texts` is a sequence of strings or an Arrow array of them, which the linear family reads where it lies. With
        `recall` or `precision` the label sets are guaranteed ones (SurePredictions): they hold at least that share of
        the true labels, on average, or are right at least that often, with 90% confidence; with both, themes between
        are left open.

        Raises TextTypeError for a bare string, or for an element that is not a string, with its position; ModelError
        for a guarantee from a model without held-out paragraphs.
        """
        given = self._given(texts)
        if recall is None and precision is None:
            return Predictions(self.family.predict_proba(given), self.decision)
        if self.held_out is None:
            raise ModelError(
                f"{self.id} has no held-out paragraphs to guarantee a recall or precision by; train it anew, or bring "
                "labelled ones of yours: capthemes calibrate LABELLED -m MODEL -o FOLDER"
            )
        said = self.family.predict_proba(given)
        return sure(self.held_out, self.decision, given, said, recall, precision)

    def calibrated(self, labelled: Sequence[Paragraph], name: str | None = None, document: str | None = None) -> Self:
        """The same model with guarantees fitted on labelled paragraphs of the user's own, which it was not trained on.

        `document` is the column (of `meta`) that says what a paragraph is from; left out, it is the one that a sample
        was drawn by, else "group", "doc" or "document".

        Raises InputError for paragraphs drawn by strata, for those that were not read for all of its themes, and for a
        `document` that none of them has or that takes apart what was drawn together.
        """
        read = read_matrix(labelled, self.codebook.names).tolist()
        unread = (p.id for p, known in zip(labelled, read, strict=True) if p.labels is None or not all(known))
        if (first := next(unread, None)) is not None:
            raise InputError(
                f"paragraph {first!r} was not read for all themes of {self.name}, and what was not read is not absent; "
                "leave it out or label it for all of them"
            )
        if stratified := next((p.id for p in labelled if p.meta.get("stratum")), None):
            raise InputError(
                f"paragraph {stratified!r} was drawn from a stratum, so the sample is not like the text to come; "
                "label one of whole documents (capthemes sample --documents)"
            )
        if document is not None and not any(document in p.meta for p in labelled):
            raise InputError(f"no paragraph has a column {document!r} that says what it is from; name one they have")
        column = None if document is None else document_column(labelled, document)
        unseen = self.family.predict_proba([paragraph.text for paragraph in labelled])
        return replace(self, name=name or self.name, held_out=HeldOut.of(unseen, labelled, column=column))

    def predict_proba(self, texts: "Iterable[str] | pyarrow.Array") -> Probabilities:
        """Calibrated probabilities: theme (n, T), stance (n, T, S), voice (n, T, V). Raises as `predict`."""
        return self.decision.calibrate(self.family.predict_proba(self._given(texts)))

    def _given(self, texts: "Iterable[str] | pyarrow.Array") -> "Sequence[str] | pyarrow.Array":
        if not (hasattr(texts, "null_count") and hasattr(texts, "type")):  # polars has the first of Arrow's two
            return _checked(texts)
        array = _checked_arrow(texts)
        return array if getattr(self.family, "reads_arrow", False) else array.to_pylist()

    def explain(self, text: str) -> tuple[Label, ...]:
        """The labels of one text, each with its evidence: the spans of characters that speak for its theme.

        A span's weight is what it adds to the theme's calibrated log-odds: exactly, where the family is a sum over
        n-grams (linear), else as far as leaving it out lets them fall. Raises TextTypeError where text is no string.
        """
        return explain(self.family, self.decision, *_checked([text]))

    @property
    def id(self) -> str:
        """Name and the first 12 digits of the fingerprint: what labelled rows carry."""
        return f"{self.name}@{self.fingerprint[:12]}"

    def save(self, folder: str | Path) -> None:
        """Write the model's folder with its card, replacing a model that is there.

        Raises ModelError for a folder that holds something else.
        """
        folder = Path(folder)
        check_folder(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
            fresh = Path(name)
            self.family.save(fresh)
            write_text(fresh / "decision.json", self.decision.to_json())
            if self.held_out is not None:
                self.held_out.save(fresh / HELD_OUT)
            if self.profile is not None:
                self.profile.save(fresh / PROFILE)
            if self.codebook != Codebook.load():
                write_text(fresh / CODEBOOK, self.codebook.text)
            content = self._manifest(fresh)
            mistakes = MISTAKES if (folder / MISTAKES).is_file() else None
            write_text(fresh / CARD, card.render(content, self.codebook, mistakes))
            write_text(fresh / MANIFEST, manifest.rendered(content))
            folder.mkdir(exist_ok=True)
            (folder / MANIFEST).unlink(missing_ok=True)  # without it nobody takes the folder for a model
            for path in folder.iterdir():
                if path.name not in UNREAD:
                    path.unlink()
            for path in sorted(fresh.iterdir(), key=lambda path: path.name == MANIFEST):
                shutil.move(path, folder / path.name)

    @classmethod
    def load(cls, name: str | Path = DEFAULT, **options: Any) -> Self:
        """Load a bundled model by name, or any model by its folder; `options` go to its family.

        Raises ModelError for an unknown name (listing the known ones), a newer format, another codebook, or a
        file that is missing or is not, byte for byte, what was saved.
        """
        folder = _folder(name)
        content = manifest.read_manifest(folder)
        manifest.check_files(folder, content["files"])
        codebook = manifest.codebook(folder, content)
        decision_path = folder / "decision.json"
        decision = Decision.from_json(read_bytes(decision_path, LARGEST), str(decision_path))
        if tuple(decision.themes) != codebook.names:
            raise ModelError(f"{decision_path}: its themes are not those of {MANIFEST}; fetch the model anew")
        held_out = HeldOut.load(folder / HELD_OUT) if HELD_OUT in content["files"] else None
        if held_out is not None and held_out.themes != codebook.names:
            raise ModelError(f"{folder / HELD_OUT}: its themes are not those of {MANIFEST}; fetch the model anew")
        kind = family_class(content["family"])
        if "trusted" not in inspect.signature(kind.load).parameters:
            options.pop("trusted", None)  # nothing in such a family needs trust
        check_options(content["family"], kind.load, options)
        return cls(
            name=content["name"],
            family_name=content["family"],
            family=kind.load(folder, codebook, **options),
            decision=decision,
            codebook=codebook,
            held_out=held_out,
            profile=Profile.load(folder / PROFILE) if PROFILE in content["files"] else None,
            fingerprint=manifest.fingerprint(content),
            about=content["about"],
        )

    def _manifest(self, folder: Path) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "name": self.name,
            "family": self.family_name,
            "codebook": self.codebook.version,
            "themes": list(self.codebook.names),
            "stances": list(self.codebook.stances),
            "voices": list(self.codebook.voices),
            "about": dict(self.about),
            "files": manifest.described(folder),
        }


def load(name: str | Path = DEFAULT, **options: Any) -> Model:
    """Load a bundled model by name ("fast", the default), or any model by its folder. Raises ModelError.

    `options` go to the model's family: engine="torch" or "onnx" to a transformer; trusted=[...], the words of trust
    that a pipeline needs for its types or a zeroshot model for the one it points to.
    """
    return Model.load(name, **options)


def stamp(name: str | Path) -> tuple[int, ...]:
    """What tells cheaply whether `name` is still the same model. Raises ModelError for an unknown name."""
    about = (_folder(name) / MANIFEST).stat() if (_folder(name) / MANIFEST).is_file() else None
    return (about.st_ino, about.st_size, about.st_mtime_ns) if about else ()


def names() -> list[str]:
    """The bundled models."""
    return sorted(path.parent.name for path in home("models").glob(f"*/{MANIFEST}"))


def check_folder(folder: Path) -> None:
    """Raise ModelError where a model cannot be saved into a folder: it is a file, or holds something else."""
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"{folder} is a file; name a new or empty folder for the model")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise ModelError(f"{folder} holds other things than a model; save into a new or empty folder")


def check_options(family: str, of: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Raise ModelError where a family's `fit` or `load` takes no option of that name."""
    if unknown := sorted(set(options) - set(inspect.signature(of).parameters)):
        raise ModelError(f"the {family} family takes no option {unknown[0]!r}; leave it out, or choose another family")


def _folder(name: str | Path) -> Path:
    if isinstance(name, str) and PLAIN_NAME.fullmatch(name) and (home("models") / name / MANIFEST).is_file():
        return home("models") / name
    if Path(name).is_dir():
        return Path(name)
    raise ModelError(f"no model {str(name)!r}; bundled: {', '.join(names())}; or give the folder of a saved model")


def _checked(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):
        raise TextTypeError(f"predict takes a list of texts, not a {type(texts).__name__}; give it the column of texts")
    if isinstance(texts, str | bytes):
        raise TextTypeError(f"predict takes a list of texts, not one {type(texts).__name__}; write predict([text])")
    try:
        checked = list(texts)
    except TypeError:
        raise TextTypeError(f"predict takes a list of texts, not {type(texts).__name__}") from None
    for position, text in enumerate(checked):
        if not isinstance(text, str):
            raise TextTypeError(
                f"text {position} (counted from 0) is {text!r:.80}, a {type(text).__name__}; "
                "every text must be a string: drop it, or put '' in its place"
            )
    return checked


def _checked_arrow(texts: Any) -> "pyarrow.Array":
    """Arrow's strings as one array, which a family may read where they lie."""
    import pyarrow

    texts = texts.combine_chunks() if isinstance(texts, pyarrow.ChunkedArray) else texts
    if not (pyarrow.types.is_string(texts.type) or pyarrow.types.is_large_string(texts.type)) or texts.null_count:
        raise TextTypeError(
            f"predict takes strings, not {texts.type} with {texts.null_count} nulls; cast the column and fill its nulls"
        )
    return texts
