"""The conversation itself: messages, replies as they come, and commands."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.cli.chat.client import ChatClient, ChatError
from ama_ray.cli.chat.completion import completion
from ama_ray.cli.chat.conversation import Conversation, Frame
from ama_ray.cli.console import say
from ama_ray.errors import UserError
from ama_ray.report.text.terminal import harmless

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ama_ray.config.rewards import Prompts

HELP = """\
/point NAME  go on with another point; what was said so far stays
/vs NAME     another point answers too, below; /vs alone ends that
/points      the points there are, with their scores
/new         forget what was said
/quit        the end, as Ctrl+D; Ctrl+C ends a reply that is coming, or the conversation"""


def talk(client: ChatClient, point: str, prompts: Prompts, vs: str | None = None, *, scores: Mapping[str, str]) -> None:
    """Talks until the input ends.

    Args:
        client: Of the server.
        point: To begin with.
        prompts: The run's reward prompts, whose frame is used where there is no chat template.
        vs: A point that answers too, below it.
        scores: Of points, by name, in words.

    Raises:
        UserError: The server has no such point, or is not there.
    """
    points = client.points()
    for name in (point, *([vs] if vs else ())):
        if name not in points:
            raise UserError(f"There is no point {name!r}; the server has {', '.join(points)}.")
    try:
        frame = None if client.has_template(point) else Frame.of_run(prompts)
    except ChatError as error:
        raise UserError(f"--url: {error}.") from error
    say(f"talking to {point}{f' and {vs}' if vs else ''}; /point NAME moves the dial, /help says more")
    if frame is not None:
        around = frame.around("...")
        say(f"the pair has no chat template: the model continues the text so far, each message as in {around!r}")
    conversation = Conversation(frame)
    _Talk(client, _Side(point, conversation), _Side(vs, conversation.copy()) if vs else None, points, scores).run()


@dataclass
class _Side:
    """A point, and what it was told and answered."""

    point: str
    conversation: Conversation


class _Talk:
    def __init__(
        self, client: ChatClient, one: _Side, other: _Side | None, points: list[str], scores: Mapping[str, str]
    ) -> None:
        self._client = client
        self._one = one
        self._other = other
        self._points = points
        self._scores = scores

    def run(self) -> None:
        for line in self._lines():
            command, _, rest = line.partition(" ")
            if command == "/quit":
                return
            if command.startswith("/"):
                self._obey(command, rest.strip())
            elif line:
                for side in self._sides():
                    self._answer(side, line)

    def _sides(self) -> list[_Side]:
        return [self._one, *([self._other] if self._other else ())]

    def _lines(self) -> Iterator[str]:
        if not sys.stdin.isatty():
            yield from (line.strip() for line in sys.stdin)
            return
        commands = ["/point", "/vs", "/points", "/new", "/help", "/quit"]
        with completion(commands, self._points), suppress(EOFError, KeyboardInterrupt):
            while True:
                yield input(f"{' | '.join(side.point for side in self._sides())}> ").strip()
        print()

    def _obey(self, command: str, rest: str) -> None:
        if command in ("/point", "/vs") and rest in self._points:
            if command == "/point":
                self._one.point = rest
            else:
                self._other = _Side(rest, self._one.conversation.copy())
            say(f"now talking to {' and '.join(side.point for side in self._sides())}")
        elif command == "/vs" and not rest:
            self._other = None
            say(f"now talking to {self._one.point}")
        elif command in ("/point", "/vs"):
            say(f"There is no point {rest!r}; the server has {', '.join(self._points)}.")
        elif command == "/points":
            self._list()
        elif command == "/new":
            for side in self._sides():
                side.conversation.exchanges.clear()
            say("what was said is forgotten")
        else:
            say(HELP)

    def _list(self) -> None:
        talking = {side.point for side in self._sides()}
        width = max(map(len, self._points))
        for name in self._points:
            score = f"  {self._scores[name]}" if name in self._scores else ""
            say(f"{'*' if name in talking else ' '} {name:{width}}{score}".rstrip())

    def _answer(self, side: _Side, message: str) -> None:
        reply = ""
        if self._other:
            print(f"{side.point}: ", end="", flush=True)
        try:
            self._make_room(side, message)
            asked, stop = side.conversation.asked(message), side.conversation.stop
            with suppress(KeyboardInterrupt):
                for piece in self._client.reply(side.point, asked, stop):
                    shown = piece if reply else piece.lstrip()
                    reply += shown
                    print(harmless(shown), end="", flush=True)
            print()
        except ChatError as error:
            say(f"no reply: {error}")
            return
        side.conversation.exchanges.append((message, reply))

    def _make_room(self, side: _Side, message: str) -> None:
        """Forgets the oldest exchanges where the text so far and a reply are more than the model takes."""
        forgotten = 0
        while side.conversation.exchanges:
            size, context = self._client.size(side.point, side.conversation.asked(message))
            if size + self._client.max_tokens <= context:
                break
            del side.conversation.exchanges[0]
            forgotten += 1
        if forgotten:
            say(f"(forgot the oldest {forgotten} of the exchanges: the model takes {context} tokens)")
