"""What the references of hierarchical Shapley values of rectangles share (dnc_shap_small.py, dnc_shap_parity.py,
dnc_shap_published.py): the tree, small value functions, the recursion, its best-first form, and the shap package.

A rectangle is (x0, y0, x1, y1), half open, in pixels; a mask is bool [height, width], True where the picture is kept.
A value function takes masks [n, height, width] and gives n numbers.

The tree: a rectangle is cut across its longer side n at floor(n / 2), the first half left or on top; where both sides
are equal it is cut left from right. Nothing below a given depth (the whole picture has depth 0) or below 1 x 1 is cut.

The value of a rectangle N below its ancestors (Winter's; Owen's for one level): with the context m, what is kept
outside N, a rectangle that is not cut is worth v(m + N) - v(m); the first half of a cut one is worth the mean of what
it is worth in the contexts m and m + second half, the second half likewise with the first.

Best first under a budget of evaluations: v(nothing) and v(all) are the first two. The queue begins with the whole
picture in the empty context, weight 1. Taken next is the largest |v(m + N) - v(m)| * weight. If N can be cut, two
evaluations, v(m + first) and v(m + second), in this order, give four entries of half the weight: first in m, second
in m, first in m + second, second in m + first. If it cannot, it costs nothing and its credit, weight *
(v(m + N) - v(m)), is final. Cutting goes on while fewer evaluations than the budget are spent, so with a budget that
is odd and above 2 one more is spent; a budget of 2 or less leaves all credit on the whole picture. With `at_once` above
1, up to that many rectangles that can be cut are taken, and paid for, before any of them is evaluated. At the end every
entry of the queue adds its credit to its rectangle: one rectangle is the sum over its contexts, and a rectangle that
was cut in one context and not in another has credit beside its halves. Spread evenly over pixels it becomes a map
whose sum is v(all) - v(nothing) at every budget.
"""

import heapq
import itertools
import json
from functools import lru_cache

import numpy as np
from shap.explainers import Partition

FULL = 10**9  # more evaluations than any tree here has


def halves(rectangle):
    """The two rectangles that one is cut into, or None for a pixel."""
    x0, y0, x1, y1 = rectangle
    width, height = x1 - x0, y1 - y0
    if width == height == 1:
        return None
    if width >= height:
        middle = x0 + width // 2
        return (x0, y0, middle, y1), (middle, y0, x1, y1)
    middle = y0 + height // 2
    return (x0, y0, x1, middle), (x0, middle, x1, y1)


def filled(rectangle, context):
    """The context and the rectangle."""
    x0, y0, x1, y1 = rectangle
    mask = context.copy()
    mask[y0:y1, x0:x1] = True
    return mask


def evaluate(v, *masks):
    return v(np.stack(masks)).tolist()


def spread(credits, width, height):
    """Credits of rectangles, each evenly over its pixels: [height, width]."""
    pixels = np.zeros((height, width))
    for (x0, y0, x1, y1), credit in credits.items():
        pixels[y0:y1, x0:x1] += credit / ((x1 - x0) * (y1 - y0))
    return pixels


class Value:
    """constant + sum(linear * mask) + amplitude * tanh(offset + sum(weights * mask)) + product * share of `first` that
    is kept * share of `second` that is kept; `linear` and `weights` are [height, width], the others are numbers and
    two rectangles."""

    def __init__(self, **parts):
        self.parts = parts
        self.linear, self.weights = np.array(parts["linear"]), np.array(parts["weights"])
        self.height, self.width = self.linear.shape

    def __call__(self, masks):
        parts = self.parts
        shares = [masks[:, y0:y1, x0:x1].mean((1, 2)) for x0, y0, x1, y1 in (parts["first"], parts["second"])]
        squashed = np.tanh(parts["offset"] + (masks * self.weights).sum((1, 2)))
        return (parts["constant"] + (masks * self.linear).sum((1, 2)) + parts["amplitude"] * squashed
                + parts["product"] * shares[0] * shares[1])


def value_functions():
    """{name: value function} of three pictures: wide, square, and high with odd sides."""
    def drawn(seed, width, height, first, second):
        random, (y, x) = np.random.default_rng(seed), np.mgrid[0:height, 0:width]
        bump = np.exp(-((x - 0.7 * width) ** 2 + (y - 0.3 * height) ** 2) / (0.1 * width * height))
        scale = 1 / np.sqrt(width * height)
        linear = 0.2 * scale * random.normal(size=(height, width)) + 0.05 * scale * bump
        weights = scale * (random.normal(size=(height, width)) + 1.5 * bump)
        return Value(constant=0.1, linear=linear.round(4).tolist(), amplitude=0.6, offset=-0.4,
                     weights=weights.round(4).tolist(), product=0.35, first=first, second=second)

    return {"wide": drawn(1, 12, 9, (1, 1, 5, 6), (6, 2, 11, 8)),
            "square": drawn(2, 16, 16, (2, 3, 9, 8), (7, 9, 15, 14)),
            "high": drawn(3, 5, 7, (0, 1, 3, 4), (2, 3, 5, 7))}


def exact(v, width, height, depth=None):
    """{rectangle: value} of the rectangles at the bottom, by the recursion as it is written above."""
    @lru_cache(maxsize=None)
    def value(bits):
        mask = np.frombuffer(bits, bool).reshape(height, width)
        return evaluate(v, mask)[0]

    def below(rectangle, context, depth):
        cut = halves(rectangle) if depth != 0 else None
        if cut is None:
            return {rectangle: value(filled(rectangle, context).tobytes()) - value(context.tobytes())}
        values, depth = {}, None if depth is None else depth - 1
        for part, other in (cut, cut[::-1]):
            alone, beside = below(part, context, depth), below(part, filled(other, context), depth)
            values |= {rectangle: (alone[rectangle] + beside[rectangle]) / 2 for rectangle in alone}
        return values

    return below((0, 0, width, height), np.zeros((height, width), bool), depth)


def by_orders(v, width, height, depth):
    """The same by the definition: the mean, over all orders of the rectangles at the bottom in which no rectangle of
    the tree is interrupted by others, of what each adds to those before it."""
    def orders(rectangle, depth):
        cut = halves(rectangle) if depth > 0 else None
        if cut is None:
            return [[rectangle]]
        first, second = (orders(part, depth - 1) for part in cut)
        return [a + b for x, y in itertools.product(first, second) for a, b in ((x, y), (y, x))]

    values, found = {}, orders((0, 0, width, height), depth)
    for order in found:
        masks = list(itertools.accumulate(order, lambda mask, part: filled(part, mask),
                                          initial=np.zeros((height, width), bool)))
        for rectangle, change in zip(order, np.diff(evaluate(v, *masks))):
            values[rectangle] = values.get(rectangle, 0) + change / len(found)
    return values


def best_first(v, width, height, budget, depth=None, at_once=1):
    """({rectangle: credit}, evaluations, gap); ties in the order of entry.

    The gap says by how much the choice of what was cut was decided: the least amount by which something that was cut
    came before something that could have been cut in its place and never was; None where all was cut.
    """
    nothing, whole = np.zeros((height, width), bool), (0, 0, width, height)
    v_nothing, v_all = evaluate(v, nothing, ~nothing)
    evaluations, entered, queue, credits, taken = 2, itertools.count(1), [], {}, []

    def enter(rectangle, level, context, f00, f11, weight):
        heapq.heappush(queue, (-abs(f11 - f00) * weight, next(entered), len(taken), level, rectangle, context,
                               f00, f11, weight))

    def can_be_cut(level, rectangle):
        return level != depth and halves(rectangle) is not None

    def keep(rectangle, credit):
        credits[rectangle] = credits.get(rectangle, 0) + credit

    enter(whole, 0, nothing, v_nothing, v_all, 1.0)
    while queue and evaluations < budget:
        cuts = []
        while queue and len(cuts) < at_once and evaluations < budget:
            importance, _, _, level, rectangle, context, f00, f11, weight = heapq.heappop(queue)
            if can_be_cut(level, rectangle):
                cuts.append((level + 1, rectangle, context, f00, f11, weight / 2))
                taken.append(-importance)
                evaluations += 2
            else:
                keep(rectangle, weight * (f11 - f00))
        for level, rectangle, context, f00, f11, weight in cuts:
            first, second = halves(rectangle)
            with_first, with_second = filled(first, context), filled(second, context)
            f10, f01 = evaluate(v, with_first, with_second)
            enter(first, level, context, f00, f10, weight)
            enter(second, level, context, f00, f01, weight)
            enter(first, level, with_second, f01, f11, weight)
            enter(second, level, with_first, f10, f11, weight)
    least, gaps = list(itertools.accumulate(reversed(taken), min))[::-1], []
    for importance, _, since, level, rectangle, _, f00, f11, weight in queue:
        keep(rectangle, weight * (f11 - f00))
        if can_be_cut(level, rectangle) and since < len(taken):
            gaps.append(least[since] + importance)
    return credits, evaluations, min(gaps, default=None)


class PixelMasker:
    """The shap package's view of a picture: pixel y * width + x is feature number y * width + x, and what the value
    function is given is the mask itself. `clustering` is the tree as scipy writes one, down to the pixels; a distance
    below 0 tells shap not to go further."""

    def __init__(self, width, height, depth):
        self.shape, self.rectangles = (1, width * height), {}
        rows = []

        def place(rectangle, level):
            cut = halves(rectangle)
            if cut is None:
                node = rectangle[1] * width + rectangle[0]
            else:
                first, second = (place(part, level + 1) for part in cut)
                x0, y0, x1, y1 = rectangle
                rows.append((first, second, -1 if depth is not None and level >= depth else 1, (x1 - x0) * (y1 - y0)))
                node = width * height + len(rows) - 1
            self.rectangles[node] = rectangle
            return node

        place((0, 0, width, height), 0)
        self.clustering = np.array(rows, float)

    def __call__(self, mask, _picture):
        return mask[None]


def by_shap(v, width, height, budget, depth=None, at_once=1):
    """({rectangle: credit}, [height, width] credit of each pixel, evaluations) by shap's PartitionExplainer.

    Its budget `max_evals` includes v(nothing) and v(all). Its `batch_size` counts masks, so it is twice `at_once`; its
    own default, 10, takes five rectangles at once. It breaks ties by random numbers. Credits are its `dvalues`, before
    `lower_credit` hands them down in proportion to the number of pixels.
    """
    masker = PixelMasker(width, height, depth)
    explainer = Partition(lambda masks: v(masks.reshape(-1, height, width)), masker)
    row = explainer.explain_row(np.zeros(width * height), max_evals=budget, batch_size=2 * at_once, fixed_context=None,
                                main_effects=False, error_bounds=False, outputs=None, silent=True)
    held = row["hierarchical_values"]
    credits = {masker.rectangles[node]: float(held[node]) for node in np.flatnonzero(held)}
    return credits, row["values"].reshape(height, width), explainer.last_eval_count + 2


def largest_difference(a, b):
    """Of two {rectangle: number}; a rectangle that one lacks has 0 there."""
    return max(abs(a.get(rectangle, 0) - b.get(rectangle, 0)) for rectangle in a | b)


def short(value):
    """Ten significant digits of all numbers of a JSON document."""
    if isinstance(value, dict):
        return {key: short(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [short(part) for part in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


def write_json(path, document):
    """One line a key, and one line an item where a key has a list of objects."""
    def text(value):
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n" + ",\n".join(f"  {json.dumps(item)}" for item in value) + "\n ]"
        return json.dumps(value)

    lines = [f" {json.dumps(key)}: {text(value)}" for key, value in short(document).items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
