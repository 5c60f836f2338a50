"""Files as `torch.save` writes them, without PyTorch, and what the official agents in them compute.

`Networks` are random agents of TD-MPC2; `state_of` names their parameters as a version of its code
did; `archive` writes any payload.
"""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import ml_dtypes
import numpy as np

LayoutName = Literal["A", "B", "C", "D"]
Layer = dict[str, np.ndarray]

STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int8": "QInt8Storage",
    "uint8": "QUInt8Storage",
}
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


# Writing ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Name:
    """A name that the pickle refers to."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """A call of a name."""

    function: Name
    args: tuple[Any, ...]


@dataclass(eq=False)
class Storage:
    """A block of numbers, which several tensors may share; `same_as` declares another one anew."""

    values: np.ndarray
    device: str = "cpu"
    kind: str = ""
    count: int | None = None
    same_as: "Storage | None" = None

    @property
    def type_name(self) -> str:
        return self.kind or STORAGES[self.values.dtype.name]


@dataclass(eq=False)
class Tensor:
    """A view of a storage; `quantiser` is (scale, zero point)."""

    storage: Storage
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int = 0
    quantiser: tuple[float, int] | None = None
    parameter: bool = False


def tensor(values: np.ndarray, device: str = "cpu", **how: Any) -> Tensor:
    """A tensor with a storage of its own."""
    array = np.asarray(values)
    stride = tuple(np.cumprod([1, *array.shape[:0:-1]])[::-1].tolist()) if array.ndim else ()
    return Tensor(Storage(array.reshape(-1), device), array.shape, stride, **how)


def transposed(values: np.ndarray) -> Tensor:
    """The same values, stored in the order of the transposed matrix."""
    axes = (*range(values.ndim - 2), values.ndim - 1, values.ndim - 2)
    stored = tensor(values.transpose(axes))
    size = tuple(stored.size[i] for i in axes)
    return Tensor(stored.storage, size, tuple(stored.stride[i] for i in axes))


def quantised(values: np.ndarray) -> Tensor:
    """The values, quantised to 8 bits per tensor."""
    scale = float(np.abs(values).max(initial=0.0)) / 100 or 1.0
    integers = np.round(values / scale).astype(np.int8) + np.int8(3)
    return tensor(integers.astype(np.int8), quantiser=(scale, 3))


class _Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=2)
        self.storages: dict[Storage, str] = {}

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Storage):
            return None
        key = self.storages.setdefault(obj.same_as or obj, str(len(self.storages)))
        count = len(obj.values) if obj.count is None else obj.count
        return ("storage", Name("torch", obj.type_name), key, obj.device, count)

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        match obj:
            case Name(module, name):
                self.write(f"c{module}\n{name}\n".encode())
            case Call(function, args):
                self.save(function)
                self.save(args)
                self.write(pickle.REDUCE)
            case Tensor(parameter=True):
                bare = Tensor(obj.storage, obj.size, obj.stride, obj.offset)
                name = Name("torch._utils", "_rebuild_parameter")
                self.save(Call(name, (bare, True, OrderedDict())))
            case Tensor(quantiser=None):
                args = (obj.storage, obj.offset, obj.size, obj.stride, False, OrderedDict())
                self.save(Call(Name("torch._utils", "_rebuild_tensor_v2"), args))
            case Tensor():
                scheme = (Name("torch", "per_tensor_affine"), *obj.quantiser)
                args = (obj.storage, obj.offset, obj.size, obj.stride, scheme, False, OrderedDict())
                self.save(Call(Name("torch._utils", "_rebuild_qtensor"), args))
            case _:
                super().save(obj, save_persistent_id)


def archive(payload: Any, order: Literal["little", "big"] = "little") -> bytes:
    """The bytes of `torch.save(payload, …)`."""
    pickled = io.BytesIO()
    pickler = _Pickler(pickled)
    pickler.dump(payload)
    sign = "<" if order == "little" else ">"
    members = {"data.pkl": pickled.getvalue(), "byteorder": order.encode()}
    for storage, key in pickler.storages.items():
        raw = storage.values.view(f"u{storage.values.itemsize}")
        members[f"data/{key}"] = raw.astype(f"{sign}u{raw.itemsize}").tobytes()
    return zipped({**members, "version": b"3\n", ".data/serialization_id": b"0" * 40})


def zipped(members: Mapping[str, bytes], folder: str = "agent/", **how: Any) -> bytes:
    """Stored members with data at multiples of 64 bytes, as PyTorch writes them."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", how.get("compression", zipfile.ZIP_STORED)) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(folder + name)
            info.compress_type = how.get("compression", zipfile.ZIP_STORED)
            start = written.tell() + 30 + len(info.filename) + 4
            padding = -start % 64
            info.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
            archive.writestr(info, content)
    return written.getvalue()


# Agents -------------------------------------------------------------------------------------------


@dataclass
class Networks:
    """A random agent of TD-MPC2: the layers of its networks, and the embeddings of its tasks."""

    layers: dict[str, list[Layer]]
    embeddings: np.ndarray | None = None
    masks: np.ndarray | None = None
    symlog: bool = False
    extra: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def obs_dim(self) -> int:
        """Size of the (padded) observation."""
        extra = 0 if self.embeddings is None else self.embeddings.shape[1]
        return int(self.layers["_encoder.state"][0]["weight"].shape[1] - extra)

    @property
    def action_dim(self) -> int:
        """Size of the (padded) action."""
        return len(self.layers["_pi"][-1]["bias"]) // 2


def networks(
    obs_dim: int = 5,
    action_dim: int = 2,
    *,
    tasks: int = 0,
    episodic: bool = False,
    symlog: bool = False,
    seed: int = 0,
) -> Networks:
    """A small random agent; observations and actions are padded ones if there are tasks."""
    rng = np.random.default_rng(seed)
    embedded, latent, hidden, heads, bins = 6 if tasks else 0, 16, 12, 3, 11

    def layer(inputs: int, outputs: int, norm: bool = True, lead: tuple[int, ...] = ()) -> Layer:
        found = {
            "weight": rng.normal(size=(*lead, outputs, inputs)) / inputs**0.5,
            "bias": 0.3 * rng.normal(size=(*lead, outputs)),
        }
        if norm:
            found["ln.weight"] = rng.uniform(0.5, 1.5, (*lead, outputs))
            found["ln.bias"] = 0.3 * rng.normal(size=(*lead, outputs))
        return {name: leaf.astype(np.float32) for name, leaf in found.items()}

    def mlp(inputs: int, outputs: int, norm: bool = False, **how: Any) -> list[Layer]:
        first = layer(inputs, hidden, **how)
        return [first, layer(hidden, hidden, **how), layer(hidden, outputs, norm, **how)]

    z, za = latent + embedded, latent + embedded + action_dim
    layers = {
        "_encoder.state": [layer(obs_dim + embedded, hidden), layer(hidden, latent)],
        "_dynamics": mlp(za, latent, norm=True),
        "_reward": mlp(za, bins),
        "_pi": mlp(z, 2 * action_dim),
        "_Qs": mlp(za, bins, lead=(heads,)),
    }
    if episodic:
        layers["_termination"] = mlp(z, 1)
    embeddings = rng.normal(size=(tasks, embedded)).astype(np.float32) if tasks else None
    if embeddings is not None:
        embeddings[::2] *= 0.1  # some of them are shorter than 1
    return Networks(layers, embeddings, symlog=symlog)


def state_of(nets: Networks, layout: LayoutName = "D") -> dict[str, Any]:
    """The parameters as arrays by name; what is not an array is kept as it is."""
    state: dict[str, Any] = OrderedDict()
    for net, layers in nets.layers.items():
        if net == "_Qs":
            continue
        for i, layer in enumerate(layers):
            for name, leaf in layer.items():
                state[_name(net, i, len(layers), name, layout)] = leaf
    heads = {f"{i}.{name}": leaf for i, each in enumerate(nets.layers["_Qs"]) for name, leaf in
             each.items()}  # fmt: skip
    if layout in ("A", "B"):
        flat = dict(enumerate(heads.values()))
        state |= {f"{net}.params.{i}": leaf for net in ("_Qs", "_target_Qs") for i, leaf in
                  flat.items()}  # fmt: skip
    else:
        state["_Qs.params.__batch_size"] = Call(Name("torch", "Size"), ((3,),))
        state["_Qs.params.__device"] = Call(Name("torch", "device"), ("cuda", 0))
        state["_Qs.module.0.weight"] = np.zeros(0, np.float32)
        prefixes = ["_Qs.params.", "_detach_Qs_params.", "_target_Qs_params."]
        prefixes += ["_detach_Qs.params.", "_target_Qs.params."] if layout == "C" else []
        state |= {prefix + name: leaf for prefix in prefixes for name, leaf in heads.items()}
        state["log_std_min"] = np.float32(-10)
        state["log_std_dif"] = np.float32(12)
    if nets.embeddings is not None:
        state["_task_emb.weight"] = nets.embeddings
    if nets.masks is not None:
        state["_action_masks"] = nets.masks
    return state | nets.extra


def _name(net: str, i: int, count: int, leaf: str, layout: LayoutName) -> str:
    """The name of a leaf; layout A numbers the modules of a sequence."""
    if layout != "A":
        return f"{net}.{i}.{leaf}"
    kind, norm = leaf.rpartition(".")[2], leaf.startswith("ln.")
    if net == "_encoder.state":
        return f"{net}.{1 + 3 * i + norm}.{kind}"
    if net == "_dynamics" and i == count - 1:
        return f"{net}.1.{kind}" if not norm else f"{net}.2.{kind}"
    prefix = f"{net}.0" if net == "_dynamics" else net
    return f"{prefix}.{3 * i + norm}.{kind}"


def torch_file(
    nets: Networks, layout: LayoutName = "D", *, bare: bool = False, prefix: str = ""
) -> bytes:
    """The file of an agent; copies of the Q heads share their storage."""
    return archive_of(state_of(nets, layout), bare=bare, prefix=prefix)


def archive_of(state: Mapping[str, Any], *, bare: bool = False, prefix: str = "") -> bytes:
    """The file of a state dictionary of arrays."""
    made: dict[int, Tensor] = {}
    payload = OrderedDict()
    for name, leaf in state.items():
        is_array = isinstance(leaf, np.ndarray | np.generic)
        if is_array and id(leaf) not in made:
            made[id(leaf)] = tensor(np.asarray(leaf))
        payload[prefix + name] = made[id(leaf)] if is_array else leaf
    return archive(payload if bare else {"model": payload})


# What the official code computes ------------------------------------------------------------------


def _mish(x: np.ndarray) -> np.ndarray:
    return x * np.tanh(np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0))


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _simnorm(x: np.ndarray) -> np.ndarray:
    return _softmax(x.reshape(*x.shape[:-1], -1, 8)).reshape(x.shape)


def _forward(layers: list[Layer], x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    """NormedLinear layers with Mish; after the last one there is no Mish."""
    for i, layer in enumerate(layers):
        x = x @ np.asarray(layer["weight"], np.float64).swapaxes(-1, -2)
        bias = np.asarray(layer["bias"], np.float64)
        x = x + (bias[:, None] if bias.ndim == 2 else bias)
        if "ln.weight" in layer:
            x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
            scale, shift = layer["ln.weight"], layer["ln.bias"]
            x = x * (scale[:, None] if scale.ndim == 2 else scale)
            x = x + (shift[:, None] if shift.ndim == 2 else shift)
        x = _mish(x) if i < len(layers) - 1 else x
    return x


def _two_hot_inverse(logits: np.ndarray) -> np.ndarray:
    x = _softmax(logits) @ np.linspace(-10, 10, logits.shape[-1])
    return np.sign(x) * np.expm1(np.abs(x))


def official_heads(
    nets: Networks, obs: np.ndarray, action: np.ndarray, task: int = 0, eps: float = 1e-5
) -> dict[str, np.ndarray]:
    """What the official code computes of padded observations and actions, in double precision."""
    forward = partial(_forward, eps=eps)
    embedding = np.zeros((len(obs), 0))
    if nets.embeddings is not None:
        row = nets.embeddings[task].astype(np.float64)
        row = row / max(1.0, np.linalg.norm(row))
        embedding = np.repeat(row[None], len(obs), axis=0)
    if nets.symlog:
        obs = np.sign(obs) * np.log1p(np.abs(obs))
    layers = nets.layers
    z = _simnorm(forward(layers["_encoder.state"], np.concatenate([obs, embedding], -1)))
    z_task = np.concatenate([z, embedding], -1)
    za = np.concatenate([z_task, action], -1)
    mean, raw = np.split(forward(layers["_pi"], z_task), 2, axis=-1)
    found = {
        "z": z,
        "z_next": _simnorm(forward(layers["_dynamics"], za)),
        "reward": _two_hot_inverse(forward(layers["_reward"], za)),
        "q": _two_hot_inverse(forward(layers["_Qs"], za)),
        "mean": mean,
        "log_std": -10 + 6 * (np.tanh(raw) + 1),
    }
    if "_termination" in layers:
        found["termination"] = forward(layers["_termination"], z_task)[:, 0]
    return found
