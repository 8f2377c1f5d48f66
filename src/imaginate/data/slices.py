"""Which slices of a volume, or frames of a film, are images."""

from __future__ import annotations

from dataclasses import dataclass

from imaginate.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Slices:
    """Which slices of a volume are images: the `middle` one, `every` so many, or those that a `mask` marks."""

    word: str = "middle"
    every: int = 0
    is_default: bool = True

    def __str__(self) -> str:
        return f"{self.word}:{self.every}" if self.every else self.word

    @classmethod
    def of(cls, text: str | None) -> Slices:
        """From the setting. ConfigError for another word."""
        if text is None:
            return cls()
        word, _, number = text.partition(":")
        if text in ("middle", "mask"):
            return cls(text, is_default=False)
        if word == "every" and number.isdigit() and int(number) > 0:
            return cls(word, int(number), is_default=False)
        raise ConfigError(f"slices must be middle, mask or every:N, such as every:5, got {text!r}")

    def pages(self, count: int) -> range:
        """The slices, from 1, of so many; as far from both ends."""
        if self.word == "every":
            return range((count - 1) % self.every // 2 + 1, count + 1, self.every)
        return range(count // 2 + 1, count // 2 + 2)
