"""One queue for all long work: training, checking a sample of saliency maps, auditing a data set.

A job is a few files in `workspace/jobs`: `<id>.json` (the request), `<id>.state.json`, `<id>.progress.json`, `<id>.log`
(output of its command), `<id>.stop` (somebody asked it to stop) and `<id>.lock` (held while a process works on it).
Jobs outlive the page that started them. Each lane has one worker process, which starts when a job is queued and ends
when its lane is empty, so a short job never waits for a long training. The system frees the locks of a killed process.

This folder starts commands and knows nothing of their work; `core.workflows` checks a request before it is queued.
"""

from core.jobs.kinds import KINDS
from core.jobs.queue import Reporter, at_work, enqueue, stoppable
from core.jobs.records import Job, broken_jobs, find, find_active, list_jobs, log_of, stop
from core.jobs.worker import start_worker, work

__all__ = [
    "KINDS",
    "Job",
    "Reporter",
    "at_work",
    "broken_jobs",
    "enqueue",
    "find",
    "find_active",
    "list_jobs",
    "log_of",
    "start_worker",
    "stop",
    "stoppable",
    "work",
]
