"""What the parts promise one another: methods, filters, and the roles that they receive built.

Protocols only, no torch. Tensors are written `Tensor` and described by shape and range.

A *method* is a frozen keyword-only dataclass in `methods/<name>.py` (dashes become underscores), whose fields are made
by `settings.setting`. It names the roles that it needs and receives them in a `Context`; it never loads a model.
A *filter* is the same in `filters/<name>.py`, a *reader* in `data/readers/<name>.py`, a *decoder* in
`data/decoders/<name>.py`. All are found by file name (`registry`), and an outside package may add its own through the
entry point groups `imaginate.methods`, `imaginate.filters`, `imaginate.readers`, ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, TypeAlias, runtime_checkable

from imaginate.errors import ConfigError
from imaginate.records import (
    Candidate,
    DigitalSource,
    Image,
    LabelSpace,
    Listing,
    Part,
    Place,
    Relatives,
    Request,
    Sample,
    Scalar,
    Verdict,
)

if TYPE_CHECKING:
    from imaginate.ops.conditioning import Conditioning

Tensor: TypeAlias = Any
StartsFrom: TypeAlias = Literal["sample", "class"]


class Method(Protocol):
    """One expansion method. Class attributes, next to the settings:

    starts_from: "sample" (augmentation, GIF, Boomerang: a request is one seed) or "class" (prompts, retrieval).
    needs: roles, any of "guide", "prior:mae", "prior:stable-diffusion", "prior:unclip", "prior:edit", "adaptation",
    "pool". "prior:stable-diffusion" is any pipeline of diffusers that draws from prompts (a DiffusionPrior).
    paper: a short citation shown by `imaginate methods`.

    A method whose candidates carry scores is `Scored` too; one that can refuse its settings early is `Prepared`.
    """

    starts_from: ClassVar[StartsFrom]
    needs: ClassVar[tuple[str, ...]]
    paper: ClassVar[str]

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """All copies of all requests, in order. Uses only each copy's own seed for its draws, so that neither the
        batch, nor its order, nor the other requests in it change the result."""
        ...


def prior_family(needs: Sequence[str]) -> str:
    """The family of the prior among roles that are needed; "" without one."""
    return next((need.partition(":")[2] for need in needs if need.startswith("prior:")), "")


class Filter(Protocol):
    """One judge of candidates. Class attributes, next to the settings:

    needs: roles as for methods; a setting that needs one more says so itself (`setting(..., needs="guide")`).
    needs_seed: whether it looks at the seed image of a candidate (`requests[i].image`).
    scope: "candidate" (each alone, or against its own seed and copies) or "run" (against all that was kept: judged
    when the run is put together; such a filter is a `RunFilter`).

    A filter that can refuse its settings early is `Prepared` too; one whose settings a role fills is a `Guard`.
    """

    needs: ClassVar[tuple[str, ...]]
    needs_seed: ClassVar[bool]
    scope: ClassVar[Literal["candidate", "run"]]

    def judge(self, candidates: Sequence[Candidate], requests: Sequence[Request], context: Context) -> list[Verdict]:
        """One verdict for each candidate (there is at least one), in order. `requests[i]` is the request that
        `candidates[i]` answers."""
        ...


@runtime_checkable
class RunFilter(Filter, Protocol):
    """A filter of scope "run": one image after the other, in the run's order, against those that it kept before.

    `by_signature`: the engine keeps a signature (`ops.similarity`) of every image, and these are enough: `judge_next`
    is asked. Otherwise `judge` is given all images of a class together.
    """

    @property
    def by_signature(self) -> bool:
        """Whether signatures decide, as this filter is set."""
        ...

    def empty_memory(self) -> Any:
        """What `judge_next` remembers of the images that it kept: nothing yet."""
        ...

    def judge_next(self, memory: Any, key: str, signature: str) -> Verdict:
        """The verdict on the next image; a kept one goes into `memory` under `key`."""
        ...


@runtime_checkable
class Guard(Protocol):
    """A filter that a role brings in: naming the role adds it to every recipe, and fills its settings.

    guards: setting -> the role (a key of the recipe's section `roles`) that fills it; the first of them brings it in.
    """

    guards: ClassVar[Mapping[str, str]]


@runtime_checkable
class Prepared(Protocol):
    """A method or filter that looks at its settings before any image is made, and refuses what is not there."""

    def prepare(self, context: Context) -> None:
        """Raise ImaginateError, in one line, for what a setting names and cannot be used."""
        ...


@runtime_checkable
class Bounded(Protocol):
    """A method whose images may depend on how many are wanted, so that a larger run is not this one and more."""

    @property
    def bounded(self) -> str:
        """Why a run cannot grow, as the method is set; empty where it can."""
        ...


@runtime_checkable
class Choosing(Protocol):
    """A method that takes images from finished runs, whose folders are its setting `runs`."""

    @property
    def runs(self) -> tuple[str, ...]:
        """The folders."""
        ...


@runtime_checkable
class Scored(Protocol):
    """A method whose candidates may carry scores. scores: their names; selection by another name is refused."""

    scores: ClassVar[tuple[str, ...]]


@runtime_checkable
class Sourced(Protocol):
    """A method whose copies are something else than what its roles say (a prior draws them, or edits a seed): every
    file says how it came to be. Without it and without a prior, a file says nothing of that."""

    digital_source: ClassVar[DigitalSource]


@runtime_checkable
class Cautious(Protocol):
    """A method that has other defaults for a prior that is known to lose the class. cautious: setting -> its default
    there; what the user sets stays."""

    @property
    def cautious(self) -> Mapping[str, Any]:
        """They follow from the method's other settings."""
        ...


@dataclass(frozen=True)
class Level:
    """How far an image is noised before it is denoised: to a strength in (0, 1], as papers and diffusers count it, or,
    where given, to a share of noise. One strength is another level under another scheduler or number of steps."""

    strength: float = 1.0
    noise: float | None = None

    def __str__(self) -> str:
        """`strength 0.5`, `noise 0.1`."""
        return f"strength {self.strength:g}" if self.noise is None else f"noise {self.noise:g}"


def levels_of(strength: float | Sequence[float], noise: float | Sequence[float] | None) -> tuple[Level, ...]:
    """The levels of a method's settings: of `noise` where it is given, else of `strength`."""
    given = strength if noise is None else noise
    several = (given,) if isinstance(given, (int, float)) else given
    return tuple(Level(strength=value) if noise is None else Level(noise=value) for value in several)


@runtime_checkable
class Edits(Protocol):
    """A method that noises images and denoises them: where the run really begins is computed, stated, and refused
    where it changes nothing, before the first image."""

    @property
    def levels(self) -> tuple[Level, ...]:
        """Where the copies' diffusions start."""
        ...

    @property
    def steps(self) -> int:
        """Denoising steps."""
        ...

    @property
    def scheduler(self) -> str | None:
        """The noise scheduler; None is the checkpoint's own."""
        ...


class Reader(Protocol):
    """One layout of labelled images, in `data/readers/<name>.py`. Class attributes:

    layout: what it reads, as the message lists it that says what is supported ("a MedMNIST-style npz").
    priority: readers are asked from the lowest number to the highest; the first that recognises a place reads it.
    """

    layout: ClassVar[str]
    priority: ClassVar[int]

    def recognises(self, place: Place) -> bool:
        """Whether the place holds this layout: by its content, by its name only where the content is plain text.
        DataError for a file of this layout that is damaged."""
        ...

    def read(self, place: Place, part: Part) -> Listing:
        """Everything there, in an order that does not change; labels are read, images are not. What cannot be used is
        listed as skipped, with a short reason. A reader may leave out what is not of the wanted `part`.
        DataError in one line where nothing can be listed; MisreadError where another reader may know better."""
        ...


@runtime_checkable
class PathReader(Reader, Protocol):
    """A reader that takes classes and splits from the names of folders, and follows `Part.layout`."""

    by_path: ClassVar[Literal[True]]


class Decoder(Protocol):
    """One kind of picture, in `data/decoders/<name>.py`. Class attributes:

    suffixes: endings of file names that promise such a picture (".png"); the content decides in the end.
    priority: decoders are asked from the lowest number to the highest; the first that recognises the bytes decodes
    them, and the last one decodes what nobody recognises.
    """

    suffixes: ClassVar[tuple[str, ...]]
    priority: ClassVar[int]

    def recognises(self, head: bytes) -> bool:
        """Whether the first bytes (512 are enough) are those of this kind of picture."""
        ...

    def decode(self, data: bytes) -> Any:
        """Encoded picture, not empty -> (h, w, 3) uint8 array, RGB. Raises ImageError with a short reason."""
        ...


@runtime_checkable
class NumberDecoder(Decoder, Protocol):
    """A decoder of pictures that may hold numbers of more than 8 bits."""

    def numbers(self, data: bytes, page: int | None, channels: tuple[int, ...] | None) -> Any:
        """The numbers (`data.rendering.Numbers`) of a page, of these channels (both from 1); None for an ordinary
        picture of 8 bits. Raises ImageError."""
        ...


@runtime_checkable
class VolumeDecoder(Decoder, Protocol):
    """A decoder of volumes, of which a slice is a picture."""

    def volume(self, data: bytes) -> Any:
        """The whole (`data.rendering.Volume`). Raises ImageError."""
        ...


@runtime_checkable
class NumberSource(Protocol):
    """An image source that has its numbers without decoding (a row of an array)."""

    def numbers(self) -> Any:
        """`data.rendering.Numbers`. Raises ImageError."""
        ...


@runtime_checkable
class PixelSource(Protocol):
    """An image source that has its pixels without decoding (a row of an array)."""

    def pixels(self) -> Any:
        """(h, w, 3) uint8 array, RGB. Raises ImageError."""
        ...


class Images(Protocol):
    """Random access to the seed images of the dataset being expanded."""

    def __len__(self) -> int: ...

    def sample(self, index: int) -> Sample:
        """The record at this index."""
        ...

    def image(self, index: int) -> Image:
        """(3, h, w) uint8. Raises ImageError for an unusable file."""
        ...


class Context(Protocol):
    """What a method or filter may use: the label space, the seed images, the device, and the roles that it named."""

    labels: LabelSpace
    device: str

    @property
    def samples(self) -> Images:
        """The seed images of the dataset that is expanded."""
        ...

    @property
    def guide(self) -> Guide:
        """The guide; ConfigError where none was given."""
        ...

    @property
    def prior(self) -> Prior:
        """The prior, of the family that was named (MaePrior, DiffusionPrior, UnclipPrior); ConfigError where none was
        given."""
        ...

    @property
    def adaptation(self) -> Adaptation:
        """The adaptation that was loaded into the prior; ConfigError where none was given."""
        ...

    @property
    def pool(self) -> Pool:
        """The retrieval pool; ConfigError where none was given."""
        ...


@runtime_checkable
class Guide(Protocol):
    """Image -> embedding -> class logits, differentiable, batched, frozen; `name` as the user wrote it (`clip:ID`).

    The same images in a batch of the same size give the same bits on a CPU; in another batch, the same within rounding.
    """

    name: str
    labels: LabelSpace
    dim: int
    device: str

    def embed(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) floating point in [0, 1], any size -> (b, dim) float32, unit norm. The model's own
        preprocessing (resize, crop, normalise) is applied inside, as differentiable tensor operations."""
        ...

    def logits(self, embeddings: Tensor) -> Tensor:
        """(b, dim) -> (b, classes), temperature applied: `softmax` of it is the guide's probability."""
        ...


@runtime_checkable
class TextGuide(Guide, Protocol):
    """A guide whose embedding space also holds text (CLIP, SigLIP)."""

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim) unit-norm embeddings."""
        ...


@runtime_checkable
class FewShotGuide(Guide, Protocol):
    """A guide that holds the seed images themselves (class means): each can be left out of what it is compared with."""

    def logits_without(self, embeddings: Tensor, ids: Sequence[str]) -> Tensor:
        """As `logits`, with row i's own seed image `ids[i]` left out: (b, dim) -> (b, classes)."""
        ...

    def seed_embeddings(self, ids: Sequence[str]) -> Tensor:
        """The embeddings of known seeds, (n, dim)."""
        ...

    def is_removable(self, key: str) -> bool:
        """Whether a seed can be left out: it is known, and not alone in its class."""
        ...


@runtime_checkable
class TrainedGuide(Guide, Protocol):
    """A guide that was trained on the seed images but for its validation part."""

    validation_ids: tuple[str, ...]


class Embeddings(Protocol):
    """Embeddings (d,) of images by a hash of their pixels."""

    def __contains__(self, key: str) -> bool: ...

    def __getitem__(self, key: str) -> Tensor:
        """The embedding (d,) of a known image."""
        ...

    def add(self, keys: Sequence[str], embeddings: Tensor) -> None:
        """Keep (n, d) embeddings under n keys."""
        ...

    def save(self) -> None:
        """Write what is new, where there is a place to write to."""
        ...


@runtime_checkable
class StoringGuide(Guide, Protocol):
    """A guide that keeps its embeddings of the seed images, also for later runs."""

    store: Embeddings


@dataclass(frozen=True, kw_only=True)
class GuideSetup:
    """What a kind of guide is built from. `name`: as the user wrote it, `probe:nano`; `model`: what follows its colon.

    `samples`: the seed images; `relatives`: which of them descend from one another, where they are a run. `prompts`:
    `single`, `clip-80`, a sentence with {}, a file of them, or a list.
    `cache`: a folder in which seed embeddings and fine-tuned weights are kept by content. `seed`: of all draws.
    """

    name: str
    model: str
    labels: LabelSpace
    samples: Images | None = None
    relatives: Relatives = Relatives()  # noqa: RUF009 - frozen
    device: str = "cpu"
    dtype: str | None = None
    prompts: str | Sequence[str] | None = None
    cache: str | Path | None = None
    seed: int = 0

    @property
    def seed_images(self) -> Images:
        """The seed images; ConfigError where they were not given."""
        if self.samples is None:
            raise ConfigError(f"guide {self.name} learns from the seed set, which was not given")
        return self.samples


class GuideFamily(Guide, Protocol):
    """A kind of guide: the only public class of a file in `models/guides/`, found by the word before the colon.

    takes: what follows the colon: a "backbone", which must be given, a "checkpoint", which may be, or "nothing".
    needs_seeds: whether it learns from the seed images. reads_text: whether prompts name the classes (a TextGuide).
    """

    takes: ClassVar[Literal["backbone", "checkpoint", "nothing"]]
    needs_seeds: ClassVar[bool]
    reads_text: ClassVar[bool]

    def __init__(self, setup: GuideSetup) -> None: ...


class BatchSizes(Protocol):
    """How many images a prior takes at a time."""

    def shrink(self) -> bool:
        """Halve the micro-batch of gradients after running out of memory; False when it was one image already."""
        ...


class Prior(Protocol):
    """A frozen generative model. `family`: the registered word; `image_size`: the side of what it draws, in pixels;
    `is_adapted`: whether an adaptation was loaded into it.

    The same call gives the same bits on a CPU; the same image in a batch of another size, the same within rounding.
    """

    name: str
    family: str
    image_size: int
    device: str

    @property
    def batch(self) -> BatchSizes:
        """How many images are taken at a time."""
        ...

    @property
    def is_adapted(self) -> bool:
        """Whether an adaptation was loaded."""
        ...


@runtime_checkable
class MaePrior(Prior, Protocol):
    """An autoencoder on patch tokens (GIF-MAE). Latents (b, tokens, width); `patch_size`: the side of a patch."""

    patch_size: int

    def encode(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] -> latents (b, tokens, width), nothing masked."""
        ...

    def decode(self, latents: Tensor, seeds: Tensor) -> Tensor:
        """Latents and seed images (b, 3, h, w) (for patch statistics) -> (b, 3, s, s) in [0, 1], differentiable."""
        ...


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """Where a diffusion begins that starts from an image.

    `noise`: the share of the variance that is noise, in latents of variance 1. `depth`: its timestep as a share of the
    training schedule. `steps`: the denoising steps that follow. `scheduler`: the class that takes them.
    """

    noise: float
    depth: float
    steps: int
    scheduler: str


@runtime_checkable
class DiffusionPrior(Prior, Protocol):
    """A latent text-to-image diffusion model. Latents (b, c, h, w), scaled as the model's UNet expects them."""

    context_length: int

    def encode(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """(b, 3, h, w) in [0, 1] -> latents (posterior sample, one random seed each)."""
        ...

    def diffuse(
        self,
        latents: Tensor | None,
        prompts: Sequence[str] | Conditioning,
        *,
        strength: float,
        guidance_scale: float,
        steps: int,
        seeds: Sequence[int],
        scheduler: str | None = None,
        negative: str = "",
        noise: float | None = None,
    ) -> Tensor:
        """Noise to `strength` and denoise under the prompts (or ready conditionings, one a row);
        `latents` None or strength 1 means pure noise (text-to-image). `noise` in place of strength: the share of the
        variance that is noise at the start. One random seed an image."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, 3, s, s) in [0, 1], differentiable."""
        ...

    def embed_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """n prompts -> n conditionings of the denoiser; kept. ConfigError where one is longer than the context."""
        ...

    def count_tokens(self, prompt: str) -> int:
        """The length of a prompt in tokens, of which `context_length` fit."""
        ...


@runtime_checkable
class BeginsSomewhere(DiffusionPrior, Protocol):
    """A diffusion prior that knows at which level of noise a diffusion begins."""

    def begins(
        self, *, strength: float, steps: int, noise: float | None = None, scheduler: str | None = None
    ) -> Beginning:
        """Where `diffuse` begins under these settings. ConfigError where no step is left."""
        ...


@runtime_checkable
class Inverts(DiffusionPrior, Protocol):
    """A diffusion prior whose deterministic path is known both ways, over its own levels of noise: DDIM's, or the
    straight one of flow matching."""

    def check_invertible(self) -> None:
        """ConfigError, in one line, for a checkpoint whose path is not known after all."""
        ...

    def invert(self, latents: Tensor, prompts: Sequence[str], *, steps: int) -> Tensor:
        """Clean latents (b, c, h, w) -> the noise (b, c, h, w) from which `denoise` comes back near them, without
        guidance and under the same prompts."""
        ...

    def denoise(
        self,
        noise: Tensor,
        prompts: Sequence[str],
        *,
        then: Sequence[str],
        first: float,
        guidance_scale: float,
        steps: int,
    ) -> Tensor:
        """Noise (b, c, h, w) -> clean latents: the share `first` of the steps under `prompts`, the others under `then`.
        Nothing is drawn."""
        ...


@runtime_checkable
class UnclipPrior(Prior, Protocol):
    """A decoder from CLIP image embeddings (GIF-DALLE). Embeddings (b, dim), as the decoder expects them.

    `view`: the side of the images that its encoder sees, in pixels.
    """

    view: int

    def encode(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] -> CLIP image embeddings (b, dim)."""
        ...

    def generate(
        self,
        embeddings: Tensor,
        *,
        guidance_scale: float,
        steps: int,
        seeds: Sequence[int],
        scheduler: str | None = None,
    ) -> Tensor:
        """(b, dim) -> (b, 3, s, s) in [0, 1]; one random seed an image."""
        ...


@runtime_checkable
class EditPrior(Prior, Protocol):
    """A model that edits images by instruction, without a strength."""

    def edit(
        self,
        images: Tensor,
        instructions: Sequence[str],
        *,
        guidance_scale: float | None,
        image_guidance_scale: float | None,
        steps: int | None,
        seeds: Sequence[int],
    ) -> Tensor:
        """(b, 3, h, w) in [0, 1] and one instruction an image -> (b, 3, s, s) in [0, 1]; None is the pipeline's own
        default. One random seed an image."""
        ...


class PriorFamily(Prior, Protocol):
    """A family of priors: the only public class of a file in `models/priors/`, found by the family's word."""

    @classmethod
    def load(cls, spec: str, *, device: str = "cpu", dtype: str | None = None) -> Self:
        """From "nano" (the family's bundled miniature), a folder or a hub id; safetensors only. ModelError in one line
        for anything else. `dtype`: float32, bfloat16, float16; None is the device's default."""
        ...

    def networks(self) -> Mapping[str, Any]:
        """The networks (torch modules) by their names in the library's pipeline: `unet`, `vae`, `text_encoder`, ..."""
        ...

    def put_network(self, part: str, module: Any) -> None:
        """Another network in the place of one."""
        ...

    def compile(self) -> None:
        """Compile the network that is called most."""
        ...

    def load_adaptation(self, path: str) -> None:
        """Weights or vectors learnt by `imaginate fit`, or a LoRA from elsewhere, loaded into the networks."""
        ...


@runtime_checkable
class Adaptation(Protocol):
    """What was learnt on a dataset and loaded into a prior. `words`: class name -> its pseudoword, where it has one."""

    @property
    def path(self) -> str:
        """Where it was read from."""
        ...

    @property
    def technique(self) -> str:
        """The technique that learnt it."""
        ...

    @property
    def checkpoint(self) -> str:
        """The name of the checkpoint that was loaded."""
        ...

    @property
    def words(self) -> Mapping[str, str]:
        """Class name -> pseudoword."""
        ...

    @property
    def template(self) -> str:
        """The prompt template that the prior was tuned under; empty where it learnt no text."""
        ...

    def require(self, *techniques: str) -> None:
        """ConfigError unless one of these techniques learnt it."""
        ...

    def word(self, name: str) -> str:
        """The pseudoword of a class; ModelError where it has none."""
        ...

    def vectors(self, name: str) -> Conditioning:
        """The conditionings learnt for a class, one a cluster; ModelError where there is none."""
        ...

    def weights(self, name: str) -> tuple[int, ...]:
        """The number of training images behind each conditioning of a class."""
        ...


@runtime_checkable
class WithLibraries(Protocol):
    """A method or filter that computes with libraries of an extra. `libraries`: their words in `models.extras`."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """What has to be installed."""
        ...


@runtime_checkable
class Pool(Protocol):
    """Ranked real images, by text or by image embedding.

    A row is a plain dictionary: `id`, `similarity`, and where known `caption`, `source`, `url`, `licence`, `signature`,
    `aesthetic` and `unsafe` (a probability), `width`, `height`.
    """

    guide: str

    def check(self, guide: Guide) -> None:
        """Raise ModelError, naming both, unless `guide` embeds as the one that built the pool."""
        ...

    def search(self, embeddings: Tensor, limit: int) -> list[list[dict[str, Scalar]]]:
        """(n, dim) unit-norm queries -> for each, up to `limit` rows, nearest first. RunError when it cannot answer."""
        ...

    def vectors(self, ids: Sequence[str]) -> Tensor | None:
        """(n, dim) unit-norm embeddings of rows; None where the pool cannot give them."""
        ...

    def sample(self, count: int) -> Tensor | None:
        """(n, dim) unit-norm embeddings of rows spread evenly over the pool, at most `count`; None where it gives no
        embeddings."""
        ...

    def closeness(self) -> float:
        """The cosine that only one image in a hundred exceeds with its nearest of some hundred random others: above it,
        two images of this pool are suspiciously alike. 0 where the pool cannot tell."""
        ...

    def image(self, row: dict[str, Scalar]) -> Image:
        """(3, h, w) uint8 of a row that `search` returned, whose `digital_source` then says how its file says that a
        model made it, or None. Raises ImageError."""
        ...
