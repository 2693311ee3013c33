"""What the engine says of orders, choices, settings, sources and what happened."""

from __future__ import annotations

from typing import Final

DESK_PHRASES: Final[tuple[tuple[str, str], ...]] = (
    # Orders by hand and limits from outside.
    (
        r"\b(\S+) kW is beyond the battery's (\S+) to (\S+) kW\.",
        r"\1 kW liegt nicht zwischen \2 und \3 kW, die die Batterie kann.",
    ),
    (
        r"\bGive a power within its nameplate; \+ discharges, - charges\.",
        "Eine Leistung laut Typenschild angeben; + entlädt, - lädt.",
    ),
    (r"\bThe order would end at (\S+)\.(?!\d)", r"Der Auftrag würde um \1 enden."),
    (
        r"\bLet it end in the future, within (\S+) hours\.",
        r"Er muss in der Zukunft enden, innerhalb von \1 Stunden.",
    ),
    (
        r"\b(\S+) % is outside the battery's window of (\S+) to (\S+) %\.",
        r"\1 % liegt nicht zwischen \2 und \3 %, den Grenzen der Batterie.",
    ),
    (
        r"\bGive a state of charge inside the window, or none\.",
        "Einen Ladezustand dazwischen angeben oder keinen.",
    ),
    (
        r"\bAn idle battery reaches no state of charge\.",
        "Eine ruhende Batterie erreicht keinen anderen Ladezustand.",
    ),
    (r"\bLeave it out, or give a power\.", "Ihn weglassen oder eine Leistung angeben."),
    (
        r"\bThe limit is in force but could not be stored: ",
        "Die Grenze gilt, ließ sich aber nicht speichern: ",
    ),
    (
        r"\bCheck the data folder and its free space; a restart would forget it\.",
        "Datenordner und freien Platz prüfen; ein Neustart würde sie vergessen.",
    ),
    (
        r"\bCheck the data folder and its free space\.",
        "Datenordner und freien Platz prüfen.",
    ),
    (
        r"^(\S+ kW) until (\S+ \S+) UTC or (\S+) % \((\w+)\)$",
        r"\1 bis \2 UTC oder \3 % (\4)",
    ),
    (r"^(\S+ kW) until (\S+ \S+) UTC \((\w+)\)$", r"\1 bis \2 UTC (\3)"),
    (r"\bThe order by hand was taken back\.", "Der Auftrag von Hand wurde zurückgenommen."),
    (r"\bThe order by hand ended \(time\)\.", "Der Auftrag von Hand endete (Zeit)."),
    (
        r"\bThe order by hand ended \(soc\)\.",
        "Der Auftrag von Hand endete (Ladezustand).",
    ),
    (r"^(\w+): no limit until (\S+ \S+) UTC$", r"\1: keine Grenze bis \2 UTC"),
    (r"^(\w+): no limit$", r"\1: keine Grenze"),
    (r"^(\w+): released$", r"\1: aufgehoben"),
    (r"^(\w+): closed\b", r"\1: geschlossen"),
    (r"^(\w+): open\b", r"\1: offen"),
    (r"^(\w+): not read\b", r"\1: nicht gelesen"),
    (r", counts as closed \(", "; gilt als geschlossen ("),
    (r"^(\w+: \w+ .+) until (\S+ \S+) UTC$", r"\1 bis \2 UTC"),
    # The strategy by hand.
    (
        r"\bthe manual choice would end at (\S+), which has passed\.",
        r"die Wahl von Hand würde um \1 enden, und das ist vorbei.",
    ),
    (r"\bGive an end in the future\.", "Ein Ende in der Zukunft angeben."),
    (r"\bThe choice could not be stored: ", "Die Wahl ließ sich nicht speichern: "),
    (
        r"\bThe stored choice could not be removed: ",
        "Die gespeicherte Wahl ließ sich nicht entfernen: ",
    ),
    (
        r"\bThe stored manual strategy (\S+) is ignored: ",
        r"Die gespeicherte Wahl von Hand (\1) gilt nicht: ",
    ),
    # Settings, secrets, tests of devices and of the broker.
    (
        r"\bThe file was changed (?:again|by somebody else) in the meantime\.",
        "Die Datei wurde inzwischen geändert.",
    ),
    (
        r"\bLoad it again; what you typed stays until you do\.",
        "Sie neu laden; das Getippte bleibt bis dahin stehen.",
    ),
    (
        r"\bChoose what to put back from the list of backups\.",
        "Unter den Sicherungen eine wählen.",
    ),
    (r"\bThere is no such backup\.", "Diese Sicherung gibt es nicht."),
    (r"\bReload the list\.", "Die Liste neu laden."),
    (r"\bThe file cannot be written: ", "Die Datei lässt sich nicht schreiben: "),
    (
        r"\bCheck the permissions of its folder and the free space\.",
        "Rechte des Ordners und freien Platz prüfen.",
    ),
    (
        r"\bThis is no secret that can be stored\.",
        "Das lässt sich nicht als Geheimnis speichern.",
    ),
    (
        r"\bType one line of at most (\d+) characters\.",
        r"Eine Zeile mit höchstens \1 Zeichen eingeben.",
    ),
    (r"\bThis name is not possible\.", "Dieser Name ist nicht möglich."),
    (r"\bThe secret cannot be stored: ", "Das Geheimnis lässt sich nicht speichern: "),
    (
        r"\bCheck the permissions of the folder of the configuration\.",
        "Rechte des Konfigurationsordners prüfen.",
    ),
    (r"\bPort (\d+) may not be tested\.", r"Port \1 darf nicht getestet werden."),
    (
        r"\bUse one of ([\d, ]+), or configure the device first\.",
        r"Einen von \1 verwenden oder das Gerät zuerst speichern.",
    ),
    (r"'(\S+)' has no address\.", r"„\1“ hat keine Adresse."),
    (
        r"\bCorrect the host name, or give the device's IP address\.",
        "Den Namen berichtigen oder die IP-Adresse angeben.",
    ),
    (r"\bCorrect the host name\.", "Den Namen berichtigen."),
    (r"'(\S+)' is not in a private network\.", r"„\1“ liegt in keinem privaten Netz."),
    (
        r"\bGive an address of the site's own network, for example (\S+)\.",
        r"Eine Adresse aus dem Netz des Standorts angeben, zum Beispiel \1.",
    ),
    (
        r"'(\S+)' is not the address of a broker\.",
        r"„\1“ ist nicht die Adresse eines Brokers.",
    ),
    (
        r"\bGive its name or address, for example (\S+)\.",
        r"Seinen Namen oder seine Adresse angeben, zum Beispiel \1.",
    ),
    (
        r"\bA (?:connection|broker) test is running\.",
        "Ein Test läuft schon.",
    ),
    (
        r"\bWait until it has ended \(at most (\d+) s\)\.",
        r"Warten, bis er zu Ende ist (höchstens \1 s).",
    ),
    (
        r"\bThe last (?:connection|broker) test was less than (\S+) s ago\.",
        r"Der letzte Test ist noch keine \1 s her.",
    ),
    (r"\bTry again in a second\.", "In einer Sekunde noch einmal versuchen."),
    # What happened.
    (r"\bA secret was stored in (\S+)\.", r"Ein Geheimnis wurde in \1 gespeichert."),
    (r"^(\S+) changed ems\.yaml: comments only\.", r"\1 hat ems.yaml geändert: nur Kommentare."),
    (r"^(\S+) changed ems\.yaml: ", r"\1 hat ems.yaml geändert: "),
    (
        r"\bems\.yaml was read anew; in force: nothing new\.",
        "ems.yaml wurde neu eingelesen; nichts Neues gilt.",
    ),
    (r"\bems\.yaml was read anew; in force: ", "ems.yaml wurde neu eingelesen; jetzt gilt: "),
    (r"\bWaiting for a restart: ", "Erst nach einem Neustart: "),
    (
        r"\bems\.yaml was not taken over: (\d+) mistakes? \((.+?)\)\. What ran before goes on\.",
        r"ems.yaml wurde nicht übernommen, Fehler: \1 (\2). Es läuft weiter wie zuvor.",
    ),
    (
        r"(\S+) was imported: (\d+) minutes and (\d+) prices\.",
        r"\1 wurde importiert: \2 Minuten und \3 Preise.",
    ),
    (r"\bNo cycle was completed for (\d+) s\.", r"Seit \1 s endete kein Takt."),
    (r"\bThe last control cycle failed: ", "Der letzte Regeltakt scheiterte: "),
    (r"^By ([+-]\d+) s\.$", r"Um \1 s."),
    (r"\bThe clock says (\S+)\.", r"Die Uhr zeigt \1."),
    (r"\bThe last plan ended at (\S+) UTC\.", r"Der letzte Plan endete um \1 UTC."),
    (r"^(\d+) of (\d+) writes$", r"\1 von \2 Schreibvorgängen"),
    (
        r"\bthe meter has shown the same for (\d+) s while the battery or PV moved\b",
        r"der Zähler zeigt seit \1 s dasselbe, während sich Batterie oder PV änderten",
    ),
    # Prices and weather.
    (
        r"\bThe day-ahead prices are being fetched\.",
        "Die Börsenpreise werden gerade abgerufen.",
    ),
    (
        r"\b(\d+) quarter-hours of today have no day-ahead price\.",
        r"\1 Viertelstunden von heute haben keinen Börsenpreis.",
    ),
    (
        r"\bThe day-ahead prices of tomorrow are late\.",
        "Die Börsenpreise für morgen verspäten sich.",
    ),
    (
        r"\bNo price source answers; prices are known until (\S+ \S+)\.",
        r"Keine Preisquelle antwortet; Preise sind bis \1 bekannt.",
    ),
    (
        r"\bThe day-ahead prices of tomorrow are not published yet\.",
        "Die Börsenpreise für morgen sind noch nicht veröffentlicht.",
    ),
    (r"\bThe day-ahead prices are complete\.", "Die Börsenpreise sind vollständig."),
    (r"\bits answer holds no price\b", "die Antwort enthält keinen Preis"),
    (
        r"\bnothing is published for this period\b",
        "für diese Zeit ist nichts veröffentlicht",
    ),
    (
        r"\b(ENTSO-E|OpenWeatherMap) needs a (?:token|key), and the environment variable (\S+) "
        r"is empty\.",
        r"\1 braucht einen Schlüssel, und die Umgebungsvariable \2 ist leer.",
    ),
    (
        r"\b(?:Ask for a free token|Get a key) on (\S+) and set the variable\.",
        r"Einen Schlüssel auf \1 holen und die Variable setzen.",
    ),
    (
        r"\b(\S+): (\d+) of (\d+) quarter-hours have a price\b",
        r"\1: \2 von \3 Viertelstunden haben einen Preis",
    ),
    (r"\bThe price file (\S+) cannot be read: ", r"Die Preisdatei \1 ist nicht lesbar: "),
    (r"\bCheck the path and the rights of the file\.", "Pfad und Rechte der Datei prüfen."),
    (
        r"\bThe weather forecast is being fetched\.",
        "Die Wetterprognose wird gerade abgerufen.",
    ),
    (r"\bNo weather forecast is known\.", "Es ist keine Wetterprognose bekannt."),
    (
        r"\bThe weather forecast is (\d+) hours old, too old\.",
        r"Die Wetterprognose ist \1 Stunden alt, das ist zu alt.",
    ),
    (
        r"\bNo weather source answers; the last forecast is used\.",
        "Keine Wetterquelle antwortet; die letzte Prognose gilt.",
    ),
    (
        r"\bThe last forecast with irradiance is kept while its source is away\.",
        "Die letzte Prognose mit Einstrahlung gilt, solange ihre Quelle fehlt.",
    ),
    (r"\bThe weather forecast is up to date\.", "Die Wetterprognose ist aktuell."),
    (r"\bThe forecast of (\S+) ends in the past\.", r"Die Prognose von \1 liegt zurück."),
)
"""English phrases as regular expressions, and their German."""
