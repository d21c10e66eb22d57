"""Time an epoch of training against common training loops, on the same network, size and radiographs.

`python -m bench.training FOLDER [architecture] [px] [count] [rounds]`: 2,000 PNGs of 300 to 512 px are made in FOLDER
by bench.archive unless they exist. Peers: a plain DataLoader over the files (Pillow, torchvision v2, two workers),
Lightning and fastai around the same (where installed), and the same steps on ready tensors, which is the limit. Ours
reads a filled pixel cache; the peers decode files. Ours runs in float32 and in bfloat16, its default where the
processor has it; the peers in float32, their default. Rows are appended to bench/results/training.csv.

`python -m bench.training FOLDER memory [architecture] [px] [count]`: the peak memory of an epoch of each, in a separate
process with its workers. Rows are appended to bench/results/training_memory.csv.

`python -m bench.training FOLDER accuracy [architecture] [px] [patients] [epochs] [seeds]` compares the result of
training with the plain loop: the same first weights, order and radiographs (phantoms, no augmentation), evaluated by
study AUROC on the patients of valid. Rows are appended to bench/results/training_accuracy.csv.
"""

import contextlib
import datetime
import json
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional
from torch.utils.data import DataLoader

from bench.archive import write_archive
from bench.data import Files
from bench.pairs import RESULTS, Case, hardware, keep, measure
from core.data.augment import Augmentation
from core.data.cache import pixel_cache
from core.data.index import build_index, read_index, write_dataset
from core.data.pixel_batches import epoch_order
from core.device import keep_freed_memory, move_to_device
from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.models.networks import build
from core.phantom import write_phantoms
from core.scores.classifier import Classifier
from core.training import loop
from core.training.margins import MarginSums
from core.training.optim import optimiser_for
from core.training.parallel import Team
from core.training.recipe import Recipe
from core.training.samples import TrainingData, samples_of
from core.training.state import Learner

COMMAND = "python -m bench.training"
PACKAGES = ("torch", "torchvision", "timm")
BATCH, FILES, SIDES = 32, 2_000, (300, 512)


def main(folder: str, architecture: str = "small_cnn", side: str = "64", count: str = "640", rounds: str = "5") -> None:
    root = write_archive(Path(folder), FILES, SIDES)
    with tempfile.TemporaryDirectory(dir=folder) as home:
        os.environ["OVERREAD_HOME"] = home
        for exact in ("float32", "bfloat16"):
            for case in cases(root, architecture, int(side), int(count), exact):
                keep([measure(case, COMMAND, PACKAGES, int(rounds))], "training.csv")


def cases(root: Path, architecture: str, side: int, count: int, exact: str) -> list[Case]:
    """Return the cases of ours in one precision against every peer; the peers compute in float32, their default.

    All share one process, so the peers also keep the memory they free, as training in Overread does."""
    keep_freed_memory()
    recipe = Recipe(
        "bench", architecture, size=side, augmentation=Augmentation(horizontal_flip=0.5, rotation=10), batch_size=BATCH
    )
    dataset = write_dataset("bench", build_index(root))
    index = read_index("bench").iloc[:count].reset_index(drop=True)
    cache = pixel_cache(dataset, index, recipe.input_spec())
    rows, paths = cache.rows_of(index["image_id"]), [str(root / path) for path in index["path"]]
    labels = torch.tensor(index["label"].to_numpy(np.float32))
    torch.manual_seed(0)
    model = move_to_device(build(architecture), torch.device("cpu"))
    team = Team(0, 1, torch.device("cpu"), "")
    learner = Learner(model, optimiser_for(model, recipe), sums=MarginSums(count, team.device).tensors())
    one_epoch = loop.Epoch(recipe, 1, learner, model, team, exact)
    data = TrainingData(samples_of(index, False), index["image_id"].to_numpy(), cache.pixels, rows)
    spec = recipe.input_spec()
    tensors = [
        spec.normalise(torch.from_numpy(cache.pixels[rows[start : start + BATCH]]).unsqueeze(1).float() / 255)
        for start in range(0, count, BATCH)
    ]

    def ours():
        return loop.learn_epoch(one_epoch, data)

    def limit():
        return epoch(model, learner.optimiser, zip(tensors, labels.split(BATCH)), exact)

    loader = DataLoader(Labelled(paths, labels, side, spec), batch_size=BATCH, shuffle=True, num_workers=2)
    other = build(architecture)
    optimiser = torch.optim.AdamW(other.parameters(), lr=1e-3)

    def dataloader():
        return epoch(other, optimiser, loader, "float32")

    # Orders and augmentations differ, so only the range of the loss is checked.
    both = lambda mine, peers: np.testing.assert_array_less([mine, peers], 5)  # noqa: E731
    what = f"an epoch of {architecture} at {side} px, {exact}"
    found = [
        Case(what, count, "the same steps on ready tensors, the limit", ours, limit, same=both),
        Case(what, count, "a plain DataLoader loop over the files, float32", ours, dataloader, same=both),
    ]
    for name, peer in (("Lightning", lightning_epoch), ("fastai", fastai_epoch)):
        with contextlib.suppress(ImportError):
            found.append(Case(what, count, f"{name} over the files, float32", ours, peer(other, loader), same=both))
    return found


def memory(folder: Path, architecture: str = "small_cnn", side: str = "64", count: str = "640") -> None:
    """Measure the peak memory of an epoch, each implementation in a separate process."""
    write_archive(folder, FILES, SIDES)
    rows = []
    for way in ("ready", "ours", "plain", "Lightning", "fastai"):
        command = [sys.executable, "-m", "bench.training", str(folder), "one", way, architecture, side, count]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode == 0:
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    file = RESULTS / "training_memory.csv"
    frame = pd.DataFrame(rows)
    frame.to_csv(file, mode="a", header=not file.exists(), index=False)
    print(frame.drop(columns=["hardware", "command"]).to_string(index=False))


def one(folder: Path, way: str, architecture: str, side: str, count: str) -> None:
    """Run one implementation's epoch (ours in bfloat16) and print its memory as one line of JSON."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        os.environ["OVERREAD_HOME"] = home
        found = cases(write_archive(folder, FILES, SIDES), architecture, int(side), int(count), "bfloat16")
        ways = {"ours": found[0].ours, "ready": found[0].theirs}
        ways |= {case.peer.split()[0].removeprefix("a").strip() or "plain": case.theirs for case in found[1:]}
        before, most = held(), Peak()
        with most:
            ways[way]()
    print(
        json.dumps(
            {
                "date": datetime.date.today().isoformat(),
                "what": f"an epoch of {architecture} at {side} px, n = {count}",
                "way": way,
                "before_mb": round(before / 1024),
                "most_mb": round(most.found / 1024),
                "hardware": hardware(),
                "command": f"{COMMAND} FOLDER memory",
            }
        )
    )


class Peak:
    """Peak memory of this process and its children while the block runs, sampled every 20 ms."""

    def __enter__(self) -> "Peak":
        self.found, self.over = held(), threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self) -> None:
        while not self.over.wait(0.02):
            self.found = max(self.found, held())

    def __exit__(self, *_) -> None:
        self.over.set()
        self.thread.join()


def held() -> int:
    """Memory of this process and its children in kB. Shared pages count once (Linux's Pss)."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    total = 0
    for process in ("self", *children):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def accuracy(
    folder: Path,
    architecture: str = "small_cnn",
    side: str = "64",
    patients: str = "400",
    epochs: str = "4",
    seeds: str = "3",
) -> None:
    """Compare the study AUROC of the loop in float32 and bfloat16 with the plain loop, for each seed."""
    root = folder / f"phantoms-{patients}"
    if not root.exists():
        write_phantoms(root, int(patients), 7)
    with tempfile.TemporaryDirectory(dir=folder) as home:
        os.environ["OVERREAD_HOME"] = home
        rows = [_accuracy(root, architecture, int(side), int(epochs), seed) for seed in range(int(seeds))]
    keep_accuracy(rows)


def _accuracy(root: Path, architecture: str, side: int, epochs: int, seed: int) -> dict:
    recipe = Recipe("bench", architecture, size=side, schedule="constant", batch_size=BATCH, seed=seed)
    dataset, spec = write_dataset("accuracy", build_index(root)), recipe.input_spec()
    index = read_index("accuracy")
    cache, found = pixel_cache(dataset, index, spec), {}
    learn, judged = (index[index["split"] == part].reset_index(drop=True) for part in ("train", "valid"))
    rows, team = cache.rows_of(learn["image_id"]), Team(0, 1, torch.device("cpu"), "")
    labels = torch.tensor(learn["label"].to_numpy(np.float32))
    files = Labelled([f"{dataset.root}/{path}" for path in learn["path"]], labels, side, spec, changed=False)
    for way in ("plain", "float32", "bfloat16"):
        torch.manual_seed(seed)
        model = move_to_device(build(architecture), torch.device("cpu"))
        optimiser = optimiser_for(model, recipe)
        learner = Learner(model, optimiser, sums=MarginSums(len(learn), team.device).tensors())
        for number in range(epochs):
            torch.manual_seed(number)  # for dropout
            if way == "plain":
                order = epoch_order(len(learn), seed, number).tolist()
                batches = DataLoader(files, BATCH, sampler=order, num_workers=2, generator=torch.Generator())
                epoch(model, optimiser, batches, "float32")
            else:
                data = TrainingData(samples_of(learn, False), learn["image_id"].to_numpy(), cache.pixels, rows)
                loop.learn_epoch(loop.Epoch(recipe, number, learner, model, team, way), data)
        logit = Classifier(model.eval(), spec, team.device).logits(cache.pixels[cache.rows_of(judged["image_id"])])
        studies = labelled(study_table(judged.assign(logit=logit)))
        found[way] = auroc(studies["score"].to_numpy(), studies["label"].to_numpy()).value
    return {
        "date": datetime.date.today().isoformat(),
        "what": f"{epochs} epochs of {architecture} at {side} px, seed {seed}",
        "n": len(learn),
        "judged_studies": len(studies),
        **{f"auroc_{way}": f"{value:.4f}" for way, value in found.items()},
        "hardware": hardware(),
        "command": f"{COMMAND} FOLDER accuracy",
    }


def keep_accuracy(rows: list[dict]) -> None:
    """Append the rows and print them."""
    file = RESULTS / "training_accuracy.csv"
    frame = pd.DataFrame(rows)
    frame.to_csv(file, mode="a", header=not file.exists(), index=False)
    print(frame.drop(columns=["hardware", "command"]).to_string(index=False))


def epoch(model, optimiser, batches, exact: str) -> float:
    """Train one epoch with the usual loop. Returns the mean loss."""
    model.train()
    total = steps = 0
    for pixels, label in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=exact == "bfloat16"):
            logits = model(pixels)[:, 0]
        loss = functional.binary_cross_entropy_with_logits(logits.float(), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total, steps = total + loss.detach(), steps + 1
    return float(total) / steps


def lightning_epoch(model, loader):
    """Train one epoch with Lightning's Trainer on the same network and files."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network, self.seen = model, []

        def training_step(self, batch, _):
            loss = functional.binary_cross_entropy_with_logits(self.network(batch[0])[:, 0], batch[1])
            self.seen.append(loss.detach())
            return loss

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

    def run():
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        module = Module()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **quiet)
            trainer.fit(module, loader)
        return float(torch.stack(module.seen).mean())

    return run


def fastai_epoch(model, loader):
    """Train one epoch with fastai's Learner on the same network and files."""
    from fastai.callback.core import Callback, CancelValidException
    from fastai.callback.progress import ProgressCallback
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    class TrainOnly(Callback):
        """A Learner without validation; the other loops do not validate either."""

        def before_validate(self):
            raise CancelValidException

    losses = []

    def loss_of(logits, label):
        losses.append(functional.binary_cross_entropy_with_logits(logits[:, 0], label))
        return losses[-1]

    learner = Learner(DataLoaders(loader, loader), model, loss_func=loss_of, cbs=[TrainOnly()])
    learner.remove_cbs([part for part in learner.cbs if isinstance(part, ProgressCallback)])

    def run():
        losses.clear()
        with learner.no_logging():
            learner.fit(1, 1e-3)
        return float(torch.stack([loss.detach() for loss in losses]).mean())

    return run


class Labelled(Files):
    """Files with their labels, normalised."""

    def __init__(self, paths, labels, side, spec, changed: bool = True):
        super().__init__(paths, side)
        self.labels, self.spec, self.changed = labels, spec, changed

    def __getitem__(self, place):
        if self.changed:
            unit = super().__getitem__(place)
        else:
            unit = torch.from_numpy(self.spec.pixels(self.paths[place]))[None].float() / 255
        return self.spec.normalise(unit), self.labels[place]


if __name__ == "__main__":
    if sys.argv[2:3] == ["accuracy"]:
        accuracy(Path(sys.argv[1]), *sys.argv[3:])
    elif sys.argv[2:3] == ["memory"]:
        memory(Path(sys.argv[1]), *sys.argv[3:])
    elif sys.argv[2:3] == ["one"]:
        one(Path(sys.argv[1]), *sys.argv[3:])
    else:
        main(*sys.argv[1:])
