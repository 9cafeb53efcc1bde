import Formats
import OrderedCollections
import Testing

@testable import Trainer

@Suite struct GoldenModelTests {
    /// The model with its weights and memory for all rows; it is trained unless `recomputation` is nil.
    private func transformer(
        of model: PretrainedModel, for rows: TokenRows, _ recomputation: Recomputation?,
        gradients: GradientPrecision = .f32, on engine: CPUEngine
    ) throws -> Transformer<CPUEngine> {
        let layout = try model.layout(training: recomputation == nil ? .none : .all, gradients: gradients)
        let plan = ActivationPlan(
            model.configuration, batch: rows.count, time: rows.length,
            training: recomputation.map { ActivationPlan.Training(layout, recomputation: $0) })
        let transformer = try Transformer(model.configuration, layout: layout, plan: plan, on: engine)
        try model.load(into: transformer)
        return transformer
    }

    @Test(arguments: GoldenModel.all) func lossAndLogits(_ golden: GoldenModel) throws {
        let model = try golden.pretrained()
        let rows = try golden.rows()
        let engine = try CPUEngine(threads: 2)
        let transformer = try transformer(of: model, for: rows, nil, on: engine)
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
        let transformer = try transformer(
            of: model, for: rows, recomputation, gradients: precision, on: engine)
        let batch = rows.rows(0..<rows.count)
        _ = transformer.lossAndGradients(batch, scale: 1 / Float(batch.targetCount), accumulate: false)
        let reference = try golden.reference()
        for parameter in transformer.layout.parameters {
            let expected = try #require(reference["grad.\(parameter.name)"]).floats()
            let scale = expected.reduce(0) { max($0, abs($1)) }
            #expect(scale > 0)
            let found = try unpacked(transformer.gradients(at: #require(parameter.gradient)))
            let difference = largestDifference(found, expected)
            #expect(difference < tolerance * scale, "\(parameter.name): \(difference) of \(scale)")
        }
    }

    @Test(arguments: GoldenModel.all) func fiveSteps(_ golden: GoldenModel) throws {
        let model = try golden.pretrained()
        let rows = try golden.rows()
        let training = try golden.training()
        let engine = try CPUEngine(threads: 2)
        let transformer = try transformer(of: model, for: rows, Recomputation.none, on: engine)
        let optimizer = try AdamW(training.settings, for: transformer.layout, on: engine)
        let batch = rows.rows(0..<rows.count)
        let count = Double(batch.targetCount)
        #expect(training.losses.count == 5)
        for (step, expected) in training.losses.enumerated() {
            let loss = transformer.lossAndGradients(batch, scale: Float(1 / count), accumulate: false) / count
            let norm = optimizer.step(transformer, step: step, factor: 1)
            #expect(abs(loss - expected) < 1e-3, "step \(step)")
            #expect(abs(norm - training.gradNorms[step]) < 1e-3 * training.gradNorms[step], "step \(step)")
        }
        let after = transformer.loss(batch) / count
        #expect(abs(after - training.lossAfterFiveSteps) < 1e-3)
    }
}
