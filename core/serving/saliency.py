"""Maps of an uploaded study, each with its verdict, made in memory: nothing of an upload is kept."""

import base64
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.explain.attribution import attribute_study
from core.explain.faithfulness import check_parts
from core.explain.make_maps import bounded_threads
from core.explain.map_record import MapKey, MapRecord
from core.explain.map_values import MapSettings
from core.explain.method_registry import MethodRefused
from core.explain.overlay import full_strength, overlay_png
from core.explain.score_functions import StudyView
from core.serving.answers import StudyAnswer
from core.serving.decoding import DecodedView, Upload
from core.serving.reader import Reader
from core.workflows.trust import FILM_METHOD, network_auroc


def study_maps(
    reader: Reader, views: Sequence[DecodedView], cancelled: Callable[[], bool] | None = None
) -> dict[str, MapRecord]:
    """The record of the map of each usable view by its SHA-1, for the study's score: as a page would make it."""
    usable = sorted((view for view in views if view.pixels is not None), key=lambda view: view.sha1)
    if not usable:
        return {}
    aggregation = reader.aggregation if len(usable) > 1 else ""
    hashes = tuple(view.sha1 for view in usable)
    key = MapKey(
        reader.checkpoint.weights_hash,
        reader.spec.to_json(),
        hashes[0],
        FILM_METHOD,
        aggregation=aggregation,
        views=hashes if aggregation else (),
    )
    keys = [replace(key, sha1=one) for one in hashes]
    pixels = np.stack([view.pixels for view in usable if view.pixels is not None])
    settings, network = MapSettings(seed=keys[0].seed), network_auroc(reader.source)
    with bounded_threads():
        try:
            maps = attribute_study(reader.classifier, pixels, FILM_METHOD, aggregation, settings, cancelled)
        except MethodRefused as error:
            return {key.sha1: MapRecord(key, refused=str(error), network=network) for key in keys}
        records = {}
        for place, (key, made) in enumerate(zip(keys, maps)):
            study = StudyView(pixels, place, aggregation) if aggregation else None
            parts = [part() for part in check_parts(reader.classifier, pixels[place], made, settings, study, cancelled)]
            checks = tuple(check for part in parts for check in part.checks)
            records[key.sha1] = MapRecord(
                key, made, "", checks, parts[0].better_than_edges, parts[0].curves, network=network
            )
    return records


def read_with_maps(reader: Reader, files: Iterable[str | Path | Upload], bone: str = "") -> StudyAnswer:
    """`Reader.read`, with the map of each radiograph and the verdict on it, which takes seconds."""
    answer, views = reader.read_views(files, bone)
    started = time.perf_counter()
    return with_maps(answer, views, study_maps(reader, views)).timed(maps=(time.perf_counter() - started) * 1e3)


def with_maps(answer: StudyAnswer, views: Sequence[DecodedView], records: dict[str, MapRecord]) -> StudyAnswer:
    """The answer with the map and its verdict beside each usable view."""
    maps = [record.attribution.map for record in records.values() if record.attribution]
    top = max((full_strength(one) for one in maps), default=0.0)
    described = [
        replace(shown, saliency=_described(records[view.sha1], top) if view.sha1 in records else None)
        for shown, view in zip(answer.views, views)
    ]
    return replace(answer, views=tuple(described))


def _described(record: MapRecord, top: float) -> dict:
    """JSON values of a record; the map as a transparent PNG in the network's input, coloured as on the pages."""
    facts = {"method": record.key.method, "verdict": record.verdict, "why": record.why, "png": None}
    if record.attribution is None:
        return facts
    picture = overlay_png(record, "either way", least=0.1, top=top or None)
    return facts | {"png": base64.b64encode(picture).decode()}
