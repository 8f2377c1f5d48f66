"""Every technique on a tiny prior: it learns what it says and nothing else; a killed fit ends in the same weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from imaginate import registry
from imaginate.errors import ConfigError, ModelError, RunError
from imaginate.models.adaptations.folder import Manifest, load_adaptation, read_manifest
from imaginate.personalisation.core.loop import Trainer, rate
from imaginate.personalisation.core.plan import FitPlan
from imaginate.personalisation.core.run import describe, fit
from imaginate.records import LabelSpace

from .conftest import COLOURS, QUICK

Make = Callable[[], Any]
LABELS = LabelSpace.of(sorted(COLOURS))
SETTINGS: dict[str, dict[str, Any]] = {
    "ft-conditioning": {"learning_rate": 0.05},
    "ft-cluster": {"learning_rate": 0.05, "clusters": 2, "backbone": "CLIP"},
    "imagic": {"learning_rate": 0.05, "denoiser_rate": 2e-3},
    "textual-inversion": {"learning_rate": 0.1},
    "pseudoword-dm": {"learning_rate": 0.1, "denoiser_rate": 2e-3},
    "dreambooth": {"learning_rate": 5e-3, "rank": 4},
}
MOVES = {"imagic": ["unet"], "pseudoword-dm": ["unet"]}
both = pytest.mark.parametrize("kind", ["sd", "sdxl"])


def weights(prior: Any) -> dict[str, torch.Tensor]:
    parts = ("unet", "vae", *prior.text.parts)
    return {f"{p}.{k}": v.clone() for p in parts for k, v in getattr(prior, p).state_dict().items()}


def outcome(out: Path) -> dict[str, torch.Tensor]:
    found = {}
    for file in sorted((out / "checkpoints").rglob("*.safetensors")):
        found.update({f"{file.relative_to(out)}:{k}": v for k, v in load_file(str(file)).items()})
    return found


@both
@pytest.mark.parametrize("name", SETTINGS)
def test_it_lowers_the_loss_and_leaves_the_rest_bit_equal(
    name: str, make_prior: Make, dataset: str, clip_folder: Path, tmp_path: Path
) -> None:
    prior = make_prior()
    before = weights(prior)
    settings = {**SETTINGS[name], "epochs": 4, "keep_first": 1}
    if "backbone" in settings:
        settings["backbone"] = str(clip_folder)
    plan = {**QUICK, "sheet_every": 4, "sheet_steps": 2}
    manifest = fit(name, dataset, tmp_path / "a", prior=prior, settings=settings, plan=plan, progress=False)
    losses = [h["validation_loss"] for h in manifest.history]
    assert min(losses[1:]) < losses[0]
    after = weights(prior)
    assert before.keys() == after.keys()
    moved = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert moved == set(MOVES.get(name, []))
    assert not any(p.requires_grad for p in prior.unet.parameters())
    loaded = load_adaptation(str(tmp_path / "a"), make_prior(), LABELS)
    assert loaded.technique == name
    assert loaded.checkpoint == manifest.chosen
    assert (tmp_path / "a" / "samples" / "epoch-04.png").is_file()


@pytest.mark.parametrize("kind", ["sdxl"])
def test_both_halves_of_what_sdxl_reads_learn(make_prior: Make, dataset: str, tmp_path: Path) -> None:
    from imaginate.personalisation.core.pseudowords import initial

    prior = make_prior()
    for name in ("ft-conditioning", "textual-inversion"):
        how = {**SETTINGS[name], "epochs": 1}
        fit(name, dataset, tmp_path / name, prior=prior, settings=how, plan=QUICK, progress=False)
    learnt = load_adaptation(str(tmp_path / "ft-conditioning"), prior, LABELS).vectors("tench")
    start = prior.embed_prompts(["A photo of tench."])
    assert learnt.hidden.shape == start.hidden.shape
    assert learnt.pooled.shape == start.pooled.shape
    assert not torch.allclose(learnt.hidden, start.hidden, atol=1e-2)
    assert not torch.allclose(learnt.pooled, start.pooled, atol=1e-2)
    words = load_file(str(next((tmp_path / "textual-inversion").rglob("learned_embeds.safetensors"))))
    for key, (tokenizer, encoder) in zip(("clip_l", "clip_g"), prior.text.parts.values(), strict=True):
        begun = initial(LABELS, tokenizer, encoder.get_input_embeddings().weight)
        assert words[key].shape == begun.shape
        assert (words[key] - begun).abs().amax(dim=1).min() > 1e-2


def killed_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    real, count = Trainer._step, [0]

    def step(self: Trainer, micro: list[list[int]]) -> float:
        count[0] += 1
        if count[0] > steps:
            raise KeyboardInterrupt
        return real(self, micro)

    monkeypatch.setattr(Trainer, "_step", step)


MORE = {"dreambooth": {"text_encoder": True}}
KILLED = [
    ("pseudoword-dm", 5),
    pytest.param("dreambooth", 4, marks=pytest.mark.integration),
    pytest.param("ft-conditioning", 3, marks=pytest.mark.integration),
    pytest.param("imagic", 4, marks=pytest.mark.integration),
    pytest.param("textual-inversion", 4, marks=pytest.mark.integration),
]


@both
@pytest.mark.parametrize(("name", "kills"), KILLED)
def test_a_killed_fit_resumes_to_the_same_weights(
    name: str, kills: int, make_prior: Make, dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = {
        "settings": {**SETTINGS[name], **MORE.get(name, {}), "epochs": 2},
        "plan": {**QUICK, "batch": 2, "accumulate": 2, "ema": 0.9, "save_every": 2},
        "progress": False,
    }
    whole = fit(name, dataset, tmp_path / "whole", prior=make_prior(), **how)
    with monkeypatch.context() as patch:
        killed_after(patch, kills)
        with pytest.raises(KeyboardInterrupt):
            fit(name, dataset, tmp_path / "killed", prior=make_prior(), **how)
    assert not read_manifest(tmp_path / "killed").finished  # type: ignore[union-attr]
    again = fit(name, dataset, tmp_path / "killed", prior=make_prior(), **how)
    assert [h["validation_loss"] for h in again.history] == [h["validation_loss"] for h in whole.history]
    one, two = outcome(tmp_path / "whole"), outcome(tmp_path / "killed")
    assert one.keys() == two.keys()
    assert one
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_classes_fitted_together_learn_as_if_each_were_alone() -> None:
    """Batches of one class at a time: the row moves as a parameter of its own would."""
    from imaginate.personalisation.core.optimiser import RowAdam

    torch.manual_seed(0)
    gradients = torch.randn(12, 2, 3, 4)
    together, alone = torch.nn.Parameter(torch.zeros(2, 3, 4)), torch.nn.Parameter(torch.zeros(1, 3, 4))
    both, single = RowAdam([together], lr=0.1), torch.optim.Adam([alone], lr=0.1)
    for step, gradient in enumerate(gradients):
        here = torch.zeros_like(gradient)
        here[step % 2] = gradient[step % 2]
        together.grad = here
        both.step()
        if step % 2 == 0:
            alone.grad = gradient[:1].clone()
            single.step()
    torch.testing.assert_close(together[0], alone[0], rtol=1e-5, atol=1e-6)


@both
def test_words_are_read_by_diffusers_itself(
    kind: str, make_prior: Make, prior_folder: Path, dataset: str, tmp_path: Path
) -> None:
    from diffusers import DiffusionPipeline

    how = {**SETTINGS["textual-inversion"], "epochs": 1}
    manifest = fit(
        "textual-inversion", dataset, tmp_path / "a", prior=make_prior(), settings=how, plan=QUICK, progress=False
    )
    folder = tmp_path / "a" / "checkpoints" / manifest.chosen
    assert manifest.words == {"grass snake": "<grass-snake>", "tench": "<tench>", "water": "<water>"}
    pipe = DiffusionPipeline.from_pretrained(prior_folder)
    for word in manifest.words.values():
        learnt = load_file(str(folder / "words" / f"{word.strip('<>')}.safetensors"))
        if kind == "sdxl":  # as the pipeline's documentation loads it: a table each, the word beside them
            assert learnt.keys() == {"clip_l", "clip_g"}
            pipe.load_textual_inversion(learnt["clip_l"], token=word)
            parts = {"tokenizer": pipe.tokenizer_2, "text_encoder": pipe.text_encoder_2}
            pipe.load_textual_inversion(learnt["clip_g"], token=word, **parts)
        else:
            pipe.load_textual_inversion(str(folder / "words" / f"{word.strip('<>')}.safetensors"))
    texts = [f"a photo of a {word}" for word in manifest.words.values()]
    hidden, _, pooled = encoded(pipe, texts)
    prior = make_prior()
    load_adaptation(str(tmp_path / "a"), prior, LABELS)
    ours = prior.embed_prompts(texts)
    torch.testing.assert_close(ours.hidden, hidden)
    if kind == "sdxl":
        torch.testing.assert_close(ours.pooled, pooled)
    assert not torch.allclose(ours.hidden, make_prior().embed_prompts(texts).hidden)


def encoded(pipe: Any, texts: list[str]) -> tuple[Any, Any, Any]:
    """(text embeddings, None, pooled or None) of the pipeline's own encoding."""
    with torch.no_grad():
        found = pipe.encode_prompt(texts, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False)
    return (*found, None)[:3]


@both
def test_the_loss_is_the_librarys_own(kind: str, make_prior: Make, dataset: str, tmp_path: Path) -> None:
    """The denoiser is told what diffusers' pipeline and training scripts tell it: the text; SDXL also the pooled text,
    the image's own size, where it was cut, and the size wanted."""
    from imaginate.data import open_dataset
    from imaginate.personalisation.core.images import prepare
    from imaginate.personalisation.core.objective import Objective

    prior, plan, generator = make_prior(), FitPlan(held_out=0.0, flip=False), torch.Generator().manual_seed(0)
    batch = prepare(open_dataset(dataset), prior, plan, tmp_path, "key", progress=False).batch([0, 7], generator, "cpu")
    objective, texts = Objective(prior), ["a tench", "water"]
    noise, levels = objective.draw(batch, generator)
    loss = objective.loss(batch, prior.embed_prompts(texts), noise, levels)
    hidden, _, pooled = encoded(prior.pipe, texts)
    more: dict[str, Any] = {}
    if kind == "sdxl":  # images of 20 x 24 pixels, resized to 16 x 19 and cut in the middle
        ids = prior.pipe._get_add_time_ids((20, 24), (0, 1), (16, 16), torch.float32, pooled.shape[1])
        more = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": ids.repeat(2, 1)}}
    mixed = prior.scheduler.add_noise(batch.clean, noise, levels)
    out = prior.unet(mixed, levels, encoder_hidden_states=hidden, **more).sample
    torch.testing.assert_close(loss, (out - noise).square().mean(dim=(1, 2, 3)))


def test_pseudowords_start_from_the_last_word_of_the_first_name(make_prior: Make) -> None:
    from imaginate.personalisation.core.pseudowords import initial

    prior = make_prior()
    table = prior.text_encoder.get_input_embeddings().weight
    start = initial(LabelSpace.of(["grass snake"]), prior.tokenizer, table)
    ids = prior.tokenizer("snake", add_special_tokens=False).input_ids
    torch.testing.assert_close(start[0], table[ids].mean(0))


@both
@pytest.mark.parametrize("mode", ["lora", "full"])
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.*:FutureWarning")
def test_loras_and_networks_are_read_by_their_own_libraries(
    mode: str, make_prior: Make, prior_folder: Path, dataset: str, tmp_path: Path
) -> None:
    """diffusers, transformers and peft read every part, and make of it what the adapted prior does."""
    from diffusers import DiffusionPipeline
    from peft import PeftModel

    how = {"mode": mode, "text_encoder": True, "learning_rate": 1e-3, "epochs": 1}
    prior, plan = make_prior(), {**QUICK, "sheet_every": 1, "sheet_steps": 1}
    manifest = fit("dreambooth", dataset, tmp_path / "a", prior=prior, settings=how, plan=plan, progress=False)
    folder = tmp_path / "a" / "checkpoints" / manifest.chosen
    ours, before = make_prior(), weights(make_prior())
    load_adaptation(str(tmp_path / "a"), ours, LABELS)
    learnt = weights(ours)
    parts = ("unet", *prior.text.parts)
    moved = {key.split(".")[0] for key in before if not torch.equal(before[key], learnt[key])}
    assert moved == set(parts)
    pipe = DiffusionPipeline.from_pretrained(prior_folder)
    if mode == "lora":
        assert torch.equal(prior.embed_prompts([""]).hidden, make_prior().embed_prompts([""]).hidden)  # none is left
        for part in parts:
            theirs = PeftModel.from_pretrained(getattr(make_prior(), part), str(folder / part)).merge_and_unload()
            assert_same(theirs.state_dict(), learnt, part)
        pipe.load_lora_weights(folder)
        pipe.fuse_lora()
        pipe.unload_lora_weights()
        alone = make_prior()
        alone.load_adaptation(str(folder / "pytorch_lora_weights.safetensors"))
        for part in parts:
            assert_same(getattr(alone, part).state_dict(), learnt, part)
    else:
        for part in parts:
            setattr(pipe, part, type(getattr(pipe, part)).from_pretrained(folder / part))
    for part in parts:
        assert_same(getattr(pipe, part).state_dict(), learnt, part)


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], part: str) -> None:
    for name, value in found.items():
        torch.testing.assert_close(value, expected[f"{part}.{name}"], rtol=1e-5, atol=1e-6)


def test_fewer_images_than_clusters_is_said(make_prior: Make, dataset: str, clip_folder: Path, tmp_path: Path) -> None:
    how = {"clusters": 9, "backbone": str(clip_folder), "epochs": 1}
    manifest = fit("ft-cluster", dataset, tmp_path / "a", prior=make_prior(), settings=how, plan=QUICK, progress=False)
    assert manifest.notes[0] == "class 'grass snake' has 4 training images: 4 clusters, not 9"
    assert manifest.clusters["tench"] == [1, 1, 1, 1]
    adapted = load_adaptation(str(tmp_path / "a"), make_prior(), LABELS)
    assert adapted.vectors("tench").hidden.shape == (4, 64, 16)


def test_an_adaptation_for_another_prior_or_label_space_is_refused(
    make_prior: Make, dataset: str, tmp_path: Path
) -> None:
    how = {"epochs": 1}
    fit("ft-conditioning", dataset, tmp_path / "a", prior=make_prior(), settings=how, plan=QUICK, progress=False)
    with pytest.raises(ModelError, match="another label space: it lacks class 'heron'"):
        load_adaptation(str(tmp_path / "a"), make_prior(), LabelSpace.of(["heron"]))
    other = make_prior()
    with torch.no_grad():
        for p in other.unet.parameters():
            p.mul_(1.5)
    with pytest.raises(ModelError, match=r"was made for the prior .* has other weights"):
        load_adaptation(str(tmp_path / "a"), other, LABELS)
    half = make_prior()
    half.unet.bfloat16()
    assert load_adaptation(f"{tmp_path / 'a'}@best", half, LABELS).vectors("tench").hidden.shape == (1, 64, 16)
    with pytest.raises(ConfigError, match="checkpoint must be one of"):
        load_adaptation(f"{tmp_path / 'a'}@epoch-07", make_prior(), LABELS)


def test_another_fit_in_the_same_folder_is_refused(dataset: str, prior_folder: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"prior": str(prior_folder), "plan": QUICK, "progress": False}
    fit("ft-conditioning", dataset, tmp_path / "a", settings={"epochs": 1}, **how)
    again = fit("ft-conditioning", dataset, tmp_path / "a", settings={"epochs": 1}, **how)
    assert again.finished
    shown = {**how, "plan": {**QUICK, "sheet_every": 5}}
    assert fit("ft-conditioning", dataset, tmp_path / "a", settings={"epochs": 1}, **shown).finished
    with pytest.raises(RunError, match=r"technique.epochs was 1, is 2"):
        fit("ft-conditioning", dataset, tmp_path / "a", settings={"epochs": 2}, **how)
    with pytest.raises(RunError, match=r"\(technique was ft-conditioning, is imagic\)"):
        fit("imagic", dataset, tmp_path / "a", **how)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        fit("ft-conditioning", dataset, tmp_path / "b", settings={"epochs": 1}, **how)


def test_a_fit_goes_on_from_the_same_weights_alone(dataset: str, prior_folder: Path, tmp_path: Path) -> None:
    import shutil

    place = Path(shutil.copytree(prior_folder, tmp_path / "prior"))
    how: dict[str, Any] = {"settings": {"epochs": 1}, "plan": QUICK, "progress": False}
    known = fit("ft-conditioning", dataset, tmp_path / "a", prior=str(place), **how).weights
    assert len(known["hash"]) > 8
    file = place / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(RunError, match=r"began from another network: prior .* has other weights: hash .*, was "):
        fit("ft-conditioning", dataset, tmp_path / "a", prior=str(place), **how)


@both
def test_half_precision_learns_over_float32_weights(make_prior: Make, dataset: str, tmp_path: Path) -> None:
    how = {**SETTINGS["pseudoword-dm"], "epochs": 3}
    plan = {**QUICK, "precision": "bfloat16"}
    prior = make_prior()
    manifest = fit("pseudoword-dm", dataset, tmp_path / "a", prior=prior, settings=how, plan=plan, progress=False)
    losses = [h["validation_loss"] for h in manifest.history]
    assert min(losses[1:]) < losses[0]
    assert {p.dtype for p in prior.unet.parameters()} == {torch.float32}


def test_the_rate_grows_with_the_root_of_the_batch() -> None:
    assert rate(1e-3, 1, FitPlan(batch=16, accumulate=4)) == pytest.approx(8e-3)
    assert rate(1e-3, 1, FitPlan(batch=16, scale_rate=False)) == 1e-3


def test_early_stop_and_kept_checkpoints(make_prior: Make, dataset: str, tmp_path: Path) -> None:
    how = {"learning_rate": 50.0, "epochs": 30, "keep_first": 2}
    plan = {**QUICK, "patience": 2, "sheet_every": 4}
    manifest = fit(
        "ft-conditioning", dataset, tmp_path / "a", prior=make_prior(), settings=how, plan=plan, progress=False
    )
    best = int(manifest.checkpoints["best"][-2:])
    assert len(manifest.history) - 1 == best + 2 < 30
    there = {p.name for p in (tmp_path / "a" / "checkpoints").iterdir()}
    assert there == set(manifest.checkpoints.values()) >= {"epoch-01", "epoch-02"}
    assert not (tmp_path / "a" / "state" / "state.pt").exists()
    assert json.loads((tmp_path / "a" / "adaptation.json").read_text())["finished"]


def test_pseudowords_that_would_be_shared_are_refused(make_prior: Make) -> None:
    from imaginate.personalisation.core.pseudowords import tokens

    prior = make_prior()
    with pytest.raises(ConfigError, match="'a b' and 'a-b' would share the pseudoword <a-b>"):
        tokens(LabelSpace.of(["a b", "a-b"]), prior.tokenizer)
    prior.tokenizer.add_tokens(["<tench>"])
    with pytest.raises(ConfigError, match="'tench' needs the pseudoword <tench>, which"):
        tokens(LABELS, prior.tokenizer)


def test_the_summary_tells_the_loss_of_the_checkpoint_that_was_chosen() -> None:
    """Accuracy may choose another epoch than the one of the lowest loss."""
    history = [{"epoch": epoch, "validation_loss": loss} for epoch, loss in enumerate((1.0, 0.5, 0.75))]
    about: dict[str, Any] = {"technique": "imagic", "family": "", "prior": "", "fingerprint": {}, "settings": {}}
    manifest = Manifest(
        **about, classes=["a"], history=history, chosen="epoch-02", chosen_by="validation accuracy",
        checkpoints={"best": "epoch-01", "last": "epoch-02"},
    )  # fmt: skip
    told = describe(manifest, "out").splitlines()
    assert told[1] == "validation loss 1.0000 before, 0.7500 at epoch-02 (lowest 0.5000 at epoch-01)"
    manifest.chosen = "epoch-01"
    assert describe(manifest, "out").splitlines()[1] == "validation loss 1.0000 before, 0.5000 at epoch-01"


def test_long_silences_have_a_bar(
    make_prior: Make, dataset: str, clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    from imaginate.personalisation import ft_cluster
    from imaginate.personalisation.core import images, run

    told: list[str] = []

    class Shown:
        def advance(self, count: float = 1) -> None:
            told.append("+")

        def note(self, text: str) -> None:
            told.append(text.split(":")[-1].strip())

    @contextmanager
    def bar(text: str, total: float | None, *, show: bool = True, **_: Any) -> Any:
        assert show
        told.append(text)
        yield Shown()

    for module in (images, run, ft_cluster):
        monkeypatch.setattr(module, "bar", bar)
    how = {"clusters": 2, "backbone": str(clip_folder), "epochs": 1}
    plan = {**QUICK, "batch": 16, "sheet_every": 1, "sheet_steps": 1}
    fit("ft-cluster", dataset, tmp_path / "a", prior=make_prior(), settings=how, plan=plan, progress=True)
    steps = [word for word in told if word != "+" and not word[0].isdigit()]
    assert steps == ["encoding", "embedding", "validating", "fitting", "validating", "drawing samples"]


def test_techniques_are_found_by_file_name() -> None:
    assert set(SETTINGS) | {"reconstruction"} == set(registry.names("techniques"))
    with pytest.raises(ConfigError, match="did you mean 'imagic'"):
        registry.find("techniques", "imagik")


@pytest.mark.parametrize(("every", "epochs"), [(None, [1, 2, 4]), (3, [3]), (0, [])])
def test_sheets_come_ever_less_often_unless_told(
    every: int | None, epochs: list[int], make_prior: Make, dataset: str, tmp_path: Path
) -> None:
    plan = {**QUICK, "sheet_every": every, "sheet_steps": 1}
    fit(
        "ft-conditioning",
        dataset,
        tmp_path / "a",
        prior=make_prior(),
        settings={"epochs": 5},
        plan=plan,
        progress=False,
    )
    drawn = sorted(path.name for path in (tmp_path / "a").glob("samples/epoch-*.png"))
    assert drawn == [f"epoch-{number:02d}.png" for number in epochs]


def test_pictures_that_changed_under_their_names_are_another_fit(
    dataset: str, prior_folder: Path, tmp_path: Path
) -> None:
    import shutil

    data = tmp_path / "data"
    shutil.copytree(dataset, data)
    how: dict[str, Any] = {"prior": str(prior_folder), "plan": QUICK, "progress": False, "settings": {"epochs": 1}}
    fit("ft-conditioning", str(data), tmp_path / "a", **how)
    first, second = sorted(data.glob("*/*.png"))[:2]
    shutil.copy(first, second)
    with pytest.raises(RunError, match="pictures under the same names changed"):
        fit("ft-conditioning", str(data), tmp_path / "a", **how)


def test_one_prompt_for_several_classes_is_refused(dataset: str, prior_folder: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"prior": str(prior_folder), "plan": QUICK, "progress": False}
    with pytest.raises(
        ConfigError, match=r"prompt is the same for '.*' and '.*' \('a photo of sks thing'\): put {class}"
    ):
        fit("dreambooth", dataset, tmp_path / "a", settings={"prompt": "a photo of sks thing"}, **how)


@pytest.mark.parametrize(
    ("method", "own"),
    [("prompt", {"per_class": 6}), ("sd", {"copies": 2, "noise": 0.5}), ("diff-mix", {"copies": 2, "noise": [0.5]})],
)
def test_images_are_drawn_from_the_prompt_that_was_trained(
    method: str, own: dict[str, Any], dataset: str, prior_folder: Path, tmp_path: Path
) -> None:
    """Unless the user gives another one."""
    import imaginate

    settings = {"epochs": 1, "prompt": "an x-ray of {class}"}
    fit("dreambooth", dataset, tmp_path / "a", prior=str(prior_folder), plan=QUICK, progress=False, settings=settings)

    def prompts(name: str, **more: Any) -> set[str]:
        run = imaginate.expand(
            dataset, tmp_path / name, method, prior=str(prior_folder), adaptation=str(tmp_path / "a"),
            steps=2, progress=False, judge="none", **own, **more,
        )  # fmt: skip
        return {row["prompt"] for row in run.table().to_pylist() if row["method"]}

    assert prompts("trained") == {f"an x-ray of {name}" for name in COLOURS}
    given = {"prompt": {"prompts": "simple-nows"}, "sd": {"domains": ["ct"]}, "diff-mix": {"prompt": "one {name}"}}
    assert not any("x-ray" in text for text in prompts("given", **given[method]))


def test_a_fit_that_is_not_finished_is_used_by_the_name_of_its_checkpoint_alone(
    make_prior: Make, dataset: str, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"prior": make_prior(), "settings": {"epochs": 1}, "plan": QUICK, "progress": False}
    fit("ft-conditioning", dataset, tmp_path / "a", **how)
    manifest = read_manifest(tmp_path / "a")
    assert manifest is not None
    manifest.finished = False
    manifest.write(tmp_path / "a")
    with pytest.raises(ModelError, match=r"is a fit that is not finished: .* /?.*a@epoch-01$"):
        load_adaptation(str(tmp_path / "a"), make_prior(), LABELS)
    assert load_adaptation(f"{tmp_path / 'a'}@epoch-01", make_prior(), LABELS).checkpoint == "epoch-01"
