#!/usr/bin/env python3
"""DnCShap as released, with its defects, on small pictures: tests/reference/dnc_shap/published.json.

Usage: dnc_shap_published.py OUT.json

Read from the release (github.com/MIntelligence-Group/InterpretableFER, utils/DncShap.py and utils/Plots.py, of Malik,
Kumar and Raman, ICVGIP 2021) and written anew. v is the probability of the class predicted for the whole picture, with
0 in the network's input, after its preparation, where nothing is kept. A leaf's value is the value of each of its
pixels, not a sum to be spread over them.

The first cut is a plain Shapley value of two halves 1 and 2, with b = v(nothing), f = v(all):
  phi_1 = ((v1 - b) + (f - v2)) / 2,   phi_2 = ((v2 - b) + (f - v1)) / 2
Half 1 goes on with b + v2 in place of b and f + v1 in place of f, half 2 with b + v1 and f + v2. Every further cut, of
a part into halves 1' and 2', across the other axis than the cut before it:
  phi_1' = ((v1' - b) + (f - v2')) / 4,   phi_2' = ((v2' - b) + (f - v2')) / 4 = (f - b) / 4
and goes on likewise, b + v2' and f + v1' to half 1', b + v1' and f + v2' to half 2'. So with n levels there are 2^n
leaves, 2^n - 1 cuts and, with b and f, 2 * 2^n evaluations, none of them kept for a second use.

Three defects, all kept:
  1. The second half subtracts v2' where v1' is meant, so that it knows nothing of itself.
  2. v1' and v2' are not of the part's halves but of the whole picture cut at the part's middle.
  3. b and f are sums over the contexts so far, 2, then 4, then 8 of them, beside single v1' and v2', always by 4.

What a description of the method leaves open, and the release decides:
  * The axis of the first cut. The release calls it the width, but its arrays are rows first (numpy of a picture), so
    what is cut first is top from bottom. `first_axis` is "rows" for that, "columns" for what its words say; its own
    pictures are square, where only this differs.
  * The middle: floor((start + end) / 2). The first half is left or on top. Axes alternate, whatever the shape, and
    are cut on below one pixel: a side of 1 gives an empty half 1' and the same side again as 2'; an empty side gives
    two empty ones. Their values are computed like others and reach no pixel.
  * v of half-planes: kept is all before the middle, or all from the middle on, over the other axis' full length.
  * The cut at the percentile: the 70th of |value| over pixels, not leaves, as numpy interpolates it (linear between
    order statistics at 0.7 * (pixels - 1)); pixels strictly below become 0.
  * Afterwards the drawing divides by the root of the sum of squares over pixels, and in the published figures negative
    pixels become 0. Neither is done here; `norm` is that root.
  * The default of n: 9 in the release's own run.

published.json: value functions are those of {wide,square,high}.json (dnc_shap.py). {"cases": [{picture, first_axis,
levels: n, evaluations, leaves: [[x0, y0, x1, y1, value, value after the cut], ...] in the order of the recursion, 2^n
of them, the empty ones included (0 after the cut); threshold: the percentile; norm; sum: of the values of leaves that
have pixels; missing: v(all) - v(nothing) - sum; missing_after: the same after the cut}, ...]}

Made with Python 3.11, numpy 2.4.6.
"""

import argparse
from pathlib import Path

import numpy as np

from dnc_shap import evaluate, value_functions, write_json

LEVELS, PERCENTILE, CLEAR = range(1, 7), 70, 1e-7
ROWS, COLUMNS = 0, 1
AXES = {"rows": ROWS, "columns": COLUMNS}


def half_planes(shape, axis, middle):
    """The two masks of a picture cut at `middle` from one side to the other."""
    before = np.arange(shape[axis]) < middle
    mask = np.broadcast_to(before[:, None] if axis == ROWS else before, shape)
    return mask, ~mask


def published(v, levels, first_axis):
    """([((row, row), (column, column), value), ...] of the leaves, evaluations, v(all) - v(nothing))."""
    shape, leaves, evaluations = (v.height, v.width), [], 0

    def value(*masks):
        nonlocal evaluations
        evaluations += len(masks)
        return evaluate(v, *masks)

    def divide(sides, axis, b, f, phi, level):
        if level == levels:
            leaves.append((*sides, phi))
            return
        start, end = sides[axis]
        middle = (start + end) // 2
        v1, v2 = value(*half_planes(shape, axis, middle))
        if level == 0:
            phi_1, phi_2 = ((v1 - b) + (f - v2)) / 2, ((v2 - b) + (f - v1)) / 2
        else:
            phi_1, phi_2 = ((v1 - b) + (f - v2)) / 4, ((v2 - b) + (f - v2)) / 4
        for part, phi, b_next, f_next in (((start, middle), phi_1, b + v2, f + v1),
                                          ((middle, end), phi_2, b + v1, f + v2)):
            below = tuple(part if at == axis else side for at, side in enumerate(sides))
            divide(below, 1 - axis, b_next, f_next, phi, level + 1)

    nothing = np.zeros(shape, bool)
    b, f = value(nothing, ~nothing)
    divide(((0, v.height), (0, v.width)), first_axis, b, f, None, 0)
    return leaves, evaluations, f - b


def case(name, v, first_axis, levels):
    """One entry of `cases`, and v(all) - v(nothing)."""
    leaves, evaluations, whole = published(v, levels, AXES[first_axis])
    assert (len(leaves), evaluations) == (2**levels, 2 * 2**levels)
    pixels = np.full((v.height, v.width), np.nan)
    for (y0, y1), (x0, x1), value in leaves:
        pixels[y0:y1, x0:x1] = value
    assert not np.isnan(pixels).any()
    threshold = np.percentile(np.abs(pixels), PERCENTILE)
    near = {(*rows, *columns) for rows, columns, value in leaves if abs(abs(value) - threshold) < CLEAR}
    assert len(near) <= 1, f"{name}, {first_axis}, {levels}: rounding decides which of {near} remain"
    rows, total, left = [], 0.0, 0.0
    for (y0, y1), (x0, x1), value in leaves:
        seen = x1 > x0 and y1 > y0
        after = value if seen and abs(value) >= threshold else 0.0
        rows.append([x0, y0, x1, y1, value, after])
        total, left = total + value * seen, left + after
    pixels[np.abs(pixels) < threshold] = 0
    return {"picture": name, "first_axis": first_axis, "levels": levels, "evaluations": evaluations, "leaves": rows,
            "threshold": float(threshold), "norm": float(np.linalg.norm(pixels)), "sum": total,
            "missing": whole - total, "missing_after": whole - left}, whole


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT.json")
    out, cases = parser.parse_args().out, []
    for name, v in value_functions().items():
        for first_axis in AXES:
            for levels in LEVELS:
                found, whole = case(name, v, first_axis, levels)
                cases.append(found)
                print(f"{name}, {first_axis} first, {levels} levels: v(all) - v(nothing) {whole:.4f},"
                      f" sum {found['sum']:.4f}, missing {found['missing']:.4f},"
                      f" after the cut {found['missing_after']:.4f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, {"cases": cases})


if __name__ == "__main__":
    main()
