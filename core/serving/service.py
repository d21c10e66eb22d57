"""The service behind every protocol: admits requests, decodes in processes, scores in batches, decides, logs.

It knows nothing of HTTP: `core.serving.app` and `core.serving.inference_protocol` translate requests and answers.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from core.data.input_spec import InputSpec
from core.device import move_to_device
from core.errors import OverreadError
from core.explain.attribution_target import MapCancelled
from core.explain.map_record import MapRecord
from core.models.checkpoint import load_model
from core.serving.answers import StudyAnswer
from core.serving.batching import Batcher, TooLate
from core.serving.decision_log import DecisionLog
from core.serving.decoding import DecodedView, Upload
from core.serving.decoding_pool import DecodingPool, MakePool, process_pool
from core.serving.limits import Limits
from core.serving.measurements import Measurements
from core.serving.reader import Reader, check_count, usable_pixels
from core.serving.saliency import study_maps, with_maps

_MOST_MAPS, _SECONDS_OF_MAPS = 4, 10.0  # studies whose maps may wait, and about the seconds of one


class Busy(OverreadError):
    """The queue is full. seconds: when to try again."""

    def __init__(self, seconds: int):
        self.seconds = seconds
        super().__init__(f"The service is busy; try again in {seconds} s.", code="service-busy")

    def __reduce__(self):
        return type(self), (self.seconds,)


class NothingUsable(OverreadError):
    """No radiograph of a study could be used. answer: says why for each of `views`."""

    def __init__(self, answer: StudyAnswer, views: Sequence[DecodedView]):
        self.answer, self.views = answer, tuple(views)
        super().__init__(answer.why, code="study-unusable")


@dataclass(frozen=True)
class ServedModel:
    """A reader with one batcher for each copy of its network."""

    reader: Reader
    batchers: tuple[Batcher, ...]

    def least_busy(self) -> Batcher:
        """The copy with the fewest requests, waiting or being scored."""
        return min(self.batchers, key=lambda batcher: batcher.unanswered)


@dataclass(frozen=True)
class StudyRequest:
    """One study to read. model: '' for the first served. deadline: by `time.monotonic`. maps: add saliency maps.

    views: radiographs that the client decoded for this model, in place of uploads.
    """

    uploads: tuple[Upload, ...]
    model: str = ""
    bone: str = ""
    deadline: float = float("inf")
    maps: bool = False
    views: tuple[DecodedView, ...] = ()


@dataclass(frozen=True)
class StudyReading:
    """An answer, the decoded views it is about in the same order, and their maps by SHA-1."""

    answer: StudyAnswer
    views: tuple[DecodedView, ...]
    maps: dict[str, MapRecord]


@dataclass
class Service:
    """Served models with their shared queue and pools. shadows: score the same studies, and are only logged."""

    models: dict[str, ServedModel]
    shadows: tuple[ServedModel, ...] = ()
    limits: Limits = Limits()
    log: DecisionLog | None = None
    measurements: Measurements = field(default_factory=Measurements)
    decoders: int = 0
    make_pool: MakePool = process_pool

    def __post_init__(self) -> None:
        self.ready, self._open, self._seconds = False, 0, 0.1
        self._decoding = DecodingPool(self.decoders, self.make_pool)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="overread-log")
        self._mapper = ThreadPoolExecutor(1, thread_name_prefix="overread-maps")
        self._maps_waiting = 0
        self._background: set[asyncio.Task] = set()

    def start(self) -> None:
        """Start the decoding processes and run each network once, so that the first client does not wait for it."""
        started = self._decoding.start()
        for served in (*self.models.values(), *self.shadows):
            size = served.reader.spec.size
            for batcher in served.batchers:
                for count in (1, 2):
                    batcher.submit(np.zeros((count, size, size), np.uint8)).result()
        for process in started:
            process.result()
        self.ready = True

    async def stop(self) -> None:
        """Finish the accepted studies, then stop."""
        self.ready = False
        if self._background:
            await asyncio.wait(self._background)
        for served in (*self.models.values(), *self.shadows):
            for batcher in served.batchers:
                await asyncio.to_thread(batcher.close)
        self._writer.shutdown()
        self._mapper.shutdown()
        self._decoding.close()

    def find(self, name: str = "", version: str = "") -> ServedModel:
        """A served model by name, the first for ''. OverreadError lists the served ones."""
        served = self.models.get(name) if name else next(iter(self.models.values()))
        if served is None or (version and version != served.reader.version):
            known = ", ".join(f"{one.reader.name} (version {one.reader.version})" for one in self.models.values())
            wanted = f"{name}, version {version}" if version else name
            raise OverreadError(f"There is no model {wanted[:80]!r} here; served: {known}.", code="model-unknown")
        return served

    @contextmanager
    def admission(self, studies: int = 1):
        """A place in the bounded queue, before the body of a request is read. Raises Busy where it is full."""
        if self._open + studies > self.limits.waiting and self._open:
            self.measurements.refused("service-busy")
            raise Busy(max(1, round(self._open * self._seconds)))
        self._open += studies
        started = time.monotonic()
        try:
            yield
        finally:
            self._open -= studies
            self._seconds += 0.1 * ((time.monotonic() - started) / max(1, self._open + studies) - self._seconds)

    @property
    def open_requests(self) -> int:
        """Studies that were admitted and are not answered yet."""
        return self._open

    async def read(self, request: StudyRequest) -> StudyAnswer:
        """The answer for one study. Raises NothingUsable, TooLate, or OverreadError for a study that cannot be read."""
        return (await self.read_views(request)).answer

    async def read_views(self, request: StudyRequest) -> StudyReading:
        """The answer for one study, with its decoded views and its maps. Raises what `read` raises."""
        started = time.monotonic()
        served = self.find(request.model)
        reader = served.reader
        check_count(len(request.views or request.uploads), self.limits)
        views = await self._decode(request, reader)
        decoded = time.monotonic()
        views = reader.admit(views, request.bone)
        pixels = usable_pixels(views)
        if time.monotonic() > request.deadline:
            raise TooLate
        if not len(pixels):
            answer = reader.answer(views, pixels)
            self.measurements.unusable(view.code for view in views)
            await self._append(answer, request.bone)
            raise NothingUsable(answer, views)
        outputs = await asyncio.wrap_future(served.least_busy().submit(pixels, request.deadline))
        answer = reader.answer(views, outputs)
        maps = await self._make_maps(views, request, reader) if request.maps else {}
        answer = with_maps(answer, views, maps)
        ended = time.monotonic()
        answer = answer.timed(
            decode=(decoded - started) * 1e3, score=(ended - decoded) * 1e3, total=(ended - started) * 1e3
        )
        self.measurements.answered(answer, ended - started)
        await self._append(answer, request.bone)
        if self.shadows:
            task = asyncio.create_task(self._shadow(request, reader.spec))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        return StudyReading(answer, tuple(views), maps)

    async def _make_maps(self, views: list[DecodedView], request: StudyRequest, reader: Reader) -> dict[str, MapRecord]:
        """The maps of a study, made one study at a time beside the scoring; they end where the deadline passes."""
        if self._maps_waiting >= _MOST_MAPS:
            raise Busy(max(1, round(self._maps_waiting * _SECONDS_OF_MAPS)))
        self._maps_waiting += 1
        try:
            call = partial(study_maps, reader, views, lambda: time.monotonic() > request.deadline)
            return await asyncio.get_running_loop().run_in_executor(self._mapper, call)
        except MapCancelled as error:
            raise TooLate from error
        finally:
            self._maps_waiting -= 1

    async def _append(self, answer: StudyAnswer, bone: str, shadow: bool = False) -> None:
        """Log an answer. It is given only once it is on the disk."""
        if self.log:
            call = partial(self.log.append, answer, shadow=shadow, bone=bone)
            await asyncio.get_running_loop().run_in_executor(self._writer, call)

    async def _shadow(self, request: StudyRequest, decoded_for: InputSpec) -> None:
        """Score a study with the shadow models, for the log alone; no failure of theirs reaches a client."""
        for served in self.shadows:
            other, spec = served.reader.spec, decoded_for
            if request.views and (other.size, other.fit) != (spec.size, spec.fit):
                self.measurements.refused("shadow-needs-files")
                continue
            try:
                started = time.monotonic()
                views = served.reader.admit(await self._decode(request, served.reader), request.bone)
                pixels = usable_pixels(views)
                if not len(pixels):
                    continue
                outputs = await asyncio.wrap_future(served.least_busy().submit(pixels))
                answer = served.reader.answer(views, outputs).timed(total=(time.monotonic() - started) * 1e3)
                await self._append(answer, request.bone, shadow=True)
            except Exception:  # noqa: BLE001 - counted, since nobody waits for it
                self.measurements.refused("shadow-failed")

    async def _decode(self, request: StudyRequest, reader: Reader) -> list[DecodedView]:
        """Every view decoded in the pool of processes, within the deadline."""
        left = min(request.deadline - time.monotonic(), self.limits.seconds)
        if left <= 0:
            raise TooLate
        if request.views:
            return list(request.views)
        pending = [self._decoding.decode(upload, reader.spec, self.limits) for upload in request.uploads]
        try:
            return list(await asyncio.wait_for(asyncio.gather(*pending), left))
        except TimeoutError as error:
            raise TooLate from error


def served_models(readers: Sequence[Reader], largest: int = 32) -> list[ServedModel]:
    """Each reader with a batcher on its device; on several GPUs one copy of the network for each."""
    found = []
    for reader in readers:
        batchers = [Batcher(reader.runtime.scorer, largest)]
        if reader.classifier.device.type == "cuda":
            for number in range(1, torch.cuda.device_count()):
                where = torch.device("cuda", number)
                copy = move_to_device(load_model(reader.checkpoint), where)
                batchers.append(Batcher(replace(reader.classifier, model=copy, device=where), largest))
        found.append(ServedModel(reader, tuple(batchers)))
    return found
