import Formats
import Models
import Testing

@testable import Surgery

/// What is dequantised, and what is refused by name; the numbers are compared in DequantizeTests and DequantizationTests.
@Suite("Dequantising")
struct DequantizingTests {
    private typealias Tensor = (name: String, type: ElementType, shape: [Int])

    /// A model with these tensors of zeros beside others.
    private func model(_ tensors: [Tensor], _ settings: String) throws -> Checkpoint {
        var source = try MemoryModels.layers(2)
        for tensor in tensors { source[tensor.name] = try .zeros(tensor.type, shape: tensor.shape) }
        source.configuration = try MemoryModels.configuration(
            #"{"model_type": "llama", "num_hidden_layers": 2, \#(settings)}"#)
        return source
    }

    private static let weight: [Tensor] = [
        ("w.weight", .f8E4M3, [256, 384]), ("w.weight_scale_inv", .f32, [2, 3]),
    ]

    private func result(
        _ tensors: [Tensor], _ settings: String, _ dtype: Conversion.NumberType? = nil
    ) throws -> Checkpoint {
        try model(tensors, settings).applying(Conversion(dtype: dtype, dequantize: true)).checkpoint
    }

    private func refusal(_ tensors: [Tensor], _ settings: String) throws -> String {
        let source = try model(tensors, settings)
        let error = #expect(throws: UserFacingError.self) {
            try source.applying(Conversion(dequantize: true))
        }
        return error?.description ?? ""
    }

    /// Every spelling, scales of the whole, of blocks and of rows.
    @Test(
        arguments: [
            (#""quantization_config": {"quant_method": "fp8"}"#, "weight_scale_inv", [2, 3]),
            (
                #""quantization_config": {"quant_method": "fp8", "weight_block_size": [64, 128]}"#,
                "weight_scale_inv", [4, 3]
            ),
            (
                #""text_config": {"quantization_config": {"quant_method": "fp8", "weight_block_size": null}}"#,
                "weight_scale_inv", []
            ),
            (
                #""quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}"#, "scale",
                [2, 3]
            ),
            (#""quantization_config": {"quant_method": "fbgemm_fp8"}"#, "weight_scale", [256, 1]),
            (
                #""quantization_config": {"quant_method": "modelopt", "quant_algo": "FP8"}"#, "weight_scale",
                [1]
            ),
            (
                #""compression_config": {"format": "float-quantized", "config_groups": {"a": {"weights": {"num_bits": 8, "type": "float"}}}}"#,
                "weight_scale", [256, 1]
            ),
            (#""dtype": "bfloat16""#, "weight_scale", []),
        ] as [(String, String, [Int])])
    func isDequantised(settings: String, scale: String, shape: [Int]) throws {
        let made = try result([("w.weight", .f8E4M3, [256, 384]), ("w.\(scale)", .f32, shape)], settings)
        #expect(made["w.weight"]?.type == .bf16 && made["w.weight"]?.shape == [256, 384])
        #expect(made["w.\(scale)"] == nil && made.quantization == nil)
        #expect(made.configuration?["quantization_config"] == nil)
        #expect(made.configuration?["compression_config"] == nil)
        #expect(made.configuration?["text_config"]?["quantization_config"] == nil)
        #expect(made.operations.first?.parameters["dequantize"] == true)
    }

    @Test func expertsAreTransposed() throws {
        let experts: [Tensor] = [
            ("m.experts.gate_up_proj_blocks", .u8, [2, 6, 3, 16]),
            ("m.experts.gate_up_proj_scales", .u8, [2, 6, 3]),
            ("m.experts.down_proj_blocks", .u8, [2, 96, 1, 16]),
            ("m.experts.down_proj_scales", .u8, [2, 96, 1]),
        ]
        var source = try model(experts, #""quantization_config": {"quant_method": "mxfp4"}"#)
        let error = #expect(throws: UserFacingError.self) {
            try source.applying(Conversion(dequantize: true))
        }
        #expect(error?.description.contains("only GPT-OSS's experts are known, not those of llama") == true)
        source.configuration?["model_type"] = "gpt_oss"
        let made = try source.applying(Conversion(dtype: .f32, dequantize: true)).checkpoint
        #expect(made["m.experts.gate_up_proj"]?.shape == [2, 96, 6])
        #expect(made["m.experts.down_proj"]?.shape == [2, 32, 96])
        #expect(made["m.experts.down_proj"]?.type == .f32)
        #expect(made.names.last == "m.experts.down_proj")
        for missing in ["m.experts.down_proj_scales", "m.experts.down_proj_blocks"] {
            var broken = source
            broken[missing] = nil
            let error = #expect(throws: UserFacingError.self) {
                try broken.applying(Conversion(dequantize: true))
            }
            #expect(error?.description.contains("'m.experts.down_proj_") == true)
        }
    }

    /// The type that the configuration names, and what was written there of eight bits.
    @Test(arguments: [("float32", ElementType.f32), ("bfloat16", .bf16), ("float8_e4m3fn", .bf16)])
    func theTypeIsTheConfigurations(named: String, type: ElementType) throws {
        let made = try result(
            Self.weight, #""torch_dtype": "\#(named)", "quantization_config": {"quant_method": "fp8"}"#)
        #expect(made["w.weight"]?.type == type && made.configuration?.elementType == type)
    }

    /// Schemes whose numbers are not known here.
    @Test(arguments: [
        (#"{"quant_method": "gptq", "bits": 4}"#, "quantised by gptq (quantization_config)"),
        (#"{"quant_method": "awq"}"#, "quantised by awq"),
        (#"{"quant_method": "bitsandbytes", "load_in_4bit": true}"#, "quantised by bitsandbytes"),
        (#"{"quant_method": "gguf"}"#, "quantised by gguf"),
        (#"{"quant_method": "torchao"}"#, "quantised by torchao"),
        (#"{"quant_method": "modelopt", "quant_algo": "NVFP4"}"#, "quant_algo is NVFP4"),
        (#"{"quant_method": "fp8", "expert_dtype": "fp4"}"#, "its experts are fp4"),
        (#"{"quant_method": "fp8", "weight_block_size": [128]}"#, "not two numbers of rows and columns"),
        (
            #"{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"g": {}}}"#,
            "g is pack-quantized"
        ),
        (
            #"{"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"g": {"weights": {"num_bits": 8, "type": "int"}}}}"#,
            "g has 8 bits of \"int\""
        ),
        (
            #"{"quant_method": "compressed-tensors", "format": "float-quantized", "transform_config": {"a": 1}}"#,
            "its weights are rotated"
        ),
    ])
    func otherSchemesAreRefused(settings: String, reason: String) throws {
        let text = try refusal(Self.weight, #""quantization_config": \#(settings)"#)
        #expect(text.contains(reason), "\(text)")
    }

    /// Tensors that do not belong together.
    @Test(
        arguments: [
            ([("w.weight", .f8E4M3, [4, 4])], "'w.weight' is F8_E4M3 and there are no scales"),
            ([("w.weight_scale_inv", .f32, [2, 3])], "'w.weight_scale_inv' scales none"),
            (
                [("w.weight", .bf16, [4, 4]), ("w.weight_scale", .f32, [])],
                "'w.weight_scale' scales none that is quantised as is known"
            ),
            (
                [("w.weight", .f8E4M3, [256, 384]), ("w.weight_scale_inv", .f32, [3, 2])],
                "'w.weight_scale_inv' (F32 [3, 2]) does not fit 'w.weight'"
            ),
            (
                [
                    ("w.weight", .f8E4M3, [4, 4]), ("w.weight_scale", .f32, []),
                    ("w.weight_scale_inv", .f32, []),
                ], "has several scales"
            ),
            (
                [
                    ("w.weight", .f8E4M3, [4, 4]), ("w.weight_scale", .f32, []), ("v.qweight", .i32, [2, 2]),
                    ("v.scales", .f16, [1, 2]),
                ], "is also quantised"
            ),
            (
                [
                    ("w.weight", .f8E4M3, [4, 4]), ("w.weight_scale", .f32, []),
                    ("w.weight_zero_point", .f8E4M3, []),
                ], "'w.weight_zero_point' is F8_E4M3"
            ),
        ] as [([(String, ElementType, [Int])], String)])
    func whatDoesNotFitIsRefused(tensors: [(String, ElementType, [Int])], reason: String) throws {
        let text = try refusal(
            tensors.map { ($0.0, $0.1, $0.2) }, #""quantization_config": {"quant_method": "fp8"}"#)
        #expect(text.contains(reason), "\(text)")
    }

    @Test func typesThatDoNotFitAreRefused() throws {
        let quantized = #""quantization_config": {"quant_method": "fp8"}"#
        #expect(try refusal(Self.weight, #""dtype": "float16", \#(quantized)"#).contains("names float16"))
        let source = try model(Self.weight, quantized)
        #expect(throws: UserFacingError.wrongDequantizedType(.f16)) {
            try source.applying(Conversion(dtype: .f16, dequantize: true))
        }
        #expect(try refusal([], #""dtype": "float32""#).contains("is not quantised"))
    }

    @Test func filesThatDescribeItAreLeft() throws {
        var source = try model(
            [("w.weight", .f8E4M3, [4, 4]), ("w.weight_scale", .f32, []), ("w.input_scale", .f32, [])],
            #""dtype": "bfloat16""#)
        let text = #"{"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": null}}"#
        source.auxiliaryFiles = [
            AuxiliaryFile(name: "hf_quant_config.json", content: .bytes(Array(text.utf8)))
        ]
        let outcome = try source.applying(Conversion(dequantize: true))
        #expect(outcome.checkpoint.auxiliaryFiles.isEmpty)
        #expect(outcome.checkpoint.skippedFiles.map(\.name) == ["hf_quant_config.json"])
        #expect(outcome.facts["dropped"] == JSON.array([.string("w.input_scale")]))
        #expect(outcome.facts["dequantized"] == JSON.array([.string("w.weight")]))
        #expect(outcome.suffix == "dequantized")
    }
}
