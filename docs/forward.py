"""The forward pass of a checkpoint in PyTorch, written from checkpoint.md alone.

    python3 docs/forward.py FILE "80 81 83"       prints logits as `mqc logits --all` does
    mqc logits --checkpoint FILE --precision f32 --tokens "80 81 83" --all | python3 docs/forward.py FILE
                                                  prints the largest difference

FILE is a checkpoint, or what `mqc export` made of it as safetensors or npz. The
JSON on standard input may also have "cond" and "features", a row for each
token, and "batch", the number of windows that the tokens are cut into.
"""
import json
import math
import struct
import sys

import numpy
import torch


def load(path):
    """Returns the config of the model and its tensors."""
    if path.endswith(".npz"):
        members = numpy.load(path)
        config = json.loads(members["metadata.json"])["config"]
        return config, {name: torch.from_numpy(members[name]) for name in members.files if name != "metadata.json"}
    with open(path, "rb") as f:
        raw = f.read()
    (n,) = struct.unpack("<Q", raw[:8])
    entries = json.loads(raw[8 : 8 + n])
    metadata = entries.pop("__metadata__")
    if "mqc" in metadata:
        header = json.loads(metadata["mqc"])
        assert header["version"] == 1, "a newer layout"
        config = header["config"]
    else:
        config = json.loads(metadata["config"])
    tensors = {}
    for name, e in entries.items():
        begin, end = e["data_offsets"]
        flat = torch.frombuffer(bytearray(raw[8 + n + begin : 8 + n + end]), dtype=torch.float32)
        tensors[name] = flat.reshape(e["shape"])
    return config, tensors


def norm(x):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6)


def forward(c, tensors, tokens, cond=None, features=None):
    """Logits (T, V) of tokens (T), with cond (T, kinds) and features (T, F) where the config has them."""
    H, KV, D, T = c["heads"], c["kv_heads"], c["embd"] // c["heads"], len(tokens)
    angle = torch.outer(torch.arange(T).double(), c["rope_base"] ** (-2 * torch.arange(D // 2).double() / D))
    cos, sin = angle.cos().float()[:, None], angle.sin().float()[:, None]

    def rope(x):
        a, b = x[..., : D // 2], x[..., D // 2 :]
        return torch.cat([a * cos + b * sin, b * cos - a * sin], -1)

    x = torch.zeros(T, c["embd"])
    if c.get("embed") != "none":
        table = tensors["model.embed"]
        if c.get("embed") == "basis":
            table = tensors["model.phi"] @ table
        x = x + table[torch.tensor(tokens)]
    for i in range(len(c.get("cond", []))):
        x = x + tensors[f"model.cond.{i}"][torch.tensor(cond)[:, i]]
    if c.get("features", 0):
        x = x + torch.tensor(features) @ tensors["model.features"].T
    if not c.get("raw_embed", False):
        x = norm(x)

    future = torch.full((T, T), -math.inf).triu(1)
    for layer in range(c["layers"]):

        def w(name):
            return tensors[f"model.blocks.{layer}.{name}"].T

        h = norm(x)
        q = norm(rope((h @ w("attn.q")).view(T, H, D)))
        k = norm(rope((h @ w("attn.k")).view(T, KV, D))).repeat_interleave(H // KV, 1)
        v = (h @ w("attn.v")).view(T, KV, D).repeat_interleave(H // KV, 1)
        a = (torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(D) + future).softmax(-1)
        x = x + torch.einsum("hij,jhd->ihd", a, v).reshape(T, H * D) @ w("attn.o")
        x = x + torch.relu(norm(x) @ w("mlp.up")) ** 2 @ w("mlp.down")

    logits = norm(x) @ tensors["model.head"].T
    if c.get("head") == "basis":
        logits = logits @ tensors["model.phi"].T + tensors["model.prior"].T
    cap = c.get("softcap", 0)
    return cap * torch.tanh(logits / cap) if cap else logits


if __name__ == "__main__":
    config, tensors = load(sys.argv[1])
    if len(sys.argv) > 2:
        tokens = [int(t) for t in sys.argv[2].split()]
        print(json.dumps({"tokens": tokens, "logits": forward(config, tensors, tokens).tolist()}))
    else:
        program = json.load(sys.stdin)
        B = program.get("batch", 1)
        T = len(program["tokens"]) // B

        def window(key, b):
            return program[key][b * T : (b + 1) * T] if key in program else None

        rows = [forward(config, tensors, *(window(key, b) for key in ("tokens", "cond", "features"))) for b in range(B)]
        print(f"largest difference {(torch.cat(rows) - torch.tensor(program['logits'])).abs().max():.2g}")
