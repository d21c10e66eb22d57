"""The radiographs of a study whose network weighs them say how much each counts; blind, or without weights, nothing."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dashboard.shared.case import study


@pytest.fixture
def shown(monkeypatch):
    monkeypatch.setattr(study.loaders, "truth", lambda dataset: None)
    monkeypatch.setattr(study.loaders, "film_uri", lambda *which: "uri")

    def films(files, blind=False):
        return study.films_of(SimpleNamespace(root=""), files, SimpleNamespace(threshold=0.5), blind)[0]

    return films


def test_each_view_says_how_much_it_counts(shown):
    files = pd.DataFrame(
        {"image_id": ["a.png", "b.png"], "study_id": "s", "view": None, "bone": "hand", "path": "p", "sha1": "h",
         "width": 4, "height": 5, "logit": [2.0, 0.0]}
    )  # fmt: skip
    plain = shown(files)
    assert [film["drove"] for film in plain] == [True, False] and "weighs" not in plain[0]["small"]
    weighed = files.assign(attention=[0.0, np.log(3)])
    told = shown(weighed)
    assert [film["small"] for film in told] == [
        "a.png, 4 x 5 px; weighs 25% of the study",
        "b.png, 4 x 5 px; weighs 75% of the study",
    ]
    # The highest score is not what decided here.
    assert not any(film["drove"] for film in told)
    assert all("weighs" not in film["small"] and not film["drove"] for film in shown(weighed, blind=True))
    assert "weighs" not in shown(weighed.head(1))[0]["small"]
