"""The figures of each epoch as TensorBoard event files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import OverreadError, reason_of


@contextmanager
def event_files(folder: Path | None) -> Iterator[Callable[[dict], None]]:
    """A function that writes a row of the history; without a folder it does nothing.

    OverreadError where TensorBoard is not installed. An epoch that a stopped run wrote and a resumed run repeats is
    shown once.
    """
    if folder is None:
        yield lambda row: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise OverreadError(
            f"TensorBoard is not installed ({reason_of(error)}); pip install tensorboard, or leave --tensorboard "
            "out: history.csv and the Runs page have the same figures.",
            code="tensorboard-missing",
        ) from error
    writer: list = []

    def write(row: dict) -> None:
        if not writer:
            writer.append(SummaryWriter(str(folder), purge_step=row["epoch"]))
        for name, value in row.items():
            if name not in ("epoch", "best"):
                writer[0].add_scalar(name.replace("tune_", "tune/").replace("train_", "train/"), value, row["epoch"])
        writer[0].flush()

    try:
        yield write
    finally:
        for each in writer:
            each.close()
