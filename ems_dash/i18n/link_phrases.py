"""What links to devices and the broker, and values that came over them, are said to be."""

from __future__ import annotations

from typing import Final

LINK_PHRASES: Final[tuple[tuple[str, str], ...]] = (
    # Connections to devices.
    (r"\bno answer within ([\d.]+) s", r"keine Antwort innerhalb von \1 s"),
    (r"\bno answer for ([\d.]+) s", r"seit \1 s keine Antwort"),
    (r"\bno answer yet\b", "noch keine Antwort"),
    (r"\bno answer\b", "keine Antwort"),
    (r"\bnext attempt in ([\d.]+) s", r"nächster Versuch in \1 s"),
    (
        r"\bno connection, nothing listens there or it is unreachable",
        "keine Verbindung: Dort antwortet nichts, oder es ist nicht erreichbar",
    ),
    (r"\bthe device closed the connection\b", "das Gerät hat die Verbindung beendet"),
    (r"\bthe answer is not readable\b", "die Antwort ist nicht lesbar"),
    (r"\bthe request was cut off\b", "die Anfrage wurde abgebrochen"),
    (r"\bsent data that nobody asked for\b", "hat ungefragt Daten gesendet"),
    (r"\bthe line does not fall silent\b", "die Leitung kommt nicht zur Ruhe"),
    (r"\banswered function (\d+) instead of (\d+)", r"hat Funktion \1 statt \2 beantwortet"),
    (r"\banswered (\d+) bytes instead of (\d+)", r"hat mit \1 statt \2 Byte geantwortet"),
    (r"\bnot connected\b", "nicht verbunden"),
    (r"\bnot supported by the device\b", "vom Gerät nicht unterstützt"),
    (r"\bis not configured at\b", "ist nicht eingerichtet an"),
    (r"\billegal function\b", "Funktion nicht zulässig"),
    (r"\billegal address\b", "Adresse nicht zulässig"),
    (r"\billegal value\b", "Wert nicht zulässig"),
    (r"\bdevice failure\b", "Gerätefehler"),
    (r"\backnowledged, still working\b", "angenommen, in Arbeit"),
    (r"\bdevice busy\b", "Gerät beschäftigt"),
    (r"\bnegative acknowledge\b", "abgelehnt"),
    (r"\bmemory parity error\b", "Paritätsfehler im Speicher"),
    (r"\bgateway path unavailable\b", "Gateway ohne Weg zum Gerät"),
    (r"\bgateway target did not answer\b", "Gerät hinter dem Gateway antwortet nicht"),
    (r"\bunknown exception\b", "unbekannte Ausnahme"),
    (r"\(exception (\d+)\)", r"(Ausnahme \1)"),
    (r"\bunit (\d+) at ", r"Unit \1 an "),
    (r"^(\S+) unit (\d+)$", r"\1 Unit \2"),
    (r"\bno time was left\b", "es blieb keine Zeit"),
    (r"\bthe devices are stopped\b", "die Geräte sind angehalten"),
    (
        r"\bno device is enabled for writing; nothing was sent\b",
        "kein Gerät ist zum Schreiben freigegeben; nichts wurde gesendet",
    ),
    (
        r"\bis not enabled for writing; nothing was sent\b",
        "ist nicht zum Schreiben freigegeben; nichts wurde gesendet",
    ),
    (r"\bnot read yet\b", "noch nicht gelesen"),
    (r"\bnot written yet\b", "noch nicht geschrieben"),
    (r"\bwaiting for read-back\b", "wartet auf Rücklesen"),
    (r"\bread-back missing: ", "Rücklesen fehlt: "),
    (r"\bwaiting for the power to follow\b", "wartet, dass die Leistung folgt"),
    (r"\bthe power is not measured: ", "die Leistung wird nicht gemessen: "),
    (
        r"(\S+) shows a (?:setpoint|limit) of (\S+) kW although (\S+) kW was written",
        r"\1 zeigt \2 kW, geschrieben wurden \3 kW",
    ),
    (
        r"(\S+) took a (?:setpoint|limit) of (\S+) kW but its power is (\S+) kW, "
        r"(\S+) s were allowed",
        r"\1 hat \2 kW angenommen, aber seine Leistung ist nach \4 s noch \3 kW",
    ),
    (r"\bramping, (\S+) of (\S+) kW so far", r"auf der Rampe, bisher \1 von \2 kW"),
    (
        r"\bthe command is older than (\S+) s and was dropped",
        r"der Befehl ist älter als \1 s und wurde verworfen",
    ),
    (
        r"\bthe nameplate of (\S+) is not known yet: ",
        r"die Nennleistung von \1 ist noch nicht bekannt: ",
    ),
    (
        r"\bthe daily budget of (\d+) writes to the flash memory of (\S+) is used up "
        r"\((\d+) written\); ",
        r"die täglichen \1 Schreibvorgänge in den Flash-Speicher von \2 sind aufgebraucht "
        r"(\3 geschrieben); ",
    ),
    (r"\bthe daily budget is used up\b", "die täglichen Schreibvorgänge sind aufgebraucht"),
    (
        r"\bits limit may fall but not rise until (\S+) UTC",
        r"seine Grenze darf bis \1 UTC sinken, aber nicht steigen",
    ),
    (r"\bit is parked at 0 kW until (\S+) UTC", r"bis \1 UTC steht es auf 0 kW"),
    (r"(\S+) takes no power limit\b", r"\1 nimmt keine Leistungsgrenze"),
    (r"\bcounts as 0: ", "zählt als 0: "),
    (
        r"\bthe PV meter shows (\S+) kW of consumption: its direction is wrong\b",
        r"der PV-Zähler zeigt \1 kW Verbrauch: seine Richtung ist falsch",
    ),
    (r"(\S+) does not supply (\w+)", r"\1 liefert \2 nicht"),
    (
        r"\bthe device has no SunSpec model for it\b",
        "das Gerät hat kein SunSpec-Modell dafür",
    ),
    (
        r"\bthe device refuses every register of its profile\b",
        "das Gerät lehnt jedes Register seines Profils ab",
    ),
    (r"\bthe device shows no SunSpec marker\b", "das Gerät zeigt keine SunSpec-Kennung"),
    (
        r"\bEnable SunSpec over Modbus in the device, and check its unit id\.",
        "SunSpec über Modbus am Gerät einschalten und die Unit-ID prüfen.",
    ),
    (r"\bother content\b", "anderer Inhalt"),
    (r"\bthe list of SunSpec models has no end\b", "die Liste der SunSpec-Modelle hat kein Ende"),
    (r"\bthe result is not finite\b", "das Ergebnis ist nicht endlich"),
    (
        r"\bconfirmed a write to (\S+) \((.+?)\) instead of (\S+) \((.+?)\)",
        r"hat ein Schreiben nach \1 (\2) statt \3 (\4) bestätigt",
    ),
    (r"\balarm (\w+): ", r"Alarm \1: "),
    # The broker.
    (r"\bthe connection to (\S+) was lost\b", r"die Verbindung zu \1 ging verloren"),
    (
        r"\bthe broker throws us out again and again, probably because another program connects "
        r"with our client id (\S+); is EMS Dash running twice\?",
        r"der Broker beendet die Verbindung immer wieder, wohl weil ein anderes Programm sich mit "
        r"derselben Client-ID \1 verbindet; läuft EMS Dash zweimal?",
    ),
    (r"\bthe broker refuses messages on (\S+): ", r"der Broker lehnt Nachrichten auf \1 ab: "),
    (r"\bthe broker refuses the subscription to (\S+): ", r"der Broker lehnt das Abo von \1 ab: "),
    (
        r"\bthe earlier connection is still ending; try again\b",
        "die frühere Verbindung wird noch beendet; noch einmal versuchen",
    ),
    (
        r"\bretained commands are ignored; send it without the retain flag\b",
        "Befehle mit „retain“ werden übergangen; ohne senden",
    ),
    (r"\brefused: ", "abgelehnt: "),
    (
        r"\bexpired before it could be carried out\b",
        "abgelaufen, bevor es ausgeführt werden konnte",
    ),
    (r"\binternal error; see the log of EMS Dash\b", "interner Fehler; siehe Protokoll"),
    (r"\binternal error\b", "interner Fehler"),
    # Values.
    (r"\bthe control loop fails\b", "die Regelung ist gestört"),
    (r"\bwas not read\b", "wurde nicht gelesen"),
    (r"\bthe device reports 'not available'", "das Gerät meldet „nicht verfügbar“"),
    (r", which stands for (\S+) while it is idle", r"; im Ruhezustand heißt das \1"),
    (r"\binvalid scale factor\b", "ungültiger Skalenfaktor"),
    (r"\bcode (\S+) is not documented\b", r"Code \1 ist nicht dokumentiert"),
    (r"\bthe value is not finite\b", "der Wert ist nicht endlich"),
    (r"(\S+) is outside -inf to (\S+)", r"\1 liegt über \2"),
    (r"(\S+) is outside (\S+) to inf\b", r"\1 liegt unter \2"),
    (r"(\S+) is outside (\S+) to (\S+)", r"\1 liegt außerhalb von \2 bis \3"),
    (r"\bneeds (\w+) \(", r"braucht \1 ("),
    (
        r"\bnegative load: check the direction of meter, PV and battery",
        "negative Last: Richtung von Zähler, PV und Batterie prüfen",
    ),
    (
        r"\b(\w+) serves this group of values and does not supply it",
        r"\1 liefert diese "
        "Wertegruppe, diesen Wert aber nicht",
    ),
    # Broker, channels.
    (r"\bconnection refused\b", "Verbindung abgelehnt"),
    (r"\bConnection refused\b", "Verbindung abgelehnt"),
    (r"\btimed out\b", "Zeit überschritten"),
    # What the operating system says about connections.
    (r"\bNo route to host\b", "kein Weg dorthin"),
    (r"\bNetwork is unreachable\b", "das Netz ist nicht erreichbar"),
    (
        r"\b(?:Name or service not known|nodename nor servname provided, or not known)\b",
        "der Name ist nicht bekannt",
    ),
    (r"\bNo address associated with hostname\b", "zu dem Namen gibt es keine Adresse"),
    (
        r"\bTemporary failure in name resolution\b",
        "die Namensauflösung antwortet nicht",
    ),
    (r"\bConnection reset by peer\b", "die Gegenseite hat die Verbindung zurückgesetzt"),
    (r"\bPermission denied\b", "keine Berechtigung"),
    (r"\bNo space left on device\b", "kein Platz mehr"),
    (r"\bRead-only file system\b", "nur lesbar"),
    (r"\bNo such file or directory\b", "Datei oder Gerät nicht vorhanden"),
)
"""English phrases as regular expressions, and their German."""
