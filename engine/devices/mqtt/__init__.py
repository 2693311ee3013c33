"""MQTT: values in, state and plan out, commands with results, Home Assistant discovery."""
