"""What a run file changes of a preset's kind."""

import pytest

from ama_ray.config import Drawing, PresetProbe
from ama_ray.errors import UserError
from ama_ray.probes.number import Number
from ama_ray.probes.presets import registry as presets


def test_a_preset_may_be_sampled() -> None:
    probe = PresetProbe(preset="gsm8k", max_tokens=2048, sampling=Drawing(n=4, temperature=0.6), metric="pass@2")
    plain = presets.kind(PresetProbe(preset="gsm8k"))
    assert isinstance(plain, Number)
    assert plain.sampling.replies == 1
    changed = {"max_tokens": 2048, "sampling": Drawing(n=4, temperature=0.6), "metric": "pass@2"}
    assert presets.kind(probe) == plain.model_copy(update=changed)
    assert presets.kind(PresetProbe(preset="arc_easy", metric="acc_norm")).metric == "acc_norm"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"preset": "arc_easy", "max_tokens": 9}, r"preset arc_easy: max_tokens: Extra inputs are not permitted"),
        ({"preset": "arc_easy", "metric": "maj"}, r"preset arc_easy: metric: Input should be 'acc' or 'acc_norm'"),
        ({"preset": "wmt14_fr_en", "sampling": {"n": 2}}, r"preset wmt14_fr_en: .*one reply per item"),
    ],
)
def test_what_its_kind_has_not_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        presets.kind(PresetProbe.model_validate(fields))
