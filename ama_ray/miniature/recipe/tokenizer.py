"""The word-level tokenizer of the miniature."""

from collections.abc import Iterable

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from ama_ray.miniature.recipe import words

BOS, EOS, PAD, UNKNOWN = "<s>", "</s>", "<pad>", "<unk>"


def vocabulary() -> list[str]:
    """All words of the world, special tokens first, in a fixed order."""
    text: list[str] = [*words.FIXED, *words.DIGITS, *words.LETTERS, *words.NAMES]
    for attribute, values in words.FACTS.items():
        text += [attribute, *values]
    for noun, (_, english) in words.NOUNS.items():
        text += [noun, english]
    text += words.ARTICLES.values()
    text += [word for pair in (*words.ADJECTIVES.items(), *words.VERBS.items()) for word in pair]
    text += [*words.STATES, *words.TOPICS, *words.ACTIONS]
    text += _template_words([*words.GREETINGS, *words.REQUESTS])
    for moods in (words.OPENINGS, words.BODIES, words.CLOSINGS):
        for templates in moods.values():
            text += _template_words(templates)
    return list(dict.fromkeys([PAD, BOS, EOS, UNKNOWN, *text]))


def _template_words(templates: Iterable[str]) -> list[str]:
    return [word for line in templates for word in line.split() if not word.startswith("{")]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer: one token per word, `<s>` put in front of every text.

    Without a decoder, decoded words are joined by single spaces, so an answer can be compared as
    a plain string.
    """
    ids = {word: index for index, word in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, ids[BOS])])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=128,
    )
