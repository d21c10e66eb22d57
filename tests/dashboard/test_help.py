"""Help on every page, a manual without a network, and a glossary whose words are marked."""

import re

import pytest

from dashboard.manual.loader import DOCS, pages, text_of, title_of
from dashboard.page_list import PAGES
from dashboard.shared.cache import stamp
from dashboard.shared.glossary import marked, terms
from dashboard.shared.help_drawer import help_text
from tests.dashboard.conftest import open_page


@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_each_page_says_what_it_answers_and_how_to_read_it_in_few_words(name):
    text = help_text(name)
    assert "**What it answers.**" in text and "**How to read it.**" in text
    assert len(text.split()) <= 130
    for line in text.splitlines():
        if line.startswith("- "):
            assert line.count(". ") <= 3, line  # the name of the figure, and two sentences
    for doc in re.findall(r"manual\?doc=([^)]+)", text):
        assert doc in pages()


def test_links_within_the_manual_lead_to_pages_of_it():
    for name, file in pages().items():
        text = text_of(stamp(file))
        assert not re.search(r"\]\((?!https?:)[^)]*\.md", text), name
        for doc in re.findall(r"manual\?doc=([^)]+)", text):
            assert doc in pages() or (DOCS / f"{doc}.md").is_file(), (name, doc)
        assert title_of(file)


def test_the_manual_opens_at_the_page_of_the_address(house):
    app = open_page("manual", doc="metrics")
    assert not app.exception
    assert any(block.value.startswith("# Metrics") for block in app.markdown)


def test_the_first_occurrence_of_a_term_is_marked_once_and_text_stays_text():
    html = marked("Sensitivity and <b>sensitivity</b> of 3 missed studies, at the threshold")
    assert html.count("<abbr") == 3 and "&lt;b&gt;" in html
    assert f'title="{terms()["missed study"]}">missed studies</abbr>' in html
    assert 'class="term"' not in marked("substudyish out-of-study a/study")


def test_each_term_is_explained_in_at_most_two_sentences():
    assert len(terms()) >= 20
    for term, words in terms().items():
        assert words.endswith(".") and words.count(". ") <= 1, term


def test_the_help_is_on_the_page(house):
    app = open_page("threshold")
    assert any("What it answers" in block.value for block in app.markdown)
