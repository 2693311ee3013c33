"""The text of ``ems.yaml`` as it is created at first start."""

DEFAULT_EMS_YAML = """\
# EMS Dash: configuration of one site. Every value shown is the default.
# Mistakes are named at start with key, value and remedy; nothing starts half-configured.

site:
  id: site-1                      # key of this site in every stored row
  name: Standort Wien
  timezone: Europe/Vienna         # for display, calendar days and tariffs

# The battery storage system.
bess:
  energy_capacity_kwh: 200.0
  power_charge_max_kw: 100.0      # AC side
  power_discharge_max_kw: 100.0
  efficiency_charge: 0.95         # one way, AC to stored
  efficiency_discharge: 0.95      # one way, stored to AC
  soc_min_percent: 10.0
  soc_max_percent: 90.0
  standby_loss_kw: 0.1
  # Ageing per kWh through the cells, each way. Example: 200 EUR/kWh, 8,000 full cycles of 80 %
  # of the capacity: 200 / (8000 * 0.8 * 2) = 0.0156.
  wear_cost_eur_per_kwh: 0.015

# The grid connection.
grid:
  import_limit_kw: 200.0
  export_limit_kw: 200.0

ems:
  mode: auto                      # auto, or monitor: read and plan, but never write
  optimization_interval_minutes: 15
  timestep_s: 2                   # control step
  horizon_hours: 36

strategies:
  selection_mode: auto
  manual_strategy: arbitrage
  switch_threshold: 0.15

prices:
  demo_mode: true                 # recorded real day-ahead prices, marked as recorded
  provider: awattar
  region: AT

# buy = (spot + markup + grid fee + levies) * (1 + VAT), sell = spot - fee
tariff:
  spot_markup_eur_per_kwh: 0.015
  grid_fee_eur_per_kwh: 0.07
  levies_eur_per_kwh: 0.015
  vat_percent: 0.0
  sell_fee_eur_per_kwh: 0.005

mqtt:
  enabled: false
  broker_host: localhost
  broker_port: 1883

# A real battery. While this is false, the simulated demo plant runs instead.
modbus:
  enabled: false
  profile: hithium_ess_5016
  connection_type: tcp
  host: localhost
  port: 502
  slave_id: 1
  timeout: 3.0
  retries: 3
  poll_interval_s: 2.0
  write_enabled: false            # a real device is only read until this is true

demo_plant:
  # enabled: true                 # left out: on while modbus.enabled is false
  speed: 1.0                      # above 1 the demo's clock runs faster
  soc_start_percent: 50.0
  pv_peak_kw: 160.0
"""
