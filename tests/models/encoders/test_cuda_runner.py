"""What of the GPU's path can be seen without one: which recorded pass a batch takes, and what it answers.

There was no GPU when it was written: streams, pinned memory and the recording itself are untested here.
"""

import torch

from models.encoders.cuda_runner import Graphs, Recorded, sizes_up_to


class Recorder:
    """Records a pass as a GPU does: what is replayed reads and writes the same memory each time."""

    def __init__(self) -> None:
        self.replayed: list[int] = []
        self.eager: list[int] = []

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.eager.append(len(batch))
        return batch.double() * 2

    def record(self, size: int) -> Recorded:
        inputs, outputs = torch.zeros(size, 3), torch.zeros(size, 3, dtype=torch.float64)

        def replay() -> None:
            self.replayed.append(size)
            outputs.copy_(inputs.double() * 2)

        return Recorded(inputs, outputs, replay)


def test_a_batch_takes_the_smallest_recorded_pass_that_holds_it() -> None:
    recorder = Recorder()
    graphs = Graphs(recorder.forward, recorder.record, (8, 1, 4))
    for count in (1, 2, 4, 5, 8):
        batch = torch.rand(count, 3)
        assert torch.equal(graphs(batch), batch.double() * 2)
    assert recorder.replayed == [1, 4, 4, 8, 8]
    assert recorder.eager == []


def test_a_larger_batch_runs_as_it_is() -> None:
    recorder = Recorder()
    graphs = Graphs(recorder.forward, recorder.record, (1, 4))
    batch = torch.rand(5, 3)
    assert torch.equal(graphs(batch), batch.double() * 2)
    assert (recorder.replayed, recorder.eager) == ([], [5])


def test_an_answer_is_not_overwritten_by_the_next_one() -> None:
    recorder = Recorder()
    graphs = Graphs(recorder.forward, recorder.record, (4,))
    first, second = torch.rand(3, 3), torch.rand(2, 3)
    answer = graphs(first)
    graphs(second)
    assert torch.equal(answer, first.double() * 2)


def test_no_batch_is_padded_to_more_than_twice_its_size() -> None:
    assert sizes_up_to(1) == [1]
    assert sizes_up_to(32) == [1, 2, 4, 8, 16, 32]
    assert sizes_up_to(24) == [1, 2, 4, 8, 16, 24]
