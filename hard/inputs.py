"""Every reader of files and texts that come from elsewhere, with whole examples of what it reads."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from core.errors import OverreadError
from hard import mutations
from hard.mutations import Mutation


@dataclass(frozen=True)
class Input:
    """What a reader reads: the ending of its file, whole examples, and a change that makes another input of one.

    slow: of ten inputs of other readers, this one gets one.
    """

    name: str
    ending: str
    examples: tuple[bytes, ...]
    change: Callable[[bytes, Random], Mutation]
    read: Callable[[Path], object]
    slow: bool = False


def find_inputs(home: Path) -> list[Input]:
    """All of them; `home` is the workspace, with a data set `demo` and a checkpoint `model`."""
    return [*_tables(), *_settings(), *_checkpoints(home), *_radiographs(), *_requests()]


def _tables() -> list[Input]:
    from core.data.datasets import read_index
    from core.data.manifest import read_manifest
    from core.data.source_layout import table_columns
    from core.scores.import_frame import Columns
    from core.scores.import_upload import check_table
    from core.workflows.import_scores import prepare_import

    manifest = _csv("path,label,bone,patient,study,split", "{n}.png,{odd},hand,p{n},s{n},valid", 12)
    scores = _csv("study,label,p,patient,bone,split", "s{n},{odd},0.{n}1,p{n},hand,valid", 12)
    known = read_index("demo")["path"].head(9)
    by_paths = "\n".join(["path,score", *(f"MURA-v1.1/{path},0.3{n}" for n, path in enumerate(known)), ""]).encode()
    named = Columns("label", "p", "study", "", "patient", "bone", "split")

    def both(file: Path) -> object:
        return check_table(file), prepare_import(file, "outside", named)

    def by_path(file: Path) -> object:
        return prepare_import(file, "outside", Columns("", "score", "", "path"), data="demo")

    return [
        Input("table of radiographs", ".csv", (manifest,), mutations.any_table, lambda file: read_manifest(file, {})),
        Input("columns of a table", ".csv", (manifest, scores), mutations.any_table, table_columns),
        Input("table of scores", ".csv", (scores,), mutations.any_table, both),
        Input("scores by path", ".csv", (by_paths,), mutations.any_table, by_path, slow=True),
        Input("table of verdicts", ".csv", (_verdicts(),), mutations.any_table, _import_verdicts, slow=True),
        Input("Parquet table", ".parquet", (_parquet(),), mutations.any_bytes, lambda file: read_manifest(file, {})),
    ]


def _csv(header: str, row: str, count: int) -> bytes:
    return "\n".join([header, *(row.format(n=n, odd=n % 2) for n in range(count)), ""]).encode()


def _parquet() -> bytes:
    import pandas as pd

    made = io.BytesIO()
    pd.DataFrame({"path": ["a.png", "b.png"], "bone": "hip", "label": [0, 1]}).to_parquet(made)
    return made.getvalue()


def _verdicts() -> bytes:
    from core.data.datasets import read_index

    studies = read_index("demo")["study_id"].drop_duplicates().head(6)
    rows = [f"demo,{study},Ana,abnormal,seen" for study in studies]
    return "\n".join(["dataset,study_id,reviewer,reading,note", *rows, ""]).encode()


def _import_verdicts(file: Path) -> object:
    from core.review.store import open_store
    from core.review.verdict_files import import_csv

    store = open_store(f"sqlite:///{file.parent / 'verdicts.sqlite'}")
    try:
        return import_csv(store, file, "demo")
    finally:
        store.engine.dispose()


def _settings() -> list[Input]:
    from core.data.augment import PRESETS, Augmentation, find_augmentation
    from core.data.augment.named import read_file
    from core.data.input_spec import InputSpec
    from core.metrics.thresholds.rules import parse_rule
    from core.review.database import _address
    from core.training.recipe import Recipe, with_settings
    from core.training.recipes import RECIPES
    from core.workflows.walkthroughs import read_cases

    recipes = tuple(recipe.to_json().encode() for recipe in RECIPES.values())
    specs = tuple(found.to_json().encode() for found in PRESETS.values())
    texts = tuple(found.to_text().encode() for found in PRESETS.values())
    rules = tuple(
        text.encode() for text in ("youden", "sensitivity>=0.95", "specificity>=90%", "cost=5", "miss<=0.05@0.05")
    )
    changes = (b"epochs=3", b"size=64", b"augmentation.rotation=10", b'model_kwargs={"width": 4}', b"left_out=[1, 2]")
    urls = (b"postgresql://me:secret@127.0.0.1:5432/verdicts", b"sqlite:///a.sqlite")
    first = next(iter(RECIPES.values()))

    def changed(file: Path) -> object:
        return with_settings(first, [_text(file)])

    def address(file: Path) -> object:
        try:
            return _address(_text(file))
        except OverreadError as error:
            if "secret" in str(error):
                raise RuntimeError("the password is shown") from error
            raise

    return [
        Input("recipe.json", ".json", recipes, mutations.any_json, lambda file: Recipe.from_json(_text(file))),
        Input("input_spec.json", ".json", (InputSpec(64).to_json().encode(),), mutations.any_json, _spec),
        Input("augmentation file", ".json", specs, mutations.any_json, read_file),
        Input("augmentation text", ".txt", texts, mutations.any_text, lambda file: Augmentation.from_text(_text(file))),
        Input("name of an augmentation", ".txt", (f"strong@{PRESETS['strong'].hash()}".encode(),), mutations.any_text,
              lambda file: find_augmentation(_text(file))),
        Input("rule of a threshold", ".txt", rules, mutations.any_text, lambda file: parse_rule(_text(file))),
        Input("setting of a recipe", ".txt", changes, mutations.any_text, changed),
        Input("address of a database", ".txt", urls, mutations.any_text, address),
        Input("typed cases", ".txt", (b"s1 | see the film\ns2\n",), mutations.any_text,
              lambda file: read_cases(_text(file))),
    ]  # fmt: skip


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "replace")


def _spec(file: Path) -> object:
    from core.data.input_spec import InputSpec

    return InputSpec.from_json(_text(file))


def _checkpoints(home: Path) -> list[Input]:
    """Files of a checkpoint whose manifest has the hashes of the changed files, and weights of other programs."""
    import torch
    from safetensors.torch import save

    from core.models.networks import build
    from core.models.networks.weight_files import read_weights
    from core.training.recipe import Recipe

    network = build("small_cnn", {"width": 4, "hidden": 8})
    recipe = Recipe("fuzzed", "small_cnn", {"width": 4, "hidden": 8}, size=32)
    weights, pickled, nested = save(network.state_dict()), io.BytesIO(), io.BytesIO()
    torch.save(network.state_dict(), pickled)
    torch.save({"model": network.state_dict(), "epoch": 3}, nested, _use_new_zipfile_serialization=False)
    folder = home / "checkpoints" / "fuzzed"
    whole = {"recipe.json": recipe.to_json().encode(), "input_spec.json": recipe.input_spec().to_json().encode()}
    whole |= {"weights.safetensors": weights}

    def reader(name: str) -> Callable[[Path], object]:
        return lambda file: _read_checkpoint(folder, {**whole, name: file.read_bytes()})

    return [
        Input("recipe of a checkpoint", ".json", (whole["recipe.json"],), mutations.any_json, reader("recipe.json")),
        Input("input of a checkpoint", ".json", (whole["input_spec.json"],), mutations.any_json,
              reader("input_spec.json")),
        Input("weights of a checkpoint", ".safetensors", (weights,), mutations.any_bytes,
              reader("weights.safetensors")),
        Input("weights as .pth", ".pth", (pickled.getvalue(), nested.getvalue()), mutations.any_bytes, read_weights),
        Input("weights as .safetensors", ".safetensors", (weights,), mutations.any_bytes, read_weights),
        Input("manifest of a checkpoint", ".json", (_manifest(whole).encode(),), mutations.any_json,
              lambda file: _read_checkpoint(folder, whole, file.read_bytes())),
    ]  # fmt: skip


def _manifest(files: dict[str, bytes]) -> str:
    import hashlib

    def digest(name: str) -> str:
        return hashlib.sha256(files.get(name, _LEARNED)).hexdigest()

    fixed = {name: digest(name) for name in ("recipe.json", "input_spec.json", "learned.parquet")}
    facts = {"dataset": "demo", "index_hash": "x", "parameters": 1234, "epoch": 1, "phantom": True}
    return json.dumps({"format": 1, "weights": [digest("weights.safetensors")], "files": fixed, **facts})


def _learned() -> bytes:
    import pandas as pd

    made = io.BytesIO()
    pd.DataFrame({"sha1": ["a" * 40], "part": ["train"]}).to_parquet(made)
    return made.getvalue()


_LEARNED = _learned()


def _read_checkpoint(folder: Path, files: dict[str, bytes], manifest: bytes = b"") -> object:
    from core.models.checkpoint import list_checkpoints, load_model, read_checkpoint

    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {**files, "learned.parquet": _LEARNED}.items():
        (folder / name).write_bytes(content)
    (folder / "checkpoint.json").write_bytes(manifest or _manifest(files).encode())
    found = read_checkpoint(folder.name)
    list_checkpoints()
    return found.reference, found.pooling, found.learned(), load_model(found)


def _radiographs() -> list[Input]:
    from core.data.archives import unpack
    from core.data.dicom import DAMAGE
    from core.data.dicom_rows import read_header
    from core.data.file_facts import inspect_file
    from core.data.input_spec import InputSpec
    from core.data.pixels import read_grey
    from core.serving.decoding import Upload, decode_view
    from core.serving.dicom_report import image_header, is_own

    spec = InputSpec(64)

    def both(file: Path) -> object:
        # One refusal must not hide what the others do with the same file.
        error = None
        for read in (inspect_file, read_grey, lambda path: decode_view(Upload("a", path.read_bytes()), spec)):
            try:
                read(file)
            except OverreadError as refusal:
                error = refusal
        if error:
            raise error
        return "read"

    def dicom(file: Path) -> object:
        try:
            header = image_header(Upload(file.name, file.read_bytes()))
        except DAMAGE:
            pass  # the service refuses it
        else:
            is_own(header)
        read_header(file)
        return both(file)

    def zipped(file: Path) -> object:
        import shutil

        target = file.with_name("unpacked")
        shutil.rmtree(target, ignore_errors=True)
        unpack(file, target)
        outside = [path for path in target.rglob("*") if path.is_symlink() or not path.resolve().is_relative_to(target)]
        assert not outside, "a file outside the folder"
        return "read"

    pictures = {kind: tuple(_pictures(kind)) for kind in ("PNG", "JPEG", "TIFF", "BMP")}
    return [
        *(Input(kind, f".{kind.lower()}", found, mutations.any_bytes, both) for kind, found in pictures.items()),
        Input("DICOM", ".dcm", tuple(_dicoms()), mutations.any_bytes, dicom),
        Input("zip", ".zip", (_zip(pictures["PNG"][0]),), mutations.any_zip, zipped),
    ]


def _grey() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (40, 32)).astype(np.uint8)


def _pictures(kind: str) -> list[bytes]:
    grey, found = Image.fromarray(_grey()), []
    modes = {"PNG": ("L", "I;16", "RGBA", "P"), "JPEG": ("L", "RGB", "CMYK"), "TIFF": ("L", "I;16"), "BMP": ("L",)}
    for mode in modes[kind]:
        made = io.BytesIO()
        grey.convert(mode).save(made, kind)
        found.append(made.getvalue())
    if kind == "JPEG":
        made = io.BytesIO()
        grey.save(made, kind, progressive=True)
        found.append(made.getvalue())
    return found


def _dicoms() -> list[bytes]:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, generate_uid

    found, pixels = [], _grey().astype(np.uint16) * 16
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
        dataset.Modality, dataset.BodyPartExamined, dataset.PatientID = "CR", "WRIST", "MRN-4711"
        dataset.StudyInstanceUID, dataset.WindowCenter, dataset.WindowWidth = generate_uid(), 2000, 3000
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 0
        dataset.PixelData = pixels.tobytes()
        if syntax == RLELossless:
            dataset.compress(RLELossless)
        made = io.BytesIO()
        dataset.save_as(made, enforce_file_format=True)
        found.append(made.getvalue())
    return found


def _zip(picture: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        for name in ("a.png", "b/c.png", "labels.csv"):
            opened.writestr(name, picture if name.endswith("png") else "path,label,bone\na.png,1,hand\n")
    return made.getvalue()


def _requests() -> list[Input]:
    import base64

    from core.serving.inference_tensors import parse_request
    from core.serving.tokens import read_tokens

    image = base64.b64encode(next(iter(_pictures("PNG")))).decode()
    tensors = [
        {"name": "image", "shape": [1], "datatype": "BYTES", "data": [image]},
        {"name": "study", "shape": [1], "datatype": "BYTES", "data": ["s1"]},
    ]
    pixels = [{"name": "pixels", "shape": [1, 8, 8], "datatype": "UINT8", "data": _grey()[:8, :8].tolist()}]
    requests = tuple(json.dumps({"id": "1", "inputs": inputs}).encode() for inputs in (tensors, pixels))
    tokens = b"archive score " + b"a" * 64 + b"\n# a comment\nadmin score,admin " + b"b" * 64 + b"\n"
    return [
        Input("request of the service", ".json", requests, mutations.any_json,
              lambda file: parse_request(file.read_bytes(), "", 8)),
        Input("tokens", ".txt", (tokens,), mutations.any_bytes, read_tokens),
    ]  # fmt: skip
