"""A server whose certificate is not trusted: what is to be said of it, whichever library has met it."""

from __future__ import annotations

import re

from glioseg.errors import FileError

_REASON = re.compile(r"CERTIFICATE_VERIFY_FAILED\]? *(?:certificate verify failed: )?([^(\]\"]+)")


def untrusted(address: str, said: str) -> FileError | None:
    """The error for a connection that was refused because of the server's certificate; None where it was another.

    Args:
        address: as it is shown.
        said: by the library, in the words of OpenSSL.
    """
    reason = _REASON.search(said)
    if reason is None:
        return None
    variable = "AWS_CA_BUNDLE" if address.startswith("s3:") else "SSL_CERT_FILE"
    return FileError(
        "the server's certificate is not trusted",
        path=address,
        found=reason.group(1).strip(),
        remedy="If its authority is one of your own institution, name that authority's certificate in the environment: "
        f"{variable}=FILE.pem. A certificate that has expired or is another server's is mended by whoever runs it",
    )
