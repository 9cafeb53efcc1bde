import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@testable import Trainer

@Suite struct DriftTests {
    /// The golden Llama with layers 0, 1, 1, 2 and 40 more rows at both ends, not written.
    private func grown() throws -> Checkpoint {
        var resize = VocabularyChange()
        resize.size = 251
        return try GoldenModel(name: "llama").checkpoint().applying(DepthUpScaling(to: 4)).checkpoint
            .applying(resize).checkpoint
    }

    /// A model as it is loaded, all of it trained but for what `freeze` names.
    private func loaded(
        _ checkpoint: Checkpoint, freeze: [String] = []
    ) throws -> (PretrainedModel, Transformer<CPUEngine>) {
        let model = try PretrainedModel(checkpoint)
        let layout = try model.layout(training: TensorSelection(freeze: freeze))
        let plan = ActivationPlan(model.architecture, layout: layout, batch: 1, sequenceLength: 8)
        let transformer = try Transformer(
            model.architecture, layout: layout, plan: plan, on: CPUEngine(threads: 2))
        try model.load(into: transformer)
        return (model, transformer)
    }

    /// Adds to a number of a tensor, by its place in memory.
    private func move(
        _ name: String, at place: Int, by amount: Float, in transformer: Transformer<CPUEngine>
    ) throws {
        let parameter = try #require(transformer.layout.parameters.first { $0.name == name })
        let tensor = transformer.weights(of: parameter)[place..<place + 1]
        var value: [Float] = [0]
        var span = value.mutableSpan
        transformer.engine.download(tensor, to: &span)
        transformer.engine.upload([value[0] + amount], to: tensor)
    }

    private func drift(_ model: PretrainedModel, _ transformer: Transformer<CPUEngine>) throws -> [Drift] {
        try model.drift(to: model.masters(of: transformer), on: transformer.engine)
    }

    private func length(_ numbers: [Float]) -> Double {
        numbers.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }

    /// 3 and 4 make 5 in one layer, in old and in new rows; what nothing was done to has not moved at all.
    @Test func distancesAreThoseByHand() throws {
        let checkpoint = try grown()
        let (model, transformer) = try loaded(checkpoint)
        #expect(try drift(model, transformer).allSatisfy { $0.distance == 0 && $0.share == 0 })
        let width = model.architecture.hiddenSize
        try move("model.layers.2.mlp.down_proj.weight", at: 7, by: 3, in: transformer)
        try move("model.layers.2.input_layernorm.weight", at: 0, by: -4, in: transformer)
        try move("model.embed_tokens.weight", at: 211 * width - 1, by: 6, in: transformer)
        try move("model.embed_tokens.weight", at: 0, by: 8, in: transformer)
        try move("model.embed_tokens.weight", at: 211 * width, by: 12, in: transformer)
        let drift = try self.drift(model, transformer)
        #expect(
            drift.map(\.part) == ["embedding", "embedding"] + (0..<4).map { "layer \($0)" }
                + ["final norm", "head", "head"])
        #expect(drift.map(\.rows) == [.old, .new, nil, nil, nil, nil, nil, .old, .new])
        #expect(drift.map(\.layer) == [nil, nil, 0, 1, 2, 3, nil, nil, nil])
        #expect(
            drift.map(\.origin) == [
                nil, nil, "original", "original", "duplicate", "original", nil, nil, nil,
            ])
        for (part, distance) in zip(drift, [10, 12, 0, 0, 5, 0, 0, 0, 0]) {
            #expect(abs(part.distance - Double(distance)) < 1e-5, "\(part)")
            if distance == 0 { #expect(part.distance == 0) }
        }
        #expect(drift.reduce(0) { $0 + $1.parameters } == model.layout.parameterCount)
        let embedding = try #require(checkpoint["model.embed_tokens.weight"])
        for (part, rows) in [(drift[0], 0..<211), (drift[1], 211..<251)] {
            #expect(part.parameters == rows.count * width)
            let norm = try length(embedding.rows(rows).floats())
            #expect(abs(part.norm - norm) < 1e-6 * norm)
            #expect(abs((part.share ?? 0) - part.distance / norm) < 1e-6)
        }
        let layer = try checkpoint.tensors.filter { $0.key.hasPrefix("model.layers.2.") }
            .flatMap { try $0.value.floats() }
        #expect(abs(drift[4].norm - length(layer)) < 1e-6 * length(layer))
    }

    /// What is frozen counts for the norm and not for the distance; a model without a surgery has rows of one kind.
    @Test func whatIsFrozenHasNotMoved() throws {
        let (model, transformer) = try loaded(
            GoldenModel(name: "llama").checkpoint(), freeze: ["model.layers.0.*", "lm_head.weight"])
        try move("model.layers.1.mlp.down_proj.weight", at: 0, by: 2, in: transformer)
        let drift = try self.drift(model, transformer)
        #expect(drift.first?.part == "embedding" && drift.last?.part == "head")
        #expect(drift.allSatisfy { $0.rows == nil && $0.origin == nil && $0.norm > 0 })
        #expect(drift.filter { $0.distance != 0 }.map(\.part) == ["layer 1"])
        #expect(throws: UserFacingError.self) { try model.drift(to: [:], on: transformer.engine) { true } }
    }

    /// A matrix that lies the other way round in memory is compared with what it was, not with its transpose.
    @Test func transposedTensorsAreComparedInPlace() throws {
        let (model, transformer) = try loaded(GoldenModel(name: "gpt2").checkpoint())
        #expect(try drift(model, transformer).allSatisfy { $0.distance == 0 })
        let parameter = try #require(transformer.layout.parameters.last { $0.isTransposed })
        try move(parameter.name, at: 5, by: 1, in: transformer)
        let moved = try drift(model, transformer).filter { $0.distance != 0 }
        #expect(moved.count == 1 && moved[0].layer == parameter.layer && abs(moved[0].distance - 1) < 1e-6)
    }

    /// A run tells at its end what it has moved: frozen rows not at all, all else as far as the result lies from the source.
    @Test func aRunTellsWhatItMoved() throws {
        let folder = try TemporaryFolder()
        let model = try grown()
        var job = TrainingJob()
        job.ids = try fixture("groups/rows.safetensors")
        (job.steps, job.batch, job.lr, job.embeddingLr) = (3, 2, 3e-3, 3e-3)
        job.groups = ["old-rows: freeze", "layers=0: freeze"]
        var run = JobRun(on: model.path, to: folder.path("healed"))
        (run.job, run.checkpoint, run.options.threads) = (job, model, 2)
        let drift = try run().drift
        #expect(drift.filter { $0.distance == 0 }.map(\.part) == ["embedding", "layer 0", "head"])
        #expect(drift.filter { $0.rows == .old }.allSatisfy { $0.distance == 0 })
        let healed = try Checkpoint.open(folder.path("healed"))
        for part in drift where part.layer != nil || part.rows == .new {
            let names = part.layer.map { "model.layers.\($0)." }
            let tensors = model.tensors.keys.filter { name in
                names.map { name.hasPrefix($0) }
                    ?? name.hasPrefix(part.part == "head" ? "lm_head" : "model.embed")
            }
            let changes = try tensors.flatMap { name -> [Float] in
                let pair = try [model, healed].map { model -> [Float] in
                    let tensor = try #require(model[name])
                    return try (part.rows == .new ? tensor.rows(211..<251) : tensor).floats()
                }
                return zip(pair[0], pair[1]).map { $1 - $0 }
            }
            #expect(abs(part.distance - length(changes)) <= 1e-6 + 1e-3 * length(changes), "\(part)")
        }
        let record = try RunHistory.find(folder.path("healed"))
        let line = try #require(record.occurrences.last { $0.name == "drifted" }?.line)
        #expect(try line["parts"]?.decoded(as: [Drift].self) == drift)
    }
}
