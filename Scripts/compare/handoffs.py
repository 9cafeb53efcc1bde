"""Has each framework read what `trainer hand-off` has written for it: its own parser, its own data classes.

usage: handoffs.py FOLDER [SEQUENCES [RECORD]]        FOLDER: what hand-off has written; SEQUENCES: the run folder's stage-N.tokens;
RECORD: record.jsonl of the same job by our own engine

Run it by a Python that has the framework. Without SEQUENCES only the first step's are compared where they lie in another form.

Prints the versions, and a line for each thing that was compared; ends with 1 where one differs. The configuration is read
by the framework's own parser, optimizer and schedule are built by its own classes on a model without weights and
compared with the plan, tensor by tensor and step by step, and every sequence is read by its own data loader and compared with
the trainer's: tokens, labels, positions, borders of documents; as two processes would read them, too.

With RECORD, axolotl and AutoModel train on the CPU, and their losses and norms are compared with ours; AutoModel's calls for a GPU
are turned to the CPU for that. The others need a GPU. Packages that can't be installed without one are replaced by empty modules
where they are only imported (transformer_engine and others, for megatron-bridge), and named.
"""

import importlib.abc
import importlib.machinery
import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import sys
import types

os.environ.update(CUDA_VISIBLE_DEVICES="", AXOLOTL_DO_NOT_TRACK="1", DO_NOT_TRACK="1", HF_HUB_OFFLINE="1")
folder = pathlib.Path(sys.argv[1]).resolve()
source = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else folder / "sequences.bin"
record = pathlib.Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else None
# In place of this script's own folder, whose files have names of modules.
sys.path[0] = str(folder)
os.chdir(folder)
plan = json.loads((folder / "plan.json").read_text())
failures = 0


def tell(what, is_so, detail=""):
    global failures
    failures += not is_so
    print(f"{'ok      ' if is_so else 'DIFFERS '} {what}{f': {detail}' if detail else ''}", flush=True)


def versions(*names):
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))


# transformer_engine and its like, which are built for a GPU.
ABSENT = ("transformer_engine", "transformer_engine_torch", "modelopt", "mamba_ssm", "causal_conv1d",
          "nvidia_resiliency_ext", "flash_attn", "qwen_vl_utils", "timm", "open_clip", "wandb", "mlflow", "fla")  # fmt: skip


def replace_absent():
    """Lets empty modules stand for what is not here, so that what imports it can be imported."""

    class Anything(type):
        def __getattr__(cls, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return Anything(name, (), {})

    class Module(types.ModuleType):
        __path__ = []

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return Anything(name, (), {})

    class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        replaced = set()

        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in ABSENT:
                self.replaced.add(name.split(".")[0])
                return importlib.machinery.ModuleSpec(name, self, is_package=True)

        def create_module(self, spec):
            return Module(spec.name)

        def exec_module(self, module):
            pass

    version = importlib.metadata.version
    importlib.metadata.version = lambda name: "2.10.0" if name.replace("-", "_") in ABSENT else version(name)
    finder = Finder()
    sys.meta_path.append(finder)
    return finder.replaced


def planned_rows():
    """The sequences as the trainer would train on them."""
    import numpy
    import torch
    from planned import unpack

    if not source.exists():
        from safetensors.torch import load_file

        return [unpack(row) for row in load_file(folder / "golden.safetensors")["rows"]]
    rows = numpy.fromfile(source, dtype="<i4").reshape(-1, 3, plan["length"])
    return [unpack(torch.from_numpy(row.astype("int64"))) for row in rows]


def compare_rows(found, what):
    """found: tokens, labels, positions, documents (or None), each T."""
    expected = planned_rows()
    found = list(found)
    names = ("input_ids", "labels", "position_ids", "attention_mask")
    is_so = len(found) == len(expected)
    for own, row in zip(found, expected):
        is_so &= all(one is None or one.tolist() == row[name].tolist() for name, one in zip(names, own))
    documents = sum(int(row["attention_mask"].max()) for row in expected)
    tell(f"sequences by {what}", is_so, f"{len(found)} of {len(expected)}, {documents} documents")


def compare_moves(parameters, tensors, what):
    """parameters: name -> (rate, decay) at the peak, frozen ones left out; tensors: all names."""
    from planned import group_of, is_frozen

    rate = plan["optimizer"]["rate"]
    wrong = []
    for name in tensors:
        if is_frozen(name):
            wrong += [name] if name in parameters else []
            continue
        group = group_of(name)
        own = parameters.get(name)
        if own is None or abs(own[0] - rate * group["rate"]) > 1e-12 or abs(own[1] - group["decay"]) > 1e-12:
            wrong.append(name)
    frozen = sum(is_frozen(name) for name in tensors)
    tell(f"rates and decays by {what}", not wrong, f"{len(tensors)} parameters, {frozen} frozen{wrong[:3] or ''}")


def compare_factors(found, what, tolerance):
    farthest = max(abs(one - expected) for one, expected in zip(found, plan["factors"]))
    is_so = len(found) == len(plan["factors"]) and farthest <= tolerance
    tell(f"rate of each step by {what}", is_so, f"{len(found)} steps, at most {farthest:.1e} of the peak away")


def model_on_meta():
    """The model as transformers makes it, without weights, with its parameters frozen as the plan has it."""
    import torch
    import transformers

    with torch.device("meta"):
        config = transformers.AutoConfig.from_pretrained(plan["model"])
        return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def groups_of(optimizer, model):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(one)]: (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for one in group["params"]
    }


def automodel():
    os.environ["NEMO_ENABLE_USER_MODULES"] = "1"
    from nemo_automodel.components.config.loader import load_yaml_config
    from nemo_automodel.components.training.step_scheduler import StepScheduler
    from nemo_automodel.recipes._typed_config import RecipeConfig

    versions("nemo-automodel", "torch", "transformers", "datasets")
    config = RecipeConfig(load_yaml_config("automodel.yaml"))
    parts = (config.step_scheduler, config.optimizer, config.lr_scheduler, config.loss_fn, config.checkpoint)
    tell("automodel.yaml by RecipeConfig", all(part is not None for part in parts))
    policy = config.get("distributed.mp_policy")
    tell("precision", policy is not None and str(policy.reduce_dtype).endswith("float32"))

    def rows(rank, ranks):
        for batch in config.dataloader.build(dp_rank=rank, dp_world_size=ranks):
            documents = batch.get("_packed_seq_ids")
            if documents is None:
                documents = batch["labels"] * 0 + 1
            mask = batch["attention_mask"][0, 0]
            same = documents[0][:, None] == documents[0][None]
            assert (mask == (same & same.tril())).all()
            yield batch["input_ids"][0], batch["labels"][0], batch["position_ids"][0], documents[0]

    compare_rows(rows(0, 1), "DataloaderConfig.build and neat_packed_collater")
    compare_rows([row for pair in zip(rows(0, 2), rows(1, 2)) for row in pair], "the same on two ranks")

    model = model_on_meta()
    if config.freeze_config is not None:
        from nemo_automodel.components.utils.model_utils import apply_parameter_freezing

        apply_parameter_freezing(model, config.freeze_config)
    optimizer = config.optimizer.build(model)[0]
    steps = StepScheduler(
        global_batch_size=plan["sequences"], local_batch_size=1, dp_size=1, dataloader=None, max_steps=plan["steps"],
        num_epochs=1, ckpt_every_steps=plan["steps"], preemption_signal=None,
    )  # fmt: skip
    scheduler = config.lr_scheduler.build(optimizer, steps)[0]
    rate = plan["optimizer"]["rate"]
    factors, moves = [], {}
    for _ in range(plan["steps"]):
        group = optimizer.param_groups[0]
        factors.append(group["lr"] / rate / group.get("lr_mult", 1.0))
        scheduler.step(1)
    # What the scheduler has each group at the peak.
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        for one in group["params"]:
            moves[names[id(one)]] = (rate * group.get("lr_mult", 1.0), group["weight_decay"])
    compare_moves(moves, [name for name, _ in model.named_parameters()], "param_group_overrides and freeze_config")
    compare_factors(factors, "OptimizerParamScheduler", tolerance())


def tolerance():
    """As far as hand-off lets a course be off without having it given up."""
    return 1.0 if "schedule:" in (folder / "README.md").read_text().replace("`", "") else 0.01


def axolotl():
    import torch
    from axolotl.cli.config import load_cfg
    from axolotl.integrations.base import PluginManager

    versions("axolotl", "torch", "transformers", "datasets", "accelerate")
    config = load_cfg(str(folder / "axolotl.yaml"))
    tell("axolotl.yaml by load_cfg and its schema", config.max_steps == plan["steps"])
    from axolotl.loaders import load_tokenizer
    from axolotl.utils.data import prepare_datasets

    tokenizer = load_tokenizer(config)
    data, _, steps, _ = prepare_datasets(config, tokenizer)
    tell("steps by prepare_datasets", steps == plan["steps"], str(steps))
    from axolotl.core.trainers.base import AxolotlTrainer
    from axolotl.utils.collators import BatchSamplerDataCollatorForSeq2Seq

    arguments = types.SimpleNamespace(
        curriculum_sampling=config.curriculum_sampling, sample_packing=config.sample_packing, pretraining=False,
        multipack_real_batches=None, per_device_train_batch_size=config.micro_batch_size,
        max_seq_length=config.sequence_len, sample_packing_efficiency=1.0, sample_packing_group_size=100_000,
        sample_packing_bin_size=config.sample_packing_bin_size or 200, dataset_num_proc=1,
        sample_packing_sequentially=config.sample_packing_sequentially, sample_packing_mp_start_method=None,
    )  # fmt: skip
    trainer = AxolotlTrainer.__new__(AxolotlTrainer)
    trainer.args, trainer.state = arguments, types.SimpleNamespace(train_batch_size=None)
    sampler = trainer._get_train_sampler(data)
    kept = data.remove_columns(["length", "attention_mask"])
    collate = BatchSamplerDataCollatorForSeq2Seq(tokenizer)

    def rows():
        for batch in sampler:
            row = collate([[kept[place] for place in places] for places in batch])
            assert "attention_mask" not in row and row["input_ids"].shape == (1, plan["length"] + 1)
            tokens, labels, positions = (row[name][0] for name in ("input_ids", "labels", "position_ids"))
            starts = positions == 0
            if plan["counts_from_row"]:
                starts = None
            yield tokens[:-1], labels[1:], positions[:-1], None if starts is None else starts[:-1].cumsum(0)

    compare_rows(rows(), "AxolotlTrainer's sampler and collator")
    from axolotl_plugin import PlannedRun

    plugins = PluginManager.get_instance().plugins
    tell("plugin", any(isinstance(one, PlannedRun) for one in plugins.values()))
    model = model_on_meta()
    run = PlannedRun()
    run.pre_model_load(config)
    tell("weights are read as float32", config.torch_dtype == torch.float32)
    run.post_model_load(config, model)
    trainer.model, trainer.optimizer = model, None
    run.post_trainer_create(config, trainer)
    arguments.loraplus_lr_ratio = arguments.embedding_lr_scale = arguments.embedding_lr = arguments.lr_groups = None
    optimizer = trainer.create_optimizer()
    tell("optimizer", type(optimizer) is torch.optim.AdamW)
    compare_moves(groups_of(optimizer, model), [name for name, _ in model.named_parameters()], "create_optimizer")
    scheduler = run.create_lr_scheduler(config, trainer, optimizer, plan["steps"])
    first, factors = optimizer.param_groups[0], []
    for _ in range(plan["steps"]):
        factors.append(first["lr"] / first["initial_lr"])
        scheduler.step()
    compare_factors(factors, "create_lr_scheduler", 1e-12)
    # Without a mask, positions that begin anew are borders for transformers.
    from transformers.masking_utils import find_packed_sequence_indices

    row = next(iter(planned_rows()))
    own = find_packed_sequence_indices(row["position_ids"][None])
    expected = torch.zeros_like(row["attention_mask"]) if plan["counts_from_row"] else row["attention_mask"] - 1
    own = torch.zeros(1, plan["length"]) if own is None else own
    tell("borders by transformers' masks", own[0].tolist() == expected.tolist())


def torchtitan():
    import torch
    from torchtitan.config.manager import ConfigManager

    versions("torchtitan", "torch", "datasets", "tyro")
    config = ConfigManager().parse_args(["--module", "torchtitan_job", "--config", "planned", "--training.seed", "1"][:4])
    tell("torchtitan_job.planned by ConfigManager", config.training.steps == plan["steps"])
    build = config.dataloader.build

    def rows(rank, ranks):
        loader = build(dp_world_size=ranks, dp_rank=rank, tokenizer=None, seq_len=plan["length"], local_batch_size=1)
        from torchtitan.models.common.attention import get_document_mask_mod

        for inputs, labels in loader:
            positions = inputs["positions"]
            mod = get_document_mask_mod(positions)
            places = torch.arange(plan["length"])
            same = mod(0, 0, places[:, None], places[None])
            documents = 1 + (~same[1:].diagonal()).cumsum(0)
            documents = torch.cat([torch.ones(1, dtype=documents.dtype), documents])
            yield inputs["input"][0], labels[0], positions[0], documents

    compare_rows(rows(0, 1), "the data loader and FlexAttention's document mask")
    compare_rows([row for pair in zip(rows(0, 2), rows(1, 2)) for row in pair], "the same on two ranks")
    whole = build(dp_world_size=1, dp_rank=0, tokenizer=None, seq_len=plan["length"], local_batch_size=1)
    seen = iter(whole)
    for _ in range(2):
        next(seen)
    state = whole.state_dict()
    again = build(dp_world_size=1, dp_rank=0, tokenizer=None, seq_len=plan["length"], local_batch_size=1)
    again.load_state_dict(state)
    tell("third sequence after a resume", next(iter(again))[0]["input"][0].tolist() == planned_rows()[2]["input_ids"].tolist())

    spec = config.model_spec
    with torch.device("meta"):
        model = spec.model.build()
    from planned import freeze

    freeze(model)
    optimizer = type(config.optimizer)(param_groups=config.optimizer.param_groups, implementation="for-loop")
    optimizers = optimizer.build(model_parts=[model])
    moves = {}
    for one in optimizers:
        moves.update(groups_of(one, model))
    compare_moves(moves, [name for name, _ in model.named_parameters()], "OptimizersContainer")
    schedulers = config.lr_scheduler.build(optimizers=optimizers, training_steps=plan["steps"])
    group, factors = optimizers.optimizers[0].param_groups[0], []
    for _ in range(plan["steps"]):
        factors.append(group["lr"] / group["initial_lr"])
        for one in schedulers:
            one.optimizer._opt_called = True
        schedulers.step()
    compare_factors(factors, "LRSchedulersContainer", 1e-12)

    # The weights of the model's files, by torchtitan's own names and shapes.
    from safetensors import safe_open

    shapes = {}
    for file in plan["files"]:
        opened = safe_open(pathlib.Path(plan["model"]) / file["name"], "pt")
        shapes.update({name: list(opened.get_slice(name).get_shape()) for name in opened.keys()})
    adapter = spec.state_dict_adapter(spec.model, plan["model"])
    own = {name: list(one.shape) for name, one in adapter.to_hf(dict(model.state_dict())).items()}
    shared = {name: shape for name, shape in shapes.items() if not (spec.model.enable_weight_tying and name == "lm_head.weight")}
    tell("tensors by the state dict adapter", own == shared, f"{len(own)} tensors")
    compare_logits(spec, adapter)


def compare_logits(spec, adapter):
    """torchtitan's own model on the CPU, with the weights of the files, beside the trainer's logits."""
    import torch
    from safetensors.torch import load_file
    from torchtitan.models.common.attention import FlexAttention

    golden = load_file(folder / "golden.safetensors")
    model = spec.model.build()
    model.init_weights(buffer_device=None)
    weights = {}
    for file in plan["files"]:
        weights.update(load_file(pathlib.Path(plan["model"]) / file["name"]))
    model.load_state_dict(adapter.from_hf({name: one.float() for name, one in weights.items()}), strict=False)
    model = model.float().eval()
    from planned import unpack

    row = unpack(golden["rows"][0])
    positions = row["position_ids"][None]
    FlexAttention.inductor_configs = {}
    with torch.no_grad():
        masks = model.get_attention_masks(positions=positions)
        logits = model(row["input_ids"][None], positions=positions, attention_masks=masks)[0]
    found = logits[golden["positions"].long()].float()
    farthest = float((found - golden["logits"]).abs().max())
    tell("logits of torchtitan's own model", farthest < 1e-2, f"at most {farthest:.1e} away")


def megatron_bridge():
    replaced = replace_absent()
    import torch
    from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler

    import megatron_job

    versions("megatron-bridge", "megatron-core", "torch", "transformers")
    print("replaced by empty modules:", ", ".join(sorted(replaced)))
    config = megatron_job.planned(load_weights=False)
    tell("megatron_job.planned by ConfigContainer", config.train.train_iters == plan["steps"])
    config.scheduler.finalize()
    data = megatron_job.PlannedDataset()

    def rows(dataset):
        for row in dataset:
            batch = dataset.collate_fn([row])
            from megatron.bridge.training.utils.packed_seq_utils import get_packed_seq_params

            parameters = get_packed_seq_params(
                {name: batch[name] for name in ("cu_seqlens", "cu_seqlens_argmin", "max_seqlen")}
            )
            borders = parameters.cu_seqlens_q.tolist()
            assert borders[-1] == plan["length"] and int(parameters.max_seqlen_q) == max(
                b - a for a, b in zip(borders, borders[1:])
            )
            documents = torch.cat([torch.full((b - a,), n + 1) for n, (a, b) in enumerate(zip(borders, borders[1:]))])
            labels = batch["labels"][0].where(batch["loss_mask"][0] > 0, -100)
            yield batch["tokens"][0], labels, batch["position_ids"][0], documents

    compare_rows(rows(data), "IndexedDataset, and its borders by get_packed_seq_params")
    from megatron.bridge.data.samplers import build_pretraining_data_loader

    def of_rank(rank):
        loader = build_pretraining_data_loader(
            data, 0, "single", 1, 0, True, collate_fn=data.collate_fn, pin_memory=False, persistent_workers=False,
            data_parallel_rank=rank, data_parallel_size=2, global_batch_size=plan["sequences"],
        )  # fmt: skip
        for batch in loader:
            labels = batch["labels"][0].where(batch["loss_mask"][0] > 0, -100)
            yield batch["tokens"][0], labels, batch["position_ids"][0], None

    if plan["sequences"] % 2 == 0:
        pairs = [row for pair in zip(of_rank(0), of_rank(1)) for row in pair]
        compare_rows(pairs, "build_pretraining_data_loader on two ranks")

    # An optimizer of the schedule alone; Megatron's own needs a GPU.
    numbers = plan["optimizer"]
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], lr=numbers["rate"])
    schedule, steps = config.scheduler, plan["steps"]
    scheduler = OptimizerParamScheduler(
        optimizer, init_lr=schedule.lr_warmup_init, max_lr=config.optimizer.lr, min_lr=config.optimizer.min_lr,
        lr_warmup_steps=schedule.lr_warmup_iters, lr_decay_steps=schedule.lr_decay_iters,
        lr_decay_style=schedule.lr_decay_style, start_wd=0.1, end_wd=0.1, wd_incr_steps=steps, wd_incr_style="constant",
        wsd_decay_steps=schedule.lr_wsd_decay_iters, lr_wsd_decay_style=schedule.lr_wsd_decay_style,
    )  # fmt: skip
    factors = []
    for _ in range(steps):
        factors.append(optimizer.param_groups[0]["lr"] / numbers["rate"])
        scheduler.step(1)
    compare_factors(factors, "OptimizerParamScheduler", tolerance())

    # Megatron's names, by the bridge's own table of tensors.
    from transformers import AutoConfig

    from megatron.bridge import AutoBridge

    registry = AutoBridge.from_hf_config(AutoConfig.from_pretrained(plan["model"]))._model_bridge.mapping_registry()
    from safetensors import safe_open

    known, missing = set(), []
    for file in plan["files"]:
        for name in safe_open(pathlib.Path(plan["model"]) / file["name"], "pt").keys():
            own = registry.hf_to_megatron_lookup(name)
            if own is None:
                missing.append(name)
            else:
                known.add(own.megatron_param)
    tell("tensors by the bridge's registry", not missing, f"{len(known)} parameters{missing[:3] or ''}")
    from megatron.bridge.training.config import OptimizerConfigOverrideProviderContext as Context
    from planned import is_frozen

    class Part(torch.nn.Module):
        def named_parameters(self, *_, **__):
            return ((f"module.{name}", torch.nn.Parameter(torch.zeros(1), not is_frozen(name))) for name in sorted(known))

    context = Context(config.scheduler, config.optimizer, [Part()])
    overrides = config.optimizer_config_override_provider.build_config_overrides(context)
    moves = {}
    for key, override in overrides.items():
        for name in key.name:
            moves[name.removeprefix("module.")] = (override["max_lr"], override["wd_mult"] * config.optimizer.weight_decay)
    compare_moves(moves, sorted(known), "OptimizerConfigOverrideProvider")


def compare_steps(found):
    """found: loss and gradient norm of each step."""
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    ours = [(line["loss"], line["grad_norm"]) for line in lines if "grad_norm" in line]
    farthest = [max(abs(a[part] - b[part]) / b[part] for a, b in zip(found, ours)) for part in (0, 1)]
    is_so = len(found) == len(ours) == plan["steps"] and max(farthest) < 2e-3
    detail = f"{len(found)} steps, losses within {farthest[0]:.1e}, gradient norms within {farthest[1]:.1e}"
    tell("losses of the framework's own training, as it prints them", is_so, detail)


def train_axolotl():
    from axolotl.cli.train import do_cli

    shutil.rmtree(folder / "output", ignore_errors=True)
    do_cli("axolotl.yaml", gradient_accumulation_steps=plan["sequences"])
    states = sorted((folder / "output").glob("checkpoint-*/trainer_state.json"))
    history = json.loads(states[-1].read_text())["log_history"]
    compare_steps([(line["loss"], line["grad_norm"]) for line in history if "grad_norm" in line])


def train_automodel():
    import logging

    import nemo_automodel._transformers.auto_model as auto_model
    import torch
    from nemo_automodel.components.config.loader import load_yaml_config
    from nemo_automodel.recipes.llm.train_ft import TrainFinetuneRecipeForNextTokenPrediction

    class OnCPU:
        def __getattr__(self, name):
            return getattr(torch, name)

        def device(self, *_, **__):
            return torch.device("cpu")

    auto_model.torch = OnCPU()
    for name in ("reset_peak_memory_stats", "synchronize", "empty_cache", "set_device"):
        setattr(torch.cuda, name, lambda *_, **__: None)
    torch.cuda.max_memory_allocated = torch.cuda.memory_allocated = lambda *_, **__: 0
    torch.cuda.current_device = lambda: "cpu"
    os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT="29533")
    found = []

    class Listener(logging.Handler):
        def emit(self, record):
            step = re.search(r"\| loss ([0-9.]+) \| grad_norm ([0-9.]+)", record.getMessage())
            if step:
                found.append((float(step[1]), float(step[2])))

    logging.getLogger().addHandler(Listener())
    logging.getLogger().setLevel(logging.INFO)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    config = load_yaml_config("automodel.yaml")
    config.dist_env.backend = "gloo"
    recipe = TrainFinetuneRecipeForNextTokenPrediction(config)
    recipe.setup()
    recipe.run_train_validation_loop()
    compare_steps(found)


tested = {"automodel": automodel, "axolotl": axolotl, "torchtitan": torchtitan, "megatron-bridge": megatron_bridge}
tested[plan["to"]]()
trained = {"automodel": train_automodel, "axolotl": train_axolotl}
if record and plan["to"] in trained:
    trained[plan["to"]]()
sys.exit(1 if failures else 0)
