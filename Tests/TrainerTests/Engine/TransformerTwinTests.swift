import Testing

@testable import Trainer

/// A tiny random model and a batch of documents for it.
private struct TinyModel {
    var configuration: TransformerConfiguration
    var batch: TokenBatch
    let layout: ParameterLayout
    let weights: [Float]

    /// With all that a family may ask for at once, or as plain as Llama.
    init(plain: Bool = false, batch: Int = 2, time: Int = 70) throws {
        configuration = TransformerConfiguration(
            vocabularySize: 37, hiddenSize: 24, layers: 2, heads: 4, keyValueHeads: 2, headSize: 6,
            intermediateSize: 20, normEpsilon: 1e-5, rotary: RotaryEmbedding(theta: 10_000),
            window: plain ? nil : 50, tiedHead: !plain,
            biases: plain ? [] : Set(TransformerConfiguration.LinearLayer.allCases), maximumLength: 128)
        let names = try #require(Family.all.first).names
        layout = ParameterLayout(configuration, names: names)
        var numbers = Numbers(seed: 7)
        var weights = numbers.floats(layout.count, scale: 0.3)
        for parameter in layout.parameters where parameter.role == .norm {
            for i in parameter.range { weights[i] += 1 }
        }
        self.weights = weights
        let rows = batch * time
        var targets = numbers.indices(rows, below: 37)
        for row in stride(from: 4, to: rows, by: 9) { targets[row] = -1 }
        self.batch = TokenBatch(
            batch: batch, time: time, tokens: numbers.indices(rows, below: 37), targets: targets)
        guard !plain else { return }
        for row in 0..<rows where row % time >= time / 4 { self.batch.first[row] = Int32(time / 4) }
    }

    func transformer<Device: Engine>(
        on engine: Device, batch: Int? = nil, recomputation: Recomputation = .none
    ) throws -> Transformer<Device> {
        let plan = ActivationPlan(
            configuration, batch: batch ?? self.batch.batch, time: self.batch.time,
            recomputation: recomputation)
        let transformer = try Transformer(
            configuration, layout: layout, plan: plan, trains: true, on: engine)
        engine.upload(weights.span, to: transformer.weights)
        return transformer
    }

    var scale: Float { 1 / Float(batch.targetCount) }

    /// The loss and all gradients of the batch, taken `size` sequences at a time.
    func pass<Device: Engine>(
        on engine: Device, size: Int? = nil, recomputation: Recomputation = .none
    ) throws -> (loss: Double, gradients: [Float]) {
        let size = size ?? batch.batch
        let transformer = try transformer(on: engine, batch: size, recomputation: recomputation)
        var loss = 0.0
        for start in stride(from: 0, to: batch.batch, by: size) {
            loss += transformer.lossAndGradients(
                batch.part(start..<start + size), scale: scale, accumulate: start > 0)
        }
        return (loss, try values(#require(transformer.gradients), on: engine))
    }
}

extension TokenBatch {
    /// Some of its sequences.
    fileprivate func part(_ sequences: Range<Int>) -> TokenBatch {
        let rows = sequences.lowerBound * time..<sequences.upperBound * time
        var part = TokenBatch(
            batch: sequences.count, time: time, tokens: Array(tokens[rows]), targets: Array(targets[rows]))
        part.first = Array(first[rows])
        return part
    }
}

@Suite struct TransformerTwinTests {
    @Test(arguments: [false, true]) func lossAndGradients(plain: Bool) throws {
        let model = try TinyModel(plain: plain)
        let expected = try model.pass(on: ReferenceEngine())
        let found = try model.pass(on: CPUEngine(threads: 2))
        #expect(abs(found.loss - expected.loss) <= 1e-6 * expected.loss)
        #expect(model.layout.parameters.count > 20)
        for parameter in model.layout.parameters {
            let error = relativeDifference(
                Array(found.gradients[parameter.range]), Array(expected.gradients[parameter.range]))
            #expect(error <= 1e-5, "\(parameter.name)")
        }
    }

    /// The whole backward pass against differences of the loss, a few weights of each tensor.
    @Test(arguments: [false, true]) func gradientsAreThoseOfTheLoss(plain: Bool) throws {
        let model = try TinyModel(plain: plain, time: 7)
        let engine = ReferenceEngine()
        let transformer = try model.transformer(on: engine)
        _ = transformer.lossAndGradients(model.batch, scale: 1, accumulate: false)
        let gradients = try #require(transformer.gradients).values
        let weights = transformer.weights.values
        func loss(_ moved: [Double]) -> Double {
            transformer.weights.values = moved
            _ = transformer.loss(model.batch)
            return transformer.values(transformer.plan.losses).values.reduce(0, +)
        }
        for parameter in model.layout.parameters {
            // Rows of the embedding that no token chose have no gradient to compare.
            let moving = parameter.range.filter { gradients[$0] != 0 }
            let indices = [0, moving.count / 2, moving.count - 1].map { moving[$0] }
            expectGradient(indices.map { gradients[$0] }, at: indices.map { weights[$0] }) { chosen in
                var moved = weights
                for (index, value) in zip(indices, chosen) { moved[index] = value }
                return loss(moved)
            }
        }
    }

    /// What is computed again comes out as it was, bit by bit.
    @Test(arguments: Recomputation.allCases, [false, true])
    func recomputation(_ recomputation: Recomputation, plain: Bool) throws {
        let model = try TinyModel(plain: plain)
        let engine = try CPUEngine(threads: 2)
        let kept = try model.pass(on: engine)
        let again = try model.pass(on: engine, recomputation: recomputation)
        #expect(kept.loss == again.loss)
        #expect(kept.gradients.map(\.bitPattern) == again.gradients.map(\.bitPattern))
    }

    @Test(arguments: [1, 3, 4]) func threads(_ threads: Int) throws {
        let model = try TinyModel()
        let two = try model.pass(on: CPUEngine(threads: 2))
        let other = try model.pass(on: CPUEngine(threads: threads))
        #expect(two.loss == other.loss)
        #expect(two.gradients.map(\.bitPattern) == other.gradients.map(\.bitPattern))
    }

    /// A step may be taken in parts: eight sequences at once, four, or one.
    @Test(arguments: [4, 1]) func parts(of size: Int) throws {
        let model = try TinyModel(batch: 8, time: 20)
        let engine = try CPUEngine(threads: 2)
        let whole = try model.pass(on: engine)
        let parts = try model.pass(on: engine, size: size)
        #expect(abs(whole.loss - parts.loss) <= 1e-6 * whole.loss)
        for parameter in model.layout.parameters {
            let error = relativeDifference(
                Array(parts.gradients[parameter.range]), Array(whole.gradients[parameter.range]))
            // The bias of the keys moves all scores of a query almost alike: its gradient is what hardly
            // remains of a sum.
            #expect(error <= 5e-6, "\(parameter.name)")
        }
        #expect(relativeDifference(parts.gradients, whole.gradients) <= 1e-6)
    }

    /// Sequences of a batch do not see each other.
    @Test func sequencesAreApart() throws {
        let model = try TinyModel(batch: 4, time: 20)
        let engine = try CPUEngine(threads: 2)
        let whole = try model.transformer(on: engine)
        _ = whole.lossAndGradients(model.batch, scale: 1, accumulate: false)
        let losses = values(whole.values(whole.plan.losses), on: engine)
        for sequence in 0..<4 {
            let alone = try model.transformer(on: engine, batch: 1)
            _ = alone.loss(model.batch.part(sequence..<sequence + 1))
            let expected = Array(losses[sequence * 20..<sequence * 20 + 20])
            #expect(relativeDifference(values(alone.values(alone.plan.losses), on: engine), expected) < 1e-6)
        }
    }
}
