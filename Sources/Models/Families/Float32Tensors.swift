public import Formats
internal import OrderedCollections

/// Tensors that a family keeps in float32 whatever the type of the others: what chooses experts, what decays.
///
/// A rounded correction of a router's scores chooses other experts. Source: `_keep_in_fp32_modules_strict` and
/// `_keep_in_fp32_modules` (for float16 alone) of the classes of transformers 5.24, which look for these words anywhere in a name.
enum Float32Tensors {
    /// What no family computes with in fewer bits.
    private static let everywhere = ["e_score_correction_bias", "expert_bias", "A_log"]

    private static let router = ["e_score_correction_bias", "gate.weight"]

    /// Words of names by `model_type` without `_text`; `half` is for float16 alone.
    private static let families: [String: (always: [String], half: [String])] = {
        var families: [String: (always: [String], half: [String])] = [:]
        for type in [
            "hy_v3", "dots3_note", "axk1", "axk2", "dots1", "nemotron_h", "ernie4_5_moe", "ernie4_5_vl_moe",
            "glm4_moe",
            "glm4_moe_lite", "glm4v_moe", "glm_moe_dsa", "deepseek_v3", "deepseek_v32", "kimi_k2",
            "exaone_moe",
            "solar_open",
        ] { families[type] = (router, []) }
        for type in ["axk2", "glm_moe_dsa", "deepseek_v32"] {
            families[type]?.half = ["indexer.weights_proj"]
        }
        for type in ["deepseek_v2", "deepseek_ocr2", "unlimited_ocr"] {
            families[type] = (["gate.weight"], [])
        }
        for type in ["beam", "mimo_v2_flash"] {
            families[type] = (["e_score_correction_bias", "mlp.gate.weight"], [])
        }
        for type in ["t5", "mt5", "umt5", "udop", "pop2piano"] { families[type] = ([], ["wo"]) }
        for type in ["blip-2", "instructblip", "instructblipvideo"] {
            families[type] = ([], ["query_tokens"])
        }
        families["blip-2"]?.half.append("qformer")
        for type in ["hy_v4", "hy_v4_vl"] {
            families[type] = (
                router + [
                    "fn", "scale", "base", "hc_fn", "hc_scale", "hc_base", "weights_proj", "k_norm", "sinks",
                    "lm_head",
                ], []
            )
        }
        let inkling2 = [
            "e_score_correction_bias", "mlp.gate.weight", "post_attention_convolution",
            "post_mlp_convolution",
            "sconv.conv1d", "attention_input", "mlp_input", "final_input",
        ]
        families["inkling2"] = (inkling2, [])
        families["inkling2_loop"] = (
            inkling2 + ["message_input", "message_gate_proj", "forget_gate_proj"], []
        )
        families["inkling"] = (
            [
                "attn_sconv", "mlp_sconv", "k_sconv", "v_sconv", "e_score_correction_bias",
                "gate.global_scale",
            ], []
        )
        families["kimi_linear"] = (router + ["dt_bias"], [])
        families["bailing_hybrid"] = (router + ["conv1d", "dt_bias", "A_log"], [])
        families["glm5_next"] = (
            router + [
                "conv1d", "dt_bias", "A_log", "attn_hc.base", "attn_hc.scale", "ffn_hc.base", "ffn_hc.scale",
            ], []
        )
        families["afmoe"] = (
            ["expert_bias"],
            [
                "input_layernorm", "post_attention_layernorm", "pre_mlp_layernorm", "post_mlp_layernorm",
                "q_norm",
                "k_norm", "norm",
            ]
        )
        families["deepseek_v4"] = (
            [
                "attn_hc", "ffn_hc", "hc_head", "sinks", "position_bias", "e_score_correction_bias",
                "q_a_norm",
                "kv_norm", "input_layernorm", "post_attention_layernorm", "norm",
            ],
            [
                "self_attn.compressor.kv_proj", "self_attn.compressor.gate_proj",
                "self_attn.compressor.indexer.kv_proj", "self_attn.compressor.indexer.gate_proj",
                "self_attn.compressor.indexer.scorer.weights_proj",
            ]
        )
        families["muse_spark"] = (
            [
                "post_attention_residual_gate", "post_feedforward_residual_gate", "mlp.gate.weight",
                "e_score_correction_bias",
            ], []
        )
        families["mistral_large4"] = (["rotary_emb", "mlp.gate.weight"], ["indexer.weights_proj"])
        families["flint"] = (["gate.weight", "sinks"], [])
        families["openai_privacy_filter"] = (["sinks"], [])
        families["gpt_oss"] = ([], ["post_attention_layernorm", "input_layernorm", "norm"])
        families["longcat_flash"] = ([], ["classifier.weight"])
        families["rwkv"] = ([], ["time_decay", "time_first"])
        families["apertus1p5"] = (["vision_tokenizer", "audio_tokenizer"], [])
        families["voxtral"] = (["embed_positions"], [])
        families["granite_speech5"] = (["conv.norm"], [])
        families["nemotron3_5_transcribe"] = (["audio_tower", "multi_modal_projector"], [])
        families["kyutai_speech_to_text"] = (["codec_model"], [])
        families["pocket_tts"] = (["latent_mean", "latent_std", "freqs"], [])
        families["gradium_phonon_tts"] = families["pocket_tts"]
        return families
    }()

    /// The words that stand in the names of tensors which keep their type.
    static func words(_ modelTypes: Set<String>, for type: ElementType) -> [String] {
        guard type.bits < 32 else { return [] }
        return everywhere
            + modelTypes.sorted().flatMap { modelType in
                let name = modelType.hasSuffix("_text") ? String(modelType.dropLast(5)) : modelType
                guard let words = families[name] else { return [String]() }
                return words.always + (type == .f16 ? words.half : [])
            }
    }
}

extension Checkpoint {
    /// The tensors that keep their type when the others get fewer bits.
    ///
    /// - Parameter type: the type of the others.
    /// - Returns: their names, in the model's order; none for float32, which rounds nothing.
    public func tensorsKept(for type: ElementType) -> [String] {
        let words = Float32Tensors.words(configuration?.modelTypes ?? [], for: type)
        return tensors.filter { name, tensor in
            tensor.type.isFloatingPoint && tensor.type != type && words.contains { name.contains($0) }
        }.map(\.key)
    }
}

extension Configuration {
    /// Every `model_type`, that of the whole and those of models in it.
    fileprivate var modelTypes: Set<String> {
        var types: Set<String> = []
        func collect(_ value: JSON) {
            if let type = value["model_type"]?.string { types.insert(type) }
            for (key, inner) in value.object ?? JSONObject() where key.hasSuffix("_config") { collect(inner) }
        }
        collect(json)
        return types
    }
}
