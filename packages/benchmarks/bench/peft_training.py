"""The PyTorch side of `npm run bench:train-peer` and `npm run check:parity-training`: transformers + PEFT train the segments of a task
graph one after the other, each as a LoRA adapter of its own beside the frozen adapters of its ancestors.

Reads a plan (see peft-training.ts) from the first line and then commands, each one JSON object; answers each with one JSON object. It
tokenises the examples and reads the pictures by itself. What does not change while a task trains is made before its steps and is not in
their time: batches as tensors, image features, compiled code.
"""

import json
import os
import resource
import sys
import time


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    try:
        import peft
        import torch
        import transformers
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    torch.set_num_threads(plan["threads"])
    torch.manual_seed(0)
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"
    transformers.utils.logging.disable_progress_bar()
    print(json.dumps({"ready": versions}), flush=True)
    phase = None
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "phase":
            phase = Phase(plan, next(task for task in plan["tasks"] if task["id"] == command["task"]))
            answer = phase.look()
        elif command["do"] == "steps":
            answer = phase.steps(command["count"])
        else:
            phase.save()
            answer = {}
        print(json.dumps(answer), flush=True)


def stopwatch():
    wall, cpu = time.perf_counter(), time.process_time()
    return lambda: {"seconds": time.perf_counter() - wall, "cpuSeconds": time.process_time() - cpu}


class Phase:
    """One task in training."""

    def __init__(self, plan, task):
        import torch
        from peft import PeftModel
        from tokenizers import Tokenizer
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

        self.plan, self.task = plan, task
        with open(os.path.join(plan["model"], "config.json")) as file:
            config = json.load(file)
        self.sees = "vision_config" in config
        kind = AutoModelForImageTextToText if self.sees else AutoModelForCausalLM
        model = kind.from_pretrained(plan["model"], dtype=getattr(torch, plan["dtype"]), attn_implementation="sdpa")
        self.image_token, self.image_tokens = config.get("image_token_id"), plan["imageTokens"]
        text = config.get("text_config", config)
        self.pad, self.end = text["pad_token_id"], text["eos_token_id"]
        self.tokens = Tokenizer.from_file(os.path.join(plan["tokenizer"], "tokenizer.json"))

        folder_of = lambda id: os.path.join(plan["adapters"], id)
        frozen = list(task["frozen"])
        if plan["merge"] and frozen:
            # An ancestor never changes again, so it can become part of the weights that it adds to.
            for id in frozen:
                model = PeftModel.from_pretrained(model, folder_of(id)).merge_and_unload()
            frozen = []
        own = task["id"]
        self.model = PeftModel.from_pretrained(model, folder_of(own), adapter_name=own, is_trainable=True)
        for id in frozen:
            self.model.load_adapter(folder_of(id), adapter_name=id)
        self.model.base_model.set_adapter([*frozen, own])
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad = f".{own}." in name
        self.model.train()
        self.trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        options = plan["optimizer"]
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=1.0, betas=(options["beta1"], options["beta2"]), eps=options["epsilon"], weight_decay=options["weightDecay"], fused=True
        )
        inner = self.model.base_model.model
        self.decoder = inner.model.text_model if self.sees else inner.model
        self.head, self.embedding = inner.lm_head, self.decoder.get_input_embeddings()
        self.vision = inner.model
        self.run = torch.compile(self.decoder) if plan["compile"] else self.decoder
        self.at, self.features = 0, {}
        self.prepared = [self.prepare(example) for example in task["examples"]]

    def look(self):
        """Image features of every example that will be seen, each picture once."""
        import torch

        drawn = {index for batch in self.task["batches"] for index in batch}
        paths = list({self.task["examples"][index].get("image"): None for index in sorted(drawn)})
        stop = stopwatch()
        with torch.no_grad():
            for start in range(0, len(paths), 64):
                some = [path for path in paths[start : start + 64] if path is not None]
                if not some:
                    continue
                pixels = torch.stack([self.picture(path) for path in some])
                hidden = self.vision.vision_model(pixel_values=pixels).last_hidden_state
                shuffled = self.vision.connector.pixel_shuffle(hidden, self.vision.connector.scale_factor)
                self.features.update(zip(some, shuffled.unbind()))
        answer = stop()
        self.batches = [self.collate([self.prepared[index] for index in batch]) for batch in self.task["batches"]]
        # Compilation and first use, without a step.
        for batch in self.batches[: 3 if self.plan["compile"] else 1]:
            self.loss(batch).backward()
            self.optimizer.zero_grad(set_to_none=True)
        return answer

    def picture(self, path):
        import numpy as np
        import torch
        from PIL import Image

        pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32)
        return torch.from_numpy((pixels / 255 - 0.5) / 0.5).permute(2, 0, 1)

    def answer_ids(self, answer, prompt):
        encode = lambda text: self.tokens.encode(text, add_special_tokens=False).ids
        plain = encode(answer)
        spaced = plain if prompt[-1:].isspace() else encode(" " + answer)
        return (spaced if len(spaced) <= len(plain) else plain) + [self.end]

    def prepare(self, example):
        ids = self.tokens.encode(example["prompt"]).ids
        if "image" in example:
            ids = [ids[0], *[self.image_token] * self.image_tokens, *ids[1:]]
        answer = self.answer_ids(example["answer"], example["prompt"])
        labels = [self.answer_ids(label, example["prompt"]) for label in example.get("labels", [])]
        choices = []
        for at, _ in enumerate(answer):
            possible = {label[at] for label in labels if label[:at] == answer[:at] and at < len(label)}
            choices.append(sorted(possible) if len(possible) > 1 else None)
        return ids + answer[:-1], len(ids) - 1, answer, choices, example.get("image")

    def collate(self, examples):
        import torch

        time = max(len(ids) for ids, *_ in examples)
        ids = torch.full((len(examples), time), self.pad)
        rows, targets, shares, chosen, masks = [], [], [], [], []
        for row, (tokens, start, answer, choices, _) in enumerate(examples):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            weak = [any(choices) and (bool(choices[at]) or at == len(answer) - 1) for at in range(len(answer))]
            others = weak.count(False)
            for at, target in enumerate(answer):
                rows.append(row * time + start + at)
                targets.append(target)
                shares.append((0.1 if weak[at] else 1 / others) / len(examples))
                if choices[at]:
                    mask = torch.full((self.head.weight.shape[0],), float("-inf"))
                    mask[choices[at]] = 0
                    chosen.append(len(rows) - 1)
                    masks.append(mask)
        images = [self.features[image] for *_, image in examples if image is not None]
        return {
            "ids": ids,
            "images": torch.cat(images) if images else None,
            "rows": torch.tensor(rows),
            "targets": torch.tensor(targets),
            "shares": torch.tensor(shares),
            "chosen": torch.tensor(chosen, dtype=torch.long),
            "masks": torch.stack(masks) if masks else None,
            "count": len(examples),
        }

    def loss(self, batch):
        """For labels -ln p(answer | labels), 0.1 of the vocabulary's loss there and at the end, and its mean elsewhere; for free text the mean alone."""
        import torch
        from torch.nn.functional import cross_entropy

        x = self.embedding(batch["ids"])
        if batch["images"] is not None:
            projected = self.vision.connector.modality_projection(batch["images"])
            x = x.masked_scatter((batch["ids"] == self.image_token)[..., None], projected)
        hidden = self.run(inputs_embeds=x, use_cache=False).last_hidden_state
        logits = self.head(hidden.reshape(-1, hidden.shape[-1])[batch["rows"]]).float()
        loss = (batch["shares"] * cross_entropy(logits, batch["targets"], reduction="none")).sum()
        if batch["masks"] is not None:
            chosen = logits[batch["chosen"]] + batch["masks"]
            loss = loss + cross_entropy(chosen, batch["targets"][batch["chosen"]], reduction="sum") / batch["count"]
        return loss

    def steps(self, count):
        import torch

        losses = []
        stop = stopwatch()
        for batch, rate in list(zip(self.batches, self.task["learningRates"]))[self.at : self.at + count]:
            self.optimizer.param_groups[0]["lr"] = rate
            loss = self.loss(batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.trained, self.plan["optimizer"]["clipNorm"], foreach=True)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
        self.at += count
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {**stop(), "losses": losses, "peakBytes": peak if sys.platform == "darwin" else peak * 1024}

    def save(self):
        """Over the adapter that the phase began with; PEFT puts a named adapter into a folder of its name."""
        self.model.save_pretrained(self.plan["adapters"], selected_adapters=[self.task["id"]])


main()
