import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ama_ray.scores.metrics import METRICS, jackknife, mean_error

WIDTHS = {"mean": 1, "calibration": 10, "bleu": 10, "chrf": 18, "perplexity": 2, "bits-per-byte": 2, "kl": 2}


def random_items(name: str, count: int) -> NDArray[np.float64]:
    random = np.random.default_rng(1)
    if name == "calibration":
        items = np.zeros((count, 10))
        items[np.arange(count), random.integers(0, 10, count)] = random.uniform(-1, 1, count)
        return items
    return random.integers(1, 20, (count, WIDTHS[name])).astype(np.float64)


@given(arrays(np.float64, st.integers(2, 50), elements=st.floats(-1e3, 1e3)))
def test_the_jackknife_of_a_mean_is_its_usual_standard_error(values: NDArray[np.float64]) -> None:
    usual = values.std(ddof=1) / math.sqrt(len(values))
    assert jackknife(METRICS["mean"].without_each(values[:, None])) == pytest.approx(usual, abs=1e-9)
    assert mean_error(values) == pytest.approx(usual, abs=1e-9)
    assert METRICS["mean"].score(values[:, None]) == pytest.approx(values.mean(), abs=1e-9)


def test_every_metric_is_tested_here() -> None:
    assert METRICS.keys() == WIDTHS.keys()


@pytest.mark.parametrize("name", METRICS)
def test_leaving_out_is_scoring_the_others(name: str) -> None:
    items = random_items(name, 7)
    expected = [METRICS[name].score(np.delete(items, i, axis=0)) for i in range(len(items))]
    assert METRICS[name].without_each(items) == pytest.approx(expected)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.filterwarnings("error")
def test_a_single_item_has_a_score_and_no_error(name: str) -> None:
    items = random_items(name, 1)
    assert math.isfinite(METRICS[name].score(items))
    assert math.isnan(METRICS[name].standard_error(items))


@pytest.mark.parametrize("name", ["perplexity", "bits-per-byte", "kl"])
def test_the_jackknife_of_a_ratio_is_close_to_the_delta_methods(name: str) -> None:
    random = np.random.default_rng(0)
    units = random.integers(20, 60, 400).astype(np.float64)
    sums = units * random.uniform(1, 3, 400)
    ratio = sums.sum() / units.sum()
    se = (sums - ratio * units).std(ddof=1) / units.mean() / math.sqrt(400)
    slope = {"perplexity": math.exp(ratio), "bits-per-byte": 1 / math.log(2), "kl": 1}[name]
    assert METRICS[name].standard_error(np.column_stack([sums, units])) == pytest.approx(slope * se, rel=0.05)


def test_which_way_is_better() -> None:
    assert {name for name, metric in METRICS.items() if metric.higher_is_better} == {"mean", "bleu", "chrf"}


def test_jackknife_of_nothing() -> None:
    assert math.isnan(jackknife(np.array([])))
