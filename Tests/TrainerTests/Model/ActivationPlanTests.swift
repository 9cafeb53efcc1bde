import Models
import Testing

@testable import Trainer

@Suite struct ActivationPlanTests {
    private static let shapes = BenchmarkShape.allCases

    private func layout(
        of model: DescribedModel, _ precision: Precision = .f32,
        training: @escaping @Sendable (String) -> Bool = { _ in true }
    ) throws -> ParameterLayout {
        try ParameterLayout(
            model.architecture, naming: TensorNaming(model.family, names: []),
            storage: ParameterLayout.Storage(gradients: precision, isTrained: training))
    }

    /// A layer's gradients may lie where results of the layers above it were, never where its own or those of the
    /// layers below it are, for these are still to be read.
    @Test(arguments: shapes, [Recomputation.none, .norms, .layer])
    func gradientsLieOverNothingThatIsStillRead(
        shape: BenchmarkShape, recomputation: Recomputation
    ) throws {
        let model = try shape.described()
        for (batch, precision) in [(1, Precision.f32), (1, .bf16), (4, .f32), (4, .bf16)] {
            let layout = try layout(of: model, precision)
            let plan = ActivationPlan(
                model.architecture, layout: layout, batch: batch, sequenceLength: 256,
                training: ActivationPlan.Training(recomputation: recomputation))
            for (index, layer) in layout.layers.enumerated() {
                let written =
                    plan.firstGradient + layer.firstGradient..<plan.firstGradient + layout.gradientWords
                for kept in plan.layers[0...index] {
                    #expect(kept.ranges.allSatisfy { !$0.overlaps(written) })
                }
                let (scratch, norm) = (plan.scratch, plan.finalNorm.output)
                #expect(!scratch.dStream.overlaps(written) && !plan.logits.overlaps(written))
                #expect(!plan.output.overlaps(written) && !norm.overlaps(written))
            }
        }
    }

    @Test func gradientsThatOutliveABatchLieBehindAllResults() throws {
        let model = try BenchmarkShape.small.described()
        let layout = try layout(of: model)
        let plans = [false, true].map { accumulates in
            ActivationPlan(
                model.architecture, layout: layout, batch: 2, sequenceLength: 512,
                training: ActivationPlan.Training(recomputation: .norms, accumulates: accumulates))
        }
        let last = try #require(plans[1].layers.last)
        #expect(last.ranges.allSatisfy { plans[1].firstGradient >= $0.upperBound })
        // Most of the gradients take no memory of their own: the results of the layers are larger.
        #expect(plans[1].count - plans[0].count > layout.gradientWords / 2)
    }

    /// Layers below the lowest that is trained keep nothing.
    @Test func frozenLayersShareTheirMemory() throws {
        let model = try BenchmarkShape.llama135M.described()
        let whole = try layout(of: model)
        let upper = try layout(of: model) { $0.hasPrefix("model.layers.29.") }
        let counts = [whole, upper].map { layout in
            ActivationPlan(
                model.architecture, layout: layout, batch: 1, sequenceLength: 512,
                training: ActivationPlan.Training(recomputation: .norms)
            ).count - layout.gradientWords
        }
        #expect(upper.lowestTrainedLayer == 29)
        #expect(counts[1] < 100 << 20)
        let plan = ActivationPlan(
            model.architecture, layout: upper, batch: 1, sequenceLength: 512,
            training: ActivationPlan.Training(recomputation: .norms))
        #expect(plan.layers[0] == plan.layers[28] && plan.layers.count == 30)
    }
}

extension LayerBlock.Activations {
    /// Everything that is kept.
    fileprivate var ranges: [Range<Int>] {
        let norms = [attentionNorm, feedForwardNorm, attentionOutputNorm, feedForwardOutputNorm]
        let kept: [Range<Int>] =
            switch feedForward {
            case .gated(let kept): [kept.gateUp]
            case .plain(let kept): [kept.up]
            case .experts(let kept):
                [
                    kept.scores, kept.weights, kept.chosen, kept.choice, kept.slot, kept.offsets, kept.gateUp,
                    kept.shared?.gateUp ?? 0..<0, kept.sharedGate ?? 0..<0,
                ]
            }
        return kept + norms.compactMap(\.self).flatMap { [$0.output, $0.rstd, $0.mean ?? 0..<0] }
            + [input, middle, attention.queryKeyValue, attention.result, attention.logSumExp]
            + [attention.unnormed, attentionOutput, feedForwardOutput].compactMap(\.self)
    }
}
