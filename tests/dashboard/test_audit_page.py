"""The Audit page: an offer to audit, then the findings with the worst first, each with its gallery."""

import shutil

import pytest

from core import jobs
from core.audit.audit import read_audit, run_audit
from core.data.index import build_index, read_dataset, write_dataset
from core.workflows.audit_job import audit_dataset
from tests.audit.test_duplicates import film
from tests.dashboard.conftest import House, enter, open_page, words


@pytest.fixture
def faulty(built, tmp_path, monkeypatch) -> House:
    """A data set with a patient in two splits whose name is markup, with copies and a broken file."""
    from tests.audit.test_audit import write

    house = House(tmp_path / "home", built.checkpoints)
    enter(house, monkeypatch)
    root = tmp_path / "MURA-v1.1"
    for patient in range(8):
        write(root, "train", "ELBOW", patient, 1, ("negative", "positive")[patient % 2], [film(patient)])
    folder = write(root, "valid", "ELBOW", 0, 2, "negative", [film(90), film(1)])
    (folder / "image9.png").write_text("text")
    shutil.copy(folder / "image1.png", folder / "image5.png")
    indexed = build_index(root, folds=4)
    indexed.frame["patient_id"] = indexed.frame["patient_id"].replace("patient00000", "<b>patient0</b>")
    write_dataset("faulty", indexed)
    return house


def test_the_page_offers_an_audit_and_a_worker_makes_it(faulty, monkeypatch):
    started = []
    monkeypatch.setattr("core.jobs.queue.start_worker", started.append)
    app = open_page("audit")
    assert not app.exception and "has not been audited" in words(app)
    app.button(key="audit_now").click().run()
    assert not app.exception and started == ["light"] and app.button(key="audit_now").disabled
    jobs.work("light")
    # The command exits with 1, since a patient is in two splits; the job is done all the same.
    assert [(job.kind, job.state) for job in jobs.list_jobs()] == [("audit", "done")]
    assert "1 failed" in words(open_page("audit"))


def test_a_running_audit_shows_its_progress_and_can_be_stopped(faulty):
    with pytest.raises(KeyboardInterrupt):
        audit_dataset(read_dataset("faulty"), stop_at_the_first_report)
    assert read_audit(read_dataset("faulty")) is None
    assert "was stopped" in words(open_page("audit"))


def stop_at_the_first_report(done, total, what):
    if jobs.list_jobs()[0].progress:
        app = open_page("audit")
        assert not app.exception and app.button(key="audit_now").disabled
        app.button(key="stop_audit").click().run()


def test_the_worst_finding_is_open_and_names_are_escaped(faulty):
    run_audit(read_dataset("faulty"))
    app = open_page("audit")
    shown = words(app)
    assert not app.exception and app.selectbox(key="finding").value == "Patients in several splits"
    assert "1 patient in more than one split (&lt;b&gt;patient0&lt;/b&gt;)" in shown and "<b>patient0</b>" not in shown
    assert "Radiographs: 1 in train, 3 in valid" in shown and shown.count("data:image/jpeg") == 4


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        ("Copies across studies", "Same file, 2 in train and valid"),
        ("Copies within a study", "Same file, 2 in valid"),
        ("Labels in conflict", "copies have different labels"),
        ("Unreadable files", "image9.png"),
    ],
)
def test_each_finding_opens_from_its_link(faulty, finding, expected):
    run_audit(read_dataset("faulty"))
    app = open_page("audit", finding=finding)
    tables = " ".join(str(frame.value.to_dict()) for frame in app.dataframe)
    assert not app.exception and expected in words(app) + tables


def test_an_audit_of_an_older_index_is_not_shown(faulty):
    run_audit(read_dataset("faulty"))
    before = build_index(read_dataset("faulty").root, folds=5)
    write_dataset("faulty", before)
    assert "has not been audited" in words(open_page("audit"))


def test_a_data_set_without_findings_lists_its_passed_checks(house):
    run_audit(read_dataset("cold"))
    shown = words(open_page("audit", data="cold"))
    assert "none of 30 patients" in shown and "None found" in shown
