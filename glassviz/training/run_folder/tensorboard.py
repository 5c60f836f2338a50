"""The log in TensorBoard's format, an extra: `pip install glassviz[tensorboard]`.

The packages' own writers queue events for a thread of their own: on a full disk that thread dies
and the training waits for it forever. So events are encoded with the package, and written here.
"""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from glassviz.errors import UsageError
from glassviz.files import append, replacing

FILE = "events.out.tfevents"
"""TensorBoard reads what has `tfevents` in its name."""


class EventFile:
    """Scalars over environment steps, in one file.

    Args:
        folder: where the file goes; TensorBoard calls the run by this folder's name.

    Raises:
        UsageError: the extra is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import tensorboardX.proto.event_pb2 as event_pb2
            import tensorboardX.proto.summary_pb2 as summary_pb2
            from tensorboardX.record_writer import masked_crc32c
        except ModuleNotFoundError as error:
            raise UsageError(
                f"TensorBoard log: expected the package tensorboardX, found no {error.name}: "
                f"pip install 'glassviz[tensorboard]', or train without --tensorboard"
            ) from None
        self.path = folder / FILE
        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._checksum = masked_crc32c

    def append(self, record: Mapping[str, Any]) -> None:
        """Add the scalars of a record of `metrics.jsonl`."""
        append(self.path, self._encoded(record))

    def rewrite(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Begin anew with these records: what the file held is forgotten."""
        header = self._event(wall_time=0.0, file_version="brain.Event:2")
        with replacing(self.path) as partial, partial.open("wb") as file:
            file.write(self._framed(header.SerializeToString()))
            for record in records:
                file.write(self._encoded(record))

    def _encoded(self, record: Mapping[str, Any]) -> bytes:
        values = [
            self._summary.Value(tag=tag, simple_value=value)
            for tag, value in scalars(record).items()
        ]
        event = self._event(
            wall_time=record["clock"]["time"],
            step=record["env_steps"],
            summary=self._summary(value=values),
        )
        return self._framed(event.SerializeToString())

    def _framed(self, data: bytes) -> bytes:
        """A TFRecord: length, its checksum, data, its checksum; little-endian."""
        length = struct.pack("<Q", len(data))
        return (
            length
            + struct.pack("<I", self._checksum(length))
            + data
            + struct.pack("<I", self._checksum(data))
        )


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers in a record of `metrics.jsonl`, by the tag that TensorBoard shows them under."""
    match record["kind"]:
        case "evaluation":
            return {f"return/{record['controller']}": record["mean"]}
        case "restart":
            return {f"restart/{record['reason']}": record["value"]}
    clock = {f"clock/{name}": value for name, value in record["clock"].items() if name != "time"}
    values = {f"train/{name}": value for name, value in record.items() if name not in _NO_SCALARS}
    return {tag: value for tag, value in (values | clock).items() if value is not None}


_NO_SCALARS = frozenset({"kind", "env_steps", "clock"})
