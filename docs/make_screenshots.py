"""Take screenshots of every page, wide and narrow, dark and light: `python docs/make_screenshots.py`.

Writes docs/screenshots/. The pages show the demo set of OVERREAD_HOME, which is made first if it is missing, with the
shipped checkpoints.
"""

import io
import sys
from pathlib import Path
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image

from core.demo import ensure_demo
from core.metrics.evaluation import outcome_table
from core.metrics.studies import study_table
from core.models.checkpoint import list_checkpoints
from core.paths import home
from core.scores.source import source_of
from core.scores.stored_scores import read_predictions
from tests.browser.server import OTHER_PAGES, PAGES, chromium, serve, settle

OUT = Path(__file__).with_name("screenshots")
KINDS = (("", 1440, "dark"), ("-light", 1440, "light"), ("-narrow", 400, "dark"))


def main() -> None:
    """Write every picture."""
    dataset = ensure_demo(lambda fraction, what: print(f"\r{fraction:4.0%} {what:<50}", end="", file=sys.stderr))
    names = {page: ("" if page == "overview" else page) for page in (*PAGES, *OTHER_PAGES)}
    names["study"] = "errors?" + urlencode({"study": missed_study(dataset)})
    OUT.mkdir(exist_ok=True)
    with serve(home()) as address, chromium() as browser:
        for suffix, width, scheme in KINDS:
            for name, path in names.items():
                picture = shoot(browser, f"{address}/{path}", width, scheme)
                picture.save(OUT / f"{name}{suffix}.webp", quality=82, method=6)
                print(f"{name}{suffix}.webp {picture.width} x {picture.height}", file=sys.stderr)


def missed_study(dataset) -> str:
    """The study id of the most confident miss of the model that the pages show first."""
    scores = read_predictions(source_of(list_checkpoints()[0][0], dataset))
    table = outcome_table(study_table(scores[scores["split"] == "valid"]), 0.5)
    return table[table["outcome"].isin(["FN", "FP"])].sort_values(["outcome", "score"])["study_id"].iloc[0]


def shoot(browser, address: str, width: int, scheme: str) -> Image.Image:
    """Take a picture of a page at its whole height, up to 2,400 pixels."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(address)
    settle(page, 120_000)
    tall = page.evaluate("() => document.querySelector('.stMain').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(max(tall, 800), 2400)})
    page.wait_for_timeout(600)
    picture = Image.open(io.BytesIO(page.screenshot()))
    page.close()
    return picture.convert("RGB")


if __name__ == "__main__":
    main()
