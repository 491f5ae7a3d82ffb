"""`audiobert doctor`."""

import json
from typing import Annotated, Any

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON document.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask whether the Hub is there.")] = False,
) -> None:
    """Tell what is installed here, what is not, and what to do about it. Put its output into a bug report.

    Ends with 1 if audiobert cannot work as it is installed.

    Example: audiobert doctor --json
    """
    from audiobert.diagnosis import diagnose

    facts = diagnose(reach_hub=not offline)
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        _show(facts)
    if facts["problems"]:
        raise typer.Exit(1)


def _show(facts: dict[str, Any]) -> None:
    print(", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    print("\ndevices")
    for device in facts["devices"]:
        memory = f", {_amount(device['memory_bytes'])}" if "memory_bytes" in device else ""
        print(f"  {device['device']}: {device['name']}{memory}")
    print("\nextras")
    for name, extra in facts["extras"].items():
        state = "installed" if extra["installed"] else f'not installed: pip install "audiobert[{name}]"'
        print(f"  {name}, for {extra['purpose']}: {state}")
    print("\ncaches")
    for name, cache in facts["caches"].items():
        print(f"  {name}: {_amount(cache['bytes'])} in {cache['path']}")
    hub = facts["hub"]
    state = {True: "reachable", False: "NOT reachable", None: "unknown"}[hub["reachable"]]
    login = "logged in" if hub["logged_in"] else "not logged in (needed for private models and uploads: hf auth login)"
    print(f"\nhub {hub['endpoint']}: {state} ({hub['detail']}); {login}")
    print("\nproblems: " + ("; ".join(facts["problems"]) or "none"))


def _amount(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
