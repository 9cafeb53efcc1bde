internal import Formats

/// Megatron-Bridge: a program, and two of Megatron's indexed datasets.
///
/// Megatron's own GPTDataset shuffles and cuts anew, so the program hands out the sequences by a `DatasetProvider`.
///
/// Source: megatron-bridge 0.3.1, `training/config.py`, `training/gpt_step.py`, `models/llama/llama_bridge.py` and its like
/// for Qwen; megatron-core 0.16.1.
struct MegatronBridge: HandOffTool {
    let title = "Megatron-Bridge"
    let package = "megatron-bridge==0.3.1"
    let schedule = ScheduleAbility.curves
    let result = """
        The checkpoints are Megatron's; `python megatron_job.py --export checkpoints/iter_N FOLDER` writes one as Hugging \
        Face does.
        """

    private static let architectures = [
        "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM",
    ]
    private static let names = [
        "model.embed_tokens.weight": "embedding.word_embeddings.weight",
        "model.norm.weight": "decoder.final_layernorm.weight", "lm_head.weight": "output_layer.weight",
    ]
    private static let namesInLayers = [
        "self_attn.q_proj": "self_attention.linear_qkv", "self_attn.k_proj": "self_attention.linear_qkv",
        "self_attn.v_proj": "self_attention.linear_qkv", "self_attn.o_proj": "self_attention.linear_proj",
        "self_attn.q_norm": "self_attention.q_layernorm", "self_attn.k_norm": "self_attention.k_layernorm",
        "mlp.gate_proj": "mlp.linear_fc1", "mlp.up_proj": "mlp.linear_fc1", "mlp.down_proj": "mlp.linear_fc2",
    ]
    private static let normsInLayers = [
        "input_layernorm.weight": "self_attention.linear_qkv.layer_norm_weight",
        "post_attention_layernorm.weight": "mlp.linear_fc1.layer_norm_weight",
    ]

    func remarks(on plan: HandOffPlan) -> [String] {
        var remarks: [String] = []
        if plan.job.dtype == .bf16 {
            remarks.append("weights are rounded to bfloat16 as they are read, and float32 from there on")
        }
        if plan.configuration["rope_parameters"] != nil, plan.configuration["rope_theta"] == nil {
            remarks.append(
                """
                config.json's rope_parameters are not read by transformers 4, which Megatron-Bridge takes: write rope_theta and \
                rope_scaling beside them where check.py finds other logits
                """)
        }
        return remarks + [
            "the vocabulary is padded to what GPUs like, and cut again when it is exported",
            "pipeline parallelism is refused where parameters are not all moved alike, for a part counts its layers anew",
        ]
    }

    func parameter(for tensor: String) -> String? {
        if let name = Self.names[tensor] { return name }
        guard let (layer, rest) = LayerName.split(tensor) else { return nil }
        if let name = Self.normsInLayers[rest] { return "decoder.layers.\(layer).\(name)" }
        guard let dot = rest.lastIndex(of: "."), let name = Self.namesInLayers[String(rest[..<dot])] else {
            return nil
        }
        return "decoder.layers.\(layer).\(name)\(rest[dot...])"
    }

    func check(_ configuration: JSON) throws(UserFacingError) {
        let name = configuration["architectures"]?[0]?.string ?? ""
        guard Self.architectures.contains(name) else {
            throw UserFacingError(
                .unsupported,
                """
                the model is a \(name.isEmpty ? "model without architectures in config.json" : name), and hand-off knows \
                \(Self.architectures.joined(separator: ", ")) for megatron-bridge; hand the run to automodel or axolotl
                """)
        }
    }

    func writeData(of plan: HandOffPlan, to folder: String) throws(UserFacingError) -> [String] {
        let tokens = try IndexedDatasetWriter(Path.join(folder, "tokens"))
        let targets = try IndexedDatasetWriter(Path.join(folder, "targets"))
        for index in 0..<plan.sequences.count {
            let row = try plan.sequences.row(index)
            try tokens.append(row.pieces.map { Array(row.tokens[$0]) })
            try targets.append(row.pieces.map { Array(row.targets[$0]) })
        }
        try tokens.close()
        try targets.close()
        return ["tokens.bin", "tokens.idx", "targets.bin", "targets.idx"]
    }

    func files(of plan: HandOffPlan) -> [(name: String, text: String)] {
        [("megatron_job.py", plan.head + text(PackageResources.megatron_job_py)), reader]
    }

    func command(of plan: HandOffPlan) -> String {
        #"exec torchrun --nproc-per-node "$processes" megatron_job.py"#
    }
}

/// Names of tensors that lie in a layer.
enum LayerName {
    /// `model.layers.7.mlp.up_proj.weight` is layer 7 and `mlp.up_proj.weight`; nil outside the layers.
    static func split(_ tensor: String) -> (layer: Int, rest: String)? {
        let parts = tensor.split(separator: ".")
        guard parts.count > 3, parts[0] == "model", parts[1] == "layers", let layer = Int(parts[2]) else {
            return nil
        }
        return (layer, parts[3...].joined(separator: "."))
    }
}
