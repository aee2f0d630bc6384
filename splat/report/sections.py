"""The report's sections in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from splat.report.camera_map import camera_map
from splat.report.charts import Curve, line_chart, smoothed
from splat.report.run_data import Json, RunData, number
from splat.report.text import count, duration, escape, fixed, plural


def headline(run: RunData) -> str:
    """Tiles with the figures that a person looks for first."""
    metrics = run.metrics
    if not metrics:
        return f'<p class="empty">{escape(run.missing.get("metrics.json", "metrics.json is empty."))}</p>'
    held_out = f"mean of {plural(len(run.per_view), 'held-out photo')}" if run.per_view else "held-out photos"
    width, height = number(metrics.get("width")), number(metrics.get("height"))
    tiles = [
        _tile("PSNR", fixed(number(metrics.get("psnr")), 2), "dB", held_out, True),
        _tile("SSIM", fixed(number(metrics.get("ssim")), 4), "", held_out, True),
        _lpips_tile(metrics),
        _tile("Gaussians", count(number(metrics.get("gaussians"))), "", _kind(metrics)),
        _tile("Iterations", count(number(metrics.get("iterations"))), "", _strategy(metrics)),
        _tile("Training", duration(number(metrics.get("seconds_training"))), "", "evaluation not counted"),
        _tile("Camera search", duration(number(metrics.get("seconds_sfm"))), "", "cameras and points"),
        _tile("Peak memory", fixed(number(metrics.get("peak_memory_gib")), 2), "GiB", "of this process"),
        _tile("Resolution", f"{count(width)} × {count(height)}", "", "pixels, trained and measured at"),
    ]
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _tile(name: str, value: str, unit: str, note: str, lead: bool = False) -> str:
    suffix = f" <small>{unit}</small>" if unit and value != "–" else ""
    return (
        f'<div class="tile{" lead" if lead else ""}"><dt>{escape(name)}</dt>'
        f'<dd>{escape(value)}{suffix}</dd><dd class="note">{escape(note)}</dd></div>'
    )


def _lpips_tile(metrics: Json) -> str:
    value = number(metrics.get("lpips"))
    if value is not None:
        return _tile("LPIPS", fixed(value, 4), "", "lower is better", True)
    reason = str(metrics.get("lpips_reason") or "no reason was recorded")
    reason = reason.removeprefix("LPIPS not computed").strip(" ():") or reason
    return (
        '<div class="tile lead"><dt>LPIPS</dt><dd class="absent">not computed</dd>'
        f'<dd class="note">{escape(reason)}</dd></div>'
    )


def _kind(metrics: Json) -> str:
    parts = [str(metrics["kernel"])] if metrics.get("kernel") else []
    if number(metrics.get("sh_degree")) is not None:
        parts.append(f"SH degree {metrics['sh_degree']}")
    if metrics.get("antialias"):
        parts.append(f"antialias {metrics['antialias']}")
    return ", ".join(parts)


def _strategy(metrics: Json) -> str:
    return f"strategy {metrics['strategy']}" if metrics.get("strategy") else ""


def cameras(run: RunData) -> str:
    """How the cameras were found, in sentences, with the advice that was given."""
    metrics = run.metrics
    photos, registered = number(metrics.get("photos")), number(metrics.get("registered"))
    sentences = []
    if photos is not None and registered is not None and photos > 0:
        sentences.append(
            f"{count(registered)} of {plural(photos, 'photo')} got a camera"
            f" ({100 * registered / photos:.0f} %)."
        )
    points, error = number(metrics.get("points")), number(metrics.get("reprojection_error"))
    if points is not None:
        sentences.append(f"The sparse cloud that training started from has {plural(points, 'point')}.")
    if error is not None:
        sentences.append(
            f"Its points miss the photos by {fixed(error, 2)} px on average (reprojection error)."
        )
    seconds = number(metrics.get("seconds_sfm"))
    if seconds:
        sentences.append(f"Finding the cameras took {duration(seconds)}.")
    elif seconds is not None:
        sentences.append("The cameras came with the capture; none had to be found.")
    splits = [view.get("split") for view in run.views]
    if splits:
        sentences.append(
            f"{plural(splits.count('train'), 'view')} trained the scene,"
            f" {count(splits.count('test'))} were held out to measure it."
        )
    text = " ".join(sentences) or "The run folder does not say how the cameras were found."
    told = f"<p>{escape(text)}</p>" + _list(note for note in _notes(run) if note not in _logged(run))
    return f'<div class="beside"><div>{told}</div>{camera_map(run.views)}</div>'


def _notes(run: RunData) -> list[str]:
    told = run.metrics.get("notes")
    return [str(note) for note in told] if isinstance(told, list) else []


def _logged(run: RunData) -> list[str]:
    return [str(event["text"]) for event in run.events("note") if event.get("text")]


def _list(notes: Iterable[str]) -> str:
    """The notes, each once and as a sentence."""
    sentences = dict.fromkeys(note[:1].upper() + note[1:].rstrip(".") + "." for note in notes if note)
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="notes">{items}</ul>' if items else ""


def curves(run: RunData) -> str:
    """Loss, held-out PSNR, Gaussians and speed against training seconds."""
    if not run.log:
        return f'<p class="empty">{escape(run.missing.get("log.jsonl", "log.jsonl is empty."))}</p>'
    train, evaluated = run.events("train"), run.events("eval")
    seconds, loss = _pairs(train, "loss")
    eval_seconds, psnr = _pairs(evaluated, "psnr")
    gaussian_seconds, gaussians = _pairs(train, "gaussians")
    speed_seconds, speed = _pairs(train, "it_per_second")
    charts = [
        Curve("Loss, smoothed", "", seconds, smoothed(loss, len(loss) / 40)),
        Curve("PSNR of the held-out photos", "dB", eval_seconds, psnr, dots=True),
        Curve("Gaussians", "", gaussian_seconds, gaussians, from_zero=True),
        Curve("Iterations per second", "", speed_seconds, smoothed(speed, len(speed) / 60), from_zero=True),
    ]
    drawn = "".join(line_chart(curve) for curve in charts)
    return f'<div class="charts">{drawn}</div>{_list(_logged(run))}'


def _pairs(events: Sequence[Json], key: str) -> tuple[list[float], list[float]]:
    pairs = [(number(event.get("seconds")), number(event.get(key))) for event in events]
    known = [(x, y) for x, y in pairs if x is not None and y is not None]
    return [x for x, _ in known], [y for _, y in known]


def settings(run: RunData) -> str:
    """Every option of the run, nested ones with dots."""
    if not run.config:
        return f'<p class="empty">{escape(run.missing.get("config.json", "config.json is empty."))}</p>'
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(_option(value))}</td></tr>'
        for name, value in _flat(run.config)
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Settings">'
        f"<table><tbody>{rows}</tbody></table></div>"
    )


def _flat(options: Json, prefix: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for name, value in options.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", value))
    return rows


def _option(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_option(item) for item in value)
    return str(value)
