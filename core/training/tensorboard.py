"""An epoch's figures as TensorBoard's event files, for those who have it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import OverreadError


@contextmanager
def event_files(folder: Path | None) -> Iterator[Callable[[dict], None]]:
    """A callable that takes a row of history; without a folder it does nothing.

    OverreadError where TensorBoard is not installed, before anything is trained. An epoch that a stopped run had
    written and a resumed one runs again is shown once.
    """
    if folder is None:
        yield lambda row: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise OverreadError(
            f"TensorBoard is not installed ({error}); pip install tensorboard, or leave --tensorboard out: history.csv "
            "and the Runs page hold the same figures."
        ) from error
    writer: list = []

    def told(row: dict) -> None:
        if not writer:
            writer.append(SummaryWriter(str(folder), purge_step=row["epoch"]))
        for name, value in row.items():
            if name not in ("epoch", "best"):
                writer[0].add_scalar(name.replace("tune_", "tune/").replace("train_", "train/"), value, row["epoch"])
        writer[0].flush()

    try:
        yield told
    finally:
        for each in writer:
            each.close()
