"""The text of ``ems.yaml`` as it is created at first start."""

DEFAULT_EMS_YAML = """\
# EMS Dash: configuration of one site. Every value shown is the default.
# Mistakes are named at start with key, value and remedy; nothing starts half-configured.

site:
  id: site-1                      # key of this site in every stored row
  name: Standort Wien
  timezone: Europe/Vienna         # for display, calendar days and tariffs
  # latitude: 48.21               # degrees north and east; needed for weather and clear sky
  # longitude: 16.37

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

# Limits on top of nameplate, BMS and grid connection (docs/control/limits.md).
limits:
  soc_release_percent: 1.0        # so far inside the window a stopped direction is released
  rise_percent_per_s: 5.0         # limits fall at once and rise slowly
  grid_margin_kw: 0.0
  # feed_in: {percent_of_pv: 60}  # or limit_kw, and windows of local time
  # external:                     # limits from outside: dso, api, mqtt, digital_input
  #   - {source: dso, after_validity: hold, reduced: {charge_kw: 4.2, discharge_kw: null}}
  #   - {source: digital_input, contact_from: device}   # a device supplies external_limit_contact

# The law between two plans, every timestep_s.
control:
  mode: value                     # value; hold and track exist for comparison
  peak_guard: true                # holds the 15-minute mean import under the billed peak
  peak_reserve: true
  deadband_kw: 1.0
  ramp_percent_per_s: 20.0
  min_hold_s: 60.0                # rest between charging and discharging
  without_plan: idle              # or self_consumption

ems:
  mode: auto                      # auto, or monitor: read and plan, but never write
  optimization_interval_minutes: 15
  timestep_s: 2                   # control step
  horizon_hours: 36

strategies:
  selection_mode: auto            # auto evaluates all five and takes the best; or manual
  # peak_shaving, self_consumption, load_balancing and co_optimised are the others
  manual_strategy: arbitrage
  switch_threshold: 0.15          # a switch must gain this share of what the active one saves
  min_dwell_minutes: 60           # shortest time between two automatic switches
  # peak_target_kw: 80            # peak shaving aims at this; left out: found from the last weeks
  balancing_window_hours: 4       # moving average of load balancing

# What a plan does about what it cannot know. auto: scenarios and an energy reserve where the
# tariff has a demand charge, the median forecast alone elsewhere.
planning:
  uncertainty: auto               # auto, median or scenarios
  peak_reserve: auto              # auto, on or off
  reserve_share: 0.7              # share of the energy that the rule of the reserve asks for
  # PV power the reserve counts on, by time of day in three weeks: 0 the lowest, 0.5 the middle
  reserve_pv_quantile: 0.0
  # the import worth holding: 0 the lowest possible of the last weeks, 1 that without a battery
  peak_target_share: 0.33

# Day-ahead prices. The provider is asked first, then the fallbacks in their order; under a
# tariff that settles quarter-hours, sources with quarter-hour prices come before hourly ones.
prices:
  demo_mode: true                 # recorded real day-ahead prices, marked as recorded
  provider: awattar               # awattar (hourly), energy_charts, entsoe, file
  fallbacks: [energy_charts]
  region: AT                      # or DE
  # file: prices.csv              # for the source file: ts_utc, price_eur_per_mwh
  entsoe_token_env: EMS_ENTSOE_TOKEN   # environment variable that holds the token
  # urls: {energy_charts: "https://mirror.example"}   # another host of a source

# buy = (spot + markup + grid fee + levies) * (1 + VAT), sell = spot - fee. More is possible: time
# windows, fixed prices, a demand charge, versions by date (docs/planning/tariffs.md).
tariff:
  spot_markup_eur_per_kwh: 0.015
  grid_fee_eur_per_kwh: 0.07
  levies_eur_per_kwh: 0.015
  vat_percent: 0.0
  sell_fee_eur_per_kwh: 0.005

# The weather to come, for PV; needs site.latitude and site.longitude.
weather:
  provider: none                  # none, open_meteo (no key; non-commercial), openweathermap
  # api_key_env: EMS_OPENWEATHERMAP_KEY   # environment variable that holds the key
  # url: https://weather.example          # another host, for example one of your own

# The PV plant; azimuth 180 is south, 90 east.
pv:
  planes: []
  # planes:
  #   - {peak_kw: 100, tilt_deg: 20, azimuth_deg: 180, inverter_limit_kw: 90}
  losses_percent: 14.0
  throttles_itself: false         # true: the plant gives away what may not be exported

# Models; auto is the measured default of each series.
forecasts:
  price: auto                     # auto, seasonal_naive, ridge, prophet
  load: auto                      # also day_type, lightgbm, ensemble
  pv: auto                        # auto, clear_sky_persistence, weather_pv, prophet
  holidays_country: AT
  # holidays_subdivision: "9"     # code of the federal state, where holidays differ

# How long what is kept (docs/operation/history.md). Quarter-hours are kept for ever.
history:
  raw_days: 14                    # samples in quick storage; older ones move to the archive
  minute_days: 1825               # minutes: five years
  archive_months: 24              # samples in the archive; null keeps them for ever
  batch_seconds: 10               # between two commits: most that a power cut can cost
  # backup_folder: /mnt/usb/ems   # where a backup may be written to while the program runs
  # backend: postgres             # instead of files (docs/operation/postgres.md)
  # postgres: {host: db.example, dbname: ems_dash, user: ems, password_env: EMS_DB_PASSWORD}

# What savings are measured against, besides no battery, self-consumption and perfect foresight.
analytics:
  timer:                          # local times of a battery that follows the clock
    charge_from: "01:00"
    charge_until: "05:00"
    discharge_from: "17:00"
    discharge_until: "22:00"
  # co2_g_per_kwh: 110            # emission factor of imported energy; left out: no CO2 is shown

# Who is told of alarms, and how (docs/control/notifications.md). Secrets never stand in this file.
notifications:
  language: de                    # or en
  # base_url: https://ems.site.example   # where people reach these pages; the link in messages
  channels: []
  # channels:
  #   - {type: webhook, name: control-room, url_env: EMS_WEBHOOK_URL, min_severity: alarm}
  #   - type: email
  #     name: operators
  #     host: mail.site.example
  #     username: ems
  #     password_env: EMS_MAIL_PASSWORD
  #     sender: ems@site.example
  #     recipients: [anna@site.example]
  #     quiet_hours: {start: "22:00", end: "06:00"}

# Publishes state and plan, takes values and commands. Passwords never stand in this file: they
# come from the environment variable named in password_env, or from a file with mode 0600.
mqtt:
  enabled: false
  broker_host: localhost
  broker_port: 1883
  # username: ems
  # password_env: EMS_MQTT_PASSWORD
  # password_file: /etc/ems/mqtt-password
  tls: false                      # usually with broker_port: 8883
  # ca_file: /etc/ems/ca.pem      # private certificate authority; left out: the system's
  keepalive_s: 20
  base_topic: ems                 # topics are <base_topic>/<site id>/...
  home_assistant: false           # announce the site to Home Assistant
  home_assistant_prefix: homeassistant
  inputs: []
  # inputs:
  #   - topic: meter/1/status       # no wildcards
  #     signal: grid_kw             # a signal of EMS Dash
  #     path: power.total           # where in the JSON; left out: the whole payload
  #     unit: W                     # unit of the message after scale and offset
  #     positive_means: import      # direction of a positive number
  #     max_age_s: 10               # older values are stale
  #     priority: 50                # smaller is preferred; devices on Modbus have 20

# A real battery. Without this and without devices the simulated demo plant runs instead.
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
  # address_base: 0               # states how the device counts, after a connection test

# More devices: converter, meter, PV inverters, further batteries. Only one may be commanded.
devices: []
# devices:
#   - name: meter
#     profile: janitza_umg96
#     connection: tcp               # tcp, rtu_over_tcp, or rtu with serial instead of host
#     host: 192.168.1.20
#     port: 502
#     unit_id: 1
#   - name: pv-roof
#     profile: eastron_sdm630
#     roles: [pv]                   # a meter in front of the PV plant; else by the profile
#     connection: rtu
#     serial: {device: /dev/ttyUSB0, baudrate: 9600, parity: N, stop_bits: 1}
#     unit_id: 3

demo_plant:
  # enabled: true                 # left out: on while no real device is configured
  speed: 1.0                      # above 1 the demo's clock runs faster
  soc_start_percent: 50.0
  pv_peak_kw: 160.0

# What the pages call themselves.
branding:
  product_name: EMS Dash
  # logo_text: AB                 # one to three characters in place of the logo
  # copyright: © Example GmbH     # in the footer

# Logging in; users are in users.yaml (python -m ems_dash user --help).
access:
  anonymous_role: none            # viewer: everybody who reaches the pages may read them
  session_idle_minutes: 30
  session_hours: 12

server:
  allowed_hosts: []               # names besides localhost, for example [ems.example]
  proxy_hops: 0                   # proxies in front that add to X-Forwarded-For
"""
