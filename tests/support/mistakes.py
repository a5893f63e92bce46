"""A sound run file, and what people write wrong in it."""

from __future__ import annotations

SOUND = """\
base: org/base
aligned: org/aligned
reward:
  kind: function
  prompts: {file: prompts.jsonl}
  scorer: reward.py:score
tax:
  - {preset: arc_easy}
  - {name: facts, family: knowledge, kind: choice, file: facts.jsonl}
out: runs/mine
"""

PEOPLE: dict[str, tuple[str, str, str]] = {
    "a letter too many": (
        "aligned: org/aligned",
        "alligned: org/aligned",
        "line 2, alligned: there is no such field; did you mean aligned?",
    ),
    "capitals": ("base:", "Base:", "line 1, Base: there is no such field; did you mean base?"),
    "a field of the engine": (
        "out:",
        "dtype: float32\nout:",
        "line 10, dtype: there is no such field here; did you mean engine.dtype?",
    ),
    "a field of the sampling": (
        "  kind: function",
        "  kind: function\n  max_tokens: 64",
        "line 5, reward.max_tokens: there is no such field here; did you mean reward.sampling.max_tokens?",
    ),
    "a field of the whole file": (
        "out:",
        "engine: {seed: 1}\nout:",
        "line 10, engine.seed: there is no such field here; did you mean seed outside of engine?",
    ),
    "a field of nothing": (
        "out:",
        "stop: {patience: 10, colour: red}\nout:",
        "line 10, stop.colour: there is no such field; there are patience",
    ),
    "no base": (
        "base: org/base\n",
        "",
        "base: this field is missing (the checkpoint from before RLHF, in safetensors; on the hub also id@revision).",
    ),
    "no prompts": (
        "  prompts: {file: prompts.jsonl}\n",
        "",
        "line 3, reward.prompts: this field is missing (what is replied to).",
    ),
    "nothing after the colon": ("org/base", "", "line 1, base: this is empty and must be a folder or hub id."),
    "trials in words": (
        "out:",
        "trials: forty\nout:",
        'line 10, trials: this is "forty" and must be a whole number, at least 3.',
    ),
    "half a trial": ("out:", "trials: 40.5\nout:", "line 10, trials: this is 40.5 and must be a whole number"),
    "too few trials": ("out:", "trials: 2\nout:", "trials: this is 2 and must be a whole number, at least 3."),
    "a negative seed": ("out:", "seed: -1\nout:", "seed: this is -1 and must be a whole number, at least 0"),
    "neither true nor false": (
        "out:",
        "early_stopping: sometimes\nout:",
        'early_stopping: this is "sometimes" and must be true or false.',
    ),
    "a short name of a precision": (
        "out:",
        "engine: {dtype: bf16}\nout:",
        'engine.dtype: this is "bf16" and must be one of auto, float32, bfloat16, float16; did you mean bfloat16?',
    ),
    "half a GPU": (
        "out:",
        "engine: {gpus: 0.5}\nout:",
        "engine.gpus: this is 0.5 and must be a whole number, at least 0.",
    ),
    "a share in percent": (
        "out:",
        "engine: {gpu_memory_utilization: 90}\nout:",
        "engine.gpu_memory_utilization: this is 90 and must be a number, above 0, at most 1.",
    ),
    "a number for a mapping": (
        "out:",
        "stop: 10\nout:",
        "stop: this is 10 and must be a mapping with the field patience.",
    ),
    "a number for a budget": (
        "out:",
        "budget: 3\nout:",
        "budget: this is 3 and must be a mapping with the fields tokens, hours.",
    ),
    "a file for its mapping": (
        "{file: prompts.jsonl}",
        "prompts.jsonl",
        'line 5, reward.prompts: this is "prompts.jsonl" and must be a mapping with the fields chat, system',
    ),
    "a mapping for a list": (
        "  - {preset: arc_easy}\n  - {name: facts, family: knowledge, kind: choice, file: facts.jsonl}\n",
        "  preset: arc_easy\n",
        "line 7, tax: this is a mapping and must be a list: mapping with a kind or a preset or a task, not empty.",
    ),
    "a name for a list": (
        "out:",
        "warm_start: uniform\nout:",
        'line 10, warm_start: this is "uniform" and must be a list: uniform, parts, distill or path.',
    ),
    "nothing for a list": (
        "  - {preset: arc_easy}\n  - {name: facts, family: knowledge, kind: choice, file: facts.jsonl}\n",
        "",
        "tax: this is empty and must be a list",
    ),
    "an empty list": (
        "out:",
        "distill: {means: []}\nout:",
        "distill.means: this is an empty list and must be a list: number, above 0, not empty.",
    ),
    "a bare preset": (
        "{preset: arc_easy}",
        "arc_easy",
        'line 8, tax.0: this is "arc_easy" and must be a mapping with a kind or a preset or a task.',
    ),
    "no kind of reward": (
        "  kind: function\n",
        "",
        "line 3, reward.kind: this field is missing; the kinds are function, model, pairwise, judge",
    ),
    "a kind that can be guessed": (
        "  kind: function\n  prompts: {file: prompts.jsonl}\n  scorer: reward.py:score\n",
        "  prompts: {file: prompts.jsonl}\n  model: org/rm\n  replicas: 1\n",
        "did you mean kind: model?",
    ),
    "a kind of reward that there is not": (
        "kind: function",
        "kind: functoin",
        'line 4, reward.kind: there is no kind "functoin", and the kinds are function, model, pairwise, judge, math, '
        "code, regex, json, command; did you mean function?",
    ),
    "a kind of probe that there is not": (
        "kind: choice",
        "kind: multiple_choice",
        'line 9, tax.1.kind: there is no kind "multiple_choice", and the kinds are choice, letter',
    ),
    "type for kind": (
        "kind: choice",
        "type: choice",
        "line 9, tax.1.type: there is no such field; did you mean kind: choice?",
    ),
    "a field of a probe": (
        "kind: choice,",
        "kind: choice, delimeter: x,",
        "line 9, tax.1.delimeter: there is no such field; did you mean delimiter?",
    ),
    "a name with a space": (
        "name: facts",
        "name: my facts",
        'line 9, tax.1.name: this is "my facts" and must be a name of letters, digits, _, -.',
    ),
    "an empty family": (
        "family: knowledge",
        "family: ''",
        'line 9, tax.1.family: this is "" and must be text, not empty.',
    ),
    "no few-shot file": (
        "kind: choice,",
        "kind: choice, few_shot: 5,",
        "line 9, tax.1.few_shot: this is 5 and must be a mapping with the fields n, file.",
    ),
    "a module for a file": (
        "reward.py:score",
        "reward.score",
        'line 6, reward.scorer: this is "reward.score" and must be file.py:function.',
    ),
    "ratios the wrong way round": (
        "out:",
        "range: [1, 0]\nout:",
        "line 10, range: [1.0, 0.0] is not a range of ratios; 0 <= low < high <= 2 has to hold.",
    ),
    "one ratio": ("out:", "range: 0.5\nout:", "range: this is 0.5 and must be [low, high] within 0 and 2."),
    "a bound without a sign": (
        "out:",
        "constraints: {tax: 0.05}\nout:",
        "line 10, constraints.tax: 0.05 is no bound; write a string such as '<= 0.02' or '>= 3', with the quotes.",
    ),
    "a constraint on a probe": (
        "out:",
        "constraints: {probe.fact: <= 0.1}\nout:",
        "constraints: there is no 'probe.fact'; there are reward, tax, tokens, probe.arc_easy, probe.facts and "
        "family.NAME; did you mean probe.facts?",
    ),
    "a sampler": ("out:", "sampler: tpee\nout:", "sampler: there is no sampler 'tpee'; name one of auto, nehvi"),
    "storage that is a path": (
        "out:",
        "storage: study.db\nout:",
        'storage: this is "study.db" and must be an address such as postgresql://host/name',
    ),
    "an argument of vLLM": (
        "out:",
        "engine: {vllm: {quantization: fp8}}\nout:",
        "engine.vllm: quantization cannot be set: vLLM scales and rounds every merge anew",
    ),
    "a field twice": (
        "out:",
        "trials: 40\ntrials: 60\nout:",
        "line 10, trials: this field stands again on line 11; remove one of them.",
    ),
    "a field of a probe twice": (
        "kind: choice,",
        "kind: choice, kind: exact,",
        "line 9, tax.1.kind: this field stands again on line 9; remove one of them.",
    ),
    "a variable that is not set": (
        "runs/mine",
        "$NO_SUCH_PLACE/mine",
        "line 10, out: the environment variable $NO_SUCH_PLACE is not set; set it, or write the path without it.",
    ),
    "a tab": ("  kind: function", "\tkind: function", "not a readable YAML file (line 4: found character '\\t'"),
    "no colon": ("base: org/base", "base org/base", "not a readable YAML file (line 2: "),
    "no mapping": (SOUND, "- a\n- b\n", "a run file is a mapping of fields such as base, aligned, reward, tax."),
    "one name twice": (
        "{preset: arc_easy}",
        "{preset: arc_easy, name: facts}",
        "the name 'facts' is used twice; give each probe and each reward a name of its own.",
    ),
}
"""By name: what stands in the file, what a person wrote instead, and the sentence, or a part of it."""
