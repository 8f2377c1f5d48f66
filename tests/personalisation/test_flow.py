"""The techniques on pipelines of flow matching: SD3 and FLUX.1 learn, and only what should learn does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from imaginate.errors import ConfigError
from imaginate.models.adaptations.folder import load_adaptation
from imaginate.models.priors.core.velocity import velocity_of
from imaginate.personalisation.core.run import fit
from imaginate.records import LabelSpace

from .conftest import COLOURS, QUICK

Make = Callable[[], Any]
LABELS = LabelSpace.of(sorted(COLOURS))
SETTINGS: dict[str, dict[str, Any]] = {
    "ft-conditioning": {"learning_rate": 0.05},
    "textual-inversion": {"learning_rate": 0.1},
    "dreambooth": {"learning_rate": 2e-2, "rank": 4, "text_encoder": True},
}
TABLES = {"sd3": {"clip_l", "clip_g", "t5"}, "flux": {"clip_l", "t5"}}
both = pytest.mark.parametrize("kind", ["sd3", "flux"])


def weights(prior: Any) -> dict[str, torch.Tensor]:
    return {f"{part}.{k}": v.clone() for part, net in prior.networks().items() for k, v in net.state_dict().items()}


@both
def test_the_denoiser_is_asked_as_its_pipeline_asks_it(make_prior: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    prior = make_prior()
    asked: list[tuple[torch.Tensor, torch.Tensor]] = []
    network, rows = prior.denoiser, prior.embed_prompts(["a photo of a tench"])
    forward, ask = network.forward, velocity_of(network, "x")
    noisy = torch.randn(1, prior.channels, prior.latent_size, prior.latent_size)

    def seen(*args: Any, **given: Any) -> Any:
        out = forward(*args, **given)
        asked.append((given["timestep"], out[0]))
        return out

    monkeypatch.setattr(network, "forward", seen)
    prior.diffuse(noisy, rows, strength=1.0, guidance_scale=1.0, steps=2, seeds=[3])
    timestep, theirs = asked[0]
    assert len(timestep) == 1
    assert float(timestep) in (1.0, 1000.0)  # all noise: the same latents as below
    from imaginate.models.priors.core.codec import unpacked
    from imaginate.ops.noise import stream

    began = torch.randn(noisy.shape, generator=stream(3, "diffusion"))
    with torch.no_grad():
        ours = ask(network, began, torch.ones(1), rows)
    theirs = unpacked(theirs, *noisy.shape[2:]) if theirs.ndim == 3 else theirs
    torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-5)


SLOW = [("textual-inversion", "sd3"), ("ft-conditioning", "flux"), ("dreambooth", "sd3")]
LEARNS = [
    pytest.param(name, kind, marks=[pytest.mark.integration] if (name, kind) in SLOW else [])
    for name in SETTINGS
    for kind in TABLES
]


@pytest.mark.parametrize(("name", "kind"), LEARNS)
def test_it_lowers_the_loss_and_leaves_the_rest_bit_equal(
    name: str, kind: str, make_prior: Make, dataset: str, tmp_path: Path
) -> None:
    prior = make_prior()
    before = weights(prior)
    settings = {**SETTINGS[name], "epochs": 2, "keep_first": 1}
    plan = {**QUICK, "sheet_every": 2, "sheet_steps": 1}
    manifest = fit(name, dataset, tmp_path / "a", prior=prior, settings=settings, plan=plan, progress=False)
    losses = [h["validation_loss"] for h in manifest.history]
    assert min(losses[1:]) < losses[0]
    after = weights(prior)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert (tmp_path / "a" / "samples" / "epoch-02.png").is_file()
    fresh = make_prior()
    loaded = load_adaptation(str(tmp_path / "a"), fresh, LABELS)
    folder = tmp_path / "a" / "checkpoints" / manifest.chosen
    if name == "dreambooth":
        moved = {key.split(".")[0] for key, value in weights(fresh).items() if not torch.equal(value, before[key])}
        assert moved == {"transformer", "text_encoder"} | ({"text_encoder_2"} if kind == "sd3" else set())
        alone = make_prior()
        alone.load_adaptation(str(folder / "pytorch_lora_weights.safetensors"))
        for key, value in weights(alone).items():
            torch.testing.assert_close(value, weights(fresh)[key], rtol=1e-4, atol=1e-5)
    elif name == "textual-inversion":
        words = load_file(str(folder / "learned_embeds.safetensors"))
        assert words.keys() == TABLES[kind]
        prompts = [f"a photo of a {word}" for word in loaded.words.values()]
        rows = fresh.embed_prompts(prompts)
        for part in (rows.hidden, rows.pooled):
            assert all(not torch.allclose(part[0], other, atol=1e-3) for other in part[1:])
    else:
        rows = loaded.vectors("tench")
    with torch.no_grad():
        drawn = fresh.diffuse(None, rows.at([0]) if name != "dreambooth" else ["a photo of a tench"], strength=1.0,
                              guidance_scale=2.0, steps=2, seeds=[1])  # fmt: skip
    assert torch.isfinite(drawn).all()


@both
def test_a_word_learns_as_it_is_read_later(kind: str, make_prior: Make, dataset: str, tmp_path: Path) -> None:
    """What the fit conditions on is what the loaded adaptation gives, also of a CLIP that pools at the highest id."""
    import imaginate.personalisation.core.pseudowords as pseudowords
    from imaginate.personalisation.core.plan import Task
    from imaginate.personalisation.core.settings import FitPlan

    def early() -> Any:
        prior = make_prior()
        for module in (m for net in prior.networks().values() for m in net.modules()):
            if hasattr(module, "eos_token_id"):
                module.eos_token_id = 2
        return prior

    prior = early()
    task = Task(prior, LABELS, torch.arange(3), range(3), lambda row: torch.zeros(3, 8, 8), FitPlan(), "cpu")
    words = pseudowords.Words(task)
    with torch.no_grad():
        for rows in words.parameters().values():
            rows.add_(torch.linspace(-1, 1, rows.shape[1]))
        texts = [words.text(0, label) for label in range(3)]
        learnt = prior.learning(texts)
    words.save(tmp_path)
    words.close()
    fresh = early()
    fresh.load_adaptation(str(tmp_path))
    later = fresh.embed_prompts(texts)
    torch.testing.assert_close(later.hidden, learnt.hidden, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(later.pooled, learnt.pooled, rtol=1e-4, atol=1e-5)


@both
def test_a_word_of_several_tokens_is_read_once(kind: str, make_prior: Make, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    prior = make_prior()
    file = tmp_path / "learned_embeds.safetensors"
    save_file({"<w>": torch.randn(3, 16)}, str(file))
    prior.load_adaptation(str(file))
    tokenizer, encoder = prior.text.parts["text_encoder"]
    seen: list[list[int]] = []
    encoder.register_forward_pre_hook(lambda _, args, kwargs: seen.append((*args, *kwargs.values())[0][0].tolist()),
                                      with_kwargs=True)  # fmt: skip
    prior.embed_prompts(["a <w> here"])
    new = [i for i in seen[0] if i in tokenizer.convert_tokens_to_ids(["<w>", "<w>_1", "<w>_2"])]
    assert new == tokenizer.convert_tokens_to_ids(["<w>", "<w>_1", "<w>_2"])


@pytest.mark.parametrize("kind", ["z_image"])
def test_another_denoiser_is_refused_before_any_work(make_prior: Make, dataset: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ZImageTransformer2DModel, which cannot be tuned: Stable Diffusion 1, 2"):
        fit("ft-conditioning", dataset, tmp_path / "a", prior=make_prior(), progress=False)
    assert not (tmp_path / "a").exists()
