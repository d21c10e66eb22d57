"""The lead, the readers who are present and those who have answered, as values and as one line of text."""

from dataclasses import dataclass

import pandas as pd

from core.plural import count_text
from core.review.database import Store
from core.review.reading_state import (
    ALONE,
    TOGETHER,
    ReadingState,
    answers,
    participants_table,
    read_state,
    seconds_since,
)
from core.review.vocabulary import reviewer_key
from core.review.walkthroughs import Walkthrough


@dataclass(frozen=True)
class Status:
    """One look at a walkthrough. reader: who looks; '' without a name. present: `participants_table`.

    answered: `answers` of the walkthrough.
    """

    walkthrough: Walkthrough
    state: ReadingState
    reader: str
    present: pd.DataFrame
    answered: dict[tuple[str, str], dict[str, str]]

    @property
    def leads(self) -> bool:
        """Whether this reader leads."""
        return bool(self.reader) and reviewer_key(self.state.lead) == reviewer_key(self.reader)

    @property
    def lead_present(self) -> bool:
        """Whether the lead's page has reported in the last seconds."""
        return reviewer_key(self.state.lead) in set(self.present["name"].map(reviewer_key))

    @property
    def together(self) -> bool:
        """Whether all read one case, by the lead."""
        return self.state.round == TOGETHER

    @property
    def moves_all(self) -> bool:
        """Whether a step of this reader moves everyone who follows."""
        return self.leads and self.together and not self.state.finished

    def who_answered(self, study: str) -> tuple[dict[str, str], dict[str, str]]:
        """The readers who have answered a study in this round, and those who are expected to, by key.

        A lead who has not answered any case only presents and is not expected to.
        """
        done = self.answered.get((self.state.round, study), {})
        expected = {reviewer_key(name): name for name in self.present["name"]} | done
        lead = reviewer_key(self.state.lead)
        if not any(lead in readers for readers in self.answered.values()) and len(expected) > 1:
            expected.pop(lead, None)
        return done, expected

    def first_unanswered(self) -> int:
        """The first place that this reader has not answered in the round alone; 1 in any other case."""
        key = reviewer_key(self.reader) if self.reader else ""
        places = enumerate(self.walkthrough.cases, 1)
        still = (place for place, case in places if key not in self.answered.get((ALONE, case.study_id), {}))
        return 1 if self.together or not key else next(still, 1)

    def all_answered(self, study: str) -> bool:
        """Whether everyone who is expected to has answered a study in this round."""
        done, expected = self.who_answered(study)
        return bool(expected) and not expected.keys() - done.keys()


def read_status(store: Store, walkthrough: Walkthrough, reader: str) -> Status:
    """The walkthrough as this reader sees it now."""
    present = participants_table(store, walkthrough.id)
    return Status(walkthrough, read_state(store, walkthrough), reader, present, answers(store, walkthrough))


def status_text(status: Status, walkthrough: Walkthrough, place: int) -> str:
    """One line: who leads, who has answered, and the time."""
    names = ", ".join(status.present["name"])
    here = f"Here: {names}." if names else "No reader has typed a name yet."
    if status.state.finished:
        return f"The reading is finished; every case is revealed. {here}"
    if not status.together:
        return f"Round 1: each reads alone and blind. {_progress_text(status, walkthrough)} {here}"
    return " ".join(filter(None, (_lead_text(status), _answered_text(status, place), _time_text(status, place), here)))


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds: `1:05`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _lead_text(status: Status) -> str:
    lead = status.state.lead
    if not lead:
        return "Nobody leads yet."
    who = "You lead" if status.leads else f"{lead} leads" if status.lead_present else f"{lead} has left at"
    return f"{who}{',' if status.lead_present or status.leads else ''} case {status.state.place}."


def _answered_text(status: Status, place: int) -> str:
    done, expected = status.who_answered(status.walkthrough.cases[place - 1].study_id)
    if not expected:
        return ""
    named = f" ({', '.join(sorted(done.values()))})" if done and status.walkthrough.plan.show_names else ""
    return f"Answered: {len(done)} of {len(expected)}{named}."


def poll_seconds(status: Status) -> float:
    """Seconds between two looks of a page for what has changed: 1, and longer with more than six readers.

    Each look takes processor time of the server, so more readers look less often.
    """
    return max(1.0, len(status.present) / 6)


def _time_text(status: Status, place: int) -> str:
    """The time on the lead's case and, with a limit, what is left of it and of the rest."""
    state, limit = status.state, status.walkthrough.plan.seconds
    if not state.since or place != state.place:
        return ""
    spent = seconds_since(state.since)
    if not limit:
        return f"Time on this case: {clock(spent)}."
    after = len(status.walkthrough.cases) - place
    left = f"{clock(limit - spent)} left" if spent < limit else "time is up"
    rest = f", then {count_text(after, 'case')} in {clock(after * limit)}" if after else ""
    return f"{clock(spent)} of {clock(limit)}: {left}{rest}."


def _progress_text(status: Status, walkthrough: Walkthrough) -> str:
    counts: dict[str, int] = {}
    names = {reviewer_key(name): name for name in status.present["name"]}
    for (round_, _), readers in status.answered.items():
        if round_ == status.state.round:
            for key, name in readers.items():
                names[key] = name
                counts[key] = counts.get(key, 0) + 1
    cases = len(walkthrough.cases)
    if status.walkthrough.plan.show_names:
        return ", ".join(f"{names[key]} {counts.get(key, 0)} of {cases}" for key in sorted(names)) + "." * bool(names)
    done = sum(count >= cases for count in counts.values())
    return f"Finished: {done} of {len(names)}." if names else ""
