"""One record per page: its folder, title, icon, and its requirements on the chosen scores.

To add a page, write `dashboard/<name>/page.py` and `help.md` beside it, and add one record here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """One page. `name` is its folder below `dashboard/` and its address.

    needs_images: it shows radiographs, so it cannot open scores without radiographs. needs_network: it runs a network,
    so it cannot open imported scores. needs_scores: it evaluates stored scores. needs_data: it is about the chosen data
    set, so it cannot open before there is one.
    """

    name: str
    title: str
    icon: str
    section: str
    needs_images: bool = False
    needs_network: bool = False
    needs_scores: bool = False
    needs_data: bool = True

    @property
    def path(self) -> str:
        """The page's file, relative to `dashboard/`."""
        return f"{self.name}/page.py"


PAGES = (
    Page("overview", "Overview", ":material/home:", ""),
    Page("add_data", "Add data", ":material/add_photo_alternate:", "Data", needs_data=False),
    Page("dataset", "Dataset", ":material/bar_chart:", "Data", needs_images=True),
    Page("import_scores", "Import scores", ":material/upload_file:", "Data", needs_data=False),
    Page("audit", "Audit", ":material/fact_check:", "Data", needs_images=True),
    Page("augmentation", "Augmentation", ":material/tune:", "Data", needs_images=True),
    Page("runs", "Runs", ":material/show_chart:", "Model", needs_images=True, needs_network=True),
    Page("threshold", "Threshold", ":material/linear_scale:", "Model", needs_scores=True),
    Page("bones", "Bones", ":material/orthopedics:", "Model", needs_scores=True),
    Page("calibration", "Calibration", ":material/speed:", "Model", needs_scores=True),
    Page("compare", "Compare", ":material/compare_arrows:", "Model", needs_scores=True),
    Page("monitor", "Monitor", ":material/monitoring:", "Model", needs_data=False),
    Page("read_study", "Read a study", ":material/radiology:", "Reading", needs_network=True, needs_data=False),
    Page("errors", "Errors", ":material/search:", "Reading", needs_scores=True),
    Page("walkthroughs", "Walkthroughs", ":material/groups:", "Reading", needs_images=True),
    Page("labels", "Labels", ":material/rule:", "Reading", needs_images=True),
    Page("agreement", "Agreement", ":material/balance:", "Reading", needs_images=True),
    Page("saliency", "Saliency", ":material/local_fire_department:", "Reading", needs_images=True, needs_network=True),
    Page("manual", "Manual", ":material/menu_book:", "Help", needs_data=False),
)


def page_named(title: str) -> Page:
    """The record of the page with this title."""
    return next(page for page in PAGES if page.title == title)
