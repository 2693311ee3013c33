"""The rules of devices, their registers and values over MQTT in German; see `problems`."""

from __future__ import annotations

from typing import Final

DEVICE_RULES: Final[tuple[tuple[str, str], ...]] = (
    # Devices.
    (
        r"A status code must be a whole number",
        "Ein Statuscode ist eine ganze Zahl ab 0, zum Beispiel 5: Ladesperre.",
    ),
    (
        r"A serial connection \(rtu\) needs a serial line",
        "Eine serielle Verbindung braucht eine serielle Leitung.",
    ),
    (r"A serial connection \(rtu\) has no host", "Eine serielle Verbindung hat keinen Host."),
    (
        r"A connection over TCP needs a host",
        "Eine Verbindung über TCP braucht einen Host: Name oder Adresse des Geräts.",
    ),
    (
        r"A connection over TCP has no serial line",
        "Eine Verbindung über TCP hat keine serielle Leitung.",
    ),
    (
        r"The name (.+?) is used twice",
        "Der Name {0} kommt zweimal vor. Jeder Name nur einmal.",
    ),
    (
        r"Unit (\d+) at (.+?) is used twice, by (.+?) and (.+?)\.",
        "Unit {0} an {1} wird zweimal verwendet, von {2} und {3}.",
    ),
    (
        r"The serial line (.+?) is stated with different settings",
        "Die serielle Leitung {0} ist verschieden eingestellt. Für alle Geräte an ihr dieselbe "
        "Baudrate, Parität und Stoppbits verwenden.",
    ),
    (
        r"More than one device would be commanded \((.+?)\)",
        "Mehr als ein Gerät würde gesteuert ({0}). Schreiben nur bei einem freigeben.",
    ),
    (r"'(.+?)' is not a known device profile", "„{0}“ ist kein bekanntes Geräteprofil."),
    (
        r"The batteries' capacities add up to (.+?) kWh, the site's is (.+?) kWh",
        "Die Kapazitäten der Batterien ergeben {0} kWh, am Standort stehen {1} kWh.",
    ),
    # What devices are used as.
    (
        r"(\S+) comes from more than one device \((.+?)\)",
        "{0} kommt von mehr als einem Gerät ({1}). Aufgaben angeben: Nur der Zähler am "
        "Netzanschluss ist „Zähler“.",
    ),
    (
        r"(\S+) cannot be used as (\S+): its profile \S+ supplies no (.+?)\.",
        "{0} kann nicht {1} sein: Sein Profil liefert {2} nicht. Aufgaben oder Profil berichtigen.",
    ),
    (
        r"the energy capacity behind (\S+) is not stated",
        "Die Kapazität hinter {0} fehlt; ohne sie zählt der Ladezustand nicht mit denen der "
        "anderen. Sie in kWh angeben.",
    ),
    (
        r"several storage systems \((.+?)\) can be measured, but not commanded",
        "Mehrere Speicher ({0}) lassen sich messen, aber nicht steuern. Schreiben abschalten oder "
        "Geräten hinter einem Umrichter denselben Speicher geben.",
    ),
    # Values over MQTT.
    (
        r"(\S+) comes from (\S+) twice",
        "{0} kommt zweimal von {1}. Eines entfernen oder einem eine eigene Quelle geben.",
    ),
    (r"'(.*?)' is not a signal\.", "„{0}“ ist kein Signal."),
    (
        r"'(.*?)' is not the topic of one value",
        "„{0}“ ist kein Topic für einen Wert. Ein ganzes Topic ohne + und # angeben.",
    ),
    (
        r"A scale of 0 makes every value 0",
        "Ein Faktor von 0 macht jeden Wert zu 0. Den Faktor angeben, zum Beispiel 0,1.",
    ),
    (
        r"(\S+) cannot be made of '(.*?)'",
        "Aus „{1}“ wird kein {0}. Eine andere Einheit oder einen Faktor angeben.",
    ),
    (r"(\S+) has no direction", "{0} hat keine Richtung. „Positiv bedeutet“ leeren."),
    (
        r"The direction of a positive (\S+) must be stated",
        "„Positiv bedeutet“ von {0} muss angegeben sein.",
    ),
    # Registers; the profile's key stands in front, what was given behind.
    (
        r"profile \S+: a scale of 0 erases the value \(got ",
        "Ein Faktor von 0 löscht den Wert. Den Faktor angeben.",
    ),
    (
        r"profile \S+: the address lies outside the device's address space \(got ",
        "Die Adresse liegt außerhalb dessen, was ein Gerät hat.",
    ),
    (
        r"profile \S+: the sentinel does not fit into (\w+) \(got ",
        "Der Wert für „nicht verfügbar“ passt nicht in {0}.",
    ),
    (
        r"profile \S+: function (\d+) reads a single bit(?: already)? \(got ",
        "Funktion {0} liest ein einzelnes Bit. Den Typ weglassen oder mit Funktion 3 oder 4 lesen.",
    ),
    (
        r"profile \S+: only a single bit can be inverted \(got ",
        "Nur ein einzelnes Bit lässt sich umkehren. Es angeben oder mit Funktion 1 oder 2 lesen.",
    ),
    (
        r"profile \S+: no sentinel is given that it could stand for \(got ",
        "Der Wert für „nicht verfügbar“ fehlt.",
    ),
    (
        r"profile \S+: alarm_bits is derived \(got ",
        "alarm_bits wird berechnet; die Bits stehen bei den Alarmen.",
    ),
    (
        r"profile \S+: min is not below max (\S+) \(got ",
        "Das Minimum liegt nicht unter dem Maximum ({0}). Vertauschen oder berichtigen.",
    ),
    (
        r"profile \S+: only registers of whole numbers have bits \(got ",
        "Nur Register mit ganzen Zahlen haben Bits. Das Bit weglassen.",
    ),
    (
        r"profile \S+: bit and mask are both given \(got ",
        "Bit und Maske sind beide angegeben. Eines genügt.",
    ),
    (
        r"profile \S+: it lies outside (\S+) \(got ",
        "Das liegt außerhalb von {0}.",
    ),
    (
        r"profile \S+: a contact is one bit \(got ",
        "Ein Kontakt ist ein Bit. Das Bit angeben oder mit Funktion 1 oder 2 lesen.",
    ),
    (
        r"profile \S+: a contact is 0 or 1 and has no scale and no offset \(got ",
        "Ein Kontakt ist 0 oder 1, ohne Faktor und Versatz.",
    ),
    (
        r"profile \S+: value and scale factor do not fit into one request of (\d+) \(got ",
        "Wert und Skalenfaktor passen nicht in eine Anfrage von {0} Registern.",
    ),
    (
        r"profile \S+: (\S+) overlaps (\S+) at (\S+) to (\S+) \(got ",
        "{0} überschneidet sich mit {1} bei {2} bis {3}. Eine Adresse oder einen Typ berichtigen.",
    ),
    (
        r"profile \S+: (\S+) and (\S+) both use bit (\d+) \(got ",
        "{0} und {1} verwenden beide Bit {2}. Eines berichtigen.",
    ),
    (
        r"profile \S+: \S+ is in (\S+) \(got ",
        "Das Signal ist in {0}. Den Faktor so wählen, dass der Wert in {0} herauskommt.",
    ),
    (
        r"profile \S+: the sign of (\S+) is not stated \(got ",
        "Das Vorzeichen von {0} fehlt. „Positiv bedeutet“ angeben.",
    ),
    (
        r"profile \S+: not a canonical status code \(got ",
        "Das ist kein bekannter Statuscode.",
    ),
    (
        r"profile \S+: it is under registers too \(got ",
        "Das steht auch bei den Registern. Eines weglassen.",
    ),
    (
        r"profile \S+: it is a register too \(got ",
        "Das ist auch ein Register. Eines weglassen.",
    ),
    (
        r"profile \S+: it is worked out from a signal that is not there \(got ",
        "Das wird aus einem Signal berechnet, das fehlt. Das Register wieder aufnehmen.",
    ),
    (
        r"profile \S+: no such register \(got ",
        "Dieses Register gibt es nicht. Es wieder aufnehmen.",
    ),
    (
        r"profile \S+: no such signal \(got ",
        "Dieses Signal gibt es nicht.",
    ),
    (
        r"profile \S+: unknown alarm \(got ",
        "Dieser Alarm ist nicht bekannt.",
    ),
)
"""English rules as regular expressions, and their German with gaps."""
