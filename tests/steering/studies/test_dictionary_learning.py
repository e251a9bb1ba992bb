"""What dictionaries learn: planted features are found again, and an interrupted training ends as it would have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from steering.job import Stopped
from steering.studies.dictionaries.autoencoders import KINDS, Autoencoder
from steering.studies.dictionaries.course import Course
from steering.studies.dictionaries.crosscoders import CrosscoderLearner, load_crosscoder
from steering.studies.dictionaries.latent_scaling import latent_scaling
from steering.studies.dictionaries.learning import Learner, learn
from steering.studies.dictionaries.transcoders import Transcoder
from steering.training.order import shuffled


CPU = torch.device("cpu")
WIDTH, PLANTED, ACTIVE, TOKENS = 24, 20, 2, 3000


def course(**changes: Any) -> Course:
    same = {"features": 32, "active": ACTIVE, "steps": 200, "batch": 96, "rate": 1e-2, "silent_after": 20, "seed": 0}
    return Course(**{**same, **changes})


def directions(seed: int) -> Tensor:
    """Unit vectors, (planted, width)."""
    return normalize(torch.randn(PLANTED, WIDTH, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.fixture(scope="module")
def planted() -> Tensor:
    """Activations of planted features, two a token, (token, planted)."""
    made = torch.Generator().manual_seed(0)
    chosen = torch.rand(TOKENS, PLANTED, generator=made).argsort(dim=1)[:, :ACTIVE]
    return torch.zeros(TOKENS, PLANTED).scatter(1, chosen, 1 + torch.rand(TOKENS, ACTIVE, generator=made))


def states(planted: Tensor, seed: int) -> Tensor:
    """Far from unit scale and zero mean, with a little noise: (token, width)."""
    made = torch.Generator().manual_seed(100 + seed)
    noise = 0.05 * torch.randn(TOKENS, WIDTH, generator=made)
    return 5 * planted @ directions(seed) + torch.randn(WIDTH, generator=made) + noise


def saved(learner: Learner, folder: Path) -> Any:
    from sae_lens import SAE

    learner.save(folder)
    return SAE.load_from_disk(folder)


def found(decoder: Tensor, wanted: Tensor) -> Tensor:
    """The best cosine of each planted direction with any decoder row."""
    return (normalize(decoder.detach(), dim=1) @ wanted.T).amax(dim=0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_autoencoder_finds_planted_features(kind: Any, planted: Tensor, tmp_path: Path) -> None:
    from sae_lens.saes.sae import SAEMetadata

    x = states(planted, 1)
    learner = Autoencoder(x, course(), kind, SAEMetadata(), CPU)
    before = found(learner._sae.W_dec, directions(1))
    curve = learn(learner, TOKENS, course())
    sae = saved(learner, tmp_path)
    # A random direction among 32 in 24 dimensions has a cosine of about 0.4 with the nearest planted one.
    assert before.median() < 0.7
    assert (found(sae.W_dec, directions(1)) > 0.9).float().mean() >= 0.9
    assert curve[-1][1] < 0.2 * curve[0][1]
    with torch.no_grad():
        active = sae.encode(x)
        left = (sae.decode(active) - x).pow(2).sum() / (x - x.mean(dim=0)).pow(2).sum()
    assert left < 0.15
    assert float((active > 0).float().sum(dim=1).mean()) == pytest.approx(ACTIVE, abs=0.6)
    # Rows of unit length times one factor: an activation says how long what it adds is.
    lengths = sae.W_dec.norm(dim=1)
    torch.testing.assert_close(lengths, lengths[:1].expand_as(lengths).clone(), rtol=1e-3, atol=1e-3)


def test_a_transcoder_finds_planted_features_on_both_sides(planted: Tensor, tmp_path: Path) -> None:
    from sae_lens.saes.sae import SAEMetadata

    x, y = states(planted, 1), states(planted, 2)
    learner = Transcoder(x, y, course(), SAEMetadata(), CPU)
    curve = learn(learner, TOKENS, course())
    made = saved(learner, tmp_path)
    cosines = normalize(made.W_dec.detach(), dim=1) @ directions(2).T
    assert (cosines.amax(dim=0) > 0.9).float().mean() >= 0.9
    assert curve[-1][1] < 0.2 * curve[0][1]
    # The feature that gives a planted direction reads the same one: it is active where that one is.
    with torch.no_grad():
        active = made.encode(x)[:, cosines.argmax(dim=0)] > 0
        left = (made.decode(made.encode(x)) - y).pow(2).sum() / (y - y.mean(dim=0)).pow(2).sum()
    assert (active == (planted > 0)).float().mean() > 0.97
    assert left < 0.2


@pytest.fixture(scope="module")
def crossed(planted: Tensor, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Tensor]:
    """A crosscoder of two models that share all but four features, two of each alone; and both models' states."""
    x = torch.stack([states(planted, 1), states(planted, 1) + 0.5])
    x[0] -= 5 * planted[:, :2] @ directions(1)[:2]  # 0 and 1 are of the second model alone
    x[1] -= 5 * planted[:, 2:4] @ directions(1)[2:4]  # 2 and 3 of the first
    learner = CrosscoderLearner(list(x), course(steps=300), CPU)
    assert learn(learner, TOKENS, course(steps=300))[-1][1] < 0.15
    folder = tmp_path_factory.mktemp("crosscoder")
    learner.save(folder)
    return load_crosscoder(folder), x


def test_a_crosscoder_tells_shared_features_from_those_of_one_model(crossed: tuple[Any, Tensor]) -> None:
    crosscoder, x = crossed
    near = [normalize(each, dim=1) @ directions(1).T for each in crosscoder.decoder]
    for model, own in ((1, (0, 1)), (0, (2, 3))):
        features = near[model][:, list(own)].argmax(dim=0)
        assert (near[model][features, list(own)] > 0.9).all()
        distance = (crosscoder.relative[features] - model).abs()
        assert (distance < 0.25).all(), distance
        scaling = latent_scaling(crosscoder, x, features, torch.full((2,), model))
        assert scaling.exclusive.all()
        assert (scaling.fires > 100).all()
    shared = (near[0] + near[1])[:, 4:].argmax(dim=0)
    middle = crosscoder.relative[shared]
    assert ((middle > 0.35) & (middle < 0.65)).float().mean() > 0.9
    # What is shared is not called exclusive even where somebody says that it is.
    for model in (0, 1):
        assert not latent_scaling(crosscoder, x, shared, torch.full((len(shared),), model)).exclusive.any()


def test_latent_scaling_catches_a_decoder_that_shrank(crossed: tuple[Any, Tensor]) -> None:
    from dataclasses import replace

    crosscoder, x = crossed
    near = normalize(crosscoder.decoder[1], dim=1) @ directions(1).T
    feature = int(near[:, 7].argmax())  # a shared one
    decoder = crosscoder.decoder.clone()
    decoder[0, feature] = 0.0  # complete shrinkage: what it says of the first model is in the error now
    shrunk = replace(crosscoder, decoder=decoder, threshold=crosscoder.threshold * 0.6)
    assert float(shrunk.relative[feature]) == 1.0
    scaling = latent_scaling(shrunk, x, torch.tensor([feature]), torch.tensor([1]))
    assert not bool(scaling.exclusive[0])
    # By least squares, token by token, with numpy's own solver.
    active = shrunk.encode(x)
    given, direction = shrunk.decode(active), decoder[1, feature]
    factors = []
    for model in (0, 1):
        target = x[model] - given[model] + active[:, feature, None] * decoder[model, feature]
        design = (active[:, feature, None] * direction).flatten()[:, None]
        factors.append(torch.linalg.lstsq(design.double(), target.flatten()[:, None].double()).solution.item())
    assert float(scaling.error[0]) == pytest.approx(factors[0] / factors[1], rel=1e-3)


def _autoencoder(kind: Any) -> Callable[[Tensor, Course], Learner]:
    def made(x: Tensor, plan: Course) -> Learner:
        from sae_lens.saes.sae import SAEMetadata

        return Autoencoder(x, plan, kind, SAEMetadata(), CPU)

    return made


def _transcoder(x: Tensor, plan: Course) -> Learner:
    from sae_lens.saes.sae import SAEMetadata

    return Transcoder(x, x.roll(1, dims=1), plan, SAEMetadata(), CPU)


LEARNERS: dict[str, Callable[[Tensor, Course], Learner]] = {
    **{kind: _autoencoder(kind) for kind in KINDS},
    "transcoder": _transcoder,
    "crosscoder": lambda x, plan: CrosscoderLearner([x, x.roll(1, dims=1)], plan, CPU),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_an_interrupted_training_ends_as_it_would_have(name: str, planted: Tensor, tmp_path: Path) -> None:
    x, plan = states(planted, 1), course(steps=30, silent_after=3)
    checkpoint = tmp_path / "checkpoint"

    def stop(done: int, left: float) -> None:
        if done == 17:
            raise Stopped

    weights, curves = [], []
    for interrupted in (False, True):
        if interrupted:
            with pytest.raises(Stopped):
                learn(LEARNERS[name](x, plan), TOKENS, plan, checkpoint=checkpoint, key="one", report=stop)
            assert checkpoint.exists()
        seen: list[int] = []
        learner = LEARNERS[name](x, plan)
        curves.append(
            learn(
                learner,
                TOKENS,
                plan,
                checkpoint=checkpoint,
                key="one",
                report=lambda done, left, seen=seen: seen.append(done),  # type: ignore[misc]
            )
        )
        assert seen == list(range(18 if interrupted else 1, 31))
        folder = tmp_path / str(interrupted)
        folder.mkdir()
        learner.save(folder)
        weights.append((folder / "sae_weights.safetensors").read_bytes())
    assert curves[0] == curves[1]
    assert weights[0] == weights[1]


def test_a_checkpoint_of_another_training_and_a_damaged_one_are_ignored(planted: Tensor, tmp_path: Path) -> None:
    x, plan, checkpoint = states(planted, 1), course(steps=4), tmp_path / "checkpoint"

    def stop(done: int, left: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        learn(_transcoder(x, plan), TOKENS, plan, checkpoint=checkpoint, key="one", report=stop)
    for key, content in (("another", checkpoint.read_bytes()), ("one", b"damaged")):
        checkpoint.write_bytes(content)
        seen: list[int] = []
        learn(
            _transcoder(x, plan), TOKENS, plan, checkpoint=checkpoint, key=key, report=lambda n, _, s=seen: s.append(n)
        )  # type: ignore[misc]
        assert seen == [1, 2, 3, 4]


def test_batches_go_through_all_states_before_any_comes_again_and_can_be_begun_anywhere() -> None:
    batches = shuffled(10, 3, 0)
    first = [next(batches) for _ in range(7)]
    for epoch in (first[:3], first[3:6]):
        assert len(torch.cat(epoch).unique()) == 9
    assert first[0].tolist() != first[3].tolist()
    later = shuffled(10, 3, 0, start=5)
    assert [next(later).tolist() for _ in range(2)] == [each.tolist() for each in first[5:7]]
    assert sorted(next(shuffled(4, 100, 0)).tolist()) == [0, 1, 2, 3]
