"""Evaluations in TensorBoard event files."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glassviz.errors import UsageError
from glassviz.files import StrPath, read_bytes
from glassviz.ledger.logs import NotALogError, controller_of
from glassviz.ledger.rows import LARGEST, LARGEST_STEP, MAX_LOG_BYTES, Row

_FRAME = struct.Struct("<QI")
_CHECKSUM_BYTES = 4
_RESTARTED = "restart/"


def read_events(path: StrPath) -> tuple[list[Row], bool]:
    """The returns in an event file, and whether its last record is incomplete.

    Raises:
        UsageError: the extra is not installed.
        NotALogError: it is no event file.
        GlassvizError: it cannot be read.
    """
    try:
        import tensorboardX.proto.event_pb2 as event_pb2
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError:
        raise UsageError(
            f"{path}: events of TensorBoard need an extra: pip install 'glassviz[tensorboard]'"
        ) from None
    path = Path(path)
    data = read_bytes(path, "TensorBoard events", MAX_LOG_BYTES)
    rows: list[Row] = []
    restarts = number = end = 0
    for start, end in _records(data):
        number += 1
        event = event_pb2.Event()
        try:
            event.ParseFromString(data[start : end - _CHECKSUM_BYTES])
        except DecodeError:
            raise NotALogError(path, "no event file of TensorBoard, or a damaged one") from None
        for value in event.summary.value:
            kind = controller_of(value.tag)
            if value.tag.startswith(_RESTARTED):
                restarts += 1
                kind = f"restart_{restarts}"
            found = _number(value) if kind else None
            if kind and found is not None and 0 <= event.step <= LARGEST_STEP:
                rows.append(Row(number, event.step, found, kind))
    if number == 0:
        raise NotALogError(path, "no event file of TensorBoard, or a damaged one")
    return rows, end < len(data)


def _records(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each whole record (TFRecord): after its length, with its checksum."""
    place = 0
    while place + _FRAME.size <= len(data):
        length, _ = _FRAME.unpack_from(data, place)
        start = place + _FRAME.size
        end = start + length + _CHECKSUM_BYTES
        if end > len(data):
            return
        yield start, end
        place = end


def _number(value: Any) -> float | None:
    """A scalar, as TensorFlow 1 or 2 writes it; None if it is none, or not finite."""
    match value.WhichOneof("value"):
        case "simple_value":
            found = value.simple_value
        case "tensor" if value.tensor.float_val:
            found = value.tensor.float_val[0]
        case "tensor" if len(value.tensor.tensor_content) == 4:
            [found] = struct.unpack("<f", value.tensor.tensor_content)
        case _:
            return None
    return float(found) if abs(found) <= LARGEST else None
