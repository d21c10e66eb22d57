"""Write down the threshold that a meeting decided on: who was there, what each proposed, why, and its figures."""

from collections.abc import Sequence

from core.metrics.counts import counts_of
from core.metrics.studies import study_table
from core.metrics.thresholds import cost_sentence, figures_at
from core.review.database import Store
from core.review.threshold_meeting import Decision, clear_proposals, enter, look, record_decision, room_of
from core.review.vocabulary import reviewer_key, reviewer_name
from core.scores.halves import split_for_choosing
from core.scores.json_values import json_values
from core.scores.loading import split_scores
from core.scores.view import View


def decide_threshold(
    store: Store,
    view: View,
    why: str,
    author: str,
    prevalence: float | None = None,
    point: str = "",
    present: Sequence[str] = (),
) -> Decision:
    """Record the view's threshold as decided, for all bones, and take the proposals off the panel.

    The split of the view is by default the one for choosing. prevalence: that of the clinic, for predictive values and
    alerts. point: the id of the operating point locked for it, if any. present: people who were there besides those in
    the meeting now. OverreadError without a reason.
    """
    also = [reviewer_name(name) for name in present]
    frame, split = split_scores(view.source, split=view.split, default=split_for_choosing)
    counts = counts_of(study_table(frame, view.aggregation))
    figures = figures_at(counts, view.threshold, prevalence)
    words = cost_sentence({name: int(figures[name]) for name in ("tp", "fp", "tn", "fn")}, prevalence)
    room = room_of(view.source)
    enter(store, room, author)
    now = look(store, room)
    made = Decision(
        dataset=view.source.data,
        view=view.every_bone.record() | {"split": split},
        threshold=view.threshold,
        present=tuple(sorted({reviewer_key(name): name for name in (*also, *now.present)}.values())),
        proposals=now.proposals,
        why=why.strip(),
        figures=json_values(figures) | {"prevalence": prevalence, "cost_in_words": words},
        author=author,
        point=point,
    )
    kept = record_decision(store, room, made)
    clear_proposals(store, room)
    return kept
