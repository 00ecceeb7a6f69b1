"""Loads what the demo wrote with PEFT and transformers, asks the same questions, and compares the answers:
the probabilities of all labels, each with its end, and what PEFT writes when it writes freely.

usage: check-peft.py [DEMO_OUTPUT] [MODEL_DIRECTORY]     (needs torch, transformers, peft, pillow)
"""

import json
import os
import sys

import numpy as np
import torch
from peft import PeftModel
from PIL import Image
from tokenizers import Tokenizer
from transformers import AutoModelForImageTextToText

root = os.path.join(os.path.dirname(__file__), "..")
output = sys.argv[1] if len(sys.argv) > 1 else os.path.join(root, "demo-output")
directory = sys.argv[2] if len(sys.argv) > 2 else os.path.join(root, "packages/benchmarks/models/iov-base")
with open(os.path.join(output, "question.json")) as file:
    question = json.load(file)
with open(os.path.join(directory, "config.json")) as file:
    config = json.load(file)
tokens = Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
pixels = np.asarray(Image.open(os.path.join(output, question["image"])).convert("RGB"), dtype=np.float32)
image = torch.from_numpy((pixels / 255 - 0.5) / 0.5).permute(2, 0, 1)[None, None]

end = config["text_config"]["eos_token_id"]


def logits_of(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), pixel_values=image).logits[0]


worst, same = 0.0, True
for line in question["answers"]:
    base = AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, os.path.join(output, "adapters", line["task"])).eval()
    ids = [config["text_config"]["bos_token_id"], *[config["image_token_id"]] * 16, *tokens.encode(line["prompt"], add_special_tokens=False).ids]
    answers = [[*tokens.encode(label, add_special_tokens=False).ids, end] for label in line["labels"]]
    sums = []
    for answer in answers:
        steps = torch.log_softmax(logits_of(model, [*ids, *answer[:-1]])[-len(answer) :].double(), -1)
        sums.append(sum(step[token] for step, token in zip(steps, answer)))
    theirs = torch.log_softmax(torch.stack(sums), -1)
    written = []
    while len(written) < 8 and (not written or written[-1] != end):
        written.append(int(logits_of(model, [*ids, *written])[-1].argmax()))
    writes_it = written == answers[line["labels"].index(line["answer"])]
    difference = (theirs - torch.tensor(line["labelLogProbabilities"], dtype=torch.float64)).abs().max().item()
    worst = max(worst, difference)
    same = same and writes_it and line["labels"][int(theirs.argmax())] == line["answer"]
    said = tokens.decode(written)
    print(f"{line['task']:9} PEFT writes {said:11} ContextLoRA says {line['answer']:11} log-probabilities differ by {difference:.1e}")
print(f"largest difference {worst:.1e}")
sys.exit(0 if same and worst < 1e-4 else "the answers differ")
