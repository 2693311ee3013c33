"""The demo plant: physics of battery, converter and meter behind real Modbus TCP."""
