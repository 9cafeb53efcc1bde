import Testing

@testable import Trainer

@Suite struct ActivationPlanTests {
    private static let shapes = [BenchmarkShape.small, .llama135M, .mistralHalfBillion]

    private func layout(
        of configuration: TransformerConfiguration, _ precision: Precision = .f32,
        training: @escaping @Sendable (String) -> Bool = { _ in true }
    ) throws -> ParameterLayout {
        try ParameterLayout(
            configuration, names: #require(Family.all.first).names,
            storage: ParameterLayout.Storage(gradients: precision, isTrained: training))
    }

    /// A layer's gradients may lie where results of the layers above it were, never where its own or those of the
    /// layers below it are, for these are still to be read.
    @Test(arguments: shapes, [Recomputation.none, .norms, .layer])
    func gradientsLieOverNothingThatIsStillRead(
        shape: BenchmarkShape, recomputation: Recomputation
    ) throws {
        let configuration = shape.configuration
        for (batch, precision) in [(1, Precision.f32), (1, .bf16), (4, .f32), (4, .bf16)] {
            let layout = try layout(of: configuration, precision)
            let plan = ActivationPlan(
                configuration, batch: batch, time: 256,
                training: ActivationPlan.Training(layout, recomputation: recomputation))
            for (index, layer) in layout.layers.enumerated() {
                let written =
                    plan.firstGradient + layer.firstGradient..<plan.firstGradient + layout.gradientWords
                for kept in plan.layers[0...index] {
                    let ranges = [
                        kept.input, kept.queryKeyValue, kept.attention, kept.denominator, kept.middle,
                        kept.gateUp, kept.attentionNorm, kept.feedForwardNorm, kept.attentionFactor,
                        kept.feedForwardFactor,
                    ]
                    #expect(ranges.allSatisfy { !$0.overlaps(written) })
                }
                #expect(!plan.dStream.overlaps(written) && !plan.logits.overlaps(written))
                #expect(!plan.output.overlaps(written) && !plan.finalNorm.overlaps(written))
            }
        }
    }

    @Test func gradientsThatOutliveABatchLieBehindAllResults() throws {
        let configuration = BenchmarkShape.small.configuration
        let layout = try layout(of: configuration)
        let plans = [false, true].map { accumulates in
            ActivationPlan(
                configuration, batch: 2, time: 512,
                training: ActivationPlan.Training(
                    layout, recomputation: .norms, accumulates: accumulates))
        }
        let last = try #require(plans[1].layers.last)
        #expect(plans[1].firstGradient >= last.gateUp.upperBound)
        // Most of the gradients take no memory of their own: the results of the layers are larger.
        #expect(plans[1].count - plans[0].count > layout.gradientWords / 2)
    }

    /// Layers below the lowest that is trained keep nothing.
    @Test func frozenLayersShareTheirMemory() throws {
        let configuration = BenchmarkShape.llama135M.configuration
        let whole = try layout(of: configuration)
        let upper = try layout(of: configuration) { $0.hasPrefix("model.layers.29.") }
        let counts = [whole, upper].map { layout in
            ActivationPlan(
                configuration, batch: 1, time: 512,
                training: ActivationPlan.Training(layout, recomputation: .norms)
            ).count - layout.gradientWords
        }
        #expect(upper.lowestTrainedLayer == 29)
        #expect(counts[1] < 100 << 20)
        let plan = ActivationPlan(
            configuration, batch: 1, time: 512,
            training: ActivationPlan.Training(upper, recomputation: .norms))
        #expect(plan.layers[0] == plan.layers[28] && plan.layers.count == 30)
    }
}
