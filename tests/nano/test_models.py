"""Each nano model, at toy size: trains a step, has the form its library expects, and its special start holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from imaginate.errors import ModelError
from imaginate.nano.training import clip, judge, linear_start, mae, perceptual, sd, structured, tokenizer, unclip, vae

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def tok(tmp_path_factory: pytest.TempPathFactory):
    return tokenizer.build(tmp_path_factory.mktemp("tok"))


def test_tokenizer_returns_any_text_within_77_tokens(tok) -> None:
    text = "a photo of an axolotl, ünïcode 犬 42!"
    ids = tok(text, padding="max_length", truncation=True).input_ids
    assert len(ids) == tok.model_max_length == 77
    assert len(tok) == 8192
    assert tok.decode(ids, skip_special_tokens=True).replace(" ", "") == text.replace(" ", "")


def test_vision_tower_starts_as_shifts(tok) -> None:
    model = clip.build(tok, width=256, depth=2, text_width=64, text_depth=1).vision_model.eval()
    with torch.no_grad():
        seen = model(pixel_values=torch.rand(2, 3, 64, 64), output_attentions=True)
    centre = 1 + 3 * 8 + 3  # class token first, then row 3 column 3
    for layer in seen.attentions:
        looked = layer[:, :, centre].mean(0).argmax(-1) - centre
        for found, one in zip(looked.tolist(), (1, -1, 8, -8), strict=True):
            assert found in (one, 2 * one)  # the offset lies between one patch and two


def test_shift_matrix_moves_a_position_code() -> None:
    code = structured.position_code(8)
    right = structured.shift_matrix(1 / 8, 0.0)
    torch.testing.assert_close(code[:7] @ right.T, code[1:8], atol=1e-5, rtol=0)


def test_one_tower_learns_at_a_time(tok) -> None:
    model = clip.build(tok, width=64, depth=1, text_width=64, text_depth=1)
    for text in (True, False):
        clip.choose(model, text)
        learning = {name for name, p in model.named_parameters() if p.requires_grad}
        assert ("text_projection.weight" in learning) is text
        assert ("visual_projection.weight" in learning) is not text
        assert "text_model.embeddings.token_embedding.weight" in learning or not text


def test_captions_of_a_class_attract_and_others_repel(tok) -> None:
    model = clip.build(tok, width=64, depth=1, text_width=64, text_depth=1)
    same = clip.text_objective(model, tok, ["a goldfish", "a red bus"], ["a goldfish", "a red bus"])
    crossed = clip.text_objective(model, tok, ["a goldfish", "a red bus"], ["a red bus", "a goldfish"])
    assert same < crossed


def test_every_part_of_the_autoencoder_learns() -> None:
    model = vae.build((8, 8, 16, 16))
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    vae.objective(model, x, lambda a, b: (a - b).abs().mean()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_look_of_an_image_is_nearest_to_itself_and_ignores_the_size_of_features() -> None:
    levels = [torch.rand(2, 4, 3, 3), torch.rand(2, 6, 2, 2)]
    same = [level[:1].repeat(2, 1, 1, 1) * torch.tensor([1.0, 3.0]).view(2, 1, 1, 1) for level in levels]
    assert float(perceptual.between(same)) == pytest.approx(0, abs=1e-6)
    naive = [
        sum(
            float((a[:, i, j] / a[:, i, j].norm() - b[:, i, j] / b[:, i, j].norm()).square().sum())
            for i in range(a.shape[1])
            for j in range(a.shape[2])
        )
        / (a.shape[1] * a.shape[2])
        for a, b in levels
    ]
    assert float(perceptual.between(levels)) == pytest.approx(sum(naive) / len(naive), rel=1e-5)


def test_what_is_made_of_all_images_and_of_their_mirror_images_stands_in_their_order() -> None:
    from imaginate.nano.training import data

    pixels = torch.randint(0, 256, (5, 4, 4, 3), dtype=torch.uint8)
    images = data.Images(pixels, torch.zeros(5, dtype=torch.int64), torch.tensor([4, 0, 2]))
    found = data.of_both_sides(images, lambda x: x[:, 0], batch=2)
    plain = pixels[[4, 0, 2], :, :, 0].float() / 255
    torch.testing.assert_close(found, torch.stack([plain, plain.flip(-1)], 1).half())


def test_seams_are_the_steps_over_the_borders_between_patches() -> None:
    x = torch.rand(1, 3, 16, 16)
    inside = x.clone()
    inside[..., 2:6, 2:6] += 1  # within one patch
    lifted = x.clone()
    lifted[..., :8, :] += 1  # a row of patches as a whole: one step of 1 over the one border below it
    assert float(mae.seams(inside, x)) == 0
    assert float(mae.seams(lifted, x)) == pytest.approx(0.5)


def test_autoencoder_starts_as_principal_components() -> None:
    model = vae.build((16, 32, 96, 64), groups=1).eval()
    ramp = torch.linspace(-1, 1, 64)
    x = torch.rand(24, 3, 1, 1) * ramp.expand(24, 3, 64, 64) + torch.rand(24, 3, 1, 1) * ramp[:, None]
    linear_start.principal(model, x + 0.3 * torch.randn_like(x))
    with torch.no_grad():
        code = model.encode(x).latent_dist.mode()
        plain = torch.tensor([0.4, -0.2, 0.1]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
        back = model(plain).sample[..., 20:44, 20:44]
        half = model.encode(x / 2).latent_dist.mode()
    assert code.shape == (24, vae.CHANNELS, 8, 8)
    assert float((2 * half - code).norm() / code.norm()) < 0.15  # nearly linear
    torch.testing.assert_close(back, plain[..., 20:44, 20:44], atol=0.1, rtol=0)  # a plain colour survives


@pytest.mark.parametrize("ratio", mae.RATIOS)
def test_mae_learns_from_visible_and_masked_patches(ratio: float) -> None:
    model = mae.build(64, 1, 48, 1)
    x = torch.rand(2, 3, 64, 64)
    loss = mae.objective(model, x, ratio, torch.rand(2, 64))
    loss.backward()
    assert loss.isfinite()
    assert model.decoder.decoder_pred.weight.grad.abs().sum() > 0


def test_diffusion_weights_are_min_snr_for_velocity() -> None:
    scheduler = diffusers.DDIMScheduler(**sd.SCHEDULE)
    z, text = torch.randn(64, 4, 8, 8), torch.zeros(64, 77, 8)

    class Zero:
        def __call__(self, noisy, t, encoder_hidden_states):
            return type("Out", (), {"sample": torch.zeros_like(noisy)})

    got = sd.objective(Zero(), scheduler, z, text, torch.Generator().manual_seed(5))
    rng = torch.Generator().manual_seed(5)
    noise = torch.randn(z.shape, generator=rng)
    t = torch.randint(1000, (64,), generator=rng)
    num = den = 0.0
    for i in range(64):
        a = float(scheduler.alphas_cumprod[t[i]])
        snr = a / (1 - a)
        w = min(snr, 5.0) / (snr + 1)
        v = a**0.5 * noise[i].double() - (1 - a) ** 0.5 * z[i].double()
        num, den = num + w * float(v.square().mean()), den + w
    assert float(got) == pytest.approx(num / den, rel=1e-4)


def test_empty_captions_are_drawn_at_their_share() -> None:
    table = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 2, 1, 1)
    rows = sd.draw_text(table, torch.full((4000,), 2), 0.25, torch.Generator().manual_seed(0)).flatten()
    assert set(rows.tolist()) == {2.0, 5.0}
    assert float((rows == 5).float().mean()) == pytest.approx(0.25, abs=0.03)


def test_image_condition_is_the_pipelines_own() -> None:
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer

    normaliser = StableUnCLIPImageNormalizer(embedding_dim=8).requires_grad_(False)
    normaliser.mean.data.normal_()
    noising = diffusers.DDPMScheduler(**unclip.NOISING)
    embeds = torch.randn(3, 8)
    rng = torch.Generator().manual_seed(1)
    got = unclip.condition(embeds, torch.full((3,), 40), normaliser, noising, rng)
    holder = type("Pipe", (), {"image_normalizer": normaliser, "image_noising_scheduler": noising})()
    wanted = diffusers.StableUnCLIPImg2ImgPipeline.noise_image_embeddings(
        holder, embeds, 40, noise=torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    )
    torch.testing.assert_close(got, wanted)


def test_a_missing_earlier_training_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="train vae first"):
        sd.autoencoder(tmp_path, "cpu")
    with pytest.raises(ModelError, match="train clip first"):
        sd.text_parts(tmp_path, "cpu")


def test_a_training_waits_for_what_another_one_is_about_to_save(tmp_path: Path) -> None:
    import threading

    folder = tmp_path / "vae" / "vae"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")  # begun, without weights
    threading.Timer(0.3, (folder / "weights.safetensors").write_bytes, [b""]).start()
    assert sd.wait_for(20.0, folder) == folder


def test_judge_is_saved_with_its_own_accuracy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import json

    import numpy as np

    from imaginate.nano.training import common, data

    rng = np.random.default_rng(0)
    labels, pixels = rng.integers(0, 2, 250), rng.integers(0, 256, (250, 64, 64, 3)).astype(np.uint8)
    images = data.Images(*map(torch.from_numpy, (pixels, labels.astype(np.int64), np.arange(250))))
    monkeypatch.setattr(data, "load", lambda *_: images)
    judge.train(tmp_path, tmp_path, common.Plan(steps=2, batch=8, lr=1e-3, warmup=1, ema=0.5), "cpu")
    facts = json.loads((tmp_path / "judge.json").read_text())
    made = judge.load(tmp_path, facts["kind"])
    with torch.no_grad():
        x, _ = images.batch(np.arange(250))
        right = (made(x).argmax(1).numpy() == labels).mean()
    assert facts["val_top1"] == pytest.approx(right, abs=0.01)
