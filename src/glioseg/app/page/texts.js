// Every text of the page, in each language: to add one, add its key to LANGUAGES and a text to each line.
// What the server says (errors, findings, reasons) comes in English.

export const LANGUAGES = { en: "English", de: "Deutsch" };

export const TEXTS = {
  research: { en: "For research use only; not a medical device.", de: "Nur für die Forschung; kein Medizinprodukt." },
  skip: { en: "Skip to the content", de: "Zum Inhalt springen" },
  "nav.new": { en: "New scan", de: "Neue Aufnahme" },
  "nav.cases": { en: "Worklist", de: "Arbeitsliste" },
  "nav.views": { en: "Views", de: "Ansichten" },
  "nav.help": { en: "Help and keys", de: "Hilfe und Tasten" },
  "nav.language": { en: "Language", de: "Sprache" },
  "nav.theme": { en: "Colours", de: "Farben" },
  "theme.auto": { en: "as the system", de: "wie das System" },
  "theme.light": { en: "light", de: "hell" },
  "theme.dark": { en: "dark", de: "dunkel" },
  close: { en: "Close", de: "Schließen" },
  retry: { en: "Try again", de: "Noch einmal" },
  back: { en: "Back to the worklist", de: "Zurück zur Arbeitsliste" },
  "error.status": { en: "The program answered {status}.", de: "Das Programm antwortete {status}." },
  "error.grid": { en: "This mask lies on another grid than the scan.", de: "Diese Maske liegt auf einem anderen Gitter als die Aufnahme." },
  "error.niivue": { en: "The viewer that draws the scans (NiiVue) could not be loaded.", de: "Das Programm, das die Aufnahmen zeichnet (NiiVue), ließ sich nicht laden." },
  "error.nifti": { en: "This is not a NIfTI file.", de: "Das ist keine NIfTI-Datei." },
  "error.type": { en: "The page cannot show voxels of NIfTI type {code}.", de: "Voxel vom NIfTI-Typ {code} kann die Seite nicht zeigen." },
  "error.short": { en: "The NIfTI file ends before its voxels do.", de: "Die NIfTI-Datei endet vor ihren Voxeln." },
  "error.frame": { en: "The NIfTI file has no volume {frame}.", de: "Die NIfTI-Datei hat kein Volumen {frame}." },
  "unit.ml": { en: "ml", de: "ml" },
  "unit.voxels": { en: "voxels", de: "Voxel" },
  "unit.mm": { en: "mm", de: "mm" },
  "unit.px": { en: "px", de: "px" },
  "error.file": { en: "File: {text}", de: "Datei: {text}" },
  "error.found": { en: "Found: {text}", de: "Gefunden: {text}" },
  "error.expected": { en: "Expected: {text}", de: "Erwartet: {text}" },
  "lost.server": {
    en: "The program does not answer. Nothing that was saved is lost; start `glioseg app` again, and this page continues by itself, or at the new address.",
    de: "Das Programm antwortet nicht. Gesichertes bleibt erhalten; starten Sie `glioseg app` neu, dann geht es hier von selbst oder unter der neuen Adresse weiter.",
  },
  "lost.session": {
    en: "The program was restarted: open the address that it shows. Nothing that was saved is lost.",
    de: "Das Programm wurde neu gestartet: Öffnen Sie die Adresse, die es anzeigt. Gesichertes bleibt erhalten.",
  },
  "lost.back": { en: "The program answers again.", de: "Das Programm antwortet wieder." },
  "no.webgl": {
    en: "This browser cannot draw scans: WebGL 2 is off or missing. Current versions of Chrome, Edge, Firefox and Safari have it.",
    de: "Dieser Browser kann keine Aufnahmen zeichnen: WebGL 2 fehlt oder ist abgeschaltet. Aktuelle Versionen von Chrome, Edge, Firefox und Safari haben es.",
  },

  "new.title": { en: "New scan", de: "Neue Aufnahme" },
  "new.drop": { en: "Drop files, a folder or a zip archive here", de: "Dateien, einen Ordner oder ein Zip-Archiv hier ablegen" },
  "new.kinds": {
    en: "A DICOM study, NIfTI files of one or several patients, or pictures. They stay on the computer that runs this program.",
    de: "Eine DICOM-Studie, NIfTI-Dateien eines oder mehrerer Patienten oder Bilder. Sie bleiben auf dem Rechner, auf dem dieses Programm läuft.",
  },
  "new.files": { en: "Choose files", de: "Dateien wählen" },
  "new.folder": { en: "Choose a folder", de: "Ordner wählen" },
  "new.path": { en: "Or a folder inside {folder}", de: "Oder ein Ordner innerhalb von {folder}" },
  "new.read": { en: "Read", de: "Lesen" },
  "new.sending": { en: "Reading {n} files …", de: "{n} Dateien werden gelesen …" },
  "new.toolarge": {
    en: "These files have {found}, more than the {limit} that are accepted at once. Choose one study only, or start `glioseg app` with the folder that holds them.",
    de: "Diese Dateien haben {found}, mehr als die {limit}, die auf einmal gehen. Wählen Sie nur eine Studie, oder starten Sie `glioseg app` mit dem Ordner, in dem sie liegen.",
  },
  "new.toomany": {
    en: "These are {found} files, more than the {limit} that are accepted at once. Choose one study only, or start `glioseg app` with the folder that holds them.",
    de: "Das sind {found} Dateien, mehr als die {limit}, die auf einmal gehen. Wählen Sie nur eine Studie, oder starten Sie `glioseg app` mit dem Ordner, in dem sie liegen.",
  },
  "new.none": { en: "No scan was found in the dropped files.", de: "In den abgelegten Dateien wurde keine Aufnahme gefunden." },
  "new.found": { en: "{n} cases found", de: "{n} Fälle gefunden" },
  "new.found.one": { en: "One case found", de: "Ein Fall gefunden" },
  "new.findings": { en: "What was noticed", de: "Was aufgefallen ist" },
  "new.all": { en: "Segment all {n}", de: "Alle {n} segmentieren" },
  "new.start": { en: "Segment", de: "Segmentieren" },
  "new.started": { en: "{name} is in the queue.", de: "{name} ist in der Warteschlange." },
  "new.patient": { en: "Patient {name}", de: "Patient {name}" },
  "series.title": { en: "Series of {name}", de: "Serien von {name}" },
  "series.as": { en: "Taken for", de: "Gilt als" },
  "series.file": { en: "Series", de: "Serie" },
  "series.plane": { en: "Plane", de: "Ebene" },
  "modality.t1n": { en: "T1", de: "T1" },
  "modality.t1c": { en: "T1 with contrast", de: "T1 mit KM" },
  "modality.t2w": { en: "T2", de: "T2" },
  "modality.t2f": { en: "T2-FLAIR", de: "T2-FLAIR" },
  "modality.pre": { en: "T1 before contrast", de: "T1 vor KM" },
  "modality.flair": { en: "FLAIR", de: "FLAIR" },
  "modality.post": { en: "T1 after contrast", de: "T1 nach KM" },
  "plane.axial": { en: "axial", de: "axial" },
  "plane.coronal": { en: "coronal", de: "koronal" },
  "plane.sagittal": { en: "sagittal", de: "sagittal" },
  "plane.oblique": { en: "oblique", de: "schräg" },
  "series.spacing": { en: "Voxel (mm)", de: "Voxel (mm)" },
  "series.slices": { en: "Slices", de: "Schichten" },
  "series.why": { en: "Why", de: "Warum" },
  "series.unsure": { en: "unsure", de: "unsicher" },
  "series.byhand": { en: "chosen by hand", de: "von Hand gewählt" },
  "series.unused": { en: "not used", de: "nicht benutzt" },
  "series.asof": { en: "{file}: taken for", de: "{file}: gilt als" },
  "series.twice": { en: "{modality} is chosen for two series: leave one out.", de: "{modality} ist für zwei Serien gewählt: lassen Sie eine weg." },
  "network.title": { en: "Network", de: "Netz" },
  "network.proposed": { en: "fits", de: "passt" },
  "network.ready": { en: "Everything it needs is there.", de: "Alles Nötige ist da." },
  "network.missing": { en: "Missing: {list}", de: "Es fehlt: {list}" },
  "network.uninstalled": { en: "Not installed. {how}", de: "Nicht installiert. {how}" },
  "network.card": { en: "Model card", de: "Steckbrief" },
  "network.needs": { en: "Needs", de: "Braucht" },
  "network.regions": { en: "Outlines", de: "Zeichnet" },
  "network.data": { en: "Trained on", de: "Trainiert mit" },
  "network.figures": { en: "How good", de: "Wie gut" },
  "network.limits": { en: "Not for", de: "Nicht für" },
  "network.terms": { en: "Terms", de: "Bedingungen" },
  "network.or": { en: " or ", de: " oder " },
  "option.title": { en: "Preparation", de: "Vorbereitung" },
  "option.register": { en: "Register the series onto each other", de: "Serien aufeinander registrieren" },
  "option.register.why": { en: "Needed, since they lie on different grids.", de: "Sie liegen auf verschiedenen Gittern, deshalb ist es nötig." },
  "option.atlas": { en: "Show the network the head in atlas space (MNI)", de: "Den Kopf in den Raum des Atlas drehen (MNI)" },
  "option.brain": { en: "Extract the brain first", de: "Zuerst das Gehirn freistellen" },
  "option.uncertainty": { en: "Say how far the mask can be trusted (slower)", de: "Sagen, wie weit der Maske zu trauen ist (langsamer)" },
  "option.explain": { en: "Show what the network looked at (slower)", de: "Zeigen, wohin das Netz geschaut hat (langsamer)" },

  "cases.title": { en: "Worklist", de: "Arbeitsliste" },
  "cases.none": { en: "No cases yet.", de: "Noch keine Fälle." },
  "cases.first": { en: "Start with a new scan", de: "Mit einer neuen Aufnahme beginnen" },
  "cases.queue": { en: "In progress", de: "In Arbeit" },
  "cases.name": { en: "Case", de: "Fall" },
  "cases.patient": { en: "Patient", de: "Patient" },
  "cases.date": { en: "Queued", de: "Eingereiht" },
  "cases.day": { en: "Study day", de: "Studientag" },
  "day.is": { en: "Day {day}", de: "Tag {day}" },
  "cases.volume": { en: "Volume", de: "Volumen" },
  "cases.confidence": { en: "Confidence", de: "Verlässlichkeit" },
  "cases.network": { en: "Network", de: "Netz" },
  "cases.state": { en: "State", de: "Stand" },
  "cases.actions": { en: "Actions", de: "Aktionen" },
  "cases.select": { en: "Select {name}", de: "{name} auswählen" },
  "cases.open": { en: "Open", de: "Öffnen" },
  "cases.delete": { en: "Delete", de: "Löschen" },
  "cases.delete.sure": { en: "Delete {name} with its masks?", de: "{name} samt Masken löschen?" },
  "cases.cancel": { en: "Cancel", de: "Abbrechen" },
  "cases.compare": { en: "Compare the two", de: "Die beiden vergleichen" },
  "cases.compare.how": {
    en: "Select two finished time points of one patient.",
    de: "Wählen Sie zwei fertige Zeitpunkte eines Patienten.",
  },
  "cases.keep": { en: "Collect for training", de: "Fürs Training sammeln" },
  "cases.kept": {
    en: "{n} corrected cases lie in {folder}: `{command}` learns from them.",
    de: "{n} korrigierte Fälle liegen in {folder}: `{command}` lernt daraus.",
  },
  "cases.selected": { en: "{n} selected", de: "{n} ausgewählt" },
  "cases.sort": { en: "Click a column heading to sort by it. The least trustworthy cases come first.", de: "Ein Klick auf einen Spaltenkopf sortiert. Die am wenigsten verlässlichen stehen oben." },
  "cases.low": { en: "check first", de: "zuerst ansehen" },
  "cases.unknown": { en: "not computed", de: "nicht berechnet" },
  "cases.drawn": { en: "drawn by hand", de: "von Hand gezeichnet" },
  "cases.corrected": { en: "corrected", de: "korrigiert" },
  "state.queued": { en: "waiting", de: "wartet" },
  "state.running": { en: "in progress", de: "in Arbeit" },
  "state.done": { en: "done", de: "fertig" },
  "state.failed": { en: "failed", de: "gescheitert" },
  "state.cancelled": { en: "cancelled", de: "abgebrochen" },
  "step.read": { en: "read", de: "lesen" },
  "step.register": { en: "register", de: "registrieren" },
  "step.brain": { en: "brain", de: "Gehirn" },
  "step.network": { en: "network", de: "Netz" },
  "step.explain": { en: "explain", de: "erklären" },
  "step.paint": { en: "paint", de: "zeichnen" },
  "step.share": { en: "{step} {share} %", de: "{step} {share} %" },
  "event.done": { en: "{name} is done.", de: "{name} ist fertig." },
  "event.failed": { en: "{name} failed.", de: "{name} ist gescheitert." },

  "case.loading": { en: "Loading the scans …", de: "Aufnahmen werden geladen …" },
  "case.unfinished": { en: "This case is not done yet.", de: "Dieser Fall ist noch nicht fertig." },
  "case.viewer": { en: "Scans. Arrow keys change the slice; ? lists all keys.", de: "Aufnahmen. Pfeiltasten wechseln die Schicht; ? zeigt alle Tasten." },
  "case.position": { en: "x {x}, y {y}, z {z}: {value}, {label}", de: "x {x}, y {y}, z {z}: {value}, {label}" },
  "case.pixel": { en: "column {column}, row {row}: {value}, {label}", de: "Spalte {column}, Zeile {row}: {value}, {label}" },
  "view.title": { en: "View", de: "Ansicht" },
  "view.planes": { en: "Planes and 3-D", de: "Ebenen und 3-D" },
  "view.axial": { en: "Axial", de: "Axial" },
  "view.coronal": { en: "Coronal", de: "Koronal" },
  "view.sagittal": { en: "Sagittal", de: "Sagittal" },
  "view.modalities": { en: "All modalities", de: "Alle Modalitäten" },
  "view.render": { en: "3-D", de: "3-D" },
  "view.modality": { en: "Modality", de: "Modalität" },
  "view.low": { en: "Black at", de: "Schwarz bei" },
  "view.high": { en: "White at", de: "Weiß bei" },
  "view.reset": { en: "Reset window and zoom", de: "Fenster und Zoom zurücksetzen" },
  "mask.title": { en: "Mask", de: "Maske" },
  "mask.show": { en: "Show the mask", de: "Maske zeigen" },
  "mask.opacity": { en: "Opacity of the mask", de: "Deckkraft der Maske" },
  "mask.which": { en: "Mask shown", de: "Gezeigte Maske" },
  "mask.original": { en: "as predicted", de: "wie vorhergesagt" },
  "mask.correction": { en: "{n}: {by}, {at}", de: "{n}: {by}, {at}" },
  "mask.ofnetwork": { en: "Applies to the network's own mask, before it was corrected.", de: "Gilt für die Maske des Netzes, vor der Korrektur." },
  "mask.outlines": { en: "Outlines only", de: "Nur Umrisse" },
  "layer.title": { en: "Layer", de: "Ebene darüber" },
  "layer.none": { en: "none", de: "keine" },
  "layer.probability": { en: "probability of {region}", de: "Wahrscheinlichkeit von {region}" },
  "layer.uncertainty": { en: "uncertainty about {region}", de: "Unsicherheit bei {region}" },
  "layer.explanation": { en: "what spoke for {region}", de: "was für {region} sprach" },
  "layer.opacity": { en: "Opacity of the layer", de: "Deckkraft der Ebene" },
  "warnings.title": { en: "What to distrust", de: "Mit Vorsicht" },
  "regions.title": { en: "Volumes", de: "Volumen" },
  "regions.region": { en: "Region", de: "Region" },
  "regions.interval": { en: "interval", de: "Intervall" },
  "regions.dice": { en: "Dice", de: "Dice" },
  "regions.hd95": { en: "HD95", de: "HD95" },
  "regions.was": { en: "the network's: {volume}", de: "vom Netz: {volume}" },
  "regions.later": {
    en: "Diameters and lesions are measured again once the correction is saved.",
    de: "Durchmesser und Läsionen werden neu gemessen, sobald die Korrektur gesichert ist.",
  },
  "jump.largest": { en: "Largest section", de: "Größter Querschnitt" },
  "jump.lesion": { en: "Next lesion", de: "Nächste Läsion" },
  "jump.lesion.is": { en: "Lesion {n} of {all}: {volume}", de: "Läsion {n} von {all}: {volume}" },
  "jump.lesion.before": { en: "{words} (without unsaved changes)", de: "{words} (ohne ungesicherte Änderungen)" },
  "jump.none": { en: "There is none in this mask.", de: "In dieser Maske ist keine." },
  "diameter.title": { en: "Diameters (RANO)", de: "Durchmesser (RANO)" },
  "diameter.is": { en: "{region}: {long} × {short} mm, slice {slice}", de: "{region}: {long} × {short} mm, Schicht {slice}" },
  "confidence.title": { en: "Confidence", de: "Verlässlichkeit" },
  "confidence.none": { en: "How far this mask can be trusted was not computed.", de: "Wie weit dieser Maske zu trauen ist, wurde nicht berechnet." },
  "reference.title": { en: "Reference", de: "Referenz" },
  "reference.load": { en: "Load a reference mask", de: "Referenzmaske laden" },
  "reference.legend": { en: "outline of the reference", de: "Umriss der Referenz" },
  "reference.prediction": { en: "outline of the mask", de: "Umriss der Maske" },
  "reference.hide": { en: "Hide the reference", de: "Referenz ausblenden" },
  "keep.title": { en: "Export", de: "Exportieren" },
  "keep.nifti": { en: "Mask (NIfTI)", de: "Maske (NIfTI)" },
  "keep.seg": { en: "DICOM SEG", de: "DICOM SEG" },
  "keep.stl": { en: "Surfaces (STL)", de: "Oberflächen (STL)" },
  "keep.pdf": { en: "Report (PDF)", de: "Bericht (PDF)" },
  "keep.html": { en: "Report (page)", de: "Bericht (Seite)" },
  "keep.csv": { en: "Table (CSV)", de: "Tabelle (CSV)" },
  "keep.probabilities": { en: "Probabilities (NIfTI)", de: "Wahrscheinlichkeiten (NIfTI)" },
  "keep.which": { en: "Mask: {mask}", de: "Maske: {mask}" },
  "keep.unsaved": { en: "Without the changes that are not saved.", de: "Ohne die ungesicherten Änderungen." },
  "keep.deidentify": { en: "De-identify (DICOM, reports, table)", de: "Ent-identifizieren (DICOM, Berichte, Tabelle)" },
  "keep.nameless": { en: "{file} is de-identified.", de: "{file} ist ent-identifiziert." },
  "keep.named": {
    en: "{file} is not de-identified: it contains the names that are in the scans.",
    de: "{file} ist nicht ent-identifiziert: Es enthält die Namen, die in den Aufnahmen stehen.",
  },
  "keep.training": { en: "Collect for training", de: "Fürs Training sammeln" },

  "tool.title": { en: "Tools", de: "Werkzeuge" },
  "tool.look": { en: "Look", de: "Ansehen" },
  "tool.brush": { en: "Brush", de: "Pinsel" },
  "tool.eraser": { en: "Eraser", de: "Radierer" },
  "tool.fill": { en: "Fill", de: "Füllen" },
  "tool.threshold": { en: "Threshold brush", de: "Schwell\u00adwert\u00adpinsel" },
  "tool.sphere": { en: "Sphere (3-D)", de: "Kugel (3-D)" },
  "tool.smart": { en: "Smart fill", de: "Klug füllen" },
  "tool.undo": { en: "Undo", de: "Rückgängig" },
  "tool.redo": { en: "Redo", de: "Wiederholen" },
  "tool.revert": { en: "Revert slice", de: "Schicht zurücksetzen" },
  "tool.save": { en: "Save", de: "Sichern" },
  "tool.size": { en: "Radius: {size} {unit}", de: "Radius: {size} {unit}" },
  "tool.radius": { en: "Radius of the brush", de: "Radius des Pinsels" },
  "tool.from": { en: "Intensity from", de: "Intensität von" },
  "tool.to": { en: "to", de: "bis" },
  "label.title": { en: "Label", de: "Label" },
  "label.lock": { en: "Lock {name}", de: "{name} sperren" },
  "label.locked": { en: "{name} is locked: it is neither painted nor painted over.", de: "{name} ist gesperrt: Es wird weder gemalt noch übermalt." },
  "smart.hint": { en: "Click: proposes the connected region that is at least as probable.", de: "Klick: Die zusammenhängende, mindestens ebenso wahrscheinliche Region wird vorgeschlagen." },
  "smart.none": { en: "Smart fill needs probability maps; this case has none.", de: "Klug füllen braucht Wahrscheinlichkeitskarten; dieser Fall hat keine." },
  "smart.proposal": { en: "{volume} at a probability of {threshold} or more", de: "{volume} ab einer Wahrscheinlichkeit von {threshold}" },
  "smart.threshold": { en: "Probability from", de: "Wahrscheinlichkeit ab" },
  "smart.take": { en: "Accept", de: "Übernehmen" },
  "smart.leave": { en: "Discard", de: "Verwerfen" },
  "save.title": { en: "Save the correction", de: "Korrektur sichern" },
  "save.by": { en: "By whom", de: "Von wem" },
  "save.note": { en: "Note", de: "Notiz" },
  "save.beside": { en: "It is kept beside the prediction, never over it.", de: "Sie liegt neben der Vorhersage, nie darüber." },
  "save.save": { en: "Save", de: "Sichern" },
  "save.saved": { en: "Correction {n} is saved.", de: "Korrektur {n} ist gesichert." },
  "save.nothing": { en: "Nothing was changed.", de: "Nichts wurde geändert." },
  "save.unsaved": { en: "not saved", de: "nicht gesichert" },
  "save.elsewhere": { en: "This case was also corrected elsewhere: its masks are listed under Mask.", de: "Dieser Fall wurde auch anderswo korrigiert: Die Masken stehen unter Maske." },
  "save.restored": { en: "An earlier unsaved correction was restored.", de: "Eine frühere ungesicherte Korrektur wurde wiederhergestellt." },
  "save.discard.sure": { en: "Discard all changes since the last save?", de: "Alle Änderungen seit dem letzten Sichern verwerfen?" },
  "save.discard": { en: "Discard changes", de: "Änderungen verwerfen" },

  "compare.title": { en: "Two time points", de: "Zwei Zeitpunkte" },
  "compare.curve": { en: "Volumes over time", de: "Volumen im Verlauf" },
  "compare.change": { en: "Change", de: "Änderung" },
  "compare.others": {
    en: "These are two patients, not two time points of one patient.",
    de: "Das sind zwei Patienten, nicht zwei Zeitpunkte eines Patienten.",
  },
  "compare.none": { en: "This patient has only one time point.", de: "Dieser Patient hat nur einen Zeitpunkt." },
  "compare.link": { en: "Compare with {date}", de: "Mit {date} vergleichen" },

  "help.title": { en: "Keys", de: "Tasten" },
  "help.mouse": { en: "Mouse and touch", de: "Maus und Finger" },
  "help.wheel": { en: "wheel: slice; with Ctrl: zoom", de: "Rad: Schicht; mit Strg: Zoom" },
  "help.right": { en: "right button: window and level", de: "rechte Taste: Fenster" },
  "help.middle": { en: "middle button: move the picture", de: "mittlere Taste: Bild verschieben" },
  "help.drag": { en: "drag in 3-D: turn", de: "Ziehen in 3-D: drehen" },
  "help.touch": { en: "two fingers: zoom and move", de: "zwei Finger: Zoom und verschieben" },
  "help.single": { en: "Shortcuts without Ctrl are on", de: "Tastenkürzel ohne Strg sind an" },
  "keyboard.space": { en: "Space", de: "Leertaste" },
  "keyboard.enter": { en: "Enter", de: "Eingabe" },
  "keyboard.escape": { en: "Esc", de: "Esc" },
  "keyboard.pageup": { en: "Page ↑", de: "Bild ↑" },
  "keyboard.pagedown": { en: "Page ↓", de: "Bild ↓" },
  "keyboard.home": { en: "Home", de: "Pos1" },
  "keyboard.ctrl": { en: "Ctrl", de: "Strg" },
  "keyboard.shift": { en: "Shift", de: "⇧" },
  "key.slice": { en: "previous, next slice", de: "vorige, nächste Schicht" },
  "key.slices": { en: "ten slices", de: "zehn Schichten" },
  "key.move": { en: "move the crosshair in its plane", de: "Fadenkreuz in der Ebene bewegen" },
  "key.stamp": { en: "use the tool at the crosshair", de: "Werkzeug am Fadenkreuz benutzen" },
  "key.label": { en: "choose a label", de: "Label wählen" },
  "key.lock": { en: "lock the label", de: "Label sperren" },
  "key.size": { en: "smaller, larger brush", de: "kleinerer, größerer Pinsel" },
  "key.modality": { en: "previous, next modality", de: "vorige, nächste Modalität" },
  "key.layer": { en: "next layer", de: "nächste Ebene darüber" },
  "key.zoom": { en: "zoom out, zoom in", de: "verkleinern, vergrößern" },
  "key.hide": { en: "hide or show the mask", de: "Maske aus- oder einblenden" },
  "key.take": { en: "accept, discard the proposal", de: "Vorschlag übernehmen, verwerfen" },
  "key.help": { en: "this overview", de: "diese Übersicht" },
};

const STORED = "glioseg-language";

/** The language in use: the one chosen last, else the browser's, else English. */
export function language() {
  const wanted = localStorage.getItem(STORED) ?? navigator.language.slice(0, 2);
  return wanted in LANGUAGES ? wanted : "en";
}

export function setLanguage(name) {
  localStorage.setItem(STORED, name);
  document.documentElement.lang = name;
}

/** The text of a key, `{name}` replaced by its value. */
export function t(key, values = {}) {
  const text = TEXTS[key][language()];
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** A number as people of the language write it. */
export function number(value, digits = 1) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return value.toLocaleString(language(), { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** An intensity with as many decimals as tell those of a scan apart whose smallest and largest lie `span` apart. */
export function intensity(value, span) {
  return number(value, span >= 100 ? 0 : span >= 10 ? 1 : 3);
}

/** What a modality is called; `title` is the server's word for one that the table has not. */
export function modalityWord({ name, title }) {
  const key = `modality.${name.toLowerCase()}`;
  return key in TEXTS ? t(key) : (title ?? name);
}

/** What a unit is called. */
export function unitWord(unit = "ml") {
  return t(`unit.${unit}`);
}

/** A volume: millilitres are measured, the voxels of pictures are counted. */
export function volumeNumber(volume, unit, digits = 1) {
  return number(volume, unit === "voxels" ? 0 : digits);
}

/** A volume with its unit. */
export function volumeWords(volume, unit, digits = 1) {
  return Number.isFinite(volume) ? `${volumeNumber(volume, unit, digits)} ${unitWord(unit)}` : number(volume);
}

/** A point in time as people of the language write it; with the time of day where it has one and `time` is asked for. */
export function date(text, time = false) {
  const at = new Date(text);
  if (!text || Number.isNaN(at.getTime())) return "–";
  return at.toLocaleString(language(), { dateStyle: "medium", ...(time ? { timeStyle: "short" } : {}) });
}

/** When a study was made: its day, counted from the patient's first, where that is known, else when it was queued. */
export function when({ study_day: day, created, date: queued }) {
  return Number.isInteger(day) ? t("day.is", { day }) : date(created ?? queued);
}

/** The earlier of two cases of a patient first, by the days of the studies where both are known. */
export function byTime(a, b) {
  const days = [a, b].map(({ study_day: day }) => day);
  if (days.every(Number.isInteger) && days[0] !== days[1]) return days[0] - days[1];
  const [first, second] = [a, b].map((own) => own.created ?? own.date);
  return first < second ? -1 : first > second ? 1 : 0;
}

/** Bytes in a unit that can be read. */
export function bytes(n) {
  const unit = ["B", "KB", "MB", "GB", "TB"].findIndex((_, power) => n < 1000 ** (power + 1));
  return `${number(n / 1000 ** unit, unit ? 1 : 0)} ${["B", "KB", "MB", "GB", "TB"][unit]}`;
}
