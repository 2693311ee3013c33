from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analytics.studies.finance import Flow, Missing, irr, npv_eur, payback_years


@given(
    paid=st.floats(100.0, 1e6),
    yearly=st.lists(st.floats(1.0, 1e5), min_size=1, max_size=25),
    rate=st.floats(-0.2, 0.5),
)
def test_the_rate_of_return_is_where_the_value_vanishes(
    paid: float, yearly: list[float], rate: float
) -> None:
    all_flows = [Flow(float(year), eur) for year, eur in enumerate([-paid, *yearly])]
    found, missing = irr(all_flows)
    if found is None:
        assert missing is Missing.BEYOND_SEARCH
        return
    scale = paid + sum(yearly)
    assert npv_eur(all_flows, found) == pytest.approx(0.0, abs=1e-6 * scale * 1e3)
    # More interest makes the same receipts worth less: the sign tells on which side one is.
    value = npv_eur(all_flows, rate)
    assert value <= 1e-6 * scale * 1e3 or found >= rate - 1e-9
    if abs(sum(yearly) - paid) > 0.01:
        assert (payback_years(all_flows) is None) == (sum(yearly) < paid)
