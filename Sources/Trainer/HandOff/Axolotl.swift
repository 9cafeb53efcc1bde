internal import Formats

/// axolotl: one YAML file, JSON lines that are tokenised already, and a plugin.
///
/// A line has T + 1 tokens, for models shift labels by one: the last one is there for its label alone, and is a text of its
/// own. `length` is the line's, so that axolotl's packing in order makes a batch of each line, and `attention_mask` is left
/// out there: attention then follows from `position_ids`.
///
/// Source: axolotl 0.19.0: `utils/data/sft.py`, `utils/samplers/multipack.py`, `core/trainers/base.py`,
/// `core/trainers/mixins`, `integrations/base.py`.
struct Axolotl: HandOffTool {
    let title = "axolotl"
    let package = "axolotl==0.19.0"
    let schedule = ScheduleAbility.table
    let result = "The model is output, as Hugging Face writes it."

    func command(of plan: HandOffPlan) -> String {
        """
        exec torchrun --nproc-per-node "$processes" -m axolotl.cli.train axolotl.yaml \\
            --base_model="$MODEL" --gradient_accumulation_steps=$((\(plan.sequencesPerStep) / processes))
        """
    }

    func writeData(of plan: HandOffPlan, to folder: String) throws(UserFacingError) -> [String] {
        let name = "sequences.jsonl"
        let file = try OutputStream(Path.join(folder, name))
        let length = plan.sequences.length + 1
        let mask = "[" + Array(repeating: "1", count: length).joined(separator: ",") + "]"
        func list(_ numbers: [Int32]) -> String {
            "[" + numbers.map(String.init).joined(separator: ",") + "]"
        }
        for index in 0..<plan.sequences.count {
            let row = try plan.sequences.row(index)
            let positions = row.starts.enumerated().map { place, start in
                Int32(place) - (plan.stage.countsFromRow ? 0 : start)
            }
            let last = row.targets.last.map { max(0, $0) } ?? 0
            let line = """
                {"input_ids":\(list(row.tokens + [last])),"attention_mask":\(mask),\
                "labels":\(list([-100] + row.targets.map { $0 >= 0 ? $0 : -100 })),\
                "position_ids":\(list(positions + [0])),"length":\(length)}

                """
            try file.append(bytes: Array(line.utf8))
        }
        try file.close()
        return [name]
    }

    func files(of plan: HandOffPlan) -> [(name: String, text: String)] {
        [
            ("axolotl.yaml", plan.head + configuration(of: plan)),
            ("axolotl_plugin.py", text(PackageResources.axolotl_plugin_py)), reader,
        ]
    }

    private func configuration(of plan: HandOffPlan) -> String {
        let (stage, numbers) = (plan.stage, plan.stage.optimizer)
        let isBF16 = plan.job.dtype == .bf16
        // PyTorch's own attention knows no cap of scores, and flash attention no float32.
        let isCapped = plan.configuration["attn_logit_softcapping"]?.double != nil
        let attention = isBF16 ? "flash_attention_2" : isCapped ? "eager" : "sdpa"
        let dropouts =
            plan.dropouts.isEmpty
            ? ""
            : "\noverrides_of_model_config:\n" + plan.dropouts.map { "  \($0): 0.0\n" }.joined()
        let every = plan.job.rules.checkpointEvery > 0 ? plan.job.rules.checkpointEvery : stage.steps
        return """
            base_model: \(YAML.text(plan.model))
            # What is trained, its rates and decay, and the rate of each step are the plan's (plan.json).
            plugins:
              - axolotl_plugin.PlannedRun
            \(dropouts)
            # Tokenised already, in the order of the steps; a line is \(stage.length) tokens and the label of the last.
            datasets:
              - path: sequences.jsonl
                ds_type: json
                split: train
                type: ''
            skip_prepare_dataset: true
            remove_unused_columns: false
            shuffle_merged_datasets: false
            val_set_size: 0
            sequence_len: \(stage.length + 1)
            # A batch is a line, the next one each time; its documents see themselves alone.
            sample_packing: true
            sample_packing_sequentially: true
            curriculum_sampling: true
            sample_packing_drop_attention_mask: true
            eval_sample_packing: false
            pad_to_sequence_len: false
            attn_implementation: \(attention)

            # \(plan.sequencesPerStep) sequences a step: micro_batch_size × gradient_accumulation_steps × processes.
            micro_batch_size: 1
            gradient_accumulation_steps: \(plan.sequencesPerStep)
            num_epochs: 1
            max_steps: \(stage.steps)
            optimizer: adamw_torch
            learning_rate: \(YAML.number(numbers.rate))
            lr_scheduler: constant
            warmup_steps: 0
            weight_decay: 0.0
            max_grad_norm: \(YAML.number(numbers.clip ?? 0))
            bf16: \(isBF16)
            tf32: false
            gradient_checkpointing: \(plan.recomputesLayers)
            seed: 42
            logging_steps: 1
            save_steps: \(every)
            output_dir: output

            """
    }
}
