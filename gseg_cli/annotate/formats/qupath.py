"""QuPath's GeoJSON, one file per picture and named like it: polygons with holes, in pixels, and their classes."""

from collections.abc import Iterator
from typing import Any

from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Drawing, Layer, Reading
from gseg_cli.annotate.fields import Node, check_polygon, check_text
from gseg_cli.annotate.shapes import Polygon, Shape, Stroke, discs
from gseg_cli.annotate.source_files import Files
from gseg_runtime.errors import GsegError


def is_geojson(content: Any) -> bool:
    """A FeatureCollection, the bare list of features that older versions wrote, or one feature alone."""
    features = content.get("features") if isinstance(content, dict) else content
    return _is_feature(content) or (isinstance(features, list) and bool(features) and all(map(_is_feature, features)))


def read_geojson(document: Document, files: Files, reading: Reading) -> None:
    if _is_feature(document.content):
        features = [document.node]
    else:
        features = document.node.nodes("features") if isinstance(document.content, dict) else document.node.items()
    layers = [Layer(_label_of(feature), shape) for feature in features for shape in _shapes_of(feature)]
    reading.add(Drawing(document.where, (document.name.removesuffix(".geojson"),), None, layers))


def _is_feature(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "Feature" and isinstance(value.get("geometry"), dict)


def _label_of(feature: Node) -> str:
    properties = feature.child("properties")
    if not properties.has("classification"):
        raise GsegError(f"{feature.where}: an annotation without a class", "set its class in QuPath")
    kind = properties.child("classification")
    if not kind.has("names"):
        return kind.text("name")
    return check_text(": ".join(name.of_type(str) for name in kind.nodes("names")), kind.where)


def _shapes_of(feature: Node) -> Iterator[Shape]:
    geometry = feature.child("geometry")
    match geometry.text("type"):
        case "Polygon":
            yield _polygon(geometry.child("coordinates"))
        case "MultiPolygon":
            yield from map(_polygon, geometry.nodes("coordinates"))
        case "LineString":
            yield Stroke(geometry.points("coordinates"))
        case "MultiPoint":
            yield from discs(geometry.points("coordinates"))
        case "Point":
            yield Stroke(Node([geometry.child("coordinates").value], geometry.where).as_points())
        case kind:
            raise GsegError(f"{geometry.where}: not a shape that can be filled: {kind}", "draw it as a polygon")


def _polygon(rings: Node) -> Polygon:
    """The first ring is the outline, the others are holes."""
    found = [check_polygon(ring.as_points(), ring.where) for ring in rings.items()]
    if not found:
        raise GsegError(f"{rings.where}: a polygon without an outline", "export it again")
    return Polygon(tuple(found))
