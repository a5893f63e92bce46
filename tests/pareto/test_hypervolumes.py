"""Many sets of points at once against one after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ama_ray.pareto.hypervolume import hypervolume, hypervolumes, non_dominated, non_dominated_each

# A coarse grid makes ties.
values = st.integers(-3, 6).map(float) | st.floats(-3, 6) | st.just(float("nan"))
several = st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(2, 3))


@given(arrays(np.float64, several, elements=values))
def test_fronts(sets: np.ndarray) -> None:
    assert non_dominated_each(sets).tolist() == [non_dominated(points).tolist() for points in sets]


@given(arrays(np.float64, several, elements=values), st.data())
def test_volumes(sets: np.ndarray, data: st.DataObject) -> None:
    count, _, objectives = sets.shape
    references = data.draw(arrays(np.float64, (count, objectives), elements=st.floats(-3, 6)))
    # In units of the box from 0 to 1, and so in their own.
    low, high = [0.0] * objectives, [1.0] * objectives
    expected = [hypervolume(points, low, high, at.tolist()) for points, at in zip(sets, references, strict=True)]
    assert hypervolumes(sets, references) == pytest.approx(np.array(expected), abs=1e-9)
