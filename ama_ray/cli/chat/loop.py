"""The conversation itself: messages, replies as they come, and commands."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ama_ray.cli.chat.client import ChatClient, ChatError
from ama_ray.cli.chat.conversation import Conversation, Frame
from ama_ray.cli.console import say
from ama_ray.errors import UserError
from ama_ray.report.text.terminal import harmless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ama_ray.config.rewards import Prompts

HELP = """\
/point NAME  go on with another point; what was said so far stays
/points      the points there are
/new         forget what was said
/quit        the end, as Ctrl+D; Ctrl+C ends a reply that is coming, or the conversation"""


def talk(client: ChatClient, point: str, prompts: Prompts) -> None:
    """Talks until the input ends.

    Args:
        client: Of the server.
        point: To begin with.
        prompts: The run's reward prompts, whose frame is used where there is no chat template.

    Raises:
        UserError: The server has no such point, or is not there.
    """
    points = client.points()
    if point not in points:
        raise UserError(f"There is no point {point!r}; the server has {', '.join(points)}.")
    try:
        frame = None if client.has_template(point) else Frame.of_run(prompts)
    except ChatError as error:
        raise UserError(f"--url: {error}.") from error
    say(f"talking to {point}; /point NAME moves the dial, /help says more")
    if frame is not None:
        around = frame.around("...")
        say(f"the pair has no chat template: the model continues the text so far, each message as in {around!r}")
    _Talk(client, point, points, Conversation(frame)).run()


class _Talk:
    def __init__(self, client: ChatClient, point: str, points: list[str], conversation: Conversation) -> None:
        self._client = client
        self._point = point
        self._points = points
        self._conversation = conversation

    def run(self) -> None:
        for line in self._lines():
            command, _, rest = line.partition(" ")
            if command == "/quit":
                return
            if command.startswith("/"):
                self._obey(command, rest.strip())
            elif line:
                self._answer(line)

    def _lines(self) -> Iterator[str]:
        if not sys.stdin.isatty():
            yield from (line.strip() for line in sys.stdin)
            return
        with suppress(ImportError):
            import readline  # noqa: F401  # editing and history
        with suppress(EOFError, KeyboardInterrupt):
            while True:
                yield input(f"{self._point}> ").strip()
        print()

    def _obey(self, command: str, rest: str) -> None:
        if command == "/point" and rest in self._points:
            self._point = rest
            say(f"now talking to {rest}")
        elif command == "/point":
            say(f"There is no point {rest!r}; the server has {', '.join(self._points)}.")
        elif command == "/points":
            say("\n".join(f"{'*' if name == self._point else ' '} {name}" for name in self._points))
        elif command == "/new":
            self._conversation.exchanges.clear()
            say("what was said is forgotten")
        else:
            say(HELP)

    def _answer(self, message: str) -> None:
        reply = ""
        try:
            self._make_room(message)
            asked, stop = self._conversation.asked(message), self._conversation.stop
            with suppress(KeyboardInterrupt):
                for piece in self._client.reply(self._point, asked, stop):
                    shown = piece if reply else piece.lstrip()
                    reply += shown
                    print(harmless(shown), end="", flush=True)
            print()
        except ChatError as error:
            say(f"no reply: {error}")
            return
        self._conversation.exchanges.append((message, reply))

    def _make_room(self, message: str) -> None:
        """Forgets the oldest exchanges where the text so far and a reply are more than the model takes."""
        forgotten = 0
        while self._conversation.exchanges:
            size, context = self._client.size(self._point, self._conversation.asked(message))
            if size + self._client.max_tokens <= context:
                break
            del self._conversation.exchanges[0]
            forgotten += 1
        if forgotten:
            say(f"(forgot the oldest {forgotten} of the exchanges: the model takes {context} tokens)")
