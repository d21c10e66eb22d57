"""Commands over augmentations: augment-check."""

from typing import Annotated

import typer

from core.commands.console import Json, Name, bar, tell


def augment_check(
    augmentation: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A preset, a saved name, a JSON file.")],
    data: Name,
    split: Annotated[str, typer.Option(help="Only these radiographs (default: all).")] = "",
    size: Annotated[int, typer.Option(min=16, max=1024, help="Pixels a side, as the network sees them.")] = 128,
    fit: Annotated[str, typer.Option(help="pad, crop or stretch.")] = "pad",
    draws: Annotated[int, typer.Option(min=1, max=10_000, help="How often each radiograph is drawn.")] = 64,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Json = False,
) -> None:
    """How much of known abnormalities an augmentation keeps, and how often it loses them."""
    from core.data.augment import find_augmentation
    from core.data.index import read_dataset
    from core.data.input_spec import InputSpec
    from core.data.lesion_retention import (
        augmentation_warnings,
        known_masks,
        retention_facts,
        retention_sentence,
        retention_table,
    )

    chosen, dataset = find_augmentation(augmentation), read_dataset(data)
    with bar() as progress:
        masks = known_masks(dataset, InputSpec(size, fit), split, progress=progress)
        facts = retention_facts(retention_table(chosen, masks, seed, draws, progress))
    facts = {key: None if isinstance(value, float) and value != value else value for key, value in facts.items()}
    told = {
        "augmentation": chosen.to_dict(),
        "hash": chosen.hash(),
        "data": data,
        "split": split,
        "size": size,
        **facts,
    }
    said = retention_sentence({**facts, "kept": facts["kept"] or 0.0, "lost": facts["lost"] or 0.0})
    tell(
        {**told, "warnings": augmentation_warnings(chosen)},
        as_json,
        "\n".join([f"{chosen.hash()} {said}", *augmentation_warnings(chosen)]),
    )
