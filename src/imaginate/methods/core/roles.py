"""The roles of a context as the kind that a method needs, and the classes as its prompts name them."""

from __future__ import annotations

from imaginate.contract import Context, DiffusionPrior, EditPrior, MaePrior, Prior, UnclipPrior
from imaginate.errors import ConfigError
from imaginate.prompts.naming import with_words
from imaginate.records import LabelSpace


def diffusion_prior(context: Context) -> DiffusionPrior:
    """The prior of a method that needs `prior:stable-diffusion`."""
    prior = context.prior
    if not isinstance(prior, DiffusionPrior):
        raise _refused("stable-diffusion", prior)
    return prior


def mae_prior(context: Context) -> MaePrior:
    """The prior of a method that needs `prior:mae`."""
    prior = context.prior
    if not isinstance(prior, MaePrior):
        raise _refused("mae", prior)
    return prior


def unclip_prior(context: Context) -> UnclipPrior:
    """The prior of a method that needs `prior:unclip`."""
    prior = context.prior
    if not isinstance(prior, UnclipPrior):
        raise _refused("unclip", prior)
    return prior


def edit_prior(context: Context) -> EditPrior:
    """The prior of a method that needs `prior:edit`."""
    prior = context.prior
    if not isinstance(prior, EditPrior):
        raise _refused("edit", prior)
    return prior


def prompt_labels(context: Context) -> LabelSpace:
    """The classes, with the pseudowords of an adaptation that was loaded into the prior in place of their names."""
    return with_words(context.labels, context.adaptation.words) if context.prior.is_adapted else context.labels


def trained_prompt(context: Context) -> str:
    """The prompt template that the prior was tuned under (`imaginate fit dreambooth`); empty without such a fit."""
    return context.adaptation.template if context.prior.is_adapted else ""


def _refused(family: str, prior: Prior) -> ConfigError:
    return ConfigError(f"the method needs a {family} prior, {prior.name} is {prior.family}")
