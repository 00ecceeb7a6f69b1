"""Loads what the demo wrote with PEFT and transformers, asks the same questions, and compares the answers.

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

worst = 0.0
for line in question["answers"]:
    base = AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, os.path.join(output, "adapters", line["task"])).eval()
    ids = [config["text_config"]["bos_token_id"], *[config["image_token_id"]] * 16, *tokens.encode(line["prompt"], add_special_tokens=False).ids]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), pixel_values=image).logits[0, -1]
    chosen = torch.tensor([tokens.encode(label, add_special_tokens=False).ids[0] for label in line["labels"]])
    theirs = torch.log_softmax(logits[chosen].double(), -1)
    difference = (theirs - torch.tensor(line["labelLogProbabilities"], dtype=torch.float64)).abs().max().item()
    worst = max(worst, difference)
    said = line["labels"][int(theirs.argmax())]
    print(f"{line['task']:9} PEFT says {said:11} ContextLoRA says {line['answer']:11} log-probabilities differ by {difference:.1e}")
print(f"largest difference {worst:.1e}")
sys.exit(0 if worst < 1e-3 else "the answers differ")
