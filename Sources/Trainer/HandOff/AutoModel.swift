internal import Formats
internal import Models

/// NeMo AutoModel: one YAML file; the sequences by a dataset of our own, which its `_target_` names.
///
/// Source: NVIDIA-NeMo/Automodel 0.7.0: `recipes/_typed_config.py`, `components/optim/optimizer.py`,
/// `components/datasets/utils.py` (`neat_packed_collater`, which makes the mask from the documents' numbers).
struct AutoModel: HandOffTool {
    let title = "NeMo AutoModel"
    let package = "nemo-automodel==0.7.0"
    let schedule = ScheduleAbility.curves
    let result = "The model is checkpoints/epoch_0_step_LAST/model/consolidated, as Hugging Face writes it."

    /// Its mask of documents takes the place of transformers' own, with the window in it, and is for PyTorch's own attention.
    func check(_ architecture: Architecture, length: Int) throws(UserFacingError) {
        let attention = architecture.layers.map(\.attention)
        let window = attention.compactMap(\.window).min() ?? .max
        let found: String? =
            if attention.contains(where: { $0.softCap != nil }) {
                "a cap on its scores, which attention with AutoModel's mask of documents does not know"
            } else if window < length {
                "a window of \(window) tokens, which AutoModel's mask of documents leaves out"
            } else {
                nil
            }
        guard let found else { return }
        throw UserFacingError(.unsupported, "the model has \(found); hand the run to axolotl")
    }

    func remarks(on plan: HandOffPlan) -> [String] {
        partlyFrozen(plan).isEmpty
            ? []
            : [
                "tensors whose module is trained otherwise are frozen by a rate of 0, and count in the norm that is clipped"
            ]
    }

    /// What keeps its bytes in a module of which something else does not.
    private func partlyFrozen(_ plan: HandOffPlan) -> [String] {
        let modules = plan.moves.frozenModules
        return plan.moves.frozen.filter { name in !modules.contains { name.hasPrefix($0 + ".") } }
    }

    func command(of plan: HandOffPlan) -> String {
        """
        NEMO_ENABLE_USER_MODULES=1 exec automodel automodel.yaml --nproc-per-node "$processes" \\
            --model.pretrained_model_name_or_path "$MODEL"
        """
    }

    func files(of plan: HandOffPlan) -> [(name: String, text: String)] {
        [("automodel.yaml", plan.head + configuration(of: plan)), reader]
    }

    private func configuration(of plan: HandOffPlan) -> String {
        let (stage, numbers) = (plan.stage, plan.stage.optimizer)
        let groups = plan.moves.groups
        let decay = groups.map(\.move.decay).max() ?? 0
        let course = plan.schedule ?? MegatronSchedule()
        let compute = plan.job.dtype == .bf16 ? "torch.bfloat16" : "torch.float32"
        var overrides = groups.map { move, names in
            """

                - pattern: \(YAML.text(NamePattern.matching(names)))
                  lr_mult: \(YAML.number(move.rate))
                  wd_mult: \(YAML.number(decay > 0 ? move.decay / decay : 0))
            """
        }
        let held = partlyFrozen(plan)
        if !held.isEmpty {
            overrides.append(
                "\n    - pattern: \(YAML.text(NamePattern.matching(held)))\n      lr_mult: 0.0\n      wd_mult: 0.0"
            )
        }
        let modules = plan.moves.frozenModules
        let frozen =
            modules.isEmpty
            ? ""
            : "\nfreeze_config:\n  freeze_modules:\n"
                + modules.map { "    - glob: \(YAML.text("*" + $0))\n" }.joined()
        let dropouts = plan.dropouts.map { "\n  \($0): 0.0" }.joined()
        let fall = course.end.map { end in
            """

              wsd_decay_steps: \(course.endSteps)
              lr_wsd_decay_style: \(end.rawValue)
            """
        }
        return """
            recipe: TrainFinetuneRecipeForNextTokenPrediction
            seed: 42

            step_scheduler:
              global_batch_size: \(plan.sequencesPerStep)
              local_batch_size: 1
              max_steps: \(stage.steps)
              num_epochs: 1
              ckpt_every_steps: \(plan.job.rules.checkpointEvery > 0 ? plan.job.rules.checkpointEvery : stage.steps)

            dist_env:
              backend: nccl
              timeout_minutes: 10

            model:
              _target_: nemo_automodel.NeMoAutoModelForCausalLM.from_pretrained
              pretrained_model_name_or_path: \(YAML.text(plan.model))
              torch_dtype: torch.float32
              attn_implementation: sdpa
              # The parameters have the files' names, and the loss is what check.py has compared.
              force_hf: true
              use_liger_kernel: false\(dropouts)
            \(frozen)
            distributed:
              strategy: fsdp2
              dp_size: none
              tp_size: 1
              cp_size: 1
              activation_checkpointing: \(plan.recomputesLayers)
              mp_policy:
                _target_: torch.distributed.fsdp.MixedPrecisionPolicy
                param_dtype: \(compute)
                reduce_dtype: torch.float32

            checkpoint:
              enabled: true
              checkpoint_dir: checkpoints
              model_save_format: safetensors
              save_consolidated: true

            # The sequences in the order of the steps, each with its documents' borders.
            dataset:
              _target_: planned.PlannedSequences

            dataloader:
              _target_: torchdata.stateful_dataloader.StatefulDataLoader
              shuffle: false
              collate_fn: nemo_automodel.components.datasets.utils.neat_packed_collater

            loss_fn:
              _target_: nemo_automodel.components.loss.masked_ce.MaskedCrossEntropy

            clip_grad_norm:
              max_norm: \(YAML.number(numbers.clip ?? 1e30))

            optimizer:
              _target_: torch.optim.AdamW
              lr: \(YAML.number(numbers.rate))
              betas: [\(YAML.number(numbers.beta1)), \(YAML.number(numbers.beta2))]
              eps: \(YAML.number(numbers.epsilon))
              weight_decay: \(YAML.number(decay))
              param_group_overrides:\(overrides.joined())

            lr_scheduler:
              lr_decay_style: \(course.style)
              lr_warmup_steps: \(course.warmup)
              lr_decay_steps: \(course.steps)
              init_lr: \(YAML.number(numbers.rate * course.first))
              max_lr: \(YAML.number(numbers.rate))
              min_lr: \(YAML.number(numbers.rate * course.least))\(fall ?? "")

            """
    }
}

/// Values as YAML takes them.
enum YAML {
    /// A number that every reader takes for one: `1.0e-05`, since YAML 1.1 takes `1e-05` for a text.
    static func number(_ value: Double) -> String {
        let text = "\(value)"
        guard let exponent = text.firstIndex(of: "e"), !text[..<exponent].contains(".") else { return text }
        return text[..<exponent] + ".0" + text[exponent...]
    }

    /// A text between quotation marks.
    static func text(_ value: String) -> String { "'\(value.replacing("'", with: "''"))'" }
}
