"""Roles: what each may do, that every function that writes for a person asks, and how a role follows from a login."""

import ast
import re

import pytest

from core import jobs, roles
from core.review.database import open_store
from core.review.store import Verdict, add_verdict, verdicts_table
from dashboard.shared.roles import role_of
from tests.conftest import REPOSITORY
from tests.refusals import refused

# Writes that no person asks for: the tables of a new database, and who is there.
ANYONE = {
    "core/review/database.py": {"open_store"},
    "core/review/reading_state.py": {"report_presence"},
    "core/review/threshold_meeting.py": {"enter", "leave"},
}


def as_role(monkeypatch, role: str) -> None:
    monkeypatch.setattr(roles, "decide", lambda: role)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("viewer", set()), ("reviewer", {"read", "compute"}), ("owner", set(roles.TASKS))],
)
def test_each_role_may_do_its_tasks_and_no_other(monkeypatch, role, allowed):
    as_role(monkeypatch, role)
    assert {task for task in roles.TASKS if roles.may(task)} == allowed


def test_a_verdict_of_a_viewer_is_refused_and_not_kept(monkeypatch, workspace):
    store = open_store()
    as_role(monkeypatch, "viewer")
    with refused("role-missing", "viewer", "reviewers and owners"):
        add_verdict(store, Verdict("demo", "s1", "Ana", "cannot_tell"))
    assert verdicts_table(store).empty
    as_role(monkeypatch, "reviewer")
    add_verdict(store, Verdict("demo", "s1", "Ana", "cannot_tell"))
    assert len(verdicts_table(store)) == 1


@pytest.mark.parametrize("kind", sorted(jobs.KINDS))
def test_no_job_is_queued_without_its_role(monkeypatch, workspace, kind):
    as_role(monkeypatch, "viewer")
    with refused("role-missing"):
        jobs.enqueue(kind, {})
    assert jobs.list_jobs() == []


def test_a_job_is_not_stopped_without_its_role(monkeypatch, workspace):
    monkeypatch.setattr("core.jobs.queue.start_worker", lambda lane: None)
    job = jobs.enqueue("audit", {"data": "demo"})
    as_role(monkeypatch, "viewer")
    with refused("role-missing"):
        jobs.stop(job.id)
    assert jobs.list_jobs()[0].state == "waiting"


def test_every_function_that_writes_verdicts_asks_for_a_role():
    for file in (REPOSITORY / "core" / "review").glob("*.py"):
        name = str(file.relative_to(REPOSITORY))
        for function in ast.parse(file.read_text()).body:
            if isinstance(function, ast.FunctionDef) and re.search(r"transaction\(.*write=True", ast.unparse(function)):
                marked = any(ast.unparse(mark).startswith("needs(") for mark in function.decorator_list)
                assert marked or function.name in ANYONE.get(name, ()), f"{name}: {function.name}"


@pytest.mark.parametrize(
    ("user", "role"),
    [
        ({"email": "Ana@Clinic.example", "email_verified": True}, "owner"),
        ({"email": "bo@clinic.example"}, "reviewer"),
        ({"email": "ana@clinic.example", "email_verified": False}, "viewer"),
        ({"email": "eve@elsewhere.example"}, "viewer"),
        ({"email": "eve@elsewhere.example@clinic.example"}, "viewer"),
        ({}, "viewer"),
    ],
)
def test_a_role_follows_from_the_verified_address(user, role):
    assert role_of(user, {"owner": ["ana@clinic.example"], "reviewer": ["*@clinic.example"]}) == role


@pytest.mark.parametrize(
    "settings", [{"admin": ["a@b"]}, {"owner": "ana@clinic.example"}, {"default": "boss"}], ids=["name", "text", "role"]
)
def test_a_section_that_cannot_be_read_is_refused(settings):
    with refused("roles-unreadable"):
        role_of({"email": "ana@clinic.example"}, settings)
