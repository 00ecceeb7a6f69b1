"""The gates a base model must pass before it is shipped, on scenes and look-ups it never saw."""

import numpy as np
import torch

import corpus

GATES = {"biggest": 0.8, "air": 0.9, "ground": 0.9, "read2": 0.9, "read3": 0.9, "read4": 0.9}


def answer(model, tokens, features, question, candidates):
    """The best of the candidate words after `question`, by the logit of its (single) token."""
    ids = torch.tensor([[corpus.BOS, *tokens.encode(question).ids]]).repeat(len(features), 1)
    choice = torch.tensor([tokens.encode(word).ids[0] for word in candidates])
    with torch.no_grad():
        x = model.text_model(model.embed(features, ids))
        best = model.text_model.logits(x[:, -1])[:, choice].argmax(-1)
    return [candidates[i] for i in best.tolist()]


def gates(model, tokens, lookups, features, rows, words):
    """Name → accuracy. Look-ups are asked over the whole vocabulary, behind a picture, in the natural templates."""
    share = lambda said, key: float(np.mean([a == row[key] for a, row in zip(said, rows)]))
    result = {
        "biggest": share(answer(model, tokens, features, "what is biggest ?", words["nouns"]), "biggest"),
        "air": share(answer(model, tokens, features, "what is in the air ?", words["air"]), "air"),
        "ground": share(answer(model, tokens, features, "look of the ground ?", words["look"]), "look"),
    }
    pictures = features[torch.arange(256) % len(features)]
    for pairs in (2, 3, 4, 6):
        said = []
        for template in range(3):
            ids, _ = lookups.batch(np.random.RandomState(77), 256, pairs, template, asked=1, split=True)
            ids = torch.from_numpy(ids)
            with torch.no_grad():
                x = model.text_model(model.embed(pictures, ids[:, :-1]))
                said.append((model.text_model.logits(x[:, -1]).argmax(-1) == ids[:, -1]).float().mean().item())
        result[f"read{pairs}"] = float(np.mean(said))
    return result
