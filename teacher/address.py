"""Where a key and a team's items may be sent: to this machine, or over https; and what a key can look like.

In go an address and a key as they were configured; out they come checked, or a paragraph says what to change. Nothing is
looked up or sent.
"""

from __future__ import annotations

import ipaddress

import httpx2

from teacher.errors import TeacherUnusable


def checked_address(base_url: str) -> httpx2.URL:
    """The address, if nothing sent there travels in clear text. Raises TeacherUnusable."""
    try:
        url = httpx2.URL(base_url.strip().rstrip("/"))
    except (httpx2.InvalidURL, TypeError) as error:
        raise TeacherUnusable(f"The teacher's address {base_url!r} is no URL: {error}.") from None
    if url.userinfo:
        raise TeacherUnusable(
            f"The teacher's address at {url.host!r} holds a user name or password; it would end up in files. Take it "
            "out and name the variable that holds the key instead."
        )
    if not url.host or not (url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host))):
        raise TeacherUnusable(
            f"The teacher's address {base_url!r} is not https, so the key and your items would travel in clear text. "
            "Use https, or a tunnel to 127.0.0.1 (ssh -L)."
        )
    return url


def checked_key(api_key: str | None) -> str:
    """The key without what surrounds it. Raises TeacherUnusable for one no header can hold, without repeating it."""
    key = (api_key or "").strip()
    for at, letter in enumerate(key):
        if not "!" <= letter <= "~":
            raise TeacherUnusable(
                f"The teacher's key holds a character that no key can ({letter!r}, number {at + 1} of {len(key)}). "
                "Set the variable again: quotes, spaces and line breaks are easily copied along."
            )
    return key


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name: nothing sent there can be read on the way."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
