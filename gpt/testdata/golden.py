"""Golden training steps of the transformer, written independently in PyTorch.

Writes plain.safetensors.gz and conditioned.safetensors.gz beside itself; the
tests of package gpt read them, so PyTorch is needed only to make them anew:

    apt-get install python3-torch        # 1.13 made the files that are checked in
    python3 gpt/testdata/golden.py

A file holds the configuration (metadata "config", the JSON of gpt.Config) and

    param.NAME  grad.NAME   first weights and the gradient of the first loss
    tokens, targets (B,T)   weights (B,T)  of the targets; some are 0
    cond (B,T,kinds)        features (B,T,F)  in the conditioned file only
    logits (B,T,V)          of the first pass
    loss (11)               before the first AdamW step and after each of ten
    norm (10)               of the whole gradient before clipping, per step

The loss is sum(weight * cross-entropy) / sum(weight). Everything is computed in
float64, so a difference is float32 rounding of the program under test. Weights
are multiples of 1/256, because those compress.
"""

import gzip
import json
import math
import os
import struct

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
B, T = 3, 37
STEPS, LR, BETAS, EPS, DECAY, CLIP = 10, 1e-3, (0.9, 0.95), 1e-8, 0.1, 1.0


def norm(x):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6)


def rope(x, base):
    """x (B, T, heads, D); the two halves of a head are the pairs."""
    T, D = x.shape[1], x.shape[3]
    freq = base ** (-torch.arange(0, D, 2, dtype=x.dtype) / D)
    angle = torch.arange(T, dtype=x.dtype)[:, None] * freq
    cos, sin = angle.cos()[None, :, None, :], angle.sin()[None, :, None, :]
    x1, x2 = x[..., : D // 2], x[..., D // 2 :]
    return torch.cat([x1 * cos + x2 * sin, -x1 * sin + x2 * cos], -1)


def attention(p, l, x, c):
    H, KV = c["heads"], c["kv_heads"]
    D = c["embd"] // H
    B, T, _ = x.shape
    q = (x @ p[f"blocks.{l}.attn.q"].T).view(B, T, H, D)
    k = (x @ p[f"blocks.{l}.attn.k"].T).view(B, T, KV, D)
    v = (x @ p[f"blocks.{l}.attn.v"].T).view(B, T, KV, D)
    q, k = norm(rope(q, c["rope_base"])), norm(rope(k, c["rope_base"]))
    # Query head h attends with key and value head h // (H/KV).
    k, v = (y.repeat_interleave(H // KV, dim=2) for y in (k, v))
    s = torch.einsum("bthd,buhd->bhtu", q, k) / math.sqrt(D)
    s = s.masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf)
    out = torch.einsum("bhtu,buhd->bthd", s.softmax(-1), v)
    return out.reshape(B, T, H * D) @ p[f"blocks.{l}.attn.o"].T


def mlp(p, l, x):
    return F.relu(x @ p[f"blocks.{l}.mlp.up"].T).square() @ p[f"blocks.{l}.mlp.down"].T


def forward(p, c, batch):
    x = p["embed"][batch["tokens"].long()]
    for i in range(len(c.get("cond", []))):
        x = x + p[f"cond.{i}"][batch["cond"][..., i].long()]
    if c.get("features"):
        x = x + batch["features"] @ p["features"].T
    x = norm(x)
    for l in range(c["layers"]):
        x = x + attention(p, l, norm(x), c)
        x = x + mlp(p, l, norm(x))
    logits = norm(x) @ p["head"].T
    cap = c.get("softcap")
    return cap * torch.tanh(logits / cap) if cap else logits


def loss_of(logits, batch):
    ce = F.cross_entropy(logits.flatten(0, 1), batch["targets"].long().flatten(), reduction="none")
    w = batch["weights"].flatten()
    return (ce * w).sum() / w.sum()


def shapes(c):
    C, V, D = c["embd"], c["vocab"], c["embd"] // c["heads"]
    q, kv = c["heads"] * D, c["kv_heads"] * D
    s = {"embed": (V, C)}
    for i, n in enumerate(c.get("cond", [])):
        s[f"cond.{i}"] = (n, C)
    if c.get("features"):
        s["features"] = (C, c["features"])
    for l in range(c["layers"]):
        s[f"blocks.{l}.attn.q"] = (q, C)
        s[f"blocks.{l}.attn.k"] = (kv, C)
        s[f"blocks.{l}.attn.v"] = (kv, C)
        s[f"blocks.{l}.attn.o"] = (C, q)
        s[f"blocks.{l}.mlp.up"] = (4 * C, C)
        s[f"blocks.{l}.mlp.down"] = (C, 4 * C)
    s["head"] = (V, C)
    return s


def draw(g, *shape):
    """Normal numbers that float32 holds exactly."""
    return torch.randn(*shape, generator=g).double()


def save(path, tensors, metadata):
    names = {torch.float32: "F32", torch.float64: "F64", torch.int32: "I32"}
    header, blob = {"__metadata__": metadata}, b""
    for name, x in tensors.items():
        raw = x.contiguous().numpy().tobytes()
        header[name] = {"dtype": names[x.dtype], "shape": list(x.shape), "data_offsets": [len(blob), len(blob) + len(raw)]}
        blob += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    # No name and no time in the gzip header: the same run, the same bytes.
    with open(path, "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
        z.write(struct.pack("<Q", len(text)) + text + blob)


def golden(name, c, seed):
    g = torch.Generator().manual_seed(seed)
    integers = lambda high, *shape: torch.randint(high, shape, generator=g, dtype=torch.int32)
    batch = {"tokens": integers(c["vocab"], B, T), "targets": integers(c["vocab"], B, T)}
    # Weights 0, 0.5, 1 and 1.5.
    batch["weights"] = integers(4, B, T).double() / 2
    if c.get("cond"):
        batch["cond"] = torch.stack([integers(n, B, T) for n in c["cond"]], -1)
    if c.get("features"):
        batch["features"] = draw(g, B, T, c["features"])

    p = {}
    for key, shape in shapes(c).items():
        x = draw(g, *shape) / math.sqrt(c["embd"] if key == "embed" or "cond" in key else shape[1])
        p[key] = (torch.round(x * 256) / 256).requires_grad_()

    logits = forward(p, c, batch)
    loss = loss_of(logits, batch)
    loss.backward()
    out = {f"param.{k}": x.detach().clone().float() for k, x in p.items()}
    out.update({f"grad.{k}": x.grad.float() for k, x in p.items()})
    out.update({k: x.float() if x.dtype == torch.float64 else x for k, x in batch.items()})
    out["logits"] = logits.detach().float()

    lookup = [x for k, x in p.items() if k == "embed" or k.startswith("cond.")]
    matrices = [x for k, x in p.items() if not (k == "embed" or k.startswith("cond."))]
    opt = torch.optim.AdamW(
        [{"params": lookup, "weight_decay": 0.0}, {"params": matrices, "weight_decay": DECAY}], lr=LR, betas=BETAS, eps=EPS
    )
    losses, norms = [loss.item()], []
    for _ in range(STEPS):
        norms.append(float(torch.nn.utils.clip_grad_norm_(list(p.values()), CLIP)))
        opt.step()
        opt.zero_grad()
        loss = loss_of(forward(p, c, batch), batch)
        loss.backward()
        losses.append(loss.item())
    out["loss"] = torch.tensor(losses, dtype=torch.float64)
    out["norm"] = torch.tensor(norms, dtype=torch.float64)

    path = os.path.join(HERE, name + ".safetensors.gz")
    save(path, out, {"config": json.dumps(c), "torch": torch.__version__})
    print(f"{path}: {os.path.getsize(path)} bytes, losses {losses[0]:.4f} to {losses[-1]:.4f}, norms {norms[0]:.2f} to {norms[-1]:.2f}")


shape = {"vocab": 61, "seq_len": 40, "layers": 2, "heads": 4, "kv_heads": 2, "embd": 32, "rope_base": 10000}
golden("plain", shape, 1)
golden("conditioned", {**shape, "rope_base": 100, "softcap": 15, "cond": [5, 3], "features": 3}, 2)
