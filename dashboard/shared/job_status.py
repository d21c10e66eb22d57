"""A job of the queue: its progress, a button that stops it, and its end."""

from collections.abc import Callable

import streamlit as st

from core import jobs
from core.progress import progress_from
from dashboard.shared import widgets
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate

_ENDS = {"failed": "failed", "stopped": "was stopped", "interrupted": "was interrupted"}


def draw_job(find: Callable[[], jobs.Job | None], describe: Callable[[jobs.Job], str], kept: str) -> bool:
    """Draw the job that `find` returns and follow it until it ends. Returns whether it is waiting or running.

    kept: a sentence on the results that a stopped job leaves. The whole page is drawn again when the job ends.
    """
    job = find()
    active = bool(job and job.active)
    st.fragment(run_every=1.5 if active else None)(_draw)(find, describe, kept, active)
    return active


def _draw(find: Callable, describe: Callable, kept: str, was_active: bool) -> None:
    job = find()
    if job is None:
        return
    if was_active and not job.active:
        st.rerun()
    if not job.active:
        if job.state in _ENDS:
            reason = f": {job.message.rstrip('.')}" if job.message else ""
            widgets.note(f"The last job ({describe(job)}) {_ENDS[job.state]}{reason}. {kept}")
        return
    now = progress_from(job.progress) if job.progress else None
    bar, button = st.columns([5, 1], vertical_alignment="center")
    words = now.sentence() if now else ("it begins" if job.state == "running" else "it waits for another job")
    bar.progress(now.fraction if now else 0.0, plain(f"{describe(job)}: {words}"))
    button.button(
        "Stop",
        key=f"stop_{job.kind}",
        on_click=jobs.stop,
        args=(job.id,),
        **gate(jobs.KINDS[job.kind].task, False, kept),
    )
