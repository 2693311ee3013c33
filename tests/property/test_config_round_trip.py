"""Any valid configuration survives being written as YAML and read again."""

from __future__ import annotations

import io
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from engine.config.load import parse_config
from engine.config.schema import Config

# Control characters have no place in a configuration, and YAML rewrites some of them.
text = partial(st.text, st.characters(exclude_categories=["Cc", "Cs", "Co", "Cn", "Zl", "Zp"]))
power = st.floats(0, 1e6)
efficiency = st.floats(0.01, 1)

bess = st.tuples(st.floats(0, 49.9), st.floats(50, 100)).flatmap(
    lambda window: st.fixed_dictionaries(
        {
            "energy_capacity_kwh": st.floats(0.1, 1e7),
            "power_charge_max_kw": power,
            "power_discharge_max_kw": power,
            "efficiency_charge": efficiency,
            "efficiency_discharge": efficiency,
            "soc_min_percent": st.just(window[0]),
            "soc_max_percent": st.just(window[1]),
            "standby_loss_kw": st.floats(0, 1000),
            "wear_cost_eur_per_kwh": st.floats(0, 10),
        }
    )
)
modbus = st.fixed_dictionaries(
    {
        "host": text(min_size=1, max_size=30),
        "port": st.integers(1, 65535),
        "slave_id": st.integers(0, 255),
        "status_codes": st.dictionaries(st.integers(0, 99), text(max_size=30), max_size=5),
        "registers": st.dictionaries(
            text(min_size=1, max_size=20),
            st.fixed_dictionaries(
                {
                    "address": st.integers(0, 65535),
                    "function": st.sampled_from([1, 2, 3, 4]),
                    "scale": st.floats(-1e6, 1e6),
                    "unit": text(max_size=10),
                }
            ),
            max_size=4,
        ),
    }
)
names = text(min_size=1, max_size=80)


@given(bess=bess, modbus=modbus, name=names, speed=st.floats(0.1, 3600))
def test_configuration_survives_yaml(bess: dict, modbus: dict, name: str, speed: float) -> None:
    config = Config.model_validate(
        {"bess": bess, "modbus": modbus, "site": {"name": name}, "demo_plant": {"speed": speed}}
    )
    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(config.model_dump(), out)
    assert parse_config(out.getvalue()) == config
