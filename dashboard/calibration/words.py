"""The calibration page's sentences and its table, as HTML."""

import math

from core.plural import count_text

FIGURES = (
    ("Slope", "slope", 2, "1 is ideal"),
    ("Intercept", "intercept", 2, "0 is ideal"),
    ("Brier", "brier", 4, "lower is better"),
    ("Brier skill", "brier_skill", 3, "higher is better"),
    ("Log-loss", "log_loss", 4, "lower is better"),
    ("ECE", "ece", 4, "mean gap"),
    ("MCE", "mce", 4, "largest gap"),
)


def verdict(before: dict, found, fit_split: str, split: str) -> list[str]:
    """One line before scaling, one after it, and one for the gain."""
    lines = [f"<b>Before</b> {sentence(before)}"]
    if found is None:
        return lines
    fitted = found.fitted
    if fitted.method == "temperature":
        parameters = f"Temperature {interval(fitted.temperature, 3)}"
    else:
        parameters = f"Slope {interval(fitted.slope, 3)}, intercept {interval(fitted.intercept, 3)}"
    gain = found.gains["log_loss"]
    lines.append(
        f"<b>After</b> {parameters}, fitted on {count_text(fitted.n, 'study')} of {fit_split}. {sentence(found.after)}"
    )
    if math.isnan(gain.low):
        lines.append(f"<b>Gain</b> The log-loss changes by {-gain.value:+.4f}; {gain.why or 'no interval'}.")
    elif gain.low > 0:
        lines.append(f"<b>Gain</b> The log-loss on {split} falls by {interval(gain, 4)}: the scaling helps.")
    elif gain.high < 0:
        lines.append(f"<b>Gain</b> The log-loss on {split} rises by {-gain.value:.4f}: the scaling makes it worse.")
    else:
        moved = f"{-gain.value:+.4f} ({-gain.high:+.4f} to {-gain.low:+.4f})"
        lines.append(f"<b>Gain</b> The log-loss on {split} changes by {moved}, which may be chance.")
    return lines


def sentence(facts: dict) -> str:
    """The meaning of slope and intercept, in one sentence."""
    slope, low, high = facts["slope"], facts["slope_low"], facts["slope_high"]
    if math.isnan(slope):
        return f"{_reason(facts, 'slope')}."
    if math.isnan(low):
        return f"Slope {slope:.2f}; {_reason(facts, 'slope')}."
    words = "too extreme" if high < 1 else "not extreme enough" if low > 1 else ""
    shift = "too low" if facts["intercept_low"] > 0 else "too high" if facts["intercept_high"] < 0 else ""
    off = " and ".join(part for part in (words, f"{shift} on average" if shift else "") if part)
    if not off:
        return "Slope and intercept do not show that the scores are miscalibrated."
    return f"The scores are {off} (slope {slope:.2f}, {low:.2f} to {high:.2f}; intercept {facts['intercept']:.2f})."


def figures_html(before: dict, after: dict | None) -> str:
    """One row per figure, before and after."""
    sides = [("Before", before)] + ([("After", after)] if after else [])
    head = "<th></th>" + "".join(f'<th class="number">{name}</th>' for name, _ in sides)
    rows = [
        f"<tr><td><b>{name}</b><small>{about}</small></td>"
        + "".join(f'<td class="number">{_cell(facts, key, digits)}</td>' for _, facts in sides)
        + "</tr>"
        for name, key, digits, about in FIGURES
    ]
    return f'<div class="table tight"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def interval(estimate, digits: int) -> str:
    """`1.167 (1.116 to 1.223)`."""
    if math.isnan(estimate.low):
        return f"{estimate.value:.{digits}f}"
    high = "any number above" if math.isinf(estimate.high) else f"{estimate.high:.{digits}f}"
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f} to {high})"


def _cell(facts: dict, key: str, digits: int) -> str:
    value, low = facts[key], facts.get(f"{key}_low", math.nan)
    if math.isnan(value):
        return "Not estimable"
    # Adding 0 to a rounded value turns -0.00 into 0.00.
    value, low, high = (round(number, digits) + 0.0 for number in (value, low, facts.get(f"{key}_high", math.nan)))
    spread = "" if math.isnan(low) else f"<small>{low:.{digits}f} to {high:.{digits}f}</small>"
    return f"{value:.{digits}f}{spread}"


def _reason(facts: dict, key: str) -> str:
    found = next((part for part in facts["why"].split("; ") if part.startswith(f"{key}: ")), f"{key}: no interval")
    return found.removeprefix(f"{key}: ").capitalize()
