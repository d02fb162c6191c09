"""`NAME [OPTIONS] COMMAND…`: a command line whose options may stand after the first word."""

from typing import Any

from typer.core import TyperCommand


class NameThenOptions(TyperCommand):
    """Options may stand before and after NAME; from the word after it on, all is the program's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._options_first(args))

    def _options_first(self, args: list[str]) -> list[str]:
        """The same words, with NAME behind all options."""
        name: list[str] = []
        options: list[str] = []
        position = 0
        while position < len(args):
            word = args[position]
            if word == "--":
                return [*options, "--", *name, *args[position + 1 :]]
            if not word.startswith("-") or word == "-":
                if name:
                    break
                name, position = [word], position + 1
                continue
            count = 2 if self._takes_next(word) else 1
            options += args[position : position + count]
            position += count
        return [*options, "--", *name, *args[position:]]

    def _takes_next(self, word: str) -> bool:
        """Whether the word after this option is its value."""
        if word.startswith("--"):
            return "=" not in word and self._has_value(word)
        for number, letter in enumerate(word[1:], start=1):
            if self._has_value(f"-{letter}"):
                return number == len(word) - 1
        return False

    def _has_value(self, option: str) -> bool:
        known = [each for each in self.params if option in each.opts]
        return bool(known) and not getattr(known[0], "is_flag", False)
