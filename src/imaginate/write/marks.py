"""What a written image says of itself, as XMP: how it came to be (IPTC digital source type), in which run, by what
method, and of a retrieved one where it is from.

The packet depends on the recipe and on the image's source alone, so that a run has the same bytes however it was made,
and two files with the same pixels stay equal.
https://cv.iptc.org/newscodes/digitalsourcetype/ · ISO 16684-1 (XMP)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from xml.sax.saxutils import escape

from imaginate.records import DigitalSource

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
RUN = "urn:imaginate:run#"  # the namespace of `run` and `method`
LONGEST = 2000  # characters of a text; a segment of a JPEG holds 65,502 bytes
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PACKET = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" \
xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:imaginate="{namespace}">
{lines}
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
_ALTERNATIVES = '<dc:{0}><rdf:Alt><rdf:li xml:lang="x-default">{1}</rdf:li></rdf:Alt></dc:{0}>'


@dataclass(frozen=True, slots=True)
class Taken:
    """What is known of the picture that an image is, or was edited from: all texts, "" where unknown."""

    url: str = ""
    licence: str = ""
    author: str = ""
    text: str = ""

    @classmethod
    def of(cls, info: Mapping[str, object]) -> Taken:
        """From a candidate's `info`, as pools give it."""
        if not info:
            return _UNKNOWN
        url, licence, author, text = (str(info.get(name) or "") for name in ("url", "licence", "author", "caption"))
        return cls(url, licence, author, text)


_UNKNOWN = Taken()


@dataclass(frozen=True, slots=True)
class Mark:
    """One image's mark. `run`: the run's id; `source`: None where nothing certain can be said."""

    run: str
    method: str
    source: DigitalSource | None = None
    taken: Taken = _UNKNOWN


@lru_cache(maxsize=256)
def packet(mark: Mark) -> bytes:
    """The XMP packet, UTF-8."""
    lines = [f"<imaginate:run>{_safe(mark.run)}</imaginate:run>"] if mark.run else []
    lines += [f"<imaginate:method>{_safe(mark.method)}</imaginate:method>"] if mark.method else []
    lines.append("<xmp:CreatorTool>imaginate</xmp:CreatorTool>")
    if mark.source is not None:
        lines.append(f"<Iptc4xmpExt:DigitalSourceType>{IPTC}{mark.source}</Iptc4xmpExt:DigitalSourceType>")
    taken = mark.taken
    lines += [f"<dc:source>{_safe(taken.url)}</dc:source>"] if taken.url else []
    lines += [_ALTERNATIVES.format("rights", _safe(taken.licence))] if taken.licence else []
    lines += [_ALTERNATIVES.format("description", _safe(taken.text))] if taken.text else []
    if taken.author:
        lines.append(f"<dc:creator><rdf:Seq><rdf:li>{_safe(taken.author)}</rdf:li></rdf:Seq></dc:creator>")
    return _PACKET.format(namespace=RUN, lines="\n".join(lines)).encode()


def _safe(text: str) -> str:
    """A text of strangers as XML: without what XML cannot hold, and not endless."""
    return escape(_NO_XML.sub(" ", text)[:LONGEST])
