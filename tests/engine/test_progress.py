"""The protocol of long work."""

from mnistdiff.engine.progress import Progress, Work, collect, finish


def halves(numbers: list[int]) -> Work[int, str]:
    for done, number in enumerate(numbers, start=1):
        yield Progress("halving", done, len(numbers), (number // 2,))
    return "halved"


def twice(numbers: list[int]) -> Work[int, tuple[str, str]]:
    first = yield from halves(numbers)
    second = yield from halves(numbers)
    return first, second


def test_work_ends_with_its_result_and_tells_each_step():
    seen: list[tuple[int, int]] = []
    assert finish(halves([4, 6]), lambda progress: seen.append((progress.done, progress.total))) == "halved"
    assert seen == [(1, 2), (2, 2)]


def test_what_is_completed_on_the_way_is_collected_in_order():
    assert collect(halves([4, 6, 8])) == [2, 3, 4]


def test_work_contains_work():
    assert finish(twice([4])) == ("halved", "halved")
    assert collect(twice([4, 6])) == [2, 3, 2, 3]
