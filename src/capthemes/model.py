"""A model: a family, a decision and a codebook, in a folder of data files."""

import inspect
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from capthemes import card
from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.drift import Profile
from capthemes.errors import InputError, ModelError, TextTypeError
from capthemes.families import family_class
from capthemes.families.base import Family
from capthemes.guarantee import HeldOut, sure
from capthemes.records import Paragraph, Predictions, Probabilities
from capthemes.store import fingerprint_bytes, fingerprint_file, home, write_text

FORMAT = 1
DEFAULT = "fast"
MANIFEST = "model.json"
HELD_OUT = "held_out.safetensors"
PROFILE = "profile.safetensors"
CARD = "README.md"
UNCHECKED = {MANIFEST, CARD, "golden.json", "mistakes.md"}  # beside the files that answers depend on
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


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

    def predict(
        self, texts: Iterable[str], *, recall: float | None = None, precision: float | None = None
    ) -> Predictions:
        """The labels of n texts: n answers in order, an empty tuple where no theme applies.

        With `recall` or `precision` the label sets are guaranteed ones (SurePredictions): they hold at least that
        share of the true labels, or are right at least that often; with both, themes between are left open.

        Raises TextTypeError for a bare string, or for an element that is not a string, with its position; ModelError
        for a guarantee from a model without held-out paragraphs.
        """
        if recall is None and precision is None:
            return Predictions(self.predict_proba(texts), self.decision)
        if self.held_out is None:
            raise ModelError(
                f"{self.id} has no held-out paragraphs to guarantee a recall or precision by; train it anew, or bring "
                "labelled ones of yours: capthemes calibrate LABELLED -m MODEL -o FOLDER"
            )
        texts = _checked(texts)
        return sure(self.held_out, self.decision, texts, self.predict_proba(texts), recall, precision)

    def calibrated(self, labelled: Sequence[Paragraph], name: str | None = None) -> Self:
        """The same model with guarantees fitted on labelled paragraphs of the user's own, which it was not trained on.

        Raises InputError for paragraphs drawn by strata.
        """
        if stratified := next((p.id for p in labelled if p.meta.get("stratum")), None):
            raise InputError(
                f"paragraph {stratified!r} was drawn from a stratum, so the sample is not like the text to come; "
                "label one of whole documents (capthemes sample --documents)"
            )
        unseen = self.family.predict_proba([paragraph.text for paragraph in labelled])
        return replace(self, name=name or self.name, held_out=HeldOut.of(unseen, labelled))

    def predict_proba(self, texts: Iterable[str]) -> Probabilities:
        """Calibrated probabilities: theme (n, T), stance (n, T, S), voice (n, T, V). Raises as `predict`."""
        return self.decision.calibrate(self.family.predict_proba(_checked(texts)))

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
                write_text(fresh / "codebook.md", self.codebook.text)
            manifest = self._manifest(fresh)
            write_text(fresh / CARD, card.render(manifest, self.codebook))
            write_text(fresh / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
            folder.mkdir(exist_ok=True)
            (folder / MANIFEST).unlink(missing_ok=True)  # without it nobody takes the folder for a model
            for path in folder.iterdir():
                if path.name not in UNCHECKED:
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
        manifest = read_manifest(folder)
        _check_files(folder, manifest["files"])
        codebook = _codebook(folder, manifest)
        decision_path = folder / "decision.json"
        decision = Decision.from_json(decision_path.read_text(encoding="utf-8"), str(decision_path))
        if tuple(decision.themes) != codebook.names:
            raise ModelError(f"{decision_path}: its themes are not those of {MANIFEST}; fetch the model anew")
        kind = family_class(manifest["family"])
        check_options(manifest["family"], kind.load, options)
        return cls(
            name=manifest["name"],
            family_name=manifest["family"],
            family=kind.load(folder, codebook, **options),
            decision=decision,
            codebook=codebook,
            held_out=HeldOut.load(folder / HELD_OUT) if HELD_OUT in manifest["files"] else None,
            profile=Profile.load(folder / PROFILE) if PROFILE in manifest["files"] else None,
            fingerprint=_fingerprint(manifest),
            about=manifest["about"],
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
            "files": {
                path.name: {"bytes": path.stat().st_size, "sha256": fingerprint_file(path)}
                for path in sorted(folder.iterdir())
            },
        }


def load(name: str | Path = DEFAULT, **options: Any) -> Model:
    """Load a bundled model by name ("fast", the default), or any model by its folder. Raises ModelError.

    `options` go to the model's family: engine="torch" or "onnx" to a transformer, trusted=[types] to a pipeline.
    """
    return Model.load(name, **options)


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


def read_manifest(folder: Path) -> dict[str, Any]:
    """The checked content of a model's model.json. Raises ModelError."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); fetch or save the model anew") from error
    if not isinstance(manifest, dict) or type(manifest.get("format")) is not int or manifest["format"] < 1:
        raise ModelError(f"{path}: no format number; this is not a model's manifest")
    if manifest["format"] > FORMAT:
        raise ModelError(f"{path}: format {manifest['format']} is newer than {FORMAT}; update capthemes")
    kinds = {"name": str, "family": str, "codebook": int, "themes": list, "stances": list, "voices": list}
    for key, kind in {**kinds, "about": dict, "files": dict}.items():
        if not isinstance(manifest.get(key), kind):
            raise ModelError(f"{path}: {key!r} is {manifest.get(key)!r}, needs a {kind.__name__}; fetch the model anew")
    return manifest


def _folder(name: str | Path) -> Path:
    if isinstance(name, str) and PLAIN_NAME.fullmatch(name) and (home("models") / name / MANIFEST).is_file():
        return home("models") / name
    if Path(name).is_dir():
        return Path(name)
    raise ModelError(f"no model {str(name)!r}; bundled: {', '.join(names())}; or give the folder of a saved model")


def _check_files(folder: Path, files: Mapping[str, Any]) -> None:
    unlisted = {path.name for path in folder.iterdir()} - files.keys() - UNCHECKED
    for name, expected in {"decision.json": None, **dict.fromkeys(unlisted), **files}.items():
        path = folder / name
        if not PLAIN_NAME.fullmatch(name) or not isinstance(expected, dict):
            raise ModelError(f"{folder / MANIFEST}: file {name!r} is not listed as it should be; fetch the model anew")
        if path.is_symlink() or not path.is_file():
            raise ModelError(f"{path}: missing from the model's folder, or a link; fetch the model anew")
        if path.stat().st_size != expected.get("bytes") or fingerprint_file(path) != expected.get("sha256"):
            raise ModelError(f"{path}: not the file that was saved (size or SHA-256 differs); fetch the model anew")


def _codebook(folder: Path, manifest: Mapping[str, Any]) -> Codebook:
    codebook = Codebook.load(folder / "codebook.md" if "codebook.md" in manifest["files"] else None)
    for key, have in (
        ("codebook", codebook.version),
        ("themes", list(codebook.names)),
        ("stances", list(codebook.stances)),
        ("voices", list(codebook.voices)),
    ):
        if manifest[key] != have:
            raise ModelError(
                f"{folder / MANIFEST}: {key} {manifest[key]!r} is not the codebook's ({have!r}); "
                "use the capthemes version that the model was made with, or train it anew"
            )
    return codebook


def _fingerprint(manifest: Mapping[str, Any]) -> str:
    """Of what the answers depend on: family, labels and files; not of name, scores or card."""
    parts = {key: manifest[key] for key in ("family", "codebook", "themes", "stances", "voices", "files")}
    return fingerprint_bytes(json.dumps(parts, sort_keys=True).encode())


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
