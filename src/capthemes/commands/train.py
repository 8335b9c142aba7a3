"""capthemes train."""

import argparse
import shlex
import sys
from pathlib import Path

from capthemes.commands.terminal import Commands, add_texts, open_console
from capthemes.store import data_name


def add(commands: Commands) -> None:
    train = commands.add_parser("train", help="train a model on labelled paragraphs", description=_train.__doc__)
    add = train.add_argument
    sets = "annotated sets' names, as written or written/train; folders of splits, or labelled jsonl files"
    add("--data", required=True, nargs="+", metavar="SET", help=sets)
    add("--dev", nargs="+", default=[], metavar="SET", help="sets to fit the decision on, in place of cross-validation")
    add_texts(train)
    family = "linear, transformer, ensemble (both), fewshot, zeroshot, keywords, or a bundled model's (default: linear)"
    add("--family", default="linear", help=family)
    encoder = "a folder or a Hub name: what transformer begins from (default: all-MiniLM-L6-v2), or what zeroshot asks"
    add("--encoder", metavar="ENCODER", help=encoder)
    add("--codebook", type=Path, metavar="FILE", help="your own codebook: markdown as the built-in one, or a csv table")
    base = "a model that keeps its themes as they are; only the codebook's other themes are trained"
    add("--base", metavar="MODEL", help=base)
    unread = "train on paragraphs that were not read for a theme as not having it; the card says so"
    add("--count-unread", action="store_true", help=unread)
    add("--seed", type=int, default=0, help="of what is drawn at random (default: 0)")
    add("--measure", metavar="SET", help="a set or labelled jsonl to score the model on, apart from all above")
    add("-o", "--output", required=True, type=Path, metavar="FOLDER", help="the model's folder; its name is its name")
    train.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> None:
    """Train a model: cross-validate, fit its decision on unseen predictions, refit on all, save it with its card."""
    from dataclasses import replace

    from capthemes import card
    from capthemes.codebook import Codebook
    from capthemes.model import check_folder, load
    from capthemes.training import check_apart, extended, gather, measure, train

    console, base = open_console(), load(options.base) if options.base else None
    codebook = extended(Codebook.load(options.codebook) if options.codebook else None, base)
    name = options.output.resolve().name
    check_folder(options.output)
    data, left_out = gather(options.data, options.texts, codebook)
    dev, left_out_of_dev = gather(options.dev, options.texts, codebook) if options.dev else ({}, [])
    gold, left_out_of_gold = gather([options.measure], options.texts, codebook) if options.measure else ({}, [])
    for part in gold.values():
        check_apart([p for trained in (data, dev) for found in trained.values() for p in found], part, options.measure)
    for line in left_out + left_out_of_dev + left_out_of_gold:
        sys.stderr.write(f"capthemes: {line}\n")
    own = {"encoder": options.encoder} if options.encoder else {}
    model = train(
        data,
        name=name,
        family=options.family,
        dev=dev,
        codebook=codebook,
        base=base,
        count_unread=options.count_unread,
        seed=options.seed,
        **own,
    )
    for line in card.limits(model.about):
        sys.stderr.write(f"capthemes: {line}\n")
    if options.measure:
        model = measure(model, gold[options.measure], data_name(options.measure), options.seed)
    command = ["capthemes", "train", "--family", options.family, "--seed", str(options.seed)]
    command += ["--count-unread"] * options.count_unread
    for option in ("encoder", "codebook", "base", "data", "dev", "texts", "measure"):
        if value := getattr(options, option):
            command += [f"--{option}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    replace(model, about={**model.about, "command": shlex.join([*command, "-o", f"models/{name}"])}).save(
        options.output
    )
    for entry in model.about["scores"]:
        line = "{data}, {model}: theme micro-F1 {micro_f1[value]:.2f} [{micro_f1[low]:.2f}, {micro_f1[high]:.2f}]"
        console.print(line.format(**entry), highlight=False, markup=False)
    console.print(f"saved {options.output}", highlight=False, markup=False, soft_wrap=True)
