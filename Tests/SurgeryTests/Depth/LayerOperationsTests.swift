import Formats
import Models
import OrderedCollections
import TestSupport
import Testing

@testable import Surgery

/// Operations that change what layers write, on a small Llama of four layers whose numbers are known.
@Suite("Layers made, scaled and left out")
struct LayerOperationsTests {
    private static let llama = #"{"model_type": "llama", "hidden_size": 4, "num_hidden_layers": 4}"#
    private static let modules = [
        "input_layernorm.weight", "self_attn.q_proj.weight", "self_attn.k_proj.weight",
        "self_attn.v_proj.weight", "self_attn.o_proj.weight", "post_attention_layernorm.weight",
        "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight",
    ]

    /// Layer n's numbers are n + 1, n + 2, … in each tensor.
    private func model(
        _ text: String = llama, prefix: String = "model.layers.", modules: [String] = modules, count: Int = 4
    ) throws -> Checkpoint {
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        for layer in 0..<count {
            for module in modules {
                let shape = module.contains("norm") || module.hasSuffix("bias") ? [4] : [4, 4]
                let numbers = (0..<shape.reduce(1, *)).map { Float(layer + $0 + 1) }
                let name = "\(prefix)\(layer).\(module)"
                tensors[name] = try .stored(
                    MemoryTensor(
                        name: name, type: .f32, shape: shape,
                        bytes: numbers.flatMap { number in
                            (0..<4).map { UInt8(truncatingIfNeeded: number.bitPattern >> (8 * $0)) }
                        }))
            }
        }
        var model = Checkpoint(path: "model", tensors: tensors)
        model.configuration = try MemoryModels.configuration(text)
        return model
    }

    @Test func aLayerOfZeroWritersIsElseItsSource() throws {
        let source = try model()
        let outcome = try source.applying(LayerArrangement(plan: "0-1,1:zero,2-3"))
        #expect(outcome.plan?.origins == [.original, .original, .identity, .original, .original])
        #expect(outcome.checkpoint.configuration?["num_hidden_layers"] == 5)
        for module in Self.modules {
            let made = try #require(outcome.checkpoint.tensors["model.layers.2.\(module)"])
            let old = try #require(source.tensors["model.layers.1.\(module)"])
            let isWriter = ["self_attn.o_proj.weight", "mlp.down_proj.weight"].contains(module)
            #expect(
                try made.floats() == (isWriter ? Array(repeating: 0, count: made.elementCount) : old.floats())
            )
        }
        let record = outcome.checkpoint.operations[0]
        #expect(record.name == "layers" && record.parameters["plan"] == "0-1,1:zero,2-3")
        #expect(record.facts["layers"]?["origins"] == [0, 1, 1, 2, 3])
        // What the manifest has is what a recipe would have.
        let again = try LayerArrangement(parameters: record.parameters, at: { _ in "surgery.json" })
        #expect(try source.applying(again).checkpoint.tensors.keys == outcome.checkpoint.tensors.keys)
    }

    @Test func aScaledLayersWritersAreMultiplied() throws {
        let source = try model()
        let result = try source.applying(LayerArrangement(plan: "0-3,3:scale=0.5")).checkpoint
        for module in Self.modules {
            let made = try #require(result.tensors["model.layers.4.\(module)"]).floats()
            let old = try #require(source.tensors["model.layers.3.\(module)"]).floats()
            let isWriter = ["self_attn.o_proj.weight", "mlp.down_proj.weight"].contains(module)
            #expect(made == old.map { isWriter ? $0 / 2 : $0 })
        }
    }

    /// Biases and every expert's product count; a router's does not.
    @Test func writersOfAMixture() throws {
        let modules = [
            "self_attn.q_proj.weight", "self_attn.o_proj.weight", "self_attn.o_proj.bias",
            "mlp.experts.0.down_proj.weight", "mlp.experts.11.down_proj.weight",
            "mlp.experts.0.up_proj.weight",
            "mlp.shared_expert.down_proj.weight",
        ]
        let source = try model(
            #"{"model_type": "qwen3_next", "hidden_size": 4, "num_hidden_layers": 4, "full_attention_interval": 1}"#,
            modules: modules)
        let result = try source.applying(LayerArrangement(plan: "0-3,3:zero")).checkpoint
        for module in modules {
            let isZero = try #require(result.tensors["model.layers.4.\(module)"]).floats().allSatisfy {
                $0 == 0
            }
            #expect(isZero == (module.contains("down_proj") || module.contains("o_proj")), "\(module)")
        }
    }

    @Test(arguments: [
        // Not known, no writer of one part, a tensor that nobody knows, quantised.
        (
            #"{"model_type": "unheard", "num_hidden_layers": 4}"#, modules,
            "is not known for model_type 'unheard'"
        ),
        (llama, modules.filter { !$0.contains("down") }, "write the result of the feed-forward part"),
        (
            llama, modules + ["self_attn.o_proj.lora_B"],
            "has a tensor 'self_attn.o_proj.lora_B' that is not known"
        ),
        (
            #"{"model_type": "bloom", "n_layer": 4, "hidden_size": 4, "apply_residual_connection_post_layernorm": true}"#,
            ["self_attention.dense.weight", "mlp.dense_4h_to_h.weight"],
            "a norm stands in the residual stream itself"
        ),
        (
            #"{"model_type": "opt", "num_hidden_layers": 4, "hidden_size": 4, "do_layer_norm_before": false}"#,
            ["self_attn.out_proj.weight", "fc2.weight"], "do_layer_norm_before = false"
        ),
    ])
    func refusesLayersThatCannotDoNothing(text: String, modules: [String], message: String) throws {
        let prefix =
            text.contains("bloom")
            ? "transformer.h." : text.contains("opt") ? "model.decoder.layers." : "model.layers."
        let source = try model(text, prefix: prefix, modules: modules)
        let error = #expect(throws: UserFacingError.self) {
            try source.applying(LayerArrangement(plan: "0-3,3:zero"))
        }
        #expect(error?.message.contains(message) == true && error?.fault == .input, "\(error?.message ?? "")")
        // As they are, layers can be arranged.
        #expect(try source.applying(LayerArrangement(plan: "0-3,3")).checkpoint.layers().count == 5)
    }

    @Test func scalingBehindANormIsRefused() throws {
        let source = try model(
            #"{"model_type": "olmo2", "hidden_size": 4, "num_hidden_layers": 4}"#,
            modules: Self.modules.filter { $0 != "input_layernorm.weight" } + [
                "post_feedforward_layernorm.weight"
            ])
        let error = #expect(throws: UserFacingError.self) {
            try source.applying(LayerArrangement(plan: "0-3,3:scale=0.5"))
        }
        #expect(error?.message.contains("behind what would be scaled") == true)
        #expect(try source.applying(LayerArrangement(plan: "0-3,3:zero")).checkpoint.layers().count == 5)
    }

    // MARK: Expansion

    @Test(arguments: [
        (32, 40, Expansion.Placement.even, [3, 7, 11, 15, 19, 23, 27, 31]),  // LLaMA Pro
        (32, 48, .upper, Array(15...30)),  // OpT-DeUS
        (32, 52, .upperThirds, Array(11...30)),
        (32, 34, .upperThirds, [20, 30]),
        (8, 10, .upperThirds, [4, 6]),
        (4, 5, .upperThirds, [2]),
    ])
    func places(from count: Int, to target: Int, placement: Expansion.Placement, places: [Int]) throws {
        #expect(try Expansion(to: target, placement: placement).places(in: count) == places)
    }

    @Test(arguments: [
        (Expansion(), "say how many layers"), (Expansion(to: 4), "become 5 to 5 there, not 4"),
        (Expansion(to: 9), "4 layers become 5 to 5 there, not 9"),
        (Expansion(to: 9, after: "1,2"), "2 new layers make 6 of 4, not 9"),
        (Expansion(after: "1,1"), "expected each layer once"), (Expansion(after: "4"), "layer 4 is asked"),
        (Expansion(after: "1:zero"), "expected layers alone"),
        (Expansion(after: "1", placement: .even), "leave one out"),
    ])
    func refusesAnExpansion(request: Expansion, message: String) throws {
        let source = try model()
        let error = #expect(throws: UserFacingError.self) { try source.applying(request) }
        #expect(error?.message.contains(message) == true && error?.fault == .usage, "\(error?.message ?? "")")
    }

    @Test func expansionPutsAnIdentityBehindEachPlace() throws {
        let outcome = try model().applying(Expansion(after: "1,3"))
        #expect(outcome.plan?.description == "0-1,1:zero,2-3,3:zero" && outcome.suffix == "expand-6")
    }

    // MARK: Pruning

    @Test func namedLayersAreLeftOut() throws {
        let outcome = try model().applying(Pruning(drop: "1-2"))
        #expect(outcome.plan?.sources == [0, 3])
        #expect(outcome.checkpoint.configuration?["num_hidden_layers"] == 2)
        #expect(outcome.checkpoint.tensors.count == 2 * Self.modules.count)
    }

    @Test(arguments: [
        (Pruning.Measure.blockInfluence, [0, 3]), (.angularDistance, [0, 3]), (.loss, [2, 3]),
    ])
    func scoresChoose(by measure: Pruning.Measure, kept: [Int]) throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "scores.json",
            """
            {"block_influence": [0.9, 0.1, 0.2, 0.8], "loss_without": [2.0, 2.1, 3.0, 9.0],
             "angular_distance": [[0.5, 0.1, 0.1, 0.4], [0.6, 0.2, 0.1], [0.7, 0.5], [0.8]]}
            """)
        let request = Pruning(to: 2, scores: folder.path("scores.json"), by: measure)
        #expect(try model().applying(request).plan?.sources == kept)
        // Of another model.
        let other = #expect(throws: UserFacingError.self) {
            try model(#"{"model_type": "llama", "hidden_size": 4, "num_hidden_layers": 3}"#, count: 3)
                .applying(request)
        }
        #expect(other?.message.contains("has scores of 4 layers, and the model has 3") == true)
    }

    /// The order in which layers went one after the other counts more than the block influence, unless that is asked for.
    @Test func anOrderOfRemovalChooses() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(
            "scores.json",
            """
            {"block_influence": [0.9, 0.1, 0.2, 0.8], "angular_distance": [], "loss_without": [2.0, null, 3.0, 9.0],
             "iterative": {"by": "block-influence", "removed": [1, 3], "scores": [0.1, 0.2], "losses": [2.5, null]}}
            """)
        let source = try model()
        func kept(_ to: Int, _ by: Pruning.Measure?) throws -> [Int?]? {
            try source.applying(Pruning(to: to, scores: path, by: by)).plan?.sources
        }
        #expect(try kept(2, nil) == [0, 2])
        #expect(try kept(2, .blockInfluence) == [0, 3])
        // What is no number is worse than all numbers.
        #expect(try kept(1, .loss) == [1])
        let error = #expect(throws: UserFacingError.self) { try kept(1, nil) }
        #expect(error?.message.contains("an order in which 3 layers go") == true)
        let outcome = try source.applying(Pruning(to: 2, scores: path))
        #expect(outcome.summary.contains { $0.text == "layers 1, 3, by iterative (\(path))" })
        #expect(outcome.warnings.count == 2 && outcome.warnings[0].contains("does not say which model"))
        #expect(outcome.warnings[1].contains("arXiv 2602.01997"))
    }

    /// Scores of a model that only looks like this one are refused; a dry run says so.
    @Test func scoresOfAnotherModelAreRefused() throws {
        let folder = try TemporaryFolder()
        let source = try model()
        var other = source
        let name = "model.layers.2.mlp.up_proj.weight"
        other.tensors[name] = try .zeros(.f32, shape: [4, 4])
        var scores = LayerScores(blockInfluence: [0.9, 0.1, 0.2, 0.8], angularDistance: [])
        scores.model = .init(layers: 4, fingerprint: try source.fingerprint())
        let path = try folder.write("scores.json", JSON(encoding: scores).serialized(indent: 2))
        let request = Pruning(to: 3, scores: path)
        #expect(try source.applying(request).warnings.count == 1)
        let error = #expect(throws: UserFacingError.self) { try other.applying(request) }
        #expect(error?.kind == .inconsistent && error?.message.contains("another model") == true)
        let dry = try other.applying(request, OperationContext(isDryRun: true))
        #expect(dry.warnings[0].contains("another model") && dry.plan?.sources == [0, 2, 3])
    }

    @Test(arguments: [
        (#"{"angular_distance": []}"#, "holds no scores of layers"),
        (
            #"{"block_influence": [1, 2, 3, 4], "angular_distance": [[1, 2, 3]]}"#,
            "angular_distance has 3 numbers for blocks of 1, and 4 are expected"
        ),
        (
            #"{"block_influence": [1, 2, 3, 4], "angular_distance": [], "loss_repeated": [1]}"#,
            "loss_repeated has 1 numbers"
        ),
        (
            #"{"block_influence": [1, 2, 3, 4], "angular_distance": [], "iterative": {"by": "loss", "removed": [1, 1], "scores": [], "losses": []}}"#,
            "iterative removes layers 1, 1"
        ),
    ])
    func refusesAFileOfScores(text: String, message: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("scores.json", text)
        let source = try model()
        let error = #expect(throws: UserFacingError.self) {
            try source.applying(Pruning(to: 3, scores: path))
        }
        #expect(
            error?.kind == .malformed && error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test(arguments: [
        (Pruning(), "say which layers"), (Pruning(to: 2), "say which layers"),
        (Pruning(drop: "0-3"), "keep one at least"), (Pruning(to: 3, drop: "1-2"), "become 2, not 3"),
        (Pruning(drop: "1", scores: "x"), "leave one out"),
        (Pruning(to: 4, scores: "x"), "it reaches 1 to 3, not 4"),
    ])
    func refusesAPruning(request: Pruning, message: String) throws {
        let source = try model()
        let error = #expect(throws: UserFacingError.self) { try source.applying(request) }
        #expect(error?.message.contains(message) == true && error?.fault == .usage, "\(error?.message ?? "")")
    }

    // MARK: Noise

    @Test func noiseIsOnTheCopiesMatricesAlone() throws {
        let source = try model()
        let request = DepthUpScaling(to: 6, noise: 0.1, seed: 7)
        let result = try source.applying(request).checkpoint
        let plain = try source.applying(DepthUpScaling(to: 6)).checkpoint
        let again = try source.applying(request).checkpoint
        let other = try source.applying(DepthUpScaling(to: 6, noise: 0.1, seed: 8)).checkpoint
        for (name, tensor) in result.tensors {
            let numbers = try tensor.floats()
            let old = try #require(plain.tensors[name]).floats()
            #expect(try numbers == #require(again.tensors[name]).floats())
            // Layers 1 and 2 of the source are 3 and 4 once more.
            let isCopy = name.hasPrefix("model.layers.3.") || name.hasPrefix("model.layers.4.")
            let isNoisy = isCopy && !name.contains("norm")
            #expect((numbers != old) == isNoisy, "\(name)")
            guard isNoisy else { continue }
            #expect(try numbers != #require(other.tensors[name]).floats())
            // 0.9 of what was, and noise of a tenth of √(2/20) or, of writers, 1/(6·2).
            let most: Float = name.contains("o_proj") || name.contains("down_proj") ? 0.1 / 12 : 0.1 * 0.3163
            for (new, old) in zip(numbers, old) { #expect(abs(new - 0.9 * old) < 5 * most + 1e-5) }
        }
        // Parts are read as the whole is.
        let tensor = try #require(result.tensors["model.layers.3.mlp.up_proj.weight"])
        var part = [Float](repeating: 0, count: 5)
        var span = part.mutableSpan
        try tensor.floats(7..<12, into: &span)
        #expect(part == Array(try tensor.floats()[7..<12]))
    }

    @Test(arguments: [-0.1, 0.21, .nan] as [Float])
    func noiseHasALimit(share: Float) throws {
        let source = try model()
        let error = #expect(throws: UserFacingError.self) {
            try source.applying(DepthUpScaling(to: 6, noise: share))
        }
        #expect(error?.fault == .usage && error?.message.contains("0 to 0.2") == true)
    }

    /// Mean and deviation of many numbers are those asked for.
    @Test func noiseIsNormal() throws {
        let zeros = try TensorExpression.zeros(.f32, shape: [200, 200])
        let numbers = try zeros.noised(NoiseRule(share: 0.5, deviation: 4, seed: 3)).floats().map(Double.init)
        let mean = numbers.reduce(0, +) / 40_000
        let variance = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 40_000
        #expect(abs(mean) < 0.04 && abs(variance - 4) < 0.1)
    }

    // MARK: Parameters

    @Test(arguments: [
        (
            #"{"to": 6, "keep_first": 3}"#,
            "there is no parameter of dus 'keep_first'; did you mean keep-first?"
        ),
        (#"{"from": 4}"#, "dus needs to: how many layers"),
        (#"{"to": "6"}"#, "to is \"6\", and must be a whole number"),
        (#"{"to": 6.5}"#, "to is 6.5, and must be a whole number"),
    ])
    func wrongParametersAreNamed(text: String, message: String) throws {
        let parameters = try #require(JSON(parsing: Array(text.utf8), file: "r").object)
        let error = #expect(throws: UserFacingError.self) {
            try DepthUpScaling(parameters: parameters, at: { _ in "recipe.yaml" })
        }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
}
