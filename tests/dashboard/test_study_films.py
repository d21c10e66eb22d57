"""The films of a study: the weight of each radiograph if the network weights them, and nothing of it in blind mode."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from core.data.film_box import WHOLE
from dashboard.shared.case import study_films

FILES = pd.DataFrame(
    {"image_id": ["a.png", "b.png"], "study_id": "s", "view": None, "bone": "hand", "path": "p", "sha1": "h",
     "width": 4, "height": 5, "logit": [2.0, 0.0]}
)  # fmt: skip


@pytest.fixture
def films(monkeypatch):
    monkeypatch.setattr(study_films.loaders, "truth", lambda dataset: None)
    monkeypatch.setattr(study_films.loaders, "film_uri", lambda *which: ("uri", WHOLE))

    def shown(files, blind=False):
        return study_films.films_of_study(SimpleNamespace(root=""), files, SimpleNamespace(threshold=0.5), blind)[0]

    return shown


def test_the_radiograph_with_the_highest_score_is_marked_if_views_are_not_weighted(films):
    shown = films(FILES)
    assert [film["highest"] for film in shown] == [True, False] and "weight" not in shown[0]["details"]
    # The mark moves with the score; the films stay where they are.
    turned = films(FILES.assign(logit=[-1.0, 3.0]))
    assert [film["highest"] for film in turned] == [False, True]
    assert [film["src"] for film in turned] == [film["src"] for film in shown]
    assert not any(film["highest"] for film in films(FILES.assign(logit=np.nan)))
    assert not any(film["highest"] for film in films(FILES.head(1)))


def test_each_radiograph_has_its_weight_if_the_network_weights_views(films):
    weighted = FILES.assign(attention=[0.0, np.log(3)])
    shown = films(weighted)
    assert [film["details"] for film in shown] == [
        "a.png, 4 x 5 px; weight in the study 25%",
        "b.png, 4 x 5 px; weight in the study 75%",
    ]
    # The highest score did not decide here.
    assert not any(film["highest"] for film in shown)
    assert "weight" not in films(weighted.head(1))[0]["details"]


def test_blind_films_have_no_score_no_weight_and_no_file_name(films):
    for film in films(FILES.assign(attention=[0.0, np.log(3)]), blind=True):
        assert film["score"] is None and not film["details"] and not film["highest"] and ".png" not in film["alt"]
