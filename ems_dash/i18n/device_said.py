"""What tests of devices and of the broker found, in German.

Their sentences are put together from few phrases, and names of signals stay as they are in the
file, because that is where they are corrected. What is not known stays as it was said.
"""

from __future__ import annotations

import re

from ems_dash.i18n.phrases import Phrases
from ems_dash.i18n.said import said

_PHRASES: tuple[tuple[str, str], ...] = (
    # Steps of a test of a device.
    (r"^A serial line needs no name\.", "Eine serielle Leitung braucht keinen Namen."),
    (r"^(\S+) has no address \((.+?)\)\.", r"\1 hat keine Adresse (\2)."),
    (r"^(\S+) is ([\d.:a-f]+(?:, [\d.:a-f]+)*)\.$", r"\1 ist \2."),
    (
        r"\bCorrect the host name, or give the device's IP address\.",
        "Den Namen berichtigen oder die IP-Adresse angeben.",
    ),
    (
        r"\bthrough the connection that is already open\b",
        "über die Verbindung, die schon offen ist",
    ),
    (r"(?<=: )connected\.$", "verbunden."),
    (
        r"(\S+) accepts connections only now and then\.",
        r"\1 nimmt Verbindungen nur manchmal an.",
    ),
    (
        r"\bAnother program may be connected; many devices accept one connection only\.",
        "Vielleicht ist ein anderes Programm verbunden; viele Geräte nehmen nur eine Verbindung "
        "an.",
    ),
    (r"(\S+) cannot be opened\.", r"\1 lässt sich nicht öffnen."),
    (
        r"\bCheck the serial device, its permissions and that nothing else uses it\.",
        "Die serielle Leitung und ihre Rechte prüfen, und ob ein anderes Programm sie verwendet.",
    ),
    (
        r"(\S+) refuses the connection: nothing listens there\.",
        r"\1 lehnt die Verbindung ab: dort hört nichts.",
    ),
    (
        r"\bCheck the port, and that Modbus TCP is switched on in the device\.",
        "Den Port prüfen, und ob Modbus TCP am Gerät eingeschaltet ist.",
    ),
    (r"(\S+) does not answer\.", r"\1 antwortet nicht."),
    (
        r"\bCheck the address, the network cable and firewalls on the way\.",
        "Adresse, Netzwerkkabel und Firewalls auf dem Weg prüfen.",
    ),
    (r"(\S+) cannot be reached \((.+?)\)\.", r"\1 ist nicht erreichbar (\2)."),
    (r"\bCheck the address and the network\.", "Adresse und Netzwerk prüfen."),
    (r"\bUnit (\d+) answers\.", r"Unit \1 antwortet."),
    (
        r"\bCheck the unit id\. If another program is connected to the device, close it: many "
        r"devices accept one connection only\.",
        "Die Unit-ID prüfen. Ist ein anderes Programm mit dem Gerät verbunden, es beenden: Viele "
        "Geräte nehmen nur eine Verbindung an.",
    ),
    (
        r"\bTry unit_id (.+?): there something answers\.",
        r"Unit-ID \1 versuchen: dort antwortet etwas.",
    ),
    (
        r"\bThe profile has no register to ask for\.",
        "Das Profil hat kein Register zum Abfragen.",
    ),
    (
        r"\bThe values are plausible as configured \(score ([\d.]+) of 1\)\.",
        r"Die Werte sind so plausibel, wie es eingestellt ist (Bewertung \1 von 1).",
    ),
    (
        r"\bNothing speaks against the profile's addresses \(score ([\d.]+) of 1\)\.",
        r"Nichts spricht gegen die Adressen des Profils (Bewertung \1 von 1).",
    ),
    (
        r"\bUnder no setting that was tried do the values make sense \(score ([\d.]+)\)\.",
        r"Mit keiner versuchten Einstellung ergeben die Werte Sinn (Bewertung \1).",
    ),
    (
        r"\bCheck the profile, the unit id, the firmware of the device and the scales\.",
        "Profil, Unit-ID, Firmware des Geräts und Faktoren prüfen.",
    ),
    (
        r"\bCorrect the addresses first: under them no value means anything\.",
        "Zuerst die Adressen berichtigen: Mit diesen bedeutet kein Wert etwas.",
    ),
    (
        r"\bThe values look equally plausible whether addresses count from 0 or from 1\.",
        "Die Werte sind gleich plausibel, ob die Adressen bei 0 oder bei 1 beginnen.",
    ),
    (
        r"\bRepeat the test while the battery is charging or discharging\.",
        "Den Test wiederholen, während die Batterie lädt oder entlädt.",
    ),
    (
        r"\bAddresses seem to count from (\d), not from (\d)\b",
        r"Die Adressen beginnen wohl bei \1, nicht bei \2",
    ),
    (
        r"\bAddresses read with function (\d+) seem to count from (\d)\b",
        r"Die mit Funktion \1 gelesenen Adressen beginnen wohl bei \2",
    ),
    (r"\(score ([\d.]+) against ([\d.]+)\)", r"(Bewertung \1 gegen \2)"),
    (r"\bSet address_base: (\d)\.", r"„Erstes Register hat Nummer“ auf \1 stellen."),
    (
        r"\bShift the addresses of function (\d+) by one\.",
        r"Die Adressen der Funktion \1 um eins verschieben.",
    ),
    (
        r"\bThe registers of longer numbers seem to come in the other order\b",
        "Die Register längerer Zahlen kommen wohl in der anderen Reihenfolge",
    ),
    (
        r"\bTurn the word_order of the registers of 32 bits and more round\.",
        "Die Wortfolge der Register ab 32 Bit umdrehen.",
    ),
    (r"\bAll (\d+) values are usable\.", r"Alle \1 Werte sind brauchbar."),
    (
        r"\b(\d+) of (\d+) values are usable; not: (.+?)\.$",
        r"\1 von \2 Werten sind brauchbar; nicht: \3.",
    ),
    (r"\bSee the reason beside each value\.", "Der Grund steht neben jedem Wert."),
    (r"\bThe second reading failed: ", "Das zweite Lesen ist gescheitert: "),
    (r"\bNothing contradicts physics\.", "Nichts widerspricht der Physik."),
    (r"\bOne thing does not add up; see findings\.", "Etwas passt nicht zusammen; siehe unten."),
    (
        r"\b(\d+) things do not add up; see findings\.",
        r"\1 Dinge passen nicht zusammen; siehe unten.",
    ),
    (
        r" is (\S+) kW of load, but a site cannot consume less than nothing\.",
        r" ergibt \1 kW Last, aber ein Standort kann nicht weniger als nichts verbrauchen.",
    ),
    (
        r" should be the load of (\S+) kW \(grid = load - PV - battery\)\.",
        r" sollte die Last von \1 kW ergeben (Netz = Last - PV - Batterie).",
    ),
    (
        r"^(\S+ V x \S+ A) is (\S+) kW, but (\w+) is (\S+) kW\.",
        r"\1 sind \2 kW, aber \3 ist \4 kW.",
    ),
    (
        r"^The battery reports that it is charging, but (\w+) is (\S+) \(\+ is discharging\)\.",
        r"Die Batterie meldet Laden, aber \1 ist \2 (+ bedeutet Entladen).",
    ),
    (
        r"^The battery reports that it is discharging, but (\w+) is (\S+) "
        r"\(\+ is discharging\)\.",
        r"Die Batterie meldet Entladen, aber \1 ist \2 (+ bedeutet Entladen).",
    ),
    (
        r"^(\w+) is (\S+) kW, but (\w+) x voltage is (\S+) kW\.",
        r"\1 ist \2 kW, aber \3 x Spannung ist \4 kW.",
    ),
    (
        r"^(\w+) is (\S+) kW, the battery's nameplate is (\S+) kW\.",
        r"\1 ist \2 kW, auf dem Typenschild der Batterie stehen \3 kW.",
    ),
    (
        r"^In (\S+) min the battery charged (\S+) kWh by its power, but its state of charge ",
        r"In \1 min hat die Batterie nach ihrer Leistung \2 kWh geladen, aber ihr Ladezustand ",
    ),
    (
        r"^In (\S+) min the battery discharged (\S+) kWh by its power, but its state of charge ",
        r"In \1 min hat die Batterie nach ihrer Leistung \2 kWh entladen, aber ihr Ladezustand ",
    ),
    (r"\bwent up by (\S+) %\.", r"stieg um \1 %."),
    (r"\bwent down by (\S+) %\.", r"fiel um \1 %."),
    (
        r"\bThe battery's (\S+) kWh do not fit to that\.",
        r"Die \1 kWh der Batterie passen nicht dazu.",
    ),
    (
        r"\bcorrect bess\.energy_capacity_kwh\.",
        "Die Kapazität der Batterie berichtigen (Einstellungen, Batterie).",
    ),
    (
        r"^(\w+) says that the site imports, but (\w+) is counting\.",
        r"Nach \1 bezieht der Standort Strom, aber \2 zählt.",
    ),
    (
        r"^(\w+) says that the site exports, but (\w+) is counting\.",
        r"Nach \1 speist der Standort ein, aber \2 zählt.",
    ),
    (
        r"\bswap the addresses of the two counters\.",
        "Die Adressen der beiden Zählerstände tauschen.",
    ),
    (
        r"\bCheck the direction, the scale and the mounting place of each meter\.",
        "Richtung, Faktor und Einbauort jedes Zählers prüfen.",
    ),
    (
        r"\bCheck that voltage, current and power belong to the same battery\.",
        "Prüfen, ob Spannung, Strom und Leistung zur selben Batterie gehören.",
    ),
    (
        r"\b(\w+) fell from (\S+) to (\S+) kWh; an energy counter only grows\.",
        r"\1 fiel von \2 auf \3 kWh; ein Energiezähler wächst nur.",
    ),
    (
        r"\bCheck address, type and word order of (\w+)\.",
        r"Adresse, Typ und Wortfolge von \1 prüfen.",
    ),
    (r"\bSet the type of (\w+) to (\w+)\.", r"Den Typ von \1 auf \2 stellen."),
    (
        r"\bCheck address, type and scale of (\w+)\.",
        r"Adresse, Typ und Faktor von \1 prüfen.",
    ),
    (
        r"\b(\w+) is (\S+), but a limit is never negative\.",
        r"\1 ist \2, aber eine Grenze ist nie negativ.",
    ),
    (
        r"\bGive (\w+) a negative scale, or an unsigned type\.",
        r"\1 einen negativen Faktor oder einen Typ ohne Vorzeichen geben.",
    ),
    (
        r"\bCheck the address, or add the code to status_codes\.",
        "Die Adresse prüfen oder den Code bei den Statuscodes angeben.",
    ),
    (
        r"\bSet positive_means of (\w+) to (.+?)\.",
        r"„Positiv bedeutet“ von \1 umdrehen.",
    ),
    (
        r"\bMultiply the scale of (\w+) by (\S+), or correct its unit \(W and kW\)\.",
        r"Den Faktor von \1 mit \2 multiplizieren oder die Einheit berichtigen (W und kW).",
    ),
    (r" Or: ", " Oder: "),
    # The broker.
    (r"\bno broker listens on (\S+)", r"auf \1 hört kein Broker"),
    (
        r"(\S+) does not answer within (\S+) s\b",
        r"\1 antwortet nicht innerhalb von \2 s",
    ),
    (
        r"\bthe certificate of (\S+) is not trusted: ",
        r"dem Zertifikat von \1 wird nicht vertraut: ",
    ),
    (r"\bTLS with (\S+) failed: ", r"TLS mit \1 gescheitert: "),
    (
        r"(\S+) closed the connection without an answer; is it an MQTT broker with TLS\?",
        r"\1 hat die Verbindung ohne Antwort geschlossen; ist dort ein MQTT-Broker mit TLS?",
    ),
    (
        r"(\S+) closed the connection without an answer; is it an MQTT broker without TLS\?",
        r"\1 hat die Verbindung ohne Antwort geschlossen; ist dort ein MQTT-Broker ohne TLS?",
    ),
    (r"\bnothing on (.+) within (\S+) s\b", r"nichts auf \1 innerhalb von \2 s"),
    (r"\ball (\d+) mapped topics have spoken\b", r"alle \1 zugeordneten Topics haben gesendet"),
    (r"\bconnected and logged in\b", "verbunden und angemeldet"),
    (r"\baccepted on (\S+)", r"angenommen auf \1"),
    (r"\ba message came back\b", "eine Nachricht kam zurück"),
    (
        r"\ba message was accepted and did not come back\b",
        "eine Nachricht wurde angenommen und kam nicht zurück",
    ),
)

_GERMAN = Phrases(_PHRASES)

# Neither an address nor a version, which have more than one point.
_DECIMAL = re.compile(r"(?<![\w.,])(\d+)\.(\d+)(?!\.?\d|[:\w])")


def device_said(message: str | None, lang: str) -> str:
    """Return a finding of a test in `lang`, as far as its phrases are known."""
    text = message or ""
    if lang != "de":
        return text
    return _DECIMAL.sub(r"\1,\2", said(_GERMAN.of(text), lang))
