"""Writes the checkpoints of the tests: random weights under the names of the
original program, and the logits that its models compute from them.

    /usr/bin/python3 make.py        # Debian: apt-get install python3-torch python3-numpy

The forward pass is written from the page docs/checkpoint.md, with the two
differences of the newer model that torch/model.go names.
"""
import collections
import dataclasses
import json
import math
import sys
import types

import numpy
import torch

torch.manual_seed(5)
TOKENS = [3, 1, 4, 1, 5, 9]


@dataclasses.dataclass
class GPTConfig:
    sequence_len: int = 16
    vocab_size: int = 20
    n_layer: int = 1
    n_head: int = 2
    n_kv_head: int = 1
    n_embd: int = 8
    dropout: float = 0.1


# The older program pickles its config as an object of this module.
sys.modules["src"] = types.ModuleType("src")
sys.modules["src.gpt_model"] = types.ModuleType("src.gpt_model")
sys.modules["src.gpt_model"].GPTConfig = GPTConfig
GPTConfig.__module__ = "src.gpt_model"
config = GPTConfig()
PADDED = (config.vocab_size + 63) // 64 * 64
H, KV, C = config.n_head, config.n_kv_head, config.n_embd
D = C // H


def weights(prefix):
    def matrix(rows, cols):
        return torch.randn(rows, cols) / math.sqrt(cols)

    # What a state_dict is: ordered, with an attribute.
    w = collections.OrderedDict()
    w._metadata = collections.OrderedDict([("", {"version": 1})])
    w[prefix + "wte.weight"] = torch.randn(PADDED, C)
    for layer in range(config.n_layer):
        block = f"{prefix}h.{layer}."
        w[block + "attn.c_q.weight"] = matrix(H * D, C)
        w[block + "attn.c_k.weight"] = matrix(KV * D, C)
        w[block + "attn.c_v.weight"] = matrix(KV * D, C)
        w[block + "attn.c_proj.weight"] = matrix(C, C)
        w[block + "mlp.c_fc.weight"] = matrix(4 * C, C)
        w[block + "mlp.c_proj.weight"] = matrix(C, 4 * C)
    w["lm_head.weight"] = 3 * matrix(PADDED, C)
    return w


def norm(x):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + torch.finfo(x.dtype).eps)


def logits(w, prefix, older, rounded):
    T = len(TOKENS)
    angle = torch.outer(torch.arange(T).float(), 10_000 ** (-torch.arange(0, D, 2).float() / D))
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    if rounded:  # as the original does
        cos, sin = cos.bfloat16().float(), sin.bfloat16().float()

    def rope(x):
        a, b = x[..., : D // 2], x[..., D // 2 :]
        return torch.cat([a * cos + b * sin, b * cos - a * sin], -1)

    x = w[prefix + "wte.weight"][TOKENS]
    if older:
        x = norm(x)
    for layer in range(config.n_layer):
        block = f"{prefix}h.{layer}."

        def times(x, name):
            return x @ w[block + name + ".weight"].T

        h = norm(x)
        q = norm(rope(times(h, "attn.c_q").view(T, H, D)))
        k = norm(rope(times(h, "attn.c_k").view(T, KV, D))).repeat_interleave(H // KV, 1)
        v = times(h, "attn.c_v").view(T, KV, D).repeat_interleave(H // KV, 1)
        score = torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(D) + torch.full((T, T), -math.inf).triu(1)
        x = x + times(torch.einsum("hij,jhd->ihd", score.softmax(-1), v).reshape(T, C), "attn.c_proj")
        x = x + times(torch.relu(times(norm(x), "mlp.c_fc")).square(), "mlp.c_proj")
    y = norm(x) @ w["lm_head.weight"].T
    return 15 * torch.tanh(y[:, : config.vocab_size] / 15) if older else y


def save(name, older, saved_config):
    prefix = "transformer." if older else ""
    w = weights(prefix)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))], lr=1e-3)
    checkpoint = {
        "epoch": 3,
        "model_state_dict": w,
        "optimizer_state_dict": optimizer.state_dict(),
        "config": saved_config,
        "train_loss": 3.5,
        "val_loss": 3.6,
    }
    torch.save(checkpoint, name + ".pt")
    rows = {kind: [[float(f"{x:.7g}") for x in row] for row in logits(w, prefix, older, kind == "rounded").tolist()] for kind in ("exact", "rounded")}
    with open(name + ".json", "w") as f:
        json.dump({"tokens": TOKENS, **rows}, f, separators=(",", ":"))


save("newer", False, dataclasses.asdict(config))
save("older", True, config)

book = {"quantizer.codebook.weight": torch.randn(4, 2), "quantizer.ema_cluster_size": torch.zeros(4)}
torch.save({"encoder.net.0.weight": torch.randn(2, 1, 3), "encoder.net.2.weight": torch.randn(2, 2, 16), **book}, "patches.pt")
state = {"encoder.mlp.0.weight": torch.randn(2, 5), "encoder.context_conv.0.weight": torch.randn(2, 2, 3), **book}
normalization = {"mean": numpy.zeros(5), "std": numpy.ones(5)}
torch.save({"state_dict": state, "config": {"type": "ohlc_candle", "num_codes": 4}, "normalization": normalization}, "candles.pt")
