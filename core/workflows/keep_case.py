"""Keep an uploaded study as a case: its radiographs without headers, in a data set of its own."""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pandas as pd
from PIL import Image

from core.data.index import Dataset, build_index, write_dataset
from core.data.pixels import read_grey
from core.errors import OverreadError
from core.paths import home, write_atomically
from core.roles import needs
from core.scores.sealed_list import file_lock

NAME = "kept-cases"
_COLUMNS = ("path", "study_id", "patient_id", "bone", "kept_by", "kept_on", "note")


@needs("data")
def keep_case(files: Sequence[bytes], bone: str, author: str, note: str = "") -> tuple[Dataset, str]:
    """Keep the radiographs of one study, unlabelled. Returns the data set `kept-cases` and the id of the study.

    Radiographs become PNG files, so nothing of a DICOM header, and no name of a file, is kept. The same radiographs are
    kept once. The patient of the study is not known here, so each study counts as its own patient. OverreadError
    without a radiograph or a bone.
    """
    if not files:
        raise OverreadError("There is no radiograph to keep; add one first.", code="study-empty")
    bone = re.sub(r"[^a-z]", "", bone.lower())
    if not bone:
        raise OverreadError("The bone of the study is not named; name it, for example wrist.", code="bone-missing")
    digest = hashlib.sha256("".join(sorted(hashlib.sha256(one).hexdigest() for one in files)).encode()).hexdigest()
    study, root = f"kept-{digest[:12]}", home() / NAME
    manifest = root / "manifest.csv"
    with file_lock(manifest):
        rows = pd.read_csv(manifest, dtype="str", keep_default_na=False) if manifest.exists() else pd.DataFrame()
        if rows.empty or study not in set(rows["study_id"]):
            new = []
            for number, content in enumerate(files, 1):
                path = f"{study}/image{number}.png"
                grey = Image.fromarray(read_grey(Path(f"radiograph {number}"), content))
                write_atomically(root / path, partial(grey.save, format="png"))
                today = datetime.now(UTC).date().isoformat()
                new.append(dict(zip(_COLUMNS, (path, study, study, bone, author.strip(), today, note.strip()))))
            rows = pd.concat([rows, pd.DataFrame(new)], ignore_index=True).assign(label="", split="valid")
            text = rows.to_csv(index=False)
            write_atomically(manifest, lambda out: out.write_text(text, encoding="utf-8"))
        return write_dataset(NAME, build_index(manifest)), study
