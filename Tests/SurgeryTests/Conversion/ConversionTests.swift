import Formats
import Models
import OrderedCollections
import Surgery
import Testing

@Suite("Conversion")
struct ConversionTests {
    @Test func onlyFloatingPointChanges() throws {
        let source = Checkpoint(
            path: "model",
            tensors: [
                "w": try .zeros(.f32, shape: [2, 3]), "h": try .zeros(.f16, shape: [2]),
                "mask": try .zeros(.bool, shape: [4]), "ids": try .zeros(.i64, shape: [4]),
            ])
        let result = try source.converted(to: .bf16)
        #expect(result.tensors.values.map(\.type) == [.bf16, .bf16, .bool, .i64])
        #expect(result.operations.map(\.name) == ["convert"])
        #expect(try source.converted(to: nil).tensors.values.map(\.type) == [.f32, .f16, .bool, .i64])
    }

    /// A model of two layers with these tensors beside others, all of ones.
    private func model(
        _ tensors: [(name: String, type: ElementType, shape: [Int])], configuration: String
    ) throws -> Checkpoint {
        var source = try MemoryModels.layers(2)
        for tensor in tensors { source[tensor.name] = try .zeros(tensor.type, shape: tensor.shape) }
        source.configuration = try MemoryModels.configuration(configuration)
        return source
    }

    /// Every spelling of the configuration.
    @Test(arguments: [
        (#""quantization_config": {"quant_method": "fp8"}"#, "fp8", "quantization_config"),
        (#""compression_config": {"format": "int-quantized"}"#, nil, "compression_config"),
        (#""quantization": {"group_size": 64, "bits": 4, "mode": "affine"}"#, "affine", "quantization"),
        (
            #""text_config": {"quantization_config": {"quant_method": "gptq"}}"#, "gptq",
            "text_config.quantization_config"
        ),
        (
            #""thinker_config": {"text_config": {"quantization_config": {"quant_algo": "NVFP4"}}}"#, "NVFP4",
            "thinker_config.text_config.quantization_config"
        ),
    ])
    func configurationsSayIt(settings: String, method: String?, key: String) throws {
        let source = try model([], configuration: #"{"num_hidden_layers": 2, \#(settings)}"#)
        let quantization = Quantization?.some(try #require(source.quantization))
        #expect(quantization?.method == method && quantization?.settings == [key])
        let error = #expect(throws: UserFacingError.self) { try source.converted(to: .bf16) }
        #expect(error?.description.contains("model is quantised: ") == true)
        #expect(error?.description.contains(key) == true)
        #expect(throws: UserFacingError.self) { try source.converted(to: nil, format: .hdf5) }
        #expect(try source.converted(to: nil).tensors.count == 6)
    }

    @Test(arguments: [
        #""quantization_config": null"#, #""quantization_config": {}"#, #""quantization": false"#,
        #""quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": false}"#,
        #""quantization_config": {"quant_algo": null, "kv_cache_quant_algo": "FP8"}"#,
    ])
    func whatIsOffIsNoQuantisation(settings: String) throws {
        let source = try model([], configuration: #"{"num_hidden_layers": 2, \#(settings)}"#)
        #expect(source.quantization == nil)
    }

    /// What scales, and what has scales, is quantised whatever the configuration says.
    @Test(
        arguments: [
            [("w.weight", ElementType.f8E4M3, [2, 2]), ("w.weight_scale_inv", .f32, [1, 1])],
            [("w.weight", .f32, [2, 2]), ("w.weight_scale", .f32, [1])],
            [("w.weight", .u32, [2, 2]), ("w.scales", .f16, [2, 1]), ("w.biases", .f16, [2, 1])],
            [("w.qweight", .i32, [2, 2]), ("w.qzeros", .i32, [1, 1]), ("w.scales", .f16, [1, 2])],
            [("w.weight_packed", .i32, [2, 2]), ("w.weight_scale", .f16, [2, 1])],
            [("w.weight", .u8, [8, 1]), ("w.weight.absmax", .f32, [2]), ("w.weight.quant_map", .f32, [16])],
            [("w.weight", .i8, [2, 2]), ("w.SCB", .f32, [2])],
            [("w.gate_up_proj_blocks", .u8, [2, 2]), ("w.gate_up_proj_scales", .u8, [2])],
            [("w.weight", .f8E4M3, [2, 2]), ("w.scale", .f32, [1])],
            [("w.weight", .i8, [2, 2])],
        ] as [[(String, ElementType, [Int])]])
    func tensorsSayIt(tensors: [(String, ElementType, [Int])]) throws {
        let source = try model(
            tensors.map { ($0.0, $0.1, $0.2) }, configuration: #"{"num_hidden_layers": 2}"#)
        #expect(source.quantization?.tensors == tensors.map(\.0))
        #expect(source.quantization?.settings == [])
        #expect(throws: UserFacingError.self) { try source.converted(to: .f32) }
    }

    /// Integers that are no weights, learned scales and plain eight bits are converted as before.
    @Test func whatHasNoScalesIsNotQuantised() throws {
        let source = try model(
            [
                ("h.attn.bias", .u8, [1, 1, 4, 4]), ("ids", .i64, [1, 4]), ("n.weight", .f32, [2]),
                ("n.scale", .f32, [2]), ("w.weight", .f8E4M3, [2, 2]), ("x.logit_scale", .f32, []),
            ], configuration: #"{"num_hidden_layers": 2}"#)
        #expect(source.quantization == nil)
        #expect(try source.converted(to: .bf16)["w.weight"]?.type == .bf16)
    }

    @Test func filesBesideTheConfigurationSayIt() throws {
        var source = try model([], configuration: #"{"num_hidden_layers": 2}"#)
        let text = #"{"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}"#
        source.auxiliaryFiles = [
            AuxiliaryFile(name: "hf_quant_config.json", content: .bytes(Array(text.utf8)))
        ]
        #expect(source.quantization?.settings == ["hf_quant_config.json"])
        #expect(source.quantization?.method == "FP8")
    }

    /// Keras has it in policies, the model's or those of single layers by their paths.
    @Test(arguments: [
        (
            #"{"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8", "source_name": "float32"}}"#,
            "int8"
        ),
        (
            #"{"class_name": "DTypePolicyMap", "config": {"default_policy": "float32", "policy_map": {"a/query": "int4_from_float32"}}}"#,
            "int4_from_float32"
        ),
        (#""int8_from_bfloat16""#, "int8_from_bfloat16"),
    ])
    func policiesOfKerasSayIt(policy: String, method: String) throws {
        let source = try model(
            [], configuration: #"{"class_name": "GemmaBackbone", "config": {"dtype": \#(policy)}}"#)
        #expect(source.quantization?.method == method)
        #expect(throws: UserFacingError.self) { try source.converted(to: .bf16) }
    }

    /// What transformers keeps in float32 for the family keeps its type; float32 itself rounds nothing.
    @Test(arguments: [
        ("glm4_moe", "mlp.gate.e_score_correction_bias", true, true),
        ("glm4_moe", "mlp.gate.weight", true, true), ("glm4_moe", "mlp.gate_proj.weight", false, false),
        ("nemotron_h", "mixer.A_log", true, true), ("mamba2", "mixer.A_log", true, true),
        ("gpt_oss", "input_layernorm.weight", false, true), ("llama", "input_layernorm.weight", false, false),
        ("flint", "self_attn.sinks", true, true), ("minimax", "block.e_score_correction_bias", true, true),
        ("dots3_note_text", "mlp.gate.weight", true, true),
    ])
    func familiesKeepTensorsInFloat32(type: String, name: String, bf16: Bool, f16: Bool) throws {
        var source = try MemoryModels.layers(2)
        source["model.layers.0." + name] = try .zeros(.f32, shape: [4])
        source["lm_head.weight"] = try .zeros(.f32, shape: [2, 2])
        source.configuration = try MemoryModels.configuration(
            #"{"num_hidden_layers": 2, "text_config": {"model_type": "\#(type)"}}"#)
        for (target, isKept) in [(Conversion.NumberType.bf16, bf16), (.f16, f16)] {
            let outcome = try source.applying(Conversion(dtype: target))
            let result = outcome.checkpoint["model.layers.0." + name]?.type
            #expect(result == (isKept ? .f32 : target.elementType))
            #expect(outcome.checkpoint["lm_head.weight"]?.type == target.elementType)
            #expect(outcome.facts["kept"] == .array(isKept ? [.string("model.layers.0." + name)] : []))
        }
    }

    @Test func aFamilyWithoutAFormOfKerasHubSaysSo() throws {
        let source = try MemoryModels.layers(
            2, configuration: #"{"num_hidden_layers": 2, "model_type": "mamba2"}"#)
        let warnings = try source.applying(Conversion(to: .hdf5)).warnings
        #expect(warnings.count == 1 && warnings[0].hasPrefix("KerasHub has no form of mamba2"))
        #expect(try source.applying(Conversion(to: .safetensors)).warnings.isEmpty)
    }
}
