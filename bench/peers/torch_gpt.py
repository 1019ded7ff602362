#!/usr/bin/python3
"""The model of mqc in PyTorch on the CPU, as fast as a careful user makes it.

The shape is that of `mqc bench`: rotary positions, norms without parameters,
also on queries and keys, causal attention, ReLU squared, no biases, no
dropout, AdamW. One run measures one kind of work and prints one line of JSON
with the keys of `mqc bench --json`:

    torch_gpt.py train  --precision f32     forward, loss, backward, clipping, AdamW
    torch_gpt.py eval   --precision bf16    forward and loss
    torch_gpt.py decode --paths 16          one prompt, many paths, token by token

What makes it fast on this version of PyTorch: q, k and v are one product, and
so are their rotation and norm one pass over queries and keys; the mask is the
summand of the product that makes the scores; what autograd would do in five
passes over memory has a backward by hand; gradients are dropped rather than
zeroed; AdamW runs over lists of tensors; denormals are flushed.
"""
import argparse
import json
import math
import os
import resource
import time


def process_start():
    """When this process started, by the clock of the system, in Unix time."""
    with open("/proc/self/stat") as f:
        ticks = int(f.read().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age


STARTED = process_start()


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("work", choices=["train", "eval", "decode"])
    p.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    p.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--vocab", type=int, default=512)
    p.add_argument("--seq-len", type=int, default=256, help="context of the model")
    p.add_argument("--layers", type=int, default=6)
    p.add_argument("--heads", type=int, default=8)
    p.add_argument("--kv-heads", type=int, default=8)
    p.add_argument("--embd", type=int, default=512)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--seq", type=int, default=0, help="tokens per window; default: the context")
    p.add_argument("--paths", type=int, default=1)
    p.add_argument("--prompt", type=int, default=128)
    p.add_argument("--new", type=int, default=128)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--warmup", type=int, default=2)
    p.add_argument("--autocast", action="store_true", help="decode in bf16 with weights kept in f32")
    p.add_argument("--losses", action="store_true", help="print the losses of the steps")
    a = p.parse_args()
    a.seq = a.seq or a.seq_len
    return a


A = arguments()
os.environ.setdefault("OMP_NUM_THREADS", str(A.workers))

import torch  # noqa: E402, after the number of threads is known
from torch.autograd import Function  # noqa: E402
from torch.nn import functional as F  # noqa: E402

torch.set_num_threads(A.workers)
torch.set_flush_denormal(True)
torch.manual_seed(1)

EPS = 1e-6


def reciprocal_rms(x):
    if x.dtype == torch.float32 and x.size(1) > 1:  # one pass, and no square of x in memory
        n = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return n.square_().mul_(1 / x.size(-1)).add_(EPS).rsqrt_()
    return x.square().mean(-1, keepdim=True).add_(EPS).rsqrt_()


class RMSNorm(Function):
    """y = x · r with r = 1 / rms(x)"""

    @staticmethod
    def forward(ctx, x):
        r = reciprocal_rms(x)
        y = x * r
        ctx.save_for_backward(y, r)
        return y

    @staticmethod
    def backward(ctx, dy):
        y, r = ctx.saved_tensors
        mean = (dy * y).mean(-1, keepdim=True)
        return torch.addcmul(dy, y, mean, value=-1).mul_(r)


def rotated(x, cos, sin):
    """Rotates the two halves of the last dimension against each other."""
    half = x.size(-1) // 2
    a, b = x[..., :half], x[..., half:]
    out = torch.empty_like(x)
    torch.mul(a, cos, out=out[..., :half]).addcmul_(b, sin)
    torch.mul(b, cos, out=out[..., half:]).addcmul_(a, sin, value=-1)
    return out


class RotateAndNorm(Function):
    """The norm of the rotation, which leaves the length as it is."""

    @staticmethod
    def forward(ctx, x, cos, sin):
        y = rotated(x, cos, sin)
        r = reciprocal_rms(y)
        y.mul_(r)
        ctx.save_for_backward(y, r, cos, sin)
        return y

    @staticmethod
    def backward(ctx, dy):
        y, r, cos, sin = ctx.saved_tensors
        mean = (dy * y).mean(-1, keepdim=True)
        dx = torch.addcmul(dy, y, mean, value=-1).mul_(r)
        return rotated(dx, cos, -sin), None, None


class ReLU2(Function):
    @staticmethod
    def forward(ctx, x):
        r = F.relu(x)
        ctx.save_for_backward(r)
        return r * r

    @staticmethod
    def backward(ctx, dy):
        (r,) = ctx.saved_tensors
        return torch.mul(dy, r).mul_(2)


if A.work == "train":
    norm, rotate_and_norm, relu2 = RMSNorm.apply, RotateAndNorm.apply, ReLU2.apply
else:  # no need to remember anything, and a token is too short to pay for it

    def norm(x):
        return x * reciprocal_rms(x)

    def rotate_and_norm(x, cos, sin):
        y = rotated(x, cos, sin)
        return y.mul_(reciprocal_rms(y))

    def relu2(x):
        return F.relu(x).square_()


class GPT(torch.nn.Module):
    def __init__(self, vocab, context, layers, heads, kv_heads, embd):
        super().__init__()
        self.H, self.KV, self.D = heads, kv_heads, embd // heads
        shapes = {
            "qkv": ((heads + 2 * kv_heads) * self.D, embd),
            "out": (embd, heads * self.D),
            "up": (4 * embd, embd),
            "down": (embd, 4 * embd),
        }
        weight = lambda rows, cols: torch.nn.Parameter(torch.randn(rows, cols) * 0.02)
        self.embed = weight(vocab, embd)
        self.blocks = torch.nn.ModuleList(
            torch.nn.ParameterDict({name: weight(*shape) for name, shape in shapes.items()}) for _ in range(layers)
        )
        self.head = weight(vocab, embd)

        frequency = 10_000.0 ** (-torch.arange(0, self.D, 2) / self.D)
        angle = torch.outer(torch.arange(context), frequency)[None, :, None, :]
        self.tables(angle.cos(), angle.sin(), torch.full((context, context), -math.inf).triu(1))

    def tables(self, cos, sin, mask):
        self.cos, self.sin, self.mask = cos, sin, mask

    def project(self, block, x, first):
        """Queries, keys and values, (B, T, heads, D) each, of normed rows at positions from first."""
        B, T, _ = x.shape
        qkv = F.linear(x, block["qkv"]).view(B, T, self.H + 2 * self.KV, self.D)
        qk, v = qkv.split([self.H + self.KV, self.KV], dim=2)
        at = slice(first, first + T)
        qk = rotate_and_norm(qk, self.cos[:, at], self.sin[:, at])
        q, k = qk.split([self.H, self.KV], dim=2)
        return q, k, v

    def per_head(self, x):
        """(B, T, heads, D) as (B·heads, T, D)"""
        B, T, heads, D = x.shape
        return x.transpose(1, 2).reshape(B * heads, T, D)

    def attention(self, q, k, v):
        B, T, H, D = q.shape
        KV, G = k.size(2), H // k.size(2)
        # The queries of a group are rows of one product: keys are not copied.
        q = q.transpose(1, 2).reshape(B * KV, G * T, D)
        k, v = self.per_head(k), self.per_head(v)
        mask = self.mask[:T, :T]
        scores = torch.baddbmm(mask if G == 1 else mask.repeat(G, 1), q, k.transpose(1, 2), alpha=D**-0.5)
        out = torch.bmm(F.softmax(scores, -1), v)
        return out.view(B, H, T, D).transpose(1, 2).reshape(B, T, H * D)

    def forward(self, tokens):
        x = norm(F.embedding(tokens, self.embed))
        for b in self.blocks:
            x = x + F.linear(self.attention(*self.project(b, norm(x), 0)), b["out"])
            x = x + F.linear(relu2(F.linear(norm(x), b["up"])), b["down"])
        return F.linear(norm(x), self.head).float()

    def prefill(self, prompt, paths, room):
        """Runs one prompt, returns its last logits and a cache with a copy of its keys and values for every path."""
        caches, P = [], prompt.size(1)
        x = norm(F.embedding(prompt, self.embed))
        for b in self.blocks:
            q, k, v = self.project(b, norm(x), 0)
            cache = torch.empty(2, paths, self.KV, P + room, self.D, dtype=k.dtype)
            cache[0, :, :, :P], cache[1, :, :, :P] = k.transpose(1, 2), v.transpose(1, 2)
            caches.append(cache.view(2, paths * self.KV, P + room, self.D))
            x = x + F.linear(self.attention(q, k, v), b["out"])
            x = x + F.linear(relu2(F.linear(norm(x), b["up"])), b["down"])
        return F.linear(norm(x[:, -1]), self.head).float(), caches

    def decode(self, tokens, caches, position):
        """One token of every path: (paths, 1) tokens, (paths, V) logits."""
        B, KV, G = tokens.size(0), self.KV, self.H // self.KV
        x = norm(F.embedding(tokens, self.embed))
        for b, (keys, values) in zip(self.blocks, caches):
            q, k, v = self.project(b, norm(x), position)
            keys[:, position], values[:, position] = k.reshape(B * KV, self.D), v.reshape(B * KV, self.D)
            seen = slice(0, position + 1)
            scores = torch.bmm(q.reshape(B * KV, G, self.D), keys[:, seen].transpose(1, 2)).mul_(self.D**-0.5)
            out = torch.bmm(F.softmax(scores, -1), values[:, seen])
            x = x + F.linear(out.view(B, 1, self.H * self.D), b["out"])
            x = x + F.linear(relu2(F.linear(norm(x), b["up"])), b["down"])
        return F.linear(norm(x[:, 0]), self.head).float()


def median(values):
    v, n = sorted(values), len(values)
    return (v[(n - 1) // 2] + v[n // 2]) / 2


model = GPT(A.vocab, A.seq_len, A.layers, A.heads, A.kv_heads, A.embd)
BF16 = A.precision == "bf16"
result = {
    "work": A.work,
    "peer": "PyTorch " + torch.__version__,
    "precision": A.precision,
    "workers": A.workers,
    "parameters": sum(p.numel() for p in model.parameters()),
    "warmup": A.warmup,
    "steps": A.steps,
}


def autocast(on=True):
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=BF16 and on)


def tables_in(dtype):
    model.tables(model.cos.to(dtype), model.sin.to(dtype), model.mask.to(dtype))


def loss_of(batch):
    with autocast():
        logits = model(batch[:, :-1])
    return F.cross_entropy(logits.view(-1, A.vocab), batch[:, 1:].reshape(-1))


def windows(step):
    """Measures steps over windows."""
    batches = torch.randint(0, A.vocab, (16, A.batch, A.seq + 1))
    times, losses = [], []
    for i in range(A.warmup + A.steps):
        start = time.time()
        losses.append(step(batches[i % 16]))
        end = time.time()
        if i == 0:
            result["time_to_first_step_s"] = end - STARTED
        if i >= A.warmup:
            times.append(1000 * (end - start))
    tokens = A.batch * A.seq
    result.update(batch=A.batch, seq=A.seq, loss=losses[-1])
    if A.losses:
        result["losses"] = losses
    return tokens, times


def train():
    parameters = list(model.parameters())
    adamw = torch.optim.AdamW(parameters, lr=5e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, foreach=True)

    def step(batch):
        loss = loss_of(batch)
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        adamw.step()
        return loss.item()

    return windows(step)


@torch.no_grad()
def evaluate():
    return windows(lambda batch: loss_of(batch).item())


@torch.no_grad()
def decode():
    times, prefills = [], []
    for i in range(A.warmup + A.steps):
        prompt = torch.randint(0, A.vocab, (1, A.prompt))
        start = time.time()
        with autocast(A.autocast):
            logits, caches = model.prefill(prompt, A.paths, A.new - 1)
            tokens = torch.multinomial(F.softmax(logits, -1).expand(A.paths, -1), 1)
            first = time.time()
            drawn = [tokens]
            for n in range(A.new - 1):
                tokens = torch.multinomial(F.softmax(model.decode(tokens, caches, A.prompt + n), -1), 1)
                drawn.append(tokens)
            torch.cat(drawn, 1)
        end = time.time()
        if i == 0:
            result["time_to_first_step_s"] = first - STARTED
        if i >= A.warmup:
            prefills.append(1000 * (first - start))
            times.append(1000 * (end - first) / (A.new - 1))
    result.update(paths=A.paths, prompt=A.prompt, new=A.new, prefill_ms=median(prefills))
    return A.paths, times


if BF16:
    tables_in(torch.bfloat16)
    if A.work == "decode" and not A.autocast:
        model.to(torch.bfloat16)  # the weights are what decoding reads: half the bytes
tokens, times = {"train": train, "eval": evaluate, "decode": decode}[A.work]()
step = median(times)
result.update(
    step_ms=step,
    step_min_ms=min(times),
    step_max_ms=max(times),
    tokens_per_second=1000 * tokens / step,
    peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
)
print(json.dumps(result))
