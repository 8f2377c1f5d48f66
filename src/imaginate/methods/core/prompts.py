"""The prompts of the methods that take GIF's domains and adjectives: drawn from them, or the prior's own."""

from __future__ import annotations

from collections.abc import Sequence

from imaginate.contract import Context
from imaginate.methods.core.knobs import NATURAL
from imaginate.methods.core.roles import prompt_labels, trained_prompt
from imaginate.prompts.guided import draw_prompts
from imaginate.prompts.sets import fill
from imaginate.records import Request


def prompts_of(
    requests: Sequence[Request], context: Context, domains: Sequence[str], adjectives: Sequence[str]
) -> list[list[str]]:
    """One prompt a copy of each request: n rows of k prompts.

    A prior that was tuned under a prompt (`imaginate fit dreambooth`) gets that one, unless the user gives others.
    """
    labels, trained = prompt_labels(context), trained_prompt(context)
    if trained and tuple(domains) == tuple(adjectives) == NATURAL:
        return [[fill(trained, labels[r.label], seed) for seed in r.seeds] for r in requests]
    return draw_prompts(requests, labels, domains, adjectives)
