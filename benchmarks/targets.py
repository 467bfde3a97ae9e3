"""Whether a number is what a target asks for."""

import operator
import re

SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, None: operator.eq}


def reached(value: float | str, target: str) -> bool:
    """Of a target such as ">= 3"; one without a sign asks for the very number, and what is no number reaches none."""
    sign, number = re.fullmatch(r"([<>]=?)? ?(.+)", target).groups()
    return SIGNS[sign](value, float(number)) if isinstance(value, int | float) else False
