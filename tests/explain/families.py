"""One small network of each of many timm families, random weights, at the smallest size it takes well."""

from functools import lru_cache

import torch

from core.data.input_spec import InputSpec
from core.inference.classifier import Classifier
from core.models.registry import build

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


@lru_cache(maxsize=2)
def classifier_of(family: str) -> Classifier:
    """The family's network with random weights of seed 0."""
    size, options = FAMILIES[family]
    torch.manual_seed(0)
    return Classifier(build(family, options).eval().requires_grad_(False), InputSpec(size), torch.device("cpu"))
