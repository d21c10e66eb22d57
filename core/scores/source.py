"""What can be judged: a checkpoint, or the imported scores of another model. No torch."""

from dataclasses import dataclass
from pathlib import Path

from core.errors import OverreadError
from core.models.checkpoint import Checkpoint, list_checkpoints, read_checkpoint
from core.paths import checkpoint_folder, imported_folder
from core.scores.imports import Imported, list_imported, read_imported


@dataclass(frozen=True)
class Scored:
    """A source of scores. `source` is the Checkpoint or Imported behind it; `digest` the SHA-256 that says which.

    folder: where its operating points lie. dataset: the `name@hash8` of the one data set that imported scores belong
    to, '' where there is none and for a checkpoint, which can score any.
    """

    kind: str  # 'checkpoint' | 'imported'
    name: str
    reference: str
    digest: str
    folder: Path
    dataset: str
    source: Checkpoint | Imported

    @property
    def has_images(self) -> bool:
        """Whether its radiographs can be shown."""
        return self.kind == "checkpoint" or bool(self.dataset)


def scored_of(source: Checkpoint | Imported) -> Scored:
    """A checkpoint or an imported set as something to be judged."""
    if isinstance(source, Imported):
        digest, folder = source.predictions_hash, source.folder
        return Scored("imported", source.name, source.reference, digest, folder, source.dataset, source)
    return Scored("checkpoint", source.name, source.reference, source.weights_hash, source.folder, "", source)


def list_scored() -> list[Scored]:
    """Every whole checkpoint, then every imported set that can be read."""
    return [scored_of(source) for source in (*list_checkpoints()[0], *list_imported())]


def find_scored(name: str) -> Scored:
    """The checkpoint (a name or a folder) or the imported set of a name. OverreadError names what there is."""
    folder = checkpoint_folder(name)
    # Only a bare name can be an imported set; what is written as a path is a checkpoint's folder.
    imported = folder.name == name and (imported_folder(name) / "imported.json").exists()
    if folder.is_dir() and imported:
        raise OverreadError(
            f"{name!r} names both a checkpoint and imported scores; give the checkpoint as a path ({folder}), or "
            "import the scores under another name."
        )
    if imported:
        return scored_of(read_imported(name))
    if not folder.is_dir() and (there := [found.name for found in list_imported()]):
        raise OverreadError(
            f"There is no checkpoint and no imported set {name!r} (imported: {', '.join(there)}; checkpoints: "
            f"{', '.join(found.name for found in list_checkpoints()[0]) or 'none'})."
        )
    return scored_of(read_checkpoint(name))
