internal import Formats

/// torchtitan: a module that its configuration manager imports; the sequences by a data loader of our own.
///
/// Source: torchtitan 0.3.0: `config/manager.py`, `components/dataloader.py`, `components/optimizer`,
/// `models/llama3/state_dict_adapter.py`, `models/qwen3/state_dict_adapter.py`.
struct TorchTitan: HandOffTool {
    let title = "torchtitan"
    let package = "torchtitan==0.3.0"
    let schedule = ScheduleAbility.table
    let result = """
        The weights are output/checkpoint/step-LAST, as Hugging Face writes them; the other files of the model's folder \
        belong beside them.
        """

    private static let names = [
        "model.embed_tokens.weight": "tok_embeddings.weight", "model.norm.weight": "norm.weight",
        "lm_head.weight": "lm_head.weight",
    ]
    private static let namesInLayers = [
        "self_attn.q_proj.weight": "attention.qkv_linear.wq.weight",
        "self_attn.k_proj.weight": "attention.qkv_linear.wk.weight",
        "self_attn.v_proj.weight": "attention.qkv_linear.wv.weight",
        "self_attn.o_proj.weight": "attention.wo.weight",
        "self_attn.q_norm.weight": "attention.q_norm.weight",
        "self_attn.k_norm.weight": "attention.k_norm.weight",
        "mlp.gate_proj.weight": "feed_forward.w1.weight",
        "mlp.up_proj.weight": "feed_forward.w3.weight", "mlp.down_proj.weight": "feed_forward.w2.weight",
        "input_layernorm.weight": "attention_norm.weight",
        "post_attention_layernorm.weight": "ffn_norm.weight",
    ]

    func parameter(for tensor: String) -> String? {
        if let name = Self.names[tensor] { return name }
        guard let (layer, rest) = LayerName.split(tensor), let name = Self.namesInLayers[rest] else {
            return nil
        }
        return "layers.\(layer).\(name)"
    }

    func check(_ configuration: JSON) throws(UserFacingError) {
        let type = configuration["model_type"]?.string ?? ""
        let rope = configuration["rope_parameters"] ?? configuration["rope_scaling"] ?? [:]
        let kind = (rope["rope_type"] ?? rope["type"])?.string ?? "default"
        let window =
            configuration["sliding_window"]?.int != nil && configuration["use_sliding_window"]?.bool ?? true
        let found: String? =
            if !["llama", "mistral", "qwen3"].contains(type) {
                "model_type '\(type)'"
            } else if !["default", "llama3"].contains(kind) {
                "rotary positions of the kind '\(kind)'"
            } else if window {
                "a sliding window"
            } else if configuration["attention_bias"]?.bool == true || configuration["mlp_bias"]?.bool == true
            {
                "biases"
            } else {
                nil
            }
        guard let found else { return }
        throw UserFacingError(
            .unsupported,
            """
            the model has \(found), and hand-off knows Llama, Mistral without a window and Qwen 3 for torchtitan; hand the run \
            to automodel or axolotl
            """)
    }

    func files(of plan: HandOffPlan) -> [(name: String, text: String)] {
        [("torchtitan_job.py", plan.head + text(PackageResources.torchtitan_job_py)), reader]
    }

    func command(of plan: HandOffPlan) -> String {
        #"exec torchrun --nproc-per-node "$processes" -m torchtitan.train --module torchtitan_job --config planned"#
    }
}
