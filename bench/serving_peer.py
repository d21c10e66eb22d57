"""Other ways to serve the same network, for `bench.serving`. Run: `python -m bench.serving_peer KIND CHECKPOINT PORT`.

KIND: `alone` is Overread's service without batches; `fastapi` is a plain handler that decodes and scores one request at
a time in FastAPI's pool of threads.
"""

import sys

import numpy as np

from core.scores.classifier import load_classifier
from core.serving.decoding import Upload, decode_view


def serve_alone(checkpoint: str, port: int) -> None:
    import uvicorn

    from core.serving.app import create_app
    from core.serving.limits import Limits
    from core.serving.reader import load
    from core.serving.service import Service, served_models

    limits = Limits(waiting=1024)
    (served,) = served_models([load(checkpoint, limits=limits, runtime="auto")], largest=1)
    app = create_app(Service({served.reader.name: served}, limits=limits))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def serve_fastapi(checkpoint: str, port: int) -> None:
    import uvicorn
    from fastapi import FastAPI, UploadFile

    from core.models.checkpoint import read_checkpoint

    classifier, app = load_classifier(read_checkpoint(checkpoint)), FastAPI()

    @app.get("/health/ready")
    def ready() -> dict:
        return {"ready": True}

    @app.post("/v1/studies")
    def study(files: UploadFile) -> dict:
        view = decode_view(Upload("file", files.file.read()), classifier.spec)
        return {"score": float(1 / (1 + np.exp(-classifier.logits(view.pixels[None])[0])))}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    kind, name, number = sys.argv[1:]
    {"alone": serve_alone, "fastapi": serve_fastapi}[kind](name, int(number))
