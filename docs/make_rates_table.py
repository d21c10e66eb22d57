"""Write the table of rates (core.metrics.rates.RATES) into docs/metrics.md. Run: python docs/make_rates_table.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.metrics.rates import rates_markdown

PAGE = Path(__file__).resolve().parent / "metrics.md"
BEGIN, END = "<!-- rates: written by docs/make_rates_table.py -->\n", "<!-- end of rates -->\n"


def with_table(page: str) -> str:
    """The page with the present table of rates between its two marks."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + "\n" + rates_markdown() + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
