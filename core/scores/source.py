"""The source of scores: a data set, and the checkpoint or imported scores that are evaluated on it. No torch.

A `Source` is a value. Two sources are equal only where data set, index, weights (or imported table) and the stored
score files are the same, so a source is its own cache key. `core.scores.view` says which part of it is evaluated.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path

from core.data.index import Dataset, read_dataset
from core.data.references import same_content
from core.errors import OverreadError
from core.models.checkpoint import PREDICTIONS, Checkpoint, list_checkpoints, read_checkpoint
from core.paths import checkpoint_folder, file_stamp, home, imported_folder, records_folder
from core.scores.imports import SCORES, ImportedScores, list_imported, read_imported
from core.scores.predictions import predictions_file


@dataclass(frozen=True)
class Source:
    """A data set and a checkpoint or imported scores. Hashable; compares by names, hashes and score files.

    kind: 'checkpoint', 'imported', or 'none' for a data set without a model. digest: SHA-256 of the weights or of the
    imported scores. data, index_hash: the data set; both '' where none was named, as for the scores that a checkpoint
    carries itself. workspace: its folder. stamps: when each file that may hold the scores was last written. model,
    dataset: the objects behind the names; the model is None for the kind 'none'.
    """

    kind: str
    name: str
    digest: str
    data: str
    index_hash: str
    workspace: str
    stamps: tuple
    model: Checkpoint | ImportedScores | None = field(compare=False, repr=False)
    dataset: Dataset | None = field(compare=False, repr=False, default=None)

    @property
    def key(self) -> tuple:
        """The plain values by which sources are compared; two equal sources have equal keys."""
        return tuple(getattr(self, one.name) for one in fields(self) if one.compare)

    @property
    def reference(self) -> str:
        """`name@` and eight digits of the digest, as stored with the scores; '' without a model."""
        return self.model.reference if self.model else ""

    @property
    def folder(self) -> Path:
        """The folder of the checkpoint or of the imported scores."""
        return self.checkpoint.folder if self.has_network else self.imported.folder

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint. OverreadError where the source has none."""
        if isinstance(self.model, Checkpoint):
            return self.model
        raise OverreadError(
            f"{self.name or self.data or 'This source'} has no network, which is needed here; choose a checkpoint.",
            code="network-missing",
        )

    @property
    def imported(self) -> ImportedScores:
        """The imported scores. OverreadError where the source has none."""
        if isinstance(self.model, ImportedScores):
            return self.model
        raise OverreadError(
            f"{self.name or self.data or 'This source'} has no imported scores; choose some, or import them with: "
            "python -m core import-predictions.",
            code="imported-missing",
        )

    @property
    def indexed(self) -> Dataset:
        """The data set with its radiographs. OverreadError where none was named."""
        if self.dataset:
            return self.dataset
        raise OverreadError(
            f"{self.name or 'This'} needs a data set; choose one, or pass --data NAME.", code="data-set-missing"
        )

    @property
    def scores_file(self) -> Path:
        """The file of the checkpoint's scores on the data set, whether or not it exists."""
        return predictions_file(self.checkpoint.name, self.indexed.name)

    def tta_file(self, augmentation: str, draws: int) -> Path:
        """The file of scores with test-time augmentation, next to the plain ones. augmentation: its hash."""
        return self.scores_file.with_name(f"{self.name}.tta-{augmentation}-{draws}.parquet")

    def file_to_write(self, name: str) -> Path:
        """The file of a record about these scores, such as their operating points. A checkpoint is never written to."""
        folder = records_folder(self.name, self.digest) if self.kind == "checkpoint" else self.folder
        return folder / name

    def file_to_read(self, name: str) -> Path:
        """The file of such a record; where there is none yet, that beside the weights, from earlier versions."""
        file = self.file_to_write(name)
        return file if file.exists() else self.folder / name

    @property
    def belongs_to(self) -> str:
        """`name@hash8` of the one data set that imported scores were matched to; '' for any other source."""
        return self.model.dataset if isinstance(self.model, ImportedScores) else ""

    @property
    def is_scored(self) -> bool:
        """Whether any file of its scores exists."""
        return any(modified for _, modified, _ in self.stamps)

    @property
    def has_images(self) -> bool:
        """Whether its radiographs can be shown."""
        return self.dataset.kind != "scores" if self.dataset else self.kind == "checkpoint" or bool(self.belongs_to)

    @property
    def has_network(self) -> bool:
        """Whether the network can be run; imported scores have none."""
        return self.kind == "checkpoint"

    def record(self) -> dict:
        """JSON values that identify the source in a walkthrough, a lock, a job or a report."""
        return {
            "kind": self.kind,
            "name": self.name,
            "digest": self.digest,
            "data": self.data,
            "index_hash": self.index_hash,
        }


def source_of(model: Checkpoint | ImportedScores | None, dataset: Dataset | None = None) -> Source:
    """The source of a checkpoint or an imported set, on a data set where one is meant. None: the data set alone."""
    if model is None:
        data, index_hash = (dataset.name, dataset.index_hash) if dataset else ("", "")
        return Source("none", "", "", data, index_hash, str(home()), (), None, dataset)
    if isinstance(model, ImportedScores):
        kind, digest, files = "imported", model.predictions_hash, [model.folder / SCORES]
    else:
        kind, digest, files = "checkpoint", model.weights_hash, [model.folder / PREDICTIONS]
        if dataset and dataset.kind != "scores":
            files.insert(0, predictions_file(model.name, dataset.name))
    data, index_hash = (dataset.name, dataset.index_hash) if dataset else ("", "")
    stamps = tuple(file_stamp(file) for file in files)
    return Source(kind, model.name, digest, data, index_hash, str(home()), stamps, model, dataset)


def list_sources() -> list[Source]:
    """Every whole checkpoint, then every imported set that can be read; without a data set."""
    return [source_of(model) for model in (*list_checkpoints()[0], *list_imported())]


def find_source(name: str, dataset: Dataset | None = None) -> Source:
    """The checkpoint (a name or a folder) or the imported set of a name. OverreadError lists the known names."""
    folder = checkpoint_folder(name)
    # Only a bare name can be an imported set; a path is the folder of a checkpoint.
    imported = folder.name == name and (imported_folder(name) / "imported.json").exists()
    if folder.is_dir() and imported:
        raise OverreadError(
            f"{name!r} names both a checkpoint and imported scores; give the checkpoint as a path ({folder}), or "
            "import the scores under another name.",
            code="source-ambiguous",
        )
    if imported:
        return source_of(read_imported(name), dataset)
    if not folder.is_dir() and (imported_names := [found.name for found in list_imported()]):
        raise OverreadError(
            f"There is no checkpoint and no imported set {name!r} (imported: {', '.join(imported_names)}; checkpoints: "
            f"{', '.join(found.name for found in list_checkpoints()[0]) or 'none'}).",
            code="source-unknown",
        )
    return source_of(read_checkpoint(name), dataset)


def find_source_on(name: str, data: str) -> Source:
    """The source of a name, on the data set of a name; '' for none."""
    return find_source(name, read_dataset(data) if data else None)


def same_dataset(source: Source, reference: str) -> bool:
    """Whether `name@hash8` is the data set of this source; names may have changed since."""
    return source.dataset is not None and same_content(source.dataset.reference, reference)
