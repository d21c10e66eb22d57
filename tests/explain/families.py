"""Small networks of many timm families, with random weights, at the smallest size that each supports.

tests/explain/test_methods.py runs every method on FAMILIES, and the methods that use a layer on RARE_LAYERS;
docs/make_saliency_table.py runs all of FAMILIES and MORE. By default only SAMPLE runs: one family of each layout of
features and each reason for a refusal. `pytest --all-families` (make test-all) runs the rest as well; these tests
carry the marker `families`.
"""

from collections.abc import Mapping
from functools import lru_cache

import pytest
import torch
from torch import nn

from core.data.input_spec import InputSpec
from core.models.networks import build, find_head
from core.scores.classifier import Classifier

_SMALL = {"img_size": 64}
FAMILIES = {
    "small_cnn": (64, {}),
    "resnet18": (64, {}),
    "resnet26d": (64, {}),
    "resnext26ts": (64, {}),
    "seresnext26d_32x4d": (64, {}),
    "res2net50_26w_4s": (64, {}),
    "resnest26d": (64, {}),
    "skresnet18": (64, {}),
    "resnetv2_18": (64, {}),
    "nf_regnet_b0": (64, {}),
    "densenet121": (64, {}),
    "dla34": (64, {}),
    "dpn68": (64, {}),
    "ese_vovnet19b_slim": (64, {}),
    "regnetx_002": (64, {}),
    "regnety_002": (64, {}),
    "efficientnet_b0": (64, {}),
    "mobilenetv2_035": (64, {}),
    "mobilenetv3_small_050": (64, {}),
    "ghostnet_050": (64, {}),
    "repvgg_a0": (64, {}),
    "mobileone_s0": (64, {}),
    "rexnet_100": (64, {}),
    "hrnet_w18_small": (64, {}),
    "inception_v3": (96, {}),
    "xception41": (64, {}),
    "convnext_atto": (64, {}),
    "convnextv2_atto": (64, {}),
    "mambaout_femto": (64, {}),
    "fastvit_t8": (64, {}),
    "starnet_s050": (64, {}),
    "mobilevit_xxs": (64, {}),
    "poolformerv2_s12": (64, {}),
    "edgenext_xx_small": (64, {}),
    "efficientvit_b0": (64, {}),
    "hgnetv2_b0": (64, {}),
    "selecsls42b": (64, {}),
    "mixnet_s": (64, {}),
    "tinynet_e": (64, {}),
    "lcnet_035": (64, {}),
    "attention": (64, {"backbone": "resnet10t"}),
    "vit_tiny_patch16_224": (64, _SMALL),
    "deit_tiny_patch16_224": (64, _SMALL),
    "swin_tiny_patch4_window7_224": (64, {"img_size": 64, "window_size": 2}),
    "cait_xxs24_224": (64, _SMALL),
    "xcit_nano_12_p16_224": (64, {}),
    "coat_lite_tiny": (64, _SMALL),
    "twins_svt_small": (64, _SMALL),
    "mixer_s16_224": (64, _SMALL),
    "pvt_v2_b0": (64, {}),
}
MORE = {
    "davit_tiny": (64, {}),
    "swinv2_tiny_window8_256": (64, {"img_size": 64, "window_size": 2}),
    "swinv2_cr_tiny_224": (64, _SMALL),
    "levit_128s": (128, {"img_size": 128}),
    "mvitv2_tiny": (64, _SMALL),
    "hiera_tiny_224": (64, _SMALL),
    "volo_d1_224": (64, _SMALL),
    "tnt_s_patch16_224": (64, _SMALL),
    "pit_ti_224": (64, _SMALL),
    "eva02_tiny_patch14_224": (56, {"img_size": 56}),
    "convit_tiny": (64, _SMALL),
    "resmlp_12_224": (64, _SMALL),
    "maxvit_tiny_rw_224": (64, _SMALL),
    "coatnet_nano_rw_224": (64, _SMALL),
    "nest_tiny": (64, _SMALL),
    "gcvit_xxtiny": (64, _SMALL),
    "efficientformerv2_s0": (64, _SMALL),
    "visformer_tiny": (64, _SMALL),
    "focalnet_tiny_srf": (64, {}),
    "swiftformer_xs": (64, {}),
    "nextvit_small": (64, {}),
    "caformer_s18": (64, {}),
    "shvit_s1": (128, {}),
    "repvit_m0_9": (64, {}),
    "fasternet_t0": (64, {}),
    "inception_next_atto": (64, {}),
    "rdnet_tiny": (64, {}),
    "mobilenetv4_conv_small": (64, {}),
    "ghostnetv2_100": (64, {}),
    "fbnetc_100": (64, {}),
    "gernet_s": (64, {}),
    "regnetz_b16": (64, {}),
}
# The layer that Grad-CAM must find in families with an unusual structure, and its cells a side.
RARE_LAYERS = {
    "davit_tiny": ("stages.3.blocks.0.1", 2),
    "swinv2_tiny_window8_256": ("norm", 2),
    "levit_128s": ("stages.2.blocks.3", 2),
    "mvitv2_tiny": ("norm", 2),
    "shvit_s1": ("stages.2.blocks.4.ffn", 2),
    "pit_ti_224": ("transformers.2.blocks.3.norm1", 2),
    "mobilenetv4_conv_small": ("blocks.4.0.bn1.act", 2),
}
SAMPLE = {
    "small_cnn": "plain convolutions without ReLU modules; guided backpropagation is refused",
    "resnet18": "batch norm and ReLU with residual sums; DeepLIFT is refused for its gap",
    "densenet121": "ReLU after the concatenation and the last norm; every method works",
    "mobilenetv2_035": "ReLU6; integrated gradients are refused for their gap",
    "convnext_atto": "maps with LayerNorm and GELU",
    "mambaout_femto": "channels last",
    "vit_tiny_patch16_224": "tokens with a class token",
    "attention": "a network that weighs the views of a study",
    "pit_ti_224": "a layer of tokens with pooling between stages",
    "mobilenetv4_conv_small": "a layer inside the last block of convolutions",
}


def family_parameters(expected: Mapping[str, tuple]) -> list:
    """Test parameters (family, *expected values); families outside SAMPLE carry the marker `families`."""
    return [
        pytest.param(family, *more, marks=() if family in SAMPLE else pytest.mark.families, id=family)
        for family, more in expected.items()
    ]


@lru_cache(maxsize=2)
def classifier_of(family: str) -> Classifier:
    """The family's network with random weights of seed 0."""
    size, options = {**FAMILIES, **MORE}[family]
    torch.manual_seed(0)
    model = build(family, options)
    head, _ = find_head(model)
    for layer in head.modules():
        # Some families initialise the head with zeros, for which every map is rightly zero.
        if isinstance(layer, nn.Linear) and not layer.weight.any():
            nn.init.normal_(layer.weight, std=0.02)
    return Classifier(model.eval().requires_grad_(False), InputSpec(size), torch.device("cpu"))
