"""Devices: profiles as data, one link per endpoint, polling, commands and the demo plant.

`engine.devices.group.DeviceGroup` is what the engine talks to;
`engine.devices.profile.MODBUS_PROFILES` is what people choose from.
"""
