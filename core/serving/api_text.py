"""The words and examples of the service's OpenAPI description."""

from core.serving.problems import MEDIA_TYPE

DESCRIPTION = (
    "Scores studies of bone radiographs and calls them abnormal or normal at a locked operating point. "
    "For research use only. Errors are problem documents (RFC 9457)."
)
DEADLINE = "Milliseconds until the answer is needed. A study that cannot be answered in time is not computed."
_EXAMPLE = {
    "study": {
        "score": 0.731,
        "logit": 1.0,
        "decision": "abnormal",
        "why": "The score 0.731 is at or above the threshold 0.420.",
    },
    "views": [{"file": "1.png", "score": 0.731, "logit": 1.0, "usable": True, "why": ""}],
    "model": {
        "name": "resnet-narrow-128",
        "digest": "7c25fcc1...",
        "precision": "float32",
        "runtime": "onnxruntime 1.32.0",
    },
    "point": {
        "id": "a1b2c3d4e5f6",
        "threshold": 0.42,
        "threshold_high": None,
        "rule": "sensitivity>=0.95",
        "guarantee": "The rule sensitivity>=0.95 was met by its wilson bound, on 316 studies of demo, split tune.",
        "aggregation": "mean",
    },
    "timing_ms": {"decode": 12.1, "score": 8.4, "total": 20.7},
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
    },
}


def _problem(text: str) -> dict:
    return {"description": text, "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}


PROBLEMS: dict[int | str, dict] = {
    400: _problem("The request cannot be read."),
    401: _problem("A token is needed."),
    403: _problem("The token may not be used for this, or a page of another machine asked without one."),
    404: _problem("There is no such model."),
    408: _problem("The request was not complete in time."),
    413: _problem("The request, or the study, is too large."),
    415: _problem("The type of the request is not supported."),
    422: _problem("The study cannot be read; the reason is given."),
    429: _problem("The queue is full. Retry-After has the seconds to wait."),
    503: _problem("The service starts or stops, or cannot write its log."),
    504: _problem("The deadline passed."),
}
NOT_READY: dict[int | str, dict] = {503: _problem("The service starts or stops.")}
ANSWER: dict[int | str, dict] = {
    200: {"description": "The answer for the study.", "content": {"application/json": {"example": _EXAMPLE}}}
}
BATCH_ANSWER: dict[int | str, dict] = {
    200: {
        "description": "One answer, or one problem, for each study.",
        "content": {"application/json": {"example": {"studies": [{"name": "study-7", **_EXAMPLE}]}}},
    }
}


def study_form() -> dict:
    """The form of `POST /v1/studies`."""
    return _form("PNG, JPEG or DICOM files of one study.", maps=True)


def batch_form() -> dict:
    """The form of `POST /v1/batches`."""
    return _form("PNG, JPEG or DICOM files. The folder in a file's name is its study: study-7/1.png.", maps=False)


def _form(text: str, maps: bool) -> dict:
    fields = {
        "files": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}, "description": text},
        "bone": {"type": "string", "description": "The bone; radiographs whose header names another are not used."},
        "model": {"type": "string", "description": "A served model (default: the first)."},
    }
    if maps:
        fields["maps"] = {
            "type": "boolean",
            "description": "Add a saliency map of each radiograph, with the verdict on it.",
        }
    schema = {"type": "object", "required": ["files"], "properties": fields}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
