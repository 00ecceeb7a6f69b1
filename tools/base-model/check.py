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


def exported(directory):
    """The exported directory in transformers, behind the few methods the gates need: what is shipped is what is checked."""
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32).eval()


def parity(directory, ours, features_of, pixels, ids):
    """Largest difference between transformers' logits on the exported directory and ours."""
    theirs = exported(directory)
    normalised = (pixels.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    images = torch.full((len(ids), 16), corpus.IMAGE)
    tokens = torch.cat([ids[:, :1], images, ids[:, 1:]], 1)
    with torch.no_grad():
        expected = theirs(input_ids=tokens, pixel_values=normalised[:, None]).logits
        got = ours.text_model.logits(ours.text_model(ours.embed(features_of(pixels), ids)))
    return (expected - got).abs().max().item()


if __name__ == "__main__":
    import json
    import os
    import sys

    from safetensors.torch import load_file

    from model import BaseModel

    work, directory = sys.argv[1], sys.argv[2]
    tokens = corpus.tokenizer(work)
    model = BaseModel(tokens.get_vocab_size()).eval()
    state = load_file(os.path.join(directory, "model.safetensors"))
    model.load_state_dict({name.removeprefix("model."): p.float() for name, p in state.items()})
    pixels, rows = corpus.pictures(work, "validation")
    with torch.no_grad():
        features = torch.cat([model.vision_model.shuffled(pixels[i : i + 128]) for i in range(0, len(pixels), 128)])
        lookups = corpus.LookUps(work)
        result = gates(model, tokens, lookups, features, rows, corpus.words(work))
        ids, _ = lookups.batch(np.random.RandomState(1), 4, 3)
        difference = parity(directory, model, model.vision_model.shuffled, pixels[:4], torch.from_numpy(ids))
    missed = [name for name, least in GATES.items() if result[name] < least]
    if difference > 1e-3:
        missed.append("equality with transformers")
    for name, value in result.items():
        least = GATES.get(name)
        print(f"{name:8} {value:.3f}" + (f"  (gate {least})" if least else ""))
    print(f"largest difference from transformers' logits: {difference:.1e}")
    with open(os.path.join(directory, "gates.json"), "w") as file:
        json.dump({"gates": result, "logitsDifference": difference}, file, indent=2)
        file.write("\n")
    sys.exit(f"missed: {', '.join(missed)}" if missed else 0)
