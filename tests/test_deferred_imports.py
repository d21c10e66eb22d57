"""Networks and maps are imported without torch's compiler and matplotlib, which load where they are asked for."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
CODE = """
import sys, torch
import core.explain.make_maps, core.scores.classifier
print([name for name in ("torch._dynamo", "torch._dynamo.utils", "matplotlib.pyplot") if name in sys.modules])
core.models.networks.build("resnet10t", {"drop_rate": 0.1})
print("torch._dynamo" in sys.modules)
import torchvision
print(torchvision.ops.roi_align(torch.ones(1, 1, 8, 8), [torch.tensor([[0.0, 0, 4, 4]])], 1).item())
network = core.models.networks.build("naflexvit_base_patch16_gap", {"embed_dim": 64, "depth": 1, "num_heads": 2}).eval()
with torch.inference_mode():
    print(list(network(torch.zeros(1, 1, 64, 64)).shape), "torch._dynamo" in sys.modules)
from captum.attr import visualization
print(callable(visualization.visualize_image_attr), "matplotlib.pyplot" in sys.modules)
print(torch.compile(lambda x: 2 * x, backend="eager")(torch.ones(1)).item())
"""


def test_what_is_seldom_used_is_loaded_when_it_is_used():
    done = subprocess.run([sys.executable, "-c", CODE], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "False", "1.0", "[1, 1] True", "True True", "2.0"]
