"""The configuration of the design document, section 5, to the letter."""

DESIGN_YAML = """\
bess: {efficiency_charge: 0.95, efficiency_discharge: 0.95, energy_capacity_kwh: 200.0, power_charge_max_kw: 100.0, power_discharge_max_kw: 100.0, soc_max_percent: 90.0, soc_min_percent: 10.0}
ems: {mode: auto, optimization_interval_minutes: 15, timestep_s: 2}
strategies: {selection_mode: auto, manual_strategy: arbitrage, switch_threshold: 0.15}
prices: {demo_mode: true, provider: awattar, region: AT}
mqtt: {enabled: true, broker_host: localhost, broker_port: 1883}
modbus:
  enabled: false
  profile: hithium_ess_5016
  connection_type: tcp      # or rtu
  host: localhost
  port: 502
  slave_id: 1
  timeout: 3.0
  retries: 3
  poll_interval_s: 2.0
  status_codes: {"0": Initialisierung, "1": Laden, "2": Entladen, "3": Bereit, "5": Ladesperre, "6": Entladesperre, "7": Lade- & Entladesperre, "8": Fehler}
  registers:
    soc_percent: {address: 4, function: 4, scale: 1.0, unit: "%", description: System State of Charge}
    voltage_v: {address: 2, function: 4, scale: 0.1, unit: V, description: System-Gesamtspannung}
    max_charge_power_kw: {address: 33, function: 4, scale: 0.1, unit: kW, description: Zulässige maximale Ladeleistung}
    status_code: {address: 43, function: 4, description: BMS Systemstatus}
"""  # noqa: E501
