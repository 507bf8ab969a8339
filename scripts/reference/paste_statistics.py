#!/usr/bin/env python3
"""Reference values for the intervals and tests of `emocam paste`, by statsmodels.

Usage: paste_statistics.py OUT.json        (committed: tests/reference/paste/statistics.json)

wilson: proportion_confint(method="wilson"). cochran: cochrans_q on tables of 0 and 1, a string a photo, a letter a position.
mcnemar: mcnemar(exact=True) on discordant pairs. holm: multipletests(method="holm").

Made with Python 3.11.7, statsmodels 0.15.0, scipy 1.17.1, numpy 2.2.6.
"""

import json
import sys
from pathlib import Path

import numpy as np
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint


def main():
    rng = np.random.default_rng(7)
    wilson = [{"changed": k, "all": n, "interval": [float(v) for v in proportion_confint(k, n, method="wilson")]}
              for n in (1, 2, 7, 40, 999, 25869) for k in sorted({0, 1, n // 3, n - 1, n})]
    cochran = []
    for images, positions, spread in ((6, 2, 0.3), (12, 3, 0.1), (40, 17, 0.05), (40, 17, 0.3), (300, 17, 0.02), (500, 49, 0.1)):
        chance = np.clip(rng.uniform(0.1, 0.6) + spread * rng.standard_normal(positions), 0.02, 0.98)
        table = (rng.random((images, positions)) < chance).astype(int)
        found = cochrans_q(table)
        cochran.append({"table": ["".join(map(str, row)) for row in table],
                        "q": float(found.statistic), "degrees": int(found.df), "p_value": float(found.pvalue)})
    pairs = [(0, 0), (1, 0), (3, 3), (1, 4), (0, 12), (17, 30), (120, 80), (400, 561), (2500, 2390), (10, 300)]
    tests = [{"pair": pair, "p_value": float(mcnemar([[0, pair[0]], [pair[1], 0]], exact=True).pvalue)} for pair in pairs]
    holm = []
    for count in (1, 5, 51):
        values = rng.random(count) ** 4
        values[-1] = values[0]
        holm.append({"p": values.tolist(), "adjusted": multipletests(values, method="holm")[1].tolist()})
    document = {"wilson": wilson, "cochran": cochran, "mcnemar": tests, "holm": holm}
    Path(sys.argv[1]).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
