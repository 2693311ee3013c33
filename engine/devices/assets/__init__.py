"""What a site is made of, by small capabilities: battery, conversion, PV, meter and loads.

A capability is what the profile of a device supplies, narrowed by the role it
is given in the configuration. A battery storage system is a battery (its
management system gives state and limits) and a power conversion system (it
takes the power), often two devices or more.
"""
