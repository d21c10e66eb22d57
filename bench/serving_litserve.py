"""LitServe with the same network and the same decoding, for `bench.serving`. Run: `python -m bench.serving_litserve
CHECKPOINT PORT`. Batches of at most 32, and the same wait for company of 4 ms."""

import sys

import litserve
import numpy as np

from core.models.checkpoint import read_checkpoint
from core.scores.classifier import load_classifier
from core.serving.decoding import Upload, decode_view


class Network(litserve.LitAPI):
    """The network as LitServe calls it; LitServe sends it to a process of its own."""

    def setup(self, device):
        self.classifier = load_classifier(read_checkpoint(sys.argv[1]), "cpu")

    def decode_request(self, request):
        return decode_view(Upload("file", request["files"].file.read()), self.classifier.spec).pixels

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, pixels):
        return self.classifier.logits(pixels, 32)

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return {"score": float(1 / (1 + np.exp(-output)))}


if __name__ == "__main__":
    api = Network(max_batch_size=32, batch_timeout=0.004, api_path="/v1/studies")
    server = litserve.LitServer(api, accelerator="cpu", healthcheck_path="/health/ready")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", generate_client_file=False)
