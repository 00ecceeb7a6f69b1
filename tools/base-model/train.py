"""Trains the base model in three stages; every stage is resumable and counts steps, not seconds.

usage: train.py WORK {vision,reading,language} [--threads N] [--steps N]
"""

import argparse
import math
import os
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import corpus
from model import IMAGE_TOKENS, BaseModel

SAVE_EVERY_SECONDS = 60


def adamw(parameters, betas):
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-3, betas=betas, fused=True)


def save(path, **state):
    torch.save(state, path + ".partial")
    os.replace(path + ".partial", path)


def run(path, modules, optimizer, steps, rate, step_once, evaluate, print_every=200):
    """The loop all stages share. `step_once(random) -> loss`; the random stream of step n is a function of n."""
    first = 0
    if os.path.exists(path):
        state = torch.load(path)
        first = state["step"]
        for name, module in modules.items():
            module.load_state_dict(state[name])
        optimizer.load_state_dict(state["optimizer"])
        print("resume at step", first, flush=True)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    keep = lambda step: save(
        path, step=step, optimizer=optimizer.state_dict(), **{n: m.state_dict() for n, m in modules.items()}
    )
    began, saved, losses = time.time(), time.time(), []
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = step_once(np.random.RandomState(step + 1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append(loss.item())
        done = step + 1
        if done % print_every == 0 or done == steps:
            pace = (time.time() - began) / (done - first)
            print(
                f"{done}/{steps} {time.time() - began:.0f}s left {pace * (steps - done):.0f}s "
                f"loss {np.mean(losses[-print_every:]):.3f} {evaluate()}",
                flush=True,
            )
        if time.time() - saved > SAVE_EVERY_SECONDS or done == steps:
            keep(done)
            saved = time.time()


def cosine(peak, warmup):
    return lambda step, steps: peak * min(1, (step + 1) / warmup) * (
        0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps))
    )


def vision(work, steps):
    """Each patch says which thing covers it; the pooled picture says weather and ground."""
    pixels, rows = corpus.pictures(work, "train")
    held, held_rows = corpus.pictures(work, "validation")
    nouns = len(corpus.words(work)["nouns"])
    labels = lambda of: tuple(torch.tensor([r[k] for r in of]) for k in ("patches", "weather", "ground"))
    patches, weather, ground = labels(rows)
    held_patches, held_weather, held_ground = labels(held_rows)
    tower = BaseModel(8).vision_model
    heads = nn.ModuleDict({"patch": nn.Linear(128, nouns + 1), "whole": nn.Linear(128, 9)})
    optimizer = adamw([*tower.parameters(), *heads.parameters()], (0.9, 0.98))
    weights = torch.ones(nouns + 1)
    weights[0] = 0.3

    def forward(px):
        x = tower(px)
        return heads["patch"](x).float(), heads["whole"](x.mean(1)).float()

    def step_once(random):
        pick = random.randint(0, len(pixels), 48)
        a, b = forward(pixels[pick])
        return (
            F.cross_entropy(a.flatten(0, 1), patches[pick].flatten(), weights)
            + 0.5 * F.cross_entropy(b[:, :5], weather[pick])
            + 0.5 * F.cross_entropy(b[:, 5:], ground[pick])
        )

    def evaluate():
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            a, b = forward(held)
        covered, right = held_patches > 0, a.argmax(-1) == held_patches
        return (
            f"things {right[covered].float().mean():.3f} background {right[~covered].float().mean():.3f} "
            f"weather {(b[:, :5].argmax(1) == held_weather).float().mean():.3f} "
            f"ground {(b[:, 5:].argmax(1) == held_ground).float().mean():.3f}"
        )

    run(f"{work}/vision.pt", {"tower": tower, "heads": heads}, optimizer, steps, cosine(1.5e-3, 100), step_once, evaluate)


def read_accuracy(model, lookups, pairs, template, features=None, count=256):
    ids, _ = lookups.batch(np.random.RandomState(77), count, pairs, template, asked=1)
    ids = torch.from_numpy(ids)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        x = model.text_model(model.embed(features, ids[:, :-1]))
        guess = model.text_model.logits(x[:, -1]).argmax(-1)
    return (guess == ids[:, -1]).float().mean().item()


def copy_accuracy(model, lookups):
    """How often the second half of a repeated sequence of 8 words is copied: rises before look-ups do."""
    ids, mask = lookups.repeats(np.random.RandomState(78), 256, 8)
    ids, asked = torch.from_numpy(ids), torch.from_numpy(mask[0, 1:] == 1)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        x = model.text_model(model.embed(None, ids[:, :-1]))[:, asked]
        return (model.text_model.logits(x).argmax(-1) == ids[:, 1:][:, asked]).float().mean().item()


def reading(work, steps):
    """Copying and look-ups from text alone: first the shortest template and halves of the words, then everything."""
    lookups = corpus.LookUps(work)
    torch.manual_seed(0)
    model = BaseModel(corpus.tokenizer(work).get_vocab_size())
    optimizer = adamw(model.text_model.parameters(), (0.9, 0.95))
    widen = 7500
    count = {"step": 0}

    def step_once(random):
        early = count["step"] < widen
        if random.rand() < (1 / 3 if early else 0.4):
            ids, mask = lookups.repeats(random, 32, random.randint(4, 13) if early else random.randint(4, 21))
        elif early:
            ids, mask = lookups.batch(random, 32, random.randint(2, 4), 0, split=random.rand() < 0.6)
        else:
            ids, mask = lookups.batch(random, 32, random.randint(2, 9), random.randint(3), split=random.rand() < 0.75)
        ids, mask = torch.from_numpy(ids), torch.from_numpy(mask)
        x = model.text_model(model.embed(None, ids[:, :-1]))
        answers = mask[:, 1:] == 1
        return F.cross_entropy(model.text_model.logits(x[answers]).float(), ids[:, 1:][answers])

    def rate(step, steps):
        count["step"] = step
        if step < widen:
            return 2e-3 * min(1, (step + 1) / 100)
        return 1e-3 * max(0.1, min(1, (steps - step) / 2000))

    def evaluate():
        copied = copy_accuracy(model, lookups)
        return f"copy {copied:.2f} " + " ".join(f"t{t}n{n} {read_accuracy(model, lookups, n, t):.2f}" for t in range(3) for n in (2, 4, 6))

    run(f"{work}/reading.pt", {"model": model}, optimizer, steps, rate, step_once, evaluate)


def language(work, steps):
    """Captions and questions about pictures, mixed with look-ups behind a picture so that reading is kept."""
    tokens, lookups = corpus.tokenizer(work), corpus.LookUps(work)
    model = BaseModel(tokens.get_vocab_size())
    model.load_state_dict(torch.load(f"{work}/reading.pt")["model"])
    model.vision_model.load_state_dict(torch.load(f"{work}/vision.pt")["tower"])
    model.vision_model.requires_grad_(False)
    pixels, rows = corpus.pictures(work, "train")
    held, held_rows = corpus.pictures(work, "validation")

    def shuffled(px):
        parts = []
        for start in range(0, len(px), 256):
            with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
                part = model.vision_model.shuffled(px[start : start + 256])
            parts.append(part.half())
        return torch.cat(parts)

    features, held_features = shuffled(pixels), shuffled(held[:400])
    print("features", tuple(features.shape), flush=True)
    texts = [[e.ids for e in tokens.encode_batch(row["texts"])] for row in rows]
    optimizer = adamw([p for p in model.parameters() if p.requires_grad], (0.9, 0.98))
    size = 32

    def with_lookups(random, ids):
        """Statements before a text about the picture, and a question about them after it, as the tasks' prompts have them."""
        pairs = int(random.randint(1, 5))
        (context,), (mask,) = lookups.batch(random, 1, pairs, int(random.randint(3)), asked=1, split=True)
        # the question is the part from the last statement's end; its length depends on the template
        statements = int(np.where(context == lookups.dot)[0][-1]) + 1
        head, question = list(context[1:statements]), list(context[statements:])
        weights = [0.0] * len(head) + [1.0] * len(ids) + [0.0] * (len(question) - 1) + [2.0]
        return head + ids + question, weights

    def step_once(random):
        chosen = random.randint(0, len(rows), size)
        if random.rand() < 0.35:
            pairs, split = random.randint(2, 6), random.rand() < 0.85
            ids, mask = lookups.batch(random, size, pairs, random.randint(3), asked=pairs, split=split)
            ids, weights = torch.from_numpy(ids), torch.from_numpy((mask == 1).astype(np.float32))
        else:
            samples = []
            for i in chosen:
                text = texts[i][random.randint(len(texts[i]))]
                body, weight = with_lookups(random, text) if random.rand() < 0.4 else (text, [1.0] * len(text))
                samples.append(([corpus.BOS, *body, corpus.EOS], [0.0, *weight, 1.0]))
            longest = max(len(body) for body, _ in samples)
            ids, weights = torch.zeros(size, longest, dtype=torch.long), torch.zeros(size, longest)
            for j, (body, weight) in enumerate(samples):
                ids[j, : len(body)], weights[j, : len(weight)] = torch.tensor(body), torch.tensor(weight)
        x = model.text_model(model.embed(features[chosen].float(), ids))
        # the picture stands between <bos> and the first word: token t of the text is predicted at position t - 1 + 16
        x, target, weights = x[:, IMAGE_TOKENS:-1], ids[:, 1:], weights[:, 1:]
        used = weights > 0
        losses = F.cross_entropy(model.text_model.logits(x[used]).float(), target[used], reduction="none")
        return (losses * weights[used]).sum() / weights[used].sum()

    def evaluate():
        import check

        return " ".join(f"{k} {v:.3f}" for k, v in check.gates(model, tokens, lookups, held_features.float(), held_rows[:400], corpus.words(work)).items())

    run(f"{work}/language.pt", {"model": model}, optimizer, steps, cosine(1.2e-3, 150), step_once, evaluate, 250)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("work")
    parser.add_argument("stage", choices=["vision", "reading", "language"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    stage, default = {"vision": (vision, 5000), "reading": (reading, 14000), "language": (language, 6000)}[arguments.stage]
    stage(arguments.work, arguments.steps or default)
