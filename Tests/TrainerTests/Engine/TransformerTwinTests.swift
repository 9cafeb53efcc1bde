import Formats
import Models
import Testing

@testable import Trainer

/// A tiny random model and a batch of documents for it.
private struct TinyModel {
    var architecture: Architecture
    var batch: TokenBatch
    let layout: ParameterLayout
    private(set) var weights: [Float]

    private static func naming() throws -> TensorNaming {
        try TensorNaming(#require(Family.named("llama")), names: [])
    }

    /// With all that a Llama may ask for at once, or as plain as the first.
    init(plain: Bool = false, batch: Int = 2, time: Int = 70) throws {
        let norm = Norm.rms(1e-5)
        let layer = Layer(
            attentionNorm: norm,
            attention: Attention(
                heads: 4, keyValueHeads: 2, headSize: 6, hasBias: !plain, hasOutputBias: !plain,
                rotary: RotaryEmbedding(theta: 10_000, size: 6), window: plain ? nil : 50),
            feedForwardNorm: norm,
            feedForward: .gated(
                GatedMLP(
                    size: 20, unit: .product(plain ? .silu : .gelu), hasBias: !plain, hasDownBias: !plain)))
        architecture = Architecture(
            vocabularySize: 37, hiddenSize: 24, maximumLength: 128, layers: [layer, layer], finalNorm: norm,
            head: Architecture.Head(isTied: !plain))
        layout = try ParameterLayout(architecture, naming: Self.naming())
        var numbers = Numbers(seed: 7)
        var weights = numbers.floats(layout.trainedCount, scale: 0.3)
        for parameter in layout.parameters where parameter.role == .norm {
            for i in parameter.weights.words { weights[i] += 1 }
        }
        self.weights = weights
        let rows = batch * time
        var targets = numbers.indices(rows, below: 37)
        for row in stride(from: 4, to: rows, by: 9) { targets[row] = -1 }
        self.batch = TokenBatch(
            batch: batch, sequenceLength: time, tokens: numbers.indices(rows, below: 37), targets: targets)
        guard !plain else { return }
        for row in 0..<rows where row % time >= time / 4 {
            self.batch.attentionStart[row] = Int32(time / 4)
        }
    }

    func transformer<Device: Engine>(
        on engine: Device, batch: Int? = nil, recomputation: Recomputation = .none,
        storage: ParameterLayout.Storage = ParameterLayout.Storage()
    ) throws -> Transformer<Device> {
        let batch = batch ?? self.batch.batch
        let layout = try ParameterLayout(architecture, naming: Self.naming(), storage: storage)
        let plan = ActivationPlan(
            architecture, layout: layout, batch: batch, sequenceLength: self.batch.sequenceLength,
            training: ActivationPlan.Training(
                recomputation: recomputation, accumulates: batch < self.batch.batch))
        let transformer = try Transformer(architecture, layout: layout, plan: plan, on: engine)
        for (parameter, place) in zip(layout.parameters, self.layout.parameters) {
            let tensor = transformer.weights(of: parameter)
            let values = Array(weights[place.weights.words])
            if tensor.precision == .f32 {
                engine.upload(values.span, to: tensor)
            } else {
                let expression = try TensorExpression.stored(
                    MemoryTensor(name: parameter.name, shape: parameter.shape, floats: values)
                ).cast(to: .bf16)
                try engine.load(expression, into: tensor)
            }
        }
        return transformer
    }

    /// Makes bfloat16 hold every weight exactly.
    mutating func roundWeights() {
        weights = weights.map { Float(bitPattern: $0.bitPattern & 0xffff_0000) }
    }

    var scale: Float { 1 / Float(batch.targetCount) }

    /// The loss and all gradients of the batch by tensor, taken `size` sequences at a time.
    func pass<Device: Engine>(
        on engine: Device, size: Int? = nil, recomputation: Recomputation = .none,
        storage: ParameterLayout.Storage = ParameterLayout.Storage()
    ) throws -> (loss: Double, gradients: [String: [Float]]) {
        let size = size ?? batch.batch
        let transformer = try transformer(
            on: engine, batch: size, recomputation: recomputation, storage: storage)
        for start in stride(from: 0, to: batch.batch, by: size) {
            transformer.backward(batch.part(start..<start + size), scale: scale, accumulate: start > 0)
        }
        let loss = transformer.takeLoss(targets: batch.targetCount)
        var gradients: [String: [Float]] = [:]
        for parameter in transformer.layout.parameters {
            guard let place = parameter.gradient else { continue }
            gradients[parameter.name] = values(transformer.gradients(at: place), on: engine)
        }
        return (loss, gradients)
    }
}

extension TokenBatch {
    /// Some of its sequences.
    fileprivate func part(_ sequences: Range<Int>) -> TokenBatch {
        let rows = sequences.lowerBound * sequenceLength..<sequences.upperBound * sequenceLength
        var part = TokenBatch(
            batch: sequences.count, sequenceLength: sequenceLength, tokens: Array(tokens[rows]),
            targets: Array(targets[rows]))
        part.attentionStart = Array(attentionStart[rows])
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
            let error = try relativeDifference(
                #require(found.gradients[parameter.name]), #require(expected.gradients[parameter.name]))
            #expect(error <= 1e-5, "\(parameter.name)")
        }
    }

    /// The whole backward pass against differences of the loss, a few weights of each tensor.
    @Test(arguments: [false, true]) func gradientsAreThoseOfTheLoss(plain: Bool) throws {
        let model = try TinyModel(plain: plain, time: 7)
        let engine = ReferenceEngine()
        let transformer = try model.transformer(on: engine)
        transformer.backward(model.batch, scale: 1, accumulate: false)
        let gradients = transformer.gradients(at: Region(.f32, start: 0, count: model.layout.gradientWords))
            .storage.values
        let weights = transformer.weights.values
        func loss(_ moved: [Double]) -> Double {
            transformer.weights.values = moved
            _ = transformer.loss(model.batch)
            return transformer.values(transformer.plan.losses).storage.values.reduce(0, +)
        }
        for parameter in model.layout.parameters {
            // Rows of the embedding that no token chose have no gradient to compare.
            let start = try #require(parameter.gradient).start - parameter.weights.start
            let moving = parameter.weights.words.filter { gradients[start + $0] != 0 }
            let indices = [0, moving.count / 2, moving.count - 1].map { moving[$0] }
            expectGradient(indices.map { gradients[start + $0] }, at: indices.map { weights[$0] }) { chosen in
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
        #expect(kept.gradients == again.gradients)
    }

    /// Freezing changes nothing about the gradients of what is still trained, however much is computed again.
    @Test(
        arguments: [
            TensorSelection(train: ["model.layers.1.*"]), TensorSelection(train: ["*norm*", "*.bias"]),
            TensorSelection(freeze: ["model.layers.0.*", "model.embed_tokens.*"]),
            TensorSelection(train: ["lm_head.*"]), TensorSelection(train: ["model.norm.*"]),
            TensorSelection(train: ["model.embed_tokens.*"]),
        ], Recomputation.allCases)
    func freezing(_ selection: TensorSelection, _ recomputation: Recomputation) throws {
        for plain in [false, true] {
            let model = try TinyModel(plain: plain)
            let engine = try CPUEngine(threads: 2)
            let storage = ParameterLayout.Storage(isTrained: { selection.contains($0) })
            let whole = try model.pass(on: engine)
            let part = try model.pass(on: engine, recomputation: recomputation, storage: storage)
            #expect(part.loss == whole.loss)
            let names = model.layout.parameters.map(\.name).filter(selection.contains)
            #expect(Set(part.gradients.keys) == Set(names))
            for name in names { #expect(part.gradients[name] == whole.gradients[name], "\(name)") }
        }
    }

    /// Frozen weights that are kept in fewer bits compute what the same numbers in float32 do.
    @Test func frozenWeightsInFewerBits() throws {
        var model = try TinyModel(plain: true)
        model.roundWeights()
        let engine = try CPUEngine(threads: 2)
        let trained: @Sendable (String) -> Bool = { $0.hasPrefix("model.layers.0.") }
        let exact = try model.pass(on: engine, storage: ParameterLayout.Storage(isTrained: trained))
        let packed = try model.pass(
            on: engine, storage: ParameterLayout.Storage(isTrained: trained, frozen: { _ in .bf16 }))
        #expect(abs(packed.loss - exact.loss) <= 1e-6 * exact.loss)
        #expect(!exact.gradients.isEmpty)
        for (name, gradient) in exact.gradients {
            #expect(try relativeDifference(#require(packed.gradients[name]), gradient) <= 1e-5)
        }
    }

    @Test(arguments: [1, 3, 4]) func threads(_ threads: Int) throws {
        let model = try TinyModel()
        let two = try model.pass(on: CPUEngine(threads: 2))
        let other = try model.pass(on: CPUEngine(threads: threads))
        #expect(two.loss == other.loss)
        #expect(two.gradients == other.gradients)
    }

    /// A step may be taken in parts: eight sequences at once, four, or one.
    @Test(arguments: [4, 1]) func parts(of size: Int) throws {
        let model = try TinyModel(batch: 8, time: 20)
        let engine = try CPUEngine(threads: 2)
        let whole = try model.pass(on: engine)
        let parts = try model.pass(on: engine, size: size)
        #expect(abs(whole.loss - parts.loss) <= 1e-6 * whole.loss)
        for parameter in model.layout.parameters {
            let error = try relativeDifference(
                #require(parts.gradients[parameter.name]), #require(whole.gradients[parameter.name]))
            // The bias of the keys moves all scores of a query almost alike: its gradient is what hardly
            // remains of a sum.
            #expect(error <= 5e-6, "\(parameter.name)")
        }
        let all = [parts.gradients, whole.gradients].map { gradients in
            model.layout.parameters.flatMap { gradients[$0.name] ?? [] }
        }
        #expect(relativeDifference(all[0], all[1]) <= 1e-6)
    }

    /// Sequences of a batch do not see each other.
    @Test func sequencesAreApart() throws {
        let model = try TinyModel(batch: 4, time: 20)
        let engine = try CPUEngine(threads: 2)
        let whole = try model.transformer(on: engine)
        whole.backward(model.batch, scale: 1, accumulate: false)
        let losses = values(whole.values(whole.plan.losses), on: engine)
        for sequence in 0..<4 {
            let alone = try model.transformer(on: engine, batch: 1)
            _ = alone.loss(model.batch.part(sequence..<sequence + 1))
            let expected = Array(losses[sequence * 20..<sequence * 20 + 20])
            #expect(relativeDifference(values(alone.values(alone.plan.losses), on: engine), expected) < 1e-6)
        }
    }
}
