"""How the results of an evaluation, and comparisons, are printed."""

from typing import Any


__all__ = ["comparison_lines", "result_lines"]


def result_lines(results: dict[str, Any]) -> list[str]:
    """Return a line for each accuracy of a results file, and what was left out."""
    lines = [f"{results['model']} ({results['protocol']})"]
    for result in [*results["results"], *results.get("results_by_seen", [])]:
        lines.append(f"  {_name(result)}: {_accuracy(result)}")
    for name, model in results.get("models", {}).items():
        lines.append(f"  {name} is {model}")
    return lines


def comparison_lines(comparisons: list[dict[str, Any]]) -> list[str]:
    """Return a line for each comparison: the difference in points, its interval, and the p-values."""
    lines = []
    for one in comparisons:
        first, second = one.get("settings", ("first", "second"))
        part = "" if one["part"] == "all" else f", {one['part']}"
        lines.append(
            f"  {one['split']} {one['task']}{part} ({one['rows']} rows): {first} {100 * one['first']:.2f} %, {second} "
            f"{100 * one['second']:.2f} %, difference {100 * one['difference']:+.2f} points {_tested(one)}"
        )
    return lines


def _tested(one: dict[str, Any]) -> str:
    if one["p"] is None:
        return f"(only {one['names']} names: too few to test)"
    text = f"(95 % interval {100 * one['low']:+.2f} to {100 * one['high']:+.2f}), "
    if "names" in one:
        return text + f"clustered p {one['p']:.4g} ({one['names']} names)"
    text += f"bootstrap p {one['p']:.4g}"
    if one["mcnemar"]:
        text += ", McNemar p {p:.4g} ({only_first} : {only_second} rows)".format(**one["mcnemar"])
    return text


def _name(result: dict[str, Any]) -> str:
    hearing = f", hearing {result['hearing']}" if result["hearing"] else ""
    part = f", {result['part']}" if "part" in result else ""
    return f"{result['split']} {result['task']}{hearing}{part}"


def _accuracy(result: dict[str, Any]) -> str:
    low, high = (100 * result["interval"][end] for end in ("low", "high"))
    text = f"{100 * result['accuracy']:.2f} % ({result['correct']} of {result['rows']} rows), 95 % interval {low:.2f} "
    text += f"to {high:.2f}, F1 {100 * result['f1']['weighted']:.2f} weighted, {100 * result['f1']['macro']:.2f} macro"
    if result["heard"]:
        text += f"; {result['heard']} rows heard, {result['right_label']} of them the right label"
    return text
