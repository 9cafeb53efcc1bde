import Formats
import Models
import OrderedCollections
import Surgery
import Testing

/// Rules that name modules of layers, in a model of 8 layers that becomes 12 (0–5, then 2–7).
@Suite("Rules by layer")
struct LayerRulesTests {
    private static let modules = ["self_attn.q_proj.weight", "mlp.down_proj.weight"]

    private func model(
        _ settings: String, prefix: String = "model.layers.", and others: [String] = []
    ) throws -> Checkpoint {
        let layers = (0..<8).flatMap { layer in Self.modules.map { "\(prefix)\(layer).\($0)" } }
        return try MemoryModels.checkpoint(
            ["model.embed_tokens.weight"] + layers + others,
            configuration: #"{"num_hidden_layers": 8, \#(settings)}"#)
    }

    private func refusal(of source: Checkpoint, to count: Int = 12) -> String {
        let error = #expect(throws: UserFacingError.self) {
            try source.depthUpScaled(DepthUpScaling(to: count))
        }
        #expect(error?.kind == .unsupported)
        return error?.description ?? ""
    }

    /// Names in lists, whole, without their beginning, or as another class calls the model around them.
    @Test(arguments: [
        (
            ["lm_head", "model.layers.0.mlp", "model.layers.7"],
            ["lm_head", "model.layers.0.mlp", "model.layers.11"]
        ),
        (["layers.5.self_attn"], ["layers.5.self_attn", "layers.9.self_attn"]),
        (
            ["model.language_model.layers.3.mlp.down_proj"],
            [
                "model.language_model.layers.3.mlp.down_proj", "model.language_model.layers.7.mlp.down_proj",
            ]
        ),
        (["model.visual.blocks.3.attn", "mtp.fc"], ["model.visual.blocks.3.attn", "mtp.fc"]),
        (["model.layers.8.eh_proj"], ["model.layers.12.eh_proj"]),
    ])
    func listsFollow(entries: [String], expected: [String]) throws {
        let list = "[" + entries.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
        let source = try model(
            #""quantization_config": {"quant_method": "fp8", "modules_to_not_convert": \#(list)}"#)
        let result = try source.depthUpScaled(DepthUpScaling(to: 12)).checkpoint
        let followed = result.configuration?["quantization_config"]?["modules_to_not_convert"]?.array
        #expect(followed?.compactMap(\.string) == expected)
    }

    /// MLX names modules by keys, in two copies of one object.
    @Test func keysFollow() throws {
        let rules =
            #"{"bits": 4, "model.layers.0.mlp.down_proj": {"bits": 6}, "model.layers.5.mlp.down_proj": false}"#
        let source = try model(#""quantization": \#(rules), "quantization_config": \#(rules)"#)
        let result = try source.depthUpScaled(DepthUpScaling(to: 12))
        for key in ["quantization", "quantization_config"] {
            let followed = result.checkpoint.configuration?[key]?.object
            #expect(
                followed?.keys == [
                    "bits", "model.layers.0.mlp.down_proj", "model.layers.5.mlp.down_proj",
                    "model.layers.9.mlp.down_proj",
                ])
            #expect(followed?["model.layers.9.mlp.down_proj"] == false)
        }
        #expect(
            result.changes.map(\.description).contains(
                "quantization.model.layers.9.mlp.down_proj: absent → false"))
    }

    /// A layer that is left out takes its rule with it.
    @Test func rulesOfLayersThatAreLeftOutGo() throws {
        let source = try model(
            #""quantization": {"bits": 4, "layers.3.mlp": {"bits": 6}, "layers.7.mlp": {"bits": 8}}"#)
        let result = try source.applying(LayerArrangement(plan: "0-2,4-7")).checkpoint
        #expect(result.configuration?["quantization"] == ["bits": 4, "layers.6.mlp": ["bits": 8]])
    }

    @Test(arguments: [
        "re:.*self_attn.*", #"re:.*\\.layers\\.[0-9]+\\.mlp\\..*"#, "*lm_head*", "model.layers.*.mlp",
        #"re:.*layers\\.(0|1)\\..*"#,
    ])
    func patternsStayThatSayTheSame(pattern: String) throws {
        let source = try model(#""quantization_config": {"ignore": ["\#(pattern)"]}"#)
        let result = try source.depthUpScaled(DepthUpScaling(to: 12)).checkpoint
        #expect(result.configuration?["quantization_config"] == source.configuration?["quantization_config"])
    }

    @Test(arguments: [
        #"re:.*layers\\.[67]\\..*"#, #"re:^model\\.layers\\.[0-7]\\.mlp"#, "model.layers.7*", "*.layers.6.*",
        #"re:layers\\.7\\."#,
    ])
    func patternsAreRefusedThatDoNot(pattern: String) throws {
        let source = try model(#""quantization_config": {"ignore": ["\#(pattern)"]}"#)
        #expect(
            refusal(of: source).contains(
                "quantization_config.ignore = \"\(pattern.replacing("\\\\", with: "\\"))\""))
        // GPTQModel has them as keys.
        let keys = try model(
            #""quantization_config": {"dynamic": {"-:\#(pattern.replacing("re:", with: ""))": {}}}"#)
        #expect(refusal(of: keys).contains("quantization_config.dynamic"))
    }

    @Test func whatMayMeanTwoSetsOfLayersIsRefused() throws {
        let source = try model(
            #""quantization_config": {"modules_to_not_convert": ["layers.5.mlp"]}"#,
            and: (0..<3).map { "vision_tower.layers.\($0).fc.weight" })
        #expect(refusal(of: source).contains("vision_tower.layers.… may be meant"))
    }

    @Test func numbersOfLayersInRulesAreRefused() throws {
        for rule in [#""bits_by": {"0": 4, "1": 8}"#, #""skip_layers": [0, 7]"#] {
            #expect(
                refusal(of: try model(#""quantization_config": {\#(rule)}"#)).contains("quantization_config.")
            )
        }
    }

    /// Blocks to quantise are named without numbers.
    @Test func listsOfModuleNamesStay() throws {
        let source = try model(
            #""quantization_config": {"modules_in_block_to_quantize": [["self_attn.q_proj"], ["mlp.down_proj"]]}"#
        )
        #expect(try source.depthUpScaled(DepthUpScaling(to: 12)).checkpoint.tensors.count == 25)
    }

    @Test func filesBesideTheConfigurationFollow() throws {
        var source = try model(#""model_type": "llama""#)
        let text =
            #"{"quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head", "model.layers.5.mlp"]}}"#
        source.auxiliaryFiles = [
            AuxiliaryFile(name: "hf_quant_config.json", content: .bytes(Array(text.utf8)))
        ]
        let result = try source.depthUpScaled(DepthUpScaling(to: 12)).checkpoint
        let written = try JSON(parsing: result.auxiliaryFiles[0].bytes(), file: "hf_quant_config.json")
        #expect(
            written["quantization"]?["exclude_modules"] == [
                "lm_head", "model.layers.5.mlp", "model.layers.9.mlp",
            ])
    }
}
