"""The base model in PyTorch: a small vision-language model in the SmolVLM layout.

Module names are those of transformers' SmolVLMForConditionalGeneration at run time, so that a state dict needs no renaming.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

IMAGE_TOKENS = 16
CONFIG = dict(
    image_size=64, patch_size=8, vision_hidden=128, vision_layers=4, vision_heads=4, vision_mlp=384, scale_factor=2,
    hidden=128, layers=6, heads=4, mlp=384, rope_theta=1000.0, rms_eps=1e-5, layer_eps=1e-6, max_positions=512,
)  # fmt: skip


class VisionAttention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x):  # (B, T, d)
        B, T, D = x.shape
        split = lambda t: t.view(B, T, self.heads, D // self.heads).transpose(1, 2)
        y = F.scaled_dot_product_attention(split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x)))
        return self.out_proj(y.transpose(1, 2).reshape(B, T, D))


class VisionMlp(nn.Module):
    def __init__(self, d, m):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d, m), nn.Linear(m, d)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class VisionLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["vision_hidden"]
        self.self_attn = VisionAttention(d, c["vision_heads"])
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(d, c["layer_eps"]), nn.LayerNorm(d, c["layer_eps"])
        self.mlp = VisionMlp(d, c["vision_mlp"])

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class VisionTower(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, p = c["vision_hidden"], c["patch_size"]
        self.patches_per_side, self.factor = c["image_size"] // p, c["scale_factor"]
        self.embeddings = nn.Module()
        self.embeddings.patch_embedding = nn.Conv2d(3, d, p, p)
        self.embeddings.position_embedding = nn.Embedding(self.patches_per_side**2, d)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList([VisionLayer(c) for _ in range(c["vision_layers"])])
        self.post_layernorm = nn.LayerNorm(d, c["layer_eps"])

    def forward(self, pixels):  # uint8 (B, 64, 64, 3) → (B, patches, d)
        x = (pixels.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        x = self.embeddings.patch_embedding(x).flatten(2).transpose(1, 2) + self.embeddings.position_embedding.weight
        for layer in self.encoder.layers:
            x = layer(x)
        return self.post_layernorm(x)

    def shuffled(self, pixels):  # → (B, image tokens, d · factor²)
        x = self(pixels)
        B, _, D = x.shape
        g, f = self.patches_per_side, self.factor
        return x.view(B, g // f, f, g // f, f, D).permute(0, 1, 3, 2, 4, 5).reshape(B, (g // f) ** 2, f * f * D)


class RmsNorm(nn.Module):
    def __init__(self, d, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(d)), eps

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.weight.to(x.dtype), self.eps)


class TextLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, m = c["hidden"], c["mlp"]
        self.heads = c["heads"]
        self.self_attn, self.mlp = nn.Module(), nn.Module()
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self.self_attn, name, nn.Linear(d, d, bias=False))
        self.mlp.gate_proj, self.mlp.up_proj = nn.Linear(d, m, bias=False), nn.Linear(d, m, bias=False)
        self.mlp.down_proj = nn.Linear(m, d, bias=False)
        self.input_layernorm, self.post_attention_layernorm = RmsNorm(d, c["rms_eps"]), RmsNorm(d, c["rms_eps"])

    def forward(self, x, cos, sin):
        B, T, D = x.shape
        a, h = self.self_attn, self.input_layernorm(x)
        split = lambda t: t.view(B, T, self.heads, D // self.heads).transpose(1, 2)

        def rotate(t):
            left, right = t.chunk(2, -1)
            return t * cos + torch.cat([-right, left], -1) * sin

        q, k, v = rotate(split(a.q_proj(h))), rotate(split(a.k_proj(h))), split(a.v_proj(h))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + a.o_proj(y.transpose(1, 2).reshape(B, T, D))
        h, m = self.post_attention_layernorm(x), self.mlp
        return x + m.down_proj(F.silu(m.gate_proj(h)) * m.up_proj(h))


class TextModel(nn.Module):
    def __init__(self, vocabulary, c):
        super().__init__()
        d, head = c["hidden"], c["hidden"] // c["heads"]
        self.embed_tokens = nn.Embedding(vocabulary, d)
        self.layers = nn.ModuleList([TextLayer(c) for _ in range(c["layers"])])
        self.norm = RmsNorm(d, c["rms_eps"])
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        for name, p in self.layers.named_parameters():
            if p.ndim == 2:
                std = 1 / math.sqrt(p.shape[1])
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    std /= math.sqrt(2 * c["layers"])
                nn.init.normal_(p, std=std)
        inverse = 1 / (c["rope_theta"] ** (torch.arange(0, head, 2) / head))
        angles = torch.outer(torch.arange(float(c["max_positions"])), inverse)
        angles = torch.cat([angles, angles], -1)
        self.register_buffer("cos", angles.cos(), False)
        self.register_buffer("sin", angles.sin(), False)

    def forward(self, x):  # embeddings (B, T, d) → before the final norm
        T = x.shape[1]
        for layer in self.layers:
            x = layer(x, self.cos[:T], self.sin[:T])
        return x

    def logits(self, x):  # tied head
        return F.linear(self.norm(x), self.embed_tokens.weight)


class BaseModel(nn.Module):
    def __init__(self, vocabulary, config=CONFIG):
        super().__init__()
        self.vision_model = VisionTower(config)
        self.connector = nn.Module()
        self.connector.modality_projection = nn.Module()
        wide = config["vision_hidden"] * config["scale_factor"] ** 2
        self.connector.modality_projection.proj = nn.Linear(wide, config["hidden"], bias=False)
        nn.init.normal_(self.connector.modality_projection.proj.weight, std=0.02)
        self.text_model = TextModel(vocabulary, config)

    def embed(self, features, ids):
        """<bos>, image tokens, then the rest: features (B, 16, wide) or None, ids (B, T) starting with <bos>."""
        text = self.text_model.embed_tokens(ids)
        if features is None:
            return text
        image = self.connector.modality_projection.proj(features).to(text.dtype)
        return torch.cat([text[:, :1], image, text[:, 1:]], 1)
