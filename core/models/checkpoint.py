"""A checkpoint: a folder with weights and everything needed to use them. Reading its description needs no torch.

Its files are `weights.safetensors`, `recipe.json`, `input_spec.json`, `learned.parquet` (hashes of the radiographs it
learned from), `history.csv`, `predictions.parquet` and `checkpoint.json`, the manifest with the hash of each file that
decides a score. Before new weights are put in place, the manifest lists their hash beside the old one, so that a kill
at any moment leaves a whole checkpoint.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from core.checksums import check_file, file_hash, json_text, read_json
from core.data.input_spec import InputSpec
from core.errors import OverreadError, reason_of
from core.models.weights_header import count_elements, read_header
from core.parquet_files import read_parquet, write_parquet
from core.paths import checkpoint_folder, checkpoint_roots, file_stamp, write_atomically

FORMAT = 1
MANIFEST, WEIGHTS, RECIPE, SPEC, LEARNED, HISTORY, PREDICTIONS = (
    "checkpoint.json",
    "weights.safetensors",
    "recipe.json",
    "input_spec.json",
    "learned.parquet",
    "history.csv",
    "predictions.parquet",
)
# Entries that every reader of a stored recipe needs: key, type, and the type in words.
_NEEDED = (
    ("name", str, "a text"),
    ("architecture", str, "the name of a network"),
    ("model_kwargs", dict, "a JSON object"),
    ("epochs", int, "a whole number"),
)
# Entries that recipes of earlier versions lack: key, type, and the type in words.
_OPTIONAL = (("pooling", str, "a text"), ("augmentation", dict, "a JSON object"))
_FIXED = (RECIPE, SPEC, LEARNED)  # written before the first epoch and never again


@dataclass(frozen=True)
class Checkpoint:
    """The description of a checkpoint whose files match their hashes."""

    folder: Path
    recipe: dict
    input_spec: InputSpec
    manifest: dict
    weights_hash: str

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def reference(self) -> str:
        """`name@` and eight digits of the hash of the weights. Scores store it to say which weights made them."""
        return f"{self.name}@{self.weights_hash[:8]}"

    @property
    def pooling(self) -> str:
        """The aggregation through which the network learned from studies; '' where it has attention, or had none."""
        name = self.recipe.get("pooling", "")
        return "" if name.endswith("attention") else name

    def history(self) -> pd.DataFrame:
        """The history of training, one row per epoch; empty where there is no file.

        OverreadError where it cannot be read.
        """
        file = self.folder / HISTORY
        try:
            return _history(file_stamp(file)).copy()
        except FileNotFoundError:
            return pd.DataFrame()
        except (OSError, ValueError) as error:
            raise OverreadError(
                f"{file} cannot be read ({reason_of(error)}); expected the CSV that training wrote.",
                code="history-unreadable",
            ) from error

    def learned(self) -> pd.Series:
        """By SHA-1 of a file: 'train' where weights were fitted to it, 'tune' where it helped choose the epoch."""
        # Copies of a file have one SHA-1; 'train' sorts first and wins over 'tune'.
        parts = self._learned_rows().sort_values("part").drop_duplicates("sha1")
        return parts.set_index("sha1")["part"]

    def unlearned_by(self) -> pd.Series:
        """By SHA-1 of a file, the member of an ensemble that did not learn from it; empty for other networks."""
        frame = self._learned_rows()
        if "member" not in frame:
            return pd.Series(dtype="int64")
        return frame.drop_duplicates("sha1").set_index("sha1")["member"]

    def _learned_rows(self) -> pd.DataFrame:
        file = self.folder / LEARNED
        try:
            if file_hash(file) != self.manifest["files"][LEARNED]:
                raise ValueError(f"it does not have the hash that is in {MANIFEST}")
            frame = read_parquet(file)
            if lacking := {"sha1", "part"} - set(frame):
                raise ValueError(f"it lacks the column {min(lacking)}")
            return frame
        except (OSError, ValueError, KeyError) as error:
            raise OverreadError(
                f"{file} cannot be read ({reason_of(error)}). Restore it, or train again.", code="learned-unreadable"
            ) from error


@lru_cache(maxsize=64)
def _history(stamp: tuple[str, int, int]) -> pd.DataFrame:
    """The history in a file, read once for each state of the file (`file_stamp`)."""
    file = Path(stamp[0])
    check_file(file)
    return pd.read_csv(file)


def read_checkpoint(name_or_path: str | Path) -> Checkpoint:
    """The checkpoint, with its files compared to their hashes. OverreadError names a missing or altered file."""
    folder = checkpoint_folder(name_or_path)
    if not folder.is_dir():
        names = ", ".join(found.name for found in checkpoint_folders()) or "none yet"
        raise OverreadError(
            f"There is no checkpoint {str(name_or_path)!r} (found: {names}). Train one with: "
            f"python -m core train RECIPE --data NAME --out {folder.name}",
            code="checkpoint-missing",
        )
    for name in (MANIFEST, WEIGHTS, *_FIXED):
        if not (folder / name).is_file():
            raise OverreadError(
                f"The checkpoint {folder} lacks {name}; expected {', '.join((MANIFEST, WEIGHTS, *_FIXED))}. "
                "Restore the file, or train it again.",
                code="checkpoint-incomplete",
            )
    manifest = _json(folder / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise OverreadError(
            f"{folder / MANIFEST} has format {manifest.get('format')!r}; this version reads {FORMAT}. "
            "Use the version of Overread that wrote it.",
            code="checkpoint-format",
        )
    hashes = manifest.get("files")
    if not (isinstance(manifest.get("weights"), list) and isinstance(hashes, dict) and set(hashes) >= set(_FIXED)):
        raise OverreadError(
            f"{folder / MANIFEST} lacks the hashes of its files; restore it, or train the checkpoint again.",
            code="checkpoint-unhashed",
        )
    weights_hash = file_hash(folder / WEIGHTS)
    altered = [name for name in _FIXED if file_hash(folder / name) != manifest["files"][name]]
    if weights_hash not in manifest["weights"]:
        altered.append(WEIGHTS)
    if altered:
        raise OverreadError(
            f"The checkpoint {folder} was altered: {', '.join(altered)} does not have the hash stored in {MANIFEST}. "
            "Restore the file, or train it again.",
            code="checkpoint-altered",
        )
    spec = InputSpec.from_json((folder / SPEC).read_text(errors="replace"), str(folder / SPEC))
    read_header(folder / WEIGHTS)
    return Checkpoint(folder, _read_recipe(folder / RECIPE), spec, manifest, weights_hash)


def _read_recipe(file: Path) -> dict:
    """The recipe, with what every reader of it needs. OverreadError names what is missing or of another kind."""
    recipe = _json(file)
    for name, kind, words in (*_NEEDED, *(known for known in _OPTIONAL if known[0] in recipe)):
        if not isinstance(recipe.get(name), kind) or isinstance(recipe.get(name), bool):
            found = f"{name} is {str(recipe[name])[:40]!r}" if name in recipe else f"there is no {name}"
            raise OverreadError(
                f"{file} is not a recipe: {found}; expected {words}. Restore it, or train the checkpoint again.",
                code="recipe-invalid",
            )
    return recipe


def checkpoint_folders() -> list[Path]:
    """The folder of every checkpoint that has a manifest, whole or not, by name."""
    found = {
        file.parent.name: file.parent for root in reversed(checkpoint_roots()) for file in root.glob(f"*/{MANIFEST}")
    }
    return [found[name] for name in sorted(found)]


def list_checkpoints() -> tuple[list[Checkpoint], dict[str, str]]:
    """The whole checkpoints, and the error of each other one by name."""
    whole, broken = [], {}
    for folder in checkpoint_folders():
        try:
            whole.append(read_checkpoint(folder))
        except OverreadError as error:
            broken[folder.name] = str(error)
    return whole, broken


def begin_checkpoint(folder: Path, recipe_json: str, spec: InputSpec, learned: pd.DataFrame) -> dict:
    """Write the files that stay the same during a run, and return the manifest to save with the first weights.

    learned: `sha1` of each file, its `part` ('train' or 'tune') and, in an ensemble, the `member` that does not learn
    from it.
    """
    columns = [name for name in ("sha1", "part", "member") if name in learned]
    write_atomically(folder / RECIPE, lambda path: path.write_text(recipe_json))
    write_atomically(folder / SPEC, lambda path: path.write_text(spec.to_json()))
    write_parquet(folder / LEARNED, learned[columns], beside=False)  # the manifest has its hash
    return {"format": FORMAT, "weights": [], "files": {name: file_hash(folder / name) for name in _FIXED}}


def save_weights(folder: Path, manifest: dict, state: dict) -> dict:
    """Replace the weights (name to tensor) in a way that survives a kill. Returns the manifest as written."""
    from safetensors.torch import save

    content = save({name: value.detach().cpu().contiguous() for name, value in state.items()})
    new = hashlib.sha256(content).hexdigest()
    if (folder / WEIGHTS).exists():
        write_manifest(folder, {**manifest, "weights": [file_hash(folder / WEIGHTS), new]})
    write_atomically(folder / WEIGHTS, lambda path: path.write_bytes(content))
    return write_manifest(folder, {**manifest, "weights": [new]})


def write_manifest(folder: Path, manifest: dict) -> dict:
    """Write the manifest and return it."""
    text = json_text(manifest, indent=1)
    write_atomically(folder / MANIFEST, lambda path: path.write_text(text))
    return manifest


def load_model(checkpoint: Checkpoint):
    """The network with its weights, in eval mode, parameters frozen. OverreadError where the weights do not fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from core.models.networks import build

    file = checkpoint.folder / WEIGHTS
    most = 2 * count_elements(read_header(file)) + 1_000_000
    model = build(checkpoint.recipe["architecture"], checkpoint.recipe["model_kwargs"], most=most)
    try:
        model.load_state_dict(load_file(file))
    except (RuntimeError, SafetensorError) as error:
        raise OverreadError(
            f"{checkpoint.folder / WEIGHTS} does not fit {checkpoint.recipe['architecture']} "
            f"({reason_of(str(error).splitlines()[-1])}). Use the version of timm that {MANIFEST} names.",
            code="weights-mismatch",
        ) from error
    return model.eval().requires_grad_(False)


def read_manifest(folder: Path) -> dict:
    """The manifest of a folder, unchecked."""
    return _json(folder / MANIFEST)


def _json(file: Path) -> dict:
    try:
        return read_json(file)
    except (OSError, ValueError) as error:
        raise OverreadError(
            f"{file} cannot be used ({reason_of(error)}); expected a JSON object. Restore the file, or train the "
            "checkpoint again.",
            code="checkpoint-not-json",
        ) from error
