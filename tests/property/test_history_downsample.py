"""Thinning a line: never too many points, extremes exact, gaps where they were."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.history.downsample import thin

GAP_US = 10_000_000


@st.composite
def lines(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    n = draw(st.integers(0, 3_000))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = np.where(rng.random(n) < draw(st.sampled_from([0.0, 0.01, 0.5])), 60, 2)
    ts = (np.cumsum(steps) * 1_000_000).astype("datetime64[us]")
    values = np.cumsum(rng.normal(size=n))
    if draw(st.booleans()):
        values = np.round(values)
    values[rng.random(n) < draw(st.sampled_from([0.0, 0.1]))] = np.nan
    return ts, values, draw(st.integers(10, 400))


@settings(deadline=None, max_examples=60)
@given(lines())
def test_thinning_keeps_what_the_eye_looks_for(line: tuple[np.ndarray, np.ndarray, int]) -> None:
    ts, values, most = line
    out = thin(ts, values, most, GAP_US, low=values - 1.0, high=values + 2.0)
    usable = np.isfinite(values)
    assert out.ts.size == out.values.size <= most
    assert (np.diff(out.ts.astype(np.int64)) > 0).all()
    if not usable.any():
        assert out.ts.size == 0
        return
    assert np.nanmin(out.values) == values[usable].min()
    assert np.nanmax(out.values) == values[usable].max()
    assert out.low is not None
    assert out.high is not None
    # the band covers everything, also what was left out
    assert np.nanmin(out.low) == values[usable].min() - 1.0
    assert np.nanmax(out.high) == values[usable].max() + 2.0
    # every point shown is a real one
    known = dict(zip(ts[usable].tolist(), values[usable].tolist(), strict=True))
    shown = np.isfinite(out.values)
    assert all(
        known[t] == v
        for t, v in zip(out.ts[shown].tolist(), out.values[shown].tolist(), strict=True)
    )
    breaks = int((np.diff(ts[usable].astype(np.int64)) > GAP_US).sum())
    marks = int(np.isnan(out.values).sum())
    assert marks == breaks if 4 * breaks <= most else marks <= breaks
