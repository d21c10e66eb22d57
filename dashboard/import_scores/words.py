"""The words of the Import scores page for the options of `import-predictions`."""

from dashboard.shared.option_words import without_options

FIELDS = {
    "score": "Score", "label": "Label", "image": "Radiograph id", "study": "Study id", "patient": "Patient id",
    "bone": "Bone", "split": "Split", "data": "Match to", "name": "Name", "invert": "Score of normal",
    "percent": "Percentages", "logit": "Logit", "raw": "Order only", "label-level": "Labels are of",
    "study-rule": "A study is abnormal if", "match-ignoring": "Ignore in ids", "allow-unmatched":
    "Continue without matches", "allow-lost-labels": "Accept lost or changed labels",
}  # fmt: skip
LEVELS = {"": "As found in the data", "image": "Radiographs", "study": "Studies"}
RULES = {
    "": "As at the last import, else any",
    "any": "Any radiograph is",
    "all": "All radiographs are",
    "drop": "All agree",
}
SCALES = {"probability": "Probability", "logit": "Logit", "raw": "Order only"}
VALUES = {"label-level": LEVELS, "study-rule": RULES}


def page_words(text: str) -> str:
    """A message of the workflow in the words of this page."""
    return without_options(text, FIELDS, VALUES)
