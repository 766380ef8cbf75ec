"""States, territories and provinces that a +1 number can belong to, by code and by name.

Codes: USPS Publication 28, appendix B; Canada Post's addressing guidelines.
"""

from __future__ import annotations

_CODES = """
AL Alabama|AK Alaska|AZ Arizona|AR Arkansas|CA California|CO Colorado|CT Connecticut|DE Delaware
DC District of Columbia|FL Florida|GA Georgia|HI Hawaii|ID Idaho|IL Illinois|IN Indiana|IA Iowa
KS Kansas|KY Kentucky|LA Louisiana|ME Maine|MD Maryland|MA Massachusetts|MI Michigan|MN Minnesota
MS Mississippi|MO Missouri|MT Montana|NE Nebraska|NV Nevada|NH New Hampshire|NJ New Jersey
NM New Mexico|NY New York|NC North Carolina|ND North Dakota|OH Ohio|OK Oklahoma|OR Oregon
PA Pennsylvania|RI Rhode Island|SC South Carolina|SD South Dakota|TN Tennessee|TX Texas|UT Utah
VT Vermont|VA Virginia|WA Washington|WV West Virginia|WI Wisconsin|WY Wyoming
AS American Samoa|GU Guam|MP Northern Mariana Islands|PR Puerto Rico|VI Virgin Islands
AA Armed Forces Americas|AE Armed Forces Europe|AP Armed Forces Pacific
FM Micronesia|MH Marshall Islands|PW Palau
AB Alberta|BC British Columbia|MB Manitoba|NB New Brunswick|NL Newfoundland and Labrador
NS Nova Scotia|NT Northwest Territories|NU Nunavut|ON Ontario|PE Prince Edward Island
QC Quebec|SK Saskatchewan|YT Yukon
"""


def _places() -> dict[str, str]:
    places = {}
    for entry in _CODES.replace("\n", "|").strip("|").split("|"):
        code, name = entry.split(" ", 1)
        places[code] = places[name.upper()] = code
    return places


PLACES = _places()
"""Code and name, in capitals, to code."""
