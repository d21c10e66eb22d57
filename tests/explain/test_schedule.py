"""The order of work: maps before checks, readers in turn, nothing for nobody, and no check that is never made."""

from core.explain.map_record import MapTask
from core.explain.schedule import AHEAD, CHECKS, MAPS, MOST_PUT_BACK, QUICK, SLOW, Schedule, Work


def task(name: str, views: int = 1, method: str = "saliency") -> MapTask:
    return MapTask("", "", "", tuple((name, f"{name}{number}") for number in range(views)), method)


A, B, C = task("a"), task("b"), task("c")


def following(schedule: Schedule, now: float = 0.0) -> Work | None:
    """The next work of either lane, quick maps first, as if one process did both."""
    return schedule.next(now, QUICK) or schedule.next(now, SLOW)


def run(schedule: Schedule, now: float = 0.0) -> list[tuple[str, int]]:
    """Do everything that is wanted; each check has one part. The name of each work's file and its rank."""
    order = []
    while work := following(schedule, now):
        order.append((work.task.files[0][0], work.rank))
        schedule.done(work, complete=True)
    return order


def test_every_map_is_made_before_any_check():
    schedule = Schedule()
    schedule.want("anna", A, 9)
    first = following(schedule, 0)
    schedule.done(first, True)
    schedule.want("ben", B, 9)
    assert first == Work(A, MAPS) and run(schedule) == [("b", MAPS), ("b", CHECKS), ("a", CHECKS)]


def test_readers_take_turns():
    schedule = Schedule()
    for name in "123456":
        schedule.want("anna", task(name), 9)
    schedule.want("ben", B, 9)
    # One who asks for six does not keep the other waiting, and the newest request of a reader is first.
    names = [name for name, rank in run(schedule) if rank == MAPS]
    assert names == ["b", "6", "5", "4", "3", "2", "1"]
    schedule.want("ben", task("c"), 9)
    schedule.want("anna", task("7"), 9)
    schedule.want("anna", task("8"), 9)
    assert [name for name, rank in run(schedule) if rank == MAPS] == ["c", "8", "7"]


def test_what_nobody_waits_for_is_not_made():
    schedule = Schedule()
    schedule.want("anna", A, 3)
    schedule.want("ben", A, 5)
    schedule.want("anna", B, 3)
    assert following(schedule, 4).task == A and not schedule.waits(B)
    assert following(schedule, 6) is None and not schedule.waits(A)


def test_a_running_work_ends_where_its_reader_has_left():
    schedule = Schedule()
    schedule.want("anna", A, 3)
    work = following(schedule, 0)
    assert not schedule.should_end(work, 2) and schedule.should_end(work, 3)


def test_a_quick_map_waits_for_nothing_slow():
    slow, schedule = task("slow", method="kernel_shap"), Schedule()
    schedule.want("anna", slow, 9)
    schedule.want("anna", A, 9)
    work = schedule.next(0, SLOW)
    # The map of many passes and the quick one are made at the same time, by two processes.
    assert work == Work(slow, MAPS) and schedule.next(0, QUICK) == Work(A, MAPS)
    schedule.done(work, True)
    check = schedule.next(0, SLOW)
    schedule.want("ben", B, 9)
    assert check == Work(slow, CHECKS, 0) and not schedule.should_end(check, 0)
    # The check of a quick map is not quick.
    schedule.done(Work(A, MAPS), True)
    assert schedule.next(0, QUICK) == Work(B, MAPS)


def test_readers_take_turns_in_each_lane():
    schedule = Schedule()
    for name in "12":
        schedule.want("anna", task(name), 9)
    schedule.done(schedule.next(0, QUICK), True)
    schedule.want("ben", B, 9)
    # A check for Anna does not cost her a turn among the quick maps, nor the other way round.
    assert schedule.next(0, QUICK).task == B
    assert schedule.next(0, SLOW).task == task("2")


def test_the_checks_of_one_study_are_finished_before_those_of_another():
    study, other, schedule = task("s", views=2), task("o", views=2), Schedule()
    schedule.want("anna", study, 9)
    schedule.done(following(schedule), True)
    first = following(schedule)
    schedule.want("ben", other, 9)
    schedule.done(following(schedule), True)
    order = []
    while work := following(schedule):
        order.append((work.task.files[0][0], work.place))
        schedule.done(work, complete=True)
    assert first == Work(study, CHECKS, 0) and order == [("s", 0), ("s", 1), ("o", 0), ("o", 1)]


def test_a_check_gives_way_to_a_slow_map_but_not_for_ever():
    schedule = Schedule()
    schedule.want("anna", A, 9)
    schedule.done(following(schedule, 0), True)
    check = following(schedule, 0)
    assert check == Work(A, CHECKS, 0) and not schedule.should_end(check, 0)
    schedule.want("ben", task("b", method="occlusion"), 9)
    for _ in range(MOST_PUT_BACK):
        assert schedule.should_end(check, 0)
        schedule.put_back(check)
    assert not schedule.should_end(check, 0)


def test_the_views_that_are_checked_can_be_named():
    study, schedule = task("s", views=4), Schedule()
    schedule.want("anna", study, 9, places=[2, 0])
    works = []
    while work := following(schedule, 0):
        works.append(work.place)
        schedule.done(work, complete=len(works) != 2)  # the first check has two parts
    assert works == [-1, 2, 2, 0] and not schedule.waits(study)


def test_what_is_made_ahead_is_last_until_somebody_looks():
    schedule = Schedule()
    schedule.want("anna", A, 9, ahead=True)
    schedule.want("ben", B, 9)
    assert run(schedule) == [("b", MAPS), ("a", AHEAD), ("b", CHECKS), ("a", AHEAD)]
    schedule.want("anna", A, 9, ahead=True)
    work = schedule.next(0, QUICK)
    schedule.want("ben", C, 9)
    assert schedule.should_end(work, 0)
    schedule.drop(C)
    schedule.want("anna", A, 9)
    assert following(schedule, 0) == Work(A, MAPS)


def test_a_failed_task_is_dropped():
    schedule = Schedule()
    schedule.want("anna", A, 9)
    schedule.drop(A)
    assert following(schedule, 0) is None
