"""The people to notify: importing their list."""

from incident.contacts.errors import ContactsError, HeaderRefused, ImportRunning, SourceUnreadable
from incident.contacts.import_csv import ImportReport, Progress, default_report, import_contacts

__all__ = [
    "ContactsError",
    "HeaderRefused",
    "ImportReport",
    "ImportRunning",
    "Progress",
    "SourceUnreadable",
    "default_report",
    "import_contacts",
]
