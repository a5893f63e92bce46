"""Benchmarks from their real files on the miniature's engine, against transformers: what is asked, and the scores.

The miniature was trained on other words, so its scores are at chance.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sacrebleu
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from ama_ray.config import RunConfig
from ama_ray.engine.replies import Reply
from ama_ray.evaluation.evaluation import Answers, Evaluation
from ama_ray.evaluation.terms import objectives_of
from ama_ray.miniature import ROOT
from ama_ray.scores.metrics import METRICS
from testing.checkpoints import edit
from tests.support import constant_reward
from tests.support.graded import DATA, VERIFIED, is_right, programs, school_problems, spoilt
from tests.support.processes import in_own_process

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ama_ray.engine.requests import Continuations, Generation

FILES = {
    "arc_easy": "arc/ARC-Easy.test.json",
    "piqa": "piqa/valid.jsonl",
    "mmlu": "mmlu/val",
    "squad": "squad/xquad.en.json",
    "wmt14_fr_en": "wmt14_fr-en/newstest2014.fr",
}
REPLY = 24
ITEMS = 6
TOLERANCE = 1e-4
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not DATA.is_dir(), reason="the folder shared/data with the real files is not here"),
]


def letter_tokenizer(folder: Path) -> None:
    """Gives the miniature a tokenizer that knows these texts: its own knows four hundred words."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    old = transformers.AutoTokenizer.from_pretrained(ROOT / "base")
    special = {name: str(getattr(old, name)) for name in ("pad_token", "bos_token", "eos_token")}
    ids = sorted((old.convert_tokens_to_ids(token), token) for token in set(special.values()))
    assert [i for i, _ in ids] == list(range(len(ids)))
    text = [
        *("".join(map(chr, range(32, 127))), "\n", *[" A B C D"] * 1000),
        *[(DATA / FILES[name]).read_text(encoding="utf-8") for name in ("squad", "piqa", "wmt14_fr_en")],
    ]
    trainer = trainers.BpeTrainer(
        vocab_size=402,
        special_tokens=[token for _, token in ids],
        limit_alphabet=200,
        show_progress=False,
    )
    tokenizer.train_from_iterator(text, trainer)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)


def prepare(folder: Path) -> tuple[RunConfig, Evaluation]:
    rows = [{"prompt": "hello"}, {"prompt": "you"}]
    for name, row in zip(("a", "b"), rows, strict=True):
        (folder / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    problems = [{"prompt": row["question"], "answer": row["answer"]} for row in school_problems()[: 4 * ITEMS]]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in problems))
    short = {"items": ITEMS, "max_tokens": REPLY}
    config = RunConfig.from_arguments(
        base=str(folder),
        aligned=str(folder),
        reward={
            "kind": "function",
            "prompts": {"file": folder / "a.jsonl", "report_file": folder / "b.jsonl"},
            "scorer": f"{constant_reward.__file__}:score",
            "sampling": {"max_tokens": 2},
        },
        tax=[
            *({"preset": name, "file": DATA / file, "items": ITEMS} for name, file in FILES.items()),
            *({"preset": name, "file": DATA / file, **short} for name, file in VERIFIED.items()),
            {"name": "problems", "family": "math", "kind": "math", "file": folder / "problems.jsonl", **short},
        ],
        allow_test_split=True,
        out=folder / "out",
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return config, Evaluation.prepare(config, tokenizer, 2048)["search"]


def on_the_engine(folder: Path) -> tuple[Answers, dict[str, NDArray[np.float64]]]:
    from ama_ray.config import EngineSettings
    from ama_ray.engine.in_process import InProcessEngine

    _, evaluation = prepare(folder)
    answers = evaluation.ask(InProcessEngine(folder, EngineSettings(dtype="float32"), evaluation.context_length))
    return answers, evaluation.measure(answers, answers).items


@torch.no_grad()
def loglikelihoods(model: Any, request: Continuations) -> list[float]:
    """A full forward pass per continuation."""

    def score(continuation: tuple[int, ...]) -> float:
        logprobs = model(torch.tensor([request.context + continuation])).logits[0].double().log_softmax(-1)
        start = len(request.context) - 1
        return sum(float(logprobs[start + i, token]) for i, token in enumerate(continuation))

    return [score(continuation) for continuation in request.continuations]


@torch.no_grad()
def reply(model: Any, tokenizer: Any, request: Generation) -> str:
    """A greedy reply, cut before the first stop string."""
    tokens = model.generate(torch.tensor([request.prompt]), max_new_tokens=request.max_tokens, do_sample=False)[0]
    text = str(tokenizer.decode(tokens[len(request.prompt) :], skip_special_tokens=True))
    return text[: min((text.find(stop) for stop in request.stop if stop in text), default=None)]


def word_f1(said: str, answers: list[str]) -> float:
    """SQuAD's F1, written down once more."""

    def words(text: str) -> list[str]:
        plain = "".join(c for c in text.lower() if c not in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
        return [word for word in plain.split() if word not in ("a", "an", "the")]

    def one(answer: str) -> float:
        ours, theirs = words(said), words(answer)
        if not ours or not theirs:
            return float(ours == theirs)
        common = sum(min(ours.count(word), theirs.count(word)) for word in set(ours))
        return 2 * common / (len(ours) + len(theirs))

    return max(map(one, answers))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("presets") / "model"
    shutil.copytree(ROOT / "base", folder)
    # Its positions are rotations, so that more of them need no training; real passages are long.
    edit(folder / "config.json", lambda fields: fields.update(max_position_embeddings=2048))
    letter_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def answered_and_scored(folder: Path) -> tuple[Answers, dict[str, NDArray[np.float64]]]:
    found = in_own_process(on_the_engine, folder)
    assert "vllm" not in sys.modules
    return found


def test_five_benchmarks_score_as_transformers_says(
    folder: Path, answered_and_scored: tuple[Answers, dict[str, NDArray[np.float64]]]
) -> None:
    answers, items = answered_and_scored
    config, evaluation = prepare(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    places_of = evaluation.places.items()
    asked: dict[str, list[Any]] = {name: [evaluation.requests[p] for p in places] for name, places in places_of}
    answered = {name: [answers.by_request[p] for p in places] for name, places in places_of}
    assert {name: len(asked[name]) for name in FILES} == dict.fromkeys(FILES, ITEMS)
    for name in ("arc_easy", "piqa", "mmlu"):
        for request, sums in zip(asked[name], answered[name], strict=True):
            assert sums == pytest.approx(loglikelihoods(model, request), abs=TOLERANCE)
    for name in ("squad", "wmt14_fr_en"):
        for request, replies in zip(asked[name], answered[name], strict=True):
            assert [each.text for each in replies] == [reply(model, tokenizer, request)]

    scores = {term.name: METRICS[term.metric].score(items[term.name]) for term in objectives_of(config).probes}
    scores = {name: scores[name] for name in FILES}

    def prompts(name: str) -> list[str]:
        return [tokenizer.decode(getattr(r, "context", None) or r.prompt) for r in asked[name]]

    def right(request: Any, gold: int) -> bool:
        return int(np.argmax(loglikelihoods(model, request))) == gold

    science = json.loads((DATA / FILES["arc_easy"]).read_text(encoding="utf-8"))
    exam = [row for file in sorted((DATA / FILES["mmlu"]).glob("*.csv")) for row in csv.reader(file.open())]
    hits: dict[str, list[bool]] = {"arc_easy": [], "mmlu": [], "piqa": []}
    for prompt, request in zip(prompts("arc_easy"), asked["arc_easy"], strict=True):
        question = prompt.removeprefix("Question: ").removesuffix("\nAnswer:")
        (gold,) = {row["answer"] for row in science if f": {question}\n\nAnswer1:" in row["instruction"]}
        hits["arc_easy"].append(right(request, int(gold.removeprefix("answer")) - 1))
    for prompt, request in zip(prompts("mmlu"), asked["mmlu"], strict=True):
        (letter,) = {row[5] for row in exam if f"{row[0].strip()}\nA. {row[1]}\nB. {row[2]}\n" in prompt}
        hits["mmlu"].append(right(request, "ABCD".index(letter)))
    goals = [json.loads(line) for line in (DATA / FILES["piqa"]).read_text(encoding="utf-8").splitlines()]
    labels = (DATA / "piqa/valid-labels.lst").read_text().split()
    by_prompt = {
        f"Question: {row['goal']}\nAnswer:": (row, int(label)) for row, label in zip(goals, labels, strict=True)
    }
    for prompt, request in zip(prompts("piqa"), asked["piqa"], strict=True):
        row, label = by_prompt[prompt]
        assert [tokenizer.decode(c) for c in request.continuations] == [f" {row['sol1']}", f" {row['sol2']}"]
        hits["piqa"].append(right(request, label))
    assert {name: scores[name] for name in hits} == pytest.approx({name: np.mean(each) for name, each in hits.items()})

    french = (DATA / FILES["wmt14_fr_en"]).read_text(encoding="utf-8").splitlines()
    english = (DATA / "wmt14_fr-en/newstest2014.en").read_text(encoding="utf-8").splitlines()
    pairs = {f"French phrase: {fr}\nEnglish phrase:": en for fr, en in zip(french, english, strict=True)}
    references = [pairs[prompt] for prompt in prompts("wmt14_fr_en")]
    said = [each.text for (each,) in answered["wmt14_fr_en"]]
    assert scores["wmt14_fr_en"] == pytest.approx(sacrebleu.corpus_bleu(said, [references]).score / 100)

    def known(text: str) -> str:
        """Without the few rare signs that the tokenizer lacks."""
        return str(tokenizer.decode(tokenizer.encode(text)))

    questions = [
        (known(paragraph["context"]), known(qa["question"]), [answer["text"] for answer in qa["answers"]])
        for article in json.loads((DATA / FILES["squad"]).read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]
    f1 = []
    for prompt, (given,) in zip(prompts("squad"), answered["squad"], strict=True):
        (answer,) = [a for context, q, a in questions if context in prompt and f"Question: {q}\n" in prompt]
        f1.append(word_f1(given.text, answer))
    assert scores["squad"] == pytest.approx(np.mean(f1))
    print("scores at chance:", {name: round(score, 3) for name, score in scores.items()})


def test_mathematics_and_code_are_graded_as_by_hand(
    folder: Path, answered_and_scored: tuple[Answers, dict[str, NDArray[np.float64]]], tmp_path: Path
) -> None:
    answers, items = answered_and_scored
    _, evaluation = prepare(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def known(text: str) -> str:
        return str(tokenizer.decode(tokenizer.encode(text)))

    asked: dict[str, tuple[list[dict[str, str]], str, str]] = {
        "gsm8k": (school_problems(), "Question: {question}\nAnswer:", "answer"),
        "problems": (school_problems(), "{question}", "answer"),
        "humaneval": (programs(), "{prompt}", "canonical_solution"),
    }
    by_hand: dict[str, list[float]] = {}
    made: list[Any] = list(answers.by_request)
    for name, (rows, template, field) in asked.items():
        by_prompt = {known(template.format(**row) if name != "humaneval" else row["prompt"]): row for row in rows}
        places = evaluation.places[name]
        assert len(places) == ITEMS
        scores = []
        for number, place in enumerate(places):
            request: Any = evaluation.requests[place]
            row = by_prompt[tokenizer.decode(request.prompt)]
            said = reply(model, tokenizer, request)
            assert [each.text for each in answers.by_request[place]] == [said]
            scores.append(float(is_right(name, row, said, tmp_path)))
            made[place] = [Reply(spoilt(name, row) if number % 3 == 0 else row[field])]
        assert items[name][:, 0].tolist() == scores
        texts = [made[place][0].text for place in places]
        found = [by_prompt[tokenizer.decode(evaluation.requests[place].prompt)] for place in places]  # type: ignore[union-attr]
        by_hand[name] = [float(is_right(name, row, text, tmp_path)) for row, text in zip(found, texts, strict=True)]
    # The miniature is right about none of it, so that most is said by these.
    graded = evaluation.measure_probes(Answers(tuple(made)), answers)
    for name, expected in by_hand.items():
        assert graded[name][:, 0].tolist() == expected == [0, 1, 1, 0, 1, 1]
