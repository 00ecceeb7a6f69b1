"""The pre-training material: pictures and texts written by generate.ts, the tokenizer, and fresh look-ups."""

import json
import os

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIALS = ["<pad>", "<bos>", "<eos>", "<image>"]
PAD, BOS, EOS, IMAGE = range(4)


def pictures(work, name):
    pixels = np.memmap(os.path.join(work, f"{name}.bin"), np.uint8, "r").reshape(-1, 64, 64, 3)
    with open(os.path.join(work, f"{name}.jsonl")) as file:
        return torch.from_numpy(np.array(pixels)), [json.loads(line) for line in file]


def words(work):
    with open(os.path.join(work, "words.json")) as file:
        return json.load(file)


def tokenizer(work):
    path = os.path.join(work, "tokenizer.json")
    if os.path.exists(path):
        return Tokenizer.from_file(path)
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    t.decoder = decoders.ByteLevel()
    random, vocabulary = np.random.RandomState(0), words(work)["reading"]
    with open(os.path.join(work, "validation.jsonl")) as file:
        texts = [text for line in file for text in json.loads(line)["texts"]]
    # Every reading word often enough to become one token.
    texts += [" ".join(random.permutation(vocabulary)) for _ in range(60)]
    t.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=1800, min_frequency=20, special_tokens=SPECIALS, show_progress=False,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        ),
    )  # fmt: skip
    t.save(path)
    return t


class LookUps:
    """Key-value look-ups over single-token words, drawn afresh every time, in the spelling the tasks use."""

    def __init__(self, work):
        t = tokenizer(work)
        encode = lambda word: t.encode(word).ids
        # With `split`, the first half are keys: the words the tasks use as keys belong there.
        keys = ["traffic", "weather", "road", "limit"]
        ordered = keys + [w for w in words(work)["reading"] if w not in keys]
        self.words = np.array([encode(w)[0] for w in ordered])
        assert all(len(encode(w)) == 1 for w in words(work)["reading"]), "a reading word is not one token"
        the, is_, dot, what, ask = (encode(w)[0] for w in ["the", "is", ".", "what", "?"])
        # (before key, between, after value), (before asked key, after it)
        self.templates = [
            (([], [], [dot]), ([], [ask])),
            (([the], [is_], [dot]), ([what, is_, the], [ask])),
            (([], [is_], [dot]), ([], [is_])),
        ]
        self.dot = dot

    def batch(self, random, size, pairs, template=0, asked=99, split=False):
        """ids (size, T) with <bos>, and a mask that is 1 at asked values and 2 at other words.

        `split` keeps keys and values to disjoint halves of the words, which is easier to start with.
        """
        W, half = self.words, len(self.words) // 2
        if split:
            keys = W[np.argsort(random.rand(size, half), 1)[:, :pairs]]
            values = W[half + np.argsort(random.rand(size, len(W) - half), 1)[:, :pairs]]
        else:
            drawn = np.argsort(random.rand(size, len(W)), 1)[:, : 2 * pairs]
            keys, values = W[drawn[:, :pairs]], W[drawn[:, pairs:]]
        (before, between, after), (ask_before, ask_after) = self.templates[template]
        column = lambda token: np.full((size, 1), token)
        columns, mask = [column(BOS)], [0]

        def add(tokens, kind=2):
            columns.extend(column(x) for x in tokens)
            mask.extend([kind] * len(tokens))

        for i in range(pairs):
            add(before)
            columns.append(keys[:, i : i + 1]), mask.append(2)
            add(between)
            columns.append(values[:, i : i + 1]), mask.append(2)
            add(after)
        order = np.argsort(random.rand(size, pairs), 1)[:, :asked]
        for i in range(min(asked, pairs)):
            j = order[:, i : i + 1]
            add(ask_before)
            columns.append(np.take_along_axis(keys, j, 1)), mask.append(2)
            add(ask_after)
            columns.append(np.take_along_axis(values, j, 1)), mask.append(1)
            if i + 1 < min(asked, pairs):
                add([self.dot])
        return np.concatenate(columns, 1), np.tile(np.array(mask), (size, 1))

    def repeats(self, random, size, length):
        """A random sequence of words, twice: the second half can be copied."""
        half = self.words[random.randint(0, len(self.words), (size, length))]
        ids = np.concatenate([np.full((size, 1), BOS), half, half], 1)
        mask = np.array([0] + [2] * (length + 1) + [1] * (length - 1))
        return ids, np.tile(mask, (size, 1))
