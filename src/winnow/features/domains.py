"""Classes of domain names: what a domain's form says about its owner, the same everywhere.

The sets are small and coarse on purpose: a class generalises, a name does not. Sources: the
public suffix list's idea of an organisational domain, reduced to the second-level labels that
matter for mail; free mail providers by use; new top-level domains with the most abuse in the
yearly counts of Spamhaus and Interisle (2020-2024).
"""

from __future__ import annotations

import re
from functools import lru_cache

_SECOND_LEVEL = frozenset(
    [
        "co",
        "com",
        "net",
        "org",
        "gov",
        "ac",
        "edu",
        "or",
        "ne",
        "go",
        "gob",
        "gouv",
        "mil",
        "nom",
        "ltd",
        "plc",
    ]
)
_FREE_MAIL = frozenset(
    [
        "gmail",
        "googlemail",
        "yahoo",
        "ymail",
        "hotmail",
        "outlook",
        "live",
        "msn",
        "aol",
        "icloud",
        "gmx",
        "web",
        "t-online",
        "freenet",
        "protonmail",
        "proton",
        "mail",
        "yandex",
        "rambler",
        "inbox",
        "qq",
        "163",
        "126",
        "sina",
        "naver",
        "daum",
        "orange",
        "wanadoo",
        "free",
        "laposte",
        "libero",
        "tiscali",
        "virgilio",
        "terra",
        "uol",
        "bol",
        "zoho",
        "rediffmail",
        "excite",
        "lycos",
        "juno",
        "netscape",
        "comcast",
        "verizon",
        "btinternet",
        "earthlink",
        "mailfence",
        "tutanota",
        "fastmail",
        "seznam",
        "wp",
        "onet",
        "o2",
    ]
)
_CHEAP = frozenset(
    [
        "top",
        "xyz",
        "shop",
        "site",
        "online",
        "club",
        "icu",
        "vip",
        "live",
        "store",
        "fun",
        "buzz",
        "space",
        "website",
        "click",
        "link",
        "work",
        "rest",
        "cam",
        "monster",
        "quest",
        "bar",
        "sbs",
        "cfd",
        "cyou",
        "beauty",
        "hair",
        "skin",
        "makeup",
        "mom",
        "lol",
        "bond",
        "life",
        "world",
        "today",
        "loan",
        "win",
        "bid",
        "stream",
        "download",
        "review",
        "men",
        "date",
        "racing",
        "party",
        "trade",
        "science",
        "faith",
        "accountant",
        "gdn",
        "tk",
        "ml",
        "ga",
        "cf",
        "gq",
        "pw",
        "ws",
        "su",
        "info",
        "biz",
        "us",
        "ru",
        "cn",
        "press",
        "host",
        "pro",
        "best",
        "autos",
        "boats",
        "homes",
        "zip",
        "mov",
        "rocks",
        "digital",
        "agency",
        "solutions",
        "services",
        "email",
        "support",
        "center",
        "network",
        "guru",
        "uno",
        "one",
    ]
)
_OLD = frozenset(["com", "net", "org"])
_PUBLIC = frozenset(["edu", "gov", "mil", "int"])
_SHORTENERS = frozenset(
    [
        "bit.ly",
        "tinyurl.com",
        "goo.gl",
        "t.co",
        "ow.ly",
        "is.gd",
        "buff.ly",
        "rebrand.ly",
        "cutt.ly",
        "rb.gy",
        "t.ly",
        "shorturl.at",
        "tiny.cc",
        "lnkd.in",
        "s.id",
        "qr.ae",
        "bl.ink",
        "urlz.fr",
        "v.gd",
        "soo.gd",
        "dub.sh",
    ]
)
_FREE_HOSTS = [
    "blogspot.",
    "wordpress.com",
    "weebly.com",
    "wixsite.com",
    "web.app",
    "firebaseapp.com",
    "github.io",
    "netlify.app",
    "vercel.app",
    "pages.dev",
    "workers.dev",
    "r2.dev",
    "herokuapp.com",
    "glitch.me",
    "000webhostapp.com",
    "docs.google.com",
    "forms.gle",
    "sites.google.com",
    "drive.google.com",
    "storage.googleapis.com",
    "googleusercontent.com",
    "azurewebsites.net",
    "blob.core.windows.net",
    "web.core.windows.net",
    "amazonaws.com",
    "cloudfront.net",
    "ipfs.",
    "dweb.link",
    "ngrok",
    "duckdns.org",
    "no-ip.",
    "1drv.ms",
    "sharepoint.com",
    "dropbox.com",
    "notion.site",
    "typeform.com",
    "jotform.com",
    "geocities",
    "tripod.com",
    "angelfire.com",
]
_IP = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|\[?[0-9a-f]*:[0-9a-f:]+\]?|0x[0-9a-f]+|\d{8,}")


@lru_cache(maxsize=4096)
def organisation(host: str) -> str:
    """Return the registrable part: "mail.shop.example.co.uk" -> "example.co.uk"."""
    labels = host.rstrip(".").split(".")
    keep = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-keep:])


@lru_cache(maxsize=4096)
def name_of(host: str) -> str:
    """Return the label that an owner chose: "mail.example.co.uk" -> "example"."""
    return organisation(host).partition(".")[0]


@lru_cache(maxsize=4096)
def is_free_mail(host: str) -> bool:
    """Whether anybody can have an address there."""
    return name_of(host) in _FREE_MAIL


@lru_cache(maxsize=4096)
def top_level_class(host: str) -> str:
    """Return the class of the top-level domain, one of a handful of words."""
    if _IP.fullmatch(host):
        return "numeric address"
    top = host.rpartition(".")[2]
    if "." not in host or not top:
        return "no top-level domain"
    if top in _OLD:
        return "com, net or org"
    if top in _PUBLIC or ".gov." in host or ".ac." in host or ".edu." in host:
        return "government or university"
    if top in _CHEAP:
        return "cheap top-level domain"
    if len(top) == 2:
        return "country domain"
    return "other top-level domain"


@lru_cache(maxsize=4096)
def shape_traits(host: str) -> tuple[str, ...]:
    """Return what is odd about a domain's spelling, as words; empty when nothing is."""
    chosen = name_of(host)
    odd = []
    if sum(c.isdigit() for c in chosen) >= 2:
        odd.append("digits in the name")
    if chosen.count("-") >= 2 or host.count("-") >= 3:
        odd.append("many hyphens")
    if len(chosen) >= 16:
        odd.append("long name")
    if host.count(".") >= 4:
        odd.append("many labels")
    if "xn--" in host:
        odd.append("punycode")
    letters = sum(c in "aeiouy" for c in chosen)
    if len(chosen) >= 7 and letters * 5 < len(chosen):
        odd.append("unpronounceable name")
    return tuple(odd)


@lru_cache(maxsize=4096)
def hosting_class(host: str) -> str:
    """Return "shortener", "free hosting" or ""."""
    if host in _SHORTENERS:
        return "shortener"
    return "free hosting" if any(part in host for part in _FREE_HOSTS) else ""
