"""The words that a page shows at first sight, besides those of tables, cards of a gallery and charts."""

# Figures and signs such as n, and text that opens on demand, are no words.
COUNT = """() => {
  const cells = 'table, .gallery, svg, canvas, [data-testid=stDataFrame], option, style, script';
  const found = [];
  const visit = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const holder = node.parentElement;
      if (holder && !holder.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return;
      const text = node.textContent.trim();
      if (text) found.push(text);
      return;
    }
    if (node.nodeType !== Node.ELEMENT_NODE && node.nodeType !== Node.DOCUMENT_FRAGMENT_NODE) return;
    if (node.nodeType === Node.ELEMENT_NODE) {
      if (node.matches(cells) || getComputedStyle(node).fontFamily.includes('Material Symbols')) return;
      const box = node.getBoundingClientRect(), style = getComputedStyle(node);
      // Text for screen readers alone, and closed parts.
      if (style.overflow !== 'visible' && (box.width <= 1 || box.height <= 1)) return;
      if (node.matches('details:not([open])')) {
        [...node.children].filter((child) => child.matches('summary')).forEach(visit);
        return;
      }
      if (node.shadowRoot) visit(node.shadowRoot);
    }
    node.childNodes.forEach(visit);
  };
  visit(document.querySelector('.stMain'));
  return found;
}"""


def words_of(page) -> list[str]:
    """Each word at first sight, in the order of the page."""
    before, now = None, page.evaluate(COUNT)
    while now != before:  # components draw themselves after the page
        page.wait_for_timeout(250)
        before, now = now, page.evaluate(COUNT)
    return [word for piece in now for word in piece.split() if sum(map(str.isalpha, word)) > 1]
