"""`audiobert bank index`: make a large bank quick to search."""

import json
from typing import Annotated

import typer


def index(
    bank_folder: Annotated[str, typer.Argument(metavar="BANK", help="A folder that 'bank build' wrote.")],
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="exact, hnsw, ivfpq or milvus. Left out: by the number of clips, exact below 50,000, then ivfpq.",
        ),
    ] = None,
    recall: Annotated[
        float, typer.Option(metavar="SHARE", help="Which share of the nearest 10 clips has to be found.")
    ] = 0.95,
    uri: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Of a Milvus server, its token in MILVUS_TOKEN. Left out: embedded in the bank's folder, for one "
            "process at a time.",
        ),
    ] = None,
    clap: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="The CLAP that the bank was built with: recall is then measured by the bank's captions as queries, "
            "otherwise by its keys, as they are and turned away at random.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make the index by which a bank is searched from now on, and measure what it finds. Similarities stay exact.

    Example: audiobert bank index bank --kind ivfpq --recall 0.98
    """
    from audiobert.trainers.bank_indexing import index_bank

    report = index_bank(bank_folder, kind, recall, uri, clap)
    if as_json:
        print(json.dumps(report, indent=2))
        return
    if report["kind"] == "exact":
        print(f"{bank_folder}: {report['clips']} clips, searched exactly, without an index")
        return
    size = f", {report['index_bytes'] / 2**20:.1f} MiB" if report["index_bytes"] is not None else ""
    print(
        f"{bank_folder}: {report['clips']} clips, index of kind {report['kind']} ({report['library']}){size}; "
        f"recall@10 {report['measured_recall']:.3f} of {report['num_queries']} queries ({report['queries']})"
    )
