"""The loop: Recipe and data set to Checkpoint."""

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from torch.nn import functional

from core.data.augment import apply
from core.data.cache import pixel_cache
from core.data.dataset import batches, epoch_order
from core.data.index import Dataset, conflicting_studies, read_index
from core.data.split import overlap_table
from core.device import autocast, pick_device, precision
from core.errors import OverreadError
from core.inference.classifier import Classifier
from core.inference.predict import predict
from core.inference.predictions import store_predictions
from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.models.checkpoint import (
    HISTORY,
    MANIFEST,
    PREDICTIONS,
    begin_checkpoint,
    read_checkpoint,
    read_manifest,
    save_weights,
    write_manifest,
)
from core.models.registry import build, check_size
from core.paths import unwritable, write_atomically
from core.training.balance import effective_prior, loss_weights, sampling_weights
from core.training.optim import freeze_backbone, optimiser_for, set_rates
from core.training.recipe import Recipe
from core.training.state import FILE, load_state, read_facts, save_state

Progress = Callable[[int, int, str], None]


def train(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    resume: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda text: None,
    device: str = "",
):
    """Train, keep the epoch with the best study AUROC on the held-out fold, score what was not learned from.

    A run that was stopped goes on after its last full epoch with `resume`; on a CPU the weights are then the same, bit
    for bit. OverreadError where patients stand in two splits, where nothing can be learned, or where the loss is no
    longer a number.
    """
    index = _trainable(dataset)
    tuning = index["fold"].to_numpy() == recipe.holdout_fold
    if not tuning.any() or tuning.all():
        raise OverreadError(
            f"Fold {recipe.holdout_fold} holds {int(tuning.sum())} of {len(index)} training radiographs; choose a "
            f"holdout_fold from 0 to {index['fold'].max()}, or index more data."
        )
    where, why = pick_device(device)
    with _alone(out):
        _check_place(out, recipe, dataset, resume)
        return _train(recipe, dataset, out, resume, progress, say, index, tuning, where, why)


def _train(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    resume: bool,
    progress: Progress | None,
    say: Callable[[str], None],
    index: pd.DataFrame,
    tuning: np.ndarray,
    where: torch.device,
    why: str,
):
    """The run itself, once it is known that it may start and that the folder is its own."""
    say(f"computing on {why}, in {precision(where)}")
    torch.manual_seed(recipe.seed)
    model = build(recipe.architecture, recipe.model_kwargs, recipe.weights).to(where, memory_format=torch.channels_last)
    check_size(model, recipe.architecture, recipe.size)
    optimiser = optimiser_for(model, recipe)
    cache = pixel_cache(dataset, index, recipe.input_spec(), progress)
    rows = cache.rows_of(index["image_id"])
    if cache.failed:
        first = f"{cache.failed[0]['path']}: {cache.failed[0]['reason']}"
        say(f"{len(cache.failed)} radiographs could not be decoded and are left out (first: {first})")
    index, tuning, rows = index[rows >= 0], tuning[rows >= 0], rows[rows >= 0]
    learn, tune = index[~tuning].reset_index(drop=True), index[tuning].reset_index(drop=True)
    if learn["label"].nunique() < 2:
        raise OverreadError(
            f"All {len(learn)} radiographs to learn from have one label; expected normal and abnormal ones."
        )
    say(
        f"learning from {len(learn)} radiographs of {learn['study_id'].nunique()} studies, choosing the epoch on "
        f"{tune['study_id'].nunique()}; effective prior of abnormal {effective_prior(learn, recipe.balance):.3f}"
    )
    if resume:
        facts = _caught_up(load_state(out, model, optimiser), out)
        say(f"going on after epoch {facts['epoch'] + 1} of {recipe.epochs}")
    else:
        known = pd.concat([learn.assign(part="train"), tune.assign(part="tune")])
        manifest = begin_checkpoint(out, recipe.to_json(), recipe.input_spec(), known)
        manifest |= _about(recipe, dataset, model, where)
        facts = {"epoch": -1, "best": -1.0, "manifest": manifest, "history": [], "index_hash": dataset.index_hash}
    for epoch in range(facts["epoch"] + 1, recipe.epochs):
        started = time.perf_counter()
        loss = _learn(model, optimiser, recipe, learn, cache.pixels, rows[~tuning], epoch, where, progress)
        seconds = time.perf_counter() - started
        facts = _after_epoch(
            out,
            model,
            recipe,
            tune,
            cache.pixels[rows[tuning]],
            where,
            facts,
            epoch,
            {"train_loss": loss, "seconds": seconds, "images_per_second": len(learn) / seconds},
            say,
        )
        save_state(out, model, optimiser, facts)
    return _finish(out, dataset, facts, progress, str(where))


def _trainable(dataset: Dataset) -> pd.DataFrame:
    index = read_index(dataset.name)
    crossing = overlap_table(index)
    if len(crossing):
        shown = ", ".join(crossing["group_id"].head(5))
        raise OverreadError(
            f"{len(crossing)} patients of {dataset.name} stand in more than one split ({shown}); expected each in "
            "one. Put all of a patient's radiographs on one side, then index again."
        )
    index = index[
        (index["split"] == "train") & index["label"].notna() & ~index["study_id"].isin(conflicting_studies(index))
    ]
    if index["label"].nunique() < 2:
        raise OverreadError(
            f"Data set {dataset.name} has {len(index)} labelled radiographs to train on, all of one kind or none; "
            "expected normal and abnormal ones in the split train."
        )
    return index.reset_index(drop=True)


def _check_place(out: Path, recipe: Recipe, dataset: Dataset, resume: bool) -> None:
    if resume:
        facts = read_facts(out)
        try:
            before = Recipe.from_json((out / "recipe.json").read_text())
        except (OSError, ValueError) as error:
            raise OverreadError(
                f"{out / 'recipe.json'} cannot be read ({error}); restore it, or train again."
            ) from error
        if before != recipe:
            raise OverreadError(
                f"{out} was begun with another recipe ({before.name}); resume with the same recipe and settings, "
                "or train into a new folder."
            )
        if facts["index_hash"] != dataset.index_hash:
            raise OverreadError(
                f"{out} was begun on another index than {dataset.name} has now; train into a new folder."
            )
    elif (out / MANIFEST).exists() or (out / FILE).exists():
        raise OverreadError(f"{out} already holds a checkpoint; go on with --resume, or choose another --out.")


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep the folder to this run. OverreadError where another one has it."""
    lock = FileLock(out / ".lock", timeout=0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise OverreadError(f"Another run is writing to {out}; wait for it, or choose another --out.") from error
    except OSError as error:
        raise unwritable(out, error) from error
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):
            (out / ".lock").unlink()
            out.rmdir()  # where nothing was written; a folder that holds something stays


def _caught_up(facts: dict, out: Path) -> dict:
    """The facts, or what the manifest says where a kill came after an epoch's weights and before its state."""
    manifest = read_manifest(out)
    if manifest.get("epoch", 0) <= facts["epoch"] + 1:
        return facts
    return {**facts, "manifest": manifest, "best": manifest["judged"]}


def _about(recipe: Recipe, dataset: Dataset, model, device: torch.device) -> dict:
    import timm

    return {
        "dataset": dataset.name,
        "index_hash": dataset.index_hash,
        "phantom": dataset.phantom,
        "recipe": recipe.name,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "precision": precision(device),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": False,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "timm": timm.__version__},
    }


def _learn(
    model,
    optimiser,
    recipe: Recipe,
    learn: pd.DataFrame,
    pixels: np.ndarray,
    rows: np.ndarray,
    epoch: int,
    device: torch.device,
    progress: Progress | None,
) -> float:
    """One epoch; its mean loss. No value is fetched from the device before the end."""
    freeze_backbone(model, epoch < recipe.head_epochs)
    spec, image_ids = recipe.input_spec(), learn["image_id"].to_numpy()
    labels = learn["label"].to_numpy(np.float32)
    weights = loss_weights(learn).astype(np.float32) if recipe.balance == "weight" else np.ones(len(learn), np.float32)
    order = epoch_order(
        len(learn), recipe.seed, epoch, sampling_weights(learn) if recipe.balance == "sampler" else None
    )
    total, steps = torch.zeros((), device=device), -(-len(order) // recipe.batch_size)
    for step, (chosen, grey) in enumerate(batches(pixels, rows, order, recipe.batch_size)):
        set_rates(optimiser, recipe, epoch + step / steps)
        unit = apply(recipe.augmentation, grey.to(device, non_blocking=True), image_ids[chosen], recipe.seed, epoch)
        target = torch.from_numpy(labels[chosen]).to(device) * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
        with autocast(device):
            logits = model(spec.normalise(unit).contiguous(memory_format=torch.channels_last))[:, 0]
        loss = functional.binary_cross_entropy_with_logits(
            logits.float(), target, torch.from_numpy(weights[chosen]).to(device)
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        total += loss.detach() * len(chosen)
        if progress:
            progress(
                min((step + 1) * recipe.batch_size, len(order)), len(order), f"epoch {epoch + 1} of {recipe.epochs}"
            )
    mean = float(total) / len(order)
    if not np.isfinite(mean):
        raise OverreadError(
            f"The loss is not a number in epoch {epoch + 1}; the weights of the best epoch before it are kept. "
            f"Lower the learning rate (now {recipe.learning_rate:g}) with --set learning_rate=..."
        )
    return mean


def _after_epoch(
    out: Path,
    model,
    recipe: Recipe,
    tune: pd.DataFrame,
    pixels: np.ndarray,
    device: torch.device,
    facts: dict,
    epoch: int,
    row: dict,
    say,
) -> dict:
    """Judge the epoch on the held-out fold; keep its weights if they are the best so far."""
    model.eval()
    logits = Classifier(model, recipe.input_spec(), device).logits(pixels)
    studies = labelled(study_table(tune.assign(logit=logits, split="tune")))
    area = auroc(studies["score"].to_numpy(), studies["label"].to_numpy())
    target = torch.tensor(tune["label"].to_numpy(float))
    tune_loss = float(functional.binary_cross_entropy_with_logits(torch.from_numpy(logits), target))
    # With one class held out no AUROC exists; the loss then decides.
    judged = area.value if np.isfinite(area.value) else -tune_loss
    best = epoch == 0 or judged > facts["best"]
    row = {
        "epoch": epoch + 1,
        **row,
        "tune_loss": tune_loss,
        "tune_auroc": area.value,
        "tune_auroc_low": area.low,
        "tune_auroc_high": area.high,
        "tune_studies": len(studies),
        "best": best,
    }
    history = [*facts["history"], row]
    manifest = dict(facts["manifest"])
    if best:
        # JSON knows no NaN.
        shown = area.value if np.isfinite(area.value) else None
        manifest |= {"epoch": epoch + 1, "tune_auroc": shown, "judged": judged}
        manifest = save_weights(out, manifest, model.state_dict())
    write_atomically(out / HISTORY, lambda path: pd.DataFrame(history).to_csv(path, index=False))
    say(
        f"epoch {epoch + 1}: loss {row['train_loss']:.4f}, tuning loss {tune_loss:.4f}, "
        f"tuning study AUROC {area.value:.3f}, "
        f"{row['seconds']:.1f} s, {row['images_per_second']:.0f} radiographs/s{' (best)' if best else ''}"
    )
    return {
        **facts,
        "epoch": epoch,
        "best": judged if best else facts["best"],
        "manifest": manifest,
        "history": history,
    }


def _finish(out: Path, dataset: Dataset, facts: dict, progress: Progress | None, device: str):
    write_manifest(out, {**facts["manifest"], "complete": True})
    checkpoint = read_checkpoint(out)
    store_predictions(predict(checkpoint, dataset, None, progress, device), checkpoint, dataset, out / PREDICTIONS)
    (out / FILE).unlink(missing_ok=True)
    return checkpoint
