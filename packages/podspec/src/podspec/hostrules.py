"""Where HTTP handlers may ask: how an entry of such a list is written. Pure.

A host is a name, an address, `*.SUFFIX` or `*`; after it perhaps `:PORT` or `:*`. What is none of
these would allow nothing, in silence.
"""

import ipaddress
import re
from typing import Final

_LABEL: Final = r"[a-z0-9_](?:[-a-z0-9_]{0,61}[a-z0-9_])?"
_NAME: Final = rf"(?:{_LABEL}\.)*(?![0-9]+(?:[\s:,]|$)){_LABEL}"  # no number last: an address
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
_IPV4: Final = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_BARE_IPV6: Final = r"[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*"
_HOST: Final = rf"(?:\*|(?:\*\.)?{_NAME}|{_IPV4}|\[{_BARE_IPV6}\])"
_PORT: Final = r"6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4}"
_RULE: Final = rf"(?:{_HOST}(?::(?:\*|(?!0+(?:[\s,]|$))(?:{_PORT})))?|{_BARE_IPV6})"
LIST: Final = rf"(?i)\s*(?:{_RULE}\s*)?(?:,\s*(?:{_RULE}\s*)?)*"
"""Several, separated by commas. An IPv6 address is looked at more closely by `is_host_rule`.

No blank can match in two ways: else a list with a bad end is tried in all of them, for ever.
"""
WANTED: Final = "HOST, HOST:PORT or HOST:*, separated by commas"

_WHOLE: Final = re.compile(rf"(?i){_RULE}")
_IPV6: Final = re.compile(rf"(?i)\[?({_BARE_IPV6})")


def is_host_rule(text: str) -> bool:
    """Say whether this could ever allow a host."""
    if _WHOLE.fullmatch(text) is None:
        return False
    found = _IPV6.match(text)
    return found is None or is_ipv6(found[1])


def is_ipv6(text: str) -> bool:
    """Say whether this is an IPv6 address without brackets."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def names_port(rule: str) -> bool:
    """Say whether a rule says for which port it is."""
    return not is_ipv6(rule) and ":" in rule.rpartition("]")[2]
