"""The command that examines a workspace."""

from dataclasses import asdict
from typing import Annotated

import typer

from core.commands.console import Json, messages, print_result, progress_bar
from core.plural import count_text


def doctor(
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Make damaged derived files again, and remove temporary files of killed processes."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare every file of the workspace with its checksum, and list stray files and megabytes by kind.

    Exit status 1 if anything is damaged and was not repaired.
    """
    from core.serving.decision_log import LINES, default_folder, verify_log
    from core.workflows import doctor as room

    with progress_bar() as progress:
        found = room.examine(progress)
        log = default_folder()
        problem = verify_log(log).problem if (log / LINES).exists() else ""
        done, failed = room.repair(found, progress) if repair else ([], [])
    findings = [finding for finding in found.findings if finding not in done]
    if problem:
        findings.append(room.FileProblem("damaged", str(log / LINES), f"{log / LINES}: {problem}.", False))
    for finding in findings[:50]:
        able = " (--repair makes it again)" if finding.repairable and not repair else ""
        messages.print(f"{finding.kind}: {finding.problem}{able}", markup=False)
    for sentence in failed:
        messages.print(sentence, markup=False)
    if not as_json:
        for share in found.shares:
            again = f"; may be deleted: {share.kind.again}" if share.kind.may_be_deleted else ""
            size = f"{share.bytes / 1e6:,.1f} MB"
            messages.print(f"{size:>12}  {share.kind.name} ({count_text(share.files, 'file')}){again}", markup=False)
    damaged = [finding for finding in findings if finding.kind == "damaged"]
    checked = sum(found.checked.values())
    facts = {
        **found.to_dict(),
        "findings": [asdict(finding) for finding in findings],
        "repaired": [asdict(finding) for finding in done],
        "failed": failed,
        "damaged": len(damaged),
    }
    repaired = f", {count_text(len(done), 'thing')} repaired" if repair else ""
    total = sum(share.bytes for share in found.shares) / 1e6
    print_result(
        facts,
        as_json,
        f"{found.workspace}: {total:,.1f} MB, {count_text(checked, 'item')} checked, {len(damaged):,} damaged, "
        f"{len(findings) - len(damaged):,} to tidy{repaired}",
    )
    if damaged:
        raise typer.Exit(1)
