#!/usr/bin/env python3
"""Hierarchical Shapley values of small pictures by shap's PartitionExplainer.

Usage: dnc_shap_small.py OUT_FOLDER     (committed: tests/reference/dnc_shap/{wide,square,high}.json)

No network: the value of a mask is a fixed formula whose numbers are in the file (class Value of dnc_shap.py, which also
says how the tree is made, in which order it is cut and how the budget counts). Pictures of 12 x 9, 16 x 16 and 5 x 7
pixels, width first. Rectangles are x0, y0, x1, y1, half open. NAME.json:
  width, height
  value       {constant, linear [height][width], amplitude, offset, weights [height][width], product, first [4],
              second [4]}
  nothing, all   v of the empty and of the full mask
  cases       [{depth: the deepest level, null: down to pixels; budget: of evaluations, null: until nothing can be cut;
              at_once: rectangles taken before any is evaluated; evaluations: spent, the first two included;
              gap: see best_first(), null where nothing was decided;
              nodes: [[x0, y0, x1, y1, credit], ...] of the rectangles that hold credit at the end;
              pixels [height][width]: those credits spread evenly}, ...]
  exact       [{depth, leaves: [[x0, y0, x1, y1, value], ...]}, ...] by the plain recursion, which asks shap nothing

Nodes and pixels are shap's. Before anything is written they are compared with a best-first search of our own, at every
budget, and with the plain recursion, at full expansion; the recursion is compared with the mean over all orders that
the tree admits, to depth 3. All agree within 1e-12 (largest difference printed).

Made with Python 3.11, shap 0.51.0, numpy 2.4.6.
"""

import argparse
from pathlib import Path

import numpy as np

from dnc_shap import (FULL, best_first, by_orders, by_shap, exact, largest_difference, spread, value_functions,
                      write_json)

# (depth, budget, rectangles at once where that is not 1) of each picture's cases.
CASES = {"wide": [(None, 2), (None, 4), (None, 6), (None, 8), (None, 20), (None, 60), (None, 172), (None, 600),
                  (None, FULL), (3, 20), (3, FULL), (4, 100), (4, FULL), (None, 60, 5), (None, 60, 8), (4, 100, 8)],
         "square": [(None, 4), (None, 12), (None, 172), (None, 700), (None, FULL), (4, 60),
                    (4, FULL), (6, 300), (6, FULL)],
         "high": [(None, 3), (None, 4), (None, 7), (None, 10), (None, 30), (None, 100), (None, 300), (None, FULL),
                  (1, FULL), (2, FULL), (3, 16)]}
EXACT, ORDERS, TOLERANCE, CLEAR = (1, 2, 3, 4, None), (1, 2, 3), 1e-12, 1e-7


def listed(values):
    return [[*rectangle, value] for rectangle, value in sorted(values.items())]


def checked_case(v, depth, budget, at_once=1):
    """One entry of `cases`, and the largest difference between shap and the other ways."""
    credits, pixels, evaluations = by_shap(v, v.width, v.height, budget, depth, at_once)
    ours, spent, gap = best_first(v, v.width, v.height, budget, depth, at_once)
    assert spent == evaluations, f"{spent} evaluations by our search, {evaluations} by shap"
    assert gap is None or gap > CLEAR, f"depth {depth}, budget {budget}: the order is nearly a tie ({gap:.1e})"
    differences = [largest_difference(credits, ours), np.abs(spread(credits, v.width, v.height) - pixels).max()]
    if budget == FULL:
        differences.append(largest_difference(credits, exact(v, v.width, v.height, depth)))
    case = {"depth": depth, "budget": None if budget == FULL else budget, "at_once": at_once,
            "evaluations": evaluations, "gap": gap, "nodes": listed(credits), "pixels": pixels.tolist()}
    return case, max(differences)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT_FOLDER")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name, v in value_functions().items():
        nothing, everything = v(np.stack([np.zeros((v.height, v.width), bool), np.ones((v.height, v.width), bool)]))
        cases, worst = [], 0.0
        for chosen in CASES[name]:
            case, difference = checked_case(v, *chosen)
            cases.append(case)
            worst = max(worst, difference, abs(sum(map(sum, case["pixels"])) - (everything - nothing)))
            gap = "-" if case["gap"] is None else f"{case['gap']:.1e}"
            print(f"{name}: depth {case['depth']}, budget {case['budget']}, {case['at_once']} at once:"
                  f" {case['evaluations']} evaluations, {len(case['nodes'])} rectangles, gap {gap},"
                  f" difference {difference:.1e}")
        found = {depth: exact(v, v.width, v.height, depth) for depth in EXACT}
        orders = max(largest_difference(found[depth], by_orders(v, v.width, v.height, depth)) for depth in ORDERS)
        worst = max(worst, orders)
        print(f"{name}: recursion and orders {orders:.1e}; largest difference of all {worst:.1e}")
        assert worst < TOLERANCE
        write_json(folder / f"{name}.json", {
            "width": v.width, "height": v.height, "value": v.parts, "nothing": float(nothing), "all": float(everything),
            "cases": cases,
            "exact": [{"depth": depth, "leaves": listed(values)} for depth, values in found.items()]})


if __name__ == "__main__":
    main()
