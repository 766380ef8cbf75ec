"""The people to notify: importing their list."""

from incident.contacts.errors import (
    ContactsError,
    DatabaseRefused,
    HeaderRefused,
    ImportRunning,
    ReportUnwritable,
    SourceUnreadable,
)
from incident.contacts.import_csv import ImportReport, Progress, default_report, import_contacts

__all__ = [
    "ContactsError",
    "DatabaseRefused",
    "HeaderRefused",
    "ImportReport",
    "ImportRunning",
    "Progress",
    "ReportUnwritable",
    "SourceUnreadable",
    "default_report",
    "import_contacts",
]
