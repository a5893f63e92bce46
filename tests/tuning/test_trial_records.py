"""What travels between searcher, trial actors, stoppers and recorder, and what Tune makes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ama_ray.scores.trial import Estimate, KeptReply, Scores
from ama_ray.tuning.trial_records import TrialResult, TrialSpec

SPEC = TrialSpec(7, "sampler", {"a": 0.25, "b": 1.0}, "report", attempt=2)
PART = TrialResult(SPEC, "engine", 2.5, {"swap": 0.5}, share=0.3, items={"facts": np.zeros((3, 1))})
COMPLETE = replace(PART, share=1.0, state="complete", scores=Scores({"reward": Estimate(1.5), "tax": Estimate(0.2)}))


def test_a_spec_comes_back_from_a_config_of_plain_values_to_which_tune_may_have_added_others() -> None:
    config = SPEC.to_config()
    assert config == {
        "number": 7,
        "origin": "sampler",
        "ratios": {"a": 0.25, "b": 1.0},
        "split": "report",
        "attempt": 2,
    }
    assert TrialSpec.from_config(config | {"__trial_info__": None}) == SPEC


def test_a_result_travels_whole_beside_what_trackers_log() -> None:
    for result in (PART, COMPLETE, replace(PART, state="failed", reason="the scorer failed")):
        assert TrialResult.from_tune(result.to_tune()) is result
    of_part, of_complete = PART.to_tune(), COMPLETE.to_tune()
    assert (of_part["done"], of_complete["done"]) == (False, True)
    assert (of_complete["reward"], of_complete["tax"], of_complete["share"]) == (1.5, 0.2, 1.0)
    assert (of_part["ratios"], of_part["seconds"]) == (SPEC.ratios, {"swap": 0.5})
    failed = replace(PART, state="failed", reason="the scorer failed").to_tune()
    assert (failed["done"], failed["reason"]) == (True, "the scorer failed")


def test_a_result_that_was_taken_leaves_no_array_behind() -> None:
    result = COMPLETE.to_tune()
    assert TrialResult.take_from(result) is COMPLETE
    assert not [value for value in result.values() if isinstance(value, TrialResult)]
    assert result["reward"] == 1.5


def test_items_and_replies_are_in_no_log() -> None:
    shown = repr(replace(COMPLETE, replies=(KeptReply("how are you?", "fine"),), said={"arc": ["fine"]}))
    assert "facts" not in shown
    assert "array" not in shown
    assert "fine" not in shown
