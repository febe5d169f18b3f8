"""Work is begun ahead of whoever waits for it, in order, and never more than the bounds allow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.batching.read_ahead import read_ahead


class Begun:
    """Begins 0, 1, 2, …, each of the same size, and knows how many are under way."""

    def __init__(self, count: int, nbytes: int = 1) -> None:
        self.count = count
        self.nbytes = nbytes
        self.begun = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for number in range(self.count):
            self.begun += 1
            yield number, self.nbytes


@pytest.mark.parametrize("count", [0, 1, 4, 5, 50])
def test_everything_comes_out_in_order_and_no_more_is_under_way_than_allowed(count: int) -> None:
    begun, taken = Begun(count), []
    for number in read_ahead(begun, pictures=5):
        assert begun.begun - len(taken) <= 5
        taken.append(number)
    assert taken == list(range(count))


def test_work_is_begun_ahead_of_the_first_result() -> None:
    begun = Begun(50)
    assert next(read_ahead(begun, pictures=5)) == 0
    assert begun.begun == 5


def test_large_pictures_are_fewer_at_a_time() -> None:
    begun, taken = Begun(20, nbytes=100), []
    for number in read_ahead(begun, pictures=64, nbytes=250):
        assert (begun.begun - len(taken)) * begun.nbytes <= 250 + begun.nbytes
        taken.append(number)
    assert taken == list(range(20))


def test_one_picture_larger_than_all_the_room_is_answered_too() -> None:
    assert list(read_ahead(Begun(3, nbytes=1000), nbytes=10)) == [0, 1, 2]
