"""The command that checks an augmentation: augment-check."""

from typing import Annotated

import typer

from core.commands.console import Json, Name, print_result, progress_bar


def augment_check(
    augmentation: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="A preset, a saved augmentation, or a JSON file.")
    ],
    data: Name,
    split: Annotated[str, typer.Option(help="Only the radiographs of this split (default: all).")] = "",
    size: Annotated[
        int, typer.Option(min=16, max=1024, help="Side of the square in pixels, as the network sees it.")
    ] = 128,
    fit: Annotated[str, typer.Option(help="How a radiograph fits the square: pad, crop or stretch.")] = "pad",
    draws: Annotated[int, typer.Option(min=1, max=10_000, help="Number of random samples of each radiograph.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    as_json: Json = False,
) -> None:
    """Measure how much of known abnormalities an augmentation keeps, and how often it loses them."""
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
    with progress_bar() as progress:
        masks = known_masks(dataset, InputSpec(size, fit), split, progress=progress)
        facts = retention_facts(retention_table(chosen, masks, seed, draws, progress))
    facts = {key: None if isinstance(value, float) and value != value else value for key, value in facts.items()}
    result = {
        "augmentation": chosen.to_dict(),
        "hash": chosen.hash(),
        "data": data,
        "split": split,
        "size": size,
        **facts,
    }
    sentence = retention_sentence({**facts, "kept": facts["kept"] or 0.0, "lost": facts["lost"] or 0.0})
    print_result(
        {**result, "warnings": augmentation_warnings(chosen)},
        as_json,
        "\n".join([f"{chosen.hash()} {sentence}", *augmentation_warnings(chosen)]),
    )
