from __future__ import annotations

from sparkclin.runs.pace import MOST_SAMPLES, Pace, Sample, Stretch, stretches


def test_only_what_was_done_is_kept() -> None:
    pace = Pace()
    for elapsed_s, notes in ((1.0, 0), (2.0, 10), (3.0, 10), (4.0, 30)):
        pace.add(elapsed_s, notes)
    assert pace.finished(5.0, 40) == (Sample(0.0, 0), Sample(2.0, 10), Sample(4.0, 30), Sample(5.0, 40))


def test_the_end_is_no_sample_where_all_was_done_before() -> None:
    pace = Pace()
    pace.add(2.0, 10)
    assert pace.finished(5.0, 10) == (Sample(0.0, 0), Sample(2.0, 10))


def test_a_long_run_has_few_samples_over_all_of_its_time() -> None:
    pace = Pace()
    for second in range(1, 100_001):
        pace.add(float(second), second * 5)
    samples = pace.finished(100_001.0, 500_005)
    assert MOST_SAMPLES // 3 < len(samples) <= MOST_SAMPLES + 1
    assert (samples[0], samples[-1]) == (Sample(0.0, 0), Sample(100_001.0, 500_005))
    # Wherever samples were left out, the rate is what it was.
    assert {round(part.notes_per_s, 6) for part in stretches(samples, least_s=0)} == {5.0}


def test_once_samples_were_left_out_the_next_ones_keep_that_distance() -> None:
    """After 121 samples every second one goes, and the next is more than a second after the last."""
    pace = Pace()
    for second in range(1, 121):
        pace.add(float(second), second)
    assert len(pace.finished(120.0, 120)) == 61
    pace.add(121.0, 121)
    assert pace.finished(121.5, 122)[-2:] == (Sample(120.0, 120), Sample(121.5, 122))
    pace.add(121.25, 122)
    assert pace.finished(122.0, 122)[-2:] == (Sample(120.0, 120), Sample(121.25, 122))


def test_tasks_that_end_together_are_no_peak() -> None:
    samples = [Sample(0.0, 0), Sample(10.0, 50), Sample(11.0, 100), Sample(20.0, 150), Sample(21.0, 200)]
    assert stretches(samples, least_s=5) == [Stretch(0.0, 10.0, 5.0), Stretch(10.0, 21.0, 150 / 11)]
    assert len(stretches(samples, least_s=0)) == 4


def test_no_samples_are_no_stretches() -> None:
    assert stretches([Sample(0.0, 0)], least_s=0) == []
