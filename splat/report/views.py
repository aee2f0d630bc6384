"""Held-out views: photo, render and error side by side, and the table of scores."""

from __future__ import annotations

from splat.report.images import Embedded, embed
from splat.report.run_data import Json, RunData, number
from splat.report.text import escape, fixed


def chosen(per_view: dict[str, Json]) -> list[tuple[str, list[str]]]:
    """The worst, median and best view by PSNR: (name, what it is), each name once."""
    ranked = sorted(per_view, key=lambda name: (per_view[name]["psnr"], name))
    if not ranked:
        return []
    roles: dict[str, list[str]] = {}
    for role, name in (
        ("worst", ranked[0]),
        ("median", ranked[(len(ranked) - 1) // 2]),
        ("best", ranked[-1]),
    ):
        roles.setdefault(name, []).append(role)
    return list(roles.items())


def comparisons(run: RunData) -> str:
    """The comparison of each chosen view, or a sentence on why there is none."""
    views = chosen(run.per_view)
    if not views:
        reason = run.missing.get("per_view.json", "No view was held out, so nothing was compared.")
        return f'<p class="empty">{escape(reason)}</p>'
    return "".join(_comparison(run, name, roles) for name, roles in views)


def _comparison(run: RunData, name: str, roles: list[str]) -> str:
    scores = run.per_view[name]
    role = " and ".join(roles).capitalize() + " view"
    heading = (
        f"<h3>{role} <small>{escape(name)}</small></h3>"
        f'<p class="scores">{fixed(number(scores.get("psnr")), 2)} dB PSNR'
        f" · {fixed(number(scores.get('ssim')), 4)} SSIM</p>"
    )
    photo, render, error = (embed(run.image(name, role)) for role in ("photo", "render", "error"))
    parts = ""
    if photo and render:
        parts += _slider(photo, render, name)
    else:
        parts += _picture(photo, "Photo", name) + _picture(render, "Render", name)
    parts += _picture(error, "Error: mean absolute difference, white at a quarter of the range", name)
    absent = [
        role for role, image in (("photo", photo), ("render", render), ("error", error)) if image is None
    ]
    note = f'<p class="empty">Not in renders/: {", ".join(absent)}.</p>' if absent else ""
    return f'<article class="view">{heading}<div class="pictures">{parts}</div>{note}</article>'


def _slider(photo: Embedded, render: Embedded, name: str) -> str:
    shown = escape(name)
    return (
        f'<figure><div class="compare" style="aspect-ratio:{photo.width}/{photo.height}">'
        f'<img src="{render.address}" alt="Render of {shown}">'
        f'<img class="over" src="{photo.address}" alt="Photo {shown}">'
        '<span class="tag left">photo</span><span class="tag right">render</span><i class="handle"></i>'
        '<input type="range" min="0" max="100" step="0.5" value="50" '
        f'aria-label="Share of the photo shown over the render of {shown}, percent">'
        "</div><figcaption>Photo | render: drag, or use the arrow keys</figcaption></figure>"
    )


def _picture(image: Embedded | None, caption: str, name: str) -> str:
    if image is None:
        return ""
    return (
        f'<figure><img src="{image.address}" width="{image.width}" height="{image.height}" '
        f'alt="{escape(caption)}: {escape(name)}"><figcaption>{escape(caption)}</figcaption></figure>'
    )


def table(run: RunData) -> str:
    """Scores of every held-out view, worst PSNR first, or a sentence on why there are none."""
    if not run.per_view:
        return ""
    ranked = sorted(run.per_view.items(), key=lambda item: (item[1]["psnr"], item[0]))
    top = max((s["psnr"] for _, s in ranked if s["psnr"] != float("inf")), default=1.0) or 1.0
    lpips = any(number(scores.get("lpips")) is not None for _, scores in ranked)
    rows = "".join(_row(name, scores, top, lpips) for name, scores in ranked)
    head = (
        '<th scope="col">View</th><th scope="col" class="n">PSNR, dB</th><th scope="col" class="n">SSIM</th>'
    )
    head += '<th scope="col" class="n">LPIPS</th>' if lpips else ""
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Scores of every held-out view">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(name: str, scores: Json, top: float, lpips: bool) -> str:
    psnr = scores["psnr"]
    share = min(max(100.0 * psnr / top, 0.0), 100.0)
    cells = (
        f'<th scope="row">{escape(name)}</th>'
        f'<td class="n bar" style="--share:{share:.1f}%">{fixed(psnr, 2)}</td>'
        f'<td class="n">{fixed(number(scores.get("ssim")), 4)}</td>'
    )
    if lpips:
        cells += f'<td class="n">{fixed(number(scores.get("lpips")), 4)}</td>'
    return f"<tr>{cells}</tr>"
