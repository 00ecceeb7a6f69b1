"""Writes the base model as a Hugging Face directory in the SmolVLM layout, weights in float16.

usage: export.py WORK OUTPUT [CHECKPOINT]
"""

import json
import os
import sys

import torch
from safetensors.torch import save_file
from tokenizers import processors

import corpus
from model import CONFIG, BaseModel

work, output = sys.argv[1], sys.argv[2]
checkpoint = sys.argv[3] if len(sys.argv) > 3 else os.path.join(work, "language.pt")
tokens = corpus.tokenizer(work)
vocabulary = tokens.get_vocab_size()
model = BaseModel(vocabulary)
model.load_state_dict(torch.load(checkpoint)["model"])
os.makedirs(output, exist_ok=True)

state = {f"model.{name}": p.detach().half().contiguous() for name, p in model.state_dict().items()}
save_file(state, os.path.join(output, "model.safetensors"), metadata={"format": "pt"})


def write(name, value):
    with open(os.path.join(output, name), "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


c = CONFIG
ids = dict(bos_token_id=corpus.BOS, eos_token_id=corpus.EOS, pad_token_id=corpus.PAD)
write(
    "config.json",
    {
        "architectures": ["SmolVLMForConditionalGeneration"],
        "model_type": "smolvlm",
        "dtype": "float16",
        "image_token_id": corpus.IMAGE,
        "scale_factor": c["scale_factor"],
        "tie_word_embeddings": True,
        "pad_token_id": corpus.PAD,
        "text_config": {
            "model_type": "llama", "vocab_size": vocabulary, "hidden_size": c["hidden"],
            "intermediate_size": c["mlp"], "num_hidden_layers": c["layers"], "num_attention_heads": c["heads"],
            "num_key_value_heads": c["heads"], "head_dim": c["hidden"] // c["heads"], "hidden_act": "silu",
            "rms_norm_eps": c["rms_eps"], "max_position_embeddings": c["max_positions"],
            "rope_parameters": {"rope_theta": c["rope_theta"], "rope_type": "default"},
            "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True, **ids,
        },
        "vision_config": {
            "model_type": "smolvlm_vision", "hidden_size": c["vision_hidden"], "intermediate_size": c["vision_mlp"],
            "num_hidden_layers": c["vision_layers"], "num_attention_heads": c["vision_heads"], "num_channels": 3,
            "image_size": c["image_size"], "patch_size": c["patch_size"], "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": c["layer_eps"], "attention_dropout": 0.0,
        },
    },
)  # fmt: skip
write("generation_config.json", ids)
write(
    "tokenizer_config.json",
    {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>",
        "clean_up_tokenization_spaces": False, "model_max_length": c["max_positions"],
    },
)  # fmt: skip
write(
    "preprocessor_config.json",
    {
        "do_resize": True, "size": {"height": 64, "width": 64}, "resample": 3, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    },
)  # fmt: skip
# Every text of the training began so; readers learn it here.
tokens.post_processor = processors.TemplateProcessing(
    single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", corpus.BOS)]
)
tokens.save(os.path.join(output, "tokenizer.json"))
print(output, sum(os.path.getsize(os.path.join(output, f)) for f in os.listdir(output)), "bytes")
