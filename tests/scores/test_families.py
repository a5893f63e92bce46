"""The mean over the probes of a family, of numbers, arrays and estimates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ama_ray.scores.families import families, family_estimate, family_mean, family_scores, family_tax
from ama_ray.scores.terms import ProbeTerm
from ama_ray.scores.trial import Estimate, ProbeResult, Scores


def test_families_have_their_probes_in_the_order_of_the_run_file() -> None:
    terms = [ProbeTerm(name, family, "mean") for name, family in (("b", "x"), ("c", "y"), ("a", "x"))]
    assert families(terms) == {"x": ("b", "a"), "y": ("c",)}
    assert list(families(terms)) == ["x", "y"]
    assert families([]) == {}


def test_a_family_is_the_mean_of_its_probes() -> None:
    probes = {"a": ProbeResult(0.5, 0.02, 0.1, 0.03), "b": ProbeResult(0.7, 0.02, 0.3, 0.04)}
    scores = Scores({}, probes | {"text": ProbeResult(9.0, 0.1, 0.0, 0.0)})
    tax, score = family_tax(scores, ["a", "b"]), family_scores(scores, ["a", "b"])
    assert (tax.value, tax.se) == pytest.approx((0.2, 0.025))
    assert (score.value, score.se) == pytest.approx((0.6, 0.02 / 2**0.5))
    assert family_scores(scores, ["text"]) == Estimate(9.0, 0.1)


def test_without_one_of_its_probes_a_family_is_not_known() -> None:
    scores = Scores({}, {"a": ProbeResult(0.5, 0.02, 0.1, 0.03)})
    for found in (family_tax(scores, ["a", "c"]), family_scores(scores, ["c"]), family_estimate({}, ["c"])):
        assert math.isnan(found.value)
        assert math.isnan(found.se)


def test_means_are_of_numbers_arrays_and_tensors() -> None:
    assert family_mean({"a": 1.0, "b": 4.0, "c": 99.0}, ["a", "b"]) == 2.5
    arrays = {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 6.0])}
    assert family_mean(arrays, ["a", "b"]).tolist() == [2.0, 4.0]
    assert arrays["a"].tolist() == [1.0, 2.0]
    tensors = {name: torch.tensor(values) for name, values in arrays.items()}
    assert family_mean(tensors, ["b"]).tolist() == [3.0, 6.0]
