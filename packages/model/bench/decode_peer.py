"""The transformers side of `npm run bench:decode`: float32, eager Python, its own cache.

Reads the settings as one JSON object from the first line, then answers every line with a timing. A GGUF file is first written as a
directory of float32 tensors by this project (settings.exporter), because transformers reads such files only with further packages.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    try:
        import torch
        import transformers
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    torch.set_num_threads(settings["threads"])
    path = settings["model"]
    folder = None
    if path.endswith(".gguf"):
        folder = tempfile.TemporaryDirectory()
        subprocess.run([*settings["exporter"], path, folder.name], check=True, stdout=subprocess.DEVNULL)
        path = folder.name
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    model.eval()
    if folder:
        folder.cleanup()
    size = model.config.vocab_size
    prompt = torch.tensor([[5 + (i * 37) % (size - 10) for i in range(settings["promptTokens"])]])
    print("{}", flush=True)
    for _ in sys.stdin:
        with torch.no_grad():
            cpu = time.process_time()
            begin = time.perf_counter()
            out = model(prompt, use_cache=True, logits_to_keep=1)
            token = out.logits[:, -1].argmax(-1, keepdim=True)
            read = time.perf_counter()
            for _ in range(settings["newTokens"] - 1):
                out = model(token, past_key_values=out.past_key_values, use_cache=True)
                token = out.logits[:, -1].argmax(-1, keepdim=True)
            end = time.perf_counter()
            cpu = time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        times = {"prefillSeconds": read - begin, "decodeSeconds": end - read, "cpuSeconds": cpu}
        print(json.dumps({**times, "peakBytes": peak}), flush=True)


main()
