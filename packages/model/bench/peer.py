"""The PyTorch side of `npm run bench:kernels`: one LoRA step of transformers + PEFT per line of input.

Reads the settings as one JSON object from the first line; then answers every line "step" with the step's milliseconds and the peak
resident memory so far, as JSON.
"""

import json
import resource
import sys
import time


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    try:
        import peft
        import torch
        import transformers
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    shape = settings["shape"]
    kind = transformers.Qwen2Config if shape["attentionBias"] else transformers.LlamaConfig
    config = kind(
        vocab_size=shape["vocabularySize"],
        hidden_size=shape["hiddenSize"],
        intermediate_size=shape["mlpSize"],
        num_hidden_layers=shape["layerCount"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["kvHeads"],
        rms_norm_eps=shape["rmsEpsilon"],
        max_position_embeddings=shape["maximumPositions"],
        tie_word_embeddings=shape["tiedHead"],
        use_cache=False,
    )
    base = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, settings["dtype"]))
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    lora = peft.LoraConfig(r=settings["rank"], lora_alpha=2 * settings["rank"], target_modules=targets)
    model = peft.get_peft_model(base, lora)
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    # One token more than is read: every one of the `time` positions has a target, as on the other side.
    ids = torch.randint(0, shape["vocabularySize"], (settings["batch"], settings["time"] + 1))
    rows, wanted = ids[:, :-1], ids[:, 1:]
    left, right = torch.ones(1024, 1024), torch.ones(1024, 1024)
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        left @ right.t()
        seconds.append(time.perf_counter() - start)
    ceiling = 2 * 1024**3 / min(seconds)
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}, {settings['dtype']}"
    count = sum(p.numel() for p in trained)
    print(json.dumps({"ready": versions, "trainedParameters": count, "productFlopsPerSecond": ceiling}), flush=True)
    for line in sys.stdin:
        if line.strip() != "step":
            break
        start = time.perf_counter()
        logits = model(input_ids=rows).logits
        loss = torch.nn.functional.cross_entropy(logits.float().view(-1, logits.shape[-1]), wanted.reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        del logits
        value = loss.item()
        milliseconds = (time.perf_counter() - start) * 1000
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # Kilobytes on Linux, bytes on macOS.
        peak_bytes = peak if sys.platform == "darwin" else peak * 1024
        print(json.dumps({"milliseconds": milliseconds, "peakBytes": peak_bytes, "loss": value}), flush=True)


main()
