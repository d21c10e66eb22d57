"""Tensors of the Open Inference Protocol: a request with radiographs, and an answer with scores and decisions.

One of two inputs: `image`, BYTES [n], each element a PNG, JPEG or DICOM file; or `pixels`, UINT8 [n, size, size],
radiographs that the client decoded and fitted to the model's input itself. The optional input `study`, BYTES [n], names
the study of each; without it all are one study. Outputs have one row per study, in the order in which studies first
appear, but `view_score` has one per radiograph. Raw binary tensors follow the JSON header, as in the binary extension.
"""

import base64
import binascii
import hashlib
import json
import math
import struct
from dataclasses import dataclass

import numpy as np
from fastapi import Response

from core.errors import OverreadError
from core.serving.answers import StudyAnswer
from core.serving.decoding import DecodedView, Upload

LENGTH_HEADER = "inference-header-content-length"
OUTPUTS = {"score": "FP64", "logit": "FP64", "decision": "BYTES", "why": "BYTES", "view_score": "FP64"}
_INPUTS = ("image", "pixels", "study")


@dataclass(frozen=True)
class InferenceRequest:
    """A parsed request. images: the files, or pixels: uint8 [n, size, size]; studies: the study of each.

    outputs: {name: whether it is wanted raw}.
    """

    id: str
    images: list[bytes]
    pixels: np.ndarray | None
    studies: list[str]
    outputs: dict[str, bool]


def grouped_by_study(wanted: InferenceRequest) -> list[tuple[tuple[Upload, ...], tuple[DecodedView, ...]]]:
    """The files and the decoded radiographs of each study, named by their numbers in the request."""
    grouped: dict[str, tuple[list[Upload], list[DecodedView]]] = {}
    for number, study in enumerate(wanted.studies):
        uploads, views = grouped.setdefault(study, ([], []))
        if wanted.pixels is None:
            uploads.append(Upload(str(number), wanted.images[number]))
        else:
            square = wanted.pixels[number]
            content = square.tobytes()
            digest, sha1 = hashlib.sha256(content).hexdigest(), hashlib.sha1(content).hexdigest()
            views.append(DecodedView(str(number), digest, sha1, pixels=square, side=len(square)))
    return [(tuple(uploads), tuple(views)) for uploads, views in grouped.values()]


def parse_request(body: bytes, header_length: str, size: int) -> InferenceRequest:
    """A request from its body. OverreadError if it is malformed.

    header_length: that of the JSON part, where raw tensors follow it, else ''. size: the side of the model's input.
    """
    if header_length and not header_length.isdigit():
        raise _malformed("Inference-Header-Content-Length is not a number")
    length = int(header_length) if header_length else len(body)
    if length > len(body):
        raise _malformed("Inference-Header-Content-Length is larger than the request")
    try:
        facts = json.loads(body[:length])
        inputs = {str(one["name"]): one for one in facts["inputs"]}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _malformed("it is not JSON with a list 'inputs' of named tensors") from error
    if unknown := sorted(set(inputs) - set(_INPUTS)):
        raise _malformed(f"it has the input {unknown[0][:40]!r}; expected one of {', '.join(_INPUTS)}")
    if ("image" in inputs) == ("pixels" in inputs):
        raise _malformed("it has both 'image' and 'pixels', or neither; expected one of them")
    raw, pixels = body[length:], None
    tensors: dict[str, list[bytes]] = {"image": [], "study": []}
    for name, one in inputs.items():
        if name == "pixels":
            pixels, raw = _squares(one, raw, size)
        else:
            tensors[name], raw = _elements(one, name, raw)
    count = len(tensors["image"]) if pixels is None else len(pixels)
    studies = [value.decode("utf-8", "replace") for value in tensors["study"]] if "study" in inputs else [""] * count
    if not count:
        raise _malformed("it has no radiograph")
    if len(studies) != count:
        raise _malformed(f"'study' has {len(studies)} elements and the radiographs are {count}; expected as many")
    return InferenceRequest(str(facts.get("id") or "")[:200], tensors["image"], pixels, studies, _wanted_outputs(facts))


def _squares(one: dict, raw: bytes, side: int) -> tuple[np.ndarray, bytes]:
    """Decoded radiographs uint8 [n, side, side], and what is left of the raw data."""
    try:
        shape = [int(length) for length in one["shape"]]
        if one["datatype"] != "UINT8":
            raise _malformed(f"the input 'pixels' is {str(one['datatype'])[:20]}; expected UINT8")
        if len(shape) != 3 or shape[0] < 0 or shape[1:] != [side, side]:
            raise _malformed(f"the shape of 'pixels' is {shape[:4]}; expected [n, {side}, {side}]")
        if "binary_data_size" in (one.get("parameters") or {}):
            size = int(one["parameters"]["binary_data_size"])
            if size != math.prod(shape) or size > len(raw):
                raise _malformed(f"the raw data of 'pixels' are {len(raw)} bytes; expected {math.prod(shape)}")
            return np.frombuffer(raw[:size], np.uint8).reshape(shape), raw[size:]
        values = np.asarray(one["data"], dtype=np.float64)
        if values.size != math.prod(shape) or not ((values >= 0) & (values <= 255) & (values % 1 == 0)).all():
            raise _malformed("the data of 'pixels' are not as many whole numbers from 0 to 255 as its shape says")
        return values.astype(np.uint8).reshape(shape), raw
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, OverreadError):
            raise
        raise _malformed("the input 'pixels' is not a tensor with datatype, shape and data") from error


def _elements(one: dict, name: str, raw: bytes) -> tuple[list[bytes], bytes]:
    """The elements of a BYTES tensor, and what is left of the raw data."""
    try:
        parameters = one.get("parameters") or {}
        shape = [int(size) for size in one["shape"]]
        if one["datatype"] != "BYTES":
            raise _malformed(f"the input {name!r} is {str(one['datatype'])[:20]}; expected BYTES")
        if "binary_data_size" in parameters:
            size = int(parameters["binary_data_size"])
            if not 0 <= size <= len(raw):
                raise _malformed(f"the raw data of {name!r} are {len(raw)} bytes; expected {size}")
            values, raw = _split(raw[:size], name), raw[size:]
        else:
            decode = base64.b64decode if parameters.get("content_type") == "base64" else None
            values = [decode(text, validate=True) if decode else text.encode() for text in _flat(one["data"])]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, binascii.Error) as error:
        if isinstance(error, OverreadError):
            raise
        raise _malformed(f"the input {name!r} is not a tensor with datatype, shape and data") from error
    if math.prod(shape) != len(values) or any(size < 0 for size in shape):
        raise _malformed(f"the input {name!r} has {len(values)} elements; its shape is {shape[:4]}")
    return values, raw


def _split(raw: bytes, name: str) -> list[bytes]:
    """Elements that are each preceded by their length, four bytes, little endian."""
    values, place = [], 0
    while place < len(raw):
        if place + 4 > len(raw):
            raise _malformed(f"the raw data of {name!r} end within a length")
        (size,) = struct.unpack_from("<I", raw, place)
        place += 4 + size
        if place > len(raw):
            raise _malformed(f"the raw data of {name!r} end within an element")
        values.append(raw[place - size : place])
    return values


def _flat(data) -> list[str]:
    if isinstance(data, list):
        return [text for one in data for text in _flat(one)]
    if not isinstance(data, str):
        raise TypeError(type(data).__name__)
    return [data]


def _wanted_outputs(facts: dict) -> dict[str, bool]:
    try:
        everywhere = bool((facts.get("parameters") or {}).get("binary_data_output"))
        listed = facts.get("outputs") or [{"name": name} for name in OUTPUTS]
        wanted = {
            str(one["name"]): bool((one.get("parameters") or {}).get("binary_data", everywhere)) for one in listed
        }
    except (TypeError, KeyError, AttributeError) as error:
        raise _malformed("its 'outputs' are not a list of named tensors") from error
    if unknown := sorted(set(wanted) - set(OUTPUTS)):
        raise _malformed(f"there is no output {unknown[0][:40]!r}; expected {', '.join(OUTPUTS)}")
    return wanted


def encode_answers(wanted: InferenceRequest, answers: list[StudyAnswer], version: str, model: str) -> Response:
    """The response for the answers; a study that could not be scored has NaN, which JSON writes as null."""
    # Files were numbered in the order of the request; studies may be mixed in it.
    views = {int(view.file): view.score for answer in answers for view in answer.views}
    columns: dict[str, list] = {
        "score": [answer.score for answer in answers],
        "logit": [answer.logit for answer in answers],
        "decision": [answer.decision or "" for answer in answers],
        "why": [answer.why for answer in answers],
        "view_score": [views[number] for number in sorted(views)],
    }
    outputs, raw = [], b""
    for name, binary in wanted.outputs.items():
        values = columns[name]
        facts: dict = {"name": name, "datatype": OUTPUTS[name], "shape": [len(values)]}
        if binary:
            part = _raw(values, OUTPUTS[name])
            facts["parameters"] = {"binary_data_size": len(part)}
            raw += part
        else:
            facts["data"] = values
        outputs.append(facts)
    head = {"model_name": model, "model_version": version, "outputs": outputs}
    text = json.dumps(head | ({"id": wanted.id} if wanted.id else {})).encode()
    if not raw:
        return Response(text, media_type="application/json")
    return Response(text + raw, media_type="application/octet-stream", headers={LENGTH_HEADER: str(len(text))})


def _raw(values: list, kind: str) -> bytes:
    if kind == "FP64":
        return np.array([np.nan if value is None else value for value in values], "<f8").tobytes()
    texts = [value.encode() for value in values]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _malformed(why: str) -> OverreadError:
    return OverreadError(f"The inference request is malformed: {why}.", code="request-malformed")
