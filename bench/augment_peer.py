"""The peer of the augmentation page: `st.slider`, then a rerun that augments 12 samples and shows each by `st.image`.

`bench.augment_page` runs it in a separate server. The radiograph is read once, so that the peer is not needlessly slow.
"""

import os

import numpy as np
import streamlit as st
import torch
from PIL import Image
from torchvision.transforms import v2


@st.cache_data
def read() -> Image.Image:
    return Image.open(os.environ["AUGMENT_FILM"]).convert("L").resize((128, 128))


degrees = st.slider("Rotation", 0, 180, 10)
transform = v2.Compose(
    [
        v2.RandomHorizontalFlip(0.5),
        v2.RandomAffine(degrees, (0.03, 0.03), (0.92, 1.08), None, v2.InterpolationMode.BILINEAR),
        v2.ColorJitter(0.05, 0.1),
    ]
)
torch.manual_seed(0)
for _ in range(3):
    for column in st.columns(4):
        column.image(np.asarray(transform(read())), width="stretch")
# Written last, so the bench knows that every picture has been sent.
st.text(f"up to {degrees} degrees")
