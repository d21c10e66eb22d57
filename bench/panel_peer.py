"""The peer of the live panel: `st.slider`, then a rerun that draws a histogram and a ROC with Plotly.

`bench.panel` runs it in a separate server on the same scores. The ROC is thinned as in scikit-learn and the counts are
cached, so that the peer is not needlessly slow.
"""

import os

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from sklearn.metrics import confusion_matrix, roc_curve


@st.cache_data
def read():
    """Read scores, labels, bars of the histogram and the ROC."""
    table = pd.read_parquet(os.environ["PANEL_SCORES"])
    score, label = table["score"].to_numpy(), table["label"].to_numpy()
    bars = [np.histogram(score[label == kind], 60, (0, 1))[0] for kind in (1, 0)]
    return score, label, bars, roc_curve(label, score)


score, label, bars, (fpr, tpr, _) = read()
t = st.slider("Threshold", 0.0, 1.0, 0.5, 0.001)
tn, fp, fn, tp = confusion_matrix(label, score >= t).ravel()
st.metric("Sensitivity", f"{tp / (tp + fn):.1%}")
st.metric("Specificity", f"{tn / (tn + fp):.1%}")
histogram = go.Figure([go.Bar(y=bars[0], name="abnormal"), go.Bar(y=-bars[1], name="normal")])
histogram.add_vline(60 * t)
st.plotly_chart(histogram, key="histogram")
# 200 points look the same as all of them; sending every corner would only make the peer slower.
keep = np.unique(np.linspace(0, len(fpr) - 1, 200).astype(int))
roc = go.Figure([go.Scatter(x=fpr[keep], y=tpr[keep]), go.Scatter(x=[fp / (fp + tn)], y=[tp / (tp + fn)])])
st.plotly_chart(roc, key="roc")
