"""How strong would something unmeasured have to be to explain a ratio away?

The E-value of a risk ratio. The subtle point: a hazard ratio of an event that is not rare is
further from 1 than the risk ratio, and is brought to that scale first.
"""

from __future__ import annotations

import numpy as np


def e_value(ratio: float, is_common_hazard: bool = False) -> float:
    """Return the risk ratio that an unmeasured trait needs with exposure and with outcome both.

    Args:
        ratio: a risk ratio, or a hazard ratio; of an interval, the limit nearer 1.
        is_common_hazard: a hazard ratio of an event that happens to more than about 15 %.

    Returns:
        The E-value, at least 1; missing for a missing ratio.

    Source: VanderWeele & Ding (2017), Annals of Internal Medicine 167: 268; the approximation for
    common outcomes: VanderWeele (2017), Epidemiology 28: e58.
    """
    if is_common_hazard:
        ratio = (1 - 0.5 ** np.sqrt(ratio)) / (1 - 0.5 ** np.sqrt(1 / ratio))
    away = max(ratio, 1 / ratio)
    return float(away + np.sqrt(away * (away - 1)))


def e_value_of_limit(ci_low: float, ci_high: float, is_common_hazard: bool = False) -> float:
    """Return the E-value of the limit nearer 1; 1 when the interval holds 1.

    Args:
        ci_low: lower limit of the ratio.
        ci_high: upper limit of the ratio.
        is_common_hazard: see `e_value`.

    Source: VanderWeele & Ding (2017).
    """
    if ci_low <= 1 <= ci_high:
        return 1.0
    return e_value(ci_low if ci_low > 1 else ci_high, is_common_hazard)
