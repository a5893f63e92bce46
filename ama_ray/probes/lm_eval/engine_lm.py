"""The LM interface of lm-evaluation-harness with our engine behind it. Imports lm_eval, so it is imported late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from ama_ray.config import Chat
from ama_ray.data.prompting import encoded
from ama_ray.data.thinking import Thinking
from ama_ray.engine.requests import Continuations, Generation
from ama_ray.errors import UserError
from ama_ray.probes.lm_eval.questions import GeneratedReply, Known, Likelihood, Rolling, requests_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lm_eval.api.instance import Instance

    from ama_ray.data.prompting import Tokens
    from ama_ray.engine.engine import Engine
    from ama_ray.probes.lm_eval.questions import Question

MAX_TOKENS = 256
"""Most tokens of a reply where the task does not say, as in lm-evaluation-harness."""
IGNORED = frozenset({"until", "max_gen_toks", "do_sample", "temperature", "top_p", "top_k"})
"""Generation settings that are either followed, or without effect on a greedy reply."""


class EngineLM(TemplateLM):
    """Answers the instances of tasks, encoded and truncated as lm-evaluation-harness's own backends do it.

    For `lm_eval.simple_evaluate(model=EngineLM.on(engine, tokenizer, context_limit), ...)`; a task probe uses the same
    methods to write down, once, what its instances ask.
    """

    def __init__(
        self,
        tokenizer: Any,
        ask: Callable[[Sequence[Question]], list[Any]],
        context_limit: int | None = None,
        chat: Chat | None = None,
    ) -> None:
        """Sets up the interface.

        Args:
            tokenizer: Of transformers.
            ask: Gives the response to every question.
            context_limit: Most tokens the model takes; longer contexts lose their start. None: nothing is cut.
            chat: How the chat template is applied, and where the answer begins in a reply.

        Raises:
            UserError: The tokenizer has neither a beginning nor an end token.
        """
        super().__init__()
        self.tokenizer = tokenizer
        self._ask = ask
        self._limit = context_limit
        self._chat = chat or Chat()
        self._thinking = Thinking.of(tokenizer.get_added_vocab(), tokenizer.all_special_tokens, self._chat.answer_after)
        if self.prefix_token_id is None:
            raise UserError(
                "the tokenizer has neither a bos_token nor an eos_token, which these tasks start texts with"
            )
        one, two = (tokenizer.encode(text, add_special_tokens=False) for text in ("a", "a a"))
        self._drops_space = not tokenizer.decode(two[len(one) :]).startswith(" ")

    @classmethod
    def on(cls, engine: Engine, tokenizer: Any, context_limit: int | None = None) -> EngineLM:
        """The interface to the weights that are live in an engine."""

        def ask(questions: Sequence[Question]) -> list[Any]:
            requests = requests_of(questions)
            known = Known.of(requests, engine.answer(requests))
            return [question.response(known) for question in questions]

        return cls(tokenizer, ask, context_limit)

    @property
    def eot_token_id(self) -> int | None:
        """The token that ends a text."""
        eos: int | None = self.tokenizer.eos_token_id
        return eos

    @property
    def prefix_token_id(self) -> int | None:
        """The token that stands in front of a text without context."""
        bos: int | None = self.tokenizer.bos_token_id
        return self.eot_token_id if bos is None else bos

    @property
    def tokenizer_name(self) -> str:
        """For the keys of lm-evaluation-harness's caches."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Token ids of a text; special tokens in front, unless the text already begins with them."""
        if add_special_tokens is None:
            return encoded(self.tokenizer, string)
        tokens: list[int] = self.tokenizer.encode(string, add_special_tokens=add_special_tokens)
        return tokens

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The text of a conversation; without its system message where the template knows none.

        Raises:
            UserError: The tokenizer has no chat template.
        """
        if not self.tokenizer.chat_template:
            raise UserError("`chat: true`, but the tokenizer of the pair has no chat template")

        def text(messages: list[dict[str, str]]) -> str:
            return str(
                self.tokenizer.apply_chat_template(
                    messages,
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                    continue_final_message=not add_generation_prompt,
                    **self._chat.chat_template_kwargs,
                )
            )

        if self._chat.system is not None and chat_history[0]["role"] != "system":
            return text([{"role": "system", "content": self._chat.system}, *chat_history])
        try:
            return text(chat_history)
        except TemplateError:
            return text([message for message in chat_history if message["role"] != "system"])

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:
        """The log-likelihood (nats) of every text."""
        return self._ask([self._rolling(*instance.args) for instance in requests])

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """A greedy reply to every context.

        Raises:
            UserError: The task wants another way of decoding, or longer replies than the model takes.
        """
        return self._ask([self._reply(*instance.args) for instance in requests])

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        return self._ask([self._likelihood(tuple(before), tuple(after)) for _, before, after in requests])

    def _likelihood(self, context: Tokens, continuation: Tokens) -> Likelihood:
        if not continuation:
            raise UserError("a choice or target of a document has no tokens; give it some text")
        context = context[self._excess(context, continuation) :]
        if not context:
            raise UserError(
                f"a choice or target has {len(continuation)} tokens, and the model takes {self._limit} in all; use "
                "shorter ones"
            )
        return Likelihood(context, continuation)

    def _excess(self, context: Tokens, continuation: Tokens) -> int:
        length = Continuations(context, (continuation,)).length
        return 0 if self._limit is None else max(0, length - self._limit)

    def _rolling(self, text: str) -> Rolling:
        tokens, prefix = self.tok_encode(text), self.prefix_token_id
        # A window is one token of context and what is scored, as long as the model takes.
        most = len(tokens)
        most -= self._excess((0,), tuple(tokens))
        windows = get_rolling_token_windows(tokens, prefix_token=prefix, max_seq_len=max(most, 1), context_len=1)
        return Rolling(tuple((tuple(a), tuple(b)) for a, b in map(make_disjoint_window, windows)))

    def _reply(self, context: str, settings: dict[str, Any]) -> GeneratedReply:
        settings = dict(normalize_gen_kwargs(settings, MAX_TOKENS))
        if settings["do_sample"]:
            raise UserError("its replies are sampled, and probes are greedy; set `do_sample: false` in the task file")
        if others := sorted(settings.keys() - IGNORED):
            raise UserError(f"the generation setting {others[0]!r} is not supported; remove it from the task file")
        most, tokens = settings["max_gen_toks"], encoded(self.tokenizer, context)
        if self._limit is not None:
            if most >= self._limit:
                raise UserError(
                    f"its replies may have {most} tokens, and the model takes {self._limit} with the prompt; set a "
                    "lower `max_gen_toks` in the task file"
                )
            tokens = tokens[-(self._limit - most) :]
        if not tokens:
            raise UserError("the prompt of a document has no tokens; give it some text")
        stop = tuple(dict.fromkeys(string for string in settings["until"] if string))
        thinking = self._thinking.after(context)
        return GeneratedReply(
            Generation(tuple(tokens), max_tokens=most, stop=stop, thinking=thinking), self._drops_space
        )
