import Formats
import Models
import OrderedCollections
import Testing

@testable import Trainer

/// Every kind of model beside what PyTorch computes of it.
@Suite struct GoldenModelTests {
    @Test func thereIsOneForEachFamily() throws {
        let families = try Set(
            GoldenModel.all.map { golden in
                try DescribedModel(#require(golden.checkpoint().configuration), path: golden.name).family.name
            })
        let computed = Family.all.filter(\.isComputed).map(\.name)
        #expect(GoldenModel.all.count >= 49 && families == Set(computed))
    }

    @Test(arguments: GoldenModel.all) func lossAndLogits(_ golden: GoldenModel) throws {
        try expectLossAndLogits(of: golden.pretrained(), golden)
    }

    /// The same weights under config.json as it was published, before transformers renamed its keys.
    @Test(arguments: ["llama-llama3", "gemma2", "phi3-longrope"].map(GoldenModel.init))
    func olderDialect(_ golden: GoldenModel) throws {
        var checkpoint = try golden.checkpoint()
        let path = try golden.folder + "/config.old.json"
        checkpoint.configuration = try Configuration(parsing: InputFile(path: path).bytes(), file: path)
        try expectLossAndLogits(of: PretrainedModel(checkpoint), golden)
    }

    /// A head in the file is computed with, whatever the configuration says of it, as transformers 5 does.
    @Test(arguments: ["llama", "gpt-neox", "phi3", "mistral3"].map(GoldenModel.init))
    func aHeadInTheFileIsUsed(_ golden: GoldenModel) throws {
        var checkpoint = try golden.checkpoint()
        checkpoint.configuration?["tie_word_embeddings"] = true
        let model = try PretrainedModel(checkpoint)
        #expect(!model.architecture.head.isTied)
        #expect(
            model.notes.contains {
                $0.contains("has a head of its own") && $0.contains("lm_head.weight")
                    || $0.contains("embed_out.weight")
            })
        try expectLossAndLogits(of: model, golden)
    }

    /// Of a tied pair a file may have the head alone, or both.
    @Test(
        arguments: ["llama-bias", "gpt2", "gemma", "bloom", "gemma3"].map(GoldenModel.init), [true, false])
    func aTiedPairIsOneWhicheverIsThere(_ golden: GoldenModel, alone: Bool) throws {
        var checkpoint = try golden.checkpoint()
        let naming = try TensorNaming(
            #require(checkpoint.configuration?.family), names: checkpoint.tensors.keys)
        let (embedding, head) = (naming.weightName(of: .embedding), naming.weightName(of: .head))
        checkpoint.tensors[head] = checkpoint.tensors[embedding]
        if alone { checkpoint.tensors[embedding] = nil }
        let model = try PretrainedModel(checkpoint)
        #expect(model.architecture.head.isTied && model.notes.allSatisfy { !$0.contains("head of its own") })
        try expectLossAndLogits(of: model, golden)
        // What comes back has the names that the source has.
        let rows = try golden.rows()
        let trained = try model.transformer(for: rows, .norms, on: CPUEngine(threads: 1))
        let result = try model.learning(
            model.masters(of: trained), by: Manifest.Operation(name: "heal", parameters: JSONObject()))
        #expect(Set(result.tensors.keys) == Set(checkpoint.tensors.keys))
        for (name, tensor) in checkpoint.tensors {
            #expect(try tensor.floats() == result.tensors[name]?.floats(), "\(name)")
        }
    }

    /// A text model beside an image's tower, as transformers 5 calls its tensors in memory.
    @Test(arguments: ["gemma3", "mistral3", "llava"].map(GoldenModel.init))
    func otherNamesOfAWrapper(_ golden: GoldenModel) throws {
        var checkpoint = try golden.checkpoint()
        let old = checkpoint.tensors
        checkpoint.tensors = [:]
        for (name, tensor) in old {
            let renamed =
                name.hasPrefix("language_model.model.")
                ? "model.language_model." + name.dropFirst("language_model.model.".count)
                : name.hasPrefix("language_model.lm_head")
                    ? String(name.dropFirst("language_model.".count))
                    : "model." + name
            checkpoint.tensors[renamed] = tensor
        }
        #expect(checkpoint.tensors.keys.contains("model.language_model.embed_tokens.weight"))
        try expectLossAndLogits(of: PretrainedModel(checkpoint), golden)
    }

    private func expectLossAndLogits(of model: PretrainedModel, _ golden: GoldenModel) throws {
        let rows = try golden.rows()
        let engine = try CPUEngine(threads: 2)
        let transformer = try model.transformer(for: rows, nil, on: engine)
        var logits: [Float] = []
        let batch = rows.rows(0..<rows.count)
        let loss = transformer.loss(batch) { _, block in logits += values(block, on: engine) }
        let reference = try golden.reference()
        let expected = try #require(reference["loss"]).floats()[0]
        #expect(abs(loss / Double(batch.targetCount) - Double(expected)) < 1e-5)
        #expect(largestDifference(logits, try #require(reference["logits"]).floats()) < 2e-4)
    }

    @Test(arguments: GoldenModel.all, Recomputation.allCases)
    func gradients(_ golden: GoldenModel, _ recomputation: Recomputation) throws {
        try expectGradients(of: golden, recomputation, .f32, within: 1e-3)
    }

    /// Rounded to eight bits of precision, a gradient is off by half of the last at most.
    @Test(arguments: GoldenModel.all) func gradientsInFewerBits(_ golden: GoldenModel) throws {
        try expectGradients(of: golden, .norms, .bf16, within: 1e-3 + 1 / 256)
    }

    private func expectGradients(
        of golden: GoldenModel, _ recomputation: Recomputation, _ precision: GradientPrecision,
        within tolerance: Float
    ) throws {
        let model = try golden.pretrained()
        let rows = try golden.rows()
        let engine = try CPUEngine(threads: 2)
        let transformer = try model.transformer(
            for: rows, recomputation, gradients: precision, on: engine)
        let batch = rows.rows(0..<rows.count)
        transformer.backward(batch, scale: 1 / Float(batch.targetCount), accumulate: false)
        let reference = try golden.reference()
        let total = try #require(reference["total_loss"] ?? reference["loss"]).floats()[0]
        #expect(abs(transformer.takeLoss(targets: batch.targetCount) - Double(total)) < 1e-5)
        for parameter in transformer.layout.parameters {
            // What no loss has a gradient of has none in PyTorch, either.
            #expect((reference["grad.\(parameter.name)"] == nil) == (parameter.role == .constant))
            if parameter.role == .constant { continue }
            var expression = try #require(reference["grad.\(parameter.name)"])
            if parameter.isTransposed { expression = try expression.transposed() }
            let expected = try expression.floats()
            let scale = expected.reduce(0) { max($0, abs($1)) }
            #expect(scale > 0)
            let found = try values(transformer.gradients(at: #require(parameter.gradient)), on: engine)
            let difference = largestDifference(found, expected)
            #expect(difference < tolerance * scale, "\(parameter.name): \(difference) of \(scale)")
        }
    }

    @Test(arguments: GoldenModel.all, Recomputation.allCases)
    func fiveSteps(_ golden: GoldenModel, _ recomputation: Recomputation) throws {
        try expectSteps(of: golden, recomputation, .f32, .f32, within: 1e-4)
    }

    /// With moments in eight bits and gradients in sixteen, as runs keep them.
    ///
    /// A scale is shared by 256 values: by four rows of a model 64 wide, but by eight experts' worth of one 16 wide.
    @Test(arguments: GoldenModel.all) func fiveStepsInFewerBits(_ golden: GoldenModel) throws {
        let architecture = try golden.pretrained().architecture
        let isMixture = architecture.layers.contains {
            if case .experts = $0.feedForward { true } else { false }
        }
        let tolerance = isMixture ? 5e-3 : architecture.hiddenSize < 64 ? 2e-3 : 1e-3
        try expectSteps(of: golden, .norms, .int8, .bf16, within: tolerance)
    }

    private func expectSteps(
        of golden: GoldenModel, _ recomputation: Recomputation, _ moments: MomentPrecision,
        _ gradients: GradientPrecision, within tolerance: Double
    ) throws {
        let model = try golden.pretrained()
        let rows = try golden.rows()
        let training = try golden.training()
        let engine = try CPUEngine(threads: 2)
        let transformer = try model.transformer(
            for: rows, recomputation, gradients: gradients, on: engine)
        var optimizer = try AdamW(training.settings, moments: moments, for: transformer.layout, on: engine)
        let batch = rows.rows(0..<rows.count)
        let count = batch.targetCount
        #expect(training.losses.count == 5)
        for (step, expected) in training.losses.enumerated() {
            transformer.backward(batch, scale: 1 / Float(count), accumulate: false)
            let loss = transformer.takeLoss(targets: count)
            let norm = optimizer.gradientNorm(transformer)
            optimizer.update(transformer, factor: 1)
            #expect(abs(loss - expected) < tolerance * max(1, expected), "step \(step): \(loss), \(expected)")
            #expect(
                abs(norm - training.gradNorms[step]) < 10 * tolerance * training.gradNorms[step],
                "step \(step)")
        }
        transformer.backward(batch, scale: 1 / Float(count), accumulate: false)
        #expect(abs(transformer.takeLoss(targets: count) - training.lossAfterFiveSteps) < tolerance)
    }
}
