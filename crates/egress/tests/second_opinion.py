"""Says of each address on stdin what Python's `ipaddress` thinks: `public`, or why not."""

import ipaddress
import sys

SPECIAL = (
    "is_private", "is_multicast", "is_reserved", "is_unspecified", "is_loopback", "is_link_local", "is_site_local",
)

for line in sys.stdin:
    address = ipaddress.ip_address(line.strip())
    reasons = [name for name in SPECIAL if getattr(address, name, False)]
    if not address.is_global:
        reasons.append("not is_global")
    print(" ".join(reasons) or "public")
