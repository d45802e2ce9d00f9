"""redact: passwords, tokens and keys out of whatever text people will read.

By shape, because FFmpeg, GStreamer and OpenCV quote addresses too, whole, cut up or
percent-encoded: ``user:password@``, ``?password=``, ``user-pw=``, ``--password WORD``. By value,
because only an argument's own ends tell where a password ends that holds a blank or an @: what
``remember_secrets`` found in arguments and ``remember_password`` got from a file. Where a text can
be read in two ways, it is read in the way that hides more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from string import ascii_letters, digits
from urllib.parse import unquote

MASK = "..."
HIDDEN = "\ue000"  # stands for MASK until all is done: what was typed may hold dots itself
LONGEST = 2048  # characters of an address inside a text; bounds the time hostile text can take
# Shorter secrets are hidden where they stand in an address, but not wherever they occur: "on"
# would be cut out of every sentence. From LONG_SECRET on, they are found inside words too.
SHORT_SECRET, LONG_SECRET = 4, 8

# These are addresses with fewer slashes, too: FFmpeg reads rtsp:/host as rtsp://host.
_NETWORK = re.compile(
    r"rtsp\w*|https?|rtmp\w*|srt|udp|tcp|tls|s?rtp|rist|s?ftps?|mms\w?|wss?|whip|whep|mqtts?|turns?",
    re.I,
)
_ADDRESS = re.compile(r"(?<![\w+.%-])([a-z][a-z0-9+.-]*):(/*)", re.I)
_ENCODED_ADDRESS = re.compile(
    r"([a-z][a-z0-9+.-]{0,20}%(?:25)*3A(?:%(?:25)*2F)+)[^\s\"'<>&]{1,512}(?=%(?:25)*40)", re.I
)
# An address ends at a blank, a quote or the next address; a quoted one may go on, see _cut_login.
_RUN = re.compile(r"(?:(?![a-z][a-z0-9+.-]{0,20}://)[^\s\"'<>`])*", re.I)
_WHOLE = re.compile(r"(?:(?![a-z][a-z0-9+.-]{0,20}://).)*", re.I | re.S)
_AT = re.compile(r"@(?=(?:\[[\w:.%]+\]|[\w.-]+)(?::[\w-]*)?(?:[/?#\\,;)\]}]|$))")
_QUERY = re.compile(r"\?[\w.-]+=")
_NUMBERED = r"(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.%]+\]|localhost)"
_NUMBERED_HOST = re.compile(rf"{_NUMBERED}(?::\d*)?", re.I)
_HOST = re.compile(r"(?:\[[0-9a-f:.%]+\]|[\w.-]*)(?::\d*)?", re.I)
_PORT = re.compile(r"([^\s/?#@:\"'<>\[\]]+):([^\s/?#@\"'<>]+)")
_PATH_LOGIN = re.compile(r"(/[A-Za-z][\w.-]*:)([^/?&\s]+)(?=/)")  # rtsp://HOST/0/USER:PASSWORD/main
# admin:hunter2@10.0.0.7 without a scheme, where what follows is a host; 12:30@home/ is a time.
_LOGIN = re.compile(
    r"(?<![\w/.@+%:-])(?P<slashes>//)?(?!\d\d?:\d\d@)(?P<user>[\w.+%-]{1,64}):(?![/\ue000])"
    r"(?P<password>(?:(?!://)[^\s\"'<>]){0,256})@"
    rf"(?=(?(slashes)[\w\[]|(?:{_NUMBERED}(?![\w.])|[\w-]+(?:\.[\w-]+)*(?:/|:\d))))",
    re.I,
)
NAME_CHARACTERS = f"{ascii_letters}{digits}_.-"
PLACEHOLDERS = ("USER", "PASSWORD", "USER:PASSWORD", "PORT")  # as our own advice has them

# Names of values to hide: these wherever an equals sign follows, within longer names too ...
_SECRET_NAME = (
    r"(?:password|passwd|passwort|passphrase|pwd|secret|credential|api[_-]?key|access[_-]?key"
    r"|signature)[\w-]{0,30}|token|\b(?:user|proxy)-(?:id|pw)|[_-]pw"
)
# ... and these as a whole name, where an option or a query begins.
_SHORT_NAME = r"pass|pw|key|auth|sig|sign|psk|jwt"
_QUOTED = r"\\\"(?:(?!\\\").)*\\\"|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_VALUE = rf"(?:{_QUOTED})+|(?:\\.|[\"'](?=[^\s\"'&),;\]}}>])|[^\s\"'<>\\]|\\)+"
_NAMED = re.compile(
    rf"(?P<name>{_SECRET_NAME})(?<![-_]file)(?P<equals>\s*=\s*|%(?:25)*3D)(?P<value>{_VALUE})", re.I
)
_SHORT_NAMED = re.compile(
    rf"(?:(?<=[?&;,\s\"'(])|^|(?<=%26)|(?<=%3F))(?P<name>{_SHORT_NAME})(?P<equals>=|%(?:25)*3D)"
    rf"(?P<value>{_VALUE})",
    re.I,
)
# In an address also after / and _, as recorders have it: /user=admin_password=x_channel=1
_ADDRESS_NAMED = re.compile(
    rf"(?P<before>[?&;,/_])(?P<name>(?:[\w.-]*(?:{_SECRET_NAME})|{_SHORT_NAME})=)"
    r"(?P<value>(?:(?!_(?:channel|stream|subtype|user)\w*=)[^&])*)",
    re.I,
)
_JSON_NAMED = re.compile(
    rf"(?P<start>([\"'])(?:[\w.-]{{0,40}}(?:{_SECRET_NAME})|{_SHORT_NAME})\2\s*:\s*([\"']))"
    r"(?P<value>(?:[^\\]|\\.)*?)(?=\3)",
    re.I | re.S,
)
_SECRET_OPTION = r"--?[\w-]*(?:password|passwd|passphrase|secret|token|pw)"
_OPTION = re.compile(rf"(?<!\S)(?P<start>{_SECRET_OPTION}\s+)(?!-)(?P<value>{_VALUE})", re.I)
_HEADER = re.compile(
    r"(?P<start>\bauthorization\s*:\s*(?:basic|bearer|digest)\s+)(?P<value>[^\r\n]+)", re.I
)

Find = Callable[[str], None]  # told every secret that is found, as written

_known_logins: dict[str, re.Pattern[str]] = {}  # user:password
_known_secrets: dict[str, re.Pattern[str]] = {}


def redact(text: str) -> str:
    """``text`` with every password, token and key in it as ``...``; other text as it is."""
    for known in (_known_logins, _known_secrets):
        for secret in sorted(known, key=len, reverse=True):
            text = known[secret].sub(MASK, text)
    return _redact_shapes(text, whole=False, find=_ignore, find_login=_ignore).replace(HIDDEN, MASK)


def remember_secrets(*words: str) -> None:
    """Have ``redact`` hide, by value, what these words of a command give away.

    A word is an address, a pipeline or an option, whole: an address's password may hold anything.
    """
    for word in words:
        _redact_shapes(word, whole=True, find=_remember_typed, find_login=_remember_login)
    for option, value in pairwise(words):
        if re.fullmatch(_SECRET_OPTION, option, re.I) and not value.startswith("--"):
            _remember_typed(value)


def remember_password(password: str) -> None:
    """Have ``redact`` hide ``password``, plain or percent-encoded, in whatever text it is in."""
    for secret in {password, unquote(password)}:
        if len(secret) >= SHORT_SECRET:
            _known_secrets[secret] = re.compile(_bounded(secret), re.S)


def _remember_typed(secret: str) -> None:
    """A secret within a word; the pieces a parser would cut it into are secret too."""
    for piece in {secret, *re.split(r"[/@:?#&\s]", secret)}:
        remember_password(piece)


def _remember_login(login: str) -> None:
    """user:password, or what may be a host and a path with an @: its pieces are then no secrets."""
    _known_logins[login] = re.compile(rf"{_spelled(login)}(?=@|%(?:25)*40)")
    remember = remember_password if _HOST.fullmatch(_authority(login)) else _remember_typed
    remember(login.partition(":")[2])


def _bounded(secret: str) -> str:
    """Regular expression of a secret; a short one only where it is a word."""
    spelled = _spelled(secret)
    if len(secret) >= LONG_SECRET:
        return spelled
    before = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2}))" if secret[0].isalnum() else ""
    after = r"(?![A-Za-z0-9])" if secret[-1].isalnum() else ""
    return f"{before}{spelled}{after}"


def _spelled(secret: str) -> str:
    """Regular expression of ``secret`` with each character plain, escaped or percent-encoded."""
    return "".join(map(_spellings, secret))


def _spellings(character: str) -> str:
    octets = character.encode(errors="surrogatepass")
    ways = [re.escape(character), "".join(f"%(?:25)*(?i:{octet:02x})" for octet in octets)]
    if character in "\"'\\":
        ways.insert(0, rf"\\+{re.escape(character)}")
    if character == "'":
        ways.insert(0, "'\"'\"'")  # as a shell has it inside '
    if character == " ":
        ways.append(r"\+")
    if not character.isascii():
        ways += [re.escape(ascii(character)[1:-1]), rf"\\u(?i:{ord(character):04x})"]
    return f"(?:{'|'.join(ways)})"


def _redact_shapes(text: str, *, whole: bool, find: Find, find_login: Find) -> str:
    """``text`` without what looks like a secret; ``whole``: an address in it is all of it."""
    text = _ENCODED_ADDRESS.sub(rf"\1{HIDDEN}", text)
    text = "".join(_redact_addresses(text, whole, find, find_login))

    def hide_login(found: re.Match[str]) -> str:
        find_login(f"{found['user']}:{found['password']}")
        return f"{found['slashes'] or ''}{HIDDEN}@"

    def hide_value(found: re.Match[str]) -> str:
        return found["start"] + _hidden(found["value"], find)

    def hide_named(found: re.Match[str]) -> str:
        before = found.string[max(0, found.start() - 64) : found.start()].rstrip(NAME_CHARACTERS)
        value = found["value"]
        if found["equals"].startswith("%") or before.endswith(tuple("?&;/=,%")):
            value = re.split(r"&|%(?:25)*26", value, maxsplit=1)[0]  # a query's; others hold any &
        noted = _ignore if found["name"].lower().endswith("-id") else find
        rest = found["value"][len(value) :]
        return f"{found['name']}{found['equals']}{_hidden(value, noted)}{rest}"

    text = _LOGIN.sub(hide_login, text)
    text = _NAMED.sub(hide_named, text)
    text = _SHORT_NAMED.sub(hide_named, text)
    text = _JSON_NAMED.sub(hide_value, text)
    text = _OPTION.sub(hide_value, text)
    return _HEADER.sub(hide_value, text)


def _redact_addresses(text: str, whole: bool, find: Find, find_login: Find) -> Iterable[str]:
    """The pieces of ``text``, each address without user, password and secret options."""
    done = 0
    for address in _ADDRESS.finditer(text):
        scheme, slashes, start = address[1].lower(), address[2], address.end()
        network = _NETWORK.fullmatch(scheme) is not None
        if address.start() < done or not (network or len(slashes) == 2):
            continue
        is_whole = whole and address.start() == 0
        end = _address_end(text, start, is_whole)
        login = _last_at(text[start:end])
        if not login and not is_whole:
            login, end = _cut_login(text, start, end)
        if login:
            find_login(text[start : start + login])
            yield f"{text[done:start]}{HIDDEN}"
            done = start + login
        elif network and slashes and (port := _PORT.match(text, start, end)) is not None:
            # Neither host:number nor user:password@host, which may have been cut off.
            word = port[2].rstrip(".,;:)]}")
            if word and not word.isdecimal() and word not in PLACEHOLDERS:
                yield f"{text[done:start]}{port[1]}:{_hidden(word, find)}"
                done = port.start(2) + len(word)
        start = max(done, start)
        yield f"{text[done:start]}{_redact_path(text[start:end], scheme, find)}"
        done = end
    yield text[done:]


def _address_end(text: str, start: int, whole: bool) -> int:
    """Where the address ends whose part after ``scheme://`` begins at ``start``."""
    found = _WHOLE.match(text, start) if whole else _RUN.match(text, start, start + LONGEST)
    return start if found is None else found.end()


def _redact_path(path: str, scheme: str, find: Find) -> str:
    """What follows the login of an address, without the values of secret options."""

    def hide(found: re.Match[str]) -> str:
        return f"{found['before']}{found['name']}{_hidden(found['value'], find)}"

    path = _ADDRESS_NAMED.sub(hide, path)
    if scheme.startswith(("rtsp", "rtmp")):
        path = _PATH_LOGIN.sub(lambda found: found[1] + _hidden(found[2], find), path)
    return path


def _cut_login(text: str, start: int, end: int) -> tuple[int, int]:
    """(login, end) of an address whose password has a blank or a quote; (0, end): it has none.

    It seems to end at ``user:pass``, which is not host:number, and an @ follows.
    """
    cut = re.compile(r"[^/?#@:\[\]]+:([^/?#]*)").match(text, start, end)
    if cut is None or cut[1].rstrip(".,;:)").isdecimal() or cut[1] in PLACEHOLDERS:
        return 0, end
    if not cut[1] and text[end : end + 1] not in ('"', "'", "`"):
        return 0, end
    at = re.compile(r"[^\r\n]*?@(?=[\w\[])").match(text, end, start + LONGEST)
    if at is None:
        return 0, end
    further = _address_end(text, at.end(), False)
    return _last_at(text[start:further]) or at.end() - 1 - start, further


def _last_at(text: str) -> int:
    """The @ that ends user and password in ``text``, an address's; 0 where it is the path's."""
    query = _QUERY.search(text)
    ends = [at.start() for at in _AT.finditer(text)]
    before = [end for end in ends if query is None or end < query.start()]
    end = (before or ends or [text.rfind("@")])[-1]
    if end <= 0 or text[:end] in PLACEHOLDERS:
        return 0
    login = text[:end]
    host = _authority(login)
    if len(host) < len(login):  # by the letter of RFC 3986 the @ is in the path or query
        in_query = query is not None and query.start() < end
        if ":" not in login or _NUMBERED_HOST.fullmatch(host):
            return 0
        if in_query and _HOST.fullmatch(host):
            return 0
    return end


def _authority(address: str) -> str:
    """What RFC 3986 takes for user, password, host and port of what follows ``scheme://``."""
    return re.split(r"[/?#\\]", address, maxsplit=1)[0]


def _hidden(value: str, find: Find) -> str:
    """HIDDEN in place of ``value``; quotes around it and a sentence's punctuation stay."""
    if value.startswith(HIDDEN) or value in ("", *PLACEHOLDERS):
        return value
    plain = MASK if value.startswith(MASK) else value
    plain = value.rstrip(").,;:!") or plain
    quote, tail = "", value[len(plain) :]
    if value[0] in "\"'" and value[-1] == value[0] and len(value) > 1:
        quote, plain, tail = value[0], value[1:-1], ""
    for secret in {plain, plain + tail}:
        find(re.sub(r"\\(.)", r"\1", secret))
    return f"{quote}{HIDDEN}{quote}{tail}" if plain else value


def _ignore(secret: str) -> None:
    """A ``Find`` for those who only want the text."""
