"""Loads what `contextlora export` wrote with transformers and PEFT and compares logits. Called by check-exports.ts: check_exports.py CASES.json"""
import json, sys
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

results = []
for case in json.load(open(sys.argv[1])):
    sees = case["architecture"] in ("idefics3", "smolvlm", "llava")
    kind = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    tensors = load_file(case["file"])
    inputs = {"input_ids": torch.tensor([case["ids"]])}
    if "pixels" in tensors:
        pixels = tensors["pixels"][None]
        inputs["pixel_values"] = pixels if case["architecture"] == "llava" else pixels[None]

    def logits(model):
        with torch.no_grad():
            return model.eval()(**inputs).logits[0, -1].double()

    def load(path):
        return kind.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")

    ours = tensors["logits"].double()
    scale = ours.abs().max()
    plain = logits(load(case["base"]))
    # In the type that its configuration names, as a user loads it.
    merged = logits(kind.from_pretrained(case["merged"], attn_implementation="eager"))
    peft = logits(PeftModel.from_pretrained(load(case["base"]), case["peft"]))
    far = lambda other: float((other - ours).abs().max() / scale)
    results.append({"task": case["task"], "merged": far(merged), "peft": far(peft), "effect": far(plain)})
print(json.dumps(results))
