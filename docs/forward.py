"""The forward pass of a checkpoint in PyTorch, written from checkpoint.md alone.

    python3 docs/forward.py CHECKPOINT "80 81 83"       prints logits as `mqc logits --all` does
    mqc logits --checkpoint CHECKPOINT --tokens "80 81 83" --all | python3 docs/forward.py CHECKPOINT
                                                        prints the largest difference
"""
import json
import math
import struct
import sys

import torch


def load(path):
    """Returns the header of ours and all tensors."""
    with open(path, "rb") as f:
        raw = f.read()
    (n,) = struct.unpack("<Q", raw[:8])
    entries = json.loads(raw[8 : 8 + n])
    header = json.loads(entries.pop("__metadata__")["mqc"])
    assert header["version"] == 1, "a newer layout"
    tensors = {}
    for name, e in entries.items():
        begin, end = e["data_offsets"]
        flat = torch.frombuffer(bytearray(raw[8 + n + begin : 8 + n + end]), dtype=torch.float32)
        tensors[name] = flat.reshape(e["shape"])
    return header, tensors


def norm(x):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6)


def forward(header, tensors, tokens):
    """Logits (T, V) of tokens, without conditioning."""
    c = header["config"]
    H, KV, D, T = c["heads"], c["kv_heads"], c["embd"] // c["heads"], len(tokens)
    angle = torch.outer(torch.arange(T).double(), c["rope_base"] ** (-2 * torch.arange(D // 2).double() / D))
    cos, sin = angle.cos().float()[:, None], angle.sin().float()[:, None]

    def rope(x):
        a, b = x[..., : D // 2], x[..., D // 2 :]
        return torch.cat([a * cos + b * sin, b * cos - a * sin], -1)

    future = torch.full((T, T), -math.inf).triu(1)
    x = norm(tensors["model.embed"][torch.tensor(tokens)])
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
    cap = c.get("softcap", 0)
    return cap * torch.tanh(logits / cap) if cap else logits


if __name__ == "__main__":
    header, tensors = load(sys.argv[1])
    if len(sys.argv) > 2:
        tokens = [int(t) for t in sys.argv[2].split()]
        print(json.dumps({"tokens": tokens, "logits": forward(header, tensors, tokens).tolist()}))
    else:
        program = json.load(sys.stdin)
        ours = forward(header, tensors, program["tokens"])
        print(f"largest difference {(ours - torch.tensor(program['logits'])).abs().max():.2g}")
