"""Reads adapters that this project exported with PEFT and compares logits. Called by check-peft.ts: check-peft.py CASES.json"""
import json, sys
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

results = []
for case in json.load(open(sys.argv[1])):
    kind = AutoModelForImageTextToText if case["vision"] else AutoModelForCausalLM
    base = kind.from_pretrained(case["base"], dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.tensor([case["ids"]])
    with torch.no_grad():
        plain = base(input_ids=ids).logits[0]
        if case["vision"]:
            loaded = PeftModel.from_pretrained(base, case["adapter"])
        else:  # The base is the one that the adapter names.
            loaded = AutoPeftModelForCausalLM.from_pretrained(case["adapter"], dtype=torch.float32, attn_implementation="eager")
        adapted = loaded.eval()(input_ids=ids).logits[0]
    ours = load_file(case["logits"])["logits"]
    results.append({"case": case["name"], "worst": float((adapted - ours).abs().max()), "effect": float((adapted - plain).abs().max())})
print(json.dumps(results))
